"""Laws of accuracy and coverage in 0..1, from k samples a problem or C training FLOPs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalinglab.laws.law import Derivative, Floats, Formula, Inputs, Law, Parameter, power_sum

_RATES = (0.05, 0.2, 0.5, 1.0, 2.0)
_WEIGHT = Parameter("a", 1e-9, 1e9, log=True)
_COVERED, _COVERED_DERIVATIVE = power_sum((("a", "b", "k"),), floor=False)
COVERAGE = Law(
    name="coverage",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_WEIGHT, Parameter("b", -2.0, 4.0, starts=_RATES)),
    formula=_COVERED,
    derivative=_COVERED_DERIVATIVE,
    text="exp(-a k^-b)",
    source="Brown et al. 2024 (arXiv 2407.21787), section 3.1, which writes exp(a k^b): theirs are -a, -b here; "
    "least squares of log(-log coverage), as Schaeffer et al. 2025 (arXiv 2502.17578)",
    link="-log",
    residual="log",
)

_COMPUTE, _COMPUTE_DERIVATIVE = power_sum((("C0", "alpha", "C"),))
COMPUTE_COVERAGE = Law(
    name="compute-coverage",
    inputs=("C",),
    outcome="accuracy",
    parameters=(
        Parameter("E0", 1e-6, 1e3, log=True),
        Parameter("C0", 1e-9, 1e30, log=True),
        Parameter("alpha", 0.0, 4.0, starts=_RATES),
    ),
    formula=_COMPUTE,
    derivative=_COMPUTE_DERIVATIVE,
    text="-log pass@k = E0 + C0 / C^alpha, at one k",
    source="Schaeffer, Levi et al. 2025 (arXiv 2509.24012)",
    link="-log",
    residual="log",
)


Decay = Callable[[Floats, Floats], tuple[Floats, tuple[Floats, ...]]]
"""What is left of the way from F to E at log k: 1 at k = 1, then down to 0; by the parameters after E and F."""
_CEILING = Parameter("E", 0.0, 1.0)
_FIRST = Parameter("F", 0.0, 1.0)


def _between(decay: Decay) -> tuple[Formula, Derivative]:
    """Formula and derivatives of E - (E - F) decay: from F at k = 1 to E, and so never outside 0..1."""

    def formula(theta: Floats, inputs: Inputs) -> Floats:
        left, _ = decay(theta[:, 2:], np.log(inputs["k"]))
        return np.asarray(theta[:, :1] - (theta[:, :1] - theta[:, 1:2]) * left)

    def derivative(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
        left, slopes = decay(theta[:, 2:], np.log(inputs["k"]))
        way = theta[:, :1] - theta[:, 1:2]
        return theta[:, :1] - way * left, np.stack([1 - left, left, *(-way * slope for slope in slopes)], axis=1)

    return formula, derivative


def _power(theta: Floats, log_k: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    left = np.exp(-theta * log_k)
    return left, (-log_k * left,)


def _logistic(theta: Floats, log_k: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    """(1 + q) / (k^s + q) with q = k0^s, written so that a large k^s does not overflow."""
    middle, steepness = theta[:, :1], theta[:, 1:2]
    q, fall = np.exp(steepness * np.log(middle)), np.exp(-steepness * log_k)
    share = 1 / (1 + q * fall)
    left = (1 + q) * fall * share
    by_q = (1 - left) * fall * share
    return left, (by_q * q * steepness / middle, by_q * q * np.log(middle) - left * share * log_k)


_POWER, _POWER_DERIVATIVE = _between(_power)
SATURATING = Law(
    name="saturating",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_CEILING, _FIRST, Parameter("b", 0.01, 5.0, starts=(*_RATES, 4.0))),
    formula=_POWER,
    derivative=_POWER_DERIVATIVE,
    text="E - (E - F) k^-b",
    source="a power law from F at k = 1 that ends at E, for imperfect verifiers; E < F falls",
)

_LOGISTIC, _LOGISTIC_DERIVATIVE = _between(_logistic)
LOG_LOGISTIC = Law(
    name="log-logistic",
    inputs=("k",),
    outcome="accuracy",
    parameters=(
        _CEILING,
        _FIRST,
        Parameter("k0", 1e-3, 1e6, starts=(0.5, 4.0, 32.0, 256.0), log=True),
        Parameter("s", 0.05, 10.0, starts=(0.5, 1.0, 2.0), log=True),
    ),
    formula=_LOGISTIC,
    derivative=_LOGISTIC_DERIVATIVE,
    text="E - (E - F) (1 + k0^s) / (k^s + k0^s)",
    source="a logistic of log k from F at k = 1 to E, for imperfect verifiers; E < F falls",
)


def _drifting(theta: Floats, inputs: Inputs) -> Floats:
    return _drifting_slopes(theta, inputs)[0]


def _drifting_slopes(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
    log_k, span = np.log(inputs["k"]), theta[:, 1:2]
    left, (slope,) = _power(theta[:, 3:], log_k)
    doublings = np.broadcast_to(log_k / np.log(2), left.shape)
    value = theta[:, :1] - span * left + theta[:, 2:3] * doublings
    return value, np.stack([np.ones_like(left), -left, doublings, -span * slope], axis=1)


DRIFTING = Law(
    name="drifting",
    inputs=("k",),
    outcome="accuracy",
    parameters=(
        Parameter("E", -1.0, 2.0),
        Parameter("A", -2.0, 2.0),
        Parameter("S", -1.0, 1.0),
        Parameter("b", 0.05, 5.0, starts=(0.2, 0.5, 1.0, 2.0, 4.0)),
    ),
    formula=_drifting,
    derivative=_drifting_slopes,
    text="E - A k^-b + S log2 k, within 0..1",
    source="a saturating rise and a drift of S a doubling: it may rise, then fall, as weak verifiers do",
)
