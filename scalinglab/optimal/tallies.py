"""What choices add up to: accuracy and cost of each problem, and of each bin under resampled problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalinglab.curves import Arms, Floats, Ints, alike, repeated, rows_of
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.choosing import Mask, Picked, Terms, best
from scalinglab.optimal.folds import Drawn, Places, means
from scalinglab.optimal.prices import Singles, gathered, in_singles, menu, prices, steady
from scalinglab.optimal.readings import Configurations
from scalinglab.optimal.strategy import Optimal, Unit

REDIVIDED = 2
"""Divisions into folds behind each resample: two tell how much of its noise comes of dividing."""


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
        cost = repeated(arms.table["budget"].to_numpy(np.float64), len(arms.flops))
        extra = repeated(np.asarray(float(bins.samples if bins.charged else 0)), len(bins.labels))
    whole, by_bin = cost.mean(axis=0), np.stack([rows_of(cost, at).mean(axis=0) for at in groups])
    at = prices(whole)
    terms = Terms(
        at,
        [menu(own, at) for own in by_bin],
        menu(whole, at),
        by_bin,
        np.array([rows_of(extra, here).mean() for here in groups]),
    )
    return Case(arms, bins, unit, groups, cost, extra, terms)


@dataclass(frozen=True)
class Tally:
    """Sums over each bin of what one way to choose gives: over partitions, and under resamples over re-divisions.

    given: accuracy, spent and FLOPs, (3, bins, prices); draws, costs: (re-divisions, bins, draws, prices).
    """

    given: Floats
    draws: Floats
    costs: Floats


@dataclass(frozen=True)
class Work:
    """A case with its tallies: the best choice, and one arm for all.

    together: how often the choice was one arm for all, ahead: by how much bins that choose apart were better,
    accuracy less price times cost, summed; (prices,). weight: of each bin in each resample, (re-divisions, bins,
    draws). cost: of each problem under each arm, (problems, arms).
    """

    case: Case
    chosen: Tally
    fixed: Tally
    together: Floats
    ahead: Floats
    weight: Floats
    cost: Singles

    def score(
        self, choice: Picked, partitions: Sequence[Sequence[Places]], gains: Sequence[Sequence[Floats]]
    ) -> None:
        """Add a fold of each partition: its problems, by bin, under arms that were chosen without them.

        gains: sums of accuracy over them, by partition and bin, (arms,).
        """
        case, taken, estimated = self.case, choice.taken, ~choice.together
        self.together[:] += choice.together.sum(axis=0)
        for row, places in enumerate(partitions):
            for b, here in enumerate(places):
                spent, flops = (_sum(values, here) for values in (case.cost, case.arms.flops))
                extra = np.array([0, _sum(case.extra, here), _sum(case.bins.cost, here)])
                sums, apart, one = np.stack([gains[row][b], spent, flops]), choice.apart[b, row], choice.one[row]
                self.chosen.given[:, b] += sums[:, taken[b, row]] + np.outer(extra, estimated[row])
                self.fixed.given[:, b] += sums[:, one]
                ahead, dearer, _ = sums[:, apart] - sums[:, one] + extra[:, None]
                self.ahead[:] += ahead - case.terms.prices * dearer

    def add(self, choice: Picked, held: Singles, parts: Sequence[Sequence[Drawn]], time: int, rows: slice) -> None:
        """Add a fold of some resamples, by bin, under arms chosen without it; time: which re-division this is.

        held: sums of accuracy over the fold, (bins, rows, arms); parts: of each bin and division, the fold's
        problems in its resamples.
        """
        taken = choice.taken
        for b, (sums, own) in enumerate(zip(held, parts, strict=True)):
            spent = np.concatenate([part.sums(self.cost) for part in own])
            extra = np.concatenate([part.sums(self.case.extra[:, None]) for part in own])
            self.weight[time, b, rows] += np.concatenate([part.weight for part in own])
            for tally, arms in ((self.chosen, taken[b]), (self.fixed, choice.one)):
                tally.draws[time, b, rows] += gathered(sums, arms)
                tally.costs[time, b, rows] += gathered(spent, arms)
            self.chosen.costs[time, b, rows] += ~choice.together * extra

    def ended(self, right: Floats, seed: int, partitions: int, folds: int) -> Optimal:
        """The strategy; the arms to run are those that all problems choose.

        right: sums of each arm's accuracy over each bin, (bins, arms).
        """
        case, sizes = self.case, self._sizes
        told = [
            steady(sums[None], np.array([size]))
            for sums, size in zip([*right, right.sum(axis=0)], [*sizes, sizes.sum()], strict=True)
        ]
        apart, one = best(case.terms, np.stack(told))
        single = np.broadcast_to(one, apart[:, 0].shape)
        estimated = self.ahead > 1e-9 * sizes.sum()
        arms, never = np.where(estimated, apart[:, 0], single), np.zeros(len(estimated), dtype=bool)
        means = right / sizes[:, None]
        return Optimal(
            case.arms.convention, case.unit, case.bins, case.arms.problems, case.arms.table,
            case.terms.prices, self.together / (partitions * folds), _with_all(case.terms.cost, sizes).max(axis=1),
            self._configured(self.chosen, means, arms, estimated, partitions),
            self._configured(self.fixed, means, single, never, partitions), seed,
        )  # fmt: skip

    @property
    def _sizes(self) -> Ints:
        return np.array([len(at) for at in self.case.groups])

    def _configured(
        self, tally: Tally, right: Floats, arms: Ints, estimated: Mask, partitions: int
    ) -> Configurations:
        case, sizes, extra = self.case, self._sizes, self.case.terms.extra[:, None]
        accuracy, spent, flops = (_with_all(sums / (partitions * sizes[:, None]), sizes) for sums in tally.given)
        return Configurations(
            accuracy=accuracy,
            spent=spent,
            flops=flops,
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


def _sum(values: Floats, here: Places) -> Floats:
    """The sum over problems ``here`` of values, (problems, ...)."""
    return np.asarray(len(here) * values[0] if alike(values) else values[here].sum(axis=0))


def begun(case: Case, draws: int) -> Work:
    """The case with nothing added yet."""
    bins, count = len(case.groups), len(case.terms.prices)
    chosen, fixed = (_tally(case, draws) for _ in range(2))
    ahead, together = np.zeros((2, count))
    weight = np.zeros((REDIVIDED, bins, draws))
    return Work(case, chosen, fixed, together, ahead, weight, in_singles(case.cost))


def _tally(case: Case, draws: int) -> Tally:
    bins, count = len(case.groups), len(case.terms.prices)
    drawn, costs = np.zeros((2, REDIVIDED, bins, draws, count))
    return Tally(np.zeros((3, bins, count)), drawn, costs)
