"""From a Hugging Face ``config.json`` to a ModelSpec: a new family is a row of FAMILIES."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalinglab.errors import SpecError
from scalinglab.specs.families import FAMILIES, Family
from scalinglab.specs.heads import label_head
from scalinglab.specs.shape import Block, Linear, ModelSpec, Shape

_MOST_LAYERS = 100_000


class _Fields:
    """Typed access to a config; every complaint names the model and the field."""

    def __init__(self, config: Mapping[str, Any], family: Family, name: str) -> None:
        self.name = name
        ours = {field: value for field, value in config.items() if field not in family.renames}
        theirs = {family.renames[field]: value for field, value in config.items() if field in family.renames}
        self.written = {family.renames.get(field, field): field for field in config}
        # A null field is an answer ("no window"); only an absent one takes the family's default.
        merged = {**family.defaults, **ours, **theirs}
        self.values = {field: value for field, value in merged.items() if value is not None}

    def count(self, field: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.values.get(field, default)
        field = self.written.get(field, field)
        if value is None:
            raise SpecError(f"{self.name}: config has no {field!r}", "a whole number", f"add {field}")
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or value < least:
            raise SpecError(f"{self.name}: {field} is {value!r}", f"a whole number >= {least}", f"mend {field}")
        return int(value)

    def flag(self, field: str, default: bool) -> bool:
        value = self.values.get(field, default)
        if not isinstance(value, bool):
            raise SpecError(f"{self.name}: {field} is {value!r}", "true or false", f"mend {field}")
        return value

    def has(self, field: str) -> bool:
        return self.values.get(field) is not None

    def inconsistent(self, problem: str, allowed: str, field: str) -> SpecError:
        return SpecError(f"{self.name}: {problem}", allowed, f"mend {field}")


def from_config(source: str | Path | Mapping[str, Any], *, name: str | None = None) -> ModelSpec:
    """Read a Hugging Face ``config.json``: a file, a directory that holds one, or its contents as a dict.

    Raises SpecError naming the field that is missing, inconsistent or unknown.
    """
    if isinstance(source, Mapping):
        return _read(source, name or str(source.get("_name_or_path") or "unnamed"))
    path = Path(source)
    path = path / "config.json" if path.is_dir() else path
    default = path.parent.name if path.name == "config.json" else path.stem
    return _read(_load(path), name or default)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"cannot read {path} ({error.strerror})",
            "a Hugging Face config.json",
            "check the path, or see `scalinglab specs` for known names",
        ) from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON", "a Hugging Face config.json", "download it again") from error
    if not isinstance(config, dict):
        raise SpecError(f"{path} holds a {type(config).__name__}", "a JSON object", "download it again")
    return config


def _read(config: Mapping[str, Any], name: str) -> ModelSpec:
    kind = config.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        known = ", ".join(FAMILIES)
        raise SpecError(f"{name}: model_type is {kind!r}", f"one of {known}", "price a supported family")
    # A multimodal Gemma 3 nests its language model; the vision tower takes no part in text and is left out.
    text = config.get("text_config") or {} if family.nested else config
    if not isinstance(text, Mapping):
        raise SpecError(f"{name}: text_config is {text!r}", "a JSON object", "mend text_config")
    fields = _Fields(text, family, name)
    return ModelSpec(
        name=name,
        size=_shape(fields, family, str(kind), config),
        family=str(kind),
        max_context=fields.count("max_position_embeddings") if fields.has("max_position_embeddings") else None,
    )


def _shape(fields: _Fields, family: Family, kind: str, config: Mapping[str, Any]) -> Shape:
    hidden, layers = fields.count("hidden_size"), fields.count("num_hidden_layers")
    if layers > _MOST_LAYERS:
        raise fields.inconsistent(f"num_hidden_layers is {layers}", f"at most {_MOST_LAYERS}", "num_hidden_layers")
    scheme = Counter(zip(_windows(fields, family, layers), _sparse(fields, kind, layers), strict=True))
    return Shape(
        hidden=hidden,
        vocab=fields.count("vocab_size"),
        blocks=tuple(_block(fields, family, hidden, count, *key) for key, count in scheme.items()),
        tied=fields.flag("tie_word_embeddings", False),
        positions=fields.count("max_position_embeddings") if family.learned_positions else 0,
        final_vectors=hidden * (2 if family.layer_norm else 1),
        labels=label_head(config, hidden, fields.name),
    )


def _windows(fields: _Fields, family: Family, layers: int) -> list[int | None]:
    """The attention window of every layer (None: all positions)."""
    full: list[int | None] = [None] * layers
    if family.windows == "none" or not fields.has("sliding_window"):
        return full
    if family.windows in ("late", "switch") and not fields.flag("use_sliding_window", False):
        return full
    window = fields.count("sliding_window")
    if family.windows in ("all", "switch"):
        return [window] * layers
    kinds = fields.values.get("layer_types", _layer_types(fields, family, layers))
    known = ("sliding_attention", "full_attention")
    if not isinstance(kinds, list) or len(kinds) != layers or any(kind not in known for kind in kinds):
        raise fields.inconsistent(
            f"layer_types is {kinds!r:.80}", f"{layers} of sliding_attention or full_attention", "layer_types"
        )
    return [window if kind == "sliding_attention" else None for kind in kinds]


def _layer_types(fields: _Fields, family: Family, layers: int) -> list[str]:
    if family.windows == "late":
        first = fields.count("max_window_layers", least=0)
        sliding = [i >= first for i in range(layers)]
    else:
        period = 2 if family.windows == "other" else fields.count("sliding_window_pattern")
        sliding = [(i + 1) % period > 0 for i in range(layers)]
    return ["sliding_attention" if slides else "full_attention" for slides in sliding]


def _sparse(fields: _Fields, kind: str, layers: int) -> list[bool]:
    """Which layers route tokens to experts."""
    if kind == "mixtral":
        return [True] * layers
    if kind == "qwen3_moe":
        step, dense = fields.count("decoder_sparse_step", 1), fields.values.get("mlp_only_layers", [])
        if not isinstance(dense, list):
            raise fields.inconsistent(f"mlp_only_layers is {dense!r}", "a list of layers", "mlp_only_layers")
        return [i not in dense and (i + 1) % step == 0 for i in range(layers)]
    if kind in ("deepseek_v2", "deepseek_v3"):
        first = fields.count("first_k_dense_replace", 0, least=0)
        return [i >= first for i in range(layers)]
    return [False] * layers


def _block(fields: _Fields, family: Family, hidden: int, count: int, window: int | None, sparse: bool) -> Block:
    attention = _latent_attention(fields, hidden) if family.latent else _attention(fields, family, hidden)
    norms = hidden * family.norms * (2 if family.layer_norm else 1)
    attention["vectors"] += norms
    return Block(count=count, window=window, **attention, **_mlp(fields, family, hidden, sparse))


def _attention(fields: _Fields, family: Family, hidden: int) -> dict[str, Any]:
    heads = fields.count("num_attention_heads")
    groups = fields.count("num_key_value_heads", heads) if family.grouped else heads
    # A class's own groups may fit no heads but its own: transformers builds that model, so its count stands.
    if heads % groups and "num_key_value_heads" in fields.written:
        raise fields.inconsistent(
            f"num_attention_heads {heads} is no multiple of num_key_value_heads {groups}",
            "a multiple",
            "num_key_value_heads",
        )
    own_dim = family.grouped and fields.has("head_dim")
    if not own_dim and hidden % heads:
        raise fields.inconsistent(
            f"hidden_size {hidden} is not divisible by num_attention_heads {heads}",
            "a multiple, or an explicit head_dim",
            "hidden_size",
        )
    dim = fields.count("head_dim") if own_dim else hidden // heads
    bias = fields.flag("attention_bias", False)
    qkv_bias = bias if family.qkv_bias is None else family.qkv_bias
    out_bias = bias if family.out_bias is None else family.out_bias
    query, key = heads * dim, groups * dim
    projections = (
        Linear(hidden, query, qkv_bias),
        Linear(hidden, key, qkv_bias),
        Linear(hidden, key, qkv_bias),
        Linear(query, hidden, out_bias),
    )
    vectors = {"none": 0, "head": 2 * dim, "width": query + key}[family.qk_norm]
    return {
        "projections": projections,
        "heads": heads,
        "qk_dim": dim,
        "v_dim": dim,
        "cached": 2 * key,
        "vectors": vectors,
    }


def _latent_attention(fields: _Fields, hidden: int) -> dict[str, Any]:
    """DeepSeek's multi-head latent attention (arXiv 2405.04434, section 2.1), in its expanded form."""
    heads, rank = fields.count("num_attention_heads"), fields.count("kv_lora_rank")
    nope, rope = fields.count("qk_nope_head_dim"), fields.count("qk_rope_head_dim")
    value, bias = fields.count("v_head_dim"), fields.flag("attention_bias", False)
    query: tuple[Linear, ...] = (Linear(hidden, heads * (nope + rope)),)
    vectors = rank
    if fields.has("q_lora_rank"):
        squeezed = fields.count("q_lora_rank")
        query = (Linear(hidden, squeezed, bias), Linear(squeezed, heads * (nope + rope)))
        vectors += squeezed
    rest = (
        Linear(hidden, rank + rope, bias),
        Linear(rank, heads * (nope + value)),
        Linear(heads * value, hidden, bias),
    )
    return {
        "projections": query + rest,
        "heads": heads,
        "qk_dim": nope + rope,
        "v_dim": value,
        "cached": rank + rope,
        "vectors": vectors,
    }


def _mlp(fields: _Fields, family: Family, hidden: int, sparse: bool) -> dict[str, Any]:
    bias = fields.flag("mlp_bias", False) if family.mlp_bias is None else family.mlp_bias
    if not sparse:
        default = 4 * hidden if family.learned_positions else None  # GPT-2's n_inner may be null
        return {"mlp": _feed_forward(hidden, fields.count("intermediate_size", default), family.gated, bias)}
    width, experts = fields.count(family.expert_width), fields.count("num_experts")
    active = fields.count("num_experts_per_tok")
    if active > experts:
        raise fields.inconsistent(
            f"num_experts_per_tok {active} exceeds the {experts} experts",
            f"1 to {experts}",
            "num_experts_per_tok",
        )
    shared = fields.count("n_shared_experts", 0, least=0) if family.latent else 0
    return {
        "mlp": _feed_forward(hidden, shared * width, True, bias) if shared else (),
        "router": (Linear(hidden, experts),),
        "expert": _feed_forward(hidden, width, True, False),
        "experts": experts,
        "active_experts": active,
    }


def _feed_forward(hidden: int, width: int, gated: bool, bias: bool) -> tuple[Linear, ...]:
    up = Linear(hidden, width, bias)
    return (*([up] if gated else []), up, Linear(width, hidden, bias))
