"""Which arm answers at each price: one in each bin, or one for all, as problems that are not scored decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, Ints
from scalinglab.optimal.folds import Sums
from scalinglab.optimal.prices import Menu, Singles, Steps, gathered, steady

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Terms:
    """What arms cost under one convention: the menu of each bin and of all problems, at ``prices``.

    cost: the mean of each arm over the problems of each bin, (bins, arms); extra: that of estimating a problem's
    difficulty, (bins,), which one arm for all does without. Costs are means over all problems, also where
    accuracies are those of some: they hardly depend on luck, and then hold still.
    """

    prices: Floats
    menus: Sequence[Menu]
    whole: Menu
    cost: Floats
    extra: Floats


@dataclass(frozen=True)
class Picked:
    """The arm of each bin, (bins, rows, prices), the one for all, (rows, prices), and where that is taken."""

    apart: Ints
    one: Ints
    together: Mask

    @property
    def taken(self) -> Ints:
        """The arm that answers in each bin, (bins, rows, prices)."""
        return np.where(self.together, self.one, self.apart)


@dataclass(frozen=True)
class Trained:
    """What arms do on training problems, as ``Sums`` of one fold, and their means in all and in either half.

    Means are of each bin and, last, of all its problems: (bins + 1, arms, rows). A bin that has none has those of
    all.
    """

    sums: Sums
    total: Steps
    halves: Sequence[Steps]

    def rest(self, half: int) -> tuple[Singles, Singles]:
        """What scores the choice of a half: sums over the other, (bins, rows, arms) and (bins, rows)."""
        return self.sums.total[:, 0, 1 - half], self.sums.weight[:, 0, 1 - half]


def picked(terms: Terms, trained: Trained) -> Picked:
    """The choice of each row by what arms do on its training problems.

    Whether bins choose apart or one arm answers all is decided by two-fold cross-validation within the training
    problems: on those that chose them the former always look better.
    """
    apart, one = best(terms, trained.total)
    gain = np.zeros(one.shape)
    for half, means in enumerate(trained.halves):
        chosen = best(terms, means)
        gain += advantage(terms, *chosen, *trained.rest(half))
    slack = 1e-5 * trained.sums.weight.sum(axis=(0, 1, 2))[:, None]
    return Picked(apart, one, gain <= slack)


def trained(sums: Sums) -> Trained:
    """The means behind a choice, the same whatever arms cost."""
    halves = [_means(sums.total[:, 0, h], sums.weight[:, 0, h]) for h in (0, 1)]
    return Trained(sums, _means(*sums.of_fold(0)), halves)


def _means(total: Singles, weight: Singles) -> Steps:
    whole = steady(total.sum(axis=0), weight.sum(axis=0))
    found = [np.where(w > 0, steady(t, w), whole) for t, w in zip(total, weight, strict=True)]
    return np.stack([*found, whole])


def best(terms: Terms, means: Steps) -> tuple[Ints, Ints]:
    """The best arm by means, (bins + 1, arms, rows): of each bin, (bins, rows, prices), and for all."""
    apart = np.stack([menu.choose(mean) for menu, mean in zip(terms.menus, means[:-1], strict=True)])
    return apart, terms.whole.choose(means[-1])


def advantage(terms: Terms, apart: Ints, one: Ints, total: Singles, weight: Singles) -> Floats:
    """Accuracy less price times cost, bins choosing apart, less that of one arm for all; (rows, prices), a sum."""
    found = np.zeros(one.shape)
    for arms, sums, share, cost, extra in zip(apart, total, weight, terms.cost, terms.extra, strict=True):
        found += gathered(sums, arms) - gathered(sums, one)
        found -= terms.prices * share[:, None] * (cost[arms] + extra - cost[one])
    return found
