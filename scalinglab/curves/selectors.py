"""Unbiased accuracy of a selector at every budget k <= n, from every sample of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from scalinglab import flops
from scalinglab.curves.pools import Floats, Graded, Ints, Pool
from scalinglab.errors import DataError

SELECTORS = ("coverage", "majority", "best-of-n", "weighted")


def accuracy(
    pool: Pool, selector: str, k: Sequence[int], *, draws: int = 64, seed: int = 0
) -> tuple[Floats, Floats]:
    """Unbiased accuracy at each budget, shape (problems, budgets), and its subsampling error, (budgets,).

    coverage is pass@k, the accuracy of a perfect verifier. Raises DataError for k < 1, k > n, an unknown
    selector, or one that needs answers or scores that were not recorded.
    """
    budgets = _budgets(k, pool)
    if selector == "coverage":
        return pass_at_k(pool.n[:, None], pool.correct[:, None], budgets), np.zeros(len(budgets))
    graded = _require(pool, selector)
    values, variance = np.empty((len(pool.n), len(budgets))), np.zeros(len(budgets))
    for size in np.unique(pool.n):
        rows = np.flatnonzero(pool.n == size)
        group = graded.rows(rows, int(size))
        if selector == "best-of-n":
            values[rows] = best_of_k(group.right, group.scores, budgets)
            continue
        votes = group.scores if selector == "weighted" else np.ones_like(group.scores)
        values[rows], errors = vote_at_k(group.answers, group.right, votes, budgets, draws=draws, seed=seed)
        variance += (errors * len(rows) / len(pool.n)) ** 2
    return values, np.sqrt(variance)


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


def best_of_k(right: npt.NDArray[np.bool_], scores: Floats, k: Ints) -> Floats:
    """Accuracy of the best-scored of k samples, exactly, over all subsets of each row; shape (rows, budgets).

    The j-th lowest score (from 0) is the best of a k-subset with probability C(j, k-1) / C(n, k). Tied
    samples share their places evenly.
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


def vote_at_k(
    answers: Ints, right: npt.NDArray[np.bool_], votes: Floats, k: Ints, *, draws: int, seed: int
) -> tuple[Floats, Floats]:
    """Accuracy of the answer with most votes among k samples, and its subsampling error.

    Averages over ``draws`` seeded random orders of each row, whose first k samples are a k-subset; k = 1 and
    k = n are exact. Ties share evenly; unparsed answers (-1) do not vote.
    """
    if draws < 2:
        raise DataError(f"{draws} draws of votes", "2 or more, to know their error", "raise draws")
    rng, value = np.random.default_rng(seed), _answer_accuracy(answers, right)
    totals, means = np.zeros((len(answers), len(k))), np.empty((draws, len(k)))
    for draw in range(draws):
        order = rng.permuted(np.broadcast_to(np.arange(answers.shape[1]), answers.shape), axis=1)[:, : k.max()]
        drawn, cast = np.take_along_axis(answers, order, 1), np.take_along_axis(votes, order, 1)
        one = _winners(drawn, cast, value, k)
        totals, means[draw] = totals + one, one.mean(axis=0)
    values, error = totals / draws, means.std(axis=0, ddof=1) / np.sqrt(draws)
    single = k == 1
    values[:, single] = np.where(answers >= 0, right, False).mean(axis=1)[:, None]
    return values, np.where(single | (k == answers.shape[1]), 0.0, error)


def _answer_accuracy(answers: Ints, right: npt.NDArray[np.bool_]) -> Floats:
    """How often each answer of each row was graded right, shape (rows, answers)."""
    width = int(answers.max(initial=0)) + 1
    flat = (np.arange(len(answers))[:, None] * width + answers)[answers >= 0]
    shape = (len(answers), width)
    times = np.bincount(flat, minlength=shape[0] * width)
    hits = np.bincount(flat, right[answers >= 0], minlength=shape[0] * width)
    return np.asarray((hits / np.maximum(times, 1)).reshape(shape))


def _winners(answers: Ints, votes: Floats, value: Floats, k: Ints) -> Floats:
    """The accuracy of the winning answer after the first k votes of each row, ties shared evenly."""
    rows, width = value.shape
    tally, result = np.zeros(rows * width), np.empty((rows, len(k)))
    named = np.zeros((rows, width), dtype=bool)
    flat = np.arange(rows)[:, None] * width + answers
    order = np.argsort(k)
    for start, column in zip([0, *k[order]], order, strict=False):
        part = (slice(None), slice(start, k[column]))
        cast = answers[part] >= 0
        tally += np.bincount(flat[part][cast], votes[part][cast], minlength=rows * width)
        named.ravel()[flat[part][cast]] = True
        table = tally.reshape(rows, width)
        top = table.max(axis=1, keepdims=True)
        first = named & (table >= top * (1 - 1e-12))
        result[:, column] = (first * value).sum(axis=1) / np.maximum(first.sum(axis=1), 1)
    return result


def _budgets(k: Sequence[int], pool: Pool) -> Ints:
    budgets = flops.whole(np.asarray(k), "k")
    most = int(pool.n.min())
    if budgets.ndim != 1 or not budgets.size or budgets.min() < 1 or budgets.max() > most:
        raise DataError(
            f"k = {', '.join(map(str, np.ravel(k)))} of model {pool.model}",
            f"budgets from 1 to n = {most}, the samples of its least sampled problem",
            "lower k or collect more samples",
        )
    return np.asarray(budgets)


def _require(pool: Pool, selector: str) -> Graded:
    if selector not in SELECTORS:
        raise DataError(f"selector {selector!r}", f"one of {', '.join(SELECTORS)}", "choose a selector")
    if pool.graded is None:
        raise DataError(
            f"selector {selector} on counts of model {pool.model}",
            "coverage: counts hold no answers or scores",
            "use a recorded run, or coverage",
        )
    scores = pool.graded.scores
    scored = scores[np.arange(scores.shape[1]) < pool.n[:, None]]
    if selector != "majority" and np.isnan(scored).any():
        raise DataError(
            f"selector {selector}: {int(np.isnan(scored).sum())} samples of {pool.model} have no score",
            "a verifier score for every sample",
            "run the verifier, or use majority",
        )
    if selector == "weighted" and (scored < 0).any():
        raise DataError("weighted votes with negative scores", "scores >= 0", "use best-of-n")
    return pool.graded
