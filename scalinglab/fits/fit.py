"""fit(law, data): parameters by name with intervals, and a status that says whether they can be trusted."""

from __future__ import annotations

import numpy as np

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Points, usable
from scalinglab.fits.judge import identified, judge
from scalinglab.fits.likelihood import Likelihood, sound_counts
from scalinglab.fits.minimise import Floats, Minima, Objective, minimise
from scalinglab.fits.record import Fit, done, failed
from scalinglab.fits.residuals import Residuals, natural, searched
from scalinglab.fits.solve import all_starts, bounds, grid, solve, solve_gradually, solve_with_scale
from scalinglab.laws import Law


def fit(law: Law, data: Points | Counts, *, bootstrap: int = 1000, seed: int = 0, scale: bool = False) -> Fit:
    """Fit a law from all its starts, and again on ``bootstrap`` resamples of the data's units.

    Every start is tried, with the linear parameters solved there; the best minimum is kept, and each resample
    starts from it. Intervals are 95 % percentiles, widened for few units as in ``curves.interval``. Counts are
    fitted by likelihood where the law has one, else by their unbiased pass@k at powers of 2. With ``scale`` the
    residuals' scale sigma is a parameter too, and the objective minus the log likelihood of Huber's density of
    residual / sigma (Besiroglu et al. 2024, arXiv 2404.10102). Raises DataError where the data lack an input, hold
    what cannot be or are not what the law is fitted to, and for ``scale`` of a law of least squares.
    """
    if scale and not np.isfinite(law.delta):
        raise DataError(f"a scale for law {law.name}", "a law with a Huber loss", "fit it without the scale")
    if law.likelihood is not None:
        if not isinstance(data, Counts):
            raise DataError(f"points for law {law.name}", "counts: n samples, c right, a problem", "give counts")
        return _fit_counts(law, sound_counts(data), bootstrap, seed)
    points = usable(law, data.curve() if isinstance(data, Counts) else data)
    return _fit_points(law, points, bootstrap, seed, scale)


def _fit_points(law: Law, data: Points, bootstrap: int, seed: int, scale: bool) -> Fit:
    size = {"n": len(data.mean), "units": data.units}
    distinct = len(np.unique(np.stack([data.inputs[name] for name in law.inputs]), axis=1).T)
    if distinct <= len(law.parameters):
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


def _fit_counts(law: Law, counts: Counts, bootstrap: int, seed: int) -> Fit:
    size = {"n": counts.units, "units": counts.units}
    alike, of = _alike(counts)
    if counts.units <= len(law.parameters):
        why = f"{counts.units} problems for {len(law.parameters)} parameters"
        return failed(law, "too few points", why, **size)
    once = Likelihood(law, alike, of.sum(axis=0)[None])
    ends = minimise(once, searched(law, grid(law)), *bounds(law))
    status, why = judge(ends, law.names, *bounds(law))
    if status not in ("converged", "at bound"):
        return failed(law, status, why, **size)
    best = ends.value.argmin()
    draws = np.empty((0, len(law.names)))
    if bootstrap:
        again: Objective = Likelihood(law, alike, _picks(counts.units, bootstrap, seed) @ of)
        drawn = minimise(again, np.repeat(ends.point[[best]], bootstrap, axis=0), *bounds(law))
        draws = _where_good(law, drawn, natural(law, drawn.point))
    values = dict(zip(law.names, natural(law, ends.point)[best].tolist(), strict=True))
    return done(law, status, why, **size, objective=float(ends.value[best]), values=values, draws=draws)


def _alike(counts: Counts) -> tuple[Counts, Floats]:
    """Each pair of n and c once, and which problems have it, (problems, pairs): the likelihood is theirs alone."""
    pairs, of = np.unique(np.stack([counts.n, counts.correct]), axis=1, return_inverse=True)
    return Counts(*pairs), np.eye(pairs.shape[1])[of.ravel()]


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
    return _where_good(residuals.law, ends, theta), ends.value


def _where_good(law: Law, ends: Minima, theta: Floats) -> Floats:
    good = ends.converged & identified(ends, *bounds(law))
    return np.where(good[:, None], theta, np.nan)


def _resampled(law: Law, data: Points, draws: int, seed: int) -> Residuals:
    """The objectives of resampled units: rows or groups of them weighted, or problems averaged anew."""
    picks = _picks(data.units, draws, seed)
    if data.outcome.ndim == 2:
        target = _target(law, picks @ data.outcome / data.units)
        weight = np.isfinite(target).astype(float)
        return Residuals(law, data.inputs, np.where(weight > 0, target, 0.0), weight, np.array([[law.delta]]))
    if data.groups is not None:
        picks = picks[:, np.unique(data.groups, return_inverse=True)[1]]
    return Residuals(law, data.inputs, _target(law, data.mean[None]), picks, np.array([[law.delta]]))


def _picks(units: int, draws: int, seed: int) -> Floats:
    """How often each unit is drawn, (draws, units)."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws).astype(float)


def _target(law: Law, outcome: Floats) -> Floats:
    """What the residuals are of: the outcome through the law's link, and its logarithm where they are relative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        linked = law.linked(outcome)
        return np.asarray(np.log(linked)) if law.residual == "log" else linked
