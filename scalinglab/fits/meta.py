"""A mixed model of what groups of rows measured: fixed effects and a random intercept a group (REML)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from scalinglab.curves import Floats

_FAINT, _ALIKE = 1e-9, 1e-6  # shares of the largest singular value, and of a column, that are none
_RATIOS = (-14.0, 14.0)  # log of the variance between groups over that within, as far as it is looked for


@dataclass(frozen=True)
class Meta:
    """Coefficients of a mixed model (points), an entry of each array a column of the design.

    low, high: 95 % by the jackknife over units, NaN where a column is known from one unit alone. error: standard
    errors were groups independent (NaN: none, as the rows of a group do not differ).
    """

    points: Floats
    low: Floats
    high: Floats
    error: Floats


def fit_meta(
    design: Floats, outcome: Floats, groups: npt.NDArray[np.str_], members: npt.NDArray[np.bool_]
) -> Meta:  # fmt: skip
    """Fit a mixed model, with intervals that know that groups share units.

    design: (rows, columns), of full rank; members: (rows, units), which units (models) each row is about: a
    unit is left out with all its rows, which is right for outcomes of pairs that share them (Arvesen 1969).
    """
    values, _, ratio = solve_meta(design, outcome, groups)
    left = [solve_meta(design[~unit], outcome[~unit], groups[~unit]) for unit in members.T]
    spared = np.array([np.where(known, found, np.nan) for found, known, _ in left])
    spread = np.sqrt((len(left) - 1) * spared.var(axis=0))
    reach = special.stdtrit(len(left) - 1, 0.975) * spread
    return Meta(values, values - reach, values + reach, _error(design, outcome, groups, values, ratio))


def _error(
    design: Floats, outcome: Floats, groups: npt.NDArray[np.str_], values: Floats, ratio: float
) -> Floats:  # fmt: skip
    """Standard errors by statsmodels, which begins where the closed form ends."""
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    start = MixedLMParams.from_components(fe_params=values, cov_re=np.array([[ratio]]))
    with warnings.catch_warnings():  # groups that do not differ are at a boundary: no failure
        warnings.simplefilter("ignore")
        told = MixedLM(outcome, design, groups=groups).fit(reml=True, start_params=start)
    good = told.converged and np.log(ratio) < _RATIOS[1] - 0.1
    return np.asarray(told.bse)[: len(values)] if good else np.full(len(values), np.nan)


def solve_meta(
    design: Floats, outcome: Floats, groups: npt.NDArray[np.str_]
) -> tuple[Floats, npt.NDArray[np.bool_], float]:
    """Coefficients alone, in closed form but for the ratio of the variances: for fits in their hundreds.

    Returns them, which of them the rows identify (others are of least length, 0 for a column of zeros), and the
    variance between groups over that within.
    """
    axes, sizes, back = np.linalg.svd(design, full_matrices=False)
    held = sizes > _FAINT * sizes.max(initial=0.0)
    basis, back = axes[:, held], back[held]
    _, at, counts = np.unique(groups, return_inverse=True, return_counts=True)
    both = np.column_stack([basis, outcome])
    sums = np.column_stack([np.bincount(at, column, len(counts)) for column in both.T])
    free, whole = len(outcome) - basis.shape[1], both.T @ both

    def solved(log_ratio: float) -> tuple[Floats, float]:  # coefficients in the basis, and minus twice log REML
        ratio = np.exp(log_ratio)
        found = whole - (sums * (ratio / (1 + ratio * counts))[:, None]).T @ sums
        inside = np.linalg.solve(found[:-1, :-1], found[:-1, -1])
        rest = max(found[-1, -1] - found[-1, :-1] @ inside, 1e-300)
        both = np.log1p(ratio * counts).sum() + np.linalg.slogdet(found[:-1, :-1])[1]
        return inside, float(free * np.log(rest) + both)

    best = optimize.minimize_scalar(lambda at: solved(at)[1], bounds=_RATIOS, method="bounded").x
    known = (back**2).sum(axis=0) > 1 - _ALIKE
    return back.T @ (solved(best)[0] / sizes[held]), known, float(np.exp(best))
