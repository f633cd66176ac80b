"""The ways to answer, under the draws of one bootstrap: what each reaches and takes, and how they rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scalinglab.curves import DRAWS, Floats, Group, Ints, Line, first_reach, held, shares
from scalinglab.errors import DataError
from scalinglab.exchange import View

_ROUNDING = 1e-12
"""Of a mean over problems: an accuracy that equals the target reaches it."""


@dataclass(frozen=True)
class Scored:
    """A line at every budget that an exchange reads: each row's accuracy and FLOPs, (rows, budgets)."""

    line: Line
    training: float
    budgets: Floats
    accuracy: Floats
    flops: Floats


@dataclass(frozen=True)
class Asked:
    """The queries that are asked: problems in strata, each with its share of the queries, and who may answer them.

    strata: rows of each, and its share.
    """

    lines: tuple[Scored, ...]
    strata: Sequence[tuple[Ints, float]]

    @property
    def rows(self) -> int:
        return sum(len(rows) for rows, _ in self.strata)


@dataclass(frozen=True)
class Candidate:
    """A line with its mean accuracy and FLOPs at each budget in every draw, (draws, budgets), and its training.

    The first draw is the evidence's own problems; costs rise. order: where each budget stands in its ``Scored``,
    -1 of one beyond all that was measured.
    """

    line: Line
    budgets: Floats
    order: Ints
    accuracy: Floats
    flops: Floats
    training: float

    def shares(self, flops: float, draw: int = 0) -> Floats:
        """The share of each budget in the mixture that costs so many FLOPs a query, as a draw's costs have it."""
        costs = self.flops[draw]
        return shares(costs, np.clip([flops], costs[0], costs[-1]))[:, 0]


class Within(Protocol):
    """Which budgets of a line are within a limit; left_out gathers of whom that is unknown, and why."""

    left_out: dict[str, str]

    def __call__(self, line: Line, budgets: Ints) -> npt.NDArray[np.bool_]: ...


def asked(view: View, mix: Sequence[float] | None, within: Within | None = None) -> Asked:
    """All problems as they are, or those of the view's bins, easiest first, in the shares of ``mix``.

    Answered by every line of both models that anyone can run, greedy answers among them, at the budgets that are
    ``within`` a limit. Lines that need to know the right answer are left out, unless there are no others.
    """
    groups = view.groups[:1] if mix is None else view.groups[1:]
    if mix is not None and (len(mix) != len(groups) or min(mix) < 0 or sum(mix) <= 0):
        names = ", ".join(group.name for group in groups)
        raise DataError(f"a mix of {len(mix)} shares", f"a share >= 0 of each of the bins {names}", "mend the mix")
    parts = [1.0] if mix is None else [share / sum(mix) for share in mix]
    ends = np.cumsum([len(group.members) for group in groups])
    strata = [(np.arange(end - len(g.members), end), s) for g, end, s in zip(groups, ends, parts, strict=True)]
    lines = [_scored(view, line, groups, within) for line in [*view.menu(), *view.menu(large=True)]]
    return Asked(tuple(line for line in lines if len(line.budgets)), strata)


def _scored(view: View, line: Line, groups: Sequence[Group], within: Within | None) -> Scored:
    budgets = view.scanned(line, groups[-1])
    budgets = budgets if within is None else budgets[within(line, budgets)]
    price = view.arms.prices[line.way]
    accuracy = [view.values(line, group, budgets)[0] for group in groups] if len(budgets) else [np.zeros((0, 0))]
    flops = (
        [group.evened(price.at(group.members).flops(budgets)) for group in groups] if len(budgets) else accuracy
    )
    training = view.lifetime.trained(line.role, line.models)
    return Scored(line, training, budgets.astype(np.float64), np.vstack(accuracy), np.vstack(flops))


def candidates(data: Asked, weights: Floats) -> list[Candidate]:
    """Every line that may answer, under weights of the rows, (draws, rows)."""
    found = []
    for one in data.lines:
        accuracy, flops = weights @ one.accuracy, weights @ one.flops
        at = np.argsort(flops[0], kind="stable")
        rising = np.maximum.accumulate(flops[:, at], axis=1)
        found.append(Candidate(one.line, one.budgets[at], at, accuracy[:, at], rising, one.training))
    return found


def resampled(data: Asked, seed: int) -> Floats:
    """The weight of each row in each draw, (1 + draws, rows): first as they are, then resampled within strata."""
    rng, weights = np.random.default_rng(seed), np.zeros((1 + DRAWS, data.rows))
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


def longer(view: View, one: Candidate, target: float) -> Candidate:
    """The candidate with one more budget, where the line through its last two meets the target.

    The line is drawn in the logarithm of FLOPs: the only guess that the package makes, and only when it is asked
    to. The budget is one that can be run: a whole number of samples, of chains of them.
    """
    if one.flops.shape[1] < 2:
        return one
    x, y, budgets = np.log(one.flops[:, -2:]), one.accuracy[:, -2:], one.budgets
    rise, run, step = y[:, 1] - y[:, 0], x[:, 1] - x[:, 0], max(1, view.arms.readers[one.line.way].step)
    if rise[0] <= 0 or y[0, 1] >= target:
        return one
    doublings = run[0] / np.log(budgets[-1] / budgets[-2])  # of FLOPs, in one of the budget
    least = budgets[-1] * np.exp((target - y[0, 1]) / (rise[0] / run[0]) / doublings)
    k = step * np.ceil(least / step - 1e-10)
    far = x[0, 1] + doublings * np.log(k / budgets[-1])
    ends = y[:, 1] + rise / run * (far - x[:, 1])
    flops = np.column_stack([one.flops, np.full(len(ends), np.exp(far))])
    accuracy = np.column_stack([one.accuracy, np.clip(ends, 0, 1)])
    return Candidate(one.line, np.append(budgets, k), np.append(one.order, -1), accuracy, flops, one.training)
