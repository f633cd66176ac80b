"""The ways to answer, under the draws of one bootstrap: what each reaches and takes, and how they rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalinglab.curves import DRAWS, Floats, Ints
from scalinglab.errors import DataError
from scalinglab.exchange import Family, StudyData, View, crossing, families

Shares = Sequence[tuple[Ints, float]]
_ROUNDING = 1e-12
"""Of a mean over problems: an accuracy that equals the target reaches it."""


@dataclass(frozen=True)
class Candidate:
    """A family with its mean accuracy and FLOPs at each budget in every draw, (draws, budgets), and its training.

    The first draw is the study's own problems; costs rise.
    """

    family: Family
    accuracy: Floats
    flops: Floats
    training: float

    def shares(self, flops: float, draw: int = 0) -> Floats:
        """The share of each budget at FLOPs a query, linear in their logarithm, as a draw's costs have it."""
        costs = np.log(self.flops[draw])
        return np.array([np.interp(np.log(flops), costs, row) for row in np.eye(len(costs))])


def candidates(
    view: View,
    study: StudyData,
    *,
    mix: Sequence[float] | None = None,
    seed: int = 0,
    weights: Floats | None = None,
) -> list[Candidate]:
    """Every family of both models, greedy answers among them, under the draws of one bootstrap.

    weights: of each problem in draws of another kind, (draws, problems).
    """
    weights, found = _resampled(view, mix, seed) if weights is None else weights, []
    accuracy, flops = weights @ view.arms.accuracy, weights @ view.arms.flops
    for family in [*families(view.arms, study), *families(view.arms, study, large=True), *_greedy(view, study)]:
        at = family.columns[np.argsort(flops[0, family.columns], kind="stable")]
        ordered = replace(family, columns=at, budgets=view.arms.table["budget"].to_numpy(np.float64)[at])
        training = view.lifetime.trained(family.role, family.models)
        found.append(Candidate(ordered, accuracy[:, at], np.maximum.accumulate(flops[:, at], axis=1), training))
    return found


def _greedy(view: View, study: StudyData) -> list[Family]:
    table = view.arms.table
    rows = table[(table["strategy"] == "greedy") & table["model"].isin([study.small, study.large])]
    return [
        Family("greedy", str(row["role"]), (str(row["model"]),), "greedy", "", "", np.array([i]), np.ones(1))
        for i, row in rows.iterrows()
    ]


def mixture(view: View, mix: Sequence[float] | None) -> Shares:
    """Groups of problems and the share of each among the queries: all as they are, or the view's mixed."""
    if mix is None:
        return [(np.arange(len(view.arms.problems)), 1.0)]
    if len(mix) != len(view.groups) or min(mix) < 0 or sum(mix) <= 0:
        names = ", ".join(name for name, _ in view.groups)
        raise DataError(f"a mix of {len(mix)} shares", f"a share >= 0 of each of the bins {names}", "mend the mix")
    return [(members, share / sum(mix)) for (_, members), share in zip(view.groups, mix, strict=True)]


def _resampled(view: View, mix: Sequence[float] | None, seed: int) -> Floats:
    """The weight of each problem in each draw, (1 + draws, problems): first as they are, then resampled."""
    rng, weights = np.random.default_rng(seed), np.zeros((1 + DRAWS, len(view.arms.problems)))
    for members, share in mixture(view, mix):
        weights[0, members] = share / len(members)
        even = np.full(len(members), 1 / len(members))
        weights[1:, members] = share * rng.multinomial(len(members), even, size=DRAWS) / len(members)
    return weights


def reaching(found: Sequence[Candidate], target: float) -> Callable[[float], tuple[Floats, Floats]]:
    """By load: the lifetime FLOPs at which each candidate reaches the target in each draw, and FLOPs a query."""
    flops = np.stack([_first(one, target - _ROUNDING) for one in found])
    training = np.array([[one.training] for one in found])
    return lambda queries: (training + queries * flops, flops)


def _first(one: Candidate, target: float) -> Floats:
    if one.flops.shape[1] == 1:
        return np.where(one.accuracy[:, 0] >= target, one.flops[:, 0], np.inf)
    goal = np.full(len(one.flops), target)
    return np.maximum(crossing(one.flops, one.accuracy, goal, one.flops[:, 0]), one.flops[:, 0])


def affording(found: Sequence[Candidate], budget: float) -> Callable[[float], tuple[Floats, Floats]]:
    """By load: minus each candidate's best accuracy within the budget (infinite: none), and FLOPs a query."""

    def rank(queries: float) -> tuple[Floats, Floats]:
        pairs = [_best_within(one, (budget - one.training) / queries) for one in found]
        return np.stack([-accuracy for accuracy, _ in pairs]), np.stack([flops for _, flops in pairs])

    return rank


def _best_within(one: Candidate, flops: float) -> tuple[Floats, Floats]:
    """The highest accuracy at no more than these FLOPs a query, and the FLOPs it takes, in each draw."""
    open_ = one.flops <= flops
    values, spent = np.where(open_, one.accuracy, -np.inf), one.flops
    if one.flops.shape[1] > 1:
        inside = (one.flops[:, 0] <= flops) & (flops < one.flops[:, -1])
        between = np.where(inside, _interpolated(one, flops), -np.inf)
        values = np.column_stack([values, between])
        spent = np.column_stack([spent, np.full(len(spent), flops)])
    best, rows = values.argmax(axis=1), np.arange(len(values))
    return values[rows, best], spent[rows, best]


def _interpolated(one: Candidate, flops: float) -> Floats:
    above = np.clip((one.flops < flops).sum(axis=1), 1, one.flops.shape[1] - 1)
    rows = np.arange(len(above))
    low, high = np.log(one.flops[rows, above - 1]), np.log(one.flops[rows, above])
    share = np.divide(np.log(max(flops, 1e-300)) - low, high - low, out=np.zeros(len(low)), where=high > low)
    first, last = one.accuracy[rows, above - 1], one.accuracy[rows, above]
    return np.asarray(first + np.clip(share, 0, 1) * (last - first))


def longer(one: Candidate, target: float) -> Candidate:
    """The candidate with one more budget, where the line through its last two meets the target in every draw."""
    if one.flops.shape[1] < 2:
        return one
    x, y = np.log(one.flops[:, -2:]), one.accuracy[:, -2:]
    rise, run = y[:, 1] - y[:, 0], x[:, 1] - x[:, 0]
    if rise[0] <= 0 or y[0, 1] >= target:
        return one
    far = x[0, 1] + 1.001 * (target - y[0, 1]) / (rise[0] / run[0])
    ends = y[:, 1] + rise / run * (far - x[:, 1])
    k = np.exp(np.interp(far, x[0], np.log(one.family.budgets[-2:])))
    k *= np.exp((far - x[0, 1]) * np.log(one.family.budgets[-1] / one.family.budgets[-2]) / run[0])
    family = replace(
        one.family, columns=np.append(one.family.columns, -1), budgets=np.append(one.family.budgets, k)
    )
    flops = np.column_stack([one.flops, np.full(len(ends), np.exp(far))])
    return replace(one, family=family, accuracy=np.column_stack([one.accuracy, np.clip(ends, 0, 1)]), flops=flops)
