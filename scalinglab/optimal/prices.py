"""Arms at a price: accuracy less so much per unit of cost, and the arm that is best by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, Ints, alike, repeated

Singles = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int32]
_Number = TypeVar("_Number", bound=np.generic)
PRICES = 30
CELL = 1.02
"""Arms whose costs differ by less than 2 % compete on accuracy alone: it halves the work."""
STEPS = 2**16
"""Mean accuracies are compared in steps of 0.000015: below that the cheaper arm is taken."""
PLACES = np.int32(2**13)
"""More arms than any study has: a mean in steps and an arm's place fit in 32 bits together."""


def prices(costs: Floats, *, count: int = PRICES) -> Floats:
    """Accuracy per unit of cost, from dear to cheap, (count,): from the cheapest arm for all to the best for all.

    costs: of the arms, (arms,). The first is beyond any trade, and then prices fall geometrically from 2 per
    cheapest arm to 0.002 per dearest: no arm is worth more than 1, and a gain of 0.002 is noise in any study. The
    last, 0.0001 per dearest arm, decides between equals alone.
    """
    positive = costs[costs > 0]
    if not len(positive):
        return np.zeros(1)
    least, most = float(positive.min()), float(positive.max())
    return np.concatenate([[1e6 / least], np.geomspace(2 / least, 0.002 / most, count - 2), [1e-4 / most]])


@dataclass(frozen=True)
class Menu:
    """Arms by rising cost, in cells of nearly equal cost, at every price.

    order: the arms by cost; starts: where each cell begins in it; charges: price times its least cost beyond that
    of the cheapest arm, in steps, (cells, prices).
    """

    order: Ints
    starts: Ints
    charges: Steps

    def choose(self, means: Steps) -> Ints:
        """The arm of the highest mean less its charge at each price, the cheaper of equals, (rows, prices).

        means: (arms, rows), from ``steady``. A mean and its arm's place share one number, so that the highest
        number names its arm.
        """
        last = len(self.order) - 1
        named = means[self.order] * PLACES + np.arange(last, -1, -1, dtype=np.int32)[:, None]
        tops = np.maximum.reduceat(named, self.starts, axis=0)
        found = (tops[:, None] - self.charges[:, :, None]).max(axis=0)
        chosen: Ints = self.order.take(last - (found.T & (PLACES - 1)))
        return chosen


def menu(cost: Floats, at: Floats) -> Menu:
    """The menu of arms of mean ``cost``, (arms,), at the prices ``at``. Arms of the least cost are one cell."""
    order = np.argsort(cost, kind="stable")
    rising = cost[order]
    starts = [0]
    for i, here in enumerate(rising.tolist()):
        begun = rising[starts[-1]]
        if here > begun * (CELL if starts[-1] else 1 + 1e-9):
            starts.append(i)
    more = np.outer(rising[starts] - rising[0], at).clip(max=2)  # beyond 1 no accuracy makes up for it
    return Menu(order, np.array(starts), np.rint(more * STEPS).astype(np.int32) * PLACES)


def steady(sums: Singles | Floats, weight: Singles | Ints) -> Steps:
    """Means in whole steps, (arms, rows), from sums, (rows, arms), and weights, (rows,).

    Adding up in another order changes none, so that equals stay equal.
    """
    return np.rint(sums.T * (STEPS / np.maximum(weight, 1e-30))).astype(np.int32, order="C")


def in_singles(values: Floats) -> Singles:
    """The same in single precision; rows that are alike stay one (see ``curves.alike``)."""
    if alike(values):
        return repeated(values[0].astype(np.float32), len(values))
    return values.astype(np.float32)


def gathered(values: npt.NDArray[_Number], columns: Ints) -> npt.NDArray[_Number]:
    """Of each row of ``values``, those in ``columns``, (rows, columns)."""
    first = np.arange(len(values))[:, None] * values.shape[1]
    found: npt.NDArray[_Number] = values.ravel().take(columns + first)
    return found
