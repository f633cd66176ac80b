"""Advice in words: what to use, what comes next, and where the choice changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalinglab.advise.costs import Cost
from scalinglab.advise.recommended import Advice, Number, Option
from scalinglab.exchange.clauses import interval, listed, points, sentence


def advice_sentences(found: Advice, *, called: Callable[[str], str] = str) -> tuple[str, ...]:
    """One to three sentences of advice: the choice with what it reaches and takes, the runner-up, and the flips.

    called: what a model of the data is called.
    """
    best, held = found.best, found.validated
    wanted = (
        f"for {points(found.target)} % accuracy"
        if found.target is not None
        else f"for the most accuracy within {found.budget:.3g} FLOPs"
    )
    checked = (
        "" if held is None else f", cross-validated {points(held.accuracy)} ({interval(held.low, held.high)})"
    )
    first = (
        f"{wanted} over {found.queries:.3g} queries use {_named(best, called)}: right on {_right(best.accuracy)}"
        f"{checked}, at {best.total.value:.3g} lifetime FLOPs under {found.convention} "
        f"({found.problems} problems; best in {100 * best.right:.0f} % of resamples)"
    )
    second = "" if found.second is None else _next(found.second, best, called)
    return tuple(sentence(text) for text in (first, second, _flips(found, called)) if text)


def cost_sentences(costs: Sequence[Cost]) -> tuple[str, ...]:
    """What the choice takes on its GPUs and at a server's prices, in a sentence; none where nothing is known."""
    if not costs:
        return ()
    cost = costs[0]
    parts = [
        f"an answer takes {_round(cost.latency)} s" if cost.latency is not None else "",
        f"all queries take {_round(cost.days)} days" if cost.days is not None else "",
        f"they and the training cost {_round(cost.dollars)} dollars" if cost.dollars is not None else "",
    ]
    told = ", ".join(filter(None, parts))
    bill = cost.served_total
    both = [
        f"on {cost.gpus}, at best: {told}" if told else "",
        f"a server would ask {_round(bill)} dollars for all queries" if bill is not None else "",
    ]
    return tuple(sentence(text) for text in both if text)


def _round(value: float) -> str:
    """Three digits, without an exponent where that is short."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.10g}" if 1e-3 <= rounded < 1e9 else f"{rounded:.3g}"


def _named(option: Option, called: Callable[[str], str]) -> str:
    return f"{called(option.model)} with {option.strategy}, {option.plan()}"


def _right(number: Number) -> str:
    return f"{points(number.value)} % (95 % {interval(number.low, number.high)})"


def _next(second: Option, best: Option, called: Callable[[str], str]) -> str:
    times = second.total.value / best.total.value
    return (
        f"next is {_named(second, called)}: {_right(second.accuracy)}, {times:.3g} times the lifetime FLOPs, "
        f"best in {100 * second.right:.0f} % of resamples"
    )


def _flips(found: Advice, called: Callable[[str], str]) -> str:
    parts = [
        f"{side} {flip.queries:.3g} queries it is {called(flip.model)} with {flip.strategy}"
        for side, flip in (("below", found.below), ("above", found.above))
        if flip is not None
    ]
    return listed(parts) if parts else "the choice is the same at every load from 1e-6 to 1e6 times this"
