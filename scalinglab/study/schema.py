"""What a study.toml may say, as a JSON Schema: editors complete and check by it (Even Better TOML, taplo)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from scalinglab.collect.strategies import STRATEGIES, Strategy
from scalinglab.errors import DataError
from scalinglab.samples import AGGREGATES
from scalinglab.study.cast import MODELS, POLICIES
from scalinglab.study.settings import records

_TEXT = {"type": "string", "minLength": 1}
_OUTSIDE = {"type": "string", "pattern": ":"}


def study_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a study.toml: the records that ``read_study`` checks by, and the strategies'.

    Raises DataError where pydantic is not installed.
    """
    from pydantic.json_schema import models_json_schema

    written, _ = records()
    tables = dict.fromkeys([*written.TASKS.values(), *written.VERIFIERS.values()])
    every = [written.Top, written.Model, written.Limits, written.Engine, *tables]
    named, schema = models_json_schema([(one, "validation") for one in every], ref_template="#/$defs/{model}")
    refs = {record: named[record, "validation"] for record in every}
    defs = schema["$defs"]
    top = defs.pop("Top")
    top["properties"] |= {
        "task": {"anyOf": [refs[one] for one in dict.fromkeys(written.TASKS.values())]},
        "models": {
            "type": "object",
            "properties": dict.fromkeys(MODELS, refs[written.Model]),
            "additionalProperties": False,
        },
        "verifiers": {
            "type": "object",
            "additionalProperties": {"anyOf": [*(refs[one] for one in written.VERIFIERS.values()), _made()]},
        },
        "strategies": _list({"anyOf": [*map(_strategy, STRATEGIES.values()), _outside()]}),
        "limits": refs[written.Limits],
        "engine": refs[written.Engine],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": "study.toml of scalinglab",
        "$defs": defs,
    }


def _made() -> dict[str, Any]:
    """A verifier from outside the package: its own function says what else it takes."""
    return {
        "type": "object",
        "properties": {"kind": _OUTSIDE, "model": _TEXT},
        "required": ["kind"],
        "description": 'A verifier from outside: kind = "module:function".',
    }


def _outside() -> dict[str, Any]:
    """A strategy from outside the package."""
    return {
        "type": "object",
        "properties": {"name": _OUTSIDE},
        "required": ["name"],
        "description": 'A strategy from outside: name = "module:record".',
    }


def _strategy(strategy: Strategy) -> dict[str, Any]:
    """A strategy's table: what every one may say, and the keys that its own record reads."""
    verifier: dict[str, Any] = {**_TEXT, "description": "One of the study's verifiers."}
    if strategy.verifier == "judges":
        verifier = {
            "anyOf": [verifier, _list(_TEXT)],
            "description": "Verifiers that judge; the first one's scores count.",
        }
    keys = _Keys()
    with suppress(DataError):  # nothing is there that it could want; what it asked for up to there is known
        strategy.cells(keys)
    shared: dict[str, Any] = {
        "name": {"const": strategy.name},
        "models": _list({"enum": list(POLICIES)}),
    }
    if strategy.sampled:
        shared["temperature"] = {"type": "number", "minimum": 0}
    if strategy.verifier != "none":
        shared |= {"verifier": verifier, "aggregate": {"enum": list(AGGREGATES)}}
    return {
        "type": "object",
        "properties": shared | keys.read,
        "required": ["name", "verifier"] if strategy.verifier == "guides" else ["name"],
        "additionalProperties": False,
        "description": (strategy.solve.__doc__ or strategy.name).strip().split("\n")[0],
    }


class _Keys:
    """An entry that holds nothing, and notes what a strategy's record asks for."""

    def __init__(self) -> None:
        self.read: dict[str, Mapping[str, Any]] = {}

    def _note(self, key: str, schema: Mapping[str, Any], default: Any, stands: Any) -> Any:
        self.read[key] = schema
        return stands if default is ... else default

    def number(self, key: str, default: Any = ..., *, least: int = 1, word: str | None = None) -> Any:
        whole = {"type": "integer", "minimum": least}
        schema = whole if word is None else {"anyOf": [whole, {"const": word}]}
        return self._note(key, schema, default, least)

    def numbers(self, key: str, default: Any = ..., *, least: int = 1) -> tuple[int, ...]:
        found: Sequence[int] = self._note(key, _list({"type": "integer", "minimum": least}), default, (least,))
        return tuple(found)

    def texts(self, key: str, default: Any = ...) -> Any:
        return self._note(key, _list(_TEXT), default, ["x"])

    def real(self, key: str, default: Any = ...) -> Any:
        return self._note(key, {"type": "number", "minimum": 0}, default, 1.0)

    def text(self, key: str, default: Any = ...) -> Any:
        return self._note(key, _TEXT, default, "x")

    def flag(self, key: str, default: bool) -> bool:
        self.read[key] = {"type": "boolean"}
        return default

    def wrong(self, key: str, value: object, allowed: str) -> DataError:
        return DataError(f"{key} is {value!r}", allowed, f"mend {key}")


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}
