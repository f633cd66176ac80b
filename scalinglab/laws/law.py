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
Formula = Callable[[Floats, Inputs], Floats]
Derivative = Callable[[Floats, Inputs], tuple[Floats, Floats]]
Likelihood = Callable[[Floats, Ints, Ints], Floats]
Scores = Callable[[Floats, Ints, Ints], tuple[Floats, Floats]]
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

    ``derivative`` gives the predictions and their slopes (S, P, n); central differences serve without it. What is
    fitted is y itself (``link`` "identity") or -log y ("-log"), and residuals are of it (``residual`` "plain") or
    of its logarithm. ``delta`` is where the Huber loss of a residual turns from quadratic to linear; infinite
    means least squares. A law with a ``likelihood``, log probabilities (S, problems) of c right ones of n samples,
    is fitted to counts; ``scores`` gives these and their slopes (S, P, problems), as ``derivative`` does.
    """

    name: str
    inputs: tuple[str, ...]
    outcome: str
    parameters: tuple[Parameter, ...]
    formula: Formula
    text: str
    source: str
    link: Literal["identity", "-log"] = "identity"
    residual: Literal["plain", "log"] = "plain"
    delta: float = np.inf
    derivative: Derivative | None = None
    likelihood: Likelihood | None = None
    scores: Scores | None = None

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
        """Outcomes, from what is fitted; an accuracy goes no further than 0 and 1."""
        if self.link == "-log":
            return np.asarray(np.exp(-fitted))
        return np.clip(fitted, 0.0, 1.0) if self.outcome == "accuracy" else fitted

    def differentiate(self, theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
        """The formula's values (S, n) and its derivatives (S, P, n) by the parameters."""
        if self.derivative is not None:
            return self.derivative(theta, inputs)
        return self.formula(theta, inputs), _slopes(lambda at: self.formula(at, inputs), theta)

    def score(self, theta: Floats, n: Ints, correct: Ints) -> tuple[Floats, Floats]:
        """The log likelihoods of counts (S, problems) and their derivatives (S, P, problems) by the parameters."""
        if self.scores is not None:
            return self.scores(theta, n, correct)
        likelihood = self.likelihood
        assert likelihood is not None
        return likelihood(theta, n, correct), _slopes(lambda at: likelihood(at, n, correct), theta)


def _slopes(function: Callable[[Floats], Floats], theta: Floats) -> Floats:
    """Central differences (S, P, n) of a function of the parameters (S, P)."""
    slopes = []
    for i in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[:, i] = _STEP * np.maximum(np.abs(theta[:, i]), 1e-3)
        slopes.append((function(theta + step) - function(theta - step)) / (2 * step[:, i : i + 1]))
    return np.stack(slopes, axis=1)


def power_sum(terms: tuple[tuple[str, str, str], ...], floor: bool = True) -> tuple[Formula, Derivative]:
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
