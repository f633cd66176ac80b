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


@dataclass(frozen=True)
class Estimate:
    """A parameter's value and the ends of its 95 % interval; None where the data do not give them."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Fit:
    """A law with the parameters that fit best, and how far they can be trusted.

    ``objective`` is the minimised sum (of Huber terms; of halved squares; minus a log likelihood). ``n`` rows were
    fitted, ``units`` resampled. ``draws`` (resamples, P) hold each resample's parameters. ``why`` puts the status
    in words. Where the status is neither "converged" nor "at bound" there is no value to be had from a fit.
    """

    law: Law
    status: Status
    objective: float | None
    n: int
    units: int
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
        """Ends of the 95 % interval of ``predict`` at inputs (n,). Raises FitError where there are none."""
        self.values  # noqa: B018 - raises where the fit failed
        if self.draws is None:
            raise FitError(
                f"the fit of {self.law.name} has no resamples", "bootstrap > 0", f"fit again ({self.why})"
            )
        at = {name: np.atleast_1d(np.asarray(inputs[name], dtype=float)) for name in self.law.inputs}
        drawn = self.law.unlinked(self.law.formula(self.draws[:, : len(self.law.parameters)], at))
        low, high = np.quantile(drawn, tails(self.units), axis=0)
        return low, high


def document(found: Fit, unit: str) -> dict[str, Any]:
    """A fit as one JSON-ready record; ``unit`` is what was resampled."""
    return {
        "law": found.law.name,
        "formula": found.law.text,
        "status": found.status,
        "why": found.why,
        "objective": found.objective,
        "n": found.n,
        "resampled": f"{found.units} {unit}",
        "parameters": {name: asdict(estimate) for name, estimate in found.parameters.items()},
    }


def failed(law: Law, status: Status, why: str, *, n: int, units: int) -> Fit:
    """A fit that is none: no parameter has a value."""
    return Fit(law, status, None, n, units, {name: Estimate(None) for name in law.names}, why)


def _cut(parameter: Parameter, value: float, low: float, high: float) -> bool:
    """Whether the interval ends at the parameter's bounds, of which the value is free: the data leave it open."""
    least, most = parameter.low + 1e-9 * abs(parameter.low), parameter.high - 1e-9 * abs(parameter.high)
    return least < value < most and (low <= least or high >= most)


def done(
    law: Law,
    status: Status,
    why: str,
    *,
    n: int,
    units: int,
    objective: float,
    values: Mapping[str, float],
    draws: Floats,
) -> Fit:
    """A fit with intervals from the draws (resamples, P) that are not NaN, where 19 in 20 are not."""
    kept = draws[np.isfinite(draws).all(axis=1)]
    lost = len(draws) - len(kept)
    if lost:
        why = f"{why}; {lost} of {len(draws)} resamples could not be fitted".removeprefix("; ")
    if not len(kept) or lost > _LOST * len(draws):
        return Fit(law, status, objective, n, units, {name: Estimate(v) for name, v in values.items()}, why)
    low, high = np.quantile(kept, tails(units), axis=0)
    cut = [p.name for i, p in enumerate(law.parameters) if _cut(p, values[p.name], low[i], high[i])]
    if cut:
        why = f"{why}; the interval of {', '.join(cut)} ends where the allowed range does".removeprefix("; ")
    estimates = {
        name: Estimate(value, float(low[i]), float(high[i])) for i, (name, value) in enumerate(values.items())
    }
    return Fit(law, status, objective, n, units, estimates, why, kept)
