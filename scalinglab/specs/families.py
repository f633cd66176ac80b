"""What each model family fixes in code, and what its config class says of a field that a config leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """What a model family fixes in code rather than in its config; None means that the config decides.

    norms, layer_norm, qk_norm: norms a layer, whether they have a bias, and those of queries and keys (none, per
        head, over the width).
    gated: three matrices in the MLP instead of two. grouped: num_key_value_heads and head_dim are heeded.
    qkv_bias, out_bias, mlp_bias: whether these matrices have a bias.
    windows: which layers see a window: none, all, all on a switch, late ones on a switch, every other, a pattern.
    latent: attention over a compressed cache (DeepSeek). learned_positions: a table of positions (GPT-2).
    expert_width: the field of the routed experts' width; "" for families without experts.
    nested: the language model's config is inside ``text_config``.
    renames: the family's own name of a field, and ours.
    defaults: the config class's own value of each field that is read here.
    """

    norms: int = 2
    layer_norm: bool = False
    qk_norm: str = "none"
    gated: bool = True
    grouped: bool = True
    qkv_bias: bool | None = None
    out_bias: bool | None = None
    mlp_bias: bool | None = False
    windows: str = "none"
    latent: bool = False
    learned_positions: bool = False
    expert_width: str = ""
    nested: bool = False
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


def _sizes(*values: int | None, **more: Any) -> dict[str, Any]:
    """Values in the order of _NAMES (None: the class has none), and other fields by name."""
    return {name: value for name, value in zip(_NAMES, values, strict=True) if value is not None} | more


_LATE = {"num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28}
_GEMMA = {"num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096, "tie_word_embeddings": True}
_GPT2_NAMES = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
}
_LATENT = {
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
_GEMMA3 = Family(
    norms=4,
    qk_norm="head",
    windows="pattern",
    defaults=_sizes(2304, 9216, 26, 8, 262208, 131072, sliding_window_pattern=6, **_GEMMA),
)
_DEEPSEEK_V2 = _sizes(4096, 11008, 32, 32, 102400, 2048, moe_intermediate_size=1407, num_experts=64)
_DEEPSEEK_V3 = _sizes(7168, 18432, 61, 128, 129280, 4096, moe_intermediate_size=2048, num_experts=256)

FAMILIES: dict[str, Family] = {
    "llama": Family(mlp_bias=None, defaults=_sizes(4096, 11008, 32, 32, 32000, 2048)),
    "mistral": Family(
        qkv_bias=False,
        out_bias=False,
        windows="all",
        defaults=_sizes(4096, 14336, 32, 32, 32000, 131072, num_key_value_heads=8, sliding_window=4096),
    ),
    "mixtral": Family(
        qkv_bias=False,
        out_bias=False,
        windows="all",
        expert_width="intermediate_size",
        renames={"num_local_experts": "num_experts"},
        defaults=_sizes(
            4096, 14336, 32, 32, 32000, 131072, num_key_value_heads=8, num_experts=8, num_experts_per_tok=2
        ),
    ),
    "qwen2": Family(
        qkv_bias=True, out_bias=False, windows="late", defaults=_sizes(4096, 22016, 32, 32, 151936, 32768, **_LATE)
    ),
    "qwen3": Family(
        qk_norm="head",
        windows="late",
        defaults=_sizes(4096, 22016, 32, 32, 151936, 32768, head_dim=128, **_LATE),
    ),
    "qwen3_moe": Family(
        qk_norm="head",
        windows="switch",
        expert_width="moe_intermediate_size",
        renames={"num_local_experts": "num_experts"},
        defaults=_sizes(
            2048,
            6144,
            24,
            32,
            151936,
            32768,
            num_key_value_heads=4,
            sliding_window=4096,
            moe_intermediate_size=768,
            num_experts=128,
            num_experts_per_tok=8,
        ),
    ),
    "gemma2": Family(norms=4, windows="other", defaults=_sizes(2304, 9216, 26, 8, 256000, 8192, **_GEMMA)),
    "gemma3_text": _GEMMA3,
    "gemma3": Family(**{**vars(_GEMMA3), "nested": True}),
    "phi3": Family(
        qkv_bias=False, out_bias=False, windows="all", defaults=_sizes(3072, 8192, 32, 32, 32064, 4096)
    ),
    "olmo2": Family(qk_norm="width", defaults=_sizes(4096, 11008, 32, 32, 50304, 2048)),
    "gpt_neox": Family(
        layer_norm=True,
        gated=False,
        grouped=False,
        mlp_bias=True,
        defaults=_sizes(6144, 24576, 44, 64, 50432, 2048, attention_bias=True),
    ),
    "gpt2": Family(
        layer_norm=True,
        gated=False,
        grouped=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        learned_positions=True,
        renames=_GPT2_NAMES,
        defaults=_sizes(768, None, 12, 12, 50257, 1024, tie_word_embeddings=True),
    ),
    "deepseek_v2": Family(
        mlp_bias=None,
        latent=True,
        expert_width="moe_intermediate_size",
        renames={"n_routed_experts": "num_experts"},
        # Its class gives no num_experts_per_tok: a config without one is no model there either.
        defaults={**_DEEPSEEK_V2, **_LATENT, "n_shared_experts": 2},
    ),
    "deepseek_v3": Family(
        latent=True,
        expert_width="moe_intermediate_size",
        renames={"n_routed_experts": "num_experts", "num_local_experts": "num_experts"},
        defaults={
            **_DEEPSEEK_V3,
            **_LATENT,
            "n_shared_experts": 1,
            "num_experts_per_tok": 8,
            "first_k_dense_replace": 3,
        },
    ),
}
