"""Whether a minimum is a fit: converged, at a bound, not identified."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scalinglab.fits.minimise import Floats, Minima
from scalinglab.fits.record import Status

_SINGULAR = 1e-9  # smallest eigenvalue of a curvature of unit diagonal that still identifies
_ALIKE = 1e-9  # relative difference of two objectives that are the same
_APART = 0.05  # distance of two minima that are not


def judge(ends: Minima, names: tuple[str, ...], low: Floats, high: Floats) -> tuple[Status, str]:
    """The status of the best end, and why in words: which parameters are at a bound or are not identified."""
    best = int(ends.value.argmin())
    if not ends.converged[best]:
        return "not converged", "the best of all starts was still going down"
    at_bound = held(ends.point[[best]], low, high)[0]
    loose = _loose(ends, best, at_bound)
    if loose.any():
        return "not identified", f"other values of {_named(names, loose)} fit as well"
    if at_bound.any():
        return "at bound", f"{_named(names, at_bound)} at the end of the allowed range"
    return "converged", ""


def held(point: Floats, low: Floats, high: Floats) -> npt.NDArray[np.bool_]:
    """Which coordinates (S, P) are at a bound."""
    ended: npt.NDArray[np.bool_] = (point <= low + 1e-9) | (point >= high - 1e-9)
    return ended


def identified(ends: Minima, low: Floats, high: Floats) -> npt.NDArray[np.bool_]:
    """Which ends (S,) have a curvature that fixes every coordinate not at a bound."""
    values, _ = _axes(ends.curvature, held(ends.point, low, high))
    fixed: npt.NDArray[np.bool_] = values[:, 0] > _SINGULAR
    return fixed


def _loose(ends: Minima, best: int, at_bound: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which coordinates can move without the objective rising."""
    values, vectors = _axes(ends.curvature[[best]], at_bound[None])
    flat = values[0] <= _SINGULAR
    loose: npt.NDArray[np.bool_] = (np.abs(vectors[0][:, flat]) > 0.1).any(axis=1)
    margin = _ALIKE * abs(ends.value[best]) + 1e-15
    alike = ends.point[ends.converged & (ends.value <= ends.value[best] + margin)]
    loose |= (np.ptp(alike, axis=0) > _APART) & ~at_bound
    return loose


def _axes(curvature: Floats, at_bound: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Eigenvalues and vectors of curvatures (S, P, P) scaled to a unit diagonal; bounded coordinates are apart."""
    root = np.sqrt(np.diagonal(curvature, axis1=1, axis2=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.nan_to_num(curvature / (root[:, :, None] * root[:, None, :]))
    apart = at_bound[:, :, None] | at_bound[:, None, :]
    scaled = np.where(apart, np.eye(root.shape[1]), scaled)
    values, vectors = np.linalg.eigh(scaled)
    return values, vectors


def _named(names: tuple[str, ...], chosen: npt.NDArray[np.bool_]) -> str:
    return ", ".join(name for name, yes in zip(names, chosen, strict=True) if yes)
