"""What makes a testbed useful, measured on fresh test problems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.curves import Floats, Pool, accuracy, interval, pass_at_k
from scalinglab.optimal import difficulty_bins, halves
from scalinglab.testbed.measure import Measured

BINS = 5
BUDGET = 64
VOTES = 16
_MIDDLE = (2, 3, 4)


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
    return [
        Criterion("non-embedding ratio", f"{found.ratio:.2f}", "13.5 to 14.5", 13.5 <= found.ratio <= 14.5),
        *_accuracy(found, seed),
        *_bins(scored, labels),
        *_coverage(scored, labels, found.large),
        *_steps(found, labels),
        *_selection(found, labels, seed),
        _revision(found.chains, seed),
    ]


def _accuracy(found: Measured, seed: int) -> list[Criterion]:
    first = float((found.prm.correct / found.prm.n).mean())
    low, high = interval(found.large - found.small, seed=seed)
    gap = f"{found.large.mean():.3f} against {found.small.mean():.3f}, difference 95 % [{low:.3f}, {high:.3f}]"
    return [
        Criterion("small pass@1", f"{first:.3f}", "0.15 to 0.50", 0.15 <= first <= 0.5),
        Criterion("large greedy above small greedy", gap, "an interval above 0", bool(low > 0)),
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


def _coverage(scored: Pool, labels: npt.NDArray[np.int64], large: Floats) -> list[Criterion]:
    ours, theirs = (by_bin(a, labels) for a in (pass_at_k(scored.n, scored.correct, BUDGET), large))
    return [
        Criterion(
            f"bin {i + 1}: small pass@{BUDGET} above large greedy",
            f"{ours[i]:.3f} against {theirs[i]:.3f}", "above", bool(ours[i] > theirs[i]),
        )
        for i in range(3)
    ]  # fmt: skip


def _steps(found: Measured, labels: npt.NDArray[np.int64]) -> list[Criterion]:
    """The process verifier's steps at a threshold of 0.5 against the exact checker."""
    some = np.array([len(right) > 0 for right in found.step_right])
    pairs = [(s, t) for s, t in zip(found.step_scores, found.step_right, strict=True) if len(t)]
    hit = np.array([float(np.mean((s > 0.5) == t)) for s, t in pairs])
    share = float(np.mean([t.mean() for _, t in pairs]))
    value = f"{hit.mean():.3f}; by bin {_shown(by_bin(hit, labels[some]))}"
    constant = max(share, 1 - share)
    return [
        Criterion(
            "PRM step accuracy", value, f"above {constant:.3f}, one answer for all", bool(hit.mean() > constant)
        )
    ]


def _selection(found: Measured, labels: npt.NDArray[np.int64], seed: int) -> list[Criterion]:
    """Best-of-16, weighted by each verifier, against majority and the perfect verifier on bins 2 to 4."""
    middle = np.isin(labels, _MIDDLE)
    at = {
        name: accuracy(pool, selector, [VOTES], seed=seed)[0][middle, 0]
        for name, pool, selector in (
            ("PRM", found.prm, "weighted"),
            ("ORM", found.orm, "weighted"),
            ("majority", found.prm, "majority"),
            ("perfect", found.prm, "coverage"),
        )
    }
    rows = []
    for name in ("PRM", "ORM"):
        low, high = interval(at[name] - at["majority"], seed=seed)
        value = (
            f"{at[name].mean():.3f} against {at['majority'].mean():.3f}, difference 95 % [{low:.3f}, {high:.3f}]"
        )
        rows.append(
            Criterion(
                f"{name} best-of-{VOTES} above majority, bins 2 to 4", value, "an interval above 0", bool(low > 0)
            )
        )
    value = f"{at['PRM'].mean():.3f} against {at['perfect'].mean():.3f}"
    below = bool(at["PRM"].mean() < at["perfect"].mean())
    return [*rows, Criterion(f"PRM best-of-{VOTES} below perfect, bins 2 to 4", value, "below", below)]


def _revision(chains: npt.NDArray[np.bool_], seed: int) -> Criterion:
    """pass@1 along the chain: the last answer against the first."""
    rates = chains.mean(axis=1)
    low, high = interval(rates[:, -1] - rates[:, 0], seed=seed)
    value = f"{_shown(rates.mean(axis=0))}; last - first 95 % [{low:.3f}, {high:.3f}]"
    return Criterion(
        f"reviser pass@1 along a chain of {rates.shape[1]}", value, "rises: an interval above 0", bool(low > 0)
    )


def by_bin(values: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """The mean of each bin; NaN where a bin is empty, which meets no criterion."""
    return np.array([values[labels == i].mean() if (labels == i).any() else np.nan for i in range(1, BINS + 1)])


def _shown(values: Floats) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
