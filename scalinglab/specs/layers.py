"""Which layers a model has: the kind of each, whether it routes tokens to experts, and what it has of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.specs.fields import Fields

FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"
LINEAR, INDEXED = "linear_attention", "indexed_attention"
_LEGACY = {"mamba": LINEAR, "attention": FULL}
_LETTERS = {"M": LINEAR, "E": "moe", "*": FULL, "-": "mlp"}
_MOST_LAYERS = 100_000

Own = tuple[tuple[str, Any], ...]
"""Fields that one layer has of its own, and their values."""
_NOTHING: Own = ()


@dataclass(frozen=True)
class Layer:
    """What sets one layer apart. ``borrows``: it reads the keys and values of an earlier one of its kind.

    ``kind``: full_, sliding_, chunked_, indexed_ or linear_attention, or mlp or moe of a layer with no mixer.
    ``own``: the fields that it has of its own.
    """

    kind: str
    sparse: bool
    borrows: bool = False
    own: Own = _NOTHING


def layers(fields: Fields) -> list[Layer]:
    """Every layer, first to last. Raises SpecError naming the field that is inconsistent."""
    kinds = _kinds(fields)
    sparse = _SPARSE[fields.family.sparse](fields, kinds)
    heeded = "num_kv_shared_layers" in fields.family.defaults
    shared = fields.count("num_kv_shared_layers", 0, least=0) if heeded else 0
    if shared and set(kinds[: -shared or None]) != set(kinds):
        problem = f"num_kv_shared_layers {shared} leaves a kind of layer without keys of its own"
        raise fields.inconsistent(problem, "one layer of each kind before them", "num_kv_shared_layers")
    borrows = [i >= len(kinds) - shared for i in range(len(kinds))]
    own = _OWN[fields.family.own](fields, kinds, borrows)
    return [Layer(*each) for each in zip(kinds, sparse, borrows, own, strict=True)]


def _kinds(fields: Fields) -> list[str]:
    family = fields.family
    count = None if family.single else fields.count("num_hidden_layers")
    if count is not None and count > _MOST_LAYERS:
        raise fields.inconsistent(f"num_hidden_layers is {count}", f"at most {_MOST_LAYERS}", "num_hidden_layers")
    kinds = _renamed(fields).words("layer_types", count, family.types) if family.types else None
    kinds = _RULES[family.kinds](fields) if kinds is None else kinds
    if family.own == "global":  # Gemma 4 forces its last layer
        kinds = [*kinds[:-1], FULL]
    windowless = _windowless(fields)
    return [FULL if kind in windowless else kind for kind in kinds]


def _renamed(fields: Fields) -> Fields:
    """With ``layer_types`` as classes call them today, or from the letters of Nemotron-H's older pattern."""
    listed, pattern = fields.values.get("layer_types"), fields.values.get("hybrid_override_pattern")
    if listed is None and fields.family.kinds == "listed" and pattern is not None:
        if not isinstance(pattern, str) or not pattern or set(pattern) - _LETTERS.keys():
            problem, letters = f"hybrid_override_pattern is {pattern!r:.80}", f"letters of {''.join(_LETTERS)}"
            raise fields.inconsistent(problem, letters, "hybrid_override_pattern")
        listed = [_LETTERS[letter] for letter in pattern]
    if isinstance(listed, list):
        listed = [_LEGACY.get(kind, kind) if isinstance(kind, str) else kind for kind in listed]
    return fields if listed is None else fields.within({"layer_types": listed})


def _windowless(fields: Fields) -> set[str]:
    """The kinds whose window the config turns off."""
    off = fields.family.switch and not fields.flag("use_sliding_window")
    kinds = {SLIDING} if off or not fields.has("sliding_window") else set()
    return kinds if fields.has("attention_chunk_size") else {*kinds, CHUNKED}


def _sliding(fields: Fields) -> list[str]:
    return [SLIDING] * fields.count("num_hidden_layers")


def _late(fields: Fields) -> list[str]:
    first = fields.count("max_window_layers", least=0)
    return [SLIDING if i >= first else FULL for i in range(fields.count("num_hidden_layers"))]


def _periodic(fields: Fields) -> list[str]:
    period, other = fields.family.period, fields.family.other
    period = period if isinstance(period, int) else fields.count(*period)
    return [other if (i + 1) % period else FULL for i in range(fields.count("num_hidden_layers"))]


def _rope(fields: Fields) -> list[str]:
    """By ``no_rope_layers``, whose zeros are the layers without rotary positions."""
    count, period = fields.count("num_hidden_layers"), fields.count("no_rope_layer_interval")
    rotary = fields.numbers("no_rope_layers") or [(i + 1) % period for i in range(count)]
    if len(rotary) != count:
        raise fields.inconsistent(f"no_rope_layers has {len(rotary)} layers", str(count), "no_rope_layers")
    with_, without = fields.family.rope
    if without == SLIDING and not fields.flag("use_sliding_window"):
        without = FULL
    return [with_ if has else without for has in rotary]


_RULES: Mapping[str, Callable[[Fields], list[str]]] = {
    "full": lambda fields: [FULL] * fields.count("num_hidden_layers"),
    "linear": lambda fields: [LINEAR] * fields.count("num_hidden_layers"),
    "indexed": lambda fields: [INDEXED] * fields.count("num_hidden_layers"),
    "listed": lambda _: [LINEAR, "moe", FULL, "mlp"],  # Nemotron-H's own, however many layers
    "sliding": _sliding,
    "late": _late,
    "period": _periodic,
    "rope": _rope,
}


def _stepwise(fields: Fields, kinds: list[str]) -> list[bool]:
    step, dense = fields.count("decoder_sparse_step", 1), fields.numbers("mlp_only_layers") or []
    return [i not in dense and (i + 1) % step == 0 for i in range(len(kinds))]


def _typed(fields: Fields, kinds: list[str]) -> list[bool]:
    listed = fields.words("mlp_layer_types", len(kinds), ("dense", "sparse"))
    return _after_dense(fields, kinds) if listed is None else [kind == "sparse" for kind in listed]


def _after_dense(fields: Fields, kinds: list[str]) -> list[bool]:
    first = fields.family.dense or fields.count("first_k_dense_replace", 0, least=0)
    return [i >= first for i in range(len(kinds))]


def _interleaved(fields: Fields, kinds: list[str]) -> list[bool]:
    step, listed = fields.count("interleave_moe_layer_step"), fields.numbers("moe_layers")
    return [(i + 1) % step == 0 if listed is None else i in listed for i in range(len(kinds))]


def _ranged(fields: Fields, kinds: list[str]) -> list[bool]:
    first, last = fields.count("moe_layer_start_index", least=0), fields.count("moe_layer_end_index", -1, least=-1)
    last, step = len(kinds) - 1 if last == -1 else last, fields.count("moe_layer_interval")
    return [(i + 1) % step == 0 and first <= i <= last for i in range(len(kinds))]


_SPARSE: Mapping[str, Callable[[Fields, list[str]], list[bool]]] = {
    "none": lambda _, kinds: [False] * len(kinds),
    "all": lambda _, kinds: [True] * len(kinds),
    "some": lambda fields, kinds: [fields.count("num_experts", least=0) > 0] * len(kinds),
    "switch": lambda fields, kinds: [fields.flag("enable_moe_block")] * len(kinds),
    "kind": lambda _, kinds: [kind == "moe" for kind in kinds],
    "step": _stepwise,
    "dense first": _after_dense,
    "typed": _typed,
    "interleaved": _interleaved,
    "range": _ranged,
}


def _widths(fields: Fields, kinds: list[str], _borrows: list[bool]) -> list[Own]:
    """Gemma 3n: an MLP width for each layer, or one for all."""
    if not isinstance(fields.values.get("intermediate_size"), list):
        return [_NOTHING] * len(kinds)
    widths = fields.numbers("intermediate_size", len(kinds)) or []
    return [(("intermediate_size", width),) for width in widths]


def _global(fields: Fields, kinds: list[str], borrows: list[bool]) -> list[Own]:
    """Gemma 4: heads of another size where a layer sees all positions; a double width where it borrows keys."""
    same, double = fields.flag("attention_k_eq_v"), fields.flag("use_double_wide_mlp")
    full: dict[str, Any] = {"values_are_keys": same}
    if not fields.has("per_layer_config"):
        full["head_dim"] = fields.count("global_head_dim", 512)
        if same and fields.has("num_global_key_value_heads"):
            full["num_key_value_heads"] = fields.count("num_global_key_value_heads")
    own: list[Own] = []
    for i, (kind, borrowed) in enumerate(zip(kinds, borrows, strict=True)):
        mine = {**(full if kind == FULL else {}), **_saved(fields, i)}
        if double and borrowed:
            mine["intermediate_size"] = 2 * fields.count("intermediate_size")
        own.append(tuple(mine.items()))
    return own


def _saved(fields: Fields, layer: int) -> Mapping[str, Any]:
    """What ``per_layer_config``, as transformers writes it, gives a layer; its keys are such as "05"."""
    saved = fields.values.get("per_layer_config", {})
    items = saved.items() if isinstance(saved, Mapping) else [("0", saved)]
    of_layer = [value for key, value in items if str(key).isdecimal() and int(key) == layer]
    mine = of_layer[0] if of_layer else {}
    if not isinstance(mine, Mapping) or not all(isinstance(value, int | float) for value in mine.values()):
        raise fields.inconsistent(f"per_layer_config is {saved!r:.80}", "numbers for a layer", "per_layer_config")
    return mine


def _indexers(fields: Fields, kinds: list[str], _borrows: list[bool]) -> list[Own]:
    """GLM-5: a layer picks its positions, or takes those that an earlier one picked."""
    pattern = fields.values.get("index_topk_pattern")
    if isinstance(pattern, str):
        pattern = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern]
    fields = fields if fields.has("indexer_types") else fields.within({"indexer_types": pattern})
    picks = fields.words("indexer_types", len(kinds), ("full", "shared"))
    if picks is None:
        period, first = fields.count("index_topk_freq", 1), fields.count("index_skip_topk_offset", 2, least=0)
        picks = ["shared" if max(i - first + 1, 0) % period else "full" for i in range(len(kinds))]
    return [(("picks_positions", pick == "full"),) for pick in picks]


_OWN: Mapping[str, Callable[[Fields, list[str], list[bool]], list[Own]]] = {
    "": lambda _fields, kinds, _borrows: [_NOTHING] * len(kinds),
    "widths": _widths,
    "global": _global,
    "indexers": _indexers,
}
