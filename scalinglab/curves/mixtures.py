"""Between two measured budgets stands their mixture: a share of queries by one, the rest by the other.

The only file that interpolates: linear in the cost, which anyone can run. Nothing is read beyond what was
measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SLACK = 1e-9


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
    start = np.maximum(least, cost[:, 0])
    x = np.maximum(cost, start[:, None])
    y = np.where(cost >= start[:, None], value, held(cost, value, start)[:, None]) - target[:, None]
    y = np.where(np.abs(y) < 1e-12, 0.0, y)
    rises = (y[:, :-1] < 0) & (y[:, 1:] >= 0)
    first, rows = rises.argmax(axis=1), np.arange(len(y))
    below, above = y[rows, first], y[rows, np.minimum(first + 1, y.shape[1] - 1)]
    share = np.divide(-below, above - below, out=np.zeros(len(y)), where=rises.any(axis=1))
    found = x[rows, first] + share * (x[rows, np.minimum(first + 1, y.shape[1] - 1)] - x[rows, first])
    return np.where(y[:, 0] >= 0, 0.0, np.where(rises.any(axis=1), found, np.inf))


def held(cost: Floats, value: Floats, at: Floats) -> Floats:
    """Each draw's value at its own cost, (draws,): a mixture of neighbours, held at the ends."""
    if cost.shape[1] == 1:
        return value[:, 0]
    above = np.clip((cost < at[:, None]).sum(axis=1), 1, cost.shape[1] - 1)
    rows = np.arange(len(cost))
    left, right = cost[rows, above - 1], cost[rows, above]
    share = np.divide(at - left, right - left, out=np.zeros(len(at)), where=right > left)
    low, high = value[rows, above - 1], value[rows, above]
    return np.asarray(low + np.clip(share, 0, 1) * (high - low))
