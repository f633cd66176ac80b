"""The cheapest model, strategy and budget for a target and a load, or the best under a budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from scalinglab.advise.candidates import (
    Asked,
    Candidate,
    Within,
    affording,
    asked,
    candidates,
    longer,
    reaching,
    resampled,
)
from scalinglab.advise.recommended import EXTRAPOLATED, MEASURED, MIXED, Advice, Flip, Number, Option, Part
from scalinglab.advise.validated import doubted, validated
from scalinglab.advise.work import effort_of
from scalinglab.curves import Floats, tails
from scalinglab.errors import DataError
from scalinglab.exchange import View
from scalinglab.exchange.matching import positive

_LOADS = 10.0 ** np.linspace(-6, 6, 121)
"""The loads, as multiples of the one asked about, among which a flip is looked for."""


def advise(
    view: View,
    *,
    queries: float,
    target: float | None = None,
    budget: float | None = None,
    mix: Sequence[float] | None = None,
    within: Within | None = None,
    extrapolate: bool = False,
    seed: int = 0,
) -> Advice:
    """What reaches ``target`` accuracy with least lifetime FLOPs, or is most accurate within ``budget`` of them.

    mix: shares of the view's groups, easiest first, that the queries are made of; without it they are like the
    problems. within: which budgets of a line may be used, such as those that answer soon enough (see ``waiting``).
    Between two measured budgets stands their mixture. Beyond them there is no advice,
    unless ``extrapolate`` lets the last two budgets of each strategy be drawn on in log FLOPs.
    Raises DataError where neither or both of target and budget are given, or none of the options can do it.
    """
    queries = positive(queries, "queries")
    if (target is None) == (budget is None):
        raise DataError("neither or both of a target and a budget", "one of them", "give --target or --budget")
    data = _data(view, mix, within)
    found = candidates(data, resampled(data, seed))
    if extrapolate and target is not None:
        found = [longer(view, one, target) for one in found]
    ranked = (
        partial(reaching, target=_share(target))
        if target is not None
        else partial(affording, budget=positive(budget or 0, "budget"))
    )
    rank = ranked(found)
    costs, flops = rank(queries)
    if not np.isfinite(costs[:, 0]).any():
        raise _beyond(found, queries, target, budget, within is not None)
    order, winners = np.argsort(costs[:, 0], kind="stable"), costs.argmin(axis=0)
    options = [
        _option(view, data, found[i], flops[i, 0], queries, float((winners[1:] == i).mean()))
        for i in order[:2]
        if np.isfinite(costs[i, 0])
    ]
    below = _flip(found, rank, queries, int(order[0]), _LOADS[_LOADS < 1][::-1])
    above = _flip(found, rank, queries, int(order[0]), _LOADS[_LOADS > 1])
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
        tuple(_notes(options, within)),
        None if extrapolate else validated(view, data, ranked, queries, seed=seed),
    )


def _data(view: View, mix: Sequence[float] | None, within: Within | None) -> Asked:
    """What is chosen among. Raises DataError where the limit leaves nothing."""
    data = asked(view, mix, within)
    if not data.lines:
        why = "; ".join(_left_out(within)).replace(";", ",")
        raise DataError(
            "no way to answer within the limit" + f" ({why})" * bool(why),
            "one way that is known to",
            "raise --latency",
        )
    return data


def _notes(options: Sequence[Option], within: Within | None) -> list[str]:
    notes = [
        "accuracy, FLOPs: means over problems, with 95 % bootstrap intervals given the strategy and its budget",
        "the choice was made on the problems it is scored on, which flatters it; cross-validated: on others",
    ]
    notes += [f"left out under the limit, as nobody can say: {told}" for told in _left_out(within)]
    if any(option.accuracy.how == EXTRAPOLATED for option in options):
        notes.append("extrapolated: beyond every measured budget, on the line through the last two in log FLOPs")
    return notes


def _option(view: View, data: Asked, one: Candidate, flops: float, queries: float, right: float) -> Option:
    """A candidate at these FLOPs a query, with intervals at that fixed budget."""
    problems, fewest = len(view.arms.problems), view.arms.readers[one.line.way].fewest
    strata = [(len(rows), share) for rows, share in data.strata]
    weights = one.shares(flops)
    used = np.flatnonzero(weights > 1e-9)
    parts = tuple(
        Part(float(weights[i]), float(one.budgets[i]), one.line.way, run_of(view, one, float(one.budgets[i])))
        for i in used
    )
    how = EXTRAPOLATED if one.order[used].min() < 0 else MEASURED if len(used) == 1 else MIXED
    accuracy, spent = one.accuracy @ weights, one.flops @ weights
    return Option(
        one.line.models[0],
        one.line.label,
        one.line.verifier,
        parts,
        _doubted(_number(accuracy, how, problems), strata, fewest),
        _number(spent, how, problems),
        one.training,
        _number(one.training + queries * spent, how, problems),
        right,
    )


def _left_out(within: Within | None) -> list[str]:
    return [] if within is None else [f"{name}: {why}" for name, why in within.left_out.items()]


def run_of(view: View, one: Candidate, k: float) -> str:
    """What a budget of a line is, in words: an effort where it stands for one."""
    effort = effort_of(view.arms.readers[one.line.way], k)
    return f"k = {k:g}" if effort is None else f"effort {json.loads(effort[1])['effort']}"


def _number(draws: Floats, how: str, problems: int) -> Number:
    ends = np.quantile(draws[1:], tails(problems))
    value, low, high = (float(f"{end:.9g}") for end in (draws[0], *ends))
    return Number(value, low, high, how)


def _doubted(number: Number, strata: Sequence[tuple[int, float]], fewest: int) -> Number:
    """An accuracy of which agreement leaves doubt; FLOPs that agree are known."""
    low, high = doubted(number.value, np.array([number.low, number.high]), strata, fewest)
    return replace(number, low=float(f"{low:.9g}"), high=float(f"{high:.9g}"))


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
    other = found[winner(far) or 0].line
    return Flip(queries * far, other.models[0], other.label)


def _share(target: float) -> float:
    if not 0 < target < 1:
        raise DataError(f"a target of {target}", "an accuracy between 0 and 1", "mend the target")
    return target


def _beyond(
    found: Sequence[Candidate], queries: float, target: float | None, budget: float | None, limited: bool
) -> DataError:
    if target is not None:
        most = max(float(one.accuracy[0].max()) for one in found)
        return DataError(
            f"a target of {target:g}, beyond every measured budget",
            f"at most {most:.4g}, the best that was measured" + " and answers soon enough" * limited,
            "lower it, raise --latency, or --extrapolate" if limited else "lower it, or --extrapolate",
        )
    least = min(float(one.training + queries * one.flops[0, 0]) for one in found)
    return DataError(
        f"a budget of {budget:.4g} FLOPs for {queries:.4g} queries",
        f"{least:.4g} or more",
        "raise it, or answer less",
    )


def tried(view: View, **asked: Any) -> Advice | DataError:
    """``advise``, or why there is none under the view's convention."""
    try:
        return advise(view, **asked)
    except DataError as error:
        return error
