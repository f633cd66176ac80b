"""Minima of a law's residuals: with the Huber threshold given, or with the residuals' scale fitted too."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from scipy import special

from scalinglab.fits.minimise import NEAR, TOLERANCE, Floats, Minima, minimise
from scalinglab.fits.residuals import Residuals, project, searched
from scalinglab.laws import Inputs, Law

_STAGES = 16
_CLOSE = 1e-12  # all but absolute values have sharp minima


def bounds(law: Law) -> tuple[Floats, Floats]:
    """Ends of the searched coordinates (P,)."""
    return searched(law, [p.low for p in law.parameters]), searched(law, [p.high for p in law.parameters])


def grid(law: Law) -> Floats:
    """Every combination of the starts of the parameters that have some, (S, those)."""
    return np.array(list(product(*(p.starts for p in law.parameters if not p.linear))))


def all_starts(law: Law, inputs: Inputs, linked: Floats) -> Floats:
    """Every combination of the law's starts, the linear parameters solved at each: searched coordinates (S, P)."""
    return project(law, inputs, linked, grid(law))


def solve(residuals: Residuals, starts: Floats, *, damping: float = 1.0, tolerance: float = TOLERANCE) -> Minima:
    """The minimum that each start leads to, the first step damped so."""
    return minimise(residuals, starts, *bounds(residuals.law), damping=damping, tolerance=tolerance)


def solve_gradually(residuals: Residuals, starts: Floats) -> Minima:
    """As ``solve``, but from further away: a Huber loss of a hundred and of ten times the threshold comes before.

    Wider quadratic parts make smoother objectives, whose minima lead most starts to the same one. Those that have
    not converged go on as from next to a minimum: along a narrow valley undamped steps go to and fro for ever.
    """
    point = starts
    for wider in (100.0, 10.0) if np.isfinite(residuals.delta).all() else ():
        point = solve(replace(residuals, delta=residuals.delta * wider), point).point
    ends = solve(residuals, point)
    return ends if ends.converged[ends.value.argmin()] else solve(residuals, ends.point, damping=NEAR)


def solve_with_scale(residuals: Residuals, starts: Floats) -> tuple[Minima, Floats]:
    """As ``solve``, and each minimum's scale (S,), of minus the log likelihood of Huber's density.

    The density of r / sigma falls off as exp(-huber(r / sigma)), so that the threshold of r is delta * sigma: far
    below the residuals, where the sum of Huber terms is all but one of absolute values. The threshold is lowered
    in stages, each starting from the minimum of the one before.
    """
    delta = float(residuals.delta.flat[0])
    ends = solve(residuals, starts)
    which = np.arange(len(starts))
    target, weight = (
        np.broadcast_to(array, (len(starts), array.shape[1])) for array in (residuals.target, residuals.weight)
    )
    threshold = np.full(len(starts), delta)
    for _ in range(_STAGES):
        sigma = _scale(np.abs(residuals.residual(ends.point, target[which])[0]), weight, delta)
        threshold = np.maximum(delta * sigma, threshold / 4)
        ends = solve(replace(residuals, delta=threshold[:, None]), ends.point, tolerance=_CLOSE)
    size = np.abs(residuals.residual(ends.point, target)[0])
    sigma = _scale(size, weight, delta)
    ratio = size / sigma[:, None]
    terms = special.huber(delta, ratio) + np.log(sigma)[:, None] + _log_normaliser(delta)
    return ends._replace(value=(weight * terms).sum(axis=1)), sigma


def _scale(size: Floats, weight: Floats, delta: float) -> Floats:
    """The scale (S,) of greatest likelihood for residuals of given sizes (S, n)."""
    total = weight.sum(axis=1)
    sigma = delta * (weight * size).sum(axis=1) / total
    for _ in range(30):
        drawn = np.minimum(size**2 / sigma[:, None], delta * size)
        sigma = (weight * drawn).sum(axis=1) / total
    return np.asarray(sigma)


def _log_normaliser(delta: float) -> float:
    """Log of the integral of exp(-huber(x)): a normal middle and two exponential tails."""
    return float(
        np.log(np.sqrt(2 * np.pi) * special.erf(delta / np.sqrt(2)) + 2 * np.exp(-(delta**2) / 2) / delta)
    )
