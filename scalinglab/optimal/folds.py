"""Problems divided into folds, and what arms add up to over each part, also under resampled problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.curves import MOST_UNITS, Floats, alike, draw_counts
from scalinglab.optimal.prices import Singles

Places = npt.NDArray[np.intp]
_Reals = npt.NDArray[np.floating[Any]]
_ROWS = 200


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


@dataclass(frozen=True)
class Drawn:
    """Some problems under some resamples.

    here: their positions; times: how often each was drawn, (rows, problems). Of more problems than units, times is
    of each unit, (rows, units), and ``unit`` that of each problem.
    """

    here: Places
    times: Singles
    unit: Places | None = None

    def sums(self, values: _Reals) -> _Reals:
        """Sums of ``values``, (all problems, arms), under each resample, (rows, arms)."""
        if alike(values):
            return np.asarray(self.weight[:, None] * values[0])
        rows = values[self.here]
        if self.unit is not None:
            rows = _by_unit(self.unit, rows).astype(np.float32)
        return np.asarray(self.times @ rows)

    @cached_property
    def weight(self) -> Singles:
        """How many problems each resample drew, (rows,)."""
        if self.unit is None:
            return np.asarray(self.times.sum(axis=1))
        return np.asarray(self.times @ np.bincount(self.unit, minlength=MOST_UNITS).astype(np.float32))


@dataclass(frozen=True)
class Resamples:
    """How often each resample drew each unit, (rows, units), and each problem's unit; None: each is its own."""

    times: Singles
    unit: Places | None = None

    def blocks(self, rows: int) -> list[Resamples]:
        """So many resamples at a time."""
        return [Resamples(self.times[at : at + rows], self.unit) for at in range(0, len(self.times), rows)]

    def part(self, here: Places) -> Drawn:
        """The problems at these positions."""
        if self.unit is not None and len(here) > MOST_UNITS:
            return Drawn(here, self.times, self.unit[here])
        return Drawn(here, self.times[:, here if self.unit is None else self.unit[here]])


def summed(values: Singles, blocks: Sequence[Resamples], divisions: Sequence[Division]) -> Sums:
    """Sums of ``values``, (problems, arms), under resamples in blocks, each of its own division."""
    pairs = list(zip(blocks, divisions, strict=True))
    bins, folds = len(divisions[0].parts), len(divisions[0].parts[0])
    total, weight = [], []
    for b, f, h in np.ndindex(bins, folds, 2):
        parts = [block.part(division.parts[b][f][h]) for block, division in pairs]
        total.append(np.concatenate([part.sums(values) for part in parts]))
        weight.append(np.concatenate([part.weight for part in parts]))
    shape = (bins, folds, 2, -1)
    return Sums(np.reshape(total, (*shape, values.shape[1])), np.reshape(weight, shape))


def resamples(problems: int, draws: int, seed: int) -> Resamples:
    """Resamples of the problems: one seed, one set, so that what is compared is paired.

    Of very many problems, groups of nearly equal size that the seed deals are drawn in their place (see
    ``curves.intervals``).
    """
    return Resamples(_times(min(problems, MOST_UNITS), draws, seed), _units(problems, seed))


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
        columns = _by_unit(unit[members], columns)
    times, found = _times(min(problems, MOST_UNITS), draws, seed), np.empty((draws, columns.shape[1]))
    for at in range(0, draws, _ROWS):
        some = times[at : at + _ROWS] if unit is not None else times[at : at + _ROWS, members]
        found[at : at + _ROWS] = some.astype(np.float64) @ columns
    return means(found[:, 1:], found[:, 0])


def _by_unit(unit: Places, values: _Reals) -> Floats:
    """Sums of ``values``, (problems, columns), over each unit, (units, columns)."""
    return np.column_stack([np.bincount(unit, column, MOST_UNITS) for column in values.T])


def means(sums: Floats, weight: Floats) -> Floats:
    """Means from sums over the second axis on, the first being resamples; the middle where the weight is 0."""
    wide = weight.reshape(-1, *[1] * (sums.ndim - 1))
    found = np.divide(sums, wide, out=np.zeros(sums.shape), where=wide > 0)
    found[weight == 0] = found[weight > 0].mean(axis=0)
    return found
