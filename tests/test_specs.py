import json
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from scalinglab.errors import SpecError
from scalinglab.specs import COUNTS, FAMILIES, catalogue, find, from_config, pairs

QUICK = settings(max_examples=12, deadline=None, derandomize=True)
SIZES = st.integers(1, 9)
EVEN = st.sampled_from([2, 4, 6, 8])
WINDOW = st.none() | st.integers(1, 64)
LATE = {"use_sliding_window": st.booleans(), "sliding_window": WINDOW, "max_window_layers": st.integers(0, 5)}
LATENT = {
    "kv_lora_rank": SIZES,
    "q_lora_rank": st.none() | SIZES,
    "qk_nope_head_dim": EVEN,
    "qk_rope_head_dim": EVEN,
    "v_head_dim": EVEN,
    "attention_bias": st.booleans(),
    "moe_intermediate_size": SIZES,
    "n_shared_experts": st.integers(1, 3),
    "first_k_dense_replace": st.integers(0, 7),
}
GEMMA = {"head_dim": EVEN, "attention_bias": st.booleans(), "sliding_window": st.integers(1, 64)}
GEMMA3 = {**GEMMA, "sliding_window_pattern": st.integers(1, 6)}
REQUIRED = {
    "llama": {"attention_bias": st.booleans(), "mlp_bias": st.booleans()},
    "mistral": {"sliding_window": WINDOW},
    "mixtral": {"sliding_window": WINDOW},
    "qwen2": LATE,
    "qwen3": {"attention_bias": st.booleans(), **LATE},
    "qwen3_moe": {
        "attention_bias": st.booleans(),
        "use_sliding_window": st.booleans(),
        "sliding_window": WINDOW,
        "decoder_sparse_step": st.integers(1, 3),
        "mlp_only_layers": st.lists(st.integers(0, 6), max_size=3),
    },
    "gemma2": GEMMA,
    "gemma3_text": GEMMA3,
    "gemma3": GEMMA3,
    "phi3": {"sliding_window": WINDOW},
    "olmo2": {"attention_bias": st.booleans()},
    "gpt_neox": {"attention_bias": st.booleans()},
    "gpt2": {},
    "deepseek_v2": {**LATENT, "mlp_bias": st.booleans()},
    "deepseek_v3": LATENT,
}
OPTIONAL = {
    **{family: {"head_dim": EVEN} for family in ("llama", "mistral", "mixtral", "qwen3")},
    "qwen3_moe": {"head_dim": EVEN, "moe_intermediate_size": SIZES},
}
EXPERTS = {
    "mixtral": "num_local_experts",
    "qwen3_moe": "num_experts",
    "deepseek_v2": "n_routed_experts",
    "deepseek_v3": "n_routed_experts",
}
LAYER_TYPED = ("qwen2", "qwen3", "gemma2", "gemma3_text", "gemma3")
FULL_HEADS = ("gpt_neox", "gpt2", "deepseek_v2", "deepseek_v3")
GPT2_NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "vocab_size": 100,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}
NUMERIC = [field for field, value in LLAMA.items() if type(value) is int]
JUNK = (
    st.sampled_from([math.nan, math.inf, -math.inf, 0, 1e30, True, False])
    | st.integers(max_value=-1)
    | st.floats(-9.0, 99.0)
    | st.sampled_from(["", "64", "two\nlines"])
    | st.lists(st.integers() | st.lists(st.none(), max_size=1), max_size=3)
    | st.dictionaries(st.sampled_from("ab"), st.integers())
)


@st.composite
def texts(draw, family):
    """The config of a small language model, as a vendor would write it."""
    heads, layers = draw(st.sampled_from([1, 2, 4, 6])), draw(st.integers(1, 7))
    shape = {
        "hidden_size": heads * 2 * draw(st.integers(2, 6)),
        "intermediate_size": draw(SIZES),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": draw(st.integers(3, 40)),
        "max_position_embeddings": draw(st.integers(1, 99)),
        "tie_word_embeddings": draw(st.booleans()),
        "pad_token_id": None,
        **draw(st.fixed_dictionaries(REQUIRED[family], optional=OPTIONAL.get(family, {}))),
    }
    if family not in FULL_HEADS:
        shape["num_key_value_heads"] = draw(st.sampled_from([n for n in (1, 2, 3, 6) if heads % n == 0]))
    if family in EXPERTS:
        shape["num_experts_per_tok"] = draw(st.integers(1, 3))
        shape[EXPERTS[family]] = draw(st.integers(3, 6))
    if family in LAYER_TYPED and draw(st.booleans()):
        kinds = st.sampled_from(["sliding_attention", "full_attention"])
        shape["layer_types"] = draw(st.lists(kinds, min_size=layers, max_size=layers))
    if family == "gpt2":
        shape["intermediate_size"] = draw(st.none() | SIZES)
        shape = {GPT2_NAMES.get(field, field): value for field, value in shape.items()}
    return shape


def plain(family, **changes):
    """One unremarkable config of the family."""
    shape = {
        **{field: value for field, value in LLAMA.items() if field not in ("model_type", "head_dim")},
        "pad_token_id": None,
    }
    if family in EXPERTS:
        shape |= {"num_experts_per_tok": 2, EXPERTS[family]: 4}
    if family == "qwen3_moe" or family.startswith("deepseek"):
        shape |= {"moe_intermediate_size": 12}
    if family == "qwen3_moe":
        shape |= {"mlp_only_layers": [0]}
    if family.startswith("deepseek"):
        shape |= {"kv_lora_rank": 6, "q_lora_rank": 5, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4}
        shape |= {"v_head_dim": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
    if family in FULL_HEADS:
        del shape["num_key_value_heads"]
    if family == "gpt2":
        shape = {GPT2_NAMES.get(field, field): value for field, value in shape.items()}
    return vendor(family, {**shape, **changes})


def vendor(family, text):
    return {"model_type": family, **({"text_config": text} if family == "gemma3" else text)}


def theirs(raw):
    """What transformers makes of a config, and the config of its language model."""
    fields = {field: value for field, value in raw.items() if field != "model_type"}
    config = AutoConfig.for_model(raw["model_type"], **fields)
    return config, config.get_text_config()


def build(text_config):
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(text_config)


def scalars(parameters):
    return sum(parameter.numel() for parameter in {id(p): p for p in parameters}.values())


def embedding_scalars(model):
    names = (
        "embed_tokens.weight",
        "embed_in.weight",
        "wte.weight",
        "wpe.weight",
        "lm_head.weight",
        "embed_out.weight",
    )
    return scalars(p for name, p in model.named_parameters() if name.endswith(names))


def idle_expert_scalars(model, family, text):
    if family not in EXPERTS:
        return 0
    sparse = sum(hasattr(module, "experts") for module in model.modules())
    width = text.intermediate_size if family == "mixtral" else text.moe_intermediate_size
    idle = getattr(text, EXPERTS[family]) - text.num_experts_per_tok
    return sparse * idle * 3 * text.hidden_size * width


def window_counts(text):
    window = getattr(text, "sliding_window", None)
    kinds = getattr(text, "layer_types", None) or ["sliding_attention"] * text.num_hidden_layers
    return Counter(window if kind == "sliding_attention" else None for kind in kinds)


def windows(spec):
    counts = Counter()
    for block in spec.blocks:
        counts[block.window] += block.count
    return counts


def refusal(source):
    with pytest.raises(SpecError) as caught:
        from_config(source)
    return one_line(caught.value)


def one_line(error):
    assert isinstance(error, ValueError)
    assert len(str(error).splitlines()) == 1
    return str(error)


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@QUICK
def test_counts_and_windows_equal_those_of_transformers(family, data):
    raw = vendor(family, data.draw(texts(family)))
    config, text = theirs(raw)
    model = build(text)
    spec = from_config(config.to_dict())
    assert spec.family == family
    assert spec.layers == text.num_hidden_layers
    assert spec.total == scalars(model.parameters())
    assert spec.embedding == embedding_scalars(model)
    assert spec.non_embedding == spec.total - spec.embedding
    assert spec.active == spec.total - idle_expert_scalars(model, family, text)
    assert spec.active_non_embedding == spec.active - spec.embedding
    assert windows(spec) == window_counts(text)
    assert from_config(raw) == spec


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_directory_reads_like_its_config(family, tmp_path):
    config, _ = theirs(plain(family))
    config.save_pretrained(tmp_path / "Small")
    spec = from_config(tmp_path / "Small")
    assert spec == from_config(config.to_dict(), name="Small")
    assert spec == from_config(str(tmp_path / "Small" / "config.json"))
    assert spec == find(tmp_path / "Small")


@pytest.mark.parametrize("family", FAMILIES)
def test_bias_flags_count_only_where_the_family_heeds_them(family):
    raw = plain(family, attention_bias=True, mlp_bias=True)
    model = build(theirs(raw)[1])
    assert from_config(raw).total == scalars(model.parameters())


@pytest.mark.parametrize("family", ["gemma3_text", "gemma3", "qwen3", "qwen3_moe", "gemma2", "gpt2"])
def test_what_published_configs_leave_out_is_as_in_transformers(family):
    unsaid = ("vocab_size", "num_attention_heads", "num_key_value_heads") if "gemma3" in family else ()
    unsaid = (*unsaid, "moe_intermediate_size", "n_inner", "tie_word_embeddings")
    text = {k: v for k, v in (plain(family).get("text_config") or plain(family)).items() if k not in unsaid}
    raw = vendor(family, {**text, "model_type": family})
    text_config = theirs(raw)[1]
    spec = from_config(raw)
    assert spec.total == scalars(build(text_config).parameters())
    assert windows(spec) == window_counts(text_config)


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_windows_start_at_layer_28_where_the_config_leaves_that_out(family):
    raw = plain(family, num_hidden_layers=30, use_sliding_window=True, sliding_window=16)
    assert windows(from_config(raw)) == window_counts(theirs(raw)[1]) == {None: 28, 16: 2}


def test_a_gemma_3_pattern_of_six_has_one_full_layer_in_six():
    spec = from_config(plain("gemma3_text", num_hidden_layers=26, sliding_window=512))
    assert windows(spec) == {512: 22, None: 4}


def test_the_cache_keeps_keys_and_values_or_one_latent_vector():
    assert from_config(LLAMA).cached_per_token == 3 * 2 * 4 * 8
    assert from_config(plain("deepseek_v3")).cached_per_token == 3 * (6 + 4)


def test_a_name_comes_from_the_caller_then_the_config_then_the_path(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(LLAMA))
    assert from_config(LLAMA).name == "unnamed"
    assert from_config({**LLAMA, "_name_or_path": "org/it"}).name == "org/it"
    assert from_config(tmp_path / "mine.json").name == "mine"
    assert from_config(tmp_path / "mine.json", name="given").name == "given"


@pytest.mark.parametrize(
    ("name", "count", "published"),
    [
        ("Llama-3.1-8B", "total", 8_030_261_248),
        ("Llama-3.1-8B", "non_embedding", 6_979_588_096),
        ("Llama-3.2-1B", "total", 1_235_814_400),
        ("Qwen2.5-0.5B", "total", 494_032_768),
        ("Qwen2.5-7B", "total", 7_615_616_512),
        ("Qwen3-8B", "total", 8_190_735_360),
        ("Qwen3-8B", "non_embedding", 6_946_075_648),
        ("Qwen3-0.6B", "total", 596_049_920),
        ("Qwen3-0.6B", "non_embedding", 440_467_456),
        ("Qwen3-30B-A3B", "total", 30_532_122_624),
        ("Mixtral-8x7B", "total", 46_702_792_704),
        ("Gemma-2-9B", "total", 9_241_705_984),
        ("Phi-3-mini-4k", "total", 3_821_079_552),
        ("OLMo-2-7B", "total", 7_298_617_344),
        ("Pythia-1B", "total", 1_011_781_632),
        ("Pythia-1B", "non_embedding", 805_736_448),
        ("Pythia-12B", "total", 11_846_072_320),
        ("Pythia-12B", "non_embedding", 11_327_027_200),
        ("GPT-2", "total", 124_439_808),
        ("DeepSeek-V3", "total", 671_026_404_352),
    ],
)
def test_the_catalogue_gives_the_published_count(name, count, published):
    assert getattr(find(name), count) == published


@pytest.mark.parametrize(
    ("file", "total", "non_embedding"),
    [
        ("Meta-Llama-3.1-8B", 8_030_261_248, 6_979_588_096),
        ("Meta-Llama-3.1-70B", 70_553_706_496, None),
        ("Meta-Llama-3.1-405B", 405_853_388_800, None),
        ("Qwen3-0.6B", 596_049_920, 440_467_456),
        ("Qwen3-1.7B", 1_720_574_976, None),
        ("Qwen3-8B", 8_190_735_360, 6_946_075_648),
        ("Qwen3-32B", 32_762_123_264, None),
        ("Mixtral-8x7B-v0.1", 46_702_792_704, None),
    ],
)
def test_a_vendors_own_config_gives_the_published_count(shared_data, file, total, non_embedding):
    spec = from_config(shared_data("configs") / f"{file}.json")
    assert spec.name == file
    assert spec.total == total
    assert non_embedding in (None, spec.non_embedding)


@pytest.mark.parametrize("kind", ["bert", "Llama", "", 7, None, ["llama"], {"llama": 1}, math.nan])
def test_an_unknown_model_type_is_refused_with_the_known_ones(kind):
    message = refusal({**LLAMA, "model_type": kind})
    assert f"model_type is {kind!r}" in message
    assert all(family in message for family in FAMILIES)


@pytest.mark.parametrize(
    ("family", "field"),
    [
        *(("llama", field) for field in ("hidden_size", "num_hidden_layers", "vocab_size")),
        ("llama", "intermediate_size"),
        ("llama", "num_attention_heads"),
        ("mixtral", "intermediate_size"),
        ("mixtral", "num_local_experts"),
        ("mixtral", "num_experts_per_tok"),
        ("qwen3_moe", "num_experts"),
        ("deepseek_v2", "n_routed_experts"),
        ("deepseek_v2", "qk_rope_head_dim"),
        ("deepseek_v3", "kv_lora_rank"),
        ("deepseek_v3", "v_head_dim"),
        ("deepseek_v3", "moe_intermediate_size"),
        ("gpt2", "n_embd"),
        ("gpt2", "n_positions"),
    ],
)  # fmt: skip
def test_a_missing_field_is_named(family, field):
    config = plain(family)
    del config[field]
    message = refusal(config)
    assert "config has no" in message
    assert field in message


@pytest.mark.parametrize("field", NUMERIC)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 2.5, True, "64", [64], {"a": 1}])
def test_a_size_that_is_no_count_is_refused_and_named(field, value):
    assert f"{field} is {value!r}" in refusal({**LLAMA, field: value})


def test_a_whole_number_written_as_a_float_is_a_count():
    assert from_config({**LLAMA, "hidden_size": 64.0}) == from_config(LLAMA)


@pytest.mark.parametrize("layers", [1e30, 1e308])
def test_an_absurd_number_of_layers_is_refused(layers):
    assert "num_hidden_layers" in refusal({**LLAMA, "num_hidden_layers": layers})


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [
        ("llama", "tie_word_embeddings", "yes"),
        ("llama", "attention_bias", 1),
        ("llama", "mlp_bias", "false"),
        ("llama", "num_key_value_heads", 3),
        ("llama", "hidden_size", 65),
        ("gpt2", "n_embd", math.nan),
        ("mixtral", "intermediate_size", math.nan),
        ("mixtral", "num_local_experts", 0),
        ("mixtral", "num_experts_per_tok", 5),
        ("qwen3_moe", "num_experts_per_tok", 5),
        ("qwen3_moe", "decoder_sparse_step", 0),
        ("qwen3_moe", "mlp_only_layers", 3),
        ("qwen3_moe", "mlp_only_layers", "01"),
        ("deepseek_v2", "num_experts_per_tok", 5),
        ("deepseek_v3", "q_lora_rank", 0),
        ("deepseek_v3", "first_k_dense_replace", -1),
        ("mistral", "sliding_window", 0),
        ("gemma2", "sliding_window", -4),
        ("gemma2", "layer_types", ["full_attention"]),
        ("gemma2", "layer_types", ["full_attention", "full_attention", "linear_attention"]),
        ("gemma2", "layer_types", ["full_attention", "full_attention", []]),
        ("gemma2", "layer_types", 3),
        ("gemma2", "layer_types", []),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_and_named(family, field, value):
    assert field in refusal(plain(family, **{field: value}))


def test_a_text_config_that_is_no_object_is_refused():
    assert "text_config is [1]" in refusal({"model_type": "gemma3", "text_config": [1]})


def test_an_explicit_head_dim_frees_hidden_size_from_the_number_of_heads():
    assert from_config({**LLAMA, "hidden_size": 65}).hidden == 65


def test_a_missing_file_is_named(tmp_path):
    assert str(tmp_path / "absent.json") in refusal(tmp_path / "absent.json")


def test_a_directory_without_a_config_is_named(tmp_path):
    assert str(tmp_path / "config.json") in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hidden_size: 64", b"\x80\x04\xff\x00", b'{"hidden_size": 64', b"[" * 100_000]
)
def test_a_file_that_is_not_json_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert f"{path} is not JSON" in refusal(path)


@pytest.mark.parametrize("content", [[LLAMA], 3, "llama", None])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    assert f"{path} holds a {type(content).__name__}" in refusal(path)


def test_a_line_break_in_a_name_does_not_break_the_message():
    refusal({"_name_or_path": "two\nlines", "model_type": "llama"})


@given(field=st.sampled_from(NUMERIC), value=JUNK)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_junk_number_in_a_llama_config_gives_a_spec_or_a_spec_error(field, value):
    assert_spec_or_spec_error({**LLAMA, field: value})


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_junk_in_any_field_of_any_family_gives_a_spec_or_a_spec_error(family, data):
    known = data.draw(texts(family))
    fields = sorted({*known, "layer_types", "mlp_only_layers", "use_sliding_window", "head_dim"})
    text = {**known, data.draw(st.sampled_from(fields)): data.draw(JUNK)}
    assert_spec_or_spec_error(vendor(family, text))


def assert_spec_or_spec_error(config):
    try:
        spec = from_config(config)
    except SpecError as error:
        one_line(error)
    else:
        assert all(type(getattr(spec, count)) is int for count in COUNTS)
        assert 0 < spec.non_embedding <= spec.total
        assert spec.active <= spec.total


def test_catalogue_names_are_unique_and_found_whatever_their_case():
    names = [spec.name for spec in catalogue()]
    assert len(set(names)) == len(names)
    assert [find(name.upper()).name for name in names] == names
    assert [find(f"someone/{name.replace('-', ' ')}").name for name in names] == names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("Qwen/Qwen3-8B-Base", "Qwen3-8B"),
        ("google/gemma-2-9b-it", "Gemma-2-9B"),
        ("pythia 1b", "Pythia-1B"),
    ],
)
def test_a_vendors_spelling_finds_the_catalogue_entry(written, name):
    assert find(written).name == name


@pytest.mark.parametrize("name", ["", "GPT-5", "no/such/config.json", "x" * 5000, "a\0b"])
def test_an_unknown_name_is_refused_with_what_to_do(name):
    with pytest.raises(SpecError) as caught:
        find(name)
    message = one_line(caught.value)
    assert repr(name) in message
    assert "scalinglab specs" in message


def test_pythia_1b_and_12b_are_a_pair_at_14_06():
    (pair,) = (p for p in pairs(14.06) if (p.small.name, p.large.name) == ("Pythia-1B", "Pythia-12B"))
    assert pair.ratio("non_embedding") == pytest.approx(14.06, abs=0.005)
    assert pair.ratio("total") == pytest.approx(11.71, abs=0.005)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("ratio", "tolerance"), [(14, 0.1), (2, 0.25), (1.5, 0.01), (100, 0.5)])
def test_pairs_lie_within_tolerance_in_some_count_nearest_first(ratio, tolerance, across):
    found = pairs(ratio, tolerance=tolerance, across=across)
    off = [min(max(p.ratio(c) / ratio, ratio / p.ratio(c)) for c in COUNTS) for p in found]
    assert all(distance <= (1 + tolerance) * (1 + 1e-9) for distance in off)
    assert off == pytest.approx(sorted(off), rel=1e-12)


def test_pairs_are_all_those_within_tolerance():
    found = {(p.small.name, p.large.name) for p in pairs(4, tolerance=0.2, across=True)}
    near = {
        (small.name, large.name)
        for small in catalogue()
        for large in catalogue()
        if any(4 / 1.2 <= getattr(large, count) / getattr(small, count) <= 4 * 1.2 for count in COUNTS)
    }
    assert found == near


def test_pairs_are_of_one_series_unless_across_is_set():
    within, across = pairs(8, tolerance=0.3), pairs(8, tolerance=0.3, across=True)
    assert within
    assert all(pair.small.series == pair.large.series is not None for pair in within)
    assert {(p.small, p.large) for p in within} < {(p.small, p.large) for p in across}


@pytest.mark.parametrize("ratio", [1, 0.5, 0, -14, math.nan, math.inf])
def test_a_ratio_that_is_not_above_one_is_refused(ratio):
    with pytest.raises(SpecError, match="ratio is"):
        pairs(ratio)


@pytest.mark.parametrize("tolerance", [-0.1, -2, math.nan])
def test_a_tolerance_that_is_no_fraction_is_refused(tolerance):
    with pytest.raises(SpecError, match="tolerance is"):
        pairs(14, tolerance=tolerance)
