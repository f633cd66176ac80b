"""What makes a pair of policies a useful testbed, measured on fresh test problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from scalinglab.curves import Floats, Pool, interval, pass_at_k
from scalinglab.policy import difficulty_bins, halves
from scalinglab.specs import from_config
from scalinglab.tasks import Problem, grade, problems
from scalinglab.testbed.policy import load_policy
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Scale

BINS = 5
BUDGET = 64


@dataclass(frozen=True)
class Criterion:
    """One requirement and whether the pair meets it."""

    name: str
    value: str
    wanted: str
    passed: bool


def pair_criteria(
    scale: Scale, folder: str | Path, *, problems_drawn: int = 200, seed: int = 0
) -> list[Criterion]:
    """The criteria of the pair that ``train_pair`` wrote into ``folder``, on fresh test problems of that seed.

    128 samples of the small policy at temperature 1 (bins from one half, scores from the other), and the greedy
    answers of both.
    """
    small, large = Path(folder) / "small", Path(folder) / "large"
    ratio = from_config(large).non_embedding / from_config(small).non_embedding
    drawn = list(islice(problems("test", scale.levels, seed=seed), problems_drawn))
    pool = _pool(small, drawn, seed)
    greedy = [_greedy(folder, drawn) for folder in (small, large)]
    easy, scored = halves(pool, seed=seed)
    labels = difficulty_bins(easy.correct / easy.n, BINS)
    return [
        Criterion("non-embedding ratio", f"{ratio:.2f}", "13.5 to 14.5", 13.5 <= ratio <= 14.5),
        *_accuracy(pool, greedy[0], greedy[1], seed),
        *_bins(scored, labels),
        *_coverage(scored, labels, greedy[1]),
    ]


def _pool(folder: str | Path, drawn: Sequence[Problem], seed: int) -> Pool:
    texts = sample(*load_policy(folder), drawn, samples=2 * BUDGET, seed=seed)
    correct = [sum(grade(p, t) == "right" for t in ts) for p, ts in zip(drawn, texts, strict=True)]
    names = tuple(f"{i}" for i in range(len(drawn)))
    return Pool(str(folder), names, np.full(len(drawn), 2 * BUDGET), np.array(correct, dtype=np.int64))


def _greedy(folder: str | Path, drawn: Sequence[Problem]) -> Floats:
    texts = sample(*load_policy(folder), drawn, temperature=0)
    return np.array([grade(p, text) == "right" for p, (text,) in zip(drawn, texts, strict=True)], dtype=np.float64)


def _accuracy(pool: Pool, small: Floats, large: Floats, seed: int) -> list[Criterion]:
    first = float((pool.correct / pool.n).mean())
    low, high = interval(large - small, seed=seed)
    gap = f"{large.mean():.3f} against {small.mean():.3f}, difference 95 % [{low:.3f}, {high:.3f}]"
    return [
        Criterion("small pass@1", f"{first:.3f}", "0.15 to 0.50", 0.15 <= first <= 0.5),
        Criterion("large greedy above small greedy", gap, "an interval above 0", bool(low > 0)),
    ]


def _bins(scored: Pool, labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Criterion]:
    rates = scored.correct / scored.n
    means = [float(rates[labels == i].mean()) if (labels == i).any() else None for i in range(1, BINS + 1)]
    shown = ["empty" if mean is None else f"{mean:.3f}" for mean in means]
    easiest, hardest, middle = means[0], means[-1], means[1:-1]
    distinct = None not in middle and len(set(middle)) == len(middle)
    return [
        Criterion("easiest bin, pass@1", shown[0], "above 0.60", easiest is not None and easiest > 0.6),
        Criterion("hardest bin, pass@1", shown[-1], "below 0.05", hardest is not None and hardest < 0.05),
        Criterion("middle bins, pass@1", ", ".join(shown[1:-1]), "all different", distinct),
    ]


def _coverage(scored: Pool, labels: np.ndarray[tuple[int], np.dtype[np.int64]], large: Floats) -> list[Criterion]:
    reached = pass_at_k(scored.n, scored.correct, BUDGET)
    rows = []
    for i in (1, 2, 3):
        ours, theirs = (float(a[labels == i].mean()) if (labels == i).any() else 0.0 for a in (reached, large))
        name = f"bin {i}: small pass@{BUDGET} above large greedy"
        rows.append(Criterion(name, f"{ours:.3f} against {theirs:.3f}", "above", ours > theirs))
    return rows
