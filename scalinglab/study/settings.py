"""A study as its user writes it: a study.toml, read whole or refused in one line that names the key."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.collect import JUDGE, MATH_SHEPHERD, RLHFLOW, Template
from scalinglab.collect.judging import NUMBER, VERDICT
from scalinglab.collect.strategies import STRATEGIES, Strategy, find
from scalinglab.errors import DataError, EngineError
from scalinglab.outside import imported
from scalinglab.samples import AGGREGATES
from scalinglab.samples.document import Table
from scalinglab.study.cast import POLICIES, ModelSettings, read_models
from scalinglab.study.lines import line_of

if TYPE_CHECKING:
    from scalinglab.study.written import Prompt

TEMPLATES: Mapping[str, tuple[Template | None, str, str]] = {
    "task": (None, "<good>", "<bad>"),
    "math-shepherd": (MATH_SHEPHERD, "+", "-"),
    "rlhflow": (RLHFLOW, "+", "-"),
}
"""By name: the template (None: the task's own), the good token and the bad one."""


@dataclass(frozen=True)
class VerifierSettings:
    """One verifier: read off ``model`` by tokens or rewards, the exact checker, or another's scores with noise.

    kind: or "judge", which ``model`` writes, or the "module:function" that makes it. options: what such a one
    takes besides.
    outcome: one reward in all, not one a step. logits: rewards are not probabilities yet. label: of a model that
    rewards several labels, which is the good one, from 0.
    """

    name: str
    kind: str
    model: str | None = None
    template: Template | None = None
    good: str = "<good>"
    bad: str = "<bad>"
    outcome: bool = False
    logits: bool = False
    label: int | None = None
    of: str | None = None
    flips: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)


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
    requests: in flight to one server at a time. timeout: seconds that one answer of a server may take.
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
    requests: int = 256
    timeout: float = 600.0
    engine: Mapping[str, Any] | None = None
    side_by_side: bool = True


def read_study(path: str | Path) -> Study:
    """The study of a file. Raises DataError naming the line and the key that is unknown, missing or wrong.

    Raises EngineError where pydantic is not installed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        top = Entries(path.name, tomllib.loads(text), line=partial(line_of, text))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})", "a study.toml", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not TOML ({error})", "a study.toml", "mend it there") from error
    written, checked = records()
    checked(written.Top, top)
    limits = checked(written.Limits, top.table("limits", {}))
    engine = checked(written.Engine, top.table("engine", {})).given()
    task, models = top.table("task"), read_models(top.table("models"))
    checked(written.TASKS[task.choice("kind", tuple(written.TASKS))], task)
    verifiers = _verifiers(top.table("verifiers", {}), models)
    study = Study(
        name=top.take("name", _is_name, "a name, not a path", path.stem),
        folder=path.resolve().parent,
        text=text,
        task=task.values,
        models=models,
        verifiers=verifiers,
        strategies=tuple(_strategy(table, models, verifiers) for table in top.tables("strategies")),
        seeds=tuple(top.values.get("seeds", (0,))),
        **dict(limits),
        side_by_side=engine.pop("side_by_side", True),
        engine=engine,
    )
    _check_chat(study, top)
    return study


def records() -> tuple[Any, Any]:
    """What may be written, and what checks it: pydantic is loaded where a study is read, and nowhere else.

    Raises EngineError where it is not installed, as nothing is that collects.
    """
    try:
        from scalinglab.study import checked, written
    except ImportError as error:
        raise EngineError(
            "pydantic is not installed", "it to read a study.toml", "pip install 'scalinglab[collect]'"
        ) from error
    return written, checked.checked


def _is_name(value: Any) -> bool:
    """Whether a value can name a run, and a folder by it: no path, and nothing that cannot be shown."""
    named = isinstance(value, str) and value.isprintable() and not re.search(r"[/\\]", value)
    return named and bool(value.strip(". "))


def _check_chat(study: Study, top: Entries) -> None:
    """Raises DataError where a study asks a chat server for what only completions can give."""
    asked = {name for name, one in study.models.items() if one.api == "chat"}
    if "chat" in study.task and asked & set(POLICIES):
        raise DataError(
            f"{top.at('task', 'chat')}: task.chat beside a model of api chat",
            "one template: chat is asked in the server's own",
            'drop task.chat, or ask for completions (api = "completions")',
        )
    for i, entry in enumerate(study.strategies):
        goes_on = any(map(entry.strategy.goes_on, entry.cells))
        where = f"{top.at('strategies', i)}: strategies[{i}]"
        for name in entry.models:
            if goes_on and name in asked:
                raise DataError(
                    f"{where} is {entry.strategy.name} of {name}, a model of api chat",
                    "a strategy that writes whole solutions: chat goes on with no text that it has begun",
                    'ask for completions (api = "completions"), or drop the strategy',
                )


def _verifiers(table: Entries, models: Mapping[str, ModelSettings]) -> dict[str, VerifierSettings]:
    names = list(table.values)
    found = {name: _verifier(table.table(name), name, list(models), names) for name in names}
    for name, one in found.items():
        if one.of is not None and found[one.of].kind == "noisy":
            raise table.wrong(f"{name}.of", one.of, "a verifier that is not noisy itself")
    return found


def _verifier(table: Entries, name: str, models: Sequence[str], verifiers: Sequence[str]) -> VerifierSettings:
    kind = table.values.get("kind")
    if isinstance(kind, str) and ":" in kind:
        return _outside(table, name, models)
    written, checked = records()
    kind = table.choice("kind", tuple(written.VERIFIERS), "token")
    given = checked(written.VERIFIERS[kind], table).given() | {"kind": kind}
    for key, names in (("model", models), ("of", verifiers)):
        if key in given:
            table.choice(key, names)
    if kind == "judge":
        return _judge(table, name, given)
    if kind in ("token", "reward"):
        template, good, bad = _template(given.get("template", "task"))
        given = {"good": good, "bad": bad} | given | {"template": template}
    return VerifierSettings(name, **given)


def _template(given: str | Prompt) -> tuple[Template | None, str, str]:
    """A template by its name, or its own strings; and its good and bad tokens."""
    return TEMPLATES[given] if isinstance(given, str) else (Template(**given.given()), "+", "-")


def _judge(table: Entries, name: str, given: dict[str, Any]) -> VerifierSettings:
    scale, template = given.get("scale"), given.pop("template", None)
    usual: dict[str, Any] = {
        "votes": 1,
        "temperature": 1.0,
        "max_tokens": 512,
        "pattern": VERDICT if scale is None else NUMBER,
    }
    words: dict[str, Any] = {"good": "yes", "bad": "no"} if scale is None else {}
    options = usual | {"scale": None} | words | given
    kind, model = options.pop("kind"), options.pop("model")
    if scale is not None:
        table.close(also=[*usual, "kind", "model", "scale", "template"])
    elif options["good"].casefold() == options["bad"].casefold():
        raise table.wrong("good", options["good"], "another word than bad")
    if options["votes"] > 1 and options["temperature"] == 0:
        raise table.wrong("votes", options["votes"], "1 at temperature 0, at which all are alike")
    try:
        re.compile(options["pattern"])
    except re.error as error:
        raise table.wrong("pattern", options["pattern"], f"a regular expression ({error})") from error
    asked = JUDGE if template is None else replace(JUDGE, **template.given())
    return VerifierSettings(name, kind, model, asked, options=options)


def _outside(table: Entries, name: str, models: Sequence[str]) -> VerifierSettings:
    """A verifier made by a function from outside: (engine, task, **options), which are its other keys."""
    kind, model = table.text("kind"), table.choice("model", models, None)
    options = {key: value for key, value in table.values.items() if key not in ("kind", "model")}
    with _placed(table):
        make = imported(kind, "verifier")
    try:
        inspect.signature(make).bind(None, None, **options)
    except (TypeError, ValueError) as error:
        raise table.wrong("kind", kind, f"a function of an engine, a task and these keys ({error})") from error
    return VerifierSettings(name, kind, model, options=options)


def _strategy(table: Entries, models: Mapping[str, Any], verifiers: Mapping[str, Any]) -> StrategySettings:
    name = table.values.get("name")
    outside = isinstance(name, str) and ":" in name
    with _placed(table):
        strategy = find(table.text("name") if outside else table.choice("name", tuple(STRATEGIES)))
    chosen = tuple(table.each("models", [m for m in models if m in POLICIES], (strategy.model,)))
    parameters: dict[str, Any] = {
        "temperature": table.real("temperature", None) if strategy.sampled else None,
        "aggregate": table.choice("aggregate", tuple(AGGREGATES), None) if strategy.verifier != "none" else None,
        "verifier": _verifier_of(strategy, table, verifiers),
    }
    shared = {key: value for key, value in parameters.items() if value is not None}
    with _placed(table):
        cells = tuple({**own, **shared} for own in strategy.cells(table))
        for own in cells:
            strategy.budget(own)  # which refuses what cannot be
    table.close()
    return StrategySettings(strategy, chosen, cells)


@contextmanager
def _placed(table: Table) -> Iterator[None]:
    """What is wrong with a table, where what says so does not know the file."""
    try:
        yield
    except DataError as error:
        given, allowed, do = error.args
        if given.startswith(table.file):
            raise
        raise DataError(f"{table.at()}: {table.path()} is {given}", allowed, do) from error


def _verifier_of(strategy: Strategy, table: Entries, verifiers: Mapping[str, Any]) -> str | list[str] | None:
    if strategy.verifier == "guides":
        guide: str = table.choice("verifier", tuple(verifiers))
        return guide
    return table.names(verifiers) if strategy.verifier == "judges" else None


class Entries(Table):
    """A table of a study.toml, which may name verifiers."""

    def names(self, verifiers: Mapping[str, Any]) -> str | list[str] | None:
        """``verifier``: one of the names, or a list of different ones, the first of which counts."""
        if not isinstance(self.values.get("verifier"), list):
            chosen: str | None = self.choice("verifier", tuple(verifiers), None)
            return chosen
        several = list(self.each("verifier", tuple(verifiers), ()))
        if len(set(several)) < len(several):
            raise self.wrong("verifier", several, "different verifiers")
        return several if len(several) > 1 else several[0]
