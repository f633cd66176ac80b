"""Samples stacked by chain, and the choice among revisions: within each chain, then across the chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.curves.pools import Floats, Graded, Ints


def stacked(graded: Graded) -> Graded:
    """The samples of some problems as (problems, chains, samples of a chain); independent ones are chains of one.

    Short chains are padded on the right: wrong, without an answer (-1) and of score NaN.
    """
    if graded.chains is None:
        return graded.take(lambda array: array[..., None])
    row, sample = np.nonzero(graded.chains >= 0)
    chain = graded.chains[row, sample]
    order = np.lexsort((sample, chain, row))
    row, sample, chain = row[order], sample[order], chain[order]
    starts = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(chain, prepend=-1))
    lengths = np.diff(starts, append=len(row))
    at = (row, chain, np.arange(len(row)) - np.repeat(starts, lengths))
    shape = (len(graded.right), int(chain.max(initial=-1)) + 1, int(lengths.max(initial=1)))

    def laid(array: npt.NDArray[Any], empty: object) -> npt.NDArray[Any]:
        out: npt.NDArray[Any] = np.full(shape, empty, dtype=array.dtype)
        out[at] = array[row, sample]
        return out

    return Graded(laid(graded.right, False), laid(graded.answers, -1), laid(graded.scores, np.nan))


def named_in_chains(answers: Ints, scores: Floats) -> Floats:
    """What each sample brings to the vote across chains; all arrays (problems, chains, samples of a chain).

    Best-of-N weighted within a chain names its answer, whose weight across chains is its best score there, ties
    shared evenly (PAPER section 3, Sequential vs parallel, where the weight across chains is left open). The
    first sample of a chain that gives the answer brings it, the others bring NaN.
    """
    known = answers >= 0
    scores = np.where(known, scores, 0.0)
    same = (answers[..., :, None] == answers[..., None, :]) & known[..., None]
    total = (same * scores[..., None, :]).sum(axis=-1)
    best = np.where(same, scores[..., None, :], -np.inf).max(axis=-1)
    again = np.tril(same, k=-1).any(axis=-1)
    first = known & ~again
    top = np.where(first, total, -np.inf).max(axis=-1, keepdims=True)
    won = first & (total >= top * (1 - 1e-12))
    share = np.maximum(won.sum(axis=-1, keepdims=True), 1)
    return np.where(won, best / share, np.nan)
