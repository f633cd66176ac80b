"""The exchange rate of two slopes: a binomial GEE of right or not on what is doubled, problems as clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from scalinglab.curves import DRAWS, Floats, resampled, tails
from scalinglab.errors import FitError

SAID = {
    "size": "parameters",
    "budget": "budget",
    "pretraining": "pretraining FLOPs",
    "inference": "inference FLOPs",
}
"""What the columns of ``Answered.table`` that can be doubled are called."""
_STEPS, _LONGEST, _SMALL = 50, 4.0, 1e-8
_ALIKE, _FAINT = 1e-9, 1e-7  # shares of the largest variance, and of a column, that are none


@dataclass(frozen=True)
class Answered:
    """Shares of right answers, a column a cell: a model under one way to answer at one budget, in a group.

    table: one row a cell: model, level (which budget), strategy and bin, each pair of which has an intercept, and
    log2 of size, budget (samples or tokens), pretraining and inference (FLOPs; NaN where unknown).
    right: (problems, cells), NaN where a problem is not in a cell's group.
    """

    table: pd.DataFrame
    right: Floats

    def where(self, chosen: npt.ArrayLike) -> Answered:
        """These cells, and the problems that are in any of them."""
        right = self.right[:, np.asarray(chosen)]
        return Answered(self.table[np.asarray(chosen)].reset_index(drop=True), right[~np.isnan(right).all(axis=1)])


@dataclass(frozen=True)
class Rate:
    """How many doublings of one thing a doubling of another is worth: the ratio of their slopes in log odds.

    slopes: of what is doubled and of what replaces it, each per doubling. error: standard error of rate by the
    delta method, clustered by problem; low, high: its 95 % interval. drawn: standard error, low and high by the
    bootstrap over problems (None: too few resamples could be fitted). lack_of_fit: p that levels of models and
    budgets, their product, and slopes that differ by strategy or bin add nothing; changes: p that the rate is one
    at every budget (None: nothing is left to test with).
    """

    rate: float
    error: float
    low: float
    high: float
    slopes: tuple[float, float]
    drawn: tuple[float, float, float] | None
    lack_of_fit: float | None
    changes: float | None
    problems: int


def fit_rate(
    cells: Answered, *, doubled: str = "size", by: str = "budget", draws: int = DRAWS, seed: int = 0
) -> Rate:
    """How many doublings of ``by`` one doubling of ``doubled`` is worth: columns of the cells' table.

    A fractional logit with an intercept a strategy and bin, independence as the working correlation and problems
    as clusters (Liang & Zeger 1986; Papke & Wooldridge 1996). Raises FitError where the data do not identify it:
    one model, one budget, all right or all wrong, separation, or a budget that does not measurably help.
    """
    asked, hits = ~np.isnan(cells.right), np.nan_to_num(cells.right)
    _varied(cells, doubled, by)
    design = _design(cells, doubled, by)
    sums, counts = hits.sum(axis=0), asked.sum(axis=0, dtype=np.float64)
    _identified(design, len(hits), sums, counts, f"{SAID[doubled]} and {SAID[by]}")
    start = np.zeros(design.shape[1])
    start[:-2] = special.logit(sums.sum() / counts.sum())
    found = _solved(design, sums[None], counts[None], start)[0]
    point, covariance = _gee(cells.right, asked, design, found)
    problems, one, two = len(hits), float(point[-2]), float(point[-1])
    reach = float(special.stdtrit(problems - len(point), 0.975))
    if two <= reach * np.sqrt(covariance[-1, -1]) + _SMALL:
        given = f"a slope of {two:.3g} (standard error {np.sqrt(covariance[-1, -1]):.2g}) a doubling of {SAID[by]}"
        raise FitError(given, "one that is above 0 at 95 %: else nothing is replaced by it", "use more problems")
    by_slope = np.array([1, -one / two]) / two
    error = float(np.sqrt(by_slope @ covariance[-2:, -2:] @ by_slope))
    return Rate(
        one / two, error, one / two - reach * error, one / two + reach * error, (one, two),
        _drawn(design, hits, asked, point, draws, seed),
        _score(design, _levels(cells), hits, asked, point),
        _score(design, _bends(cells), hits, asked, point),
        problems,
    )  # fmt: skip


def _design(cells: Answered, doubled: str, by: str) -> Floats:
    """Intercepts, then what is doubled and what replaces it, (cells, columns)."""
    blocks = _dummies(cells.table["strategy"] + "\n" + cells.table["bin"])
    slopes = cells.table[[doubled, by]].to_numpy(np.float64)
    return np.hstack([blocks, slopes - slopes.mean(axis=0)])


def _gee(right: Floats, asked: npt.NDArray[np.bool_], design: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Coefficients and their covariance by statsmodels, robust by problem.

    Times n / (n - columns), as of few clusters it comes out too small (after MacKinnon & White 1985, HC1).
    """
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    rows, columns = np.nonzero(asked)
    model = GEE(right[asked], design[columns], groups=rows, family=Binomial(), cov_struct=Independence())
    found = model.fit(start_params=start)
    return np.asarray(found.params), np.asarray(found.cov_params()) * len(right) / (len(right) - len(start))


def _varied(cells: Answered, *names: str) -> None:
    """Raises FitError where a column is unknown, or has one value only."""
    for name, many in zip(names, ("models of known size or training", "budgets"), strict=True):
        values = cells.table[name].unique()
        if len(values) < 2 or np.isnan(values).any():
            what = "of one value only" if len(values) else "unknown"
            raise FitError(f"{SAID[name]} {what}", f"two or more {many}", "add some, with --spec or --k")


def _identified(design: Floats, problems: int, hits: Floats, asked: Floats, said: str) -> None:
    """Raises FitError where the slopes have no values or no error; said: what they are of."""
    least = design.shape[1] + 1
    if problems < least:
        raise FitError(f"{problems} problems", f"{least} or more, which are the clusters", "add problems")
    for ends, all_ in ((hits == asked, "right"), (hits == 0, "wrong")):
        if ends.all():
            given = f"every answer {all_}"
            raise FitError(given, "some right and some wrong", f"use problems that are not all {all_}")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        given = f"{said} that move together"
        raise FitError(given, "each at two values or more of the other", "add models or budgets")
    if _separated(design, hits, asked):
        given = f"{said} that tell all right from all wrong (separation)"
        raise FitError(given, "right and wrong answers mixed", "add problems, or models and budgets between")


def _separated(design: Floats, hits: Floats, asked: Floats) -> bool:
    """Whether a direction parts cells that are all right from those that are all wrong (Konis 2007)."""
    from scipy.optimize import linprog

    sides = np.where(hits == 0, -1.0, 1.0)
    mixed = (hits > 0) & (hits < asked)
    if mixed.sum() >= design.shape[1] and np.linalg.matrix_rank(design[mixed]) == design.shape[1]:
        return False
    signed = design[~mixed] * sides[~mixed, None]
    held, none = design[mixed], np.zeros(len(design))
    found = linprog(-signed.sum(axis=0), -signed, none[: len(signed)], held, none[: len(held)], bounds=(-1, 1))
    return bool((signed @ np.asarray(found.x)).sum() > _SMALL)


def _solved(design: Floats, hits: Floats, asked: Floats, start: Floats) -> Floats:
    """Coefficients of many fits, (fits, columns), from sums (fits, cells), by Newton's method; NaN: failed."""
    point, ridge = np.tile(start, (len(hits), 1)), _SMALL * np.eye(design.shape[1])
    for _ in range(_STEPS):
        chance = special.expit(point @ design.T)
        curvature = ((asked * chance * (1 - chance))[:, None] * design.T) @ design
        scale = np.trace(curvature, axis1=1, axis2=2)[:, None, None] + 1e-300
        slope = (hits - asked * chance) @ design
        step = np.linalg.solve(curvature / scale + ridge, slope[:, :, None] / scale)[:, :, 0]
        point += np.clip(step, -_LONGEST, _LONGEST)
        if np.abs(step).max() < _SMALL:
            break
    return np.where(np.abs(step).max(axis=1, keepdims=True) < 1e-4, point, np.nan)


def _drawn(
    design: Floats, hits: Floats, asked: npt.NDArray[np.bool_], point: Floats, draws: int, seed: int
) -> tuple[float, float, float] | None:
    """Standard error and interval of the rate over resampled problems."""
    if not draws:
        return None
    means = resampled(np.stack([hits, asked], axis=1), draws, seed).reshape(draws, 2, -1)
    found = _solved(design, means[:, 0], means[:, 1], point)
    rates = found[:, -2] / found[:, -1]
    kept = rates[np.isfinite(rates) & (found[:, -1] > 0)]
    if len(kept) < 0.95 * draws:
        return None
    low, high = np.quantile(kept, tails(len(hits)))
    return float(kept.std()), float(low), float(high)


def _levels(cells: Answered) -> Floats:
    """What a rate that fits leaves nothing for: levels of models and budgets, their product, and slopes that
    differ by strategy or bin.
    """
    slopes = cells.table[[_grown(cells), "budget"]].to_numpy(np.float64)
    parts = [_dummies(cells.table[name]) for name in ("strategy", "bin")]
    apart = [part[:, :, None] * slopes[:, None, :] for part in parts]
    levels = [_dummies(cells.table[name]) for name in ("model", "level")]
    return np.hstack(
        [*levels, slopes.prod(axis=1, keepdims=True), *(one.reshape(len(slopes), -1) for one in apart)]
    )


def _dummies(column: pd.Series) -> Floats:
    return pd.get_dummies(column).to_numpy(np.float64)


def _grown(cells: Answered) -> str:
    return "size" if len(cells.table["size"].unique()) > 1 else "pretraining"


def _bends(cells: Answered) -> Floats:
    """What a rate that is one at every budget leaves nothing for: budget squared, and its product with size."""
    slopes = cells.table[[_grown(cells), "budget"]].to_numpy(np.float64)
    return np.column_stack([slopes[:, 1] ** 2, slopes.prod(axis=1)])


def _score(
    design: Floats, more: Floats, hits: Floats, asked: npt.NDArray[np.bool_], point: Floats
) -> float | None:
    """p that more columns add nothing: a score test, robust by problem (Boos 1992), as Hotelling's T squared."""
    chance = special.expit(design @ point)
    weight = asked.sum(axis=0) * chance * (1 - chance)
    apart = _apart(design, more, weight)
    scores = ((hits - chance) * asked) @ apart
    problems, mean = len(scores), scores.mean(axis=0)
    sizes, axes = np.linalg.eigh(np.atleast_2d(np.cov(scores.T)) if scores.size else np.zeros((0, 0)))
    told = sizes > _ALIKE * sizes.max(initial=0.0)
    columns = int(told.sum())
    if not columns or problems <= columns + 1:
        return None
    square = problems * ((mean @ axes[:, told]) ** 2 / sizes[told]).sum()
    ratio = square * (problems - columns) / (columns * (problems - 1))
    return float(special.fdtrc(columns, problems - columns, ratio))


def _apart(design: Floats, more: Floats, weight: Floats) -> Floats:
    """The part of the columns that the design does not hold, as independent columns, (cells, some)."""
    root = np.sqrt(weight)[:, None]
    left = more - design @ np.linalg.lstsq(root * design, root * more, rcond=None)[0]
    axes, sizes, _ = np.linalg.svd(root * left, full_matrices=False)
    return np.asarray(axes[:, sizes > _FAINT * np.linalg.norm(root * more)] / root)
