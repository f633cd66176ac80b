"""Laws of accuracy and coverage in 0..1, from k samples a problem or C training FLOPs."""

from __future__ import annotations

import numpy as np

from scalinglab.laws.law import Floats, Inputs, Law, Parameter, power_sum

_RATES = (0.05, 0.2, 0.5, 1.0, 2.0)
_WEIGHT = Parameter("a", 1e-9, 1e9, log=True)
_FORMULA, _DERIVATIVE = power_sum((("a", "b", "k"),), floor=False)
COVERAGE = Law(
    name="coverage",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_WEIGHT, Parameter("b", -2.0, 4.0, starts=_RATES)),
    formula=_FORMULA,
    derivative=_DERIVATIVE,
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


def _saturating(theta: Floats, inputs: Inputs) -> Floats:
    return np.asarray(theta[:, :1] - theta[:, 1:2] * np.exp(-theta[:, 2:3] * np.log(inputs["k"])))


_CEILING = Parameter("E", -1.0, 2.0)
_SPAN = Parameter("A", -2.0, 2.0)
SATURATING = Law(
    name="saturating",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_CEILING, _SPAN, Parameter("b", 0.01, 5.0, starts=(*_RATES, 4.0))),
    formula=_saturating,
    text="E - A k^-b",
    source="a power law that ends at E, for imperfect verifiers; A < 0 falls",
)


def _logistic(theta: Floats, inputs: Inputs) -> Floats:
    rise = theta[:, 3:4] * (np.log(inputs["k"]) - np.log(theta[:, 2:3]))
    return np.asarray(theta[:, :1] - theta[:, 1:2] / (1 + np.exp(np.clip(rise, -500, 500))))


LOG_LOGISTIC = Law(
    name="log-logistic",
    inputs=("k",),
    outcome="accuracy",
    parameters=(
        _CEILING,
        _SPAN,
        Parameter("k0", 1e-3, 1e6, starts=(0.5, 4.0, 32.0, 256.0), log=True),
        Parameter("s", 0.05, 10.0, starts=(0.5, 1.0, 2.0), log=True),
    ),
    formula=_logistic,
    text="E - A / (1 + (k / k0)^s)",
    source="a logistic of log k, for imperfect verifiers; A < 0 falls",
)


def _drifting(theta: Floats, inputs: Inputs) -> Floats:
    return np.asarray(_saturating(theta[:, [0, 1, 3]], inputs) + theta[:, 2:3] * np.log2(inputs["k"]))


DRIFTING = Law(
    name="drifting",
    inputs=("k",),
    outcome="accuracy",
    parameters=(
        _CEILING,
        _SPAN,
        Parameter("S", -1.0, 1.0),
        Parameter("b", 0.05, 5.0, starts=(0.2, 0.5, 1.0, 2.0, 4.0)),
    ),
    formula=_drifting,
    text="E - A k^-b + S log2 k",
    source="a saturating rise and a drift of S a doubling: it may rise, then fall, as weak verifiers do",
)
