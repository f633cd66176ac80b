"""Difficulty bins, always set on samples that are not then used to score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Floats, Ints, Pool, repeated
from scalinglab.errors import DataError

ORACLE = "oracle"


@dataclass(frozen=True)
class Bins:
    """The difficulty bin of each problem, 1 (easiest) to ``count``, and what they were set on.

    source: "oracle" (pass@1), the verifier whose mean score predicted them, or "given". ease: what was binned.
    samples: of each problem, drawn to estimate its difficulty. flops: what these cost a problem, (problems,),
    0 where the convention does not charge them. charged: whether it does.
    """

    problems: tuple[str, ...]
    labels: Ints
    count: int
    source: str = "given"
    ease: Floats | None = None
    samples: int = 0
    flops: Floats | None = None
    charged: bool = False

    def groups(self) -> list[tuple[int, npt.NDArray[np.intp]]]:
        """Each bin that holds problems, with their positions."""
        found = [(b, np.flatnonzero(self.labels == b)) for b in range(1, self.count + 1)]
        return [(b, members) for b, members in found if len(members)]

    @property
    def cost(self) -> Floats:
        """FLOPs charged for estimating each problem's difficulty, (problems,)."""
        return repeated(np.zeros(()), len(self.labels)) if self.flops is None or not self.charged else self.flops


def mean_score(pool: Pool) -> Floats:
    """The verifier's mean score of each problem's samples. Raises DataError where a sample has none."""
    scores = None if pool.graded is None else pool.graded.scores
    recorded = np.arange(pool.n.max()) < pool.n[:, None]
    if scores is None or np.isnan(scores[recorded]).any():
        raise DataError(
            f"samples of model {pool.model!r} without a verifier's score", "a score of each", "choose oracle bins"
        )
    return np.asarray(np.where(recorded, scores, 0.0).sum(axis=1) / pool.n)


def halves(pool: Pool, *, seed: int = 0) -> tuple[Pool, Pool]:
    """Two disjoint random halves of every problem's samples: bins from the first, curves from the second.

    Counts alone split as texts would: the right ones in a half are hypergeometric.
    Raises DataError where a problem has fewer than two samples.
    """
    if pool.n.min() < 2:
        raise DataError(
            f"model {pool.model} has a problem with one sample",
            "two or more, to set bins and scores apart",
            "collect more samples or use --bins 1",
        )
    rng = np.random.default_rng(seed)
    first = pool.n // 2
    if pool.graded is None:
        hits = rng.hypergeometric(pool.correct, pool.n - pool.correct, first)
        return replace(pool, n=first, correct=hits), replace(pool, n=pool.n - first, correct=pool.correct - hits)
    width = pool.graded.right.shape[1]
    recorded = np.arange(width) < pool.n[:, None]
    order = np.argsort(np.where(recorded, rng.random(recorded.shape), np.inf), axis=1)
    later = np.minimum(first[:, None] + np.arange(width - int(first.min())), width - 1)
    return _take(pool, order, first), _take(pool, np.take_along_axis(order, later, 1), pool.n - first)


def difficulty_bins(ease: Floats, bins: int = 5) -> Ints:
    """The difficulty bin of each problem, 1 (easiest) to ``bins`` (hardest), from its pass@1 or mean score.

    Quantiles of the problems; tied problems share the bin of their mean rank, so bins can differ in size, as
    the paper's 100/100/100/105/95, and one can be empty. Raises DataError for more bins than problems.
    """
    if not 1 <= bins <= len(ease):
        raise DataError(f"{bins} bins of {len(ease)} problems", f"1 to {len(ease)} bins", "choose fewer bins")
    if np.isnan(ease).any():
        raise DataError("a difficulty that is not a number", "an accuracy or score a problem", "drop the problem")
    rank = pd.Series(-ease).rank(method="average").to_numpy()
    return np.asarray(np.floor((rank - 0.5) * bins / len(ease)), dtype=np.int64) + 1


def _take(pool: Pool, order: npt.NDArray[np.intp], n: Ints) -> Pool:
    """The pool of the first n samples of each row in the given order."""
    assert pool.graded is not None
    graded = pool.graded.take(lambda array: np.take_along_axis(array, order[:, : n.max()], axis=1))
    correct = (graded.right & (np.arange(graded.right.shape[1]) < n[:, None])).sum(axis=1)
    return replace(pool, n=n, correct=correct, graded=graded)
