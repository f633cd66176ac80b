"""Laws of the success probability p over problems: coverage is the mean of 1 - (1 - p)^k, fitted to counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from scalinglab.laws.law import Floats, Inputs, Ints, Law, Parameter

Cdf = Callable[[Floats, Floats], Floats]
CdfSlopes = Callable[[Floats, Floats], tuple[Floats, Floats]]
_LEAST = 1e-12
_RATIO = 0.1
_FLOOR = 1e-300  # of a likelihood that is 0 but for rounding
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


def _beta_scores(theta: Floats, n: Ints, c: Ints) -> tuple[Floats, Floats]:
    a, b = theta[:, :1], theta[:, 1:2]
    every = special.psi(a + b) - special.psi(a + b + n)
    by_a = special.psi(a + c) - special.psi(a) + every
    by_b = special.psi(b + n - c) - special.psi(b) + every
    return _beta_likelihood(theta, n, c), np.stack([by_a, by_b], axis=1)


BETA = Law(
    name="beta",
    inputs=("k",),
    outcome="accuracy",
    parameters=(_A, _B),
    formula=_beta_coverage,
    likelihood=_beta_likelihood,
    scores=_beta_scores,
    text="1 - B(a, b + k) / B(a, b): p ~ Beta(a, b)",
    source=_SOURCE,
)


@lru_cache(maxsize=32)
def _grid(finest: int) -> tuple[Floats, Floats]:
    """Cells of p in which binomials of so many trials are all but flat, as their edges from 0 to 1, and middles.

    They are even in log p, then in arcsin sqrt p.
    """
    width = 0.25 / np.sqrt(max(finest, 1000))  # half the standard deviation of a share's arcsin sqrt
    turn = min(2 * width / _RATIO, 0.5)  # where both spacings are the same
    upper = np.sin(np.linspace(turn, np.pi / 2, int((np.pi / 2 - turn) / width) + 2)) ** 2
    lower = np.geomspace(_LEAST, upper[0], 2 + int(np.log(upper[0] / _LEAST) / _RATIO))
    edges = np.concatenate([[0.0], lower[:-1], upper])
    middles = np.sqrt(edges[1:] * edges[:-1])
    middles[-1] = (edges[-1] + edges[-2]) / 2
    return edges, middles


@lru_cache(maxsize=8)
def _chances(n: bytes, c: bytes) -> Floats:
    """Binomial chances of c of n (int64) in each cell of p, (cells, problems): the same at every step of a fit."""
    trials, right = np.frombuffer(n, np.int64), np.frombuffer(c, np.int64)
    middles = _grid(int(trials.max()))[1][:, None]
    with np.errstate(divide="ignore"):
        logs = special.xlogy(right, middles) + special.xlog1py(trials - right, -middles)
    return np.asarray(np.exp(_choose(trials, right) + logs))


def _mixture(
    name: str, parameters: tuple[Parameter, ...], cdf: Cdf, text: str, slopes: CdfSlopes | None = None
) -> Law:
    """The law of a distribution of p that is given by its cumulative distribution, by quadrature over p.

    ``slopes`` gives that (S, edges) and its derivatives (S, P, edges) by the parameters.
    """

    def coverage(theta: Floats, inputs: Inputs) -> Floats:
        edges, middles = _grid(int(inputs["k"].max()))
        mass = np.diff(cdf(theta, edges), axis=1)
        return np.asarray(mass @ -np.expm1(inputs["k"] * np.log1p(-middles)[:, None]))

    def likelihood(theta: Floats, n: Ints, c: Ints) -> Floats:
        mass = np.diff(cdf(theta, _grid(int(n.max()))[0]), axis=1)
        return np.asarray(np.log(np.maximum(mass @ _chances(n.tobytes(), c.tobytes()), _FLOOR)))

    def scores(theta: Floats, n: Ints, c: Ints) -> tuple[Floats, Floats]:
        assert slopes is not None
        cumulated, by = slopes(theta, _grid(int(n.max()))[0])
        chances = _chances(n.tobytes(), c.tobytes())
        found = np.diff(cumulated, axis=1) @ chances
        known = found > _FLOOR
        found = np.where(known, found, _FLOOR)
        return np.log(found), np.where(known[:, None], np.diff(by, axis=2) @ chances, 0.0) / found[:, None]

    given = None if slopes is None else scores
    return Law(name, ("k",), "accuracy", parameters, coverage, text, _SOURCE, likelihood=likelihood, scores=given)


def _scaled_beta(theta: Floats, p: Floats) -> Floats:
    a, b, scale = (theta[:, i, None] for i in range(3))
    return np.asarray(special.betainc(a, b, np.minimum(p / scale, 1.0)))


def _kumaraswamy(theta: Floats, p: Floats) -> Floats:
    a, b = theta[:, :1], theta[:, 1:2]
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(b * np.log1p(-np.exp(a * np.log(p)))))


def _kumaraswamy_slopes(theta: Floats, p: Floats) -> tuple[Floats, Floats]:
    """For p from 0 to 1, at both of which the slopes are 0."""
    a, b, log_p = theta[:, :1], theta[:, 1:2], np.log(p[1:-1])
    power = np.exp(a * log_p)
    log_rest = np.log1p(-power)
    rest = np.exp(b * log_rest)
    cumulated, by = np.zeros((len(theta), len(p))), np.zeros((len(theta), 2, len(p)))
    cumulated[:, 1:-1], cumulated[:, -1] = 1 - rest, 1.0
    by[:, 0, 1:-1] = rest * b * power * log_p / (1 - power)
    by[:, 1, 1:-1] = -rest * log_rest
    return cumulated, by


SCALED_BETA = _mixture(
    "scaled-beta", (_A, _B, _SCALE), _scaled_beta, "mean of 1 - (1 - p)^k: p / scale ~ Beta(a, b)"
)
KUMARASWAMY = _mixture(
    "kumaraswamy",
    (_A, _B),
    _kumaraswamy,
    "mean of 1 - (1 - p)^k: P(p < x) = 1 - (1 - x^a)^b",
    _kumaraswamy_slopes,
)
