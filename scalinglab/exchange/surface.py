"""A fitted surface of accuracy over size, tokens and samples, and the exchange rate that it gives at a point."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalinglab.curves import tails
from scalinglab.errors import DataError
from scalinglab.fits import Answered, Fit, Points, fit
from scalinglab.laws.law import Law, Parameter, power_sum

_RATES = (0.05, 0.25, 0.5, 1.0)


def surface_law(*, tokens: bool) -> Law:
    """``-log accuracy = E + A / N^a + G / k^g``, and ``+ B / D^b`` with ``tokens``.

    T^2 scaling (Roberts et al. 2026, arXiv 2604.01411), of the mean accuracy. Where all models saw the same
    tokens, B and b cannot be told from E.
    """
    terms = [("A", "a", "N"), *([("B", "b", "D")] if tokens else []), ("G", "g", "k")]
    formula, derivative = power_sum(tuple(terms))
    weights = [Parameter(weight, 1e-9, 1e18, log=True) for weight, _, _ in terms]
    exponents = [Parameter(exponent, 0.0, 4.0, starts=_RATES) for _, exponent, _ in terms]
    return Law(
        name="surface",
        inputs=tuple(name for _, _, name in terms),
        outcome="accuracy",
        parameters=(Parameter("E", 1e-6, 1e3, log=True), *weights, *exponents),
        formula=formula,
        derivative=derivative,
        text=" + ".join(["-log accuracy = E", *(f"{w} / {x}^{e}" for w, e, x in terms)]),
        source="Roberts et al. 2026 (arXiv 2604.01411)",
        link="-log",
        residual="log",
    )


def fit_surface(cells: Answered, tokens: Mapping[str, float], *, bootstrap: int = 300, seed: int = 0) -> Fit:
    """The surface fitted to the cells of one strategy, resampled by problem; see ``Fit.status``.

    tokens: D of each model. Raises DataError where one is missing, or no answer of a cell was right.
    """
    lacking = sorted(set(cells.table["model"]) - set(tokens))
    if lacking:
        raise DataError(f"{lacking[0]} without training tokens", "specs with training tokens", "give them")
    if not np.nanmean(cells.right, axis=0).all():
        raise DataError("a model and budget with no right answer", "some of each", "leave it out")
    columns = {
        "N": 2.0 ** cells.table["size"],
        "D": cells.table["model"].map(tokens),
        "k": 2.0 ** cells.table["budget"],
    }
    law = surface_law(tokens=columns["D"].nunique() > 1)
    points = Points({name: columns[name].to_numpy(np.float64) for name in law.inputs}, cells.right)
    return fit(law, points, bootstrap=bootstrap, seed=seed)


def surface_rate(found: Fit, size: float, budget: float) -> tuple[float, float | None, float | None]:
    """How many doublings of k one doubling of N is worth at a size and a budget, and its 95 % bootstrap interval.

    The ratio of the slopes of accuracy in log N and log k, training tokens fixed. Raises FitError where the fit
    failed.
    """
    names, theta = found.law.names, np.array([[found[name] for name in found.law.names]])
    draws = theta[:0] if found.draws is None else found.draws[:, : len(names)]
    every = dict(zip(names, np.vstack([theta, draws]).T, strict=True))
    grown = every["a"] * every["A"] / size ** every["a"]
    sampled = every["g"] * every["G"] / budget ** every["g"]
    rates = np.divide(grown, sampled, out=np.full(len(grown), np.inf), where=sampled > 0)
    if len(rates) == 1:
        return float(rates[0]), None, None
    low, high = np.quantile(rates[1:], tails(found.units), method="nearest")
    return float(rates[0]), float(low), float(high)
