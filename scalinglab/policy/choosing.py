"""Arms chosen on some problems and scored on others, also under resampled problems."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from scalinglab.curves import DRAWS, Floats, Ints, resampled, tails

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
REDIVIDED = 8
"""Divisions into folds behind each resample; a mean over more would be calmer, and no more right."""


@lru_cache(maxsize=1)
def weights(problems: int, *, seed: int) -> Floats:
    """The share of each problem in each resample, (draws, problems), the resamples of ``curves.interval``."""
    found = resampled(np.eye(problems), DRAWS, seed)
    found.setflags(write=False)
    return found


def best(means: Floats, spent: Floats, admitted: Mask) -> Ints:
    """The admitted arm of the highest mean at each budget, the cheaper of equals: (rows, budgets); -1: none.

    means: (rows, arms), rounded (see ``rounded``); spent: (problems, arms); admitted: (arms, budgets). Arms are
    gone through by rising cost, from where the last budget ended if this one admits those and dearer ones.
    """
    order, arms = np.argsort(spent.mean(axis=0), kind="stable"), np.ascontiguousarray(means.T)
    found, seen = np.full((len(means), admitted.shape[1]), -1), np.zeros(len(order), dtype=bool)
    top, chosen = np.full(len(means), -1.0), np.full(len(means), -1)
    for j, now in enumerate(admitted[order].T):
        more = np.flatnonzero(now & ~seen)
        if (seen & ~now).any() or (len(more) and seen[more[0] :].any()):
            top, chosen, more = np.full(len(means), -1.0), np.full(len(means), -1), np.flatnonzero(now)
        for arm in order[more]:
            chosen[arms[arm] > top] = arm
            np.maximum(top, arms[arm], out=top)
        found[:, j], seen = chosen if now.any() else -1, now
    return found


def rounded(means: Floats) -> Floats:
    """Means that differ by rounding alone are equal, so that the cheaper arm is chosen."""
    return means.round(12)


def crossed(
    accuracy: Floats, members: Places, spent: Floats, admitted: Mask, folds: int, partitions: int,
    rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """The arm chosen for each problem of a bin without its fold, (partitions, problems, budgets).

    For a bin of one problem it is chosen on all others.
    """
    size = len(members)
    if size == 1:
        means = rounded(np.delete(accuracy, members, axis=0).mean(axis=0)[None])
        alone = best(means, spent[members], admitted)
        return np.broadcast_to(alone[:, None], (partitions, 1, admitted.shape[1]))
    parts = min(folds, size)
    fold = rng.permuted(np.tile(np.arange(size) % parts, (partitions, 1)), axis=1)
    train = (fold[:, None, :] != np.arange(parts)[:, None]).astype(np.float64)
    means = (train / train.sum(axis=-1, keepdims=True)) @ accuracy[members]
    found = best(rounded(means.reshape(-1, means.shape[-1])), spent[members], admitted).reshape(
        partitions, parts, -1
    )
    return np.take_along_axis(found, fold[:, :, None], axis=1)


def redrawn(
    accuracy: Floats, costs: Sequence[tuple[Floats, Mask]], weights: Floats, folds: int, rng: np.random.Generator
) -> list[Floats]:
    """The cross-validated sum over a bin's problems under each resample, arms chosen anew: (draws, budgets).

    accuracy: of the bin, (problems, arms); weights: (draws, problems). costs: what the arms take, (problems,
    arms), and which of them each budget admits, under each way to count; one sum for each. A problem that is
    drawn twice is in one fold, so that it never chooses what scores it.
    """
    size = len(accuracy)
    parts = min(folds, size)
    totals = [np.zeros((len(weights), admitted.shape[1])) for _, admitted in costs]
    for _ in range(REDIVIDED):
        fold = rng.permuted(np.tile(np.arange(size) % parts, (len(weights), 1)), axis=1)
        for part in range(parts):
            left = weights * (fold == part)
            train = weights - left
            train[train.sum(axis=1) == 0] = 1.0  # every problem drawn is in this fold
            means, scored = rounded(train @ accuracy / train.sum(axis=1, keepdims=True)), left @ accuracy
            means = np.asfortranarray(means)
            for total, (spent, admitted) in zip(totals, costs, strict=True):
                total += np.take_along_axis(scored, best(means, spent, admitted), axis=1)
    return [total / REDIVIDED for total in totals]


def spread(middle: Floats, around: Floats, problems: int) -> tuple[Floats, Floats]:
    """The 95 % ends of ``middle`` (budgets,) by how resamples fall ``around`` it, (draws, budgets).

    Where all problems agree, resampling sees no doubt: two pseudo-problems, one right and one wrong, are
    allowed for (after Agresti & Min 2005, who add pseudo-observations to matched proportions).
    """
    low, high = np.quantile(around - around.mean(axis=0), tails(problems), axis=0)
    doubt = stats.norm.ppf(0.975) * 1 / (problems + 2)
    return middle - np.hypot(low, doubt), middle + np.hypot(high, doubt)
