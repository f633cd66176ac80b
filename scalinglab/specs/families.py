"""The model families whose shape is known: one record each."""

from __future__ import annotations

from scalinglab.specs.family import Family, sizes
from scalinglab.specs.hybrids import HYBRIDS
from scalinglab.specs.mixtures import MIXTURES

_EITHER = ("sliding_attention", "full_attention")
_LATE = {"num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28}
_GEMMA = {"num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096, "tie_word_embeddings": True}
_GPT2_NAMES = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
}
_MISTRAL3 = sizes(5120, 32768, 40, 32, 131072, 131072, num_key_value_heads=8, head_dim=128, sliding_window=None)

_DENSE: dict[str, Family] = {
    "llama": Family(mlp_bias="mlp_bias", defaults=sizes(4096, 11008, 32, 32, 32000, 2048)),
    "mistral": Family(
        qkv_bias=False,
        out_bias=False,
        kinds="sliding",
        defaults=sizes(4096, 14336, 32, 32, 32000, 131072, num_key_value_heads=8, sliding_window=4096),
    ),
    "qwen2": Family(
        qkv_bias=True,
        out_bias=False,
        kinds="late",
        types=_EITHER,
        switch=True,
        defaults=sizes(4096, 22016, 32, 32, 151936, 32768, **_LATE),
    ),
    "qwen3": Family(
        qk_norm="head",
        kinds="late",
        types=_EITHER,
        switch=True,
        defaults=sizes(4096, 22016, 32, 32, 151936, 32768, head_dim=128, **_LATE),
    ),
    "gemma2": Family(
        norms=4, kinds="period", period=2, types=_EITHER, defaults=sizes(2304, 9216, 26, 8, 256000, 8192, **_GEMMA)
    ),
    "gemma3_text": Family(
        norms=4,
        qk_norm="head",
        kinds="period",
        period=("sliding_window_pattern", 6),
        types=_EITHER,
        defaults=sizes(2304, 9216, 26, 8, 262208, 131072, **_GEMMA),
    ),
    "gemma3": Family(text="gemma3_text"),
    "phi3": Family(
        qkv_bias=False, out_bias=False, kinds="sliding", defaults=sizes(3072, 8192, 32, 32, 32064, 4096)
    ),
    "olmo2": Family(qk_norm="width", defaults=sizes(4096, 11008, 32, 32, 50304, 2048)),
    "olmo3": Family(
        qk_norm="width",
        kinds="period",
        period=4,
        types=_EITHER,
        defaults=sizes(4096, 11008, 32, 32, 50304, 2048, sliding_window=4096),
    ),
    "gpt_neox": Family(
        layer_norm=True,
        gated=False,
        grouped=False,
        mlp_bias=True,
        defaults=sizes(6144, 24576, 44, 64, 50432, 2048, attention_bias=True),
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
        defaults=sizes(768, None, 12, 12, 50257, 1024, tie_word_embeddings=True),
    ),
    "smollm3": Family(
        mlp_bias="mlp_bias",
        kinds="rope",
        rope=("full_attention", "sliding_attention"),
        types=_EITHER,
        defaults=sizes(
            2048,
            11008,
            36,
            16,
            128256,
            32768,
            num_key_value_heads=4,
            no_rope_layer_interval=4,
            tie_word_embeddings=True,
        ),
    ),
    "granite": Family(mlp_bias="mlp_bias", defaults=sizes(4096, 11008, 32, 32, 32000, 2048)),
    "ministral3": Family(
        qkv_bias=False,
        out_bias=False,
        kinds="sliding",
        defaults=sizes(4096, 14336, 34, 32, 131072, 262144, num_key_value_heads=8, head_dim=128),
    ),
    "mistral3": Family(text="mistral", defaults=_MISTRAL3),
    "ernie4_5": Family(
        qkv_bias="use_bias",
        out_bias="use_bias",
        mlp_bias="use_bias",
        defaults=sizes(
            1024, 3072, 18, 16, 103424, 131072, num_key_value_heads=2, head_dim=128, tie_word_embeddings=True
        ),
    ),
    "internlm3": Family(
        mlp_bias="mlp_bias",
        renames={"qkv_bias": "attention_bias", "bias": "mlp_bias"},
        defaults=sizes(4096, 10240, 48, 32, 128512, 32768, num_key_value_heads=2, head_dim=128),
    ),
    "seed_oss": Family(
        out_bias="attention_out_bias",
        mlp_bias="mlp_bias",
        defaults=sizes(
            4096, 27648, 64, 80, 155136, 524288, num_key_value_heads=8, head_dim=128, attention_bias=True
        ),
    ),
    "glm4": Family(
        norms=4,
        out_bias=False,
        defaults=sizes(
            4096, 13696, 40, 32, 151552, 131072, num_key_value_heads=2, head_dim=128, attention_bias=True
        ),
    ),
}

FAMILIES: dict[str, Family] = {**_DENSE, **MIXTURES, **HYBRIDS}
"""Every family by the ``model_type`` of its configs."""
_ALIASES = {"kimi_k2": "deepseek_v3"}  # a vendor's own name for a shape of another


def family_of(kind: object) -> Family | None:
    """The family of a ``model_type``; None where its shape is not known."""
    return FAMILIES.get(_ALIASES.get(kind, kind)) if isinstance(kind, str) else None
