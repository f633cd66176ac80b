"""A fitted surface of accuracy over size, tokens and samples: its local exchange rate, and iso-accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Pool, coverage_pools, pass_at_k, tails
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.fits import Fit, Points, fit
from scalinglab.laws.law import Law, Parameter, power_sum
from scalinglab.specs import ModelSpec

FITTED, CHEAPER = "fitted", "fewer parameters cost less both ways"
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


def fit_surface(
    pools: Mapping[str, Pool],
    specs: Mapping[str, ModelSpec],
    k: Sequence[int],
    *,
    bootstrap: int = 300,
    seed: int = 0,
) -> Fit:
    """The surface fitted to the coverage of every model at every k, resampled by problem; see ``Fit.status``.

    Raises DataError for models of different problems, or without training tokens.
    """
    names = sorted(pools)
    if len({pools[name].problems for name in names}) != 1:
        raise DataError("models of different problems", "the same problems", "keep those that all answered")
    sizes = np.array([float(specs[name].total) for name in names])
    tokens = np.array([float(specs[name].training_tokens or 0) for name in names])
    if not tokens.all():
        raise DataError("a model without training tokens", "specs with training tokens", "give them")
    values = [pass_at_k(pools[n].n[:, None], pools[n].correct[:, None], np.asarray(k)) for n in names]
    inputs = {
        "N": np.repeat(sizes, len(k)),
        "D": np.repeat(tokens, len(k)),
        "k": np.tile(np.asarray(k, dtype=float), len(names)),
    }
    law = surface_law(tokens=len(set(tokens.tolist())) > 1)
    points = Points({name: inputs[name] for name in law.inputs}, np.column_stack(values))
    return fit(law, points, bootstrap=bootstrap, seed=seed)


def local_rates(found: Fit, sizes: Mapping[str, float], k: Sequence[float]) -> pd.DataFrame:
    """One row a model and k: ``-dlog C_pre / dlog C_inf`` along equal accuracy at fixed training tokens.

    With C_pre ~ N and C_inf ~ N k this is x_k / (x_N - x_k), x the slopes of accuracy in log N and log k: a rate
    of 2 means that 1 % more inference replaces 2 % of pretraining. Where more samples are worth more than more
    parameters, fewer parameters cost less both ways and there is no rate. 95 % bootstrap intervals over problems.
    Raises FitError where the fit failed.
    """
    names, theta = found.law.names, np.array([[found[name] for name in found.law.names]])
    draws = theta[:0] if found.draws is None else found.draws[:, : len(names)]
    every = dict(zip(names, np.vstack([theta, draws]).T, strict=True))
    rows = []
    for model, size in sizes.items():
        for budget in k:
            grown = every["a"] * every["A"] / size ** every["a"]
            sampled = every["g"] * every["G"] / float(budget) ** every["g"]
            rows.append({"model": model, "k": float(budget), **_rate(grown, sampled, found.units)})
    return pd.DataFrame(rows).astype(dict.fromkeys(("rate", "low", "high"), float))


def iso_accuracy(
    found: Fit, sizes: Mapping[str, float], accuracy: Sequence[float], k: Sequence[int]
) -> pd.DataFrame:
    """The k at which each model reaches an accuracy by the surface; missing where it never does.

    status: fitted within the k that were measured, extrapolated beyond. Of surfaces without training tokens.
    """
    rows = []
    for wanted in accuracy:
        for model, size in sizes.items():
            spare = -np.log(wanted) - found["E"] - found["A"] / size ** found["a"]
            at = (found["G"] / spare) ** (1 / found["g"]) if spare > 0 else None
            inside = at is not None and min(k) <= at <= max(k)
            status = "not reached" if at is None else FITTED if inside else "extrapolated"
            rows.append({"accuracy": wanted, "model": model, "k": at, "status": status})
    return pd.DataFrame(rows).astype({"k": float})


def surface_of(
    evidence: Evidence, k: Sequence[int], *, seed: int = 0
) -> tuple[Fit, pd.DataFrame, pd.DataFrame, list[str]]:
    """The surface of every model that has a spec: fit, local rates and iso-accuracy map, and notes."""
    specs, notes, every = {}, [], coverage_pools(evidence)
    for name in every:
        try:
            specs[name] = evidence.spec(name)
        except SpecError as error:
            notes.append(f"{name} left out: {error}")
    pools = {name: every[name] for name in specs}
    found, sizes = fit_surface(pools, specs, k, seed=seed), {name: float(s.total) for name, s in specs.items()}
    notes.append(f"{found.law.text}: {found.status} ({found.why}); N counts all parameters; coverage, by problem")
    sizes = dict(sorted(sizes.items(), key=lambda item: item[1]))
    return found, local_rates(found, sizes, k), iso_accuracy(found, sizes, (0.05, 0.1, 0.2, 0.4), k), notes


def _rate(grown: Floats, sampled: Floats, problems: int) -> dict[str, float | str | None]:
    spare = grown - sampled
    rates = np.divide(sampled, spare, out=np.full(len(spare), np.inf), where=spare > 0)
    row: dict[str, float | str | None] = {"rate": None, "low": None, "high": None, "status": CHEAPER}
    if np.isfinite(rates[0]):
        row |= {"rate": float(rates[0]), "status": FITTED}
    if len(rates) > 1:
        low, high = np.quantile(rates[1:], tails(problems), method="nearest")
        row |= {
            "low": float(low) if np.isfinite(low) else None,
            "high": float(high) if np.isfinite(high) else None,
        }
    return row
