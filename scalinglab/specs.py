"""ModelSpec: the shape of one LLM, read from a Hugging Face ``config.json``, and its exact parameter counts."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import permutations
from pathlib import Path
from typing import Any

from scalinglab.errors import SpecError

COUNTS = ("total", "active", "non_embedding")


@dataclass(frozen=True)
class Linear:
    """One weight matrix: every token that passes costs ``2 * inputs * outputs`` FLOPs."""

    inputs: int
    outputs: int
    bias: bool = False

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        return self.weights + self.bias * self.outputs


@dataclass(frozen=True)
class Block:
    """``count`` identical transformer layers.

    ``window`` is the number of positions a token sees, itself included (None: all of them).
    ``cached`` is the number of elements the KV cache keeps per token and layer.
    ``vectors`` counts the weights that are no matrix (norms). ``expert`` is one routed expert, of which
    ``experts`` exist and ``active_experts`` serve a token; ``mlp`` serves every token.
    """

    count: int
    projections: tuple[Linear, ...]
    heads: int
    qk_dim: int
    v_dim: int
    cached: int
    window: int | None
    vectors: int
    mlp: tuple[Linear, ...] = ()
    router: tuple[Linear, ...] = ()
    expert: tuple[Linear, ...] = ()
    experts: int = 0
    active_experts: int = 0

    def parameters(self, *, active: bool = False) -> int:
        """Parameters of one such layer; with ``active``, only the experts that serve a token."""
        served = self.active_experts if active else self.experts
        always = self.projections + self.mlp + self.router
        return _parameters(always) + served * _parameters(self.expert) + self.vectors


@dataclass(frozen=True)
class ModelSpec:
    """The frozen shape of one decoder-only LLM.

    Counts are exact numbers of scalars. ``embedding`` holds the token table, learned positions and an
    untied LM head; ``active`` leaves out the experts that do not serve a token.
    ``training_tokens`` (D) and ``training_sequence`` are None where they are not published.
    """

    name: str
    family: str
    hidden: int
    vocab: int
    blocks: tuple[Block, ...]
    tied: bool
    positions: int = 0
    final_vectors: int = 0
    max_context: int | None = None
    training_tokens: int | None = None
    training_sequence: int | None = None
    series: str | None = None
    source: str | None = None

    @property
    def layers(self) -> int:
        return sum(block.count for block in self.blocks)

    @property
    def embedding(self) -> int:
        return self.hidden * (self.vocab * (1 if self.tied else 2) + self.positions)

    @property
    def non_embedding(self) -> int:
        return sum(block.count * block.parameters() for block in self.blocks) + self.final_vectors

    @property
    def active_non_embedding(self) -> int:
        return sum(block.count * block.parameters(active=True) for block in self.blocks) + self.final_vectors

    @property
    def total(self) -> int:
        return self.embedding + self.non_embedding

    @property
    def active(self) -> int:
        return self.embedding + self.active_non_embedding

    @property
    def cached_per_token(self) -> int:
        """Elements of KV cache one token occupies over all layers (multiply by the bytes of the dtype)."""
        return sum(block.count * block.cached for block in self.blocks)

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any], *, name: str | None = None) -> ModelSpec:
        """Read a ``config.json``: a file, a directory that holds one, or its contents as a dict.

        Raises SpecError naming the field that is missing, inconsistent or unknown.
        """
        if isinstance(source, Mapping):
            return _read(source, name or str(source.get("_name_or_path") or "unnamed"))
        path = Path(source)
        path = path / "config.json" if path.is_dir() else path
        default = path.parent.name if path.name == "config.json" else path.stem
        return _read(_load(path), name or default)


@dataclass(frozen=True)
class Family:
    """What a model family fixes in code rather than in its config; None means that the config decides."""

    norms: int = 2
    layer_norm: bool = False
    qk_norm: str = "none"
    gated: bool = True
    tied: bool = False
    qkv_bias: bool | None = None
    out_bias: bool | None = None
    attention_bias: bool = False
    mlp_bias: bool | None = None
    windows: str = "none"
    latent: bool = False
    learned_positions: bool = False
    renames: tuple[tuple[str, str], ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()


_GPT2_NAMES = (
    ("hidden_size", "n_embd"),
    ("num_hidden_layers", "n_layer"),
    ("num_attention_heads", "n_head"),
    ("intermediate_size", "n_inner"),
    ("max_position_embeddings", "n_positions"),
)
# Published Gemma configs leave out what equals transformers' defaults.
_GEMMA3_DEFAULTS = (
    ("vocab_size", 262208),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("sliding_window", 4096),
)
_GEMMA3 = Family(norms=4, qk_norm="head", tied=True, windows="pattern", defaults=_GEMMA3_DEFAULTS)
_QWEN_MOE = Family(qk_norm="head", windows="switch", defaults=(("moe_intermediate_size", 768),))

FAMILIES: dict[str, Family] = {
    "llama": Family(mlp_bias=None),
    "mistral": Family(qkv_bias=False, out_bias=False, mlp_bias=False, windows="all"),
    "mixtral": Family(qkv_bias=False, out_bias=False, mlp_bias=False, windows="all"),
    "qwen2": Family(qkv_bias=True, out_bias=False, mlp_bias=False, windows="late"),
    "qwen3": Family(qk_norm="head", mlp_bias=False, windows="late", defaults=(("head_dim", 128),)),
    "qwen3_moe": _QWEN_MOE,
    "gemma2": Family(
        norms=4, tied=True, mlp_bias=False, windows="pattern",
        defaults=(("head_dim", 256), ("sliding_window", 4096), ("sliding_window_pattern", 2)),
    ),
    "gemma3_text": _GEMMA3,
    "gemma3": _GEMMA3,
    "phi3": Family(qkv_bias=False, out_bias=False, mlp_bias=False, windows="all"),
    "olmo2": Family(qk_norm="width", mlp_bias=False),
    "gpt_neox": Family(layer_norm=True, gated=False, attention_bias=True, mlp_bias=True),
    "gpt2": Family(
        layer_norm=True, gated=False, tied=True, qkv_bias=True, out_bias=True, mlp_bias=True,
        learned_positions=True, renames=_GPT2_NAMES,
    ),
    "deepseek_v2": Family(latent=True),
    "deepseek_v3": Family(latent=True, mlp_bias=False),
}  # fmt: skip


class _Fields:
    """Typed access to a config; every complaint names the model and the field."""

    def __init__(self, config: Mapping[str, Any], family: Family, name: str) -> None:
        self.name = name
        self.values = {**dict(family.defaults), **{k: v for k, v in config.items() if v is not None}}
        for ours, theirs in family.renames:
            if self.values.get(theirs) is not None:
                self.values[ours] = self.values[theirs]

    def count(self, field: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.values.get(field, default)
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


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read {path} ({error.strerror})", "a Hugging Face config.json",
                        "check the path, or see `scalinglab specs` for known names") from error  # fmt: skip
    except ValueError as error:
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
    text = config.get("text_config", config)
    if not isinstance(text, Mapping):
        raise SpecError(f"{name}: text_config is {text!r}", "a JSON object", "mend text_config")
    fields = _Fields(text, family, name)
    hidden = fields.count("hidden_size")
    layers = fields.count("num_hidden_layers")
    scheme = Counter(zip(_windows(fields, family, layers), _sparse(fields, str(kind), layers), strict=True))
    return ModelSpec(
        name=name,
        family=str(kind),
        hidden=hidden,
        vocab=fields.count("vocab_size"),
        blocks=tuple(_block(fields, family, hidden, count, *key) for key, count in scheme.items()),
        tied=fields.flag("tie_word_embeddings", family.tied),
        positions=fields.count("max_position_embeddings") if family.learned_positions else 0,
        final_vectors=hidden * (2 if family.layer_norm else 1),
        max_context=fields.count("max_position_embeddings") if fields.has("max_position_embeddings") else None,
    )


def _windows(fields: _Fields, family: Family, layers: int) -> list[int | None]:
    """The attention window of every layer (None: all positions)."""
    full: list[int | None] = [None] * layers
    if family.windows == "none" or not fields.has("sliding_window"):
        return full
    window = fields.count("sliding_window")
    if family.windows == "all":
        return [window] * layers
    if family.windows == "switch":
        return [window] * layers if fields.flag("use_sliding_window", False) else full
    kinds = fields.values.get("layer_types") or _layer_types(fields, family, layers)
    if len(kinds) != layers or not set(kinds) <= {"sliding_attention", "full_attention"}:
        raise fields.inconsistent(f"layer_types is {kinds!r:.80}", f"{layers} of sliding_attention or full_attention",
                                  "layer_types")  # fmt: skip
    return [window if kind == "sliding_attention" else None for kind in kinds]


def _layer_types(fields: _Fields, family: Family, layers: int) -> list[str]:
    if family.windows == "pattern":
        period = fields.count("sliding_window_pattern", 6)
        sliding = [(i + 1) % period > 0 for i in range(layers)]
    else:
        first = fields.count("max_window_layers", layers, least=0)
        sliding = [fields.flag("use_sliding_window", False) and i >= first for i in range(layers)]
    return ["sliding_attention" if slides else "full_attention" for slides in sliding]


def _sparse(fields: _Fields, kind: str, layers: int) -> list[bool]:
    """Which layers route tokens to experts."""
    if kind == "mixtral":
        return [True] * layers
    if kind == "qwen3_moe":
        step, dense = fields.count("decoder_sparse_step", 1), fields.values.get("mlp_only_layers", [])
        return [i not in dense and (i + 1) % step == 0 for i in range(layers)]
    if kind in ("deepseek_v2", "deepseek_v3"):
        first = fields.count("first_k_dense_replace", 0, least=0)
        return [i >= first for i in range(layers)]
    return [False] * layers


def _block(
    fields: _Fields, family: Family, hidden: int, count: int, window: int | None, sparse: bool
) -> Block:
    attention = _latent_attention(fields, hidden) if family.latent else _attention(fields, family, hidden)
    norms = hidden * family.norms * (2 if family.layer_norm else 1)
    attention["vectors"] += norms
    return Block(count=count, window=window, **attention, **_mlp(fields, family, hidden, sparse))


def _attention(fields: _Fields, family: Family, hidden: int) -> dict[str, Any]:
    heads = fields.count("num_attention_heads")
    groups = fields.count("num_key_value_heads", heads)
    if heads % groups:
        raise fields.inconsistent(f"num_attention_heads {heads} is no multiple of num_key_value_heads {groups}",
                                  "a multiple", "num_key_value_heads")  # fmt: skip
    if not fields.has("head_dim") and hidden % heads:
        raise fields.inconsistent(f"hidden_size {hidden} is not divisible by num_attention_heads {heads}",
                                  "a multiple, or an explicit head_dim", "hidden_size")  # fmt: skip
    dim = fields.count("head_dim", hidden // heads)
    bias = fields.flag("attention_bias", family.attention_bias)
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
    return {"projections": projections, "heads": heads, "qk_dim": dim, "v_dim": dim,
            "cached": 2 * key, "vectors": vectors}  # fmt: skip


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
    return {"projections": query + rest, "heads": heads, "qk_dim": nope + rope, "v_dim": value,
            "cached": rank + rope, "vectors": vectors}  # fmt: skip


def _mlp(fields: _Fields, family: Family, hidden: int, sparse: bool) -> dict[str, Any]:
    bias = fields.flag("mlp_bias", False) if family.mlp_bias is None else family.mlp_bias
    if not sparse:
        default = None if family.gated else 4 * hidden
        return {"mlp": _feed_forward(hidden, fields.count("intermediate_size", default), family.gated, bias)}
    width = fields.count("moe_intermediate_size", fields.values.get("intermediate_size"))
    experts = _first_count(fields, ("n_routed_experts", "num_experts", "num_local_experts"))
    active = fields.count("num_experts_per_tok")
    if active > experts:
        raise fields.inconsistent(f"num_experts_per_tok {active} exceeds the {experts} experts",
                                  f"1 to {experts}", "num_experts_per_tok")  # fmt: skip
    shared = fields.count("n_shared_experts", 0, least=0) if family.latent else 0
    return {
        "mlp": _feed_forward(hidden, shared * width, True, bias) if shared else (),
        "router": (Linear(hidden, experts),),
        "expert": _feed_forward(hidden, width, True, False),
        "experts": experts,
        "active_experts": active,
    }


def _first_count(fields: _Fields, names: tuple[str, ...]) -> int:
    return fields.count(next((name for name in names if fields.has(name)), names[0]))


def _feed_forward(hidden: int, width: int, gated: bool, bias: bool) -> tuple[Linear, ...]:
    up = Linear(hidden, width, bias)
    return (*([up] if gated else []), up, Linear(width, hidden, bias))


def _parameters(matrices: Iterable[Linear]) -> int:
    return sum(matrix.parameters for matrix in matrices)


@cache
def catalogue() -> tuple[ModelSpec, ...]:
    """Common open models, with training tokens where they are published and the source of both."""
    text = resources.files("scalinglab").joinpath("data/models.json").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in json.loads(text)["models"])


def _entry(row: Mapping[str, Any]) -> ModelSpec:
    facts = {key: row.get(key) for key in ("series", "training_tokens", "training_sequence", "source")}
    return replace(ModelSpec.from_config(row["config"], name=row["name"]), **facts)


def find(name_or_path: str | Path) -> ModelSpec:
    """The spec in a config file or directory, or under a name of the catalogue (case, spaces and dashes aside)."""
    path = Path(name_or_path)
    if path.is_file() or (path / "config.json").is_file():
        return ModelSpec.from_config(path)
    for spec in catalogue():
        if _plain(spec.name) == _plain(str(name_or_path)):
            return spec
    raise SpecError(f"no model or file named {str(name_or_path)!r}", "a name of the catalogue or a path",
                    "list the names with `scalinglab specs`")  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.split("/")[-1].lower())


@dataclass(frozen=True)
class Pair:
    """Two models and how far apart they are in each count of parameters."""

    small: ModelSpec
    large: ModelSpec

    def ratio(self, count: str) -> float:
        return float(getattr(self.large, count) / getattr(self.small, count))


def pairs(ratio: float, *, tolerance: float = 0.1, across: bool = False) -> list[Pair]:
    """Catalogue pairs whose ratio in any of COUNTS lies within ``tolerance`` (relative) of ``ratio``.

    Nearest first. Pairs of one series only, since their data is shared; ``across`` lifts that.
    """
    if not (math.isfinite(ratio) and ratio > 1):
        raise SpecError(f"ratio is {ratio}", "a number above 1", "give large / small, such as 14")
    found = [Pair(a, b) for a, b in permutations(catalogue(), 2) if across or (a.series and a.series == b.series)]
    distance = {pair: min(abs(math.log(pair.ratio(count) / ratio)) for count in COUNTS) for pair in found}
    return sorted((pair for pair in found if distance[pair] <= math.log1p(tolerance)), key=lambda p: distance[p])
