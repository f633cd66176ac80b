"""Advice scored on problems that it was not chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.advise.candidates import Asked, Candidate, candidates
from scalinglab.curves import DRAWS, Floats, doubt, resampled, tails
from scalinglab.exchange import View
from scalinglab.exchange.paired import widened

FOLDS, PARTITIONS = 5, 20
Rank = Callable[[float], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Validated:
    """What advice of this kind reaches and takes a query on other problems than it was chosen on.

    accuracy, flops: means over problems, each under what was chosen without its fold; low, high: of the accuracy,
    95 % bootstrap over problems given the choices, and the doubt that agreement leaves. advised: the share of
    choices that found anything to advise; the others are left out.
    """

    accuracy: float
    low: float
    high: float
    flops: float
    folds: int
    advised: float


def validated(
    view: View,
    data: Asked,
    ranked: Callable[[Sequence[Candidate]], Rank],
    queries: float,
    *,
    seed: int = 0,
) -> Validated | None:
    """Choose on all folds of problems but one, score on that one, over 20 seeded divisions into five folds.

    ranked: how candidates rank, as by ``reaching`` or ``affording``. None where a stratum has fewer than two
    problems, or one is left for which nothing was ever advised.
    """
    folds = min(FOLDS, *(len(rows) for rows, _ in data.strata))
    if folds < 2:
        return None
    held = _held(data, folds, seed)
    weights = np.zeros(held.shape)
    for rows, share in data.strata:
        kept = ~held[:, rows]
        weights[:, rows] = share * kept / kept.sum(axis=1, keepdims=True)
    found = candidates(data, weights)
    costs, flops = ranked(found)(queries)
    values = np.full((2, *held.shape), np.nan)
    advised = np.isfinite(costs).any(axis=0)
    fewest = []
    for j in np.flatnonzero(advised).tolist():
        i = int(costs[:, j].argmin())
        fewest.append(view.arms.readers[found[i].line.way].fewest)
        blend, at = found[i].shares(float(flops[i, j]), j), np.ix_(held[j], found[i].order)
        values[0, j, held[j]] = data.lines[i].accuracy[at] @ blend
        values[1, j, held[j]] = data.lines[i].flops[at] @ blend
    return _summed(values, data, folds, float(advised.mean()), min(fewest, default=1), seed)


def _held(data: Asked, folds: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows each choice is scored on, (folds x partitions, rows): a part of every stratum."""
    fold, rng = np.full((PARTITIONS, data.rows), -1), np.random.default_rng(seed)
    for rows, _ in data.strata:
        fold[:, rows] = rng.permuted(np.tile(np.arange(len(rows)) % folds, (PARTITIONS, 1)), axis=1)
    return np.concatenate([fold == part for part in range(folds)])


def _summed(values: Floats, data: Asked, folds: int, advised: float, fewest: int, seed: int) -> Validated | None:
    """Each row's mean over the choices that were scored on it, and their mean over rows."""
    times = (~np.isnan(values[0])).sum(axis=0)
    each = np.nansum(values, axis=1) / np.maximum(times, 1)
    scored = [(rows[times[rows] > 0], share) for rows, share in data.strata]
    if not all(len(rows) for rows, _ in scored):
        return None
    accuracy, flops = (float(sum(share * row[rows].mean() for rows, share in scored)) for row in each)
    drawn = [share * resampled(each[0, rows], DRAWS, seed)[:, 0] for rows, share in scored]
    ends = np.quantile(np.sum(drawn, axis=0), tails(int((times > 0).sum())))
    low, high = doubted(accuracy, ends, [(len(rows), share) for rows, share in scored], fewest)
    return Validated(accuracy, low, high, flops, folds, advised)


def doubted(
    accuracy: float, ends: Floats, strata: Sequence[tuple[int, float]], fewest: int
) -> tuple[float, float]:
    """The ends of an accuracy moved out by the doubt that resampling cannot see (see ``curves.doubt``), in 0 to 1.

    strata: the problems of each, and its share of the queries; fewest: samples behind any one accuracy.
    """
    unseen = np.sum([(share * doubt(problems, fewest)) ** 2 for problems, share in strata])
    low, high = widened(np.asarray(accuracy), (ends[0], ends[1]), np.asarray(unseen))
    return max(float(low), 0.0), min(float(high), 1.0)
