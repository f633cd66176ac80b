"""The compute-optimal strategy from arms and bins, cross-validated, under several conventions at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scalinglab.curves import Arms
from scalinglab.errors import DataError
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.choosing import Picked, picked, trained
from scalinglab.optimal.folds import Places, Resamples, divided, resamples, summed
from scalinglab.optimal.prices import Singles
from scalinglab.optimal.strategy import Optimal, Unit
from scalinglab.optimal.tallies import REDIVIDED, Work, begun, case_of

RESAMPLES, FEWEST_RESAMPLES = 1000, 200
CELLS = 2_000_000
"""Problems in all resamples together beyond which there are fewer of these, down to the fewest."""
ENOUGH = 40_000
"""Problems over all partitions beyond which another division changes nothing: large tables get fewer."""
_ROWS, _BLOCK = 200, 50
"""Resamples that are worked on at once, and those that share a division: its parts are then slices, not masks."""


def compute_optimal(
    cases: Sequence[tuple[Arms, Bins]],
    *,
    unit: Unit = "flops",
    folds: int = 2,
    partitions: int = 20,
    draws: int = RESAMPLES,
    seed: int = 0,
) -> list[Optimal]:
    """The best arms at each price of a unit of cost, chosen on the other folds of problems and scored on this one.

    A case is one convention's arms and bins: accuracies and labels are one, costs differ. At a price every bin
    takes the arm of the highest mean accuracy less price times mean cost over the training problems, the cheaper
    of equals; or one arm answers all, where that is better by cross-validation within the training problems.
    Two folds are the paper's (section 3.2); results are averaged over ``partitions`` seeded divisions, stratified
    by bin; over fewer of more than 2,000 problems. Where a convention charges estimating difficulty, bins that
    choose apart pay it, one arm for all does not. A bin without training problems takes the one for all.
    ``draws`` resamples of the problems, in which arms are chosen anew, stand behind every interval; of more than
    2,000 problems fewer, down to 200.
    Raises DataError for bins of other problems or labels outside them, cases that differ in more than costs,
    fewer than two folds, or an unknown unit.
    """
    for arms, bins in cases:
        _check(arms, bins, folds, unit)
        _alike(arms, bins, *cases[0])
    accuracy, problems = cases[0][0].accuracy, len(cases[0][0].problems)
    right = accuracy.astype(np.float32)
    draws = min(draws, max(FEWEST_RESAMPLES, CELLS // problems))
    works = [begun(case_of(arms, bins, unit), draws) for arms, bins in cases]
    rng, whole, at = np.random.default_rng(seed), Resamples(np.ones((1, problems), dtype=np.float32)), 0
    partitions = max(min(2, partitions), min(partitions, ENOUGH // problems))
    for divisions, _, found in _choices(works, right, [whole] * partitions, folds, rng):
        gains = [[right[here].sum(axis=0, dtype=np.float64) for here in places] for places in divisions]
        for work, choice in zip(works, found, strict=True):
            work.score(choice, divisions, gains)
    for some in resamples(problems, draws, seed).blocks(_ROWS):
        for time in range(REDIVIDED):
            _resampled(works, right, some, time, slice(at, at + len(some.times)), folds, rng)
        at += len(some.times)
    by_bin = np.stack([accuracy[members].sum(axis=0) for members in works[0].case.groups])
    return [work.ended(by_bin, seed, partitions, folds) for work in works]


def _resampled(
    works: Sequence[Work],
    right: Singles,
    some: Resamples,
    time: int,
    rows: slice,
    folds: int,
    rng: np.random.Generator,
) -> None:
    """Add some resamples to each work, divided for the ``time``-th time."""
    blocks = some.blocks(_BLOCK)
    for divisions, held, found in _choices(works, right, blocks, folds, rng):
        pairs = list(zip(blocks, divisions, strict=True))
        parts = [[block.part(places[b]) for block, places in pairs] for b in range(len(held))]
        for work, choice in zip(works, found, strict=True):
            work.add(choice, held, parts, time, rows)


def _choices(
    works: Sequence[Work], right: Singles, blocks: Sequence[Resamples], folds: int, rng: np.random.Generator
) -> Iterator[tuple[list[list[Places]], Singles, list[Picked]]]:
    """Of each fold: its problems by block and bin, their sums, and what all others choose in each case.

    right: accuracy, (problems, arms); blocks: some resamples each, which share one random division.
    """
    divisions = [divided(works[0].case.groups, folds, rng) for _ in blocks]
    sums = summed(right, blocks, divisions)
    for fold in range(folds):
        told, places = trained(sums.without(fold)), [division.fold(fold) for division in divisions]
        yield places, sums.of_fold(fold)[0], [picked(work.case.terms, told) for work in works]


def _check(arms: Arms, bins: Bins, folds: int, unit: str) -> None:
    if arms.problems != bins.problems:
        raise DataError(
            f"bins of {len(bins.problems)} problems for arms over {len(arms.problems)}",
            "the same problems in the same order",
            "set the bins on the same run",
        )
    if arms.table.empty or len(arms.problems) < 2:
        raise DataError(
            f"{len(arms.table)} arms over {len(arms.problems)} problems", "an arm and two problems", "collect more"
        )
    if ((bins.labels < 1) | (bins.labels > bins.count)).any():
        raise DataError("labels outside the bins", f"whole numbers from 1 to {bins.count}", "mend labels or count")
    if folds < 2:
        raise DataError(f"{folds} folds", "two or more, so that no arm is chosen by what scores it", "raise folds")
    if unit not in ("flops", "samples"):
        raise DataError(f"a cost in {unit!r}", "samples or flops", "choose one")


def _alike(arms: Arms, bins: Bins, first: Arms, labels: Bins) -> None:
    if arms is first:
        return
    same = arms.problems == first.problems and np.array_equal(arms.accuracy, first.accuracy, equal_nan=True)
    if not same or not np.array_equal(bins.labels, labels.labels):
        raise DataError(
            f"arms under {arms.convention} whose accuracies or bins are not those under {first.convention}",
            "cases that differ in costs alone",
            "compute the strategies one by one",
        )
