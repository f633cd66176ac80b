"""Between two measured budgets stands their mixture: a share of queries by one, the rest by the other.

The only file that interpolates: linear in the cost, which anyone can run. Nothing is read beyond what was
measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SLACK, _ROUNDING = 1e-9, 1e-12


def shares(cost: Floats, at: Floats) -> Floats:
    """The share of each measured cost, (costs,), in the mixture that costs ``at`` on average, (costs, points).

    The two neighbours in cost of each point; NaN outside of what was measured.
    """
    order = np.argsort(cost, kind="stable")
    rising = cost[order]
    inside = (at >= rising[0] * (1 - _SLACK)) & (at <= rising[-1] * (1 + _SLACK))
    found = np.full((len(cost), len(at)), np.nan)
    found[:, inside] = 0.0
    high = np.clip(np.searchsorted(rising, at[inside]), 1, max(1, len(rising) - 1)) if len(rising) > 1 else 0
    if len(rising) == 1:
        found[:, inside] = 1.0
        return found
    low, points = high - 1, np.flatnonzero(inside)
    gap = rising[high] - rising[low]
    share = np.clip(np.divide(at[inside] - rising[low], gap, out=np.ones(len(points)), where=gap > 0), 0, 1)
    found[order[low], points] = 1 - share
    found[order[high], points] += share
    return found


def first_reach(cost: Floats, value: Floats, target: Floats, least: Floats) -> Floats:
    """The cost, at ``least`` or above, at which a mixture first reaches ``target``, in each draw; shape (draws,).

    cost, value: (draws, budgets), cost rising. 0 where it is reached at ``least`` or at the cheapest budget above
    it, infinite where no budget reaches it.
    """
    return reached(cost, value, target, least)[0]


def reached(cost: Floats, value: Floats, target: Floats, least: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """As ``first_reach``; and whether no dearer budget falls short of the target again, (draws,)."""
    start, rows, last = np.maximum(least, cost[:, 0]), np.arange(len(cost)), cost.shape[1] - 1
    within, there = cost >= start[:, None], value > (target - _ROUNDING)[:, None]
    hit, short = within & there, within > there
    first, latest = hit.argmax(axis=1), last - short[:, ::-1].argmax(axis=1)
    never, begun = ~hit[rows, first], held(cost, value, start) - target
    early = begun > -_ROUNDING
    stays = ~(short[rows, latest] & (early | (latest > first))) & (early | ~never)
    before = np.maximum(first - 1, 0)
    fresh = within[rows, before] & (before < first)  # else the mixture at the start is what comes before
    x, low = np.where(fresh, cost[rows, before], start), np.where(fresh, value[rows, before] - target, begun)
    rise = value[rows, first] - target - low
    share = np.divide(-low, rise, out=np.zeros(len(low)), where=rise > 0)
    found = x + np.clip(share, 0, 1) * (cost[rows, first] - x)
    return np.where(early, 0.0, np.where(never, np.inf, found)), stays


def held(cost: Floats, value: Floats, at: Floats) -> Floats:
    """Each draw's value at its own cost, (draws,): a mixture of neighbours, held at the ends."""
    if cost.shape[1] == 1:
        return value[:, 0]
    rows, dearer = np.arange(len(cost)), cost >= at[:, None]
    above = np.maximum(np.where(dearer[:, -1], dearer.argmax(axis=1), cost.shape[1] - 1), 1)
    left, right = cost[rows, above - 1], cost[rows, above]
    share = np.divide(at - left, right - left, out=np.zeros(len(at)), where=right > left)
    low, high = value[rows, above - 1], value[rows, above]
    return np.asarray(low + np.clip(share, 0, 1) * (high - low))
