"""What makes a testbed useful, measured on fresh test problems.

A criterion asks that a task is neither trivial nor hopeless and that helpers are small change, never that one side
of the study or one strategy wins, nor that a helper is good: whoever trains until such a criterion is met has
decided the study beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats
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
    means = by_bin(scored.correct / scored.n, difficulty_bins(first.correct / first.n, BINS))
    spread = means[0] - means[-1]
    small, large = float(found.small.mean()), float(found.large.mean())
    return [
        Criterion("parameters, large to small", f"{found.ratio:.2f}", "13.0 to 13.9", 13.0 <= found.ratio <= 13.9),
        Criterion("small greedy", f"{small:.3f}", "0.05 to 0.60", 0.05 <= small <= 0.6),
        Criterion("large greedy", f"{large:.3f}", "0.40 to 0.85", 0.4 <= large <= 0.85),
        Criterion("pass@1 by bin", _shown(means), "falling by 0.50 in all", bool(spread >= 0.5)),
        *(
            Criterion(f"{name}, share of pretraining", f"{cost:.4f}", "0.05 at most", cost <= 0.05)
            for name, cost in found.costs.items()
        ),
    ]


def by_bin(values: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """The mean of each bin; NaN where a bin is empty, which meets no criterion."""
    return np.array([values[labels == i].mean() if (labels == i).any() else np.nan for i in range(1, BINS + 1)])


def _shown(values: Floats) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
