"""How much less compute a policy takes to be as accurate as best-of-N: the paper's "4x", with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, tails
from scalinglab.errors import DataError
from scalinglab.policy.choosing import weights
from scalinglab.policy.optimal import Optimal

REACHED, NOT_REACHED, OUTSIDE = "reached", "not reached", "outside measured budgets"


@dataclass(frozen=True)
class Gain:
    """One row a budget of the baseline and a unit (samples or FLOPs).

    table: at (the baseline's budget), accuracy (its own), reaches (the budget at which the policy is first as
    accurate), gain (how many times less that is) with its 95 % interval, verdict, convention, problems. verdict:
    reached; not reached at any measured budget (the gain is unknown or below what is measured); outside measured
    budgets (its smallest budget is as accurate already: the gain is at least that). low or high is None where the
    measured budgets do not bound it.
    """

    policy: str
    baseline: str
    table: pd.DataFrame


def first_reach(budgets: Floats, curve: Floats, target: Floats) -> Floats:
    """The least budget at which each curve is at ``target``, linear in log budget between measured ones.

    budgets and curve: (draws, budgets), rising along a row; target: (draws,). Curves need not rise: the first
    crossing counts. 0 where the smallest budget is beyond the target already (at it: that budget), infinite where
    none reaches it.
    """
    budgets, curve = np.broadcast_arrays(np.atleast_2d(budgets), np.atleast_2d(curve))
    goal = np.broadcast_to(target, (len(curve),))
    there = curve >= goal[:, None] - 1e-12
    at = there.argmax(axis=1)
    rows, before = np.arange(len(curve)), np.maximum(at - 1, 0)
    left, right = curve[rows, before], curve[rows, at]
    share = np.divide(goal - left, right - left, out=np.ones(len(curve)), where=right > left)
    logs = np.log(budgets)
    found = np.exp(logs[rows, before] + np.clip(share, 0, 1) * (logs[rows, at] - logs[rows, before]))
    start = np.where(curve[:, 0] > goal + 1e-12, 0.0, budgets[:, 0])
    return np.asarray(np.where(~there.any(axis=1), np.inf, np.where(at == 0, start, found)))


def efficiency_gain(
    optimal: Optimal,
    arms: Arms,
    *,
    selector: str = "weighted",
    verifier: str,
    model: str | None = None,
) -> Gain:
    """How many times less compute the policy takes than best-of-N at each N, in samples and in FLOPs.

    The baseline: parallel samples of ``model`` chosen by ``selector`` under ``verifier``. Intervals resample the
    problems of both together, arms chosen anew. Where the convention charges estimating difficulty,
    its samples or FLOPs are the policy's to pay. Raises DataError where the baseline is not among the arms.
    """
    base = _baseline(arms, selector, verifier, model)
    ours = ~np.isnan(optimal.accuracy).any(axis=0)
    if base.problems != optimal.problems or not ours.any():
        raise DataError(
            "a policy and a baseline of other problems, or a policy of no budget", "both measured on the same",
            "choose the policy from arms of the same run",
        )  # fmt: skip
    paid = optimal.flops[:, ours]
    problems = len(base.problems)
    draws = np.concatenate([np.full((1, problems), 1 / problems), weights(problems, seed=optimal.seed)])
    middle = optimal.accuracy[:, ours].mean(axis=0)
    around = optimal.draws[:, 0][:, ours]
    curve = np.concatenate([middle[None], middle + around - around.mean(axis=0)])
    counts = base.table["budget"].to_numpy(np.float64)
    more = optimal.bins.samples if optimal.bins.charged else 0
    samples = np.tile(optimal.budgets[ours] + more, (len(draws), 1))
    axes = {"flops": (draws @ paid, draws @ base.flops)}
    if optimal.budget == "samples":
        axes = {"samples": (samples, np.tile(counts, (len(draws), 1)))} | axes
    rows = [
        row
        for unit, (theirs, at) in axes.items()
        if (theirs > 0).all() and (at > 0).all()
        for row in _rows(unit, theirs, curve, at, draws @ base.accuracy, counts, tails(problems))
    ]
    common = {"convention": optimal.convention, "problems": problems}
    name = f"parallel, {selector} by {verifier}" if verifier else f"parallel, {selector}"
    return Gain("compute-optimal", name, pd.DataFrame([row | common for row in rows]))


def _rows(
    unit: str, budgets: Floats, curve: Floats, at: Floats, baseline: Floats, counts: Floats, ends: list[float]
) -> list[dict[str, Any]]:
    """A row for each budget of the baseline; the first draw is the sample itself."""
    order = np.argsort(budgets, axis=1, kind="stable")
    budgets, curve = (np.take_along_axis(values, order, axis=1) for values in (budgets, curve))
    rows = []
    for j, count in enumerate(counts.tolist()):
        found = first_reach(budgets, curve, baseline[:, j])
        with np.errstate(divide="ignore"):
            gains = at[:, j] / found
        low, high = np.quantile(gains[1:], ends, method="nearest").tolist()
        verdict = OUTSIDE if np.isinf(gains[0]) else REACHED if gains[0] > 0 else NOT_REACHED
        known = verdict == REACHED
        rows.append(
            {
                "unit": unit,
                "n": int(count),
                "at": float(at[0, j]),
                "accuracy": float(baseline[0, j]),
                "reaches": float(found[0]) if known else None,
                "gain": float(gains[0]) if known else None,
                "low": low if 0 < low < np.inf else None,
                "high": high if 0 < high < np.inf else None,
                "verdict": verdict,
            }
        )
    return rows


def _baseline(arms: Arms, selector: str, verifier: str, model: str | None) -> Arms:
    """The arms of parallel samples under a selector, by budget."""
    table = arms.table
    wanted = (table["strategy"] == "parallel") & (table["selector"] == selector) & (table["verifier"] == verifier)
    if model is not None:
        wanted &= table["model"] == model
    found = arms.where(wanted.to_numpy())
    if found.table.empty or found.table["budget"].duplicated().any():
        raise DataError(
            f"{len(found.table)} arms of parallel samples, {selector} by {verifier or 'nobody'}",
            "one at each budget",
            "name a model, verifier and selector that were collected",
        )
    return found.where(np.argsort(found.table["budget"].to_numpy(), kind="stable"))
