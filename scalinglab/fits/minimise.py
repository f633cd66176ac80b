"""Many minimisations at once: Levenberg-Marquardt from every start, or on every resample, batched in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STEPS = 400
"""Iterations after which a start has not converged."""
_CHUNK = 128  # starts at a time: their residuals and derivatives stay in the processor's cache
_LONGEST = 3.0  # no coordinate moves further in one step: on a log scale, a factor of 20
_HOPELESS = 1e12  # damping at which no step is left to try
_NOTHING = 1e-18  # a promise so small that the objective is 0 but for rounding


class Local(NamedTuple):
    """An objective around S points of P coordinates: value (S,), gradient (S, P), and two curvatures (S, P, P).

    ``newton`` may be singular; ``bound`` is that of a quadratic above the objective, and damps the steps.
    """

    value: Floats
    gradient: Floats
    newton: Floats
    bound: Floats


class Minima(NamedTuple):
    """Where each start ended: point (S, P), value and converged (S,), the curvature ``bound`` there (S, P, P)."""

    point: Floats
    value: Floats
    converged: npt.NDArray[np.bool_]
    curvature: Floats


Objective = Callable[[Floats, Ints], Local]
"""The objective at points (S, P), each of the start or resample whose index is given (S,)."""


def minimise(
    objective: Objective, starts: Floats, low: Floats, high: Floats, *, tolerance: float = 1e-10
) -> Minima:
    """The minimum that each start (S, P) leads to, within bounds (P,).

    Levenberg-Marquardt whose damping is the curvature of a bounding quadratic, so that the Huber loss is a
    reweighted least squares far from the minimum and Newton's method near it. A start has converged when the
    next step promises less than ``tolerance`` times its value; after ``STEPS`` it has not.
    """
    parts = [np.arange(i, min(i + _CHUNK, len(starts))) for i in range(0, len(starts), _CHUNK)]
    ends = [_descend(objective, np.clip(starts[part], low, high), part, low, high, tolerance) for part in parts]
    return Minima(*(np.concatenate(pieces) for pieces in zip(*ends, strict=True)))


def _descend(
    objective: Objective, point: Floats, which: Ints, low: Floats, high: Floats, tolerance: float
) -> Minima:
    here = _finite(objective(point, which))
    damping, converged = np.ones(len(point)), np.zeros(len(point), dtype=bool)
    active = np.flatnonzero(np.isfinite(here.value))
    for _ in range(STEPS):
        if not len(active):
            break
        now = Local(*(array[active] for array in here))
        target, promise = _step(now, point[active], damping[active], low, high)
        reached = promise <= tolerance * np.abs(now.value) + _NOTHING
        there = _finite(objective(target, which[active]))
        better = there.value < now.value
        for old, new in zip((point, *here), (target, *there), strict=True):
            old[active[better]] = new[better]
        damping[active] = np.where(better, np.maximum(damping[active] * 0.25, 1e-9), damping[active] * 4)
        converged[active[reached]] = True
        active = active[~reached & (damping[active] < _HOPELESS)]
    return Minima(point, here.value, converged, here.bound)


def _finite(found: Local) -> Local:
    """The objective, infinite and flat wherever any part of it is not a number."""
    good = np.isfinite(found.value)
    for array in found[1:]:
        good &= np.isfinite(array).reshape(len(good), -1).all(axis=1)
    value, *slopes = (np.where(good.reshape(-1, *[1] * (a.ndim - 1)), a, 0.0) for a in found)
    return Local(np.where(good, value, np.inf), *slopes)


def _step(now: Local, point: Floats, damping: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The next point within the bounds, and the decrease that an undamped step would promise."""
    held = ((point <= low) & (now.gradient > 0)) | ((point >= high) & (now.gradient < 0))
    gradient = np.where(held, 0.0, now.gradient)
    move = -_solve(now, gradient, held, damping)
    promise = -(gradient * move).sum(axis=1) * np.minimum(1 + damping, 1e3)
    return np.clip(point + np.clip(move, -_LONGEST, _LONGEST), low, high), promise


def _solve(now: Local, gradient: Floats, held: npt.NDArray[np.bool_], damping: Floats) -> Floats:
    """(newton + damping * (bound + a hundredth of its diagonal))^-1 gradient, without the held coordinates."""
    matrix = now.newton + damping[:, None, None] * now.bound
    at = np.arange(gradient.shape[1])
    scale = np.maximum(now.bound[:, at, at], 1e-300)
    matrix[:, at, at] += (0.01 * damping[:, None] + 1e-10) * scale
    matrix = np.where(held[:, :, None] | held[:, None, :], 0.0, matrix)
    matrix[:, at, at] += np.where(held, scale, 0.0)
    root = np.sqrt(scale)
    scaled = matrix / (root[:, :, None] * root[:, None, :])
    return np.linalg.solve(scaled, (gradient / root)[:, :, None])[:, :, 0] / root
