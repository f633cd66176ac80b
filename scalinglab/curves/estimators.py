"""Closed forms at every budget k <= n: pass@k, and the best-scored of k samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from scalinglab import flops
from scalinglab.curves.pools import Floats, Ints
from scalinglab.errors import DataError


def pass_at_k(n: Any, correct: Any, k: Any) -> Floats:
    """1 - C(n - c, k) / C(n, k), the unbiased estimate of Chen et al. 2021 (arXiv 2107.03374), eq. 1.

    Broadcasts. Exact to about 1e-13 relative for n to 1e6: the ratio is a product of 1 - k / (n - i), i < c,
    summed in logarithms, so that no large log-gammas cancel.
    """
    given = {"n": n, "c": correct, "k": k}
    n, correct, k = np.broadcast_arrays(*(np.asarray(flops.whole(a, name)) for name, a in given.items()))
    if ((correct < 0) | (correct > n) | (k < 1) | (k > n)).any():
        raise DataError("pass@k of counts out of range", "0 <= c <= n and 1 <= k <= n", "mend n, c or k")
    result = np.empty(n.shape)
    for size, budget in {*zip(n.ravel().tolist(), k.ravel().tolist(), strict=True)}:
        here = (n == size) & (k == budget)
        failing = np.minimum(correct[here], size - budget)
        steps = np.log1p(-budget / (size - np.arange(failing.max(), dtype=np.float64)))
        log_miss = np.concatenate([[0.0], np.cumsum(steps)])[failing]
        result[here] = np.where(correct[here] > size - budget, 1.0, -np.expm1(log_miss))
    return result


def best_of_k(right: npt.NDArray[Any], scores: Floats, k: Ints) -> Floats:
    """Accuracy of the best-scored of k samples, exactly, over all subsets of each row; shape (rows, budgets).

    right: of each sample whether, or how often, it is right. The j-th lowest score (from 0) is the best of a
    k-subset with probability C(j, k-1) / C(n, k). Tied samples share their places evenly.
    """
    n = right.shape[1]
    places = np.arange(n, dtype=np.float64)[:, None]
    with np.errstate(invalid="ignore"):
        log_ways = _log_choose(places, k - 1) - _log_choose(float(n), k)
    weight = np.where(places >= k - 1, np.exp(log_ways), 0.0)
    order = np.argsort(scores, axis=1, kind="stable")
    ranked, values = np.take_along_axis(right, order, 1), np.take_along_axis(scores, order, 1)
    return np.asarray(_tie_means(ranked.astype(np.float64), values) @ (weight / weight.sum(axis=0)))


def _log_choose(n: Any, k: Any) -> Any:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def _tie_means(ranked: Floats, values: Floats) -> Floats:
    """Replace each entry by the mean over the entries of its row with the same value."""
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    means = np.bincount(group, ranked.ravel()) / np.bincount(group)
    return np.asarray(means[group].reshape(values.shape))
