"""Uncertainty over problems: samples of one problem are one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from scalinglab.curves.pools import Floats, Ints
from scalinglab.errors import DataError

DRAWS = 2000
"""Bootstrap resamples of the problems behind every interval."""
MOST_UNITS = 2**13
"""More problems than these are resampled in so many random groups of equal size: their spread says as much."""
_BLOCK, _KEPT = 2**17, 2**20
"""Problems drawn at once, which stay in the cache; in all resamples together, where these are kept."""


def interval(values: Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> tuple[Floats, Floats]:
    """Bootstrap interval of the mean over problems, the first axis: samples of a problem are one cluster.

    Percentiles widened for few problems (Hesterberg 2015, arXiv 1411.5279, section 5.2: "expanded"). The same
    seed resamples the same problems, so that differences of paired values are paired.
    Raises DataError for fewer than two problems, which carry no information on their spread.
    """
    _enough(len(values))
    ends = np.quantile(resampled(values, draws, seed), tails(len(values), level), axis=0)
    return ends[0].reshape(values.shape[1:]), ends[1].reshape(values.shape[1:])


def ratio_interval(
    above: Floats, below: Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """As ``interval``, of the ratio of two means over the same problems; infinite where the second is 0."""
    _enough(len(above))
    tops, bottoms = np.moveaxis(
        resampled(np.stack([above, below], axis=1), draws, seed).reshape(draws, 2, -1), 1, 0
    )
    ratios = np.divide(tops, bottoms, out=np.full(tops.shape, np.inf), where=bottoms > 0)
    low, high = np.quantile(ratios, tails(len(above), level), axis=0, method="nearest")
    return low.reshape(above.shape[1:]), high.reshape(above.shape[1:])


def resampled(values: Floats, draws: int, seed: int) -> Floats:
    """Means over resampled problems, shape (draws, the rest flattened): one seed, one set of problems.

    The resamples are drawn in blocks and never held together, but where they are few enough to be kept for the
    next call. Of very many problems, groups of equal size that the seed deals are resampled in their place (see
    ``MOST_UNITS``).
    """
    problems, table = len(values), values.reshape(len(values), -1)
    if problems * draws <= _KEPT:
        return np.asarray(weights(problems, draws, seed) @ table)
    unit, sizes = _units(problems, seed)
    if unit is not None:
        table = np.column_stack([np.bincount(unit, column, len(sizes)) for column in table.T])
    found = np.empty((draws, table.shape[1]))
    for rows, times in draw_counts(len(sizes), draws, seed):
        found[rows] = times @ table / (times @ sizes)[:, None]
    return found


def weights(problems: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """The share of each problem in each resample of ``resampled``, (draws, problems); read-only."""
    return _kept(problems, draws, seed) if problems * draws <= _KEPT else _weights(problems, draws, seed)


def _weights(problems: int, draws: int, seed: int) -> Floats:
    unit, sizes = _units(problems, seed)
    found = np.empty((draws, problems))
    for rows, times in draw_counts(len(sizes), draws, seed):
        found[rows] = (times if unit is None else times[:, unit]) / (times @ sizes)[:, None]
    found.setflags(write=False)
    return found


_kept = lru_cache(maxsize=8)(_weights)


def draw_counts(units: int, draws: int, seed: int) -> Iterator[tuple[slice, Floats]]:
    """How often each unit is drawn in each resample, (some draws, units), and the rows of these draws."""
    drawn, step = _drawn(units, draws, seed), max(1, _BLOCK // units)
    for start in range(0, draws, step):
        rows = slice(start, start + step)
        yield rows, drawn[rows].astype(np.float64)


@lru_cache(maxsize=8)
def _drawn(units: int, draws: int, seed: int) -> npt.NDArray[np.uint16]:
    """The same of all draws, (draws, units), kept: one stream of numbers, whatever is drawn at once."""
    rng, step = np.random.default_rng(seed), max(1, _BLOCK // units)
    found = np.empty((draws, units), dtype=np.uint16)  # of at most MOST_UNITS
    for start in range(0, draws, step):
        some = min(step, draws - start)
        picks = rng.integers(0, units, (some, units))
        picks += np.arange(0, some * units, units)[:, None]
        found[start : start + some] = np.bincount(picks.ravel(), minlength=some * units).reshape(some, units)
    return found


def _units(problems: int, seed: int) -> tuple[Ints | None, Floats]:
    """The unit that each problem is resampled with (None: each is its own), and the problems of each unit."""
    if problems <= MOST_UNITS:
        return None, np.ones(problems)
    dealt = np.random.default_rng([seed, 1]).permutation(problems) % MOST_UNITS
    return dealt, np.bincount(dealt).astype(np.float64)


def tails(problems: int, level: float = 0.95) -> list[float]:
    """The two quantiles of a bootstrap over so many problems that hold ``level``, widened for few of them."""
    tail = float(special.ndtr(-_widened((1 - level) / 2, problems)))
    return [tail, 1 - tail]


def _widened(tail: Any, problems: Any) -> Any:
    """How many bootstrap standard errors hold all but a tail on either side, of so many problems."""
    return -special.stdtrit(problems - 1, tail) * np.sqrt(problems / (problems - 1))


def doubt(problems: Any, fewest: Any = 1) -> Any:
    """The standard error of a mean that resampling cannot see where all problems agree; broadcasts.

    Two pseudo-problems are allowed for, off the mean on either side by what ``fewest`` samples a problem, the
    fewest behind any value, leave open (after Agresti & Min 2005, who add pseudo-observations to matched
    proportions, one to the discordant cells together: a variance of 1 / (problems + 2)^2 where none is).
    """
    return 1 / (np.sqrt(fewest) * (np.asarray(problems) + 2))


def pointwise(
    draws: Floats, point: Floats, *, problems: Any, extra: Any = 0.0, fewest: Any = 1, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The ends of each ``point``, (rows,), by how its resampled means fall around their own, (draws, rows).

    problems: behind each row; extra: standard errors from elsewhere than problems, such as subsampled votes; the
    ``doubt`` of agreement with ``fewest`` samples a problem is always added. Rows that are NaN stay NaN.
    """
    problems, extra = _of_rows(point, problems, extra, fewest)
    low, high = _pointwise(_around(draws), problems, extra, level)
    return point - low, point + high


def simultaneous(
    draws: Floats,
    point: Floats,
    *,
    problems: Any,
    extra: Any = 0.0,
    fewest: Any = 1,
    level: float = 0.95,
    seed: int = 0,
    family: int | None = None,
) -> tuple[Floats, Floats]:
    """As ``pointwise``, of intervals that hold all rows at once with ``level``; draws of all rows are the same.

    Each row stands off by the critical value, the level's quantile of the largest studentised deviation over
    rows, times its standard error (sup-t; Montiel Olea & Plagborg-Moller 2019). It is widened for few problems
    as ``tails`` is; where a row's pointwise end is farther off it stays. ``extra`` and doubt vary from row to row
    by draws of ``seed``. Rows that are NaN stay NaN and do not count.
    ``family``: that many first rows are held at once, and the others stand beside them, off by the same value.
    """
    problems, extra = _of_rows(point, problems, extra, fewest)
    around = _around(draws)
    error = np.hypot(np.sqrt((around**2).sum(axis=0) / (len(draws) - 1)), extra)
    moved = around + np.random.default_rng(seed).standard_normal(around.T.shape).T * extra
    largest = np.nan_to_num(np.abs(moved) / error)[:, :family].max(axis=1, initial=0.0)
    tail = np.minimum(special.ndtr(-np.quantile(largest, level)), (1 - level) / 2)
    reach = _widened(tail, problems) * error
    low, high = _pointwise(around, problems, extra, level)
    return point - np.maximum(reach, low), point + np.maximum(reach, high)


def over_seeds(
    draws: Floats, point: Floats, *, problems: Any, extra: Any = 0.0, fewest: Any = 1, level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """The mean of each row over training seeds, (rows,), and its ends over problems and seeds, all rows at once.

    point: (seeds, rows); draws: of each under the same resamples of problems, which seeds share, (seeds, draws,
    rows). What problems add to the mean is known from resamples; what seeds add from a few numbers, their
    variance over the number of seeds, and so by Student's t with one degree of freedom less than seeds. Seeds
    differ by problems too (``_own``), which is in both and counts with the seeds alone. The half-width is the
    root of the sum of squares of both, each by its own quantile (after Cochran & Cox 1950), at the tail that the
    largest deviation over rows asks for (see ``simultaneous``). Of one seed: ``simultaneous``, which knows of
    problems alone.
    """
    count, middle, mean = len(point), point.mean(axis=0), draws.mean(axis=0)
    if count == 1:
        low, high = simultaneous(
            mean, middle, problems=problems, extra=extra, fewest=fewest, level=level, seed=seed
        )
        return middle, low, high
    problems, extra = _of_rows(middle, problems, extra, fewest)
    around, between = _around(mean), point.var(axis=0, ddof=1) / count
    alone = around.var(axis=0, ddof=1)
    shared = np.maximum(alone - _own(draws) / count, 0) + extra**2
    error = np.sqrt(shared + between)
    moved = around * np.sqrt(np.divide(shared, alone, out=np.ones(alone.shape), where=alone > 0))
    moved = moved + _of_seeds(point, len(draws[0]), seed)
    largest = np.abs(np.divide(moved, error, out=np.zeros(moved.shape), where=error > 0)).max(axis=1)
    tail = np.minimum(special.ndtr(-np.quantile(largest, level)), (1 - level) / 2)
    few = -special.stdtrit(count - 1, tail)
    reach = np.hypot(_widened(tail, problems) * np.sqrt(shared), few * np.sqrt(between))
    low, high = _pointwise(around, problems, extra, level)  # never less than what problems alone leave open
    return middle, middle - np.maximum(reach, low), middle + np.maximum(reach, high)


def _of_seeds(point: Floats, draws: int, seed: int) -> Floats:
    """Normal draws of what seeds add to each mean, (draws, rows), by how rows went together in (seeds, rows).

    So few seeds make rows look more alike than they are: a share of 1 / (seeds - 1) is drawn for each row alone.
    """
    rng, count, apart = np.random.default_rng(seed), len(point), point - point.mean(axis=0)
    alone, scale = 1 / (count - 1), 1 / np.sqrt(count * (count - 1))
    common = rng.standard_normal((draws, count)) @ apart
    own = rng.standard_normal((draws, point.shape[1])) * np.sqrt((apart**2).sum(axis=0))
    return np.asarray(scale * (np.sqrt(1 - alone) * common + np.sqrt(alone) * own))


def _own(draws: Floats) -> Floats:
    """By how much seeds differ because of problems alone: variance over seeds, (rows,), of draws about each."""
    return np.asarray((draws - draws.mean(axis=1, keepdims=True)).var(axis=0, ddof=1).mean(axis=0))


def _of_rows(point: Floats, problems: Any, extra: Any, fewest: Any) -> tuple[Floats, Floats]:
    count = np.broadcast_to(np.asarray(problems, dtype=np.float64), point.shape)
    _enough(int(count.min(initial=2)))
    return count, np.broadcast_to(np.hypot(extra, doubt(count, fewest)), point.shape)


def _around(draws: Floats) -> Floats:
    return np.asarray(draws - draws.mean(axis=0))


def _pointwise(around: Floats, problems: Floats, extra: Floats, level: float) -> tuple[Floats, Floats]:
    """How far each row's ends stand off below and above."""
    off, outside = np.empty((2, len(problems))), special.ndtri((1 + level) / 2) * extra
    for count in np.unique(problems):
        rows = problems == count
        off[:, rows] = np.quantile(around[:, rows], tails(count, level), axis=0)
    return np.hypot(off[0], outside), np.hypot(off[1], outside)


def _enough(problems: int) -> None:
    if problems < 2:
        raise DataError(f"an interval over {problems} problem", "2 problems or more", "pool the bins")
