"""Advice in words: what to use, what comes next, and where the choice changes."""

from __future__ import annotations

from collections.abc import Callable

from scalinglab.advise.choice import Advice, Number, Option
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
