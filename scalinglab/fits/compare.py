"""compare(laws, data): laws ranked by how well they extrapolate to what they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Floats, Points
from scalinglab.fits.fit import Data, fit_all
from scalinglab.fits.record import Fit
from scalinglab.fits.tables import entered
from scalinglab.laws import Law

LARGEST_SIZE, LARGEST_BUDGET, LAST_CHECKPOINTS = "largest-size", "largest-budget", "last-checkpoints"
HOLD_OUTS = (LARGEST_SIZE, LARGEST_BUDGET, LAST_CHECKPOINTS)
"""What can be left out of a fit and forecast by it: rows of the largest N, of the largest k or C (and of the next,
where one row alone has it: one row ranks nothing), of each N's largest D."""
_SHARE = 8  # of a problem's samples, one in so many is fitted to when the largest budgets are left out


@dataclass(frozen=True)
class Ranked:
    """How far a law is off where it was not fitted.

    ``errors``: mean absolute error on what each split left out, ``error`` their mean; in accuracy points (0 to
    100) or, of losses, in nats; None where the fit failed. ``rows``: how many rows each split left out. ``aicc``:
    of the fit to everything, from squared residuals of the outcome itself, so that all laws compare; None where
    there are too few points for it. ``fit``: that fit.
    """

    fit: Fit
    error: float | None
    errors: Mapping[str, float | None]
    rows: Mapping[str, int]
    aicc: float | None

    @property
    def law(self) -> str:
        return self.fit.law.name

    def document(self) -> dict[str, Any]:
        """Without the fit, as one JSON-ready record."""
        shown = {"error": self.error, "errors": dict(self.errors), "rows": dict(self.rows), "aicc": self.aicc}
        return {"law": self.law, "status": self.fit.status, **shown}


@dataclass(frozen=True)
class Split:
    """What is fitted, and what is left out and forecast."""

    name: str
    fitted: Points | Counts
    left_out: Points


def compare(
    laws: Sequence[Law],
    data: Data,
    *,
    hold_out: Sequence[str] = (),
    up_to: float | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> list[Ranked]:
    """The laws, best extrapolation first; those that failed last.

    What is left out in turn, where the data have it, or what of ``HOLD_OUTS`` is named: the rows of the largest
    N, of the largest k or C, and of each N's largest D (its last checkpoints). Of counts: every budget above an
    eighth of the samples, a random eighth of each problem's being fitted to. With ``up_to`` the budgets k (or C)
    above it are, alone unless others are named; of counts, so many samples of each problem are fitted to.
    ``bootstrap``: resamples behind the intervals of the fit to everything. Raises DataError where nothing can be
    left out, or not what was named.
    """
    return compare_all(laws, [data], hold_out=hold_out, up_to=up_to, bootstrap=bootstrap, seed=seed)[0]


def compare_all(
    laws: Sequence[Law],
    data: Sequence[Data],
    *,
    hold_out: Sequence[str] = (),
    up_to: float | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> list[list[Ranked]]:
    """``compare`` for each of several data, side by side."""
    if not laws:
        raise DataError("no laws to compare", "one or more", "name some")
    given = [entered(laws[0], one) for one in data]
    asked = [splits(one, hold_out, up_to, seed) for one in given]
    ranked: list[list[Ranked]] = [[] for _ in given]
    for law in laws:
        wholes = fit_all(law, given, bootstrap=bootstrap, seed=seed)
        parts = iter(fit_all(law, [split.fitted for each in asked for split in each], bootstrap=0))
        for i, whole in enumerate(wholes):
            errors = {split.name: _error(next(parts), split) for split in asked[i]}
            rows = {split.name: len(split.left_out.mean) for split in asked[i]}
            ranked[i].append(_ranked(whole, given[i], errors, rows))
    return [sorted(each, key=lambda one: np.inf if one.error is None else one.error) for each in ranked]


def _ranked(
    whole: Fit, data: Points | Counts, errors: Mapping[str, float | None], rows: Mapping[str, int]
) -> Ranked:
    known = [error for error in errors.values() if error is not None]
    mean = float(np.mean(known)) if len(known) == len(errors) else None
    shown = data.curve() if isinstance(data, Counts) else data
    aicc = None
    if whole.objective is not None:
        aicc = _aicc(whole.predict(shown.inputs) - shown.mean, len(whole.law.parameters))
    return Ranked(whole, mean, errors, rows, aicc)


def _error(found: Fit, split: Split) -> float | None:
    if found.objective is None:
        return None
    apart = np.abs(found.predict(split.left_out.inputs) - split.left_out.mean)
    return float(apart.mean() * (100 if found.law.outcome == "accuracy" else 1))


def splits(
    data: Points | Counts, hold_out: Sequence[str] = (), up_to: float | None = None, seed: int = 0
) -> list[Split]:
    """The splits that were asked for: those named, that at a budget, or all there are; see ``compare``."""
    above = [] if up_to is None else [_up_to(data, up_to, seed)]
    if above and not hold_out:
        return above
    possible = {
        split.name: split for split in (_of_counts(data, seed) if isinstance(data, Counts) else _of_points(data))
    }
    if not possible:
        raise DataError("data with one value of each input", "two sizes, budgets or checkpoints", "give more data")
    absent = [name for name in hold_out if name not in possible]
    if absent:
        raise DataError(f"{absent[0]} to leave out", f"{', '.join(possible)} of these data", "choose among these")
    return above + [possible[name] for name in possible if name in (hold_out or possible)]


def _of_points(data: Points) -> list[Split]:
    kinds = {"N": LARGEST_SIZE, "k": LARGEST_BUDGET, "C": LARGEST_BUDGET}
    left = {kind: _largest(data.inputs[x]) for x, kind in kinds.items() if x in data.inputs}
    if {"N", "D"} <= set(data.inputs):
        size, tokens = data.inputs["N"], data.inputs["D"]
        left[LAST_CHECKPOINTS] = np.array(
            [d == tokens[size == n].max() for n, d in zip(size, tokens, strict=True)]
        )
    return [Split(name, data.where(~rows), data.where(rows)) for name, rows in left.items() if not rows.all()]


def _largest(values: Floats) -> npt.NDArray[np.bool_]:
    """The rows of the largest value, and of the next where that is one row."""
    rows: npt.NDArray[np.bool_] = values >= np.sort(values)[-2:].min()
    return values == values.max() if rows.all() else rows


def _up_to(data: Points | Counts, most: float, seed: int) -> Split:
    """What is above a budget, left out."""
    name = f"above {most:g}"
    if isinstance(data, Counts):
        fewest = int(data.n.min())
        if not 1 <= most < fewest or most % 1:
            raise DataError(f"up to {most:g} samples", f"a whole number from 1 to {fewest - 1}", "choose another")
        return _thinned(data, name, np.full(data.units, int(most)), seed)
    budget = next((data.inputs[x] for x in ("k", "C") if x in data.inputs), None)
    if budget is None:
        raise DataError("a budget to fit up to", "data with an input k or C", "name what to leave out")
    rows = budget > most
    if rows.all() or not rows.any():
        ends = f"from {budget.min():g} to below {budget.max():g}"
        raise DataError(f"up to {most:g}", f"a budget {ends}", "choose another")
    return Split(name, data.where(~rows), data.where(rows))


def _of_counts(counts: Counts, seed: int) -> list[Split]:
    some = counts.n // _SHARE
    if some.min() < 1:
        raise DataError(f"{counts.n.min()} samples a problem", f"{_SHARE} or more", "collect more samples")
    return [_thinned(counts, LARGEST_BUDGET, some, seed)]


def _thinned(counts: Counts, name: str, some: npt.NDArray[np.int64], seed: int) -> Split:
    """So many random samples of each problem to fit to; the budgets above them, from all samples, left out."""
    hits = np.random.default_rng(seed).hypergeometric(counts.correct, counts.n - counts.correct, some)
    most = int(counts.n.min())
    budgets = [2**i for i in range(most.bit_length()) if 2**i > some.min()]
    return Split(name, Counts(some, hits), counts.curve(budgets or [most]))


def _aicc(residual: Floats, parameters: int) -> float | None:
    """Akaike's criterion with its correction for few points; the residuals' variance is one more parameter."""
    n, p = len(residual), parameters + 1
    if n <= p + 1:
        return None
    return float(n * np.log((residual**2).mean()) + 2 * p + 2 * p * (p + 1) / (n - p - 1))
