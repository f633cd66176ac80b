"""The compute-optimal strategy from arms and bins, cross-validated, under several conventions at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scalinglab.curves import Arms
from scalinglab.errors import DataError
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.choosing import Picked, picked, trained
from scalinglab.optimal.folds import Places, divided, resamples, summed
from scalinglab.optimal.prices import Singles
from scalinglab.optimal.strategy import Optimal, Unit
from scalinglab.optimal.tallies import Work, begun, case_of

RESAMPLES = 1000
REDIVIDED = 2
"""Divisions into folds behind each resample; a mean over more would be calmer, and no more right."""
_BLOCK = 50
"""Resamples that share a division: its parts are then slices, not masks."""


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
    by bin. Where a convention charges estimating difficulty, bins that choose apart pay it, one arm for all does
    not. A bin without training problems takes the one for all. ``draws`` resamples of the problems, in which arms
    are chosen anew, stand behind every interval.
    Raises DataError for bins of other problems or labels outside them, fewer than two folds, or an unknown unit.
    """
    for arms, bins in cases:
        _check(arms, bins, folds, unit)
    works = [begun(case_of(arms, bins, unit), draws) for arms, bins in cases]
    rng, problems = np.random.default_rng(seed), len(cases[0][0].problems)
    right, at = cases[0][0].accuracy.astype(np.float32), 0
    for places, _, found in _choices(works, right, [np.ones((1, problems), np.float32)] * partitions, folds, rng):
        for work, choice in zip(works, found, strict=True):
            work.score(choice, places)
    for share in resamples(problems, draws, seed):
        blocks = np.split(share, range(_BLOCK, len(share), _BLOCK))
        for _ in range(REDIVIDED):
            for places, held, found in _choices(works, right, blocks, folds, rng):
                for work, choice in zip(works, found, strict=True):
                    work.add(choice, held, blocks, places, slice(at, at + len(share)))
        at += len(share)
    return [work.ended(seed, partitions, folds) for work in works]


def _choices(
    works: Sequence[Work], right: Singles, blocks: Sequence[Singles], folds: int, rng: np.random.Generator
) -> Iterator[tuple[list[list[Places]], Singles, list[Picked]]]:
    """Of each fold: its problems by block and bin, their sums, and what all others choose in each case.

    right: accuracy, (problems, arms); blocks: the weights of problems in some resamples, (rows, problems), which
    share one random division.
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
