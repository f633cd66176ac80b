"""Accuracy against FLOPs per query for one model and selector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves.costs import QueryCost
from scalinglab.curves.intervals import DRAWS, interval
from scalinglab.curves.pools import Floats, Ints, Pool
from scalinglab.curves.selectors import accuracy
from scalinglab.flops import Convention


@dataclass(frozen=True)
class Curve:
    """Accuracy of one model and selector at budgets ``k``; ``accuracy`` has shape (problems, budgets).

    ``flops``: mean FLOPs per query at each budget under ``convention``; None where they cannot be priced.
    ``noise``: the variance of each accuracy that comes from subsampling votes (0: exact), (problems, budgets).
    """

    model: str
    selector: str
    convention: str
    problems: tuple[str, ...]
    k: Ints
    accuracy: Floats
    flops: Floats | None
    noise: Floats

    @property
    def sampling_error(self) -> Floats:
        """Standard error of the mean accuracy at each budget that comes from subsampling votes (0: exact)."""
        return np.asarray(np.sqrt(self.noise.sum(axis=0)) / len(self.noise))


def curve(
    pool: Pool,
    selector: str,
    k: Sequence[int],
    *,
    convention: Convention,
    cost: QueryCost | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Curve:
    """The curve of a pool under a selector at budgets ``k`` (see ``accuracy`` for the errors raised)."""
    values, noise = accuracy(pool, selector, k, draws=draws, seed=seed)
    budgets = np.asarray(k, dtype=np.int64)
    spent = None if cost is None else np.asarray(cost.at(budgets), dtype=np.float64)
    return Curve(pool.model, selector, convention.name, pool.problems, budgets, values, spent, noise)


def table(curve: Curve, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """One row a budget: accuracy over the problems with its 95 % interval, and FLOPs per query."""
    low, high = interval(curve.accuracy, draws=draws, seed=seed)
    return pd.DataFrame(
        {
            "model": curve.model,
            "selector": curve.selector,
            "k": curve.k,
            "accuracy": curve.accuracy.mean(axis=0),
            "low": low,
            "high": high,
            "flops_per_query": [None] * len(curve.k) if curve.flops is None else curve.flops,
            "convention": curve.convention,
            "problems": len(curve.problems),
            "sampling_error": curve.sampling_error,
        }
    )
