"""Closed forms at every budget k <= n: pass@k, and the best-scored of k samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from scalinglab import flops
from scalinglab.curves.pools import Floats, Ints
from scalinglab.errors import DataError

_FEW = 64
"""Factors that are multiplied one by one; of more, Stirling's series is exact to about 1e-11."""
_BLOCK = 2**14
"""Counts that are worked on at once: they stay in the cache."""


def pass_at_k(n: Any, correct: Any, k: Any) -> Floats:
    """1 - C(n - c, k) / C(n, k), the unbiased estimate of Chen et al. 2021 (arXiv 2107.03374), eq. 1.

    Broadcasts. Exact to about 1e-11 relative for n to 1e6, and to 1e-14 where c or k is at most 64: the ratio is
    the same with c and k exchanged, a product of 1 - k / (n - i) over i < c that is summed in logarithms.
    """
    given = {"n": n, "c": correct, "k": k}
    n, correct, k = np.broadcast_arrays(*(np.asarray(flops.whole(a, name)) for name, a in given.items()))
    if ((correct < 0) | (correct > n) | (k < 1) | (k > n)).any():
        raise DataError("pass@k of counts out of range", "0 <= c <= n and 1 <= k <= n", "mend n, c or k")
    if not n.size:
        return np.empty(n.shape)
    flat = [array.ravel() for array in (n, correct, k)]
    least = [array.min() for array in flat]
    spans = [int(array.max() - low) + 1 for array, low in zip(flat, least, strict=True)]
    if math.prod(spans) > n.size:
        return _passes(*flat).reshape(n.shape)
    code = np.ravel_multi_index([array - low for array, low in zip(flat, least, strict=True)], spans)
    seen = np.flatnonzero(np.bincount(code))  # equal counts are worked out once
    found = np.zeros(seen[-1] + 1)
    found[seen] = _passes(*(low + at for low, at in zip(least, np.unravel_index(seen, spans), strict=True)))
    return np.asarray(found[code].reshape(n.shape))


def _passes(n: Ints, correct: Ints, k: Ints) -> Floats:
    few, many, result = np.minimum(correct, k), np.maximum(correct, k), np.ones(len(n))
    order = np.argsort(few, kind="stable")
    order = order[few[order] <= (n - many)[order]]  # else some of any k are right
    short = int(np.searchsorted(few[order], _FEW, side="right"))
    for summed, part in ((_log_product, order[:short]), (_log_series, order[short:])):
        for at in range(0, len(part), _BLOCK):
            rows = part[at : at + _BLOCK]
            result[rows] = -np.expm1(summed(*(array[rows].astype(np.float64) for array in (n, few, many))))
    return result


def _log_product(n: Floats, few: Floats, many: Floats) -> Floats:
    """The sum of log(1 - many / (n - i)) over i < few, whose values rise."""
    found = np.zeros(len(n))
    for i, start in enumerate(np.searchsorted(few, np.arange(few[-1]), side="right").tolist()):
        found[start:] += np.log1p(many[start:] / (i - n[start:]))
    return found


def _log_series(n: Floats, few: Floats, many: Floats) -> Floats:
    """The same by Stirling's series of log m!, of which the terms in log n and in m cancel."""
    rest = np.maximum(n - few - many, 1.0)

    def above(m: Floats) -> Floats:
        return (m + 0.5) * np.log1p((m - n) / n) + (1 / 12 - (1 / 360 - 1 / (1260 * m**2)) / m**2) / m

    return above(n - few) + above(n - many) - above(n) - above(rest)


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
