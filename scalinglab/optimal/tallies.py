"""What choices add up to: accuracy and cost of each problem, and of each bin under resampled problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalinglab.curves import Arms, Floats, Ints
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.choosing import Mask, Picked, Terms, best
from scalinglab.optimal.folds import Places, means
from scalinglab.optimal.prices import Singles, gathered, menu, prices, steady
from scalinglab.optimal.readings import Configurations
from scalinglab.optimal.strategy import Optimal, Unit

REDIVIDED = 2
"""Divisions into folds behind each resample: two tell how much of its noise comes of dividing."""
Part = tuple[Singles, Places]


@dataclass(frozen=True)
class Case:
    """One convention's arms and bins in the unit that is paid.

    cost: of each problem under each arm, (problems, arms); extra: of estimating its difficulty, (problems,).
    """

    arms: Arms
    bins: Bins
    unit: Unit
    groups: Sequence[Places]
    cost: Floats
    extra: Floats
    terms: Terms


def case_of(arms: Arms, bins: Bins, unit: Unit) -> Case:
    """The case with its menus: the mean cost of each arm in each bin and over all problems, at every price."""
    cost, extra, groups = arms.flops, bins.cost, [members for _, members in bins.groups()]
    if unit == "samples":
        cost = np.broadcast_to(arms.table["budget"].to_numpy(np.float64), arms.flops.shape)
        extra = np.full(len(bins.labels), float(bins.samples if bins.charged else 0))
    whole, by_bin = cost.mean(axis=0), np.stack([cost[at].mean(axis=0) for at in groups])
    at = prices(whole)
    terms = Terms(
        at,
        [menu(own, at) for own in by_bin],
        menu(whole, at),
        by_bin,
        np.array([extra[here].mean() for here in groups]),
    )
    return Case(arms, bins, unit, groups, cost, extra, terms)


@dataclass(frozen=True)
class Tally:
    """Sums of what one way to choose gives: of each problem, over partitions, and of each bin, over re-divisions.

    accuracy, spent, flops: (problems, prices), the last empty where FLOPs are the unit; draws, costs:
    (re-divisions, bins, draws, prices).
    """

    accuracy: Singles
    spent: Singles
    flops: Singles
    draws: Floats
    costs: Floats


@dataclass(frozen=True)
class Work:
    """A case with its tallies: the best choice, and one arm for all.

    together: how often the choice was one arm for all, ahead: by how much bins that choose apart were better,
    accuracy less price times cost, summed; (prices,). weight: of each bin in each resample, (re-divisions, bins,
    draws). right, cost: of each problem under each arm, (problems, arms).
    """

    case: Case
    chosen: Tally
    fixed: Tally
    together: Floats
    ahead: Floats
    weight: Floats
    right: Singles
    cost: Singles

    def score(self, choice: Picked, partitions: Sequence[Sequence[Places]]) -> None:
        """Add a fold of each partition: its problems, by bin, under arms that were chosen without them."""
        taken, never = choice.taken, np.zeros(choice.one.shape[1], dtype=bool)
        self.together[:] += choice.together.sum(axis=0)
        for row, places in enumerate(partitions):
            for b, here in enumerate(places):
                right, cost = self.right[here], self.cost[here]
                self._answered(self.chosen, here, taken[b, row], ~choice.together[row], right, cost)
                self._answered(self.fixed, here, choice.one[row], never, right, cost)
                gain = right.sum(axis=0, dtype=np.float64)
                dearer = cost.sum(axis=0, dtype=np.float64)
                apart, one = choice.apart[b, row], choice.one[row]
                self.ahead[:] += gain[apart] - gain[one]
                more = dearer[apart] - dearer[one] + self.case.extra[here].sum()
                self.ahead[:] -= self.case.terms.prices * more

    def _answered(
        self, tally: Tally, here: Places, arms: Ints, estimated: Mask, right: Singles, cost: Singles
    ) -> None:
        case = self.case
        tally.accuracy[here] += right[:, arms]
        tally.spent[here] += cost[:, arms]
        if estimated.any() and case.extra.any():
            tally.spent[here] += (case.extra[here, None] * estimated).astype(np.float32)
        if case.unit == "samples":
            tally.flops[here] += case.arms.flops[here][:, arms] + case.bins.cost[here, None] * estimated

    def add(self, choice: Picked, held: Singles, parts: Sequence[Sequence[Part]], time: int, rows: slice) -> None:
        """Add a fold of some resamples, by bin, under arms chosen without it; time: which re-division this is.

        held: sums of accuracy over the fold, (bins, rows, arms); parts: of each bin and division, the weights of
        the fold's problems in its resamples, (rows, problems), and their positions.
        """
        taken = choice.taken
        for b, (sums, own) in enumerate(zip(held, parts, strict=True)):
            spent = np.concatenate([share @ self.cost[here] for share, here in own])
            extra = np.concatenate([share @ self.case.extra[here] for share, here in own])
            self.weight[time, b, rows] += np.concatenate([share.sum(axis=1) for share, _ in own])
            for tally, arms in ((self.chosen, taken[b]), (self.fixed, choice.one)):
                tally.draws[time, b, rows] += gathered(sums, arms)
                tally.costs[time, b, rows] += gathered(spent, arms)
            self.chosen.costs[time, b, rows] += ~choice.together * extra[:, None]

    def ended(self, seed: int, partitions: int, folds: int) -> Optimal:
        """The strategy; the arms to run are those that all problems choose."""
        case, accuracy = self.case, self.case.arms.accuracy
        everyone = [*case.groups, np.arange(len(accuracy))]
        told = [steady(accuracy[at].sum(axis=0, keepdims=True), np.array([len(at)])) for at in everyone]
        apart, one = best(case.terms, np.stack(told))
        single = np.broadcast_to(one, apart[:, 0].shape)
        estimated = self.ahead > 1e-9 * len(accuracy)
        arms, never = np.where(estimated, apart[:, 0], single), np.zeros(len(estimated), dtype=bool)
        dearest = [float(case.cost[at].mean(axis=0).max()) for at in (everyone[-1], *case.groups)]
        return Optimal(
            case.arms.convention, case.unit, case.bins, case.arms.problems, case.arms.table,
            case.terms.prices, self.together / (partitions * folds), np.array(dearest),
            self._configured(self.chosen, arms, estimated, partitions),
            self._configured(self.fixed, single, never, partitions), seed,
        )  # fmt: skip

    def _configured(self, tally: Tally, arms: Ints, estimated: Mask, partitions: int) -> Configurations:
        case = self.case
        sizes, extra = np.array([len(at) for at in case.groups]), case.terms.extra[:, None]
        right = np.stack([case.arms.accuracy[at].mean(axis=0) for at in case.groups])
        for sums in (tally.accuracy, tally.spent, tally.flops):
            sums /= partitions
        return Configurations(
            accuracy=tally.accuracy,
            spent=tally.spent,
            flops=tally.flops if case.unit == "samples" else tally.spent,
            in_sample=_with_all(gathered(right, arms), sizes),
            paid=_with_all(gathered(case.terms.cost, arms) + extra * estimated, sizes),
            arms=arms,
            estimated=estimated,
            draws=self._over_groups(tally.draws),
            costs=self._over_groups(tally.costs),
            partitions=partitions,
        )

    def _over_groups(self, sums: Floats) -> Floats:
        """Means over all and over each bin, (re-divisions, draws, 1 + bins, prices), of such sums by bin."""
        found = []
        for part, weight in zip(sums, self.weight, strict=True):
            pairs = [(part.sum(axis=0), weight.sum(axis=0)), *zip(part, weight, strict=True)]
            found.append(np.stack([means(*pair) for pair in pairs], axis=1))
        return np.stack(found)


def _with_all(by_bin: Floats, sizes: Ints) -> Floats:
    """The mean over all problems above those of each bin, (1 + bins, prices)."""
    return np.concatenate([sizes @ by_bin[None] / sizes.sum(), by_bin])


def begun(case: Case, right: Singles, draws: int) -> Work:
    """The case with nothing added yet; right: the accuracy that all cases share."""
    bins, count = len(case.groups), len(case.terms.prices)
    chosen, fixed = (_tally(case, draws) for _ in range(2))
    ahead, together = np.zeros((2, count))
    weight, cost = np.zeros((REDIVIDED, bins, draws)), case.cost.astype(np.float32)
    return Work(case, chosen, fixed, together, ahead, weight, right, cost)


def _tally(case: Case, draws: int) -> Tally:
    (problems, _), bins, count = case.cost.shape, len(case.groups), len(case.terms.prices)
    counted = problems if case.unit == "samples" else 0  # else what is spent is FLOPs already
    accuracy, spent = np.zeros((2, problems, count), dtype=np.float32)
    drawn, costs = np.zeros((2, REDIVIDED, bins, draws, count))
    return Tally(accuracy, spent, np.zeros((counted, count), dtype=np.float32), drawn, costs)
