"""What transformers makes of a config: its own config object, and its model on the meta device."""

from collections import Counter

import torch
from transformers import AutoConfig, AutoModelForCausalLM

EXPERTS = {
    "mixtral": "num_local_experts",
    "qwen3_moe": "num_experts",
    "deepseek_v2": "n_routed_experts",
    "deepseek_v3": "n_routed_experts",
    "kimi_k25": "n_routed_experts",
    "deepseek_v32": "n_routed_experts",
    "glm_moe_dsa": "n_routed_experts",
    "glm4_moe": "n_routed_experts",
    "glm4_moe_lite": "n_routed_experts",
    "gpt_oss": "num_local_experts",
    "granitemoe": "num_local_experts",
    "ernie4_5_moe": "moe_num_experts",
    "llama4_text": "num_local_experts",
    "llama4": "num_local_experts",
    "minimax_m2": "num_local_experts",
    "qwen3_next": "num_experts",
    "qwen3_5_moe_text": "num_experts",
    "qwen3_5_moe": "num_experts",
    "granitemoehybrid": "num_local_experts",
    "nemotron_h": "n_routed_experts",
    "gemma4_text": "num_experts",
    "gemma4": "num_experts",
}
SERVING = {"ernie4_5_moe": "moe_k", "gemma4_text": "top_k_experts", "gemma4": "top_k_experts"}
WINDOWS = {
    "sliding_attention": "sliding_window",
    "chunked_attention": "attention_chunk_size",
    "indexed_attention": "index_topk",
}
TABLES = ("embed_tokens", "embed_tokens_per_layer", "embeddings", "embed_in", "wte", "wpe", "lm_head")


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
    names = tuple(f"{table}.weight" for table in TABLES)
    return scalars(p for name, p in model.named_parameters() if name.endswith(names))


def idle_expert_scalars(model, family, text):
    if family not in EXPERTS:
        return 0
    serving = getattr(text, SERVING.get(family, "num_experts_per_tok")) or 0
    stacked = [p for name, p in model.named_parameters() if ".experts." in name]  # the first dimension is experts
    return sum(p.numel() - p[0].numel() * serving for p in stacked)


def window_counts(text):
    kinds = getattr(text, "layer_types", None) or ["sliding_attention"] * text.num_hidden_layers
    return Counter(getattr(text, WINDOWS.get(kind, ""), None) for kind in kinds)


def windows(spec):
    counts = Counter()
    for block in spec.blocks:
        counts[block.window] += block.count
    return counts
