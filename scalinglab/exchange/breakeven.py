"""The R and the number of queries at which a small model's strategy stops paying, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Floats, resampled, tails
from scalinglab.exchange.frontier import Family, families, reference
from scalinglab.exchange.studies import StudyData, View
from scalinglab.exchange.verdicts import FEWEST_PROBLEMS, OUTSIDE, PRETRAINING, TEST_TIME
from scalinglab.policy import Optimal

CROSSED = "crossed"
NEVER = {
    np.inf: f"not crossed: {TEST_TIME} at every measured R",
    0.0: f"not crossed: {PRETRAINING} at every measured R",
}
SIDES = {NEVER[np.inf]: 1, NEVER[0.0]: -1}
"""Of a break-even that was not crossed: whether it lies above (1) or below (-1) every measured R."""
EQUAL, SUNK = "not crossed: equal at every measured R", "none: no pretraining is saved"
_NUMBERS = ("R", "low", "high", "queries", "queries_low", "queries_high", "measured_from", "measured_to", "share")


def breakeven(views: Sequence[View], study: StudyData, *, seed: int = 0) -> pd.DataFrame:
    """One row a convention, strategy and group: R* below which the small model answers better than the large one.

    R* is where, as the budget a query grows from the least that was measured, accuracy first reaches the large
    model's one answer. Where it is not crossed within the measured budgets, status says who is better there.
    low and high: 95 % bootstrap over problems, of accuracies and costs, cut to the R that the measured budgets
    stand for: measured_from, and measured_to (missing: infinite, and so is a missing high; both are missing
    where the group has too few problems). share: of bootstrap draws that cross. queries: R* in queries.
    """
    rows = [
        _row(view, once, name, family, *draw)
        for view in views
        for own, once in [(families(view.arms, study), reference(view.arms, study))]
        for g, (name, _) in enumerate(view.groups)
        for draw in [_draws(view, g, int(once.columns[0]), seed)]
        for family in own
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(_NUMBERS, float))


def crossing(spent: Floats, accuracy: Floats, target: Floats, least: Floats) -> Floats:
    """The FLOPs a query, above ``least``, at which accuracy first reaches ``target``; shape (draws,).

    spent, accuracy: shape (draws, budgets), spent rising; linear in log FLOPs between. 0 where it is reached at
    the least that was measured, infinite where it is not reached.
    """
    x = np.log(np.maximum(spent, least[:, None]))
    y = np.where(spent >= least[:, None], accuracy, _between(spent, accuracy, least)[:, None]) - target[:, None]
    rises = (y[:, :-1] < 0) & (y[:, 1:] >= 0)
    first, rows = rises.argmax(axis=1), np.arange(len(y))
    below, above = y[rows, first], y[rows, first + 1]
    share = np.divide(-below, above - below, out=np.zeros(len(y)), where=rises.any(axis=1))
    found = np.exp(x[rows, first] + share * (x[rows, first + 1] - x[rows, first]))
    return np.where(y[:, 0] >= 0, 0.0, np.where(rises.any(axis=1), found, np.inf))


def _between(spent: Floats, accuracy: Floats, at: Floats) -> Floats:
    """Each row's accuracy at its own FLOPs, held at its ends."""
    above = np.clip((spent < at[:, None]).sum(axis=1), 1, spent.shape[1] - 1)
    rows = np.arange(len(spent))
    ends = np.log(spent[rows, above - 1]), np.log(spent[rows, above])
    share = np.divide(np.log(at) - ends[0], ends[1] - ends[0], out=np.zeros(len(at)), where=ends[1] > ends[0])
    low, high = accuracy[rows, above - 1], accuracy[rows, above]
    return np.asarray(low + np.clip(share, 0, 1) * (high - low))


def _draws(view: View, g: int, once: int, seed: int) -> tuple[Floats, Floats, int]:
    """Mean accuracy and FLOPs of every arm: of the group in the first row, of its resamples in the others.

    Two pseudo-problems above and below an arm's mean stand for what the group's agreement hides (see ``compare``).
    """
    members = view.groups[g][1]
    accuracy, flops = view.arms.accuracy[members], view.arms.flops[members]
    first = [accuracy.mean(axis=0), flops.mean(axis=0)]
    if len(members) < FEWEST_PROBLEMS:
        return first[0][None], first[1][None], len(members)
    if view.policy is not None:
        right, spent = _chosen(view, view.policy, g, first, once, seed)
        return np.vstack([first[0], right]), np.vstack([first[1], spent]), len(members)
    doubt = np.sqrt((accuracy - accuracy[:, [once]]).var(axis=0, ddof=1) + 1)
    doubt[once] = 0
    ends = np.array([first[0] + doubt, first[0] - doubt])
    drawn = resampled(
        np.hstack([np.vstack([accuracy, ends]), np.vstack([flops, first[1], first[1]])]), DRAWS, seed
    )
    right, spent = np.hsplit(drawn, 2)
    return np.vstack([first[0], right]), np.vstack([first[1], spent]), len(members)


def _chosen(
    view: View, policy: Optimal, g: int, first: Sequence[Floats], once: int, seed: int
) -> tuple[Floats, Floats]:
    """The draws of a policy that chooses anew in each, with the doubt of ``choosing.spread``, and of ``once``."""
    problems, columns = len(view.groups[g][1]), len(policy.budgets)
    other = np.column_stack([view.arms.accuracy[:, once], view.arms.flops[:, once]])
    ours, theirs = policy.resamples(g, other)
    right, spent = (np.tile(mean, (len(ours), 1)) for mean in first)
    doubt = np.random.default_rng(seed).normal(0, 1 / (problems + 2), (len(ours), 1))
    right[:, :columns] += ours - ours.mean(axis=0) + doubt
    right[:, once], spent[:, once] = theirs.T
    return right, spent


def _row(
    view: View, once: Family, name: str, family: Family, accuracy: Floats, flops: Floats, problems: int
) -> dict[str, Any]:
    life = view.lifetime
    saved = life.trained("large", once.models) - life.trained(family.role, family.models)
    order = family.columns[np.argsort(flops[0, family.columns], kind="stable")]
    spent, right, rival = flops[:, order], accuracy[:, order], int(once.columns[0])
    row: dict[str, Any] = {"strategy": family.label, "verifier": family.verifier, "selector": family.selector}
    row |= {"bin": name, "convention": view.arms.convention, "status": OUTSIDE, **dict.fromkeys(_NUMBERS)}
    row["problems"] = problems
    if saved <= 0:
        return row | {"status": SUNK}
    if spent.shape[1] < 2 or spent[0, -1] <= flops[0, rival]:
        return row
    return row | _crossed(spent, right, accuracy[:, rival], flops[:, rival], saved, life.queries_per_r, problems)


def _crossed(
    spent: Floats, right: Floats, target: Floats, once: Floats, saved: float, queries_per_r: float, problems: int
) -> dict[str, Any]:
    at = crossing(np.maximum.accumulate(spent, axis=1), right, target, once)
    with np.errstate(divide="ignore"):
        queries = np.where(at == 0, np.inf, saved / np.maximum(at - once, 0))
        ends = saved / np.maximum(spent[0, [-1, 0]] - once[0], 0)
    r, star = queries / queries_per_r, float(queries[0] / queries_per_r)
    status = NEVER.get(star, CROSSED)
    if np.allclose(right[0], target[0], rtol=0, atol=1e-12):
        status = EQUAL
    r, ends = r.clip(*ends / queries_per_r), ends / queries_per_r
    found: dict[str, Any] = {"status": status, "measured_from": ends[0], "measured_to": _finite(ends[1])}
    if status == CROSSED:
        found |= {"R": star, "queries": star * queries_per_r}
    if len(r) > 1 and status != EQUAL:
        low, high = np.quantile(r[1:], tails(problems), method="nearest")
        found["share"] = float(np.mean((at[1:] > 0) & np.isfinite(at[1:])))
        for end, value in (("low", low), ("high", high)):
            found |= {end: _finite(value), f"queries_{end}": _finite(value * queries_per_r)}
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
