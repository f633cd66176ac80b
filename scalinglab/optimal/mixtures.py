"""Between two configurations stands their mixture: a share of queries by one, the rest by the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, Ints
from scalinglab.optimal.prices import gathered

MEASURED, CANNOT_PAY, LOWER_BOUND = "measured", "cannot pay", "lower bound"
_SLACK = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Two configurations that together cost what was asked, and the share of the dearer; (rows, points)."""

    cheap: Ints
    dear: Ints
    share: Floats

    def of(self, values: npt.NDArray[np.floating[Any]]) -> Floats:
        """Values, (rows, configurations), mixed: (rows, points). A mixture of one row serves all rows."""
        if len(self.share) == 1:
            return np.asarray((1 - self.share) * values[:, self.cheap[0]] + self.share * values[:, self.dear[0]])
        low, high = gathered(values, self.cheap), gathered(values, self.dear)
        return np.asarray((1 - self.share) * low + self.share * high)


def mixture(spent: Floats, cost: Floats) -> Mixture:
    """The mixture that costs ``cost`` a query: of the neighbours by what they have ``spent``.

    spent: of each configuration, (rows, configurations); cost: (points,), or of each row, (rows, points). Outside
    of them the cheapest or the dearest stands alone.
    """
    order = np.argsort(spent, axis=1, kind="stable")
    rising = gathered(spent, order)
    cost = np.broadcast_to(cost, (len(spent), cost.shape[-1]))
    columns = np.ascontiguousarray(rising.T)
    above = np.stack([(columns < at).sum(axis=0) for at in cost.T], axis=1)
    right = np.clip(above, min(1, spent.shape[1] - 1), spent.shape[1] - 1)
    left = np.maximum(right - 1, 0)
    low, high = gathered(rising, left), gathered(rising, right)
    share = np.divide(cost - low, high - low, out=np.zeros(low.shape), where=high > low)
    return Mixture(gathered(order, left), gathered(order, right), np.clip(share, 0, 1))


def status(spent: Floats, dearest: float, cost: Floats) -> npt.NDArray[np.object_]:
    """Whether ``cost``, (points,), pays any configuration, (configurations,), or more than the dearest arm."""
    poor, rich = cost < spent.min() * (1 - _SLACK), cost > max(spent.max(), dearest) * (1 + _SLACK)
    found = np.where(poor, CANNOT_PAY, np.where(rich, LOWER_BOUND, MEASURED))
    return found.astype(object)
