import csv
import itertools
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from scalinglab.errors import DataError, SpecError
from scalinglab.flops import (
    AXES,
    CONVENTIONS,
    Convention,
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
)
from scalinglab.specs import Linear, catalogue, find, from_config

torch.set_num_threads(1)

EXACT = CONVENTIONS["exact"]
EAGER = replace(EXACT, name="eager", attention="full", head="all")
ATTENTION = ("scores", "values")
RULES = [
    *CONVENTIONS.values(),
    EAGER,
    replace(EXACT, name="bodies", attention="none"),
    replace(CONVENTIONS["paper"], name="2N and attention", attention="causal"),
]
MATMUL = [rule for rule in RULES if rule.parameters == "matmul" and rule.attention != "full"]
QUICK = settings(max_examples=60, deadline=None, derandomize=True)
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
        "kv_lora_rank": 3,
        "qk_nope_head_dim": 3,
        "qk_rope_head_dim": 2,
        "v_head_dim": 2,
    }
)
BLOCK = TINY.blocks[0]

WINDOWS = {"sliding_window": 5}
LATE = {**WINDOWS, "use_sliding_window": True, "max_window_layers": 1}
LATENT = {
    "kv_lora_rank": 5,
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
FAMILIES = {
    "llama": {"num_key_value_heads": 2, "head_dim": 6},
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
    "deepseek_v2": {**LATENT, "q_lora_rank": None},
    "deepseek_v3": LATENT,
}
EXPERTS = ("mixtral", "qwen3_moe", "deepseek_v2", "deepseek_v3")


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
    config = AutoConfig.for_model(family, **{**shape, **FAMILIES[family]})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    if family in EXPERTS:
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
    attention = sum(breakdown.get(part, 0) for part in ATTENTION)
    return {"attention": attention, "rest": total(breakdown) - attention}


def added(*breakdowns):
    parts = dict.fromkeys(part for breakdown in breakdowns for part in breakdown)
    return {part: sum(breakdown.get(part, 0) for breakdown in breakdowns) for part in parts}


def headless(breakdown):
    return {part: flops for part, flops in breakdown.items() if part != "head"}


def ids(rows, tokens, vocab=3):
    return torch.randint(0, vocab, (rows, tokens))


def with_window(spec, window):
    return replace(spec, blocks=tuple(replace(block, window=window) for block in spec.blocks))


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
    assert split(forward(spec, tokens, logits=tokens, convention=EAGER)) == theirs


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_step_equals_what_torch_counts(family):
    model, spec = random_model(family)
    rows = ids(3, 7)
    theirs = counted(lambda: model(rows, labels=rows, use_cache=False).loss.backward())
    assert split(training(spec, 21, sequence=7, convention=EAGER)) == theirs


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("prompt", "generated"), [(9, 6), (1, 2), (3, 1)])
def test_generation_from_a_cache_equals_what_torch_counts(family, prompt, generated):
    model, spec = random_model(family)

    def generate():
        out = model(ids(1, prompt), use_cache=True)
        for _ in range(generated - 1):
            out = model(ids(1, 1), past_key_values=out.past_key_values, use_cache=True)

    with torch.no_grad():
        theirs = counted(generate)
    # An eager kernel computes all pairs of the prompt before it masks half of them; no later step has any
    # to mask, and a cache holds no more than the window.
    one_by_one = replace(EAGER, attention="causal")
    ours = split(
        added(
            prefill(spec, prompt, convention=EAGER),
            {"head": (prompt - 1) * 2 * spec.hidden * spec.vocab} if False else {},
            decode(spec, prompt, generated, convention=one_by_one),
        )
    )
    assert ours == theirs
