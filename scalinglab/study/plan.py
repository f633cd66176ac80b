"""What a study will do: every unit of work, known beforehand and kept beside the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scalinglab import specs
from scalinglab.collect import Task
from scalinglab.errors import DataError, SpecError
from scalinglab.flops import CONVENTIONS, total, training
from scalinglab.samples import Call, Solution, Unit
from scalinglab.study.settings import POLICIES, ModelSettings, Study

STORE, PLAN, COLLECTED = "run.sqlite", "study.json", "collected.json"
"""The run and its plan, in the run's folder."""
SHIPPED = Path(specs.__file__).parents[1] / "data"


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
class Plan:
    """The cells of a study on each of its problems.

    models: by name, what each is and its spec (see ``priced``). verifiers: the model behind each one's name; None
    behind the exact checker.
    """

    run: str
    task: str
    problems: tuple[str, ...]
    cells: tuple[Cell, ...]
    models: Mapping[str, Mapping[str, Any]]
    verifiers: Mapping[str, str | None]

    @property
    def total(self) -> int:
        """How many units there are."""
        return len(self.problems) * len(self.cells)

    def units(self) -> Iterator[Unit]:
        """Every unit, problem by problem."""
        for problem in self.problems:
            for cell in self.cells:
                yield Unit(self.run, self.task, problem, **vars(cell))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Probe:
    """Every cell of a plan done once, on one problem: its units, what they made, and the seconds it took."""

    plan: Plan
    done: Sequence[tuple[Unit, Sequence[Call], Sequence[Solution]]]
    seconds: float


def plan_of(study: Study, task: Task) -> Plan:
    """Every unit of a study. Raises DataError where one is there twice."""
    problems = tuple(task.problems)[: study.problems]
    cells = tuple(
        Cell(POLICIES[model], model, entry.strategy.name, parameters, entry.strategy.budget(parameters), seed)
        for seed in study.seeds
        for entry in study.strategies
        for model in entry.models
        for parameters in entry.cells
    )
    for i, cell in enumerate(cells):
        if cell in cells[:i]:
            raise DataError(
                f"{cell.strategy} of {cell.model} with {dict(cell.parameters)} is there twice",
                "each once",
                "drop one",
            )
    models = {name: priced(model, study.folder) for name, model in study.models.items()}
    read = {name: one.model or study.verifiers[one.of or name].model for name, one in study.verifiers.items()}
    return Plan(study.name, task.name, problems, cells, models, read)


def located(model: ModelSettings, folder: Path) -> str:
    """What an engine loads: a folder relative to the study's, a shipped testbed model, else the name as it is."""
    for base in (folder, SHIPPED):
        if (base / model.model / "config.json").is_file():
            return str(base / model.model)
    return model.model


def priced(model: ModelSettings, folder: Path) -> dict[str, Any]:
    """What is kept of a model: what it was, and its spec as a config (None: unknown) with its training.

    A testbed model's training is in its manifest. Raises SpecError for a spec that was given and is not one.
    """
    found: dict[str, Any] = {"model": model.model, "url": list(model.url), "spec": None}
    place = Path(located(model, folder))
    given = model.spec is not None
    source = str(folder / model.spec) if model.spec and (folder / model.spec).exists() else model.spec
    try:
        spec = specs.find(source or place)
    except SpecError:
        if given:
            raise
        return found
    config = place if source is None else Path(source)
    config = config / "config.json" if config.is_dir() else config
    found["spec"] = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else spec.name
    trained = {"training_tokens": spec.training_tokens, "training_sequence": spec.training_sequence}
    trained |= _manifest(place)
    asked = {"training_tokens": model.training_tokens, "training_sequence": model.training_sequence}
    return found | trained | {key: value for key, value in asked.items() if value is not None}


def _manifest(place: Path) -> dict[str, Any]:
    """The training of a testbed model; its row length is the one at which the closed form gives its FLOPs."""
    if not (place / "manifest.json").is_file():
        return {}
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    spec, tokens, rule = specs.find(place), int(manifest["tokens"]), CONVENTIONS["exact"]
    spent = float(manifest["flops"]["exact"])

    def off(length: int) -> float:
        return abs(float(total(training(spec, tokens, sequence=length, convention=rule))) - spent)

    return {"training_tokens": tokens, "training_sequence": min(range(1, 513), key=off)}
