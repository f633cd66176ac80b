"""The records of families whose layers differ in more than a window: recurrences, borrowed keys, extras."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scalinglab.specs.family import Family, sizes

_DELTA = {
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "head_dim": 256,
}
_SHARED_EXPERT = {"moe_intermediate_size": 512, "shared_expert_intermediate_size": 512}
_QWEN = Family(
    kinds="period",
    period=("full_attention_interval", 4),
    other="linear_attention",
    types=("linear_attention", "full_attention"),
    linear="delta",
    qk_norm="head",
    gate=True,
)
_QWEN_EXPERTS: dict[str, Any] = {"shared": "shared_expert_intermediate_size", "shared_gate": True}
_GEMMA = Family(
    norms=4, kinds="period", types=("sliding_attention", "full_attention"), qk_norm="head", extras="per_layer"
)
_GEMMA_SIZES = {
    "head_dim": 256,
    "sliding_window": 512,
    "tie_word_embeddings": True,
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
}

HYBRIDS: dict[str, Family] = {
    "qwen3_next": replace(
        _QWEN,
        sparse="step",
        **_QWEN_EXPERTS,
        defaults=sizes(
            2048,
            5632,
            48,
            16,
            151936,
            32768,
            num_key_value_heads=2,
            num_experts=512,
            num_experts_per_tok=10,
            decoder_sparse_step=1,
            **_DELTA,
            **_SHARED_EXPERT,
        ),
    ),
    "qwen3_5_text": replace(
        _QWEN, defaults=sizes(4096, 12288, 32, 16, 248320, 32768, num_key_value_heads=4, **_DELTA)
    ),
    "qwen3_5": Family(text="qwen3_5_text"),
    "qwen3_5_moe_text": replace(
        _QWEN,
        sparse="all",
        **_QWEN_EXPERTS,
        defaults=sizes(
            2048,
            None,
            40,
            16,
            248320,
            32768,
            num_key_value_heads=2,
            num_experts=256,
            num_experts_per_tok=8,
            **_DELTA,
            **_SHARED_EXPERT,
        ),
    ),
    "qwen3_5_moe": Family(text="qwen3_5_moe_text"),
    "granitemoehybrid": Family(
        kinds="linear",
        types=("linear_attention", "full_attention"),
        linear="mamba",
        sparse="some",
        width="shared_intermediate_size",
        expert_width="intermediate_size",
        shared="shared_intermediate_size",
        renames={
            "layers_block_type": "layer_types",
            "num_local_experts": "num_experts",
            "mamba_n_heads": "mamba_num_heads",
            "mamba_d_head": "mamba_head_dim",
            "mamba_n_groups": "n_groups",
            "mamba_d_state": "ssm_state_size",
            "mamba_d_conv": "conv_kernel",
            "mamba_conv_bias": "use_conv_bias",
            "mamba_proj_bias": "use_bias",
        },
        defaults=sizes(
            4096,
            11008,
            32,
            32,
            32000,
            2048,
            num_experts=8,
            num_experts_per_tok=2,
            shared_intermediate_size=1024,
            mamba_num_heads=128,
            n_groups=1,
            ssm_state_size=256,
            conv_kernel=4,
            use_conv_bias=True,
            mamba_expand=2,
        ),
    ),
    "nemotron_h": Family(
        norms=1,
        single=True,
        ties=False,
        kinds="listed",
        types=("linear_attention", "full_attention", "moe", "mlp"),
        linear="mamba",
        sparse="kind",
        qkv_bias=False,
        out_bias=False,
        gated=False,
        mlp_bias="mlp_bias",
        shared="moe_shared_expert_intermediate_size",
        renames={
            "layers_block_type": "layer_types",
            "n_routed_experts": "num_experts",
            "num_local_experts": "num_experts",
            "mamba_n_groups": "n_groups",
            "mamba_d_conv": "conv_kernel",
            "mamba_conv_bias": "use_conv_bias",
        },
        defaults=sizes(
            4096,
            21504,
            None,
            32,
            131072,
            4096,
            num_key_value_heads=8,
            head_dim=128,
            ssm_state_size=128,
            mamba_num_heads=128,
            mamba_head_dim=64,
            n_groups=8,
            conv_kernel=4,
            use_conv_bias=True,
            num_experts=8,
            num_experts_per_tok=2,
            moe_intermediate_size=7688,
            moe_shared_expert_intermediate_size=7688,
        ),
    ),
    "gemma3n_text": replace(
        _GEMMA,
        period=5,
        extras="altup",
        own="widths",
        defaults=sizes(
            2048,
            16384,
            35,
            8,
            262400,
            32768,
            num_key_value_heads=2,
            num_kv_shared_layers=15,
            altup_num_inputs=4,
            laurel_rank=64,
            **_GEMMA_SIZES,
        ),
    ),
    "gemma3n": Family(text="gemma3n_text"),
    "gemma4_text": replace(
        _GEMMA,
        period=6,
        own="global",
        sparse="switch",
        beside=4,
        router_vectors=1,
        renames={"top_k_experts": "num_experts_per_tok"},
        defaults=sizes(2304, 9216, 30, 8, 262144, 131072, num_key_value_heads=4, **_GEMMA_SIZES),
    ),
    "gemma4": Family(text="gemma4_text"),
}
