"""The plan of a run, its study.json: what was to be done, with which models; read here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.document import Table
from scalinglab.samples.records import ROLES, Unit

PLAN = "study.json"


@dataclass(frozen=True)
class Cell:
    """What is done on every problem: a Unit without its problem."""

    role: str
    model: str
    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: int = 1
    seed: int = 0


@dataclass(frozen=True)
class PlanModel:
    """A model of a plan.

    model: what the study named, a folder or a name. url: its servers, none where a process of ours ran it.
    spec: its config, or a catalogue name; None: unknown. training_tokens, training_sequence: how it was trained;
    None: unknown. served, api, server, replicas, answers_as, extra: its name to its servers, how they are asked,
    their kind (None: found out), copies of it behind each, its name in their answers, what else requests say.
    """

    model: str
    url: tuple[str, ...] = ()
    spec: str | Mapping[str, Any] | None = None
    training_tokens: int | None = None
    training_sequence: int | None = None
    served: str | None = None
    api: str = "completions"
    server: str | None = None
    replicas: int = 1
    answers_as: str | None = None
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """The cells of a study on each of its problems.

    models: by name. verifiers: the model behind each one's name; None behind the exact checker. wording: what
    stands around a question, rendered once (``tasks.wording.Wording``); None: the task's own, or unknown.
    asked: what else a run keeps to, by its key in [task], such as max_tokens; None: unknown.
    """

    run: str
    task: str
    problems: tuple[str, ...]
    cells: tuple[Cell, ...]
    models: Mapping[str, PlanModel]
    verifiers: Mapping[str, str | None]
    wording: Mapping[str, str] | None = None
    asked: Mapping[str, Any] | None = None

    @property
    def total(self) -> int:
        """How many units there are."""
        return len(self.problems) * len(self.cells)

    @property
    def asked_models(self) -> tuple[str, ...]:
        """The models of its cells and verifiers, by name, each once."""
        return tuple(dict.fromkeys([*(cell.model for cell in self.cells), *filter(None, self.verifiers.values())]))

    def units(self) -> Iterator[Unit]:
        """Every unit, problem by problem."""
        for problem in self.problems:
            for cell in self.cells:
                yield Unit(self.run, self.task, problem, **vars(cell))

    def to_json(self) -> str:
        """The text of study.json, which ``read_plan`` reads; later keys only where they say something."""
        whole = asdict(self)
        whole["models"] = {name: _without(one, _SERVED) for name, one in whole["models"].items()}
        return json.dumps(_without(whole, {"wording": None, "asked": None}), indent=1, ensure_ascii=False) + "\n"


def find_plan(path: str | Path) -> Path | None:
    """The study.json of a run: in its folder, or beside its store or tables; None where there is none."""
    path = Path(path)
    return next((at / PLAN for at in (path, path.parent) if (at / PLAN).is_file()), None)


def read_plan(path: str | Path) -> Plan:
    """The plan of the run at ``path`` (see ``find_plan``).

    Raises DataError where there is none, or naming the key that cannot be read.
    """
    place = find_plan(path)
    if place is None:
        raise DataError(f"no {PLAN} in {path} or beside it", "the folder of a run with its plan", "check the path")
    top = Table(str(place), _document(place))
    models = {name: _model(table) for name, table in _named(top, "models").items()}
    found = Plan(
        top.text("run"),
        top.text("task"),
        tuple(top.texts("problems")),
        tuple(_cell(table, models) for table in top.tables("cells", least=0)),
        models,
        _verifiers(top.table("verifiers"), models),
        top.take("wording", _wording, "the texts before, after and attempt", None),
        top.take("asked", lambda value: isinstance(value, dict), "a table", None),
    )
    top.close()
    return found


def _document(place: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no name that could be shown
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"cannot read {place} ({reason:.80})", "the plan of a study", "collect it again"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{place} holds a {type(found).__name__}", "the plan of a study", "collect it again")
    return found


def _named(top: Table, key: str) -> dict[str, Table]:
    tables = top.table(key)
    return {name: tables.table(name) for name in tables.values}


def _model(table: Table) -> PlanModel:
    found = PlanModel(
        table.text("model"),
        tuple(table.take("url", _texts, "a list of texts", ())),
        table.take("spec", _spec, "a config, a catalogue name, or null", None),
        *(table.take(key, _tokens, "a whole number above 0, or null", None) for key in _TRAINED),
        **_served(table),
    )
    table.close()
    return found


def _served(table: Table) -> dict[str, Any]:
    return {
        "served": table.text("served", None),
        "api": table.text("api", _SERVED["api"]),
        "server": table.text("server", None),
        "replicas": table.number("replicas", _SERVED["replicas"]),
        "answers_as": table.text("answers_as", None),
        "extra": table.take("extra", lambda value: isinstance(value, dict), "a table", None),
    }


def _cell(table: Table, models: Mapping[str, PlanModel]) -> Cell:
    found = Cell(
        table.choice("role", ROLES),
        table.choice("model", tuple(models)),
        table.text("strategy"),
        table.table("parameters", {}).values,
        table.number("budget", 1),
        table.number("seed", 0, least=0),
    )
    table.close()
    return found


def _verifiers(table: Table, models: Mapping[str, PlanModel]) -> dict[str, str | None]:
    def known(name: Any) -> bool:
        return name is None or (isinstance(name, str) and name in models)

    some = f"null, or one of {', '.join(models)}"
    return {name: table.take(name, known, some) for name in table.values}


_SERVED: Mapping[str, Any] = {
    "served": None,
    "api": "completions",
    "server": None,
    "replicas": 1,
    "answers_as": None,
    "extra": None,
}
_TRAINED = ("training_tokens", "training_sequence")


def _without(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in usual or value != usual[key]}


def _wording(value: Any) -> bool:
    parts = {"before", "after", "attempt"}
    return isinstance(value, dict) and set(value) == parts and all(isinstance(one, str) for one in value.values())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _spec(value: Any) -> bool:
    return value is None or isinstance(value, (str, dict))


def _tokens(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)
