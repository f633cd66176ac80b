"""What a fit is, and what it says where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from scalinglab.curves import tails
from scalinglab.errors import FitError
from scalinglab.fits.minimise import Floats
from scalinglab.laws import Law, Parameter

Status = Literal["converged", "at bound", "not identified", "not converged", "too few points"]
_LOST = 0.05  # share of resamples without a fit above which there is no interval
_SAME = 1e-9  # relative width of an interval that is none


@dataclass(frozen=True)
class Estimate:
    """A parameter's value and the ends of its 95 % interval; None where the data do not give them."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Size:
    """What was fitted: n rows (or problems), in so many units, each resampled whole; ``said``: why these units."""

    n: int
    units: int
    unit: str
    said: str = ""


@dataclass(frozen=True)
class Fit:
    """A law with the parameters that fit best, and how far they can be trusted.

    ``objective`` is the minimised sum (of Huber terms; of halved squares; minus a log likelihood). ``n`` rows were
    fitted, ``units`` resampled, which are problems, rows or groups of rows (``unit``). ``draws`` (resamples, P)
    hold each resample's parameters. ``why`` puts the status in words, and says which intervals are missing and
    what was resampled together. With a status but "converged" and "at bound" there are no values.
    """

    law: Law
    status: Status
    objective: float | None
    n: int
    units: int
    unit: str
    parameters: Mapping[str, Estimate]
    why: str
    draws: Floats | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def values(self) -> dict[str, float]:
        """Parameters by name. Raises FitError where the fit failed."""
        found = {name: e.value for name, e in self.parameters.items() if e.value is not None}
        if self.objective is None:
            given = f"the fit of {self.law.name} has no values: {self.status} ({self.why})"
            raise FitError(given, "a fit that converged", "give more data or a law with fewer parameters")
        return found

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Floats:
        """The law's outcome at inputs (n,). Raises FitError where the fit failed."""
        return self.law.predict(self.values, inputs)

    def band(self, inputs: Mapping[str, npt.ArrayLike]) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval of ``predict`` at inputs (n,); NaN where all resamples agree.

        Raises FitError where there are none.
        """
        self.values  # noqa: B018 - raises where the fit failed
        if self.draws is None:
            raise FitError(
                f"the fit of {self.law.name} has no resamples", "bootstrap > 0", f"fit again ({self.why})"
            )
        at = {name: np.atleast_1d(np.asarray(inputs[name], dtype=float)) for name in self.law.inputs}
        drawn = self.law.unlinked(self.law.formula(self.draws[:, : len(self.law.parameters)], at))
        low, high = np.quantile(drawn, tails(self.units), axis=0)
        agreed = _agree(low, high)
        return np.where(agreed, np.nan, low), np.where(agreed, np.nan, high)


def document(found: Fit) -> dict[str, Any]:
    """A fit as one JSON-ready record."""
    return {
        "law": found.law.name,
        "formula": found.law.text,
        "status": found.status,
        "why": found.why,
        "objective": found.objective,
        "n": found.n,
        "resampled": f"{found.units} {found.unit}",
        "parameters": {name: asdict(estimate) for name, estimate in found.parameters.items()},
    }


def failed(law: Law, status: Status, why: str, size: Size) -> Fit:
    """A fit that is none: no parameter has a value."""
    nothing = {name: Estimate(None) for name in law.names}
    return Fit(law, status, None, size.n, size.units, size.unit, nothing, why)


def done(
    law: Law, status: Status, why: str, size: Size, objective: float, values: Mapping[str, float], draws: Floats
) -> Fit:
    """A fit with intervals from the draws (resamples, P) that are not NaN, where 19 in 20 are not.

    A parameter whose resamples agree has none: that they do, at a bound or for want of spread, is no certainty.
    """
    kept = draws[np.isfinite(draws).all(axis=1)]
    lost = len(draws) - len(kept)
    none = _why_none(size, len(draws), lost)
    if not none:
        low, high = np.quantile(kept, tails(size.units), axis=0)
        agreed = _agree(low, high)
        none = f"all resamples of the {size.units} {size.unit} agree" if agreed.all() else ""
    if none:
        missing = {name: Estimate(value) for name, value in values.items()}
        why = _said(why, f"no intervals: {none}", size.said)
        return Fit(law, status, objective, size.n, size.units, size.unit, missing, why)
    ends = [(None, None) if same else (float(a), float(b)) for a, b, same in zip(low, high, agreed, strict=True)]
    estimates = {name: Estimate(values[name], *ends[i]) for i, name in enumerate(values)}
    cut = [p.name for i, p in enumerate(law.parameters) if not agreed[i] and _cut(p, values[p.name], *ends[i])]
    alike = [name for i, name in enumerate(values) if agreed[i]]
    why = _said(
        why,
        f"{lost} of {len(draws)} resamples could not be fitted" if lost else "",
        f"no interval of {', '.join(alike)}: the resamples agree" if alike else "",
        f"the interval of {', '.join(cut)} ends where the allowed range does" if cut else "",
        size.said,
    )
    return Fit(law, status, objective, size.n, size.units, size.unit, estimates, why, kept)


def _why_none(size: Size, draws: int, lost: int) -> str:
    """Why there can be no intervals; nothing where there can."""
    if size.units < 2:
        return f"only {size.units} to resample ({size.unit})"
    if not draws:
        return "none were asked for"
    return f"{lost} of {draws} resamples could not be fitted" if lost > _LOST * draws else ""


def _agree(low: Floats, high: Floats) -> npt.NDArray[np.bool_]:
    """Where two ends are the same but for rounding."""
    same: npt.NDArray[np.bool_] = high - low <= _SAME * np.maximum(np.abs(low), np.abs(high))
    return same


def _cut(parameter: Parameter, value: float, low: float, high: float) -> bool:
    """Whether the interval ends at the parameter's bounds, of which the value is free: the data leave it open."""
    least, most = parameter.low + 1e-9 * abs(parameter.low), parameter.high - 1e-9 * abs(parameter.high)
    return least < value < most and (low <= least or high >= most)


def _said(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
