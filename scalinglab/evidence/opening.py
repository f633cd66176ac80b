"""The one way in: a table of counts, a table of samples, or a run with or without its plan, as evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import isfile
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from scalinglab.collect.strategies import known
from scalinglab.errors import DataError
from scalinglab.evidence.joined import joined
from scalinglab.evidence.record import Evidence, Tokens
from scalinglab.evidence.specs import known_specs, specs_in
from scalinglab.files import SHIPPED
from scalinglab.ledger import Tuning, tuning_of
from scalinglab.samples import (
    Plan,
    Run,
    filled,
    find_plan,
    is_run,
    kind_of,
    noted,
    opened,
    read_counts,
    read_plan,
    read_run,
    read_samples,
    tasks_in,
    unread,
)
from scalinglab.specs import ModelSpec

Source = str | Path | pd.DataFrame


def open_evidence(
    source: Source | Sequence[Source],
    *,
    small: str | None = None,
    large: str | None = None,
    specs: Mapping[str, ModelSpec] | None = None,
    prompt: int | None = None,
    generated: int | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Evidence:
    """The evidence in a file, a folder or a DataFrame, or in several: the problems that they share by name.

    small, large: the models compared, as the data name them; without them the only ones of the roles policy and
    large. specs price models that neither the catalogue nor a plan names; a verifier's name stands for its model.
    prompt, generated: tokens of a sample where none are recorded. mapping: by our name of a table's column, its
    own. Raises DataError where it cannot be read, a name is not in it, or tokens are given and all record theirs.
    """
    given = dict(specs or {})
    sources = _sources(source)
    parts = [_part(one, mapping) for one in sources]
    name, told = " and ".join(part.name for part in parts), tuple(note for part in parts for note in part.told)
    found = joined(*zip(*((part.found, part.name, part.tasks) for part in parts), strict=True))
    if isinstance(found, Run):
        plan = _plan(sources[0]) if len(sources) == 1 else None
        names = {} if plan is None else names_in(plan)
        return replace(_of_run(name, found, plan, small, large, given, prompt, generated), told=told, names=names)
    models = sorted(map(str, found["model"].unique()))
    _known(given, models, "--spec")
    priced, lacking = known_specs(models, given)
    return Evidence(
        name,
        run=None,
        counts=found,
        small=_named(small, models),
        large=_named(large, models),
        specs=priced,
        lacking=lacking,
        tokens=_tokens(prompt, generated),
        told=told,
    )


def _sources(given: Source | Sequence[Source]) -> list[Source]:
    """One source or several as a list. Raises DataError where it is neither."""
    kinds = (str, Path, pd.DataFrame)
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    strange = [one for one in several if not isinstance(one, kinds)]
    if strange or not several:
        what = f"a {type(strange[0]).__name__}" if strange else "no source"
        raise DataError(f"{what} as evidence", "a path or a pandas DataFrame, or a list of them", "give one")
    return several


@dataclass(frozen=True)
class _Part:
    """One source: counts as a frame, samples as a Run; what reading it left open, and the tasks that it names."""

    name: str
    found: pd.DataFrame | Run
    told: tuple[str, ...]
    tasks: frozenset[str] = frozenset()


def _part(source: Source, mapping: Mapping[str, str] | None) -> _Part:
    if not isinstance(source, pd.DataFrame) and is_run(source):
        run = read_run(source)
        return _Part(str(source), run, noted(source), frozenset(map(str, run.units["task"].unique())) - {"table"})
    name = "a DataFrame" if isinstance(source, pd.DataFrame) else str(source)
    frame, _ = opened(source, mapping)
    tasks, left = tasks_in(frame), unread(frame)
    if kind_of(frame) == "counts":
        return _Part(name, read_counts(frame), (), tasks)
    told = (f"columns not read: {', '.join(left)} (--map NAME=COLUMN)",) if left else ()
    return _Part(name, read_samples(frame), told, tasks)


def _of_run(
    name: str, run: Run, plan: Plan | None, small: str | None, large: str | None, given: dict[str, ModelSpec],
    prompt: int | None, generated: int | None,
) -> Evidence:  # fmt: skip
    answered = sorted(map(str, run.units["model"].unique()))
    small = _named(small, answered) or _only(run, "policy")
    large = _named(large, answered) or _only(run, "large")
    run = _as_read(_cast(run, {small: "policy", large: "large"}))
    planned = {} if plan is None else specs_in(plan.models)
    verifiers = dict(plan.verifiers) if plan is not None else _verifiers(run)
    called = sorted(map(str, run.calls["model"].unique())) if len(run.calls) else []
    everyone = sorted({*answered, *called, *(model for model in verifiers.values() if model is not None)})
    given = _by_model(given, everyone, verifiers)
    priced, lacking = known_specs(everyone, planned | given)
    tuning = () if plan is None else _tuning(plan, Path(name))
    tokens = _tokens(prompt, generated)
    run, unreported = filled(run, vars(tokens))
    found = Evidence(name, run, None, small, large, verifiers, priced, lacking, tuning, tokens, unreported)
    wanted = {what for what, value in (("prompt", prompt), ("generated", generated)) if value is not None}
    unknown = {one.what for one in unreported if one.missing == one.of}
    if wanted - unknown and all(map(found.recorded, answered)):
        raise DataError(f"prompt or generated tokens for {name}", "none", "drop them: a run records its own")
    return found


def _named(name: str | None, models: Sequence[str]) -> str | None:
    if name is not None and name not in models:
        raise DataError(f"no samples of model {name!r}", f"one of {', '.join(models)}", "name a model of the data")
    return name


def _cast(run: Run, roles: Mapping[str | None, str]) -> Run:
    """The run with these models in these roles, whatever a table or an earlier cast called them."""

    def cast(frame: pd.DataFrame) -> pd.DataFrame:
        for model, role in roles.items():
            other = (frame["model"] == model) & frame["role"].isin(set(roles.values()) - {role})
            if other.any():
                frame = frame.assign(role=frame["role"].astype(object).mask(other, role))
        return frame

    return Run(cast(run.units), cast(run.calls), run.solutions)


def _as_read(run: Run) -> Run:
    """The run with each strategy under the name by which its samples are read (see ``Strategy.read_as``)."""
    names = {name: known(name).read_as or name for name in run.units["strategy"].unique()}
    if all(name == other for name, other in names.items()):
        return run
    return Run(run.units.assign(strategy=run.units["strategy"].map(names)), run.calls, run.solutions)


def _only(run: Run, role: str) -> str | None:
    """The one model of a role, where there is exactly one."""
    names = run.units.loc[run.units["role"] == role, "model"].unique()
    return str(names[0]) if len(names) == 1 else None


def _known(given: Mapping[str, Any], models: Sequence[str], option: str) -> None:
    for name in given:
        if name not in models:
            raise DataError(
                f"{option} {name}, which is not in the data",
                f"one of {', '.join(models)}",
                "name it as the data do",
            )


def _by_model(
    given: Mapping[str, ModelSpec], models: Sequence[str], verifiers: Mapping[str, str | None]
) -> dict[str, ModelSpec]:
    """Specs by model; a verifier's name stands for the model behind it. Raises DataError for any other name."""
    behind = {name: model for name, model in verifiers.items() if model is not None and name not in models}
    _known(given, [*models, *behind], "--spec")
    found: dict[str, ModelSpec] = {}
    for name, spec in given.items():
        model = behind.get(name, name)
        if found.setdefault(model, spec) != spec:
            raise DataError(f"two specs of model {model}, one as --spec {name}", "one spec a model", "drop one")
    return found


def _verifiers(run: Run) -> dict[str, str | None]:
    """The model behind each verifier of a run without a plan: its own name, or the only one that was called."""
    names = sorted({name for listed in run.units["verifiers"] for name in listed})
    calls = run.calls
    called = sorted(map(str, calls.loc[calls["role"] == "verifier", "model"].unique())) if len(calls) else []
    if len(names) == 1 and len(called) == 1:
        return {names[0]: called[0]}
    return {name: name for name in names}


def _tokens(prompt: int | None, generated: int | None) -> Tokens:
    known, least = {"prompt": prompt, "generated": generated}, {"prompt": 0, "generated": 1}
    for name, value in known.items():
        if value is not None and value < least[name]:
            raise DataError(f"{name} tokens of a sample = {value}", f"{least[name]} or more", f"mend {name}")
    return Tokens(**{name: value for name, value in known.items() if value is not None})


def _tuning(plan: Plan, source: Path) -> tuple[Tuning, ...]:
    """What training the verifiers and revisers took, of those whose manifest says so."""
    found = []
    for name, model in plan.models.items():
        places = [base / model.model / "manifest.json" for base in (source, source.parent, SHIPPED)]
        at = next((place for place in places if isfile(place)), None)  # a plan may name what no path can be
        told = None if at is None else tuning_of(name, _manifest(at))
        if told is not None:
            found.append(told)
    return tuple(found)


def _manifest(place: Path) -> Any:
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot read {place} ({reason:.80})", "the manifest of a model", "mend it") from error


def names_in(plan: Plan) -> dict[str, str]:
    """What a plan's models are called: as the study named them; of a folder elsewhere its last part, if alone."""
    every = {name: model.model for name, model in plan.models.items()}
    short = {name: PurePath(at).name if PurePath(at).is_absolute() else at for name, at in every.items()}
    alone = [name for name, one in short.items() if one and list(short.values()).count(one) == 1]
    return every | {name: short[name] for name in alone}


def _plan(source: str | Path | pd.DataFrame) -> Plan | None:
    return None if isinstance(source, pd.DataFrame) or find_plan(source) is None else read_plan(source)
