"""A run as it stands, while it is collected and after: what is done, what it took, what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.evidence import plan_specs, specs_in
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.samples import (
    Call,
    Plan,
    Run,
    Sameness,
    Solution,
    Unit,
    find_plan,
    is_run,
    noted,
    read_parts,
    read_plan,
)
from scalinglab.samples.records import canonical
from scalinglab.specs import ModelSpec
from scalinglab.study.plan import Probe, Sent
from scalinglab.study.tally import COUNTED, Tally, effort_in


@dataclass(frozen=True)
class Status:
    """How far a run is.

    done, total: units of work. cells: one row a model, strategy and budget. roles: one row a role and model, with
    its calls, tokens and FLOPs (None where no spec prices the model). truncated: the share of completions that
    the token limit cut. grades: shares of solutions by grade, those that are neither right nor wrong; unparsed and
    error always. convention: which FLOPs. notes: what its engines said of themselves, and what looks odd.
    """

    run: str
    done: int
    total: int
    cells: list[dict[str, Any]]
    roles: list[dict[str, Any]]
    truncated: float | None
    grades: dict[str, float]
    convention: str
    notes: list[str]


@dataclass(frozen=True)
class Forecast:
    """What a study will take, as if every problem were like the probed one. ``roles`` as in a Status.

    tokens: None where a server reports none. sent: the first prompt of each model.
    """

    run: str
    problem: str
    problems: int
    units: int
    calls: int
    tokens: int | None
    seconds: float
    roles: list[dict[str, Any]]
    convention: str
    sent: Sequence[Sent] = ()


def forecast(probe: Probe, *, rule: Convention = CONVENTIONS["paper"]) -> Forecast:
    """A probe times the problems of its plan."""
    chosen, count = rule, len(probe.plan.problems)
    found = [
        {key: value * count if isinstance(value, int) else value for key, value in row.items()}
        for row in roles(frames(probe.done), specs_in(probe.plan.models), chosen)
    ]
    return Forecast(
        probe.plan.run,
        probe.done[0][0].problem,
        count,
        probe.plan.total,
        sum(row["calls"] for row in found),
        None
        if any(row["generated_tokens"] is None for row in found)
        else sum(r["generated_tokens"] for r in found),
        probe.seconds * count,
        found,
        chosen.name,
        probe.sent,
    )


def status_of(
    out: str | Path, *, rule: Convention = CONVENTIONS["paper"], specs: Mapping[str, ModelSpec] | None = None
) -> Status:
    """How far the run in a folder is; ``specs`` price models beside the plan's. Raises DataError without a run.

    A run without a plan, such as an imported one, is done: what it holds is all that was wanted.
    """
    out = Path(out)
    plan = None if is_run(out) and find_plan(out) is None else read_plan(out)
    tally = Tally((plan_specs(out) if plan else {}) | dict(specs or {}), rule, _keys(plan))
    same = Sameness()
    for part in read_parts(out, columns=COUNTED):
        tally.add(part)
        same.add(part)
    return Status(
        plan.run if plan else out.name,
        tally.done,
        plan.total if plan else tally.done,
        tally.cells(_wanted(plan)),
        tally.roles(),
        truncated=tally.truncated,
        grades=tally.grades(),
        convention=rule.name,
        notes=[*noted(out), *same.said(), *tally.notes()],
    )


def _keys(plan: Plan | None) -> frozenset[str] | None:
    return None if plan is None else frozenset(unit.key for unit in plan.units())


def _wanted(plan: Plan | None) -> Counter[tuple[str, str, int, str]] | None:
    """The units that a plan wants, by model, strategy, budget and effort."""
    if plan is None:
        return None
    found = Counter((one.model, one.strategy, one.budget, effort_in(one.parameters)) for one in plan.cells)
    return Counter({cell: count * len(plan.problems) for cell, count in found.items()})


def roles(run: Run, specs: Mapping[str, ModelSpec], rule: Convention) -> list[dict[str, Any]]:
    """Calls, tokens and FLOPs of a run by role and model (see ``Tally.roles``)."""
    tally = Tally(specs, rule)
    tally.add(run)
    return tally.roles()


def frames(made: Sequence[tuple[Unit, Sequence[Call], Sequence[Solution]]]) -> Run:
    """Units that are in no store, as the frames of one."""
    keys = [unit.key for unit, _, _ in made]
    units = [
        {"key": key, **vars(unit), "parameters": canonical(unit.parameters)}
        for key, (unit, _, _) in zip(keys, made, strict=True)
    ]
    calls = [
        {"unit": key, "position": i, **vars(call)}
        for key, (_, calls, _) in zip(keys, made, strict=True)
        for i, call in enumerate(calls)
    ]
    found = [
        {"unit": key, "position": i, **vars(one), "other_scores": canonical(one.other_scores)}
        for key, (_, _, ones) in zip(keys, made, strict=True)
        for i, one in enumerate(ones)
    ]
    return Run(*(pd.DataFrame(rows) for rows in (units, calls, found)))
