"""A study as its user writes it: a study.toml, read whole or refused in one line that names the key."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scalinglab.collect import MATH_SHEPHERD, RLHFLOW, Template
from scalinglab.collect.strategies import STRATEGIES, Strategy, find
from scalinglab.collect.vllm_start import EngineSettings
from scalinglab.errors import DataError
from scalinglab.samples import AGGREGATES

POLICIES = {"small": "policy", "large": "large", "reviser": "reviser"}
"""The models that solve problems, and the role each is recorded under; prm and orm verify."""
MODELS = (*POLICIES, "prm", "orm")
TEMPLATES: Mapping[str, tuple[Template | None, str, str]] = {
    "task": (None, "<good>", "<bad>"),
    "math-shepherd": (MATH_SHEPHERD, "+", "-"),
    "rlhflow": (RLHFLOW, "+", "-"),
}
"""By name: the template (None: the task's own), the good token and the bad one."""


@dataclass(frozen=True)
class ModelSettings:
    """One model: a path, a Hugging Face name or a shipped testbed model, and how to reach and to price it.

    url: servers that serve it under the name ``model``; none: this process runs it. key_env: the environment
    variable that holds their key. spec: a config.json or a catalogue name, where ``model`` leads to neither.
    """

    name: str
    model: str
    url: tuple[str, ...] = ()
    key_env: str | None = None
    spec: str | None = None
    training_tokens: int | None = None
    training_sequence: int | None = None


@dataclass(frozen=True)
class VerifierSettings:
    """One verifier: read off ``model`` by tokens or rewards, the exact checker, or another's scores with noise."""

    name: str
    kind: str
    model: str | None = None
    template: Template | None = None
    good: str = "<good>"
    bad: str = "<bad>"
    outcome: bool = False
    of: str | None = None
    flips: float = 0.0


@dataclass(frozen=True)
class StrategySettings:
    """One strategy for some models; ``cells``: the parameters of its units, at each budget that was asked for."""

    strategy: Strategy
    models: tuple[str, ...]
    cells: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Study:
    """A study.toml, parsed. ``task`` is its table; relative paths in it are relative to ``folder``.

    in_flight: units of work at a time. problems: of the task, the first so many (None: all).
    engine: EngineSettings for every model run in this process, those that were given.
    side_by_side: whether all models are in memory together, or those of one policy at a time.
    """

    name: str
    folder: Path
    text: str
    task: Mapping[str, Any]
    models: Mapping[str, ModelSettings]
    verifiers: Mapping[str, VerifierSettings]
    strategies: tuple[StrategySettings, ...]
    seeds: tuple[int, ...] = (0,)
    in_flight: int = 64
    problems: int | None = None
    engine: Mapping[str, Any] | None = None
    side_by_side: bool = True


def read_study(path: str | Path) -> Study:
    """The study of a file. Raises DataError naming the key that is unknown, missing or has a wrong value."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        top = Table(path.name, "", tomllib.loads(text))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})", "a study.toml", "check the path") from error
    except ValueError as error:
        raise DataError(f"{path} is not TOML ({error})", "a study.toml", "mend it there") from error
    limits, engine = top.table("limits", {}), top.table("engine", {})
    models = _models(top.table("models"))
    verifiers = _verifiers(top.table("verifiers", {}), models)
    study = Study(
        name=top.text("name", path.stem),
        folder=path.resolve().parent,
        text=text,
        task=top.table("task").values,
        models=models,
        verifiers=verifiers,
        strategies=tuple(_strategy(table, models, verifiers) for table in top.tables("strategies")),
        seeds=top.numbers("seeds", (0,), least=0),
        in_flight=limits.number("in_flight", 64),
        problems=limits.number("problems", None),
        side_by_side=engine.flag("side_by_side", True),
        engine={f.name: engine.values[f.name] for f in fields(EngineSettings) if f.name in engine.values},
    )
    for table in (top, limits):
        table.close()
    engine.close(also=[f.name for f in fields(EngineSettings)])
    return study


def _models(table: Table) -> dict[str, ModelSettings]:
    found = {}
    for name in MODELS:
        if name in table.values:
            one = table.table(name)
            found[name] = ModelSettings(
                name,
                one.text("model"),
                url=tuple(one.texts("url", ())),
                key_env=one.text("key_env", None),
                spec=one.text("spec", None),
                training_tokens=one.number("training_tokens", None),
                training_sequence=one.number("training_sequence", None),
            )
            one.close()
    table.close(also=MODELS)
    if not set(found) & set(POLICIES):
        raise table.wrong("models", sorted(found), f"one of {', '.join(POLICIES)} at least")
    return found


def _verifiers(table: Table, models: Mapping[str, ModelSettings]) -> dict[str, VerifierSettings]:
    names = list(table.values)
    found = {name: _verifier(table.table(name), name, list(models), names) for name in names}
    for name, one in found.items():
        if one.of is not None and found[one.of].kind == "noisy":
            raise table.wrong(f"{name}.of", one.of, "a verifier that is not noisy itself")
    return found


def _verifier(table: Table, name: str, models: Sequence[str], verifiers: Sequence[str]) -> VerifierSettings:
    kind = table.choice("kind", ("token", "reward", "exact", "noisy"), "token")
    template, good, bad = table.template() if kind in ("token", "reward") else (None, "", "")
    token, noisy = kind == "token", kind == "noisy"
    found = VerifierSettings(
        name,
        kind,
        model=table.choice("model", models) if kind in ("token", "reward") else None,
        template=template,
        good=table.text("good", good) if token else good,
        bad=table.text("bad", bad) if token else bad,
        outcome=table.flag("outcome", False) if kind == "reward" else False,
        of=table.choice("of", verifiers) if noisy else None,
        flips=table.real("flips") if noisy else 0.0,
    )
    if not 0 <= found.flips <= 1:
        raise table.wrong("flips", found.flips, "a probability, 0 to 1")
    table.close()
    return found


def _strategy(table: Table, models: Mapping[str, Any], verifiers: Mapping[str, Any]) -> StrategySettings:
    name = table.values.get("name")
    outside = isinstance(name, str) and ":" in name
    strategy = find(table.text("name") if outside else table.choice("name", tuple(STRATEGIES)))
    chosen = tuple(table.each("models", [m for m in models if m in POLICIES], (strategy.model,)))
    parameters: dict[str, Any] = {
        "temperature": table.real("temperature", None) if strategy.sampled else None,
        "aggregate": table.choice("aggregate", tuple(AGGREGATES), None) if strategy.verifier != "none" else None,
        "verifier": _verifier_of(strategy, table, verifiers),
    }
    shared = {key: value for key, value in parameters.items() if value is not None}
    found = StrategySettings(strategy, chosen, tuple({**own, **shared} for own in strategy.cells(table)))
    table.close()
    return found


def _verifier_of(strategy: Strategy, table: Table, verifiers: Mapping[str, Any]) -> str | list[str] | None:
    if strategy.verifier == "guides":
        guide: str = table.choice("verifier", tuple(verifiers))
        return guide
    return table.names(verifiers) if strategy.verifier == "judges" else None


_NONE: Any = object()


class Table:
    """A table of a TOML file, read key by key; ``close`` refuses what nobody read."""

    def __init__(self, file: str, name: str, values: Mapping[str, Any]) -> None:
        self.file, self.name, self.values = file, name, values
        self._read: set[str] = set()

    def wrong(self, key: str, value: object, allowed: str) -> DataError:
        """The error that a key has a value it cannot have."""
        return DataError(f"{self.file}: {self._path(key)} is {value!r:.80}", allowed, f"mend {key}")

    def take(self, key: str, good: Callable[[Any], bool], allowed: str, default: Any = _NONE) -> Any:
        """A value that is as allowed, or the default where the key is not there."""
        self._read.add(key)
        if key not in self.values:
            if default is _NONE:
                raise DataError(f"{self.file}: no {self._path(key)}", allowed, f"add {key}")
            return default
        if not good(self.values[key]):
            raise self.wrong(key, self.values[key], allowed)
        return self.values[key]

    def close(self, *, also: Sequence[str] = ()) -> None:
        """Raises DataError where a key is left that nobody read."""
        known = {*self._read, *also}
        unknown = [key for key in self.values if key not in known]
        if unknown:
            raise DataError(
                f"{self.file}: {self._path(unknown[0])} is no key",
                f"one of {', '.join(sorted(known)) or 'none'}",
                f"mend or drop {unknown[0]}",
            )

    def text(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, lambda v: isinstance(v, str) and v != "", "a text", default)

    def texts(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, _list_of(lambda v: isinstance(v, str) and v != ""), "a list of texts", default)

    def number(self, key: str, default: Any = _NONE, *, least: int = 1) -> Any:
        return self.take(key, _whole(least), f"a whole number >= {least}", default)

    def numbers(self, key: str, default: Any = _NONE, *, least: int = 1) -> tuple[int, ...]:
        return tuple(self.take(key, _list_of(_whole(least)), f"a list of whole numbers >= {least}", default))

    def real(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, lambda v: type(v) in (int, float) and v >= 0, "a number >= 0", default)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, lambda v: isinstance(v, bool), "true or false", default))

    def choice(self, key: str, allowed: Sequence[str], default: Any = _NONE) -> Any:
        some = f"one of {', '.join(allowed) or 'none: there are none'}"
        return self.take(key, lambda v: isinstance(v, str) and v in allowed, some, default)

    def each(self, key: str, allowed: Sequence[str], default: tuple[str, ...]) -> Sequence[str]:
        """A list of some of the allowed names; the default must be among them too."""
        some = f"a list of some of {', '.join(allowed)}"
        chosen: Sequence[str] = self.take(key, _list_of(lambda v: v in allowed), some, default)
        if not set(chosen) <= set(allowed):
            raise DataError(f"{self.file}: no {self._path(key)}, and no model {chosen[0]}", some, f"add {key}")
        return chosen

    def names(self, verifiers: Mapping[str, Any]) -> str | list[str] | None:
        """``verifier``: one of the names, or a list of different ones, the first of which counts."""
        if not isinstance(self.values.get("verifier"), list):
            chosen: str | None = self.choice("verifier", tuple(verifiers), None)
            return chosen
        several = list(self.each("verifier", tuple(verifiers), ()))
        if len(set(several)) < len(several):
            raise self.wrong("verifier", several, "different verifiers")
        return several if len(several) > 1 else several[0]

    def table(self, key: str, default: Any = _NONE) -> Table:
        values = self.take(key, lambda v: isinstance(v, dict), "a table", default)
        return Table(self.file, self._path(key), values)

    def tables(self, key: str) -> list[Table]:
        values = self.take(key, _list_of(lambda v: isinstance(v, dict)), f"tables [[{key}]]")
        return [Table(self.file, f"{self._path(key)}[{i}]", one) for i, one in enumerate(values)]

    def template(self) -> tuple[Template | None, str, str]:
        """A template by its name, or as a table of its strings; and its good and bad tokens."""
        if not isinstance(self.values.get("template"), dict):
            return TEMPLATES[self.choice("template", tuple(TEMPLATES), "task")]
        parts = self.table("template")
        given = {
            f.name: parts.take(f.name, lambda v: isinstance(v, str), "a text", f.default) for f in fields(Template)
        }
        parts.close()
        return Template(**given), "+", "-"

    def _path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= least


def _list_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(good(one) for one in value)
