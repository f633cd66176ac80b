"""Small configs of every family: drawn ones, as vendors would write them, and an unremarkable one."""

from hugging import EXPERTS, SERVING
from hypothesis import strategies as st

from scalinglab.specs import FAMILIES

SIZES = st.integers(1, 9)
EVEN = st.sampled_from([2, 4, 6, 8])
FLAG = st.booleans()
WINDOW = st.none() | st.integers(1, 64)
LATE = {"use_sliding_window": FLAG, "sliding_window": WINDOW, "max_window_layers": st.integers(0, 5)}
LATENT = {
    "kv_lora_rank": SIZES,
    "q_lora_rank": st.none() | SIZES,
    "qk_nope_head_dim": EVEN,
    "qk_rope_head_dim": EVEN,
    "v_head_dim": EVEN,
    "attention_bias": FLAG,
    "moe_intermediate_size": SIZES,
    "n_shared_experts": st.integers(1, 3),
}
FIRST = {"first_k_dense_replace": st.integers(0, 7)}
GEMMA = {"head_dim": EVEN, "attention_bias": FLAG, "sliding_window": st.integers(1, 64)}
PER_LAYER = {
    **GEMMA,
    "hidden_size_per_layer_input": SIZES,
    "vocab_size_per_layer_input": SIZES,
    "num_kv_shared_layers": st.integers(0, 3),
}
STEP = {"decoder_sparse_step": st.integers(1, 3), "mlp_only_layers": st.lists(st.integers(0, 6), max_size=3)}
DELTA = {
    "attention_bias": FLAG,
    "head_dim": EVEN,
    "linear_conv_kernel_dim": st.integers(1, 5),
    "linear_key_head_dim": SIZES,
    "linear_value_head_dim": SIZES,
    "linear_num_key_heads": st.just(2),
    "linear_num_value_heads": st.sampled_from([2, 4]),
    "full_attention_interval": st.integers(1, 4),
}
SHARED_EXPERT = {"moe_intermediate_size": SIZES, "shared_expert_intermediate_size": SIZES}
REQUIRED = {
    "llama": {"attention_bias": FLAG, "mlp_bias": FLAG},
    "mistral": {"sliding_window": WINDOW},
    "mixtral": {"sliding_window": WINDOW},
    "qwen2": LATE,
    "qwen3": {"attention_bias": FLAG, **LATE},
    "qwen3_moe": {"attention_bias": FLAG, "use_sliding_window": FLAG, "sliding_window": WINDOW, **STEP},
    "gemma2": GEMMA,
    "gemma3_text": {**GEMMA, "sliding_window_pattern": st.integers(1, 6)},
    "phi3": {"sliding_window": WINDOW},
    "olmo2": {"attention_bias": FLAG},
    "olmo3": {"attention_bias": FLAG, "sliding_window": WINDOW},
    "gpt_neox": {"attention_bias": FLAG},
    "gpt2": {},
    "smollm3": {
        "attention_bias": FLAG,
        "mlp_bias": FLAG,
        "use_sliding_window": FLAG,
        "sliding_window": WINDOW,
        "no_rope_layer_interval": st.integers(1, 4),
    },
    "granite": {"attention_bias": FLAG, "mlp_bias": FLAG},
    "ministral3": {"sliding_window": WINDOW, "head_dim": EVEN},
    "ernie4_5": {"use_bias": FLAG},
    "internlm3": {},
    "seed_oss": {"attention_bias": FLAG, "attention_out_bias": FLAG, "mlp_bias": FLAG, "head_dim": EVEN},
    "glm4": {"attention_bias": FLAG, "head_dim": EVEN},
    "deepseek_v2": {**LATENT, **FIRST, "mlp_bias": FLAG},
    "deepseek_v3": {**LATENT, **FIRST},
    "deepseek_v32": {
        **LATENT,
        **FIRST,
        "q_lora_rank": SIZES,
        "index_n_heads": SIZES,
        "index_head_dim": SIZES,
        "index_topk": SIZES,
    },
    "glm_moe_dsa": {
        **LATENT,
        **FIRST,
        "q_lora_rank": SIZES,
        "index_n_heads": SIZES,
        "index_head_dim": SIZES,
        "index_topk": SIZES,
        "index_topk_freq": st.integers(1, 3),
        "index_skip_topk_offset": st.integers(1, 4),
    },
    "glm4_moe": {
        **FIRST,
        "attention_bias": FLAG,
        "use_qk_norm": FLAG,
        "moe_intermediate_size": SIZES,
        "n_shared_experts": st.integers(1, 3),
    },
    "glm4_moe_lite": LATENT,
    "gpt_oss": {"attention_bias": FLAG, "head_dim": EVEN, "sliding_window": st.integers(1, 64)},
    "granitemoe": {"attention_bias": FLAG},
    "ernie4_5_moe": {
        "use_bias": FLAG,
        "moe_intermediate_size": SIZES,
        "moe_num_shared_experts": st.integers(0, 3),
        "moe_layer_start_index": st.integers(0, 4),
        "moe_layer_end_index": st.integers(-1, 6),
        "moe_layer_interval": st.integers(1, 3),
    },
    "llama4_text": {
        "attention_bias": FLAG,
        "head_dim": EVEN,
        "intermediate_size_mlp": SIZES,
        "interleave_moe_layer_step": st.integers(1, 3),
        "no_rope_layer_interval": st.integers(1, 4),
        "attention_chunk_size": WINDOW,
    },
    "minimax_m2": {"head_dim": EVEN},
    "qwen3_next": {**DELTA, **SHARED_EXPERT, **STEP},
    "qwen3_5_text": DELTA,
    "qwen3_5_moe_text": {**DELTA, **SHARED_EXPERT},
    "granitemoehybrid": {
        "attention_bias": FLAG,
        "shared_intermediate_size": SIZES,
        "mamba_n_heads": st.just(2),
        "mamba_expand": st.integers(1, 3),
        "mamba_n_groups": st.integers(1, 2),
        "mamba_d_state": SIZES,
        "mamba_d_conv": SIZES,
        "mamba_conv_bias": FLAG,
        "mamba_proj_bias": FLAG,
    },
    "nemotron_h": {
        "mlp_bias": FLAG,
        "use_bias": FLAG,
        "use_conv_bias": FLAG,
        "head_dim": EVEN,
        "ssm_state_size": SIZES,
        "mamba_num_heads": EVEN,
        "mamba_head_dim": SIZES,
        "n_groups": st.integers(1, 2),
        "conv_kernel": SIZES,
        "moe_intermediate_size": SIZES,
        "moe_shared_expert_intermediate_size": SIZES,
        "moe_latent_size": st.none() | SIZES,
    },
    "gemma3n_text": {**PER_LAYER, "altup_num_inputs": st.integers(1, 4), "laurel_rank": SIZES},
    "gemma4_text": {
        **PER_LAYER,
        "hidden_size_per_layer_input": st.integers(0, 9),
        "global_head_dim": EVEN,
        "num_global_key_value_heads": st.none() | st.just(1),
        "attention_k_eq_v": FLAG,
        "use_double_wide_mlp": FLAG,
        "enable_moe_block": FLAG,
        "moe_intermediate_size": SIZES,
    },
}
OPTIONAL = {
    **{family: {"head_dim": EVEN} for family in ("llama", "mistral", "mixtral", "qwen3", "ernie4_5", "internlm3")},
    "qwen3_moe": {"head_dim": EVEN, "moe_intermediate_size": SIZES},
    "granite": {"head_dim": EVEN},
    "glm4_moe": {"head_dim": EVEN},
    "nemotron_h": {"hybrid_override_pattern": st.text("ME*-", min_size=1, max_size=6)},
}
FULL_HEADS = ("gpt_neox", "gpt2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe_lite")
GPT2_NAMES = {ours: theirs for theirs, ours in FAMILIES["gpt2"].renames.items()}


@st.composite
def texts(draw, family):
    """The config of a small language model, as a vendor would write it."""
    family = FAMILIES[family].text or family
    heads, layers = draw(st.sampled_from([1, 2, 4, 6])), draw(st.integers(1, 7))
    shape = {
        "hidden_size": heads * 2 * draw(st.integers(2, 6)),
        "intermediate_size": draw(SIZES),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": draw(st.integers(3, 40)),
        "max_position_embeddings": draw(st.integers(1, 99)),
        "tie_word_embeddings": draw(FLAG),
        "pad_token_id": None,
        **draw(st.fixed_dictionaries(REQUIRED[family], optional=OPTIONAL.get(family, {}))),
    }
    if family not in FULL_HEADS:
        shape["num_key_value_heads"] = draw(st.sampled_from([n for n in (1, 2, 3, 6) if heads % n == 0]))
    if family in EXPERTS:
        shape[SERVING.get(family, "num_experts_per_tok")] = draw(st.integers(1, 3))
        least = st.just(0) if family == "granitemoehybrid" else st.nothing()
        shape[EXPERTS[family]] = draw(least | st.integers(3, 6))
    if FAMILIES[family].types and family != "nemotron_h" and draw(FLAG):
        kinds = st.sampled_from(FAMILIES[family].types)
        shape["layer_types"] = draw(st.lists(kinds, min_size=layers, max_size=layers))
    if family == "glm4_moe_lite" and draw(FLAG):
        kinds = st.sampled_from(["dense", "sparse"])
        shape["mlp_layer_types"] = draw(st.lists(kinds, min_size=layers, max_size=layers))
    if family in ("llama4_text", "smollm3") and draw(FLAG):
        shape["no_rope_layers"] = draw(st.lists(st.integers(0, 1), min_size=layers, max_size=layers))
    if family == "internlm3":
        shape["qkv_bias"] = shape["bias"] = draw(FLAG)
    if family == "gemma3n_text" and draw(FLAG):
        shape["intermediate_size"] = draw(st.lists(SIZES, min_size=layers, max_size=layers))
    if "num_kv_shared_layers" in shape:
        shape = lending(family, shape)
    if family == "gpt2":
        shape["intermediate_size"] = draw(st.none() | SIZES)
        shape = {GPT2_NAMES.get(field, field): value for field, value in shape.items()}
    return shape


def lending(family, shape):
    """No more layers that borrow keys than leave one of each kind to lend them."""
    kinds = shape.get("layer_types")
    if kinds is None:
        kinds = ["" if (i + 1) % FAMILIES[family].period else "full" for i in range(shape["num_hidden_layers"])]
    kinds = [*kinds[:-1], kinds[-1] if family == "gemma3n_text" else "full_attention"]
    shared = shape["num_kv_shared_layers"]
    if shared and {kind[:4] for kind in kinds[: -shared or None]} != {kind[:4] for kind in kinds}:
        shape = {**shape, "num_kv_shared_layers": 0}
    return shape


def plain(family, **changes):
    """One unremarkable config of the family."""
    inner = FAMILIES[family].text or family
    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 100,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
        "pad_token_id": None,
    }
    if inner in EXPERTS:
        shape |= {SERVING.get(inner, "num_experts_per_tok"): 2, EXPERTS[inner]: 4}
    if inner == "qwen3_moe" or inner.startswith("deepseek"):
        shape |= {"moe_intermediate_size": 12}
    if inner == "qwen3_moe":
        shape |= {"mlp_only_layers": [0]}
    if inner.startswith("deepseek"):
        shape |= {"kv_lora_rank": 6, "q_lora_rank": 5, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4}
        shape |= {"v_head_dim": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
    if inner == "gemma3n_text":
        shape |= {"num_kv_shared_layers": 0}
    if inner in FULL_HEADS:
        del shape["num_key_value_heads"]
    if inner == "gpt2":
        shape = {GPT2_NAMES.get(field, field): value for field, value in shape.items()}
    return vendor(family, {**shape, **changes})


def vendor(family, text):
    """A config of the family: the language model's, inside ``text_config`` where the family nests it."""
    return {"model_type": family, **({"text_config": text} if FAMILIES[family].text else text)}
