import csv
import itertools
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch
from hugging import EXPERTS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from scalinglab.errors import DataError, SpecError
from scalinglab.flops import (
    AXES,
    CONVENTIONS,
    Convention,
    axes_over,
    compare_conventions,
    compare_training,
    components,
    convention,
    cost,
    decode,
    decode_steps,
    first_logit,
    forward,
    prefill,
    query,
    total,
    training,
    with_axes,
)
from scalinglab.specs import Linear, catalogue, find, from_config
from scalinglab.testbed.sampling import cache_argument

torch.set_num_threads(1)

EXACT = CONVENTIONS["exact"]
EAGER = replace(EXACT, name="eager", attention="full", head="all")
ATTENTION = ("scores", "values")
PAIRED = (*ATTENTION, "index")
RULES = [
    *CONVENTIONS.values(),
    EAGER,
    replace(EXACT, name="bodies", attention="none"),
    replace(CONVENTIONS["paper"], name="2N and attention", attention="causal"),
]
MATMUL = [rule for rule in RULES if rule.parameters == "matmul" and rule.attention != "full"]
QUICK = settings(max_examples=20, deadline=None, derandomize=True)
FEW = settings(max_examples=4, deadline=None, derandomize=True)
COUNT = st.integers(0, 300)
SPECS = st.sampled_from(catalogue())
HAND = {"vocab_size": 7, "hidden_size": 4, "num_attention_heads": 2, "tie_word_embeddings": False}

# Worked out by hand. A layer's matrices: q 4x6, k 4x3, v 4x3, o 6x4 = 72, and MLP 3 x 4x5 = 60; its norms: 8.
# N = 2 (72 + 60 + 8) + 4 = 284 without embeddings, 284 + 2 x 7x4 = 340 with them.
# A token: 2 x 2 layers x 72 = 288 and 2 x 2 x 60 = 240. A logit: 2 x 4x7 = 56.
# A pair: 2 x 2 layers x 2 heads x 3 = 24, for scores and for values.
TINY = from_config(
    {
        **HAND,
        "model_type": "llama",
        "intermediate_size": 5,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "head_dim": 3,
    }
)
# 48 weights of attention a layer, a router of 4x5, two of five experts of 3 x 4x3; a window of 4.
TINY_EXPERTS = from_config(
    {
        **HAND,
        "model_type": "mixtral",
        "intermediate_size": 3,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "head_dim": 2,
        "num_local_experts": 5,
        "num_experts_per_tok": 2,
        "sliding_window": 4,
    }
)
# Matrices: q 4x10, compressed 4x5, expanded 3x10, o 4x4 = 106; MLP 3 x 4x5. Keys of 3 + 2, values of 2.
TINY_LATENT = from_config(
    {
        **HAND,
        "model_type": "deepseek_v2",
        "intermediate_size": 5,
        "num_hidden_layers": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": None,
        "n_shared_experts": 0,
        "kv_lora_rank": 3,
        "qk_nope_head_dim": 3,
        "qk_rope_head_dim": 2,
        "v_head_dim": 2,
    }
)

WINDOWS = {"sliding_window": 5}
LATE = {**WINDOWS, "use_sliding_window": True, "max_window_layers": 1}
LATENT = {
    "kv_lora_rank": 6,
    "q_lora_rank": 7,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 3,
    "moe_intermediate_size": 9,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "n_shared_experts": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 6}
NARROW = {"num_experts_per_tok": 2, "moe_intermediate_size": 9}
PER_LAYER = {"hidden_size_per_layer_input": 7, "vocab_size_per_layer_input": 31, "num_kv_shared_layers": 0}
FAMILIES = {
    "llama": GROUPED,
    "mistral": {"num_key_value_heads": 1, **WINDOWS},
    "qwen2": {"num_key_value_heads": 2, **LATE},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 6, **LATE},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 6, **WINDOWS},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 6, "sliding_window_pattern": 2, **WINDOWS},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 4, **WINDOWS},
    "qwen3_moe": {
        "num_key_value_heads": 2,
        "head_dim": 6,
        "num_experts": 6,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 9,
        "mlp_only_layers": [0],
    },
    "phi3": {"num_key_value_heads": 2},
    "olmo2": {"num_key_value_heads": 2},
    "gpt_neox": {"rotary_pct": 1.0},
    "gpt2": {"n_inner": 20},
    "olmo3": {"num_key_value_heads": 2, **WINDOWS},
    "smollm3": {"num_key_value_heads": 2},
    "granite": {"num_key_value_heads": 2},
    "ministral3": {**GROUPED, **WINDOWS},
    "ernie4_5": GROUPED,
    "internlm3": GROUPED,
    "seed_oss": GROUPED,
    "glm4": {**GROUPED, "head_dim": 8},
    "deepseek_v2": {**LATENT, "q_lora_rank": None},
    "deepseek_v3": LATENT,
    "deepseek_v32": {**LATENT, "index_topk": 64, "index_head_dim": 6, "index_n_heads": 3},
    "glm_moe_dsa": {
        **LATENT,
        "index_topk": 64,
        "index_head_dim": 6,
        "index_n_heads": 3,
        "index_topk_freq": 2,
        "index_skip_topk_offset": 1,
    },
    "glm4_moe": {**GROUPED, "head_dim": 8, "n_routed_experts": 6, **NARROW, "first_k_dense_replace": 1},
    "glm4_moe_lite": {field: value for field, value in LATENT.items() if field != "first_k_dense_replace"},
    "gpt_oss": {**GROUPED, "num_local_experts": 6, "num_experts_per_tok": 2, **WINDOWS},
    "granitemoe": {"num_key_value_heads": 2, "num_local_experts": 6},
    "ernie4_5_moe": {"num_key_value_heads": 2, "moe_num_experts": 6, "moe_k": 2, "moe_intermediate_size": 9},
    "minimax_m2": {**GROUPED, "num_local_experts": 6, "num_experts_per_tok": 2},
    "llama4_text": {
        **GROUPED,
        "num_local_experts": 3,
        "num_experts_per_tok": 3,  # its eager form passes every token through every expert
        "intermediate_size_mlp": 11,
        "interleave_moe_layer_step": 2,
        "no_rope_layer_interval": 2,
        "attention_chunk_size": 64,
    },
    "gemma3n_text": {**GROUPED, **WINDOWS, **PER_LAYER, "altup_num_inputs": 3, "laurel_rank": 5},
    "gemma4_text": {
        **GROUPED,
        **WINDOWS,
        **PER_LAYER,
        "global_head_dim": 8,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "num_experts": 6,
        "top_k_experts": 2,
        "moe_intermediate_size": 9,
    },
}
# Batched products beside attention: experts, or copies of the stream that predict one another.
BATCHED = ("llama4_text", "gemma3n_text")
DELTA = {
    **GROUPED,
    "linear_key_head_dim": 5,
    "linear_value_head_dim": 7,
    "linear_num_key_heads": 2,
    "full_attention_interval": 2,
}
HYBRIDS = {
    "qwen3_next": {**DELTA, "num_experts": 6, **NARROW, "shared_expert_intermediate_size": 7},
    "qwen3_5_text": DELTA,
    "qwen3_5_moe_text": {**DELTA, "num_experts": 6, **NARROW, "shared_expert_intermediate_size": 7},
    "granitemoehybrid": {
        "num_key_value_heads": 2,
        "num_local_experts": 6,
        "shared_intermediate_size": 7,
        "mamba_n_heads": 4,
        "mamba_d_state": 5,
        "layer_types": ["mamba", "attention"],
    },
    "nemotron_h": {
        **GROUPED,
        "layers_block_type": ["mamba", "moe", "attention", "mlp"],
        "ssm_state_size": 5,
        "mamba_num_heads": 4,
        "mamba_head_dim": 6,
        "n_groups": 2,
        "n_routed_experts": 6,
        **NARROW,
        "moe_shared_expert_intermediate_size": 7,
        "moe_latent_size": 11,
    },
}


def random_model(family, *, heads=4, layers=2, hidden=16, width=20, vocab=31):
    """An eager model of the family with random weights, and its spec."""
    shape = {
        "hidden_size": hidden,
        "intermediate_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": vocab,
        "max_position_embeddings": 64,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id")),
    }
    if family == "gpt2":
        del shape["num_key_value_heads"]
    config = AutoConfig.for_model(family, **{**shape, **{**FAMILIES, **HYBRIDS}[family]})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    if family in EXPERTS and family != "llama4_text":  # it has but one implementation
        model.set_experts_implementation("eager")
    return model, from_config(config.to_dict(), name=family)


def counted(run):
    """What torch counts while ``run()`` runs: batched products (attention is all of them), and the rest."""
    with FlopCounterMode(display=False) as counter:
        run()
    by_kind = counter.get_flop_counts()["Global"]
    batched = by_kind.get(torch.ops.aten.bmm, 0)
    return {"attention": batched, "rest": counter.get_total_flops() - batched}


def split(breakdown):
    attention = sum(breakdown.get(part, 0) for part in PAIRED)
    return {"attention": attention, "rest": total(breakdown) - attention}


def comparable(family, parts):
    """The two parts, or their sum where products beside attention are batched too."""
    return sum(parts.values()) if family in BATCHED else parts


def added(*breakdowns):
    parts = dict.fromkeys(part for breakdown in breakdowns for part in breakdown)
    return {part: sum(breakdown.get(part, 0) for breakdown in breakdowns) for part in parts}


def headless(breakdown):
    return {part: flops for part, flops in breakdown.items() if part != "head"}


def ids(rows, tokens, vocab=3):
    return torch.randint(0, vocab, (rows, tokens))


def with_window(spec, window):
    return with_blocks(spec, *(replace(block, window=window) for block in spec.blocks))


def with_blocks(spec, *blocks):
    return replace(spec, size=replace(spec.shape, blocks=blocks))


@pytest.mark.parametrize("family", FAMILIES)
@given(
    heads=st.sampled_from([2, 4]),
    layers=st.integers(1, 3),
    hidden=st.sampled_from([16, 40]),
    width=st.integers(1, 30),
    vocab=st.integers(3, 40),
    tokens=st.integers(1, 20),
)
@FEW
def test_a_forward_pass_equals_what_torch_counts(family, tokens, **shape):
    model, spec = random_model(family, **shape)
    with torch.no_grad():
        theirs = counted(lambda: model(ids(1, tokens), use_cache=False))
    assert comparable(family, split(forward(spec, tokens, logits=tokens, convention=EAGER))) == comparable(
        family, theirs
    )


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f not in ("deepseek_v32", "glm_moe_dsa")]
)  # an index has another loss
def test_a_training_step_equals_what_torch_counts(family):
    model, spec = random_model(family)
    rows = ids(3, 7)
    theirs = counted(lambda: model(rows, labels=rows, use_cache=False).loss.backward())
    ours = training(spec, 21, sequence=7, convention=EAGER)
    assert comparable(family, split(ours)) == comparable(family, theirs)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("prompt", "generated"), [(9, 6), (1, 2)])
def test_generation_from_a_cache_equals_what_torch_counts(family, prompt, generated):
    model, spec = random_model(family)
    cache = cache_argument(model)

    def generate():
        out = model(ids(1, prompt), use_cache=True)
        for _ in range(generated - 1):
            out = model(ids(1, 1), use_cache=True, **{cache: getattr(out, cache)})

    with torch.no_grad():
        theirs = counted(generate)
    # An eager kernel computes every pair of the prompt before it masks half of them; a later step has none
    # to mask, and its cache holds no more than the window.
    one_by_one = EAGER
    ours = split(
        added(
            prefill(spec, prompt, convention=EAGER),
            decode(spec, prompt, generated, convention=one_by_one),
        )
    )
    ours["rest"] += rebuilt_keys(spec, range(prompt, prompt + generated - 1))
    assert comparable(family, ours) == comparable(family, theirs)


def rebuilt_keys(spec, contexts):
    """transformers keeps DeepSeek's latent vectors and expands all of them anew in every step; we, once."""
    latent = [block for block in spec.blocks if block.absorbed]
    return sum(2 * block.count * block.projections[-2].weights * sum(contexts) for block in latent)


@pytest.mark.parametrize("family", HYBRIDS)
@pytest.mark.parametrize("tokens", [1, 7, 20])
def test_a_forward_pass_of_a_hybrid_equals_what_torch_counts_beside_its_recurrence(family, tokens):
    """The eager form of a recurrence pads it to chunks of 64 or 256 tokens: its products are left out."""
    model, spec = random_model(family, hidden=16, layers=2)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(ids(1, tokens), use_cache=False)
    counts = counter.get_flop_counts()["Global"]
    aten = torch.ops.aten
    kernels = 2 * sum(b.count * m.weights for b in spec.blocks for m in b.projections if m.inputs == 4)
    assert counts[aten.convolution] == kernels * (tokens + 3)  # padded at both ends, and cut
    ours = split(forward(spec, tokens, logits=tokens, convention=replace(EAGER, attention="none")))
    assert ours["rest"] - kernels * tokens == counts[aten.mm] + counts.get(aten.addmm, 0)


# A convolution of 4 taps over 2 x 2x3 + 2x5 = 22 channels; 2 heads with a state of 3x5, recalled, written, read.
TINY_DELTA = from_config(
    {
        **HAND,
        "model_type": "qwen3_5_text",
        "intermediate_size": 5,
        "num_hidden_layers": 1,
        "layer_types": ["linear_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 3,
        "linear_value_head_dim": 5,
    }
)
# 2 heads of 3 with a state of 5, written and read; 1 group: a convolution of 4 taps over 6 + 2 x 5 channels.
TINY_MAMBA = from_config(
    {
        **HAND,
        "model_type": "nemotron_h",
        "layers_block_type": ["mamba"],
        "mamba_num_heads": 2,
        "mamba_head_dim": 3,
        "ssm_state_size": 5,
        "n_groups": 1,
    }
)


def test_a_tiny_recurrence_costs_what_it_does_by_hand_however_long_the_context():
    for context in (0, 10**6):
        delta = forward(TINY_DELTA, 4, context=context, convention=EXACT)
        assert delta == {
            "projections": 4 * 2 * (4 * 32 + 4 * 4 + 4 * 22 + 10 * 4),
            "mlp": 4 * 2 * 60,
            "mixing": 4 * 2 * 3 * 2 * 3 * 5,
            "head": 0,
        }
        mamba = forward(TINY_MAMBA, 4, context=context, convention=EXACT)
        assert mamba == {
            "projections": 4 * 2 * (4 * 24 + 4 * 16 + 6 * 4),
            "mixing": 4 * 2 * 2 * 2 * 3 * 5,
            "head": 0,
        }


def test_a_recurrence_keeps_a_state_and_no_cache():
    assert TINY_DELTA.cached_per_token == TINY_MAMBA.cached_per_token == 0
    assert [b.kept(n) for b in TINY_DELTA.blocks for n in (0, 9)] == [2 * 3 * 5 + 4 * 22] * 2
    assert [b.kept(n) for b in TINY_MAMBA.blocks for n in (0, 9)] == [2 * 3 * 5 + 4 * 16] * 2


def with_chunk(spec, size):
    return with_blocks(spec, *(replace(block, window=size, reach="chunk") for block in spec.blocks))


@given(new=COUNT, old=COUNT, size=st.integers(1, 400))
@QUICK
def test_a_query_in_a_chunk_sees_what_stands_before_it_in_that_chunk(new, old, size):
    pairs = sum(position % size + 1 for position in range(old, old + new))
    spec = with_chunk(TINY, size)
    assert forward(spec, new, context=old, convention=EXACT)["scores"] == 24 * pairs
    column = forward(spec, np.array([new, 0]), context=np.array([old, old]), convention=EXACT)["scores"]
    assert column.tolist() == [24 * pairs, 0]


def test_positions_that_are_chosen_cost_an_index_of_all_and_attention_to_those():
    """3 tokens after 6: 7 + 8 + 9 pairs in the index, of 3 heads of 6 and a weight; 3 x 4 pairs attended."""
    _, spec = random_model("deepseek_v32", layers=1)
    spec = with_blocks(spec, *(replace(block, window=4) for block in spec.blocks))
    flops = forward(spec, 3, context=6, convention=EXACT)
    assert flops["index"] == 24 * 2 * 3 * (6 + 1)
    assert flops["scores"] == 12 * 2 * 4 * 10
    assert [block.kept(9) for block in spec.blocks] == [9 * (6 + 4 + 6)]


def test_preset_axes_are_as_documented():
    free = {"verifier": "nobody", "difficulty": False, "tuning": False, "recompute": False, "latent": "expanded"}
    paper = {"parameters": "total", "attention": "none", "head": "all", "prompts": "free", "reuse": "ideal"}
    paper |= free
    exact = {"parameters": "matmul", "attention": "causal", "head": "needed", "prompts": "once"}
    exact["latent"] = "expanded"
    exact |= {"reuse": "ideal", "verifier": "small", "difficulty": True, "tuning": True, "recompute": False}
    assert {name: axes(rule) for name, rule in CONVENTIONS.items()} == {
        "paper": paper,
        "paper-verifier": {**paper, "verifier": "both"},
        "small-pays": {**paper, "verifier": "small"},
        "kaplan": {**paper, "parameters": "non-embedding", "prompts": "once"},
        "exact": exact,
        "exact-measured": {**exact, "prompts": "per-sample", "reuse": "measured"},
    }


def axes(rule):
    return {axis: getattr(rule, axis) for axis in AXES}


def test_a_preset_is_found_by_its_name_and_says_where_it_comes_from():
    for name, rule in CONVENTIONS.items():
        assert convention(name) is rule
        assert rule.name == name
        assert rule.source


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(SpecError) as caught:
        convention("Paper")
    assert "'Paper'" in str(caught.value)
    assert all(name in str(caught.value) for name in CONVENTIONS)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("value", ["some", None, 2, ["all"]])
def test_a_value_that_is_not_on_an_axis_is_refused_and_named(axis, value):
    with pytest.raises(SpecError) as caught:
        replace(EXACT, **{axis: value})
    assert f"axis {axis} is {value!r}" in str(caught.value)
    assert all(str(allowed) in str(caught.value) for allowed in AXES[axis])


def test_a_convention_is_frozen():
    with pytest.raises(FrozenInstanceError):
        EXACT.head = "all"


def test_every_field_but_the_name_and_source_is_an_axis():
    assert {field.name for field in fields(Convention)} == {"name", "source", *AXES}


@pytest.mark.parametrize(
    ("base", "text", "name", "changed"),
    [
        ("paper", "tuning,difficulty", "paper+tuning+difficulty", {"tuning": True, "difficulty": True}),
        ("exact", "no-tuning", "exact+no-tuning", {"tuning": False}),
        (
            "kaplan",
            "verifier=small, prompts=per-sample ,recompute",
            "kaplan+verifier=small+prompts=per-sample+recompute",
            {"verifier": "small", "prompts": "per-sample", "recompute": True},
        ),
        ("exact", "tuning,reuse=none", "exact+reuse=none", {"reuse": "none"}),
        ("exact", "tuning,difficulty", "exact", {}),
    ],
)
def test_axes_are_set_on_top_of_a_preset_and_its_name_says_so(base, text, name, changed):
    rule = with_axes(CONVENTIONS[base], text)
    assert rule.name == name
    assert axes(rule) == {**axes(CONVENTIONS[base]), **changed}
    assert convention(name) == rule
    assert convention(name).name == name


@given(start=st.sampled_from(list(CONVENTIONS.values())), data=st.data())
@QUICK
def test_the_text_of_the_axes_in_which_two_rules_differ_turns_one_into_the_other(start, data):
    end = Convention("drawn", **{axis: data.draw(st.sampled_from(allowed)) for axis, allowed in AXES.items()})
    text = axes_over(start, end)
    assert (text == "") == (axes(start) == axes(end))
    assert not text or axes(with_axes(start, text)) == axes(end)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "axis ''"),
        ("tuning,", "axis ''"),
        ("colour", "axis 'colour'"),
        ("colour=red", "difficulty, no-tuning, tuning"),
        ("tuning=true", "one of no-tuning, tuning"),
        ("prompts", "one of prompts=free, prompts=once, prompts=per-sample"),
        ("no-prompts", "one of prompts=free"),
        ("verifier=large", "one of verifier=nobody, verifier=small, verifier=both"),
        ("tuning,no-tuning", "axis tuning twice"),
    ],
)
def test_axes_that_are_not_there_are_refused_with_those_that_are(text, phrase):
    with pytest.raises(SpecError) as caught:
        with_axes(CONVENTIONS["paper"], text)
    assert len(caught.value.args) == 3
    assert phrase in str(caught.value)


def test_conventions_are_equal_where_their_axes_are():
    assert with_axes(CONVENTIONS["paper"], "verifier=small") == CONVENTIONS["small-pays"]
    assert with_axes(CONVENTIONS["paper"], "tuning") != CONVENTIONS["paper"]
    assert len(set(CONVENTIONS.values())) == len(CONVENTIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_printed_convention_shows_its_name_and_all_its_axes(rule):
    assert str(rule).startswith(f"{rule.name} (")
    assert all(f"{axis}={value}" in str(rule) for axis, value in axes(rule).items())


@pytest.mark.parametrize(
    ("name", "reading", "writing"),
    [
        *((name, {"parameters": 3400}, {"parameters": 2040}) for name in ("paper", "paper-verifier")),
        ("small-pays", {"parameters": 3400}, {"parameters": 2040}),
        ("kaplan", {"parameters": 2840}, {"parameters": 1704}),
        *(
            (
                name,
                {"projections": 1440, "mlp": 1200, "head": 56, "scores": 360, "values": 360},
                {"projections": 576, "mlp": 480, "head": 112, "scores": 312, "values": 312},
            )
            for name in ("exact", "exact-measured")
        ),
    ],
)
def test_a_tiny_model_costs_what_it_does_by_hand(name, reading, writing):
    """5 tokens read: 5 bodies, 15 pairs, 1 logit. 3 written: 2 bodies, 6 + 7 pairs, 2 logits; or 3 x 2N."""
    assert prefill(TINY, 5, convention=convention(name)) == reading
    assert decode(TINY, 5, 3, convention=convention(name)) == writing


def test_a_tiny_mixture_of_experts_with_a_window_costs_what_it_does_by_hand():
    """6 tokens see 1 + 2 + 3 + 4 + 4 + 4 = 18 pairs of 2 x 2 layers x 2 heads x 2."""
    assert prefill(TINY_EXPERTS, 6, convention=EXACT) == {
        "projections": 6 * 2 * 2 * 48,
        "router": 6 * 2 * 2 * 20,
        "experts": 6 * 2 * 2 * 2 * 36,
        "head": 56,
        "scores": 18 * 16,
        "values": 18 * 16,
    }


def test_a_tiny_latent_attention_costs_what_it_does_by_hand():
    """4 tokens: 10 pairs, of 2 x 2 heads x 5 for scores and 2 x 2 heads x 2 for values."""
    assert prefill(TINY_LATENT, 4, convention=EXACT) == {
        "projections": 4 * 2 * 106,
        "mlp": 4 * 2 * 60,
        "head": 56,
        "scores": 200,
        "values": 80,
    }


def absorbed_attention(tokens, *, hidden=4, heads=2, rank=3, nope=3, rope=2, value=2):
    """Latent attention as an engine's decode runs it: what builds keys is applied to the query, what builds values
    to the output."""
    x = torch.rand(tokens, hidden)
    query = (x @ torch.rand(hidden, heads * (nope + rope))).view(tokens, heads, nope + rope).transpose(0, 1)
    latent = (x @ torch.rand(hidden, rank + rope)).expand(heads, tokens, rank + rope)
    absorbed = torch.cat([query[..., :nope] @ torch.rand(heads, nope, rank), query[..., nope:]], dim=-1)
    mixed = (absorbed @ latent.transpose(1, 2)) @ latent[..., :rank]
    built = mixed @ torch.rand(heads, rank, value)
    return built.transpose(0, 1).reshape(tokens, heads * value) @ torch.rand(heads * value, hidden)


@pytest.mark.parametrize("tokens", [1, 4, 9])
def test_absorbed_latent_attention_equals_what_torch_counts(tokens):
    theirs = sum(counted(lambda: absorbed_attention(tokens)).values())
    parts = forward(TINY_LATENT, tokens, convention=replace(EAGER, latent="absorbed"))
    assert sum(parts[part] for part in ("projections", *ATTENTION)) == theirs


def test_an_engine_expands_latent_attention_in_a_prefill_and_absorbs_it_in_a_decode():
    rules = {form: replace(EXACT, latent=form) for form in AXES["latent"]}
    reading = {form: prefill(TINY_LATENT, 4, convention=rule) for form, rule in rules.items()}
    writing = {form: decode(TINY_LATENT, 4, 3, convention=rule) for form, rule in rules.items()}
    assert reading["decode"] == reading["expanded"] == reading["absorbed"] | {"values": 80}
    assert writing["decode"] == writing["absorbed"] == writing["expanded"] | {"values": 11 * 2 * 2 * 3}
    assert (reading["absorbed"]["values"], writing["expanded"]["values"]) == (10 * 2 * 2 * 3, 11 * 2 * 2 * 2)
    for rule in rules.values():
        assert decode(TINY, 4, 3, convention=rule) == decode(TINY, 4, 3, convention=EXACT)


def test_deepseek_v3_attends_at_3_4_times_the_products_a_pair_where_it_is_absorbed():
    costs = [total(decode(find("DeepSeek-V3"), 10**5, 2, convention=replace(EXACT, attention=on, latent=form)))
             for on, form in (("none", "expanded"), ("causal", "expanded"), ("causal", "absorbed"))]  # fmt: skip
    assert (costs[2] - costs[0]) * 320 == (costs[1] - costs[0]) * (576 + 512)


@pytest.mark.parametrize("rule", MATMUL, ids=lambda rule: rule.name)
@given(spec=SPECS, window=st.none() | COUNT.filter(bool), prompt=COUNT, generated=COUNT.filter(bool))
@QUICK
def test_prefill_and_decode_pass_the_tokens_of_one_longer_prefill(rule, spec, window, prompt, generated):
    spec = with_window(spec, window)
    both = added(prefill(spec, prompt, convention=rule), decode(spec, prompt, generated, convention=rule))
    longer = prefill(spec, prompt + generated - 1, convention=rule)
    assert headless(both) == headless(longer)
    logits = min(prompt, 1) + generated - 1 - min(prompt + generated - 1, 1)
    more = logits if rule.head == "needed" else 0
    assert both["head"] == longer["head"] + 2 * spec.shape.head_weights * more


@pytest.mark.parametrize("rule", MATMUL, ids=lambda rule: rule.name)
@given(spec=SPECS, first=COUNT, second=COUNT)
@QUICK
def test_a_prompt_read_in_two_pieces_costs_one_more_logit_and_nothing_else(rule, spec, first, second):
    pieces = added(
        prefill(spec, first, convention=rule), prefill(spec, first + second, cached=first, convention=rule)
    )
    at_once = prefill(spec, first + second, convention=rule)
    assert headless(pieces) == headless(at_once)
    more = min(first, second, 1) if rule.head == "needed" else 0
    assert pieces["head"] == at_once["head"] + 2 * spec.shape.head_weights * more


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_fully_cached_prompt_and_an_empty_answer_cost_nothing(rule):
    assert total(prefill(TINY, 9, cached=9, convention=rule)) == 0
    assert total(decode(TINY, 9, 0, convention=rule)) == 0
    assert total(prefill(TINY, 0, convention=rule)) == 0


def test_more_cached_tokens_than_the_prompt_has_are_refused():
    with pytest.raises(DataError, match="tokens is -1"):
        prefill(TINY, 4, cached=5, convention=EXACT)


@given(new=COUNT, old=COUNT, window=st.none() | st.integers(1, 400))
@QUICK
def test_a_query_sees_itself_and_what_the_window_keeps_before_it(new, old, window):
    flops = forward(with_window(TINY, window), new, context=old, convention=EXACT)
    pairs = sum(min(old + i, window or old + i) for i in range(1, new + 1))
    assert (flops["scores"], flops["values"]) == (24 * pairs, 24 * pairs)


@given(spec=SPECS, new=COUNT, old=COUNT, window=st.integers(1, 400))
@QUICK
def test_attention_costs_most_in_full_less_if_causal_least_in_a_window(spec, new, old, window):
    wide, narrow = with_window(spec, None), with_window(spec, window)
    full, windowless_full = (
        forward(shape, new, context=old, convention=EAGER)["scores"] for shape in (narrow, wide)
    )
    causal, windowed = (forward(shape, new, context=old, convention=EXACT)["scores"] for shape in (wide, narrow))
    assert full == windowless_full >= causal >= windowed
    assert causal == windowed or window < old + new


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_scores_and_values_are_there_exactly_if_attention_counts(rule):
    parts = forward(TINY, 5, convention=rule).keys()
    assert (parts & set(ATTENTION) == set(ATTENTION)) == (rule.attention != "none")
    assert parts.isdisjoint(ATTENTION) == (rule.attention == "none")


@given(spec=SPECS, new=COUNT, old=COUNT, data=st.data())
@QUICK
def test_a_head_where_needed_costs_no_more_than_on_all_tokens(spec, new, old, data):
    logits = data.draw(st.integers(0, new))
    needed, everywhere = (
        forward(spec, new, context=old, logits=logits, convention=replace(EXACT, head=head))
        for head in ("needed", "all")
    )
    assert headless(needed) == headless(everywhere)
    assert needed["head"] <= everywhere["head"] == forward(spec, new, logits=new, convention=EXACT)["head"]


def test_experts_that_do_not_serve_a_token_cost_only_their_row_of_the_router():
    block = TINY_EXPERTS.blocks[0]
    crowd = replace(block, experts=50, router=(Linear(4, 50),))
    few, many = (prefill(with_blocks(TINY_EXPERTS, b), 6, convention=EXACT) for b in (block, crowd))
    assert many.pop("router") - few.pop("router") == 6 * 2 * 2 * 4 * 45
    assert few == many


@given(spec=SPECS, new=COUNT, old=COUNT, logits=COUNT)
@QUICK
def test_under_2n_a_token_costs_twice_its_active_parameters_whatever_its_context(spec, new, old, logits):
    for name in ("paper", "paper-verifier", "small-pays", "kaplan"):
        n = spec.shape.active_non_embedding if name == "kaplan" else spec.active
        flops = forward(spec, new, context=old, logits=logits, convention=convention(name))
        assert flops == {"parameters": 2 * n * new}
        assert decode(spec, old, new, convention=convention(name)) == flops


@pytest.mark.parametrize("spec", catalogue(), ids=lambda spec: spec.name)
def test_training_under_the_paper_costs_6nd_and_8nd_with_recompute(spec):
    paper = CONVENTIONS["paper"]
    tokens = spec.training_tokens or 10**12
    assert training(spec, tokens, convention=paper) == {"parameters": 6 * spec.active * tokens}
    recomputed = training(spec, tokens, convention=replace(paper, recompute=True))
    assert recomputed == {"parameters": 8 * spec.active * tokens}


def test_a_tiny_training_run_costs_what_it_does_by_hand():
    """12 tokens in rows of 5, 5 and 2: 15 + 15 + 3 pairs, and a logit for every token."""
    assert training(TINY, 12, sequence=5, convention=EXACT) == {
        "projections": 3 * 12 * 288,
        "mlp": 3 * 12 * 240,
        "head": 3 * 12 * 56,
        "scores": 3 * 33 * 24,
        "values": 3 * 33 * 24,
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(tokens=COUNT, sequence=st.integers(1, 50))
@QUICK
def test_training_is_three_forward_passes_or_four_over_its_rows(rule, tokens, sequence):
    rows = [min(sequence, tokens - start) for start in range(0, tokens, sequence)]
    forwards = [total(forward(TINY, row, logits=row, convention=rule)) for row in rows]
    assert total(training(TINY, tokens, sequence=sequence, convention=rule)) == 3 * sum(forwards)
    recompute = replace(rule, recompute=True)
    assert total(training(TINY, tokens, sequence=sequence, convention=recompute)) == 4 * sum(forwards)


def test_training_needs_a_sequence_length_only_where_attention_counts():
    with pytest.raises(SpecError, match="training sequence length unknown"):
        training(TINY, 12, convention=EXACT)
    known = replace(TINY, training_sequence=5)
    assert training(known, 12, convention=EXACT) == training(TINY, 12, sequence=5, convention=EXACT)
    assert training(known, 12, sequence=3, convention=EXACT) == training(TINY, 12, sequence=3, convention=EXACT)
    bodies = replace(EXACT, attention="none")
    assert training(TINY, 12, convention=bodies) == training(TINY, 12, sequence=5, convention=bodies)


@pytest.fixture(scope="module")
def marin(shared_data):
    with (shared_data("marin_dclm") / "runs.csv").open() as file:
        return [(marin_spec(row), row) for row in csv.DictReader(file)]


def marin_spec(row):
    hidden = int(row["model.hidden_dim"])
    return from_config(
        {
            "model_type": "qwen3",
            "hidden_size": hidden,
            "intermediate_size": 4 * hidden,
            "num_hidden_layers": int(row["model.num_layers"]),
            "num_attention_heads": hidden // 128,
            "num_key_value_heads": hidden // 128,
            "head_dim": 128,
            "vocab_size": 128256,
            "tie_word_embeddings": False,
        },
        name=row["Name"],
    )


def test_all_85_marin_runs_cost_what_their_authors_logged(marin):
    assert len(marin) == 85
    for spec, row in marin:
        tokens = int(row["throughput/total_tokens"])
        assert spec.total == int(row["parameter_count"])
        ours = total(training(spec, tokens, sequence=4096, convention=EAGER))
        # They also count three FLOPs for every element of the softmax.
        softmax = tokens * spec.shape.layers * 3 * 3 * 4096 * spec.shape.hidden // 128
        assert ours + softmax == pytest.approx(float(row["throughput/total_gflops"]) * 1e9, rel=1e-12)


def test_6nd_is_off_by_minus_7_to_plus_35_percent_over_the_marin_runs(marin):
    off = [
        6 * spec.total * int(row["throughput/total_tokens"]) / (float(row["throughput/total_gflops"]) * 1e9) - 1
        for spec, row in marin
    ]
    assert (round(100 * min(off), 1), round(100 * max(off), 1)) == (-6.7, 34.8)


@pytest.mark.parametrize(
    ("name", "reading", "writing"),
    [
        *((name, 0, 4 * 2040) for name in ("paper", "paper-verifier", "small-pays")),
        ("kaplan", 2840, 4 * 1704),
        ("exact", 3416, 4 * 1792),
        ("exact-measured", 4 * 3416, 4 * 1792),
    ],
)
def test_a_prompt_is_free_or_read_once_or_by_each_of_four_samples(name, reading, writing):
    phases = query(TINY, 5, 3, samples=4, convention=convention(name))
    assert {phase: total(flops) for phase, flops in phases.items()} == {"prefill": reading, "decode": writing}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_one_sample_is_the_prefill_and_the_decode_and_no_sample_is_free(rule):
    one, none = (query(TINY, 5, 3, samples=samples, convention=rule) for samples in (1, 0))
    reading, writing = prefill(TINY, 5, convention=rule), decode(TINY, 5, 3, convention=rule)
    assert one["decode"] == writing
    assert one["prefill"] == (dict.fromkeys(reading, 0) if rule.prompts == "free" else reading)
    assert total(none["prefill"]) == total(none["decode"]) == 0


def test_the_components_of_a_query_add_up_its_phases():
    assert components(TINY, 5, 3, samples=4, convention=EXACT) == {
        "projections": 1440 + 4 * 576,
        "mlp": 1200 + 4 * 480,
        "head": 56 + 4 * 112,
        "scores": 360 + 4 * 312,
        "values": 360 + 4 * 312,
    }


def test_the_presets_are_compared_with_exact():
    rows = compare_conventions(TINY, 5, 3, samples=4)
    assert list(rows) == list(CONVENTIONS)
    totals = {name: row["total"] for name, row in rows.items()}
    assert totals == {
        **dict.fromkeys(("paper", "paper-verifier", "small-pays"), 8160),
        "kaplan": 2840 + 6816,
        "exact": 3416 + 7168,
        "exact-measured": 4 * 3416 + 7168,
    }
    assert all(row["prefill"] + row["decode"] == row["total"] for row in rows.values())
    assert all(total(row["components"]) == row["total"] for row in rows.values())
    assert {name: row["bias"] for name, row in rows.items()} == {
        name: flops / 10584 - 1 for name, flops in totals.items()
    }


def test_training_is_compared_under_every_preset():
    rows = compare_training(TINY, 12, sequence=5)
    assert {name: row["components"] for name, row in rows.items()} == {
        name: training(TINY, 12, sequence=5, convention=rule) for name, rule in CONVENTIONS.items()
    }
    assert rows["paper"]["bias"] == rows["paper"]["total"] / rows["exact"]["total"] - 1
    lengthless = compare_training(TINY, 12)
    assert {name for name, row in lengthless.items() if "unpriced" in row} == {"exact", "exact-measured"}
    assert lengthless["kaplan"] == {**rows["kaplan"], "bias": None}


def test_there_is_no_bias_where_exact_charges_nothing():
    assert {row["bias"] for row in compare_conventions(TINY, 0, 0).values()} == {None}


@pytest.mark.parametrize("prompt", [64, 128, 256])
def test_the_head_moves_the_prefill_ratio_of_an_8b_to_a_half_b_by_28_percent(prompt):
    ratio = {
        head: ratio_of_prefills("Llama-3.1-8B", "Qwen2.5-0.5B", prompt, replace(EXACT, head=head))
        for head in ("all", "needed")
    }
    assert round(100 * (ratio["needed"] / ratio["all"] - 1)) == 28


def ratio_of_prefills(large, small, prompt, rule):
    flops = [query(find(name), prompt, 1, convention=rule)["prefill"] for name in (large, small)]
    return total(flops[0]) / total(flops[1])


CALLS = st.lists(st.tuples(*[st.integers(0, 10**5)] * 3), max_size=8)
COLUMN = st.sampled_from([np.int64, np.int32, np.uint32])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(spec=SPECS, calls=CALLS, dtype=COLUMN, window=st.none() | st.integers(1, 10**5))
@QUICK
def test_arrays_cost_what_their_elements_do_one_at_a_time(rule, spec, calls, dtype, window):
    spec = with_window(spec, window)
    tokens, context, logits = np.array(calls, dtype).reshape(-1, 3).T
    together = forward(spec, tokens, context=context, logits=logits, convention=rule)
    for i, (new, old, outputs) in enumerate(calls):
        alone = forward(spec, new, context=old, logits=outputs, convention=rule)
        assert {part: flops[i] for part, flops in together.items()} == alone
        assert cost(spec, new, context=old, logits=outputs, convention=rule) == total(alone)
        assert all(type(flops) is int for flops in alone.values())
    summed = cost(spec, tokens, context=context, logits=logits, convention=rule)
    np.testing.assert_array_equal(summed, total(together))
    assert {flops.dtype for flops in (*together.values(), summed)} == {np.dtype(np.int64)}
    assert {flops.shape for flops in (*together.values(), summed)} == {(len(calls),)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_arrays_of_prompts_and_answers_cost_what_their_elements_do(rule):
    prompts, answers = np.array([0, 1, 7, 300]), np.array([5, 0, 1, 2])
    reading = prefill(TINY, prompts, cached=prompts // 2, convention=rule)
    writing = decode(TINY, prompts, answers, convention=rule)
    for i, (prompt, answer) in enumerate(zip(prompts.tolist(), answers.tolist(), strict=True)):
        alone = prefill(TINY, prompt, cached=prompt // 2, convention=rule)
        assert {part: flops[i] for part, flops in reading.items()} == alone
        alone = decode(TINY, prompt, answer, convention=rule)
        assert {part: flops[i] for part, flops in writing.items()} == alone


def test_first_logits_and_decode_steps_of_arrays_are_those_of_their_elements():
    counts = np.arange(4)
    assert first_logit(counts).tolist() == [first_logit(n) for n in range(4)] == [0, 1, 1, 1]
    assert decode_steps(counts, EXACT).tolist() == [decode_steps(n, EXACT) for n in range(4)] == [0, 0, 1, 2]
    paper = CONVENTIONS["paper"]
    assert decode_steps(counts, paper).tolist() == [decode_steps(n, paper) for n in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_shapes_broadcast(rule):
    tokens, context = np.arange(3)[:, None], np.arange(4) * 10
    together = cost(TINY, tokens, context=context, logits=1, convention=rule)
    alone = [cost(TINY, i, context=10 * j, logits=1, convention=rule) for i, j in np.ndindex(3, 4)]
    assert together.tolist() == np.reshape(alone, (3, 4)).tolist()
    parts = total(forward(TINY, tokens, context=context, logits=1, convention=rule))
    assert np.broadcast_to(parts, (3, 4)).tolist() == together.tolist()


@pytest.mark.parametrize("size", [0, 1, 2**15 - 1, 2**15, 2**15 + 1, 100_000])
def test_a_long_column_costs_the_sum_of_its_parts(size):
    tokens, context, logits = np.random.default_rng(0).integers(0, 5000, (3, size))
    for spec, rule in itertools.product((TINY, TINY_EXPERTS), (EXACT, CONVENTIONS["paper"])):
        parts = forward(spec, tokens, context=context, logits=logits, convention=rule)
        np.testing.assert_array_equal(
            cost(spec, tokens, context=context, logits=logits, convention=rule), total(parts)
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_columns_cost_an_empty_column(rule, shape):
    empty = np.empty(shape, np.int64)
    assert cost(TINY, empty, context=empty, convention=rule).shape == shape
    assert total(forward(TINY, empty, context=empty, convention=rule)).shape == shape


@pytest.mark.parametrize("scalar", [np.int64(5), np.uint8(5), np.array(5)])
def test_a_numpy_scalar_is_a_python_int(scalar):
    flops = forward(TINY, scalar, logits=1, convention=EXACT)
    assert flops == forward(TINY, 5, logits=1, convention=EXACT)
    assert {type(value) for value in flops.values()} == {int}


def test_small_integer_types_do_not_wrap():
    column = np.array([255, 3], np.uint8)
    assert forward(TINY, column, convention=CONVENTIONS["paper"])["parameters"].tolist() == [
        680 * 255,
        680 * 3,
    ]


def test_python_integers_beyond_int64_stay_exact():
    n = 2**70
    assert forward(TINY, n, context=3, logits=n + 1, convention=EXACT) == {
        "projections": 288 * n,
        "mlp": 240 * n,
        "head": 56 * (n + 1),
        "scores": 24 * (3 * n + n * (n + 1) // 2),
        "values": 24 * (3 * n + n * (n + 1) // 2),
    }
    assert training(TINY, n, convention=CONVENTIONS["paper"]) == {"parameters": 6 * 340 * n}


@pytest.mark.parametrize("price", [forward, cost])
def test_arrays_are_exact_up_to_the_last_int64_and_refused_beyond(price):
    most = (2**63 - 1) // 680
    paper = CONVENTIONS["paper"]
    assert total_of(price(TINY, np.array([most, 1]), convention=paper)).tolist() == [680 * most, 680]
    with pytest.raises(SpecError, match="more than 2\\^63 FLOPs"):
        price(TINY, np.array([1, most + 1]), convention=paper)


def total_of(flops):
    return total(flops) if isinstance(flops, dict) else flops


@pytest.mark.parametrize("price", [forward, cost])
@given(
    tokens=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
    context=st.integers(0, 2**63 - 1),
    window=st.none() | st.integers(1, 2**40),
    rule=st.sampled_from(RULES),
)
@QUICK
def test_arrays_never_wrap_around(price, tokens, context, window, rule):
    spec = with_window(TINY, window)
    exact = [total(forward(spec, new, context=context, convention=rule)) for new in tokens]
    column = np.array(tokens, np.int64)
    if max(exact) < 2**63:
        assert total_of(price(spec, column, context=context, convention=rule)).tolist() == exact
    else:
        with pytest.raises(SpecError, match="FLOPs"):
            price(spec, column, context=context, convention=rule)


@pytest.mark.parametrize("price", [forward, cost])
@pytest.mark.parametrize("count", ["tokens", "context", "logits"])
@pytest.mark.parametrize(
    "value",
    [
        -1,
        -(2**70),
        1.0,
        float("nan"),
        True,
        np.True_,
        None,
        "3",
        [2**70],
        [None],
        np.array([3, -1]),
        np.array([1.0]),
        np.array([np.nan]),
        np.array([True]),
        np.array([2**63], np.uint64),
    ],
    ids=repr,
)
def test_counts_that_are_not_whole_numbers_are_refused_and_named(price, count, value):
    with pytest.raises(DataError, match=f"^{count} is ") as caught:
        price(TINY, **{"tokens": 1, count: value}, convention=EXACT)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [-1, 1.0, True, None])
def test_prompts_answers_samples_and_training_tokens_must_be_whole_numbers_too(value):
    for call in (
        lambda: prefill(TINY, value, convention=EXACT),
        lambda: prefill(TINY, 5, cached=value, convention=EXACT),
        lambda: decode(TINY, value, 3, convention=EXACT),
        lambda: decode(TINY, 5, value, convention=EXACT),
        lambda: query(TINY, 5, 3, samples=value, convention=EXACT),
        lambda: training(TINY, value, sequence=5, convention=EXACT),
    ):
        with pytest.raises(DataError):
            call()


@pytest.mark.parametrize("sequence", [-4, 0, 4096.0, float("nan"), True])
def test_a_sequence_length_that_is_no_positive_count_is_refused(sequence):
    with pytest.raises(DataError, match="sequence is"):
        training(TINY, 12, sequence=sequence, convention=EXACT)


@pytest.mark.parametrize("value", [np.full((2, 2), -1), "x\ny"], ids=["table", "text"])
def test_a_refusal_is_one_line(value):
    with pytest.raises(DataError) as caught:
        forward(TINY, value, convention=EXACT)
    assert len(str(caught.value).splitlines()) == 1
