"""fit(law, data): parameters by name with intervals, and a status that says whether they can be trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Points, usable
from scalinglab.fits.judge import identified, judge
from scalinglab.fits.likelihood import Likelihood
from scalinglab.fits.minimise import NEAR, Floats, Minima, Objective, minimise
from scalinglab.fits.record import Fit, Size, done, failed
from scalinglab.fits.residuals import Residuals, natural, searched
from scalinglab.fits.solve import all_starts, bounds, grid, solve, solve_gradually, solve_with_scale
from scalinglab.fits.tables import entered
from scalinglab.laws import Law

Data = Points | Counts | pd.DataFrame
_KEPT = 1_000_000  # numbers, 8 MB: larger drawings are made anew


def fit(law: Law, data: Data, *, bootstrap: int = 1000, seed: int = 0, scale: bool = False) -> Fit:
    """Fit a law from all its starts, and again on ``bootstrap`` resamples of the data's units.

    Every start is tried, with the linear parameters solved there; the best minimum is kept, and each resample
    starts from it. Intervals are 95 % percentiles, widened for few units as in ``curves.interval``; rows that may
    not be independent are one unit (see ``Points``), and ``why`` says so. Counts are fitted by likelihood where
    the law has one, else by their unbiased pass@k at powers of 2. A frame has a column for each input and the
    outcome, or those of counts (n, correct, of one model). With ``scale`` the residuals' scale sigma is a
    parameter too, and the objective minus the log likelihood of Huber's density of residual / sigma (Besiroglu et
    al. 2024, arXiv 2404.10102). Raises DataError where the data lack an input, hold what cannot be or are not what
    the law is fitted to, and for ``scale`` of a law of least squares.
    """
    return fit_all(law, [data], bootstrap=bootstrap, seed=seed, scale=scale)[0]


def fit_all(
    law: Law, data: Sequence[Data], *, bootstrap: int = 1000, seed: int = 0, scale: bool = False
) -> list[Fit]:
    """``fit`` of one law to each of several data: those at the same inputs are solved side by side."""
    if scale and not np.isfinite(law.delta):
        raise DataError(f"a scale for law {law.name}", "a law with a Huber loss", "fit it without the scale")
    given = [entered(law, one) for one in data]
    if law.likelihood is not None:
        return [_fit_counts(law, _counted(law, one), bootstrap, seed) for one in given]
    points = [usable(law, one.curve() if isinstance(one, Counts) else one) for one in given]
    alike: dict[bytes, list[int]] = defaultdict(list)
    for i, one in enumerate(points):
        alike[b"".join(one.inputs[name].tobytes() for name in law.inputs)].append(i)
    found: dict[int, Fit] = {}
    for at in alike.values():
        fits = _fit_points(law, [points[i] for i in at], bootstrap, seed, scale)
        found |= dict(zip(at, fits, strict=True))
    return [found[i] for i in range(len(points))]


def _counted(law: Law, data: Points | Counts) -> Counts:
    if not isinstance(data, Counts):
        raise DataError(f"points for law {law.name}", "counts: n samples, c right, a problem", "give counts")
    return data


def _fit_points(law: Law, data: Sequence[Points], bootstrap: int, seed: int, scale: bool) -> list[Fit]:
    """The fits of data at the same inputs."""
    sizes = [Size(len(one.mean), one.units, one.unit, one.said) for one in data]
    inputs = data[0].inputs
    distinct = len(np.unique(np.stack([inputs[name] for name in law.inputs]), axis=1).T)
    if distinct <= len(law.parameters):
        why = f"{distinct} distinct points for {len(law.parameters)} parameters"
        return [failed(law, "too few points", why, size) for size in sizes]
    starts = np.stack([all_starts(law, inputs, law.linked(one.mean)) for one in data])
    ends = _split(solve_gradually(residuals_of(law, data, starts.shape[1]), np.concatenate(starts)), len(data))
    judged = [judge(part, law.names, *bounds(law)) for part in ends]
    good = [i for i, (status, _) in enumerate(judged) if status in ("converged", "at bound")]
    if not good:
        return [failed(law, status, why, size) for (status, why), size in zip(judged, sizes, strict=True)]
    best = np.stack([ends[i].point[ends[i].value.argmin()] for i in good])
    theta, objective = _end(residuals_of(law, [data[i] for i in good]), best, scale)
    draws = _draws(law, [data[i] for i in good], best, bootstrap, seed, scale)
    names = (*law.names, "sigma") if scale else law.names
    found = [failed(law, status, why, size) for (status, why), size in zip(judged, sizes, strict=True)]
    for row, i in enumerate(good):
        values = dict(zip(names, theta[row].tolist(), strict=True))
        found[i] = done(law, *judged[i], sizes[i], float(objective[row]), values, draws[row])
    return found


def _split(ends: Minima, count: int) -> list[Minima]:
    return [Minima(*parts) for parts in zip(*(np.split(array, count) for array in ends), strict=True)]


def _draws(law: Law, data: Sequence[Points], best: Floats, bootstrap: int, seed: int, scale: bool) -> list[Floats]:
    """Of each data, the parameters (resamples, P) of each resample; none where there is one unit to resample."""
    drawn = [i for i, one in enumerate(data) if bootstrap and one.units > 1]
    found = [np.empty((0, len(law.names) + scale))] * len(data)
    if drawn:
        residuals = _resampled(law, [data[i] for i in drawn], bootstrap, seed)
        theta, _ = _end(residuals, np.repeat(best[drawn], bootstrap, axis=0), scale, damping=NEAR)
        for i, part in zip(drawn, np.split(theta, len(drawn)), strict=True):
            found[i] = part
    return found


def _fit_counts(law: Law, counts: Counts, bootstrap: int, seed: int) -> Fit:
    size = Size(counts.units, counts.units, counts.unit)
    alike, of = _alike(counts)
    if counts.units <= len(law.parameters):
        why = f"{counts.units} problems for {len(law.parameters)} parameters"
        return failed(law, "too few points", why, size)
    once = Likelihood(law, alike, of.sum(axis=0)[None])
    ends = minimise(once, searched(law, grid(law)), *bounds(law))
    status, why = judge(ends, law.names, *bounds(law))
    if status not in ("converged", "at bound"):
        return failed(law, status, why, size)
    best = ends.value.argmin()
    draws = np.empty((0, len(law.names)))
    if bootstrap:
        again: Objective = Likelihood(law, alike, _picks(counts.units, bootstrap, seed) @ of)
        starts = np.repeat(ends.point[[best]], bootstrap, axis=0)
        drawn = minimise(again, starts, *bounds(law), damping=NEAR)
        draws = _where_good(law, drawn, natural(law, drawn.point))
    values = dict(zip(law.names, natural(law, ends.point)[best].tolist(), strict=True))
    return done(law, status, why, size, float(ends.value[best]), values, draws)


def _alike(counts: Counts) -> tuple[Counts, Floats]:
    """Each pair of n and c once, and which problems have it, (problems, pairs): the likelihood is theirs alone."""
    pairs, of = np.unique(np.stack([counts.n, counts.correct]), axis=1, return_inverse=True)
    return Counts(*pairs), np.eye(pairs.shape[1])[of.ravel()]


def residuals_of(law: Law, data: Sequence[Points], starts: int = 1) -> Residuals:
    """The objective of the data, all at the same inputs, as they are, for so many starts of each."""
    target = _target(law, np.stack([one.mean for one in data]))
    target = target if len(target) == 1 else np.repeat(target, starts, axis=0)
    return Residuals(law, data[0].inputs, target, np.ones((1, target.shape[1])), np.array([[law.delta]]))


def _end(residuals: Residuals, starts: Floats, scale: bool, damping: float = 1.0) -> tuple[Floats, Floats]:
    """Parameters (S, P), with sigma where it is fitted, and objectives (S,); NaN where a start has no fit."""
    if scale:
        ends, sigma = solve_with_scale(residuals, starts)
        theta = np.column_stack([natural(residuals.law, ends.point), sigma])
    else:
        ends = solve(residuals, starts, damping=damping)
        theta = natural(residuals.law, ends.point)
    return _where_good(residuals.law, ends, theta), ends.value


def _where_good(law: Law, ends: Minima, theta: Floats) -> Floats:
    good = ends.converged & identified(ends, *bounds(law))
    return np.where(good[:, None], theta, np.nan)


def _resampled(law: Law, data: Sequence[Points], draws: int, seed: int) -> Residuals:
    """The objectives of each data's resampled units: rows or groups weighted, or problems averaged anew."""
    parts = [_resample(law, one, draws, seed) for one in data]
    target, weight = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Residuals(law, data[0].inputs, target, weight, np.array([[law.delta]]))


def _resample(law: Law, data: Points, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Targets and weights (draws, n): problems are averaged anew, rows or groups weighted."""
    weight = _row_weights(data, draws, seed)
    if data.outcome.ndim == 1:
        return np.broadcast_to(_target(law, data.mean[None]), weight.shape), weight
    problems = len(data.outcome)
    target = _target(law, _picks(problems, draws, seed) @ data.outcome / problems)
    known = np.isfinite(target)
    return np.where(known, target, 0.0), np.where(known, weight, 0.0)


def _row_weights(data: Points, draws: int, seed: int) -> Floats:
    """How often each row is drawn, (draws, n), of groups each whole; once each where problems alone are drawn."""
    rows = data.outcome.shape[-1]
    if data.groups is None:
        return _picks(rows, draws, seed) if data.outcome.ndim == 1 else np.ones((draws, rows))
    names, of = np.unique(data.groups, return_inverse=True)
    return _picks(len(names), draws, seed + (data.outcome.ndim - 1))[:, of]  # not as problems are drawn


def _picks(units: int, draws: int, seed: int) -> Floats:
    """How often each unit is drawn, (draws, units): the same for all laws and data of one study."""
    return _kept(units, draws, seed) if units * draws <= _KEPT else _drawn(units, draws, seed)


def _drawn(units: int, draws: int, seed: int) -> Floats:
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws).astype(float)


_kept = lru_cache(maxsize=2)(_drawn)


def _target(law: Law, outcome: Floats) -> Floats:
    """What the residuals are of: the outcome through the law's link, and its logarithm where they are relative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        linked = law.linked(outcome)
        return np.asarray(np.log(linked)) if law.residual == "log" else linked
