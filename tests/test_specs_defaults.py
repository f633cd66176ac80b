"""A config says less than its class knows: what it leaves out, and what stands in place of the LM head."""

import json
from pathlib import Path

import pytest
import torch
from configs import vendor
from hugging import build, embedding_scalars, idle_expert_scalars, scalars, theirs, window_counts, windows
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from scalinglab.errors import SpecError
from scalinglab.flops import CONVENTIONS, forward
from scalinglab.specs import FAMILIES, from_config

CASE = Path(__file__).parents[2] / "shared" / "cases" / "15-absent-fields" / "config.json"
# Divisible by every class's own number of heads, so that any one field can be left out.
SHAPE = {
    "vocab_size": 96,
    "hidden_size": 768,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "pad_token_id": None,
}
GROUPED = {"num_key_value_heads": 2}
BIASED = {"attention_bias": True}
LATE = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
GEMMA = {**GROUPED, **BIASED, "head_dim": 32, "sliding_window": 7, "tie_word_embeddings": False}
LATENT = {
    **BIASED,
    "kv_lora_rank": 6,
    "q_lora_rank": 5,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
    "moe_intermediate_size": 12,
    "n_routed_experts": 16,
    "num_experts_per_tok": 2,
    "n_shared_experts": 3,
    "first_k_dense_replace": 1,
}
SHARED = {"num_key_value_heads": 2, "head_dim": 32}
LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]
DELTA = {
    **SHARED,
    **BIASED,
    "linear_conv_kernel_dim": 3,
    "linear_key_head_dim": 12,
    "linear_value_head_dim": 10,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 64,
    "full_attention_interval": 2,
}
ROUTED = {"moe_intermediate_size": 12, "num_experts": 16, "num_experts_per_tok": 3}
SHARED_EXPERT = {**ROUTED, "shared_expert_intermediate_size": 20}
PER_LAYER = {
    **GEMMA,
    "num_kv_shared_layers": 1,
    "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    "vocab_size_per_layer_input": 50,
    "hidden_size_per_layer_input": 6,
}
LOCAL = {"num_local_experts": 16, "num_experts_per_tok": 3}
MORE = {
    "llama": {**GROUPED, **BIASED, "head_dim": 32, "mlp_bias": True},
    "mistral": {**GROUPED, "head_dim": 32, "sliding_window": 7},
    "mixtral": {**GROUPED, "head_dim": 32, "sliding_window": 7, "num_local_experts": 4, "num_experts_per_tok": 3},
    "qwen2": {**GROUPED, **LATE},
    "qwen3": {**GROUPED, **BIASED, **LATE, "head_dim": 32},
    "qwen3_moe": {
        **GROUPED,
        **BIASED,
        "head_dim": 32,
        "use_sliding_window": True,
        "sliding_window": 7,
        "moe_intermediate_size": 12,
        "num_experts": 16,
        "num_experts_per_tok": 3,
        "decoder_sparse_step": 2,
        "mlp_only_layers": [1],
    },
    "gemma2": GEMMA,
    "gemma3_text": {**GEMMA, "sliding_window_pattern": 2},
    "phi3": {**GROUPED, "sliding_window": 7},
    "olmo2": {**GROUPED, **BIASED},
    "gpt_neox": {"attention_bias": False},
    "gpt2": {"tie_word_embeddings": False},
    "deepseek_v2": {**LATENT, "mlp_bias": True},
    "deepseek_v3": LATENT,
    "olmo3": {**GROUPED, **BIASED, "sliding_window": 7, "layer_types": LAYERS},
    "smollm3": {
        **GROUPED,
        **BIASED,
        "mlp_bias": True,
        "use_sliding_window": True,
        "sliding_window": 7,
        "no_rope_layer_interval": 2,
        "tie_word_embeddings": False,
    },
    "granite": {**GROUPED, **BIASED, "mlp_bias": True},
    "ministral3": {**SHARED, "sliding_window": 7},
    "ernie4_5": {**GROUPED, "head_dim": 32, "use_bias": True, "tie_word_embeddings": False},
    "internlm3": {"num_key_value_heads": 4, "head_dim": 32},
    "seed_oss": {**SHARED, "attention_bias": False, "attention_out_bias": True, "mlp_bias": True},
    "glm4": {"num_key_value_heads": 4, "head_dim": 32, "attention_bias": False},
    "deepseek_v32": {**LATENT, "index_topk": 9, "index_head_dim": 6, "index_n_heads": 5},
    "glm_moe_dsa": {
        **LATENT,
        "index_topk": 9,
        "index_head_dim": 6,
        "index_n_heads": 5,
        "index_topk_freq": 2,
        "index_skip_topk_offset": 1,
    },
    "glm4_moe": {
        **GROUPED,
        **BIASED,
        "use_qk_norm": True,
        "moe_intermediate_size": 12,
        "n_routed_experts": 16,
        "num_experts_per_tok": 3,
        "n_shared_experts": 2,
        "first_k_dense_replace": 2,
    },
    "glm4_moe_lite": {**LATENT, "mlp_layer_types": ["sparse", "dense", "sparse"]},
    "gpt_oss": {**LOCAL, **SHARED, "attention_bias": False, "sliding_window": 7, "layer_types": LAYERS},
    "granitemoe": {**GROUPED, **BIASED, **LOCAL},
    "ernie4_5_moe": {
        **SHARED,
        "use_bias": True,
        "tie_word_embeddings": False,
        "moe_intermediate_size": 12,
        "moe_num_experts": 16,
        "moe_k": 3,
        "moe_num_shared_experts": 1,
        "moe_layer_start_index": 0,
        "moe_layer_end_index": 1,
        "moe_layer_interval": 2,
    },
    "llama4_text": {
        **SHARED,
        **BIASED,
        **LOCAL,
        "intermediate_size_mlp": 20,
        "interleave_moe_layer_step": 2,
        "no_rope_layer_interval": 2,
        "attention_chunk_size": 5,
    },
    "minimax_m2": {**SHARED, **LOCAL},
    "qwen3_next": {**DELTA, **SHARED_EXPERT, "decoder_sparse_step": 2, "mlp_only_layers": [1]},
    "qwen3_5_text": DELTA,
    "qwen3_5_moe_text": {**DELTA, **SHARED_EXPERT},
    "granitemoehybrid": {
        **GROUPED,
        **BIASED,
        **LOCAL,
        "shared_intermediate_size": 20,
        "layer_types": ["mamba", "attention", "mamba"],
        "mamba_n_heads": 64,
        "mamba_n_groups": 2,
        "mamba_d_state": 8,
        "mamba_d_conv": 3,
        "mamba_expand": 1,
        "mamba_conv_bias": False,
        "mamba_proj_bias": True,
    },
    "nemotron_h": {
        **SHARED,
        "layers_block_type": ["mamba", "moe", "attention", "mlp", "mlp"],
        "mlp_bias": True,
        "use_bias": True,
        "use_conv_bias": False,
        "ssm_state_size": 8,
        "mamba_num_heads": 4,
        "mamba_head_dim": 6,
        "n_groups": 2,
        "conv_kernel": 3,
        "moe_intermediate_size": 12,
        "n_routed_experts": 16,
        "num_experts_per_tok": 3,
        "moe_shared_expert_intermediate_size": 20,
        "moe_latent_size": 10,
    },
    "gemma3n_text": {**PER_LAYER, "altup_num_inputs": 3, "laurel_rank": 5},
    "gemma4_text": {
        **PER_LAYER,
        "global_head_dim": 40,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "use_double_wide_mlp": True,
        "enable_moe_block": True,
        "moe_intermediate_size": 12,
        "num_experts": 16,
        "top_k_experts": 3,
    },
}
GPT2_NAMES = {ours: theirs for theirs, ours in FAMILIES["gpt2"].renames.items()}


def written(family):
    """A config of the family in which every field that is read has a value that is not its class's own."""
    shape = {**SHAPE, **MORE[FAMILIES[family].text or family]}
    return {GPT2_NAMES.get(field, field): value for field, value in shape.items()} if family == "gpt2" else shape


FIELDS = [(family, field) for family in FAMILIES for field in written(family) if field != "pad_token_id"]
# Where the class gives none, or none that transformers can build.
NEEDED = {
    ("deepseek_v2", "num_experts_per_tok"),
    *(
        (f, field)
        for f in ("gemma4_text", "gemma4")
        for field in ("num_experts", "top_k_experts", "moe_intermediate_size")
    ),
    *((f, "num_kv_shared_layers") for f in ("gemma3n_text", "gemma3n")),
    *((f, "layer_types") for f in ("gemma3n_text", "gemma3n", "gemma4_text", "gemma4")),
}
ABSENT = [pair for pair in FIELDS if pair not in NEEDED]


@pytest.mark.parametrize(("family", "field"), ABSENT)
def test_a_field_that_is_left_out_has_the_value_of_its_class(family, field):
    # A list with an entry for each layer fits no other number of layers.
    gone = {field, "layer_types", "mlp_layer_types"} if field == "num_hidden_layers" else {field}
    raw = vendor(family, {name: value for name, value in written(family).items() if name not in gone})
    text = theirs(raw)[1]
    model, spec = build(text), from_config(raw)
    assert spec.total == scalars(model.parameters())
    assert spec.embedding == embedding_scalars(model)
    assert spec.active == spec.total - idle_expert_scalars(model, family, text)
    assert windows(spec) == window_counts(text)
    assert spec.max_context == text.max_position_embeddings
    attending = [block for block in spec.blocks if block.heads]
    assert {block.heads for block in attending} <= {text.num_attention_heads}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_of_nothing_but_its_type_is_its_class(family):
    raw = {"model_type": family, **({"num_experts_per_tok": 6} if family == "deepseek_v2" else {})}
    text = theirs(raw)[1]
    assert from_config(raw).total == scalars(build(text).parameters())
    assert windows(from_config(raw)) == window_counts(text)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_default_of_the_table_is_that_of_its_class(family):
    text = theirs({"model_type": family})[1]
    text.allow_global_per_layer_attribute_access = True  # Gemma 4
    names = {ours: own for own, ours in FAMILIES[family].renames.items()}
    for field, value in FAMILIES[family].defaults.items():
        if field == "sliding_window" and "use_sliding_window" in vars(text):
            text = theirs({"model_type": family, "use_sliding_window": True})[1]  # else the class drops it
        its = getattr(text, field if hasattr(text, field) else names.get(field, field))
        assert its == ([value] * len(its) if isinstance(its, list) else value), field


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "phi3", "olmo2"])
def test_null_groups_are_as_many_as_the_heads(family):
    raw = vendor(family, {**written(family), "num_key_value_heads": None})
    assert from_config(raw).total == scalars(build(theirs(raw)[1]).parameters())


UNHEEDED = {
    "gpt_neox": ("num_key_value_heads", "head_dim"),
    "gpt2": ("num_key_value_heads", "head_dim"),
    "gemma2": ("sliding_window_pattern",),
    "llama": ("sliding_window", "text_config"),
    "deepseek_v3": ("num_key_value_heads", "head_dim"),
    "qwen3": ("num_kv_shared_layers", "attention_k_eq_v"),
    "nemotron_h": ("num_hidden_layers",),
}


@pytest.mark.parametrize(("family", "field"), [(f, field) for f, fields in UNHEEDED.items() for field in fields])
def test_a_field_that_the_class_does_not_heed_changes_nothing(family, field):
    raw = {"model_type": family, **written(family)}
    assert from_config(
        {**raw, field: {"text_config": {"hidden_size": 8}, "attention_k_eq_v": True}.get(field, 4)}
    ) == from_config(raw)


MISTRAL_7B = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
QWEN3_06B = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
GEMMA2_2B = {
    "model_type": "gemma2",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "head_dim": 256,
    "vocab_size": 256000,
}
PYTHIA_1B = {
    "model_type": "gpt_neox",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "vocab_size": 50304,
}


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (MISTRAL_7B, 7_241_732_096),
        (QWEN3_06B, 772_210_688),
        (GEMMA2_2B, 2_614_341_888),
        (PYTHIA_1B, 1_011_781_632 + 16 * (24576 - 8192) * (2 * 2048 + 1)),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_published_shape_without_groups_or_width_has_those_of_its_class(config, total):
    """Its width is 24576, as GPT-NeoX-20B's, and its groups 8, 32 or 4."""
    assert from_config(config).total == total == scalars(build(theirs(config)[1]).parameters())


def test_the_mistral_of_case_15_has_eight_groups():
    if not CASE.is_file():
        pytest.skip("the cases are not shipped with the repository")
    assert from_config(json.loads(CASE.read_text())).total == 7_248_023_552


# Reward models and classifiers

LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "architectures": ["LlamaForSequenceClassification"],
}


@pytest.mark.parametrize(
    ("labels", "total"),
    [
        ({}, 7_504_932_864),
        ({"id2label": {"0": "LABEL_0"}}, 7_504_928_768),
        ({"num_labels": 1}, 7_504_928_768),
        ({"num_labels": 2}, 7_504_932_864),
    ],
)
def test_a_reward_model_has_a_label_head_in_place_of_the_lm_head(labels, total):
    spec = from_config({**LLAMA_8B, **labels})
    assert spec.total == total
    assert spec.embedding == 128256 * 4096


HEADS = [
    (auto, family)
    for auto in (AutoModelForSequenceClassification, AutoModelForTokenClassification)
    for family in FAMILIES
    if any(name == family for name in auto._model_mapping._model_mapping)
]


OTHERS = ("vision", "visual", "audio", "projector")  # what a multimodal model has beside its language model


@pytest.mark.parametrize(("auto", "family"), HEADS, ids=str)
@pytest.mark.parametrize("labels", [None, 1, 5])
def test_every_label_head_counts_as_in_transformers(auto, family, labels):
    raw = {"model_type": family, **written(family), **({} if labels is None else {"num_labels": labels})}
    if FAMILIES[family].text:
        raw = {**vendor(family, written(family)), **({} if labels is None else {"num_labels": labels})}
    config, text = theirs(raw)
    with torch.device("meta"):
        model = auto.from_config(config)
    ours = from_config({**raw, "architectures": [type(model).__name__]})
    vision = sum(p.numel() for name, p in model.named_parameters() if any(other in name for other in OTHERS))
    assert ours.total == scalars(model.parameters()) - vision
    assert ours.blocks == from_config(raw).blocks
    assert ours.shape.head_weights == (2 if labels is None else labels) * text.hidden_size


def test_the_reward_models_of_qwen_have_a_head_of_two_layers_that_their_code_fixes():
    """Qwen2.5-Math-RM and -PRM: Linear(h, h), ReLU, Linear(h, 1 or 2), with biases, whatever the config says."""
    raw = vendor("qwen2", written("qwen2"))
    bare = from_config({**raw, "architectures": ["Qwen2Model"]}).total
    for name, outputs in (("Qwen2ForRewardModel", 1), ("Qwen2ForProcessRewardModel", 2)):
        spec = from_config({**raw, "architectures": [name], "num_labels": 7})
        assert spec.total - bare == 768 * 768 + 768 + 768 * outputs + outputs


@pytest.mark.parametrize("name", ["LlamaForRewardModel", "EurusRewardModel"])
def test_another_reward_model_has_one_matrix_of_labels(name):
    named, sequence = (from_config({**LLAMA_8B, "architectures": [a], "num_labels": 1})
                       for a in (name, "LlamaForSequenceClassification"))  # fmt: skip
    assert named == sequence


@pytest.mark.parametrize("given", [None, [], ["LlamaForCausalLM"], ["GPT2LMHeadModel"]])
def test_a_causal_lm_keeps_its_head_and_so_does_a_config_that_names_none(given):
    assert from_config({**LLAMA_8B, "architectures": given}).total == 8_030_261_248


@pytest.mark.parametrize("given", ["LlamaForCausalLM", [3], {"a": 1}, ["LlamaForDreaming"]])
def test_an_architecture_that_says_nothing_of_its_head_is_refused(given):
    with pytest.raises(SpecError, match="architectures"):
        from_config({**LLAMA_8B, "architectures": given})


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_labels_that_are_no_count_are_refused(count):
    with pytest.raises(SpecError, match="num_labels"):
        from_config({**LLAMA_8B, "num_labels": count})


def test_a_score_costs_its_label_head_and_not_the_vocabulary():
    scorer, policy = (from_config({**LLAMA_8B, "architectures": a}) for a in (LLAMA_8B["architectures"], None))
    exact = CONVENTIONS["exact"]
    assert forward(scorer, 10, logits=3, convention=exact)["head"] == 3 * 2 * 2 * 4096
    theirs_, ours = (forward(s, 10, logits=0, convention=exact) for s in (policy, scorer))
    assert theirs_ == ours
