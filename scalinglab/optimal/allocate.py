"""Samples shared out between questions by what one more is expected to gain (Damani et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Ints, Pool, QueryCost, accuracy, interval
from scalinglab.errors import DataError


@dataclass(frozen=True)
class Allocation:
    """Samples shared out between questions, against as many for each, under equal totals.

    given: samples of each problem at each mean budget; adaptive, uniform: its accuracy so and with the mean for
    all; (problems, budgets). table: one row a budget, with the difference and its paired 95 % interval.
    """

    selector: str
    convention: str
    budgets: Ints
    given: Ints
    adaptive: Floats
    uniform: Floats
    table: pd.DataFrame


def marginal_gains(success: Floats, most: int) -> Floats:
    """What the k-th sample adds to the chance that one is right, p (1 - p)^(k - 1), (problems, most).

    Non-increasing in k (Damani et al. 2024, arXiv 2410.04707, binary rewards). Raises DataError outside [0, 1].
    """
    p = np.asarray(success, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("a chance of success outside 0 to 1", "one a problem, from 0 to 1", "mend the predictions")
    return np.asarray(p[:, None] * (1 - p[:, None]) ** np.arange(most))


def allocate(gains: Floats, total: int, *, least: int = 1) -> Ints:
    """Samples a problem, ``total`` in all, that have the largest sum of gains; (problems,).

    gains: of each further sample, (problems, most), non-increasing along a row, so that taking the best sample
    left, one at a time, is exact. Every problem has ``least``; ties go to the fewer samples, then to the problem
    named first. Raises DataError for gains that rise, or a total that cannot be shared out.
    """
    problems, most = gains.shape
    if (np.diff(gains, axis=1) > 1e-12).any():
        raise DataError("gains that rise with samples", "each sample gains at most the last", "smooth the curve")
    if not least * problems <= total <= most * problems:
        raise DataError(
            f"{total} samples for {problems} problems",
            f"{least * problems} to {most * problems}: {least} to {most} each",
            "change the budget",
        )
    rest = gains[:, least:]
    order = np.lexsort((np.indices(rest.shape)[1].ravel(), -rest.ravel().round(12)))
    taken = order[: total - least * problems] // max(1, rest.shape[1])
    return np.asarray(least + np.bincount(taken, minlength=problems), dtype=np.int64)


def shrunk(ease: Floats, samples: int) -> Floats:
    """Chances of success from shares of ``samples``, drawn half a sample to 1/2, so that none is 0 or 1."""
    return np.asarray((samples * ease + 0.5) / (samples + 1))


def allocation(
    pool: Pool,
    success: Floats,
    *,
    selector: str,
    convention: str,
    cost: QueryCost,
    budgets: Sequence[int] | None = None,
    seed: int = 0,
) -> Allocation:
    """Score on ``pool`` what predicted chances of ``success`` would allocate, at each mean samples a problem.

    The predictions must come from other samples than the pool's, such as ``Bins.ease`` (see ``shrunk``). Budgets
    default to the powers of two within the pool; no problem is given more samples than it has, or none.
    FLOPs are the mean query's, at equal cost of every sample. Raises DataError for another number of problems.
    """
    most = int(pool.n.min())
    if len(success) != len(pool.n):
        raise DataError(
            f"{len(success)} predictions for {len(pool.n)} problems", "one a problem", "predict for each"
        )
    asked = np.asarray(budgets or [2**i for i in range(most.bit_length())], dtype=np.int64)
    gains = marginal_gains(success, most)
    given = np.column_stack([allocate(gains, int(b) * len(pool.n)) for b in asked])
    needed, at = np.unique(np.concatenate([given.ravel(), asked]), return_inverse=True)
    curve, _ = accuracy(pool, selector, needed.tolist(), seed=seed)
    adaptive = np.take_along_axis(curve, at[: given.size].reshape(given.shape), axis=1)
    uniform = curve[:, at[given.size :]]
    low, high = interval(adaptive - uniform, seed=seed)
    table = pd.DataFrame(
        {
            "budget": asked,
            "adaptive": adaptive.mean(axis=0),
            "uniform": uniform.mean(axis=0),
            "difference": (adaptive - uniform).mean(axis=0),
            "low": low,
            "high": high,
            "flops": cost.at(asked.astype(np.float64)),
            "convention": convention,
            "problems": len(pool.n),
        }
    )
    return Allocation(selector, convention, asked, given, adaptive, uniform, table)
