"""What mixes tokens in a layer: attention, latent attention, or a recurrence; as the parts of a Block."""

from __future__ import annotations

from typing import Any

from scalinglab.specs.fields import Fields
from scalinglab.specs.layers import CHUNKED, FULL, INDEXED, LINEAR, SLIDING, Layer
from scalinglab.specs.shape import Linear

Parts = dict[str, Any]
"""Some of the arguments of a Block, by name."""


def mixer(fields: Fields, layer: Layer) -> Parts:
    """The parts that mix tokens; none in a layer that is only an MLP."""
    if layer.kind in ("mlp", "moe"):
        return {"vectors": 0}
    if layer.kind == LINEAR:
        return _delta(fields) if fields.family.linear == "delta" else _mamba(fields)
    attention = _latent(fields) if fields.family.latent else _attention(fields, layer)
    return attention | _reach(fields, layer.kind)


def _reach(fields: Fields, kind: str) -> Parts:
    """How many positions a token sees, and which."""
    if kind == FULL:
        return {"window": None}
    size, reach = {
        SLIDING: ("sliding_window", "last"),
        CHUNKED: ("attention_chunk_size", "chunk"),
        INDEXED: ("index_topk", "chosen"),
    }[kind]
    return {"window": fields.count(size), "reach": reach}


def _attention(fields: Fields, layer: Layer) -> Parts:
    family = fields.family
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    groups = fields.count("num_key_value_heads", heads) if family.grouped else heads
    # A class's own groups may fit no heads but its own: transformers builds that model, so its count stands.
    if heads % groups and "num_key_value_heads" in fields.written:
        problem = f"num_attention_heads {heads} is no multiple of num_key_value_heads {groups}"
        raise fields.inconsistent(problem, "a multiple", "num_key_value_heads")
    dim = _head_dim(fields, hidden, heads)
    bias, query, key = bias_of(fields, family.qkv_bias), heads * dim, groups * dim
    of_keys = 0 if layer.borrows else 1 if fields.flag("values_are_keys") else 2
    projections = (
        Linear(hidden, query * (2 if family.gate else 1), bias),
        *[Linear(hidden, key, bias)] * of_keys,
        Linear(query, hidden, bias_of(fields, family.out_bias)),
    )
    normed = {"none": 0, "head": dim, "width": query, "switch": dim * fields.flag("use_qk_norm")}[family.qk_norm]
    of_key = key if family.qk_norm == "width" else normed
    return {
        "projections": projections,
        "heads": heads,
        "qk_dim": dim,
        "v_dim": dim,
        "cached": 0 if layer.borrows else 2 * key,
        "vectors": normed + (0 if layer.borrows else of_key) + heads * family.sinks,
    }


def _head_dim(fields: Fields, hidden: int, heads: int) -> int:
    family = fields.family
    if family.grouped and fields.has("head_dim"):
        return fields.count("head_dim")
    own = family.defaults.get("hidden_size"), family.defaults.get("num_attention_heads")
    if hidden % heads and (hidden, heads) != own:  # GLM-4.5's class rounds its own sizes down
        raise fields.inconsistent(
            f"hidden_size {hidden} is not divisible by num_attention_heads {heads}",
            "a multiple, or an explicit head_dim",
            "hidden_size",
        )
    return hidden // heads


def _latent(fields: Fields) -> Parts:
    """DeepSeek's multi-head latent attention (arXiv 2405.04434, section 2.1), expanded and absorbed.

    Expanded, each key and value is built from its latent vector once. Absorbed, the matrices that would build them
    are applied to the query and to the output (as many products), and every head sees the latent vectors.
    """
    hidden, heads, rank = (fields.count(f) for f in ("hidden_size", "num_attention_heads", "kv_lora_rank"))
    nope, rope = fields.count("qk_nope_head_dim"), fields.count("qk_rope_head_dim")
    value, bias = fields.count("v_head_dim"), bias_of(fields, "attention_bias")
    query: tuple[Linear, ...] = (Linear(hidden, heads * (nope + rope)),)
    vectors = rank
    if fields.family.indexed or fields.has("q_lora_rank"):
        squeezed = fields.count("q_lora_rank")
        query = (Linear(hidden, squeezed, bias), Linear(squeezed, heads * (nope + rope)))
        vectors += squeezed
    index: Parts = {"projections": (), "cached": 0, "vectors": 0}
    if fields.family.indexed and fields.flag("picks_positions", True):
        index = _index(fields, hidden)
    rest = (
        Linear(hidden, rank + rope, bias),
        Linear(rank, heads * (nope + value)),
        Linear(heads * value, hidden, bias),
    )
    return index | {
        "projections": index["projections"] + query + rest,
        "heads": heads,
        "qk_dim": nope + rope,
        "v_dim": value,
        "absorbed": (rank + rope, rank),
        "cached": rank + rope + index["cached"],
        "vectors": vectors + index["vectors"],
    }


def _index(fields: Fields, hidden: int) -> Parts:
    """DeepSeek-V3.2's lightning indexer (arXiv 2512.02556, section 2): a score for every pair, of small heads."""
    heads, dim = fields.count("index_n_heads"), fields.count("index_head_dim")
    matrices = (Linear(fields.count("q_lora_rank"), heads * dim), Linear(hidden, dim), Linear(hidden, heads))
    return {"projections": matrices, "cached": dim, "vectors": 2 * dim, "index": heads * (dim + 1)}


def _delta(fields: Fields) -> Parts:
    """The gated delta rule (arXiv 2412.06464) of Qwen3-Next: its state is recalled from, written to and read."""
    hidden, kernel = fields.count("hidden_size"), fields.count("linear_conv_kernel_dim")
    keys, values = fields.count("linear_num_key_heads"), fields.count("linear_num_value_heads")
    key_dim, value_dim = fields.count("linear_key_head_dim"), fields.count("linear_value_head_dim")
    key, value = keys * key_dim, values * value_dim
    mixed, state = 2 * key + value, values * key_dim * value_dim
    projections = (
        Linear(hidden, mixed + value),
        Linear(hidden, 2 * values),
        Linear(kernel, mixed),  # a convolution: each channel has its own kernel
        Linear(value, hidden),
    )
    vectors = 2 * values + value_dim
    return {"projections": projections, "vectors": vectors, "state": state + kernel * mixed, "mixing": 3 * state}


def _mamba(fields: Fields) -> Parts:
    """Mamba-2 (arXiv 2405.21060): its state is written to and read."""
    hidden, kernel, bias = fields.count("hidden_size"), fields.count("conv_kernel"), fields.flag("use_bias")
    heads, size, groups = (fields.count(f) for f in ("mamba_num_heads", "ssm_state_size", "n_groups"))
    if fields.values.get("mamba_head_dim", "auto") == "auto":
        inner = fields.count("mamba_expand") * hidden
    else:
        inner = heads * fields.count("mamba_head_dim")
    mixed, state = inner + 2 * groups * size, inner * size
    projections = (
        Linear(hidden, inner + mixed + heads, bias),
        Linear(
            kernel, mixed, fields.flag("use_conv_bias", True)
        ),  # a convolution: each channel has its own kernel
        Linear(inner, hidden, bias),
    )
    vectors = 3 * heads + inner
    return {"projections": projections, "vectors": vectors, "state": state + kernel * mixed, "mixing": 2 * state}


def bias_of(fields: Fields, bias: bool | str) -> bool:
    """Whether a matrix has a bias: as the family fixes it, or as the field of that name says."""
    return fields.flag(bias) if isinstance(bias, str) else bias
