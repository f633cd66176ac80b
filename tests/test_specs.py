import json
import math
from importlib import resources

import pytest
from configs import plain, texts, vendor
from hugging import build, embedding_scalars, idle_expert_scalars, scalars, theirs, window_counts, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import SpecError
from scalinglab.specs import COUNTS, FAMILIES, catalogue, find, from_config, pairs

QUICK = settings(max_examples=12, deadline=None, derandomize=True)
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
    assert spec.shape.layers == text.num_hidden_layers
    assert spec.total == scalars(model.parameters())
    assert spec.embedding == embedding_scalars(model)
    assert spec.non_embedding == spec.total - spec.embedding
    assert spec.active == spec.total - idle_expert_scalars(model, family, text)
    assert spec.shape.active_non_embedding == spec.active - spec.embedding
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
        ("SmolLM3-3B", "total", 3_075_098_624),
        ("OLMo-3-7B", "total", 7_298_011_136),
        ("Kimi-K2", "total", 1_026_408_209_408),
        ("gpt-oss-20b", "total", 20_914_757_184),
        ("gpt-oss-120b", "total", 116_829_156_672),
        ("Granite-3.0-8B", "total", 8_170_848_256),
        ("Seed-OSS-36B", "total", 36_151_104_512),
        ("GLM-4-32B-0414", "total", 32_566_081_536),
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
        ("gpt-oss-20b", 20_914_757_184, None),
        ("gpt-oss-120b", 116_829_156_672, None),
        ("Kimi-K2.5", 1_026_408_209_408, None),
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
    assert "--spec MODEL=7e9" in message
    assert "--spec MODEL=3e9/30e9" in message


@pytest.mark.parametrize(
    ("family", "field"),
    [
        *(("llama", field) for field in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size")),
        ("mixtral", "num_local_experts"),
        ("deepseek_v2", "n_routed_experts"),
        ("deepseek_v3", "kv_lora_rank"),
        ("gpt2", "n_embd"),
        ("gpt2", "n_positions"),
    ],
)
def test_a_field_that_cannot_be_null_is_named(family, field):
    message = refusal(plain(family, **{field: None}))
    assert "config has no" in message
    assert field in message


def test_a_field_that_its_class_leaves_open_is_named_where_it_is_missing():
    config = plain("deepseek_v2")
    del config["num_experts_per_tok"]
    assert "config has no 'num_experts_per_tok'" in refusal(config)


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
        ("qwen3_5_text", "layer_types", ["linear_attention", "sliding_attention", "full_attention"]),
        ("qwen3_next", "full_attention_interval", 0),
        ("nemotron_h", "layers_block_type", ["mamba", "conv"]),
        ("nemotron_h", "layers_block_type", []),
        ("nemotron_h", "hybrid_override_pattern", "MX"),
        ("nemotron_h", "mamba_head_dim", "8"),
        ("granitemoehybrid", "num_local_experts", -1),
        ("llama4_text", "no_rope_layers", [1, 0]),
        ("llama4_text", "moe_layers", "all"),
        ("glm4_moe_lite", "mlp_layer_types", ["dense", "sparse"]),
        ("glm_moe_dsa", "indexer_types", ["full", "half", "shared"]),
        ("ernie4_5_moe", "moe_k", 5),
        ("ernie4_5_moe", "use_bias", "no"),
        ("gemma3n_text", "intermediate_size", [8, 8]),
        ("gemma3n_text", "num_kv_shared_layers", 3),
        ("gemma4_text", "per_layer_config", {"00": {"head_dim": "8"}}),
        ("gemma4_text", "per_layer_config", 3),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_and_named(family, field, value):
    assert field in refusal(plain(family, **{field: value}))


def test_a_text_config_that_is_no_object_is_refused():
    assert "text_config is [1]" in refusal({"model_type": "gemma3", "text_config": [1]})


def test_a_text_config_of_an_unknown_type_is_refused_and_one_without_is_of_the_outer_ones():
    text = plain("mistral")
    assert "model_type is 'mamba9'" in refusal(vendor("mistral3", {**text, "model_type": "mamba9"}))
    untyped = {field: value for field, value in text.items() if field != "model_type"}
    assert from_config(vendor("mistral3", untyped)).size == from_config(text).size
    assert from_config(vendor("mistral3", {**text, "model_type": "mistral3"})).size == from_config(text).size


def test_an_explicit_head_dim_frees_hidden_size_from_the_number_of_heads():
    assert from_config({**LLAMA, "hidden_size": 65}).shape.hidden == 65


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
    refusal({"_name_or_path": "two\nlines", "model_type": "llama", "vocab_size": 0})


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


# The largest of each family that the catalogue has.
LARGEST = {spec.family: spec for spec in sorted(catalogue(), key=lambda spec: spec.total)}


@pytest.mark.parametrize("spec", LARGEST.values(), ids=lambda spec: spec.name)
def test_a_model_of_the_catalogue_has_the_parameters_that_transformers_builds(spec):
    (config,) = (row["config"] for row in rows() if row["name"] == spec.name)
    text = theirs(config)[1]
    assert spec.total == scalars(build(text).parameters())
    assert windows(spec) == window_counts(text)


def rows():
    text = resources.files("scalinglab").joinpath("data/models.json").read_text(encoding="utf-8")
    return json.loads(text)["models"]


def test_a_vendors_own_model_type_is_the_shape_that_it_names():
    theirs_, ours = (
        from_config({**plain("deepseek_v3"), "model_type": kind}) for kind in ("kimi_k2", "deepseek_v3")
    )
    assert theirs_.size == ours.size
    assert from_config(vendor("kimi_k25", {**plain("deepseek_v3"), "model_type": "kimi_k2"})).size == ours.size


def test_a_multimodal_config_may_say_beside_its_text_whether_embeddings_are_tied():
    text = plain("qwen3_5_text")
    del text["tie_word_embeddings"]
    for tied in (True, False):
        assert from_config({**vendor("qwen3_5", text), "tie_word_embeddings": tied}).shape.tied is tied


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
