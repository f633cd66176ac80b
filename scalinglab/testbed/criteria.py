"""What makes a testbed useful, measured on fresh test problems.

A criterion asks that models, task and verifier are what a study needs, never that one side of it or one strategy
wins: whoever trains until such a criterion is met has decided the study beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, Pool
from scalinglab.optimal import difficulty_bins, halves
from scalinglab.testbed.measure import Measured

BINS = 5


@dataclass(frozen=True)
class Criterion:
    """One requirement and whether the testbed meets it."""

    name: str
    value: str
    wanted: str
    passed: bool


def judge(found: Measured, *, seed: int = 0) -> list[Criterion]:
    """The criteria of what was measured; bins from one half of the samples, scores from the other."""
    first, scored = halves(found.prm, seed=seed)
    labels = difficulty_bins(first.correct / first.n, BINS)
    rate = float((found.prm.correct / found.prm.n).mean())
    return [
        Criterion("non-embedding ratio", f"{found.ratio:.2f}", "13.5 to 14.5", 13.5 <= found.ratio <= 14.5),
        Criterion("small pass@1", f"{rate:.3f}", "0.15 to 0.50", 0.15 <= rate <= 0.5),
        *_bins(scored, labels),
        _steps(found, labels),
    ]


def _bins(scored: Pool, labels: npt.NDArray[np.int64]) -> list[Criterion]:
    means = by_bin(scored.correct / scored.n, labels)
    easiest, hardest, middle = means[0], means[-1], means[1:-1]
    distinct = not np.isnan(middle).any() and len(set(middle)) == len(middle)
    return [
        Criterion("easiest bin, pass@1", f"{easiest:.3f}", "above 0.60", bool(easiest > 0.6)),
        Criterion("hardest bin, pass@1", f"{hardest:.3f}", "below 0.05", bool(hardest < 0.05)),
        Criterion("middle bins, pass@1", _shown(middle), "all different", distinct),
    ]


def _steps(found: Measured, labels: npt.NDArray[np.int64]) -> Criterion:
    """The process verifier's steps at a threshold of 0.5 against the exact checker."""
    some = np.array([len(right) > 0 for right in found.step_right])
    pairs = [(s, t) for s, t in zip(found.step_scores, found.step_right, strict=True) if len(t)]
    hit = np.array([float(np.mean((s > 0.5) == t)) for s, t in pairs])
    share = float(np.mean([t.mean() for _, t in pairs]))
    value = f"{hit.mean():.3f}; by bin {_shown(by_bin(hit, labels[some]))}"
    constant = max(share, 1 - share)
    wanted = f"above {constant:.3f}, one answer for all"
    return Criterion("PRM step accuracy", value, wanted, bool(hit.mean() > constant))


def by_bin(values: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """The mean of each bin; NaN where a bin is empty, which meets no criterion."""
    return np.array([values[labels == i].mean() if (labels == i).any() else np.nan for i in range(1, BINS + 1)])


def _shown(values: Floats) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
