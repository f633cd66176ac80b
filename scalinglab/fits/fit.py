"""fit(law, data): parameters by name with intervals, and a status that says whether they can be trusted."""

from __future__ import annotations

import numpy as np

from scalinglab.fits.data import Points, usable
from scalinglab.fits.judge import identified, judge
from scalinglab.fits.minimise import Floats
from scalinglab.fits.record import Fit, done, failed
from scalinglab.fits.residuals import Residuals, natural
from scalinglab.fits.solve import all_starts, bounds, solve, solve_gradually, solve_with_scale
from scalinglab.laws import Law


def fit(law: Law, data: Points, *, bootstrap: int = 1000, seed: int = 0, scale: bool = False) -> Fit:
    """Fit a law from all its starts, and again on ``bootstrap`` resamples of the data's units.

    Every start is tried, with the linear parameters solved there; the best minimum is kept, and each resample
    starts from it. Intervals are 95 % percentiles, widened for few units as in ``curves.interval``. With ``scale``
    the residuals' scale sigma is a parameter too, and the objective minus the log likelihood of Huber's density of
    residual / sigma (Besiroglu et al. 2024, arXiv 2404.10102); the law must have a finite ``delta``.
    Raises DataError where the data lack an input or hold what cannot be.
    """
    data = usable(law, data)
    size = {"n": len(data.mean), "units": data.units}
    distinct = len(np.unique(np.stack([data.inputs[name] for name in law.inputs]), axis=1).T)
    if min(distinct, size["n"]) <= len(law.parameters):
        why = f"{distinct} distinct points for {len(law.parameters)} parameters"
        return failed(law, "too few points", why, **size)
    residuals = residuals_of(law, data)
    ends = solve_gradually(residuals, all_starts(law, data.inputs, law.linked(data.mean)))
    status, why = judge(ends, law.names, *bounds(law))
    if status not in ("converged", "at bound"):
        return failed(law, status, why, **size)
    best = ends.point[[ends.value.argmin()]]
    theta, objective = _end(residuals, best, scale)
    names = (*law.names, "sigma") if scale else law.names
    draws = np.empty((0, len(names)))
    if bootstrap:
        draws, _ = _end(_resampled(law, data, bootstrap, seed), np.repeat(best, bootstrap, axis=0), scale)
    values = dict(zip(names, theta[0].tolist(), strict=True))
    return done(law, status, why, **size, objective=float(objective[0]), values=values, draws=draws)


def residuals_of(law: Law, data: Points) -> Residuals:
    """The objective of the data as they are."""
    target = _target(law, data.mean[None])
    return Residuals(law, data.inputs, target, np.ones_like(target), np.array([[law.delta]]))


def _end(residuals: Residuals, starts: Floats, scale: bool) -> tuple[Floats, Floats]:
    """Parameters (S, P), with sigma where it is fitted, and objectives (S,); NaN where a start has no fit."""
    if scale:
        ends, sigma = solve_with_scale(residuals, starts)
        theta = np.column_stack([natural(residuals.law, ends.point), sigma])
    else:
        ends = solve(residuals, starts)
        theta = natural(residuals.law, ends.point)
    good = ends.converged & identified(ends, *bounds(residuals.law))
    return np.where(good[:, None], theta, np.nan), ends.value


def _resampled(law: Law, data: Points, draws: int, seed: int) -> Residuals:
    """The objectives of resampled units: rows or groups of them weighted, or problems averaged anew."""
    units = data.units
    picks = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws).astype(float)
    if data.outcome.ndim == 2:
        target = _target(law, picks @ data.outcome / units)
        weight = np.isfinite(target).astype(float)
        return Residuals(law, data.inputs, np.where(weight > 0, target, 0.0), weight, np.array([[law.delta]]))
    if data.groups is not None:
        picks = picks[:, np.unique(data.groups, return_inverse=True)[1]]
    return Residuals(law, data.inputs, _target(law, data.mean[None]), picks, np.array([[law.delta]]))


def _target(law: Law, outcome: Floats) -> Floats:
    """What the residuals are of: the outcome through the law's link, and its logarithm where they are relative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        linked = law.linked(outcome)
        return np.asarray(np.log(linked)) if law.residual == "log" else linked
