"""Advice scored on problems that it was not chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.advise.candidates import Candidate, Shares, candidates, mixture
from scalinglab.curves import DRAWS, Floats, resampled, tails
from scalinglab.exchange import StudyData, View

FOLDS, PARTITIONS = 5, 20
Rank = Callable[[float], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Validated:
    """What advice of this kind reaches and takes a query on other problems than it was chosen on.

    accuracy, flops: means over problems, each under what was chosen without its fold; low, high: of the accuracy,
    95 % bootstrap over problems given the choices. advised: the share of choices that found anything to advise;
    the others are left out.
    """

    accuracy: float
    low: float
    high: float
    flops: float
    folds: int
    advised: float


def validated(
    view: View,
    study: StudyData,
    ranked: Callable[[Sequence[Candidate]], Rank],
    queries: float,
    *,
    mix: Sequence[float] | None = None,
    seed: int = 0,
) -> Validated | None:
    """Choose on all folds of problems but one, score on that one, over 20 seeded divisions into five folds.

    ranked: how candidates rank, as by ``reaching`` or ``affording``. None where a group of the mix has fewer than
    two problems, or a group is left for which nothing was ever advised.
    """
    shares = mixture(view, mix)
    folds = min(FOLDS, *(len(members) for members, _ in shares))
    if folds < 2:
        return None
    held = _held(shares, len(view.arms.problems), folds, seed)
    weights = np.zeros(held.shape)
    for members, share in shares:
        kept = ~held[:, members]
        weights[:, members] = share * kept / kept.sum(axis=1, keepdims=True)
    found = candidates(view, study, weights=weights)
    costs, flops = ranked(found)(queries)
    values = np.full((2, *held.shape), np.nan)
    advised = np.isfinite(costs).any(axis=0)
    for j in np.flatnonzero(advised).tolist():
        i = int(costs[:, j].argmin())
        blend = found[i].shares(float(flops[i, j]), j)
        asked = np.ix_(held[j], found[i].family.columns)
        values[0, j, held[j]] = view.arms.accuracy[asked] @ blend
        values[1, j, held[j]] = np.exp(np.log(view.arms.flops[asked]) @ blend)  # as a budget between is advised
    return _summed(values, shares, folds, float(advised.mean()), seed)


def _held(shares: Shares, problems: int, folds: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which problems each choice is scored on, (folds x partitions, problems): a part of every group."""
    fold, rng = np.full((PARTITIONS, problems), -1), np.random.default_rng(seed)
    for members, _ in shares:
        fold[:, members] = rng.permuted(np.tile(np.arange(len(members)) % folds, (PARTITIONS, 1)), axis=1)
    return np.concatenate([fold == part for part in range(folds)])


def _summed(values: Floats, shares: Shares, folds: int, advised: float, seed: int) -> Validated | None:
    """Each problem's mean over the choices that were scored on it, and their mean over problems."""
    times = (~np.isnan(values[0])).sum(axis=0)
    each = np.nansum(values, axis=1) / np.maximum(times, 1)
    scored = [(members[times[members] > 0], share) for members, share in shares]
    if not all(len(members) for members, _ in scored):
        return None
    accuracy, flops = (float(sum(share * row[members].mean() for members, share in scored)) for row in each)
    drawn = [share * resampled(each[0, members], DRAWS, seed)[:, 0] for members, share in scored]
    low, high = np.quantile(np.sum(drawn, axis=0), tails(int((times > 0).sum()))).tolist()
    return Validated(accuracy, low, high, flops, folds, advised)
