"""The answer with most votes among k samples: over all subsets where they are few, else over random ones."""

from __future__ import annotations

import math
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
_BLOCK = 2**17
"""Numbers that are worked on at once: they stay in the cache."""


def vote_at_k(
    answers: Ints,
    right: npt.NDArray[np.bool_],
    votes: Floats,
    k: Ints,
    *,
    draws: int | None = None,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Accuracy of the answer with most votes among k samples, and the variance of each value from subsampling.

    answers, right, votes: (rows, samples), or (rows, chains, samples of a chain), of which k then counts chains.
    Both results have shape (rows, budgets). Ties share evenly; unparsed answers (-1) do not vote; an answer whose
    votes are all 0 wins only where all are.

    k = 1, k = 2 and k = n of samples are exact, and so is every k of which there are no more subsets than draws;
    their variance is 0. Else each value is a mean over ``draws`` random subsets or more, disjoint ones cut from
    random orders (None: as many as a table of this size affords). Raises DataError for fewer than two draws.
    """
    if draws is not None and draws < 2:
        raise DataError(f"{draws} draws of votes", "2 or more, to know their error", "raise draws")
    shape = (*answers.shape[:2], -1)
    codes, cast = answers.reshape(shape), np.where(answers >= 0, votes, 0.0).reshape(shape)
    ballots = _Ballots(codes, cast, _answer_accuracy(codes, right.reshape(shape)))
    values, noise = np.empty((2, len(answers), len(k)))
    for size in set(k.tolist()):
        enough = draws or max(FEWEST_DRAWS, BALLOTS // max(codes[:, :size].size, 1))
        found = ballots.exactly(size, enough)
        values[:, k == size], noise[:, k == size] = (
            ballots.drawn(size, enough, seed) if found is None else (found[:, None], 0.0)
        )
    return values, noise


@dataclass(frozen=True)
class _Ballots:
    """Each sample's answer and vote, (rows, chains, samples); value: how right each answer is, (rows, answers)."""

    codes: Ints
    votes: Floats
    value: Floats

    def exactly(self, k: int, most: int) -> Floats | None:
        """The mean over all subsets of k chains, (rows,); None where it would take more than ``most`` subsets."""
        n = self.codes.shape[1]
        if self.codes.shape[2] == 1 and k <= 2:  # of two samples the heavier vote wins
            known = self.codes[..., 0] >= 0
            own = np.where(known, np.take_along_axis(self.value, np.maximum(self.codes[..., 0], 0), 1), 0.0)
            return best_of_k(own, np.where(known, self.votes[..., 0], -1.0), np.array([k]))[:, 0]
        if math.comb(n, k) > most:
            return None
        return self.mean(np.array(list(combinations(range(n), k))))

    def drawn(self, k: int, draws: int, seed: int) -> tuple[Floats, Floats]:
        """The mean over random subsets of k chains, disjoint ones cut from each random order; and its variance.

        Each row is shuffled once; further orders shuffle the columns of all rows alike. Of one row they are as
        good as shuffled anew, for a uniform order after any other is uniform; and of two rows they do not covary,
        for the first shuffles are each row's own.
        """
        rng, (rows, n) = np.random.default_rng(seed), self.codes.shape[:2]
        orders = max(FEWEST_ORDERS, math.ceil(draws / (n // k)))
        cut = (math.ceil(draws / orders), k)
        own = rng.permuted(np.broadcast_to(np.arange(n, dtype=np.int32), (rows, n)), axis=1)[..., None]
        shuffled = _Ballots(
            np.take_along_axis(self.codes, own, 1), np.take_along_axis(self.votes, own, 1), self.value
        )
        means = [shuffled.mean(rng.permutation(n)[: math.prod(cut)].reshape(cut)) for _ in range(orders)]
        variance = np.var(means, axis=0, ddof=1) / orders
        return np.mean(means, axis=0)[:, None], np.asarray(variance)[:, None]

    def mean(self, subsets: Ints) -> Floats:
        """The accuracy of the winner, averaged over subsets of the chains, (subsets, k); shape (rows,)."""
        rows, width = self.value.shape
        some = max(1, _BLOCK // max(subsets.shape[1] * self.codes.shape[2], width))
        total = np.zeros(rows)
        for part in np.array_split(subsets, math.ceil(len(subsets) / some)):
            step = max(1, some // len(part))
            for here in (slice(at, at + step) for at in range(0, rows, step)):
                total[here] += _winners(self.codes[here], self.votes[here], self.value[here], part).sum(axis=1)
        return total / len(subsets)


def _winners(codes: Ints, votes: Floats, value: Floats, subsets: Ints) -> Floats:
    """The accuracy of the winning answer in each subset, (rows, subsets), ties shared evenly."""
    (rows, width), cut = value.shape, (len(codes) * len(subsets), -1)
    drawn = codes[:, subsets.ravel()].reshape(cut)
    # the last column of each tally gathers what does not vote
    flat = np.where(drawn < 0, width, drawn) + np.arange(len(drawn))[:, None] * (width + 1)
    cast, size = votes[:, subsets.ravel()].ravel(), len(drawn) * (width + 1)
    tally = np.bincount(flat.ravel(), cast, size).reshape(-1, width + 1)[:, :width]
    top = tally.max(axis=1, keepdims=True)
    first = tally >= top * (1 - 1e-12)
    unweighed = np.flatnonzero(top[:, 0] <= 0)
    if len(unweighed):
        named = np.bincount(flat.ravel(), minlength=size).reshape(-1, width + 1)[unweighed, :width]
        first[unweighed] = named > 0
    shared = first.reshape(rows, len(subsets), width)
    return np.asarray(np.einsum("rsw,rw->rs", shared, value) / np.maximum(shared.sum(axis=2), 1))


def _answer_accuracy(answers: Ints, right: npt.NDArray[np.bool_]) -> Floats:
    """How often each answer of each row was graded right, shape (rows, answers), of one answer at least."""
    width = max(int(answers.max(initial=0)) + 1, 1)
    known = answers >= 0
    flat = (np.arange(len(answers))[:, None, None] * width + answers)[known]
    times, hits = (np.bincount(flat, of, len(answers) * width) for of in (None, right[known]))
    return np.asarray((hits / np.maximum(times, 1)).reshape(len(answers), width))
