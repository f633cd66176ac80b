"""What a law is: a formula whose parameters have names, bounds and starting points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scalinglab.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Inputs = Mapping[str, Floats]
_STEP = 1e-6  # of the central differences, relative


@dataclass(frozen=True)
class Parameter:
    """One number of a law. Without starts the law is linear in it: it is solved, not searched.

    A parameter on a log scale is positive, and is searched by its logarithm.
    """

    name: str
    low: float
    high: float
    starts: tuple[float, ...] = ()
    log: bool = False

    @property
    def linear(self) -> bool:
        return not self.starts


@dataclass(frozen=True)
class Law:
    """``formula(theta, inputs)``: theta of shape (S, P), inputs by name of shape (n,), predictions (S, n).

    ``derivative`` gives (S, P, n); central differences serve without it. What is fitted is y itself
    (``link`` "identity") or -log y ("-log"), and residuals are of it (``residual`` "plain") or of its logarithm.
    ``delta`` is where the Huber loss of a residual turns from quadratic to linear; infinite means least squares.
    A law with a ``likelihood``, log probabilities (S, problems) of c right ones of n samples, is fitted to counts.
    """

    name: str
    inputs: tuple[str, ...]
    outcome: str
    parameters: tuple[Parameter, ...]
    formula: Callable[[Floats, Inputs], Floats]
    text: str
    source: str
    link: Literal["identity", "-log"] = "identity"
    residual: Literal["plain", "log"] = "plain"
    delta: float = np.inf
    derivative: Callable[[Floats, Inputs], tuple[Floats, Floats]] | None = None
    likelihood: Callable[[Floats, Ints, Ints], Floats] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def predict(self, values: Mapping[str, float], inputs: Mapping[str, npt.ArrayLike]) -> Floats:
        """The outcome (in its own unit: nats, or accuracy in 0..1) at inputs (n,), for parameters by name.

        Raises DataError for a parameter or an input that is missing.
        """
        missing = [name for name in self.names if name not in values] + [
            name for name in self.inputs if name not in inputs
        ]
        if missing:
            raise DataError(
                f"law {self.name} without {', '.join(missing)}",
                f"parameters {', '.join(self.names)} and inputs {', '.join(self.inputs)}",
                "give them all",
            )
        at = {name: np.atleast_1d(np.asarray(inputs[name], dtype=float)) for name in self.inputs}
        theta = np.array([[values[name] for name in self.names]])
        return self.unlinked(self.formula(theta, at)[0])

    def linked(self, outcome: Floats) -> Floats:
        """What is fitted, from outcomes."""
        return outcome if self.link == "identity" else np.asarray(-np.log(outcome))

    def unlinked(self, fitted: Floats) -> Floats:
        """Outcomes, from what is fitted."""
        return fitted if self.link == "identity" else np.asarray(np.exp(-fitted))

    def differentiate(self, theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
        """The formula's values (S, n) and its derivatives (S, P, n) by the parameters."""
        if self.derivative is not None:
            return self.derivative(theta, inputs)
        slopes = []
        for i in range(len(self.parameters)):
            step = np.zeros_like(theta)
            step[:, i] = _STEP * np.maximum(np.abs(theta[:, i]), 1e-3)
            ends = self.formula(theta + step, inputs) - self.formula(theta - step, inputs)
            slopes.append(ends / (2 * step[:, i : i + 1]))
        return self.formula(theta, inputs), np.stack(slopes, axis=1)


def power_sum(
    terms: tuple[tuple[str, str, str], ...], floor: bool = True
) -> tuple[Callable[[Floats, Inputs], Floats], Callable[[Floats, Inputs], tuple[Floats, Floats]]]:
    """Formula and derivatives of floor + sum of a / x^b over terms (a, b, x); theta holds floor, all a, all b."""
    first, width = int(floor), len(terms)

    def parts(theta: Floats, inputs: Inputs) -> list[Floats]:
        columns = enumerate(terms)
        return [np.exp(-theta[:, first + width + i, None] * np.log(inputs[x])) for i, (_, _, x) in columns]

    def formula(theta: Floats, inputs: Inputs) -> Floats:
        total = sum(theta[:, first + i, None] * part for i, part in enumerate(parts(theta, inputs)))
        return np.asarray(total + (theta[:, :1] if floor else 0.0))

    def derivative(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
        powers = parts(theta, inputs)
        slopes = np.empty((len(theta), theta.shape[1], powers[0].shape[1]))
        total = np.repeat(theta[:, :1], powers[0].shape[1], axis=1) if floor else np.zeros_like(powers[0])
        if floor:
            slopes[:, 0] = 1.0
        for i, ((_, _, x), power) in enumerate(zip(terms, powers, strict=True)):
            slopes[:, first + i] = power
            term = theta[:, first + i, None] * power
            slopes[:, first + width + i] = term * -np.log(inputs[x])
            total += term
        return total, slopes

    return formula, derivative
