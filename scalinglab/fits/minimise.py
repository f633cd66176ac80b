"""Many minimisations at once: Levenberg-Marquardt from every start, or on every resample, batched in numpy."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STEPS = 400
"""Iterations after which a start has not converged."""
TOLERANCE = 1e-10
NEAR = 1e-3
"""The first damping for starts next to their minimum: resamples of what was fitted."""
_CACHE = 32768  # residuals at a time: these and their derivatives stay in the processor's cache
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


class Objective(Protocol):
    """The objective at points (S, P), each of the start or resample whose index is given (S,)."""

    @property
    def rows(self) -> int:
        """How many residuals, or problems, each point has."""
        ...

    def __call__(self, point: Floats, which: Ints) -> Local: ...


def minimise(
    objective: Objective,
    starts: Floats,
    low: Floats,
    high: Floats,
    *,
    damping: float = 1.0,
    tolerance: float = TOLERANCE,
) -> Minima:
    """The minimum that each start (S, P) leads to, within bounds (P,).

    So many are followed at a time as the cache holds; whenever half of them have ended, others take their place.

    Levenberg-Marquardt whose damping is the curvature of a bounding quadratic, so that the Huber loss is a
    reweighted least squares far from the minimum and Newton's method near it. ``damping`` is that of the first
    step. A start has converged when the next step promises less than ``tolerance`` times its value; after
    ``STEPS`` it has not.
    """
    window = max(_CACHE // objective.rows, 64)
    point, converged = np.clip(starts, low, high), np.zeros(len(starts), dtype=bool)
    here = _nowhere(point)
    damped, steps = np.full(len(point), damping), np.zeros(len(point), dtype=np.int64)
    worsened = np.zeros(len(point), dtype=bool)  # after a step that was too long, the next stays as short
    active, begun = np.arange(0), 0
    while len(active) or begun < len(point):
        if len(active) <= window // 2 and begun < len(point):
            fresh = np.arange(begun, min(begun + window - len(active), len(point)))
            _write(here, fresh, _finite(objective(point[fresh], fresh)))
            active, begun = np.append(active, fresh[np.isfinite(here.value[fresh])]), int(fresh[-1]) + 1
            continue
        now = Local(*(array[active] for array in here))
        target, promise = _step(now, point[active], damped[active], low, high)
        reached = promise <= tolerance * np.abs(now.value) + _NOTHING
        there = _finite(objective(target, active))
        better = there.value < now.value
        point[active[better]] = target[better]
        _write(here, active[better], Local(*(array[better] for array in there)))
        easier = np.where(worsened[active], damped[active], np.maximum(damped[active] * 0.25, 1e-9))
        damped[active] = np.where(better, easier, damped[active] * 4)
        worsened[active] = ~better
        steps[active] += 1
        converged[active[reached]] = True
        active = active[~reached & (damped[active] < _HOPELESS) & (steps[active] < STEPS)]
    return Minima(point, here.value, converged, here.bound)


def _nowhere(point: Floats) -> Local:
    """Room for the objective around each point."""
    size, width = point.shape
    curvatures = (np.zeros((size, width, width)) for _ in range(2))
    return Local(np.full(size, np.inf), np.zeros((size, width)), *curvatures)


def _write(into: Local, rows: Ints, found: Local) -> None:
    for old, new in zip(into, found, strict=True):
        old[rows] = new


def _finite(found: Local) -> Local:
    """The objective, infinite and flat wherever any part of it is not a number."""
    if all(np.isfinite(array).all() for array in found):
        return found
    good = np.isfinite(found.value)
    for array in found[1:]:
        good &= np.isfinite(array).reshape(len(good), -1).all(axis=1)
    value, *slopes = (np.where(good.reshape(-1, *[1] * (a.ndim - 1)), a, 0.0) for a in found)
    return Local(np.where(good, value, np.inf), *slopes)


def _step(now: Local, point: Floats, damping: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The next point within the bounds, and the decrease that an undamped step would promise.

    The step is that of (newton + damping (bound + a hundredth of its diagonal)), without the coordinates that are
    held at a bound. Where it would leave the bounds, what would is moved to them and the rest solved anew.
    """
    held = ((point <= low) & (now.gradient > 0)) | ((point >= high) & (now.gradient < 0))
    gradient = np.where(held, 0.0, now.gradient)
    at = np.arange(gradient.shape[1])
    scale = np.maximum(now.bound[:, at, at], 1e-300)
    matrix = now.newton + damping[:, None, None] * now.bound
    matrix[:, at, at] += (0.01 * damping[:, None] + 1e-10) * scale
    move = -_solve(matrix, gradient, held, scale)
    promise = -(gradient * move).sum(axis=1) * np.minimum(1 + damping, 1e3)
    inside = np.clip(move, np.maximum(low - point, -_LONGEST), np.minimum(high - point, _LONGEST))
    cut = np.flatnonzero((inside != move).any(axis=1))
    if len(cut):
        moved = inside[cut] != move[cut]
        known = np.where(moved, inside[cut], 0.0)
        rest = gradient[cut] + (matrix[cut] @ known[:, :, None])[:, :, 0]
        again = known - _solve(matrix[cut], np.where(moved | held[cut], 0.0, rest), moved | held[cut], scale[cut])
        inside[cut] = np.clip(again, -_LONGEST, _LONGEST)
    return np.clip(point + inside, low, high), promise


def _solve(matrix: Floats, right: Floats, held: npt.NDArray[np.bool_], scale: Floats) -> Floats:
    """matrix^-1 right (S, P), the matrix scaled to a unit diagonal first; 0 for the held coordinates."""
    root = np.sqrt(scale)
    scaled = matrix / (root[:, :, None] * root[:, None, :])
    if held.any():
        scaled[held[:, :, None] | held[:, None, :]] = 0.0
        at = np.arange(held.shape[1])
        scaled[:, at, at] += held
    return np.linalg.solve(scaled, np.where(held, 0.0, right / root)[:, :, None])[:, :, 0] / root
