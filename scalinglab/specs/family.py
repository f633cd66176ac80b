"""The record of a model family: which blocks a layer has, and what the family's code fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """What a model family fixes in code rather than in its config. A bias is a flag, or the field that holds it.

    The frame
    text: the family of the language model inside ``text_config``, unless that names another; "": a plain config.
    norms, layer_norm: norms a layer, and whether they have a bias. head_bias: the LM head's bias.
    ties: tie_word_embeddings is heeded.
    single: each layer is one mixer, one MLP or one set of experts (Nemotron-H), not a mixer and then an MLP.
    learned_positions: a table of positions (GPT-2). extras: Gemma's ("altup": 3n's; "per_layer": its tables only).

    Which layer is what (scalinglab/specs/layers.py)
    kinds: the rule for a config without ``layer_types``. types: the kinds that ``layer_types`` may name; none: it
        is not heeded. period: every how many layers one sees all positions, a number or a field and its default.
    other: the kind of the layers between. rope: the kinds of layers with and without rotary positions.
    switch: windows only under ``use_sliding_window``. sparse: the rule for which layers have experts.
    dense: the number of first layers without experts, where the config does not say.
    own: the rule for the fields that single layers have of their own.

    Mixers (scalinglab/specs/mixers.py)
    latent: attention over a compressed cache (DeepSeek). indexed: it picks its positions (DeepSeek-V3.2).
    linear: what a "linear_attention" layer is: "delta" (gated delta rule) or "mamba" (Mamba-2).
    grouped: num_key_value_heads and head_dim are heeded. qkv_bias, out_bias: the biases of the projections.
    qk_norm: norms of queries and keys: none, per head, over the width, or per head under ``use_qk_norm``.
    gate: the queries' matrix also makes a gate of the output. sinks: one weight a head beside the softmax.

    MLPs (scalinglab/specs/mlps.py)
    gated: three matrices instead of two. mlp_bias: their bias. width, expert_width: the fields of their widths.
    expert_bias, router_bias: biases of the experts and of their router. router_vectors: its other weights, one an
        expert. beside: vectors of the hidden size that an MLP beside the experts brings; None: it has none.
    shared: the field that counts shared experts, or that holds their width. shared_gate: a gate on them.

    renames: the family's own name of a field, and ours. defaults: the config class's own value of each field that
    is read here; of a family with ``text``, the whole text_config where there is none.
    """

    text: str = ""
    norms: int = 2
    layer_norm: bool = False
    head_bias: bool | str = False
    ties: bool = True
    single: bool = False
    learned_positions: bool = False
    extras: str = ""
    kinds: str = "full"
    types: tuple[str, ...] = ()
    period: int | tuple[str, int] = 0
    other: str = "sliding_attention"
    rope: tuple[str, str] = ("full_attention", "full_attention")
    switch: bool = False
    sparse: str = "none"
    dense: int = 0
    own: str = ""
    latent: bool = False
    indexed: bool = False
    linear: str = ""
    grouped: bool = True
    qkv_bias: bool | str = "attention_bias"
    out_bias: bool | str = "attention_bias"
    qk_norm: str = "none"
    gate: bool = False
    sinks: bool = False
    gated: bool = True
    mlp_bias: bool | str = False
    width: str = "intermediate_size"
    expert_width: str = "moe_intermediate_size"
    expert_bias: bool = False
    router_bias: bool = False
    router_vectors: int = 0
    beside: int | None = None
    shared: str = ""
    shared_gate: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


# Defaults: those of the config classes of transformers 5.24, field by field (tests/test_specs_defaults.py).
_NAMES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
)


def sizes(*values: int | None, **more: Any) -> dict[str, Any]:
    """Width, MLP width, layers, heads, vocabulary, positions (None: the class has none), and others by name."""
    return {name: value for name, value in zip(_NAMES, values, strict=True) if value is not None} | more
