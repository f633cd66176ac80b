"""The answer with most votes among k samples: over all subsets where they are few, else over random ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from scalinglab.curves.estimators import best_of_k
from scalinglab.curves.pools import Floats, Ints
from scalinglab.errors import DataError

FEWEST_DRAWS, FEWEST_ORDERS = 64, 4
"""Random subsets behind each value, at least; random orders they are cut from, whose spread is their noise."""
BALLOTS = 2**22
"""Small tables afford more subsets: about as many as hold so many ballots at each budget."""
_BLOCK = 2**16
"""Ballots that are counted at once: they stay in the cache."""


def vote_at_k(
    answers: Ints,
    right: npt.NDArray[np.bool_],
    votes: Floats | None,
    k: Ints,
    *,
    draws: int | None = None,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Accuracy of the answer with most votes among k samples, and the variance of each value from subsampling.

    answers, right, votes (None: one each): (rows, samples), or (rows, chains, samples of a chain), of which k then
    counts chains. Both results have shape (rows, budgets). Ties share evenly; unparsed answers (-1) do not vote;
    an answer whose votes are all 0 wins only where all are.

    k = 1, k = 2 and k = n of samples are exact, and so is every k of which there are no more subsets than draws;
    their variance is 0. Else each value is a mean over ``draws`` random subsets or more, disjoint ones cut from
    random orders (None: as many as a table of this size affords). Raises DataError for fewer than two draws.
    """
    if draws is not None and draws < 2:
        raise DataError(f"{draws} draws of votes", "2 or more, to know their error", "raise draws")
    shape, width = (*answers.shape[:2], math.prod(answers.shape[2:])), int(answers.max(initial=0)) + 1
    sizes = {size for size in k.tolist() if size > 2 or shape[2] > 1}
    plans = {size: _plan(shape, width, size, draws, np.random.default_rng([seed, size])) for size in sizes}
    values, noise = np.zeros((2, len(answers), len(k)))
    rng, step = np.random.default_rng(seed), max(1, _BLOCK // max(math.prod(shape[1:]), width))
    for rows in (slice(at, at + step) for at in range(0, len(answers), step)):
        some = (len(answers[rows]), *shape[1:])
        cast = None if votes is None else votes[rows].reshape(some)
        ballots = _Ballots.of(answers[rows].reshape(some), right[rows].reshape(some), cast, width)
        values[rows], noise[rows] = ballots.at(k, plans, rng)
    return values, noise


def _plan(shape: Sequence[int], width: int, k: int, draws: int | None, rng: np.random.Generator) -> list[Ints]:
    """Subsets of k chains, (subsets, k): all of them, or the disjoint ones that are cut from each random order.

    Each row is shuffled once; further orders shuffle the columns of all rows alike. Of one row they are as good as
    shuffled anew, for a uniform order after any other is uniform; and of two rows they do not covary, for the
    first shuffles are each row's own.
    """
    rows, n, length = shape
    enough = draws or max(FEWEST_DRAWS, BALLOTS // max(rows * max(k * length, width), 1))
    if math.comb(n, k) <= enough:
        return [np.array(list(combinations(range(n), k)))]
    orders = max(FEWEST_ORDERS, math.ceil(enough / (n // k)))
    cut = (math.ceil(enough / orders), k)
    return [rng.permutation(n)[: math.prod(cut)].reshape(cut) for _ in range(orders)]


@dataclass(frozen=True)
class _Ballots:
    """Each sample's answer from 1 (0: none) and vote (None: one each), (rows, chains, samples of a chain).

    value: how often each answer from 1 of each row was graded right, (rows, 1 + answers).
    """

    codes: npt.NDArray[np.int32]
    votes: Floats | None
    value: Floats

    @classmethod
    def of(cls, answers: Ints, right: npt.NDArray[np.bool_], votes: Floats | None, width: int) -> _Ballots:
        codes, size = (answers + 1).astype(np.int32), len(answers) * (width + 1)
        flat = codes + np.arange(0, size, width + 1)[:, None, None]
        times, hits = (np.bincount(at.ravel(), minlength=size) for at in (flat, flat[right]))
        value = (hits / np.maximum(times, 1)).reshape(-1, width + 1)
        value[:, 0] = 0.0
        return cls(codes, votes, value)

    def at(self, k: Ints, plans: Mapping[int, list[Ints]], rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Values and their variance, (rows, budgets); a budget without a plan is of one or two samples."""
        values, noise = np.zeros((2, len(self.codes), len(k)))
        random = any(len(plan) > 1 for plan in plans.values())
        ballots = self.shuffled(rng) if random else self
        for j, size in enumerate(k.tolist()):
            if size not in plans:
                values[:, j] = self.of_two(size)
                continue
            means = ballots.means(np.stack(plans[size]))
            values[:, j] = means.mean(axis=0)
            noise[:, j] = means.var(axis=0, ddof=1) / len(means) if len(means) > 1 else 0.0
        return values, noise

    def of_two(self, k: int) -> Floats:
        """The exact mean over all samples, or all pairs of them, of which the heavier vote wins; (rows,)."""
        codes = self.codes[..., 0]
        own = np.take_along_axis(self.value, codes.astype(np.intp), 1)
        if k == 1:
            return np.asarray(own.mean(axis=1))
        if self.votes is None:
            n, known = codes.shape[1], (codes > 0).sum(axis=1)
            return np.asarray(own.sum(axis=1) * (2 * n - known - 1) / (n * (n - 1)))
        return best_of_k(own, np.where(codes > 0, self.votes[..., 0], -1.0), np.array([2]))[:, 0]

    def shuffled(self, rng: np.random.Generator) -> _Ballots:
        rows, n, length = self.codes.shape
        order = np.tile(np.arange(n), (rows, 1))
        rng.permuted(order, axis=1, out=order)
        order += np.arange(0, rows * n, n)[:, None]
        votes = None if self.votes is None else self.votes.reshape(rows * n, length)[order]
        return _Ballots(self.codes.reshape(rows * n, length)[order], votes, self.value)

    def means(self, plan: Ints) -> Floats:
        """The accuracy of the winner, averaged over the subsets of each order; (orders, rows).

        plan: subsets of the chains, (orders, subsets, k). As many at once as stay in the cache, or nearly.
        """
        rows, width = self.value.shape
        orders, subsets, k = plan.shape
        ballots = rows * max(k * self.codes.shape[2], width)
        parts = [plan[:, part] for part in _cut(subsets, ballots, 4 * _BLOCK)]
        found = [
            sum(self._won(part[some]) for part in parts) / subsets
            for some in _cut(orders, ballots * parts[0].shape[1], _BLOCK // 2)
        ]
        return np.concatenate(found)

    def _won(self, plan: Ints) -> Floats:
        """The accuracy of the winning answers, ties shared evenly, summed over each order's subsets; see above."""
        (rows, width), (orders, subsets, _) = self.value.shape, plan.shape
        every = orders * subsets
        each, columns = rows * every, plan.ravel()
        flat = np.multiply(self.codes[:, columns].reshape(each, -1), each, dtype=np.intp)
        flat += np.arange(each)[:, None]
        cast = None if self.votes is None else self.votes[:, columns].ravel()
        tally = np.bincount(flat.ravel(), cast, width * each).reshape(width, each)[1:]
        top = tally.max(axis=0)
        first = tally >= np.where(top > 0, top * (1 - 1e-12), np.inf)
        unweighed = np.flatnonzero(top <= 0)
        if len(unweighed) and cast is not None:  # answers whose votes are all 0
            first[:, unweighed] = (
                np.bincount(flat.ravel(), minlength=width * each).reshape(width, each)[1:, unweighed] > 0
            )
        answer, one = np.divmod(np.flatnonzero(first), each)
        shared = self.value[one // every, answer + 1] / np.bincount(one, minlength=each)[one]
        return np.bincount(one // subsets, shared, rows * orders).astype(np.float64).reshape(rows, orders).T


def _cut(count: int, ballots: int, most: int) -> list[slice]:
    """Some of ``count`` at a time, each of so many ballots, at ``most`` so many together."""
    step = max(1, most // ballots)
    return [slice(at, at + step) for at in range(0, count, step)]
