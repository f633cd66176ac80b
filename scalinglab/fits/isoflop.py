"""isoflop(runs): the best model size of each training budget, and how it grows with the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.curves import tails
from scalinglab.errors import DataError, FitError
from scalinglab.fits.data import Floats, Points, above_zero
from scalinglab.fits.record import Estimate
from scalinglab.fits.tables import mapped
from scalinglab.samples import read_table

_GAP = 1.1  # of two FLOP counts that are not one budget
_FEWEST = 4  # runs of one budget: a parabola through three has no residuals
_LOST = 0.05  # share of draws without a minimum above which a budget has no optimum


@dataclass(frozen=True)
class Budget:
    """One training budget: C in FLOPs (or the table's unit), the runs of it and those near its best one.

    ``N``: the size of least loss with its 95 % interval; None where the measured sizes do not hold a minimum, as
    ``why`` says. ``weight``: its share in the line.
    """

    C: float
    runs: int
    near: int
    N: Estimate
    weight: float
    why: str


@dataclass(frozen=True)
class IsoFlop:
    """N = ``size`` (C / ``compute``)^``exponent`` through the optima; ``noise``: of a loss, in nats.

    ``scatter``: the mean squared distance of optima from the line, in variances of their own. Above 1 it widens
    the intervals: there is no such line, or more noise than the runs of one budget show.
    """

    exponent: Estimate
    size: Estimate
    compute: float
    noise: float
    scatter: float
    budgets: tuple[Budget, ...]
    notes: tuple[str, ...]

    def predict(self, compute: float) -> float:
        """The best size for a budget."""
        assert self.size.value is not None
        assert self.exponent.value is not None
        return float(self.size.value * (compute / self.compute) ** self.exponent.value)


@dataclass(frozen=True)
class _Parabola:
    """Least squares of loss on log size through the runs near the best one."""

    budget: float
    runs: int
    log_size: Floats
    loss: Floats

    @property
    def basis(self) -> Floats:
        return np.vander(self.log_size - self.log_size.mean(), 3)

    def minima(self, losses: Floats) -> Floats:
        """Log size of the lowest point for losses (draws, runs); NaN where there is none."""
        a, b, _ = np.linalg.lstsq(self.basis, losses.T, rcond=None)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(a > 0, self.log_size.mean() - b / (2 * a), np.nan)

    @property
    def squares(self) -> float:
        fitted = self.basis @ np.linalg.lstsq(self.basis, self.loss, rcond=None)[0]
        return float(((self.loss - fitted) ** 2).sum())


def read_runs(path: str | Path, *, columns: Mapping[str, str] | None = None) -> Points:
    """N, C and loss of each run from a table's columns, or those that ``columns`` names; C may be "6ND"."""
    inputs, loss = mapped(read_table(path), ("N", "C"), "loss", columns, str(path))
    return Points(inputs, loss)


def isoflop(runs: Points | pd.DataFrame, *, within: float = 4.0, bootstrap: int = 1000, seed: int = 0) -> IsoFlop:
    """The size N of least loss for each budget C, and the line through them in log C.

    Approach 2 of Hoffmann et al. 2022 (arXiv 2203.15556), with weights. Runs whose C are within 10 % of the next
    are of one budget. Its optimum is the lowest point of a parabola in log N through the runs of which N is within
    a factor of that of lowest loss: further away the loss is no parabola, and bends the optimum (arXiv
    2603.22339). Losses are drawn again with the noise that they have about the parabolas; the variances of the
    optima weight the line (Porian et al. 2024, arXiv 2406.19146), and the draws give the intervals, 95 %, wider
    where the optima scatter more about the line than their variances say. Raises DataError for values that cannot
    be, and FitError for fewer than three budgets with an optimum.
    """
    if isinstance(runs, pd.DataFrame):
        runs = Points(*mapped(runs, ("N", "C"), "loss", None, "the frame"))
    above_zero({**runs.inputs, "loss": runs.mean})
    parabolas = _parabolas(runs, within)
    fitted = [one for one in parabolas if len(one.loss) >= _FEWEST]
    degrees = sum(len(one.loss) - 3 for one in fitted)
    noise = float(np.sqrt(sum(one.squares for one in fitted) / degrees)) if degrees else np.nan
    rng = np.random.default_rng(seed)
    draws = {
        one.budget: one.minima(one.loss + noise * rng.normal(size=(bootstrap, len(one.loss)))) for one in fitted
    }
    optima = {one.budget: float(one.minima(one.loss[None])[0]) for one in fitted}
    why = {one.budget: _why_none(one, optima, draws) for one in parabolas}
    good = [one.budget for one in fitted if not why[one.budget]]
    if len(good) < 3:
        raise FitError(
            f"{len(good)} budgets with an optimum ({'; '.join(sorted(set(why.values()) - {''}))})",
            "3 or more, each of 4 sizes on both sides of the best",
            "train more sizes, or widen what is near",
        )
    return _line(parabolas, optima, draws, why, noise, tails(degrees + 1))


def _parabolas(runs: Points, within: float) -> list[_Parabola]:
    if not within > 1:
        raise DataError(f"sizes within a factor of {within:g}", "a factor above 1", "give for example 4")
    compute, log_size, loss = runs.inputs["C"], np.log(runs.inputs["N"]), runs.mean
    order = np.argsort(compute)
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(np.log(compute[order])) > np.log(_GAP)) + 1):
        apart = np.abs(log_size[rows] - log_size[rows[loss[rows].argmin()]])
        near = rows[apart <= np.log(within)]
        budget = float(np.exp(np.log(compute[rows]).mean()))
        found.append(_Parabola(budget, len(rows), log_size[near], loss[near]))
    return found


def _why_none(one: _Parabola, optima: Mapping[float, float], draws: Mapping[float, Floats]) -> str:
    """Why a budget has no optimum; nothing where it has."""
    if one.budget not in optima or len(np.unique(one.log_size)) < _FEWEST:
        return f"{len(np.unique(one.log_size))} sizes near the best, {_FEWEST} needed"
    if not one.log_size.min() < optima[one.budget] < one.log_size.max():
        return "no minimum among the sizes"
    lost = np.isnan(draws[one.budget]).mean()
    return f"no minimum in {100 * lost:.0f} % of draws" if lost > _LOST else ""


def _line(
    parabolas: list[_Parabola],
    optima: Mapping[float, float],
    draws: Mapping[float, Floats],
    why: Mapping[float, str],
    noise: float,
    ends: list[float],
) -> IsoFlop:
    good = [budget for budget in draws if not why[budget]]
    drawn = np.column_stack([draws[budget] for budget in good])
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    best = np.array([optima[budget] for budget in good])
    variance = (np.diff(np.quantile(drawn, [0.16, 0.84], axis=0), axis=0)[0] / 2) ** 2  # few draws lie far out
    weight = 1 / variance / (1 / variance).sum() if variance.all() else np.full(len(good), 1 / len(good))
    log_c = np.log(good)
    middle = float(weight @ log_c)
    basis = np.column_stack([np.ones(len(good)), log_c - middle]) * np.sqrt(weight)[:, None]
    solve = np.linalg.pinv(basis) * np.sqrt(weight)
    found = solve @ best
    off = best - found[0] - found[1] * (log_c - middle)
    scatter = float((off**2 / variance).sum() / (len(good) - 2)) if variance.all() else 0.0
    spread = (drawn - best) @ solve.T * np.sqrt(max(scatter, 1.0))
    low, high = found + np.quantile(spread, ends, axis=0)
    size = Estimate(*(float(np.exp(x)) for x in (found[0], low[0], high[0])))
    weights = dict(zip(good, weight.tolist(), strict=True))
    budgets = tuple(_budget(one, optima, draws, why, weights, ends) for one in parabolas)
    notes = (
        "optimum: the lowest point of a parabola in log N through the runs near the best one of the budget",
        f"intervals: 95 %, of losses drawn with a noise of {noise:.2g} nats about the parabolas, "
        f"widened by {np.sqrt(max(scatter, 1.0)):.3g} as the optima scatter about the line",
        f"N = {size.value:.4g} (C / {np.exp(middle):.4g})^a: a = {found[1]:.4f}, {low[1]:.4f} to {high[1]:.4f}",
    )
    exponent = Estimate(*(float(x) for x in (found[1], low[1], high[1])))
    return IsoFlop(exponent, size, float(np.exp(middle)), noise, scatter, budgets, notes)


def _budget(
    one: _Parabola,
    optima: Mapping[float, float],
    draws: Mapping[float, Floats],
    why: Mapping[float, str],
    weights: Mapping[float, float],
    ends: list[float],
) -> Budget:
    size = Estimate(None)
    if not why[one.budget]:
        low, high = np.nanquantile(draws[one.budget], ends)
        size = Estimate(*(float(np.exp(x)) for x in (optima[one.budget], low, high)))
    return Budget(one.budget, one.runs, len(one.loss), size, weights.get(one.budget, 0.0), why[one.budget])
