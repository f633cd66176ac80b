"""compare(laws, data): laws ranked by how well they extrapolate to what they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Floats, Points
from scalinglab.fits.fit import fit
from scalinglab.fits.record import Status
from scalinglab.laws import Law

LARGEST_SIZE, LARGEST_BUDGET, LAST_CHECKPOINTS = "largest-size", "largest-budget", "last-checkpoints"
HOLD_OUTS = (LARGEST_SIZE, LARGEST_BUDGET, LAST_CHECKPOINTS)
"""What can be left out of a fit and forecast by it: rows of the largest N, of the largest k or C, of each N's
largest D."""
_SHARE = 8  # of a problem's samples, one in so many is fitted to when the largest budgets are left out


@dataclass(frozen=True)
class Ranked:
    """How far a law is off where it was not fitted.

    ``errors``: mean absolute error on what each split left out, ``error`` their mean; in accuracy points (0 to
    100) or, of losses, in nats; None where the fit failed. ``aicc``: of the fit to everything, from squared
    residuals of the outcome itself, so that all laws compare; None where there are too few points for it.
    """

    law: str
    status: Status
    error: float | None
    errors: Mapping[str, float | None]
    aicc: float | None


@dataclass(frozen=True)
class _Split:
    name: str
    fitted: Points | Counts
    left_out: Points


def compare(
    laws: Sequence[Law], data: Points | Counts, *, hold_out: Sequence[str] = (), seed: int = 0
) -> list[Ranked]:
    """The laws, best extrapolation first; those that failed last.

    What is left out in turn, where the data have it, or what of ``HOLD_OUTS`` is named: the rows of the largest
    N, of the largest k or C, and of each N's largest D (its last checkpoints). Of counts: every budget above an
    eighth of the samples, a random eighth of each problem's being fitted to. Raises DataError where nothing can
    be left out, or not what was named.
    """
    splits = _of_counts(data, seed) if isinstance(data, Counts) else _of_points(data)
    possible = [split.name for split in splits]
    if not splits:
        raise DataError("data with one value of each input", "two sizes, budgets or checkpoints", "give more data")
    if not set(hold_out) <= set(possible):
        absent = next(name for name in hold_out if name not in possible)
        raise DataError(f"{absent} to leave out", f"{', '.join(possible)} of these data", "choose among these")
    splits = [split for split in splits if split.name in (hold_out or possible)]
    ranked = [_rank(law, data, splits) for law in laws]
    return sorted(ranked, key=lambda one: np.inf if one.error is None else one.error)


def _rank(law: Law, data: Points | Counts, splits: Sequence[_Split]) -> Ranked:
    errors = {split.name: _error(law, split) for split in splits}
    known = [error for error in errors.values() if error is not None]
    mean = float(np.mean(known)) if len(known) == len(errors) else None
    whole = fit(law, data, bootstrap=0)
    shown = data.curve() if isinstance(data, Counts) else data
    aicc = (
        None if whole.objective is None else _aicc(whole.predict(shown.inputs) - shown.mean, len(law.parameters))
    )
    return Ranked(law.name, whole.status, mean, errors, aicc)


def _error(law: Law, split: _Split) -> float | None:
    found = fit(law, split.fitted, bootstrap=0)
    if found.objective is None:
        return None
    apart = np.abs(found.predict(split.left_out.inputs) - split.left_out.mean)
    return float(apart.mean() * (100 if law.outcome == "accuracy" else 1))


def _of_points(data: Points) -> list[_Split]:
    kinds = {"N": LARGEST_SIZE, "k": LARGEST_BUDGET, "C": LARGEST_BUDGET}
    left = {kind: data.inputs[x] == data.inputs[x].max() for x, kind in kinds.items() if x in data.inputs}
    if {"N", "D"} <= set(data.inputs):
        size, tokens = data.inputs["N"], data.inputs["D"]
        left[LAST_CHECKPOINTS] = np.array(
            [d == tokens[size == n].max() for n, d in zip(size, tokens, strict=True)]
        )
    return [_Split(name, data.where(~rows), data.where(rows)) for name, rows in left.items() if not rows.all()]


def _of_counts(counts: Counts, seed: int) -> list[_Split]:
    some = counts.n // _SHARE
    if some.min() < 1:
        raise DataError(f"{counts.n.min()} samples a problem", f"{_SHARE} or more", "collect more samples")
    hits = np.random.default_rng(seed).hypergeometric(counts.correct, counts.n - counts.correct, some)
    most = int(counts.n.min())
    budgets = [2**i for i in range(most.bit_length()) if 2**i > some.min()]
    return [_Split(LARGEST_BUDGET, Counts(some, hits), counts.curve(budgets))]


def _aicc(residual: Floats, parameters: int) -> float | None:
    """Akaike's criterion with its correction for few points; the residuals' variance is one more parameter."""
    n, p = len(residual), parameters + 1
    if n <= p + 1:
        return None
    return float(n * np.log((residual**2).mean()) + 2 * p + 2 * p * (p + 1) / (n - p - 1))
