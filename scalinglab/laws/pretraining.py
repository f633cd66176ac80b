"""Laws of the loss in nats a token, from N parameters, D training tokens and k samples."""

from __future__ import annotations

import numpy as np
from scipy import special

from scalinglab.laws.law import Floats, Inputs, Law, Parameter, power_sum

_DELTA = 1e-3
_LEAST = 1e-300  # of a parameter of Beta's that is 0 but for rounding
_EXPONENTS = (0.05, 0.25, 0.5, 1.0, 2.0)
_FLOOR = Parameter("E", 1e-6, 1e3, log=True)


def _weight(name: str) -> Parameter:
    return Parameter(name, 1e-9, 1e18, log=True)


def _exponent(name: str) -> Parameter:
    return Parameter(name, 0.0, 4.0, starts=_EXPONENTS)


_FORMULA, _DERIVATIVE = power_sum((("A", "alpha", "N"), ("B", "beta", "D")))
CHINCHILLA = Law(
    name="chinchilla",
    inputs=("N", "D"),
    outcome="loss",
    parameters=(_FLOOR, _weight("A"), _weight("B"), _exponent("alpha"), _exponent("beta")),
    formula=_FORMULA,
    derivative=_DERIVATIVE,
    text="E + A / N^alpha + B / D^beta",
    source="Hoffmann et al. 2022 (arXiv 2203.15556), approach 3; Besiroglu et al. 2024 (arXiv 2404.10102)",
    residual="log",
    delta=_DELTA,
)


def _shared(theta: Floats) -> Floats:
    """Chinchilla's parameters, of those of the law with one exponent."""
    return theta[:, [0, 1, 2, 3, 3]]


def _gadre(theta: Floats, inputs: Inputs) -> Floats:
    return _FORMULA(_shared(theta), inputs)


def _gadre_derivative(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
    value, slopes = _DERIVATIVE(_shared(theta), inputs)
    return value, np.concatenate([slopes[:, :3], slopes[:, 3:4] + slopes[:, 4:]], axis=1)


GADRE = Law(
    name="gadre",
    inputs=("N", "D"),
    outcome="loss",
    parameters=(_FLOOR, _weight("A"), _weight("B"), _exponent("alpha")),
    formula=_gadre,
    derivative=_gadre_derivative,
    text="E + A / N^alpha + B / D^alpha",
    source="Gadre et al. 2024 (arXiv 2403.08540), who write E + (a M^eta + b M^-eta) / C^eta, M = D / N, C = 6ND, "
    "eta = alpha / 2, a = A 6^eta, b = B 6^eta; least squares of the loss itself",
)

_T2_FORMULA, _T2_DERIVATIVE = power_sum((("A", "a", "N"), ("B", "b", "D"), ("G", "g", "k")))
T2 = Law(
    name="t2",
    inputs=("N", "D", "k"),
    outcome="accuracy",
    parameters=(_FLOOR, _weight("A"), _weight("B"), _weight("G"), _exponent("a"), _exponent("b"), _exponent("g")),
    formula=_T2_FORMULA,
    derivative=_T2_DERIVATIVE,
    text="-log pass@k = E + A / N^a + B / D^b + G / k^g",
    source="Roberts et al. 2026 (arXiv 2604.01411), T^2 scaling of the task loss",
    link="-log",
    residual="log",
    delta=_DELTA,
)


def _t2_beta(theta: Floats, inputs: Inputs) -> Floats:
    mean = np.exp(-_FORMULA(theta[:, :5], inputs))
    a, b = (np.maximum(share * theta[:, 5:], _LEAST) for share in (mean, 1 - mean))
    return np.asarray(-np.expm1(special.betaln(a, b + inputs["k"]) - special.betaln(a, b)))


def _t2_beta_derivative(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
    """By the loss through the mean of p at one nu, at which a + b stays; by nu at one mean."""
    loss, by_loss = _DERIVATIVE(theta[:, :5], inputs)
    mean, nu = np.exp(-loss), theta[:, 5:]
    missed = 1 - _t2_beta(theta, inputs)
    failed = np.maximum((1 - mean) * nu, _LEAST)
    by_b = special.psi(failed + inputs["k"]) - special.psi(failed)
    by_nu = (1 - mean) * by_b + special.psi(nu) - special.psi(nu + inputs["k"])
    slopes = -missed[:, None] * (by_b * nu * mean)[:, None] * by_loss
    return 1 - missed, np.concatenate([slopes, (-missed * by_nu)[:, None]], axis=1)


T2_BETA = Law(
    name="t2-beta",
    inputs=("N", "D", "k"),
    outcome="accuracy",
    parameters=(
        Parameter("E", 1e-6, 1e3, starts=(1e-3, 0.5), log=True),
        Parameter("A", 1e-9, 1e18, starts=(10.0, 1e4, 1e7), log=True),
        Parameter("B", 1e-9, 1e18, starts=(10.0, 1e4, 1e7), log=True),
        Parameter("alpha", 0.0, 4.0, starts=(0.2, 0.5, 1.0)),
        Parameter("beta", 0.0, 4.0, starts=(0.2, 0.5, 1.0)),
        Parameter("nu", 1e-3, 1e4, starts=(0.3, 3.0), log=True),
    ),
    formula=_t2_beta,
    derivative=_t2_beta_derivative,
    text="pass@k over p ~ Beta(m nu, (1 - m) nu), m = exp(-(E + A / N^alpha + B / D^beta))",
    source="after Roberts et al. 2026 (arXiv 2604.01411), whose Beta has moments driven by the loss; here one nu",
)


def _kaplan(theta: Floats, inputs: Inputs) -> Floats:
    critical_n, critical_d, alpha_n, alpha_d = (theta[:, i, None] for i in range(4))
    size = np.exp(alpha_n / alpha_d * np.log(critical_n / inputs["N"]))
    return np.asarray((size + critical_d / inputs["D"]) ** alpha_d)


def _kaplan_derivative(theta: Floats, inputs: Inputs) -> tuple[Floats, Floats]:
    critical_n, critical_d, alpha_n, alpha_d = (theta[:, i, None] for i in range(4))
    apart = np.log(critical_n / inputs["N"])
    ratio = alpha_n / alpha_d
    size = np.exp(ratio * apart)
    both = size + critical_d / inputs["D"]
    value = both**alpha_d
    outer = value / both  # the derivative of the power, but for alpha_D
    slopes = (
        alpha_d * outer * size * ratio / critical_n,
        alpha_d * outer / inputs["D"],
        outer * size * apart,
        value * np.log(both) - outer * size * apart * ratio,
    )
    return value, np.stack(slopes, axis=1)


KAPLAN = Law(
    name="kaplan",
    inputs=("N", "D"),
    outcome="loss",
    parameters=(
        Parameter("Nc", 1.0, 1e30, starts=(1e4, 1e7, 1e11, 1e14), log=True),
        Parameter("Dc", 1.0, 1e30, starts=(1e4, 1e7, 1e11, 1e14), log=True),
        Parameter("alpha_N", 1e-3, 4.0, starts=(0.07, 0.3, 1.0), log=True),
        Parameter("alpha_D", 1e-3, 4.0, starts=(0.1, 0.3, 1.0), log=True),
    ),
    formula=_kaplan,
    derivative=_kaplan_derivative,
    text="((Nc / N)^(alpha_N / alpha_D) + Dc / D)^alpha_D",
    source="Kaplan et al. 2020 (arXiv 2001.08361), equation 1.5; N without embeddings",
    residual="log",
    delta=_DELTA,
)
