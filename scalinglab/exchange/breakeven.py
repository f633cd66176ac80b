"""The R and the number of queries at which a line of the small side stops paying, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import DRAWS, Floats, Group, Ints, alike, beside, reached, repeated, resampled, tails
from scalinglab.exchange.headline import OPTIMAL, configurations
from scalinglab.exchange.matched import Rival, rivals
from scalinglab.exchange.paired import FEWEST_PROBLEMS, OUTSIDE, PRETRAINING, TEST_TIME, UNDECIDED
from scalinglab.exchange.views import View

CROSSED = "crossed"
BACK = "crossed back: ahead at some measured R, behind at a lower one"
ABOVE = f"not crossed: {TEST_TIME} at every measured R"
BELOW = f"not crossed: {PRETRAINING} at every measured R"
SIDES = {ABOVE: 1, BELOW: -1}
"""Of a break-even that was not crossed: whether it lies above (1) or below (-1) every measured R."""
SUNK = "none: training costs no less than the large model's"
_NUMBERS = ("R", "low", "high", "queries", "queries_low", "queries_high", "measured_from", "measured_to", "share")
_DECIDED = 0.975
_HELD = 2**23
"""Accuracies of members at budgets that are held at once."""
Mask = npt.NDArray[np.bool_]


def breakeven(views: Sequence[View], *, seed: int = 0) -> pd.DataFrame:
    """One row a convention, strategy and group: R* below which the small model answers better than the large one.

    R* is where, as the budget a query grows from the least that was measured, the accuracy of its mixtures first
    reaches the large model's one answer and stays there. status: crossed, where the problems themselves cross,
    below the dearest budget, and neither side is decided; not crossed, only where at least 97.5 % of the draws
    agree on who is better at every measured R; crossed back, where the problems themselves fall short again at a
    larger budget, so that no R* parts the two sides; undecided; outside, where no measured budget costs more than
    the large model's answer. model: whose answers a line's are, "" of a headline, as in verdicts, which read the
    same budgets.
    low and high: 95 % bootstrap over problems, of accuracies and costs; missing where the end lies beyond the R
    that the measured budgets stand for (measured_from, and measured_to: missing where infinite), and in groups of
    too few problems. share: of draws that cross. queries: R* in queries.
    """
    rows: list[list[dict[str, Any]]] = [[] for _ in views]
    for g in range(len(views[0].groups)):
        scans = _scans(views[0], views[0].groups[g], seed)  # rules differ in costs alone
        for own, view in zip(rows, views, strict=True):
            own += _rows(view, view.groups[g], scans, seed)
    return pd.DataFrame([row for own in rows for row in own]).astype(dict.fromkeys(_NUMBERS, float))


@dataclass(frozen=True)
class _Scan:
    """A way to answer in a group: its budgets and mean accuracy at each, (1 + draws, budgets).

    The first row is the group's own, the others its resamples.
    """

    budgets: Ints
    right: Floats


def _rows(view: View, group: Group, scans: Mapping[int, _Scan], seed: int) -> Iterator[dict[str, Any]]:
    names = {"bin": group.name, "convention": view.arms.convention, "problems": group.size}
    yield from (row | names for row in _headlines(view, group))
    lines, once = view.lines(), scans[view.once.way].right[:, 0]
    paid = _paid(view, group, [scans[line.way].budgets for line in lines], seed)
    for line, spent in zip(lines, paid[1:], strict=True):
        (rival,) = rivals(view, thinking=False, line=line)
        check = float(group.mean_of(rival.flops) - group.mean_of(view.arms.flops[:, rival.column]))
        row = {"strategy": line.label, "model": line.models[0], "verifier": line.verifier,
               "selector": line.selector} | names  # fmt: skip
        saved, right = _saved(view, rival, line.role, line.models), scans[line.way].right
        yield row | _row(view, saved, *_rising(spent, right), once, paid[0][:, 0] + check, len(group.members))


def _rising(spent: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Budgets by rising cost; samples' do rise, those of searches need not in every draw."""
    if (spent[:, 1:] >= spent[:, :-1]).all():
        return spent, right
    order = np.argsort(spent[0], kind="stable")
    return np.maximum.accumulate(spent[:, order], axis=1), right[:, order]


def _headlines(view: View, group: Group) -> Iterator[dict[str, Any]]:
    """A row a menu of the compute-optimal strategy: with every helper, and where they are paid with fewer."""
    (rival,) = rivals(view, thinking=False, line=None)
    both = np.column_stack([view.arms.accuracy[:, rival.column], rival.flops])
    for menu in view.menus:
        spent, right, theirs = configurations(menu, group, both)
        if group.size < FEWEST_PROBLEMS:
            spent, right, theirs = spent[:1], right[:1], theirs[:1]
        saved = _saved(view, rival, "policy", menu.models)
        spent, right = _rising(spent, right)
        found = _row(view, saved, spent, right, theirs[:, 0], theirs[:, 1], len(group.members))
        name = OPTIMAL if menu is view.menus[0] else f"{OPTIMAL} of {', '.join(menu.models)}"
        yield {"strategy": name, "model": "", "verifier": "", "selector": OPTIMAL} | found


def _saved(view: View, rival: Rival, role: str, models: Sequence[str]) -> float:
    return view.lifetime.trained("large", rival.line.models) - view.lifetime.trained(role, models)


def _scans(view: View, group: Group, seed: int) -> dict[int, _Scan]:
    """Every line of the small side, and the large model's one answer, by way.

    So many budgets at a time as can be held of all members.
    """
    once = group.evened(view.arms.accuracy[group.members, int(view.once.columns[0])][:, None])
    found = {view.once.way: _Scan(np.ones(1, dtype=np.int64), _drawn(once, group, seed))}
    step = max(1, _HELD // len(once))
    for line in view.lines():
        budgets = view.scanned(line, group)
        parts = np.split(budgets, range(step, len(budgets), step))
        right = [_drawn(view.values(line, group, part)[0], group, seed, against=once) for part in parts]
        found[line.way] = _Scan(budgets, np.hstack(right))
    return found


def _paid(view: View, group: Group, budgets: Sequence[Ints], seed: int) -> list[Floats]:
    """Mean FLOPs a query, (1 + draws, budgets): the large model's one answer, then each line's."""
    prices = [view.arms.prices[line.way].parts(own) for line, own in zip(view.lines(), budgets, strict=True)]
    once = int(view.once.columns[0])
    made = [(view.arms.flops[:, once : once + 1], np.ones((1, 1))), *prices]
    every, ends = beside([parts for parts, _ in made]), np.cumsum([len(how) for _, how in made])[:-1]
    if alike(every):
        means = repeated(every[0], 1 + DRAWS * (group.size >= FEWEST_PROBLEMS))
    else:
        means = _drawn(group.evened(every[group.members]), group, seed)
    return [own @ how for own, (_, how) in zip(np.split(means, ends, axis=1), made, strict=True)]


def _drawn(values: Floats, group: Group, seed: int, *, against: Floats | None = None) -> Floats:
    """Means of columns over the members, then, of enough of them, over resamples of these, (1 + draws, columns).

    Two more rows are resampled: means; of what is compared ``against`` another column pseudo-problems above and
    below, which stand for what the group's agreement hides (see ``pointwise``).
    """
    own: Floats = values.mean(axis=0)
    if group.size < FEWEST_PROBLEMS:
        return own[None]
    off = 0.0 if against is None else np.sqrt((values - against).var(axis=0, ddof=1) + 1)
    return np.vstack([own, resampled(np.vstack([values, own + off, own - off]), DRAWS, seed)])


def _row(
    view: View, saved: float, spent: Floats, right: Floats, target: Floats, once: Floats, problems: int
) -> dict[str, Any]:
    empty: dict[str, Any] = {"status": OUTSIDE, **dict.fromkeys(_NUMBERS)}
    if saved <= 0:
        return empty | {"status": SUNK}
    if spent.shape[1] < 2 or spent[0, -1] <= once[0]:
        return empty
    at, stays = reached(spent, right, target, once)
    scale = saved / view.lifetime.queries_per_r
    with np.errstate(divide="ignore"):
        r = np.where(at == 0, np.inf, scale / np.maximum(at - once, 0))  # never reached: 0
        ends = scale / np.maximum(spent[0, [-1, 0]] - once[0], 0)
    found = empty | {"measured_from": float(ends[0]), "measured_to": _finite(ends[1])}
    return found | _crossed(r, stays, ends, view.lifetime.queries_per_r, problems)


def _crossed(r: Floats, stays: Mask, ends: Floats, queries: float, problems: int) -> dict[str, Any]:
    """The status and numbers of a break-even from its draws, of which the first is the problems' own.

    stays: in which draws a larger budget does not fall short of the large model again.
    """
    star, again = float(r[0]), r[1:]
    back = star > 0 and not stays[0]
    tied = star <= ends[0] * (1 + 1e-9)  # equal at the dearest budget alone: what lies beyond was not measured
    found: dict[str, Any] = {"status": BACK if back else UNDECIDED}
    if 0 < star < np.inf and not back and not tied:
        found |= {"status": CROSSED, "R": star, "queries": star * queries}
    if not len(again):
        return found
    found["share"] = float(((again > 0) & np.isfinite(again)).mean())
    for status, there in ((ABOVE, np.isinf(again) & stays[1:]), (BELOW, again == 0)):
        if there.mean() >= _DECIDED:
            return empty_star(found) | {"status": status}
    if back:
        return found
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
