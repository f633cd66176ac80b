"""Laws of the success probability p over problems: coverage is the mean of 1 - (1 - p)^k, fitted to counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from scalinglab.laws.law import Floats, Inputs, Ints, Law, Parameter

Cdf = Callable[[Floats, Floats], Floats]
_LEAST = 1e-12
_RATIO = 0.1
_SOURCE = "Schaeffer et al. 2025 (arXiv 2502.17578)"
_A = Parameter("a", 1e-3, 1e3, starts=(0.2, 1.0), log=True)
_B = Parameter("b", 1e-3, 1e5, starts=(1.0, 10.0), log=True)
_SCALE = Parameter("scale", 1e-6, 1.0, starts=(0.2, 0.9), log=True)


def _choose(n: Ints, c: Ints) -> Floats:
    return np.asarray(-np.log1p(n) - special.betaln(n - c + 1, c + 1))


def _beta_coverage(theta: Floats, inputs: Inputs) -> Floats:
    a, b = theta[:, :1], theta[:, 1:2]
    return np.asarray(-np.expm1(special.betaln(a, b + inputs["k"]) - special.betaln(a, b)))


def _beta_likelihood(theta: Floats, n: Ints, c: Ints) -> Floats:
    a, b = theta[:, :1], theta[:, 1:2]
    return np.asarray(_choose(n, c) + special.betaln(a + c, b + n - c) - special.betaln(a, b))


BETA = Law(
    name="beta",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_A, _B),
    formula=_beta_coverage,
    likelihood=_beta_likelihood,
    text="1 - B(a, b + k) / B(a, b): p ~ Beta(a, b)",
    source=_SOURCE,
)


def _edges(finest: int) -> Floats:
    """Cells of p in which binomials of so many trials are all but flat: even in log p, then in arcsin sqrt p."""
    width = 0.25 / np.sqrt(max(finest, 1000))  # half the standard deviation of a share's arcsin sqrt
    turn = min(2 * width / _RATIO, 0.5)  # where both spacings are the same
    upper = np.sin(np.linspace(turn, np.pi / 2, int((np.pi / 2 - turn) / width) + 2)) ** 2
    lower = np.geomspace(_LEAST, upper[0], 2 + int(np.log(upper[0] / _LEAST) / _RATIO))
    return np.concatenate([[0.0], lower[:-1], upper])


def _cells(cdf: Cdf, theta: Floats, finest: int) -> tuple[Floats, Floats]:
    """The mass (S, cells) of each cell of p, and the cells' middles."""
    edges = _edges(finest)
    middles = np.sqrt(edges[1:] * edges[:-1])
    middles[-1] = (edges[-1] + edges[-2]) / 2
    return np.diff(cdf(theta, edges), axis=1), middles


def _mixture(name: str, parameters: tuple[Parameter, ...], cdf: Cdf, text: str) -> Law:
    """The law of a distribution of p that is given by its cumulative distribution, by quadrature over p."""

    def coverage(theta: Floats, inputs: Inputs) -> Floats:
        mass, middles = _cells(cdf, theta, int(inputs["k"].max()))
        return np.asarray(mass @ -np.expm1(inputs["k"] * np.log1p(-middles)[:, None]))

    def likelihood(theta: Floats, n: Ints, c: Ints) -> Floats:
        mass, middles = _cells(cdf, theta, int(n.max()))
        with np.errstate(divide="ignore"):
            logs = special.xlogy(c, middles[:, None]) + special.xlog1py(n - c, -middles[:, None])
        return np.asarray(np.log(np.maximum(mass @ np.exp(_choose(n, c) + logs), 1e-300)))

    return Law(name, ("k",), "accuracy", parameters, coverage, text, _SOURCE, likelihood=likelihood)


def _scaled_beta(theta: Floats, p: Floats) -> Floats:
    a, b, scale = (theta[:, i, None] for i in range(3))
    return np.asarray(special.betainc(a, b, np.minimum(p / scale, 1.0)))


def _kumaraswamy(theta: Floats, p: Floats) -> Floats:
    a, b = theta[:, :1], theta[:, 1:2]
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(b * np.log1p(-np.exp(a * np.log(p)))))


SCALED_BETA = _mixture(
    "scaled-beta", (_A, _B, _SCALE), _scaled_beta, "mean of 1 - (1 - p)^k: p / scale ~ Beta(a, b)"
)
KUMARASWAMY = _mixture("kumaraswamy", (_A, _B), _kumaraswamy, "mean of 1 - (1 - p)^k: P(p < x) = 1 - (1 - x^a)^b")
