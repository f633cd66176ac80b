"""A run as it stands, while it is collected and after: what is done, what it took, what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.evidence import plan_specs, specs_in
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.ledger import price
from scalinglab.samples import (
    GRADES,
    Call,
    Plan,
    Run,
    Solution,
    Unit,
    filled,
    find_plan,
    is_run,
    noted,
    read_plan,
    read_run,
    same_samples,
)
from scalinglab.samples.records import canonical
from scalinglab.specs import ModelSpec
from scalinglab.study.plan import Probe, Sent

WORK = ("calls", "prompt_tokens", "cached_tokens", "generated_tokens")


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
    out, chosen = Path(out), rule
    plan = None if is_run(out) and find_plan(out) is None else read_plan(out)
    run = read_run(out)
    known = run.units["key"].isin([unit.key for unit in plan.units()] if plan else list(run.units["key"]))
    generated = run.calls[run.calls["generated_tokens"] > 0]
    return Status(
        plan.run if plan else out.name,
        int(known.sum()),
        plan.total if plan else len(run.units),
        _cells(plan, run),
        roles(run, (plan_specs(out) if plan else {}) | dict(specs or {}), chosen),
        truncated=_share(generated["finish_reason"] == "length"),
        grades=_grades(run),
        convention=chosen.name,
        notes=[*noted(out), *same_samples(run)],
    )


def roles(run: Run, specs: Mapping[str, ModelSpec], rule: Convention) -> list[dict[str, Any]]:
    """Calls, tokens and FLOPs by role and model; pretraining is left out.

    Tokens that were not reported of every call are None, and so are FLOPs then, or without a spec.
    """
    calls = run.calls.assign(calls=1)
    spent = _spent(run, specs, rule)
    found = []
    for role, model in calls[["role", "model"]].drop_duplicates().itertuples(index=False):
        mine = calls[(calls["role"] == role) & (calls["model"] == model)]
        sums = {k: None if mine[k].isna().any() else int(mine[k].sum()) for k in WORK}
        known = model in specs and all(sums[k] is not None for k in _priced_by(rule))
        flops = spent.get((role, model), 0) if known else None
        found.append({"role": role, "model": model, **sums, "flops": flops})
    return found


def frames(made: Sequence[tuple[Unit, Sequence[Call], Sequence[Solution]]]) -> Run:
    """Units that are in no store, as the frames of one."""
    units = [{"key": unit.key, **asdict(unit), "parameters": canonical(unit.parameters)} for unit, _, _ in made]
    calls = [
        {"unit": u.key, "position": i, **asdict(call)} for u, calls, _ in made for i, call in enumerate(calls)
    ]
    found = [
        {"unit": u.key, "position": i, **asdict(one), "other_scores": canonical(one.other_scores)}
        for u, _, ones in made
        for i, one in enumerate(ones)
    ]
    return Run(*(pd.DataFrame(rows) for rows in (units, calls, found)))


def _priced_by(rule: Convention) -> list[str]:
    """The counts that every call must tell to be priced."""
    return ["prompt_tokens", "generated_tokens", *(["cached_tokens"] if rule.reuse == "measured" else [])]


def _spent(run: Run, specs: Mapping[str, ModelSpec], rule: Convention) -> dict[tuple[str, str], int]:
    """FLOPs by role and model of the calls that specs can price."""
    known = run.calls[_priced_by(rule)].notna().all(axis=1)
    priced = run.calls[run.calls["model"].isin(list(specs)) & known]
    if priced.empty:
        return {}
    whole, _ = filled(
        Run(run.units, priced, run.solutions), {"prompt": 0, "generated": 0}
    )  # what is left, no rule of these reads
    entries = price(whole, specs, convention=rule).entries
    entries = entries[~entries["phase"].isin(["pretrain", "tune"])]
    spent: Counter[tuple[str, str]] = Counter()
    for role, model, flops in entries[["role", "model", "flops"]].itertuples(index=False):
        spent[role, model] += flops
    return spent


def _cells(plan: Plan | None, run: Run) -> list[dict[str, Any]]:
    """Units done and left, and the share of right solutions, by model, strategy and budget."""
    keys = ["model", "strategy", "budget"]
    named = list(zip(*(run.units[key] for key in keys), strict=True))
    wanted = Counter((cell.model, cell.strategy, cell.budget) for cell in plan.cells) if plan else Counter(named)
    rows = []
    for cell, count in wanted.items():
        done = run.units["key"][[name == cell for name in named]]
        solved = run.solutions["grade"][run.solutions["unit"].isin(done)]
        left = max(0, count * len(plan.problems) - len(done)) if plan else 0
        rows.append(
            dict(zip(keys, cell, strict=True))
            | {"done": len(done), "left": left, "right": _share(solved == "right")}
        )
    return rows


def _grades(run: Run) -> dict[str, float]:
    shares = run.solutions["grade"].value_counts(normalize=True)
    odd = dict.fromkeys(["unparsed", "error"], 0.0) | {str(k): float(v) for k, v in shares.items()}
    return {grade: odd[grade] for grade in GRADES if grade in odd and grade not in ("right", "wrong")}


def _share(which: pd.Series) -> float | None:
    return float(which.mean()) if len(which) else None
