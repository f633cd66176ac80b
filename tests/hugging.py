"""What transformers makes of a config: its own config object, and its model on the meta device."""

from collections import Counter

import torch
from transformers import AutoConfig, AutoModelForCausalLM

EXPERTS = {
    "mixtral": "num_local_experts",
    "qwen3_moe": "num_experts",
    "deepseek_v2": "n_routed_experts",
    "deepseek_v3": "n_routed_experts",
}


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
    names = ("embed_tokens.weight", "embed_in.weight", "wte.weight", "wpe.weight", "lm_head.weight")
    return scalars(p for name, p in model.named_parameters() if name.endswith(names))


def idle_expert_scalars(model, family, text):
    if family not in EXPERTS:
        return 0
    sparse = sum(hasattr(module, "experts") for module in model.modules())
    width = text.intermediate_size if family == "mixtral" else text.moe_intermediate_size
    idle = getattr(text, EXPERTS[family]) - text.num_experts_per_tok
    return sparse * idle * 3 * text.hidden_size * width


def window_counts(text):
    window = getattr(text, "sliding_window", None)
    kinds = getattr(text, "layer_types", None) or ["sliding_attention"] * text.num_hidden_layers
    return Counter(window if kind == "sliding_attention" else None for kind in kinds)


def windows(spec):
    counts = Counter()
    for block in spec.blocks:
        counts[block.window] += block.count
    return counts
