"""Problems divided into folds, and what arms add up to over each part, also under resampled problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, draw_counts
from scalinglab.optimal.prices import Singles

Places = npt.NDArray[np.intp]
_ROWS, _CELLS = 200, 2**23
MOST_UNITS = 2**13
"""More problems than these are resampled in so many random groups: their spread says as much."""


@dataclass(frozen=True)
class Division:
    """Problems of each bin in folds, each in two halves: ``parts[bin][fold][half]`` are their positions."""

    parts: Sequence[Sequence[Sequence[Places]]]

    def fold(self, fold: int) -> list[Places]:
        """The problems of a fold, by bin."""
        return [np.concatenate(list(halves[fold])) for halves in self.parts]


def divided(groups: Sequence[Places], folds: int, rng: np.random.Generator) -> Division:
    """A random division of each bin into folds and halves whose sizes differ by one at most."""
    parts = []
    for members in groups:
        piece = (rng.permutation(len(members)) + rng.integers(2 * folds)) % (2 * folds)
        parts.append([[members[piece == f + folds * h] for h in (0, 1)] for f in range(folds)])
    return Division(parts)


@dataclass(frozen=True)
class Sums:
    """What arms add up to over the problems of each part of a division, (bins, folds, halves, rows, arms).

    A row is one resample of the problems; weight: of the problems of each part, (bins, folds, halves, rows).
    """

    total: Singles
    weight: Singles

    def of_fold(self, fold: int) -> tuple[Singles, Singles]:
        """Over the problems of a fold: (bins, rows, arms) and (bins, rows)."""
        return self.total[:, fold].sum(axis=1), self.weight[:, fold].sum(axis=1)

    def without(self, fold: int) -> Sums:
        """Over the problems outside a fold, in halves: (bins, 1, halves, rows, arms)."""
        rest = [f for f in range(self.total.shape[1]) if f != fold]
        return Sums(self.total[:, rest].sum(axis=1)[:, None], self.weight[:, rest].sum(axis=1)[:, None])


def summed(values: Singles, blocks: Sequence[Singles], divisions: Sequence[Division]) -> Sums:
    """Sums of ``values``, (problems, arms), under the weights of resamples in blocks, each of its own division."""
    pairs = list(zip(blocks, divisions, strict=True))
    bins, folds = len(divisions[0].parts), len(divisions[0].parts[0])
    at = np.ndindex(bins, folds, 2)
    parts = [[(share[:, d.parts[b][f][h]], d.parts[b][f][h]) for share, d in pairs] for b, f, h in at]
    total = [np.concatenate([share @ values[here] for share, here in part]) for part in parts]
    weight = [np.concatenate([share.sum(axis=1) for share, _ in part]) for part in parts]
    shape = (bins, folds, 2, -1)
    return Sums(np.reshape(total, (*shape, values.shape[1])), np.reshape(weight, shape))


def resamples(problems: int, draws: int, seed: int) -> Iterator[Singles]:
    """How often each resample drew each problem, some resamples at a time, (rows, problems).

    One seed, one set of resamples, so that what is compared is paired. Of very many problems, groups of nearly
    equal size that the seed deals are drawn in their place (see ``curves.intervals``).
    """
    unit = _units(problems, seed)
    for start in range(0, draws, size := max(1, min(_ROWS, _CELLS // problems))):
        times = _times(min(problems, MOST_UNITS), draws, seed)[start : start + size]
        yield times if unit is None else times[:, unit]


@lru_cache(maxsize=4)
def _times(units: int, draws: int, seed: int) -> Singles:
    """How often each resample drew each unit, (draws, units); kept, and read-only."""
    found = np.empty((draws, units), dtype=np.float32)
    for rows, times in draw_counts(units, draws, seed):
        found[rows] = times
    found.setflags(write=False)
    return found


@lru_cache(maxsize=4)
def _units(problems: int, seed: int) -> Places | None:
    """The unit that each problem is drawn with; None where each is its own."""
    if problems <= MOST_UNITS:
        return None
    return np.random.default_rng([seed, 1]).permutation(problems) % MOST_UNITS


def resampled_means(values: Floats, members: Places, draws: int, seed: int) -> Floats:
    """Means over ``members`` under each resample of all problems, (draws, columns); values: (problems, columns).

    Where a resample drew none of them, the middle of the others.
    """
    problems, unit = len(values), _units(len(values), seed)
    columns = np.column_stack([np.ones(len(members)), values[members]])
    if unit is not None:
        columns = np.column_stack([np.bincount(unit[members], column, MOST_UNITS) for column in columns.T])
    times, found = _times(min(problems, MOST_UNITS), draws, seed), np.empty((draws, columns.shape[1]))
    for at in range(0, draws, _ROWS):
        some = times[at : at + _ROWS] if unit is not None else times[at : at + _ROWS, members]
        found[at : at + _ROWS] = some.astype(np.float64) @ columns
    return means(found[:, 1:], found[:, 0])


def means(sums: Floats, weight: Floats) -> Floats:
    """Means from sums over the second axis on, the first being resamples; the middle where the weight is 0."""
    wide = weight.reshape(-1, *[1] * (sums.ndim - 1))
    found = np.divide(sums, wide, out=np.zeros(sums.shape), where=wide > 0)
    found[weight == 0] = found[weight > 0].mean(axis=0)
    return found
