"""What a study will do: every unit of work, known beforehand and kept beside the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scalinglab import specs
from scalinglab.collect import BenchmarkTask, Task
from scalinglab.errors import DataError, SpecError
from scalinglab.files import SHIPPED
from scalinglab.flops import CONVENTIONS, total, training
from scalinglab.samples import Call, Cell, Plan, PlanModel, Solution, Unit
from scalinglab.study.cast import POLICIES, ModelSettings
from scalinglab.study.settings import Study

STORE = "run.sqlite"
"""The run, in its folder."""


@dataclass(frozen=True)
class Sent:
    """What a model is sent first. api: as of which; a chat's prompt is one user message, which the server renders.

    begins: the special tokens, as text, that its engine puts before such a prompt; None: unknown.
    """

    model: str
    prompt: str
    api: str = "completions"
    begins: str | None = ""

    @property
    def added(self) -> str:
        """What the engine puts before this prompt, as far as is known."""
        return self.begins if self.begins and not self.prompt.startswith(self.begins) else ""


@dataclass(frozen=True)
class Probe:
    """Every cell of a plan done once, on one problem: its units, what they made, and the seconds it took.

    sent: the first prompt of each model.
    """

    plan: Plan
    done: Sequence[tuple[Unit, Sequence[Call], Sequence[Solution]]]
    seconds: float
    sent: Sequence[Sent] = ()


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
    if not isinstance(task, BenchmarkTask):
        return Plan(study.name, task.name, problems, cells, models, read)
    return Plan(study.name, task.name, problems, cells, models, read, asdict(task.wording), task.asked)


def middle_of(plan: Plan, task: Task) -> str:
    """The problem of middle length, which stands for all in a probe."""
    by_length = sorted(plan.problems, key=lambda problem: len(task.problems[problem].prompt))
    return by_length[len(by_length) // 2]


def located(model: ModelSettings, folder: Path) -> str:
    """What an engine loads: a folder relative to the study's, a shipped testbed model, else the name as it is."""
    here, shipped = folder / model.model, SHIPPED / model.model
    if (here / "config.json").is_file():
        return str(here)
    if ".." not in Path(model.model).parts and (shipped / "config.json").is_file():
        return str(shipped)
    return model.model


def priced(model: ModelSettings, folder: Path) -> PlanModel:
    """What is kept of a model: what it was, and its spec as a config (None: unknown) with its training.

    A testbed model's training is in its manifest. Raises SpecError for a spec that was given and is not one.
    """
    bare = PlanModel(
        model.model,
        model.url,
        None,
        model.training_tokens,
        model.training_sequence,
        served=model.served,
        api=model.api,
        server=model.server,
        replicas=model.replicas,
        answers_as=model.answers_as,
        extra=model.extra,
    )
    place = Path(located(model, folder))
    source = str(folder / model.spec) if model.spec and (folder / model.spec).exists() else model.spec
    try:
        spec = specs.find(source or place)
    except SpecError:
        if model.spec is not None:
            raise
        return bare
    config = place if source is None else Path(source)
    config = config / "config.json" if config.is_dir() else config
    kept = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else spec.name
    trained = _manifest(place) or (spec.training_tokens, spec.training_sequence)
    asked = (model.training_tokens, model.training_sequence)
    tokens, sequence = (known if own is None else own for own, known in zip(asked, trained, strict=True))
    return replace(bare, spec=kept, training_tokens=tokens, training_sequence=sequence)


def _manifest(place: Path) -> tuple[int, int] | None:
    """The training tokens of a testbed model, and the row length at which the closed form gives its FLOPs."""
    if not (place / "manifest.json").is_file():
        return None
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    spec, tokens, rule = specs.find(place), int(manifest["tokens"]), CONVENTIONS["exact"]
    spent = float(manifest["flops"]["exact"])

    def off(length: int) -> float:
        return abs(float(total(training(spec, tokens, sequence=length, convention=rule))) - spent)

    return tokens, min(range(1, 513), key=off)
