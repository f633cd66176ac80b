"""Effective size: by what factor pretraining would have to grow for one sample to do what k samples do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Floats, Pool, accuracy, coverage_pools, first_reach, resampled, tails
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.exchange.lifetime import training_of
from scalinglab.exchange.paired import FEWEST_PROBLEMS
from scalinglab.flops import Convention

WITHIN, BEYOND = "measured", "beyond the largest size"
_FEWEST_SIZES = 3


def effective_sizes(
    pools: Mapping[str, Pool],
    training: Mapping[str, float],
    *,
    k: Sequence[int],
    convention: str,
    selector: str = "coverage",
    seed: int = 0,
) -> pd.DataFrame:
    """One row a model and budget: the factor of pretraining FLOPs that buys one sample the accuracy of k samples.

    The accuracy of one sample is linear in training FLOPs between the models; the factor leads to the first
    size above the model's own that reaches what its k samples do. Beyond the largest there is none.
    factor_low, factor_high: 95 % bootstrap over problems, cut at the largest model (missing: of too few problems).
    Raises DataError for fewer than three models, or models of different problems.
    """
    names = sorted(pools, key=lambda name: training[name])
    if len(names) < _FEWEST_SIZES:
        raise DataError(f"{len(names)} models with known training", f"{_FEWEST_SIZES} sizes or more", "add models")
    if len({pools[name].problems for name in names}) != 1:
        raise DataError("models of different problems", "the same problems, so that they are paired", "keep those")
    columns = [accuracy(pools[name], selector, [1, *k], seed=seed)[0] for name in names]
    means = _draws(np.column_stack(columns), seed).reshape(-1, len(names), len(k) + 1)
    spent, problems = np.array([training[name] for name in names]), len(columns[0])
    rows = [
        {"model": name, "k": int(budget), "selector": selector}
        | _grown(means[:, :, 0], means[:, i, j + 1], spent, i, problems)
        | {"convention": convention, "problems": problems}
        for i, name in enumerate(names)
        for j, budget in enumerate(k)
    ]
    numbers = ("accuracy", "low", "high", "factor", "factor_low", "factor_high")
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, float))


def sizes_of(
    evidence: Evidence, *, k: Sequence[int], rule: Convention, selector: str = "coverage", seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """``effective_sizes`` of every model whose training can be priced, and notes on the others."""
    training: dict[str, float] = {}
    notes = ["pretraining grows along the recorded models: parameters and tokens as theirs do"]
    pools = coverage_pools(evidence)
    for name in pools:
        try:
            training[name] = training_of(evidence.spec(name), rule)
        except SpecError as error:
            notes.append(f"{name} left out: {error}")
    priced = {name: pools[name] for name in training}
    return effective_sizes(priced, training, k=k, convention=rule.name, selector=selector, seed=seed), notes


def _draws(values: Floats, seed: int) -> Floats:
    """Means over the problems, then over each resample of them."""
    more = resampled(values, DRAWS, seed) if len(values) >= FEWEST_PROBLEMS else values[:0]
    return np.vstack([values.mean(axis=0), more])


def _grown(once: Floats, target: Floats, spent: Floats, own: int, problems: int) -> dict[str, Any]:
    costs = np.broadcast_to(spent, once.shape)
    at = first_reach(costs, once, target, np.full(len(once), spent[own]))
    factors = np.where(at == 0, 1.0, at / spent[own])
    found: dict[str, Any] = {"accuracy": float(target[0]), "low": None, "high": None}
    found |= {"factor": None, "factor_low": None, "factor_high": None}
    found["status"] = WITHIN if np.isfinite(factors[0]) else BEYOND
    if np.isfinite(factors[0]):
        found["factor"] = float(factors[0])
    if len(factors) > 1:
        found["low"], found["high"] = np.quantile(target[1:], tails(problems)).tolist()
        ends = np.quantile(factors[1:], tails(problems), method="nearest").clip(1, spent[-1] / spent[own])
        found["factor_low"], found["factor_high"] = ends.tolist()
    return found
