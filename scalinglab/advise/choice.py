"""The cheapest model, strategy and budget for a target and a load, or the best under a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalinglab.curves import DRAWS, Floats, Ints, tails
from scalinglab.errors import DataError
from scalinglab.exchange import Family, StudyData, View, crossing, families
from scalinglab.exchange.matching import positive

MEASURED, INTERPOLATED, EXTRAPOLATED = "measured", "interpolated", "extrapolated"
_ROUNDING = 1e-12
"""Of a mean over problems: an accuracy that equals the target reaches it."""
_LOADS = 10.0 ** np.linspace(-6, 6, 121)
"""The loads, as multiples of the one asked about, among which a flip is looked for."""


@dataclass(frozen=True)
class Number:
    """A number with its 95 % bootstrap interval over problems, and how it is known."""

    value: float
    low: float
    high: float
    how: str


@dataclass(frozen=True)
class Option:
    """One way to answer: a model, a strategy and its budget ``k``, with what it reaches and takes.

    arm: the measured arm nearest to it, a row of the view's arms.
    flops: of a query. total: of the training and all queries. right: how often the bootstrap chose it.
    """

    model: str
    strategy: str
    verifier: str
    k: float
    accuracy: Number
    flops: Number
    training: float
    total: Number
    right: float
    arm: int


@dataclass(frozen=True)
class Flip:
    """The nearest load, in queries, at which another option is the better one, and which."""

    queries: float
    model: str
    strategy: str


@dataclass(frozen=True)
class Advice:
    """What to use at a load, what is next, and at which smaller and larger loads that changes (None: nowhere)."""

    convention: str
    queries: float
    target: float | None
    budget: float | None
    best: Option
    second: Option | None
    below: Flip | None
    above: Flip | None
    problems: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A family with its mean accuracy and FLOPs at each budget in every draw, (draws, budgets), and its training.

    The first draw is the study's own problems; costs rise.
    """

    family: Family
    accuracy: Floats
    flops: Floats
    training: float


def advise(
    view: View,
    study: StudyData,
    *,
    queries: float,
    target: float | None = None,
    budget: float | None = None,
    mix: Sequence[float] | None = None,
    extrapolate: bool = False,
    seed: int = 0,
) -> Advice:
    """What reaches ``target`` accuracy with least lifetime FLOPs, or is most accurate within ``budget`` of them.

    mix: shares of the view's groups, easiest first, that the queries are made of; without it they are like the
    study's problems. Accuracy between measured budgets is linear in log FLOPs. Beyond them there is no advice,
    unless ``extrapolate`` lets the last two budgets of each strategy be drawn on in log FLOPs.
    Raises DataError where neither or both of target and budget are given, or none of the options can do it.
    """
    queries = positive(queries, "queries")
    if (target is None) == (budget is None):
        raise DataError("neither or both of a target and a budget", "one of them", "give --target or --budget")
    found = candidates(view, study, mix=mix, seed=seed)
    if extrapolate and target is not None:
        found = [_longer(one, target) for one in found]
    rank = (
        _reaching(found, _share(target))
        if target is not None
        else _affording(found, positive(budget or 0, "budget"))
    )
    costs, flops = rank(queries)
    if not np.isfinite(costs[:, 0]).any():
        raise _beyond(found, queries, target, budget)
    order, winners = np.argsort(costs[:, 0], kind="stable"), costs.argmin(axis=0)
    options = [
        _option(found[i], flops[i, 0], queries, float((winners[1:] == i).mean()), len(view.arms.problems))
        for i in order[:2]
        if np.isfinite(costs[i, 0])
    ]
    below = _flip(found, rank, queries, int(order[0]), _LOADS[_LOADS < 1][::-1])
    above = _flip(found, rank, queries, int(order[0]), _LOADS[_LOADS > 1])
    notes = [
        "accuracy, FLOPs: means over problems, with 95 % bootstrap intervals given the strategy and its budget",
        "the choice was made on the problems it is scored on, which flatters it",
    ]
    if any(option.accuracy.how == EXTRAPOLATED for option in options):
        notes.append("extrapolated: beyond every measured budget, on the line through the last two in log FLOPs")
    best, second = options[0], options[1] if len(options) > 1 else None
    return Advice(
        view.arms.convention,
        queries,
        target,
        budget,
        best,
        second,
        below,
        above,
        len(view.arms.problems),
        tuple(notes),
    )


def candidates(
    view: View, study: StudyData, *, mix: Sequence[float] | None = None, seed: int = 0
) -> list[Candidate]:
    """Every family of both models, greedy answers among them, under the draws of one bootstrap."""
    weights, found = _weights(view, mix, seed), []
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


def _weights(view: View, mix: Sequence[float] | None, seed: int) -> Floats:
    """The weight of each problem in each draw, (1 + draws, problems): first as they are, then resampled."""
    count, rng = len(view.arms.problems), np.random.default_rng(seed)
    groups: list[tuple[Ints, float]] = [(np.arange(count), 1.0)]
    if mix is not None:
        if len(mix) != len(view.groups) or min(mix) < 0 or sum(mix) <= 0:
            names = ", ".join(name for name, _ in view.groups)
            raise DataError(
                f"a mix of {len(mix)} shares", f"a share >= 0 of each of the bins {names}", "mend the mix"
            )
        groups = [(members, share / sum(mix)) for (_, members), share in zip(view.groups, mix, strict=True)]
    weights = np.zeros((1 + DRAWS, count))
    for members, share in groups:
        weights[0, members] = share / len(members)
        even = np.full(len(members), 1 / len(members))
        weights[1:, members] = share * rng.multinomial(len(members), even, size=DRAWS) / len(members)
    return weights


def _reaching(found: Sequence[Candidate], target: float) -> Callable[[float], tuple[Floats, Floats]]:
    """By load: the lifetime FLOPs at which each candidate reaches the target in each draw, and FLOPs a query."""
    flops = np.stack([_first(one, target - _ROUNDING) for one in found])
    training = np.array([[one.training] for one in found])
    return lambda queries: (training + queries * flops, flops)


def _first(one: Candidate, target: float) -> Floats:
    if one.flops.shape[1] == 1:
        return np.where(one.accuracy[:, 0] >= target, one.flops[:, 0], np.inf)
    goal = np.full(len(one.flops), target)
    return np.maximum(crossing(one.flops, one.accuracy, goal, one.flops[:, 0]), one.flops[:, 0])


def _affording(found: Sequence[Candidate], budget: float) -> Callable[[float], tuple[Floats, Floats]]:
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


def _longer(one: Candidate, target: float) -> Candidate:
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


def _option(one: Candidate, flops: float, queries: float, right: float, problems: int) -> Option:
    """A candidate at these FLOPs a query, with intervals at that fixed budget."""
    order = np.arange(one.flops.shape[1])
    weights = np.array([np.interp(np.log(flops), np.log(one.flops[0]), row) for row in np.eye(len(order))])
    used = one.family.columns[weights > 1e-9]
    how = EXTRAPOLATED if (used < 0).any() else MEASURED if len(used) == 1 else INTERPOLATED
    accuracy, spent = one.accuracy @ weights, np.exp(np.log(one.flops) @ weights)
    nearest = np.where(one.family.columns < 0, -1.0, weights).argmax()
    return Option(
        one.family.models[0],
        one.family.label,
        one.family.verifier,
        float(f"{np.exp(np.log(one.family.budgets) @ weights):.9g}"),
        _number(accuracy, how, problems),
        _number(spent, how, problems),
        one.training,
        _number(one.training + queries * spent, how, problems),
        right,
        int(one.family.columns[nearest]),
    )


def _number(draws: Floats, how: str, problems: int) -> Number:
    ends = np.quantile(draws[1:], tails(problems))
    value, low, high = (float(f"{end:.9g}") for end in (draws[0], *ends))
    return Number(value, low, high, how)


def _flip(
    found: Sequence[Candidate],
    rank: Callable[[float], tuple[Floats, Floats]],
    queries: float,
    best: int,
    loads: Floats,
) -> Flip | None:
    """The nearest of these loads at which another candidate wins, narrowed to a part in a thousand."""

    def winner(load: float) -> int | None:
        costs = rank(queries * load)[0][:, 0]
        return int(costs.argmin()) if np.isfinite(costs).any() else None

    near = 1.0
    for load in loads:
        if winner(load) not in (best, None):
            break
        near = load
    else:
        return None
    far = float(load)
    while abs(np.log(far / near)) > 1e-3:
        middle = float(np.sqrt(near * far))
        near, far = (middle, far) if winner(middle) == best else (near, middle)
    other = found[winner(far) or 0].family
    return Flip(queries * far, other.models[0], other.label)


def _share(target: float) -> float:
    if not 0 < target < 1:
        raise DataError(f"a target of {target}", "an accuracy between 0 and 1", "mend the target")
    return target


def _beyond(found: Sequence[Candidate], queries: float, target: float | None, budget: float | None) -> DataError:
    if target is not None:
        most = max(float(one.accuracy[0].max()) for one in found)
        return DataError(
            f"a target of {target:g}, beyond every measured budget",
            f"at most {most:.4g}, the best that was measured",
            "lower it, or --extrapolate",
        )
    least = min(float(one.training + queries * one.flops[0, 0]) for one in found)
    return DataError(
        f"a budget of {budget:.4g} FLOPs for {queries:.4g} queries",
        f"{least:.4g} or more",
        "raise it, or answer less",
    )
