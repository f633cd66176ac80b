"""The R and the number of queries at which a line of the small side stops paying, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Floats, Group, first_reach, resampled, tails
from scalinglab.exchange.headline import OPTIMAL, configurations
from scalinglab.exchange.matched import Rival, rivals
from scalinglab.exchange.paired import FEWEST_PROBLEMS, OUTSIDE, PRETRAINING, TEST_TIME, UNDECIDED
from scalinglab.exchange.views import View

CROSSED = "crossed"
ABOVE = f"not crossed: {TEST_TIME} at every measured R"
BELOW = f"not crossed: {PRETRAINING} at every measured R"
SIDES = {ABOVE: 1, BELOW: -1}
"""Of a break-even that was not crossed: whether it lies above (1) or below (-1) every measured R."""
SUNK = "none: training costs no less than the large model's"
_NUMBERS = ("R", "low", "high", "queries", "queries_low", "queries_high", "measured_from", "measured_to", "share")
_DECIDED = 0.975


def breakeven(views: Sequence[View], *, seed: int = 0) -> pd.DataFrame:
    """One row a convention, strategy and group: R* below which the small model answers better than the large one.

    R* is where, as the budget a query grows from the least that was measured, the accuracy of its mixtures first
    reaches the large model's one answer. status: crossed, where the problems themselves cross and neither side is
    decided; not crossed, only where at least 97.5 % of the draws agree on who is better at every measured R;
    undecided; outside, where no measured budget costs more than one answer of the large model.
    low and high: 95 % bootstrap over problems, of accuracies and costs; missing where the end lies beyond the R
    that the measured budgets stand for (measured_from, and measured_to: missing where infinite), and in groups of
    too few problems. share: of draws that cross. queries: R* in queries.
    """
    rows = [row for view in views for group in view.groups for row in _rows(view, group, seed)]
    return pd.DataFrame(rows).astype(dict.fromkeys(_NUMBERS, float))


def _rows(view: View, group: Group, seed: int) -> Iterator[dict[str, Any]]:
    names = {"bin": group.name, "convention": view.arms.convention, "problems": group.size}
    yield from (row | names for row in _headlines(view, group))
    accuracy, flops = _draws(view, group, seed)
    for line in view.lines():
        (rival,) = rivals(view, thinking=False, line=line)
        check = float(group.mean((rival.flops - view.arms.flops[:, rival.column])[group.members]))
        at = view.columns(line, group)
        at = at[np.argsort(flops[0, at], kind="stable")]
        once = accuracy[:, rival.column], flops[:, rival.column] + check
        row = {"strategy": line.label, "verifier": line.verifier, "selector": line.selector} | names
        saved = _saved(view, rival, line.role, line.models)
        yield row | _row(view, saved, flops[:, at], accuracy[:, at], *once, len(group.members))


def _headlines(view: View, group: Group) -> Iterator[dict[str, Any]]:
    """A row a menu of the compute-optimal strategy: with every helper, and where they are paid with fewer."""
    (rival,) = rivals(view, thinking=False, line=None)
    both = np.column_stack([view.arms.accuracy[:, rival.column], rival.flops])
    for menu in view.menus:
        spent, right, theirs = configurations(menu, group, both)
        if len(group.members) < FEWEST_PROBLEMS:
            spent, right, theirs = spent[:1], right[:1], theirs[:1]
        saved = _saved(view, rival, "policy", menu.models)
        found = _row(view, saved, spent, right, theirs[:, 0], theirs[:, 1], len(group.members))
        name = OPTIMAL if menu is view.menus[0] else f"{OPTIMAL} of {', '.join(menu.models)}"
        yield {"strategy": name, "verifier": "", "selector": OPTIMAL} | found


def _saved(view: View, rival: Rival, role: str, models: Sequence[str]) -> float:
    return view.lifetime.trained("large", rival.line.models) - view.lifetime.trained(role, models)


def _draws(view: View, group: Group, seed: int) -> tuple[Floats, Floats]:
    """Mean accuracy and FLOPs of every arm: of the group in the first row, of its resamples in the others.

    Two pseudo-problems above and below an arm's mean stand for what the group's agreement hides (see
    ``pointwise``).
    """
    accuracy, flops = view.scored(group), group.evened(view.arms.flops[group.members])
    first = [accuracy.mean(axis=0), flops.mean(axis=0)]
    if len(group.members) < FEWEST_PROBLEMS:
        return first[0][None], first[1][None]
    once = int(view.once.columns[0])
    doubt = np.sqrt((accuracy - accuracy[:, [once]]).var(axis=0, ddof=1) + 1)
    doubt[once] = 0
    ends = np.array([first[0] + doubt, first[0] - doubt])
    both = np.hstack([np.vstack([accuracy, ends]), np.vstack([flops, first[1], first[1]])])
    right, spent = np.hsplit(resampled(both, DRAWS, seed), 2)
    return np.vstack([first[0], right]), np.vstack([first[1], spent])


def _row(
    view: View, saved: float, spent: Floats, right: Floats, target: Floats, once: Floats, problems: int
) -> dict[str, Any]:
    empty: dict[str, Any] = {"status": OUTSIDE, **dict.fromkeys(_NUMBERS)}
    if saved <= 0:
        return empty | {"status": SUNK}
    if spent.shape[1] < 2 or spent[0, -1] <= once[0]:
        return empty
    spent = np.maximum.accumulate(spent, axis=1)
    at = first_reach(spent, right, target, once)
    scale = saved / view.lifetime.queries_per_r
    with np.errstate(divide="ignore"):
        r = np.where(at == 0, np.inf, scale / np.maximum(at - once, 0))  # never reached: 0
        ends = scale / np.maximum(spent[0, [-1, 0]] - once[0], 0)
    found = empty | {"measured_from": float(ends[0]), "measured_to": _finite(ends[1])}
    return found | _crossed(r, ends, view.lifetime.queries_per_r, problems)


def _crossed(r: Floats, ends: Floats, queries: float, problems: int) -> dict[str, Any]:
    """The status and numbers of a break-even from its draws, of which the first is the problems' own."""
    star, again = float(r[0]), r[1:]
    found: dict[str, Any] = {"status": UNDECIDED}
    if 0 < star < np.inf:
        found |= {"status": CROSSED, "R": star, "queries": star * queries}
    if not len(again):
        return found
    found["share"] = float(((again > 0) & np.isfinite(again)).mean())
    for status, there in ((ABOVE, np.isinf(again)), (BELOW, again == 0)):
        if there.mean() >= _DECIDED:
            return empty_star(found) | {"status": status}
    low, high = np.quantile(again, tails(problems), method="nearest")
    for end, value in (("low", low), ("high", high)):
        bounded = 0 < value < np.inf and ends[0] * (1 - 1e-9) <= value <= ends[1] * (1 + 1e-9)
        found |= {
            end: float(value) if bounded else None,
            f"queries_{end}": float(value * queries) if bounded else None,
        }
    return found


def empty_star(found: dict[str, Any]) -> dict[str, Any]:
    """Without an R*: where one side is decided everywhere, a crossing of the means says nothing."""
    return {key: value for key, value in found.items() if key not in ("R", "queries")}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
