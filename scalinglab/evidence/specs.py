"""What prices the models of the evidence: specs that were given, that a plan keeps, or of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from scalinglab import specs as shapes
from scalinglab.errors import SpecError
from scalinglab.samples import PlanModel, find_plan, read_plan
from scalinglab.specs import ModelSpec


def find_spec(name: str, specs: Mapping[str, ModelSpec]) -> ModelSpec:
    """The spec given for a model of the data, else the catalogue's. Raises SpecError where there is none."""
    if name in specs:
        return specs[name]
    try:
        return shapes.find(name)
    except SpecError as error:
        raise SpecError(
            f"no spec for model {name!r}",
            "a name of `scalinglab specs`, a config.json, or a number of parameters",
            f"add --spec {name!r}=7e9@2e12, or give --ratio M",
        ) from error


def specs_in(models: Mapping[str, PlanModel]) -> dict[str, ModelSpec]:
    """The specs among a plan's models, by name: of each a config or a catalogue name, and its training."""
    return {name: _spec(name, model) for name, model in models.items() if model.spec is not None}


def plan_specs(path: str | Path) -> dict[str, ModelSpec]:
    """The specs that the plan of a run keeps; none without a plan. Raises DataError where it cannot be read."""
    return {} if find_plan(path) is None else specs_in(read_plan(path).models)


def known_specs(
    names: Iterable[str], given: Mapping[str, ModelSpec]
) -> tuple[dict[str, ModelSpec], tuple[str, ...]]:
    """The specs of these models, and the names of those that have none."""
    found, lacking = {}, []
    for name in names:
        try:
            found[name] = find_spec(name, given)
        except SpecError:
            lacking.append(name)
    return found, tuple(lacking)


def _spec(name: str, model: PlanModel) -> ModelSpec:
    known = model.spec
    spec = shapes.find(known) if isinstance(known, str) else shapes.from_config(dict(known or {}), name=name)
    return replace(
        spec, name=name, training_tokens=model.training_tokens, training_sequence=model.training_sequence
    )
