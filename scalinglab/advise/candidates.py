"""The ways to answer, under the draws of one bootstrap: what each reaches and takes, and how they rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalinglab.curves import DRAWS, Floats, Ints, Line, first_reach, held, shares
from scalinglab.errors import DataError
from scalinglab.exchange import View

_ROUNDING = 1e-12
"""Of a mean over problems: an accuracy that equals the target reaches it."""


@dataclass(frozen=True)
class Asked:
    """The queries that are asked: problems in strata, each with its share of the queries.

    accuracy, flops: of every arm, a row a problem of a stratum, (rows, arms). strata: rows of each, and its share.
    """

    accuracy: Floats
    flops: Floats
    strata: Sequence[tuple[Ints, float]]


@dataclass(frozen=True)
class Candidate:
    """A line with its mean accuracy and FLOPs at each budget in every draw, (draws, budgets), and its training.

    The first draw is the evidence's own problems; costs rise.
    """

    line: Line
    accuracy: Floats
    flops: Floats
    training: float

    def shares(self, flops: float, draw: int = 0) -> Floats:
        """The share of each budget in the mixture that costs so many FLOPs a query, as a draw's costs have it."""
        costs = self.flops[draw]
        return shares(costs, np.clip([flops], costs[0], costs[-1]))[:, 0]


def asked(view: View, mix: Sequence[float] | None) -> Asked:
    """All problems as they are, or those of the view's bins, easiest first, in the shares of ``mix``."""
    groups = view.groups[:1] if mix is None else view.groups[1:]
    if mix is not None and (len(mix) != len(groups) or min(mix) < 0 or sum(mix) <= 0):
        names = ", ".join(group.name for group in groups)
        raise DataError(f"a mix of {len(mix)} shares", f"a share >= 0 of each of the bins {names}", "mend the mix")
    parts = [1.0] if mix is None else [share / sum(mix) for share in mix]
    ends = np.cumsum([len(group.members) for group in groups])
    strata = [(np.arange(end - len(g.members), end), s) for g, end, s in zip(groups, ends, parts, strict=True)]
    accuracy = np.vstack([view.scored(group) for group in groups])
    return Asked(accuracy, np.vstack([group.evened(view.arms.flops[group.members]) for group in groups]), strata)


def candidates(view: View, data: Asked, weights: Floats) -> list[Candidate]:
    """Every line of both models that anyone can run, greedy answers among them, under weights of the rows.

    weights: (draws, rows). Lines that need to know the right answer are left out, unless there are no others.
    """
    found, accuracy, flops = [], weights @ data.accuracy, weights @ data.flops
    widest = view.groups[-1]
    for line in [*view.menu(), *view.menu(large=True)]:
        at = view.columns(line, widest)
        at = at[np.argsort(flops[0, at], kind="stable")]
        ordered = replace(line, columns=at, budgets=view.arms.table["budget"].to_numpy(np.float64)[at])
        training = view.lifetime.trained(line.role, line.models)
        found.append(Candidate(ordered, accuracy[:, at], np.maximum.accumulate(flops[:, at], axis=1), training))
    return found


def resampled(data: Asked, seed: int) -> Floats:
    """The weight of each row in each draw, (1 + draws, rows): first as they are, then resampled within strata."""
    rng, weights = np.random.default_rng(seed), np.zeros((1 + DRAWS, len(data.accuracy)))
    for rows, share in data.strata:
        weights[0, rows] = share / len(rows)
        even = np.full(len(rows), 1 / len(rows))
        weights[1:, rows] = share * rng.multinomial(len(rows), even, size=DRAWS) / len(rows)
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
    return np.maximum(first_reach(one.flops, one.accuracy, goal, one.flops[:, 0]), one.flops[:, 0])


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
        between = np.where(inside, _mixed(one, flops), -np.inf)
        values = np.column_stack([values, between])
        spent = np.column_stack([spent, np.full(len(spent), flops)])
    best, rows = values.argmax(axis=1), np.arange(len(values))
    return values[rows, best], spent[rows, best]


def _mixed(one: Candidate, flops: float) -> Floats:
    return held(one.flops, one.accuracy, np.full(len(one.flops), flops))


def longer(one: Candidate, target: float) -> Candidate:
    """The candidate with one more budget, where the line through its last two meets the target in every draw.

    The line is drawn in the logarithm of FLOPs: the only guess that the package makes, and only when it is asked
    to.
    """
    if one.flops.shape[1] < 2:
        return one
    x, y = np.log(one.flops[:, -2:]), one.accuracy[:, -2:]
    rise, run = y[:, 1] - y[:, 0], x[:, 1] - x[:, 0]
    if rise[0] <= 0 or y[0, 1] >= target:
        return one
    far = x[0, 1] + 1.001 * (target - y[0, 1]) / (rise[0] / run[0])
    ends = y[:, 1] + rise / run * (far - x[:, 1])
    k = one.line.budgets[-1] * np.exp(
        (far - x[0, 1]) * np.log(one.line.budgets[-1] / one.line.budgets[-2]) / run[0]
    )
    line = replace(one.line, columns=np.append(one.line.columns, -1), budgets=np.append(one.line.budgets, k))
    flops = np.column_stack([one.flops, np.full(len(ends), np.exp(far))])
    return replace(one, line=line, accuracy=np.column_stack([one.accuracy, np.clip(ends, 0, 1)]), flops=flops)
