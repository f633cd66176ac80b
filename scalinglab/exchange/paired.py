"""Small against large on paired problems: differences, their 95 % intervals, and a verdict in a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Floats, Ints, interval, ratio_interval, simultaneous

PAPER_R = (0.16, 0.79, 22.0)
TEST_TIME: str = "test-time"
PRETRAINING: str = "pretraining"
UNDECIDED: str = "undecided"
CANNOT_PAY: str = "cannot pay"
OUTSIDE: str = "outside measured budgets"
"""The small side's training, or its cheapest answer, costs more than the large model's lifetime: pretraining wins.
Outside: no budget that was measured stands for this R, and no smaller one already wins."""
FEWEST_PROBLEMS = 6
"""Groups of fewer problems get no interval and no verdict: a bootstrap of so few misses too often.

Of a bin that is set on several splits its mean number in one (``Group.size``) counts, which every row calls its
problems: the union over splits is never compared at once, and by the smallest the ties of one split would decide
over a mean of all of them.
"""
COMPARED = ("small", "large", "difference", "low", "high", "relative", "relative_low", "relative_high")


def pointwise(
    small: Floats, large: Floats, fewest: Floats, noise: Floats, *, problems: int, seed: int, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """Paired columns (members, points) compared one by one: see ``COMPARED``, and a verdict.

    problems: of a group, by its size; draws: resamples of them. fewest: samples behind any rate of each column;
    noise: the variance of its mean that comes from subsampling votes. Where every problem of a group agrees,
    resampling sees no doubt: with one sample a problem, equal models then differ "significantly" in a third of
    the bins. Two pseudo-problems above and below the mean bring that to the 5 % it should be. They stand off by
    the spread of the group and by 1 / sqrt(n), what n samples, the fewest behind any rate, leave open (after
    Agresti & Min 2005, who add pseudo-observations to matched proportions).
    """
    means, references = small.mean(axis=0), large.mean(axis=0)
    rows = _means(means, references)
    if problems < FEWEST_PROBLEMS:
        return rows
    off = np.array([[1.0], [-1.0]]) * np.sqrt((small - large).var(axis=0, ddof=1) + 1 / fewest)
    above, below = np.concatenate([small, means + off]), np.concatenate([large, references + 0 * off])
    ends = widened(means - references, interval(above - below, draws=draws, seed=seed), noise)
    ratios = ratio_interval(above, below, draws=draws, seed=seed)
    level = np.where(references > 0, references, np.nan)
    relative = widened(means / level, ratios, noise / level**2)
    return _ended(rows, ends, (relative[0] - 1, relative[1] - 1))


def chosen(
    small: Floats, large: Floats, apart: Floats, *, problems: Ints, sizes: Floats, noise: Floats, fewest: int,
    family: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of a headline: arms chosen anew in each resample, and 95 % intervals that hold for all rows at once.

    small, large: the mean of each row. apart: their difference under each of the same resamples, (draws, rows):
    having half the problems to choose on it can lie off the difference, and only its spread is an estimate.
    problems: of each row, by its group's size; sizes: effective problems of each row (see ``Group.effective``);
    noise: the variance that subsampling votes adds. fewest: samples behind any rate. Relative ends are those of
    the difference over the large side's mean. family: see ``simultaneous``.
    """
    rows = _means(small, large)
    enough = np.flatnonzero(problems >= FEWEST_PROBLEMS)
    if not len(enough):
        return rows
    middle, level = (small - large)[enough], large[enough]
    ends = simultaneous(
        apart[:, enough], middle, problems=sizes[enough], extra=np.sqrt(noise[enough]), fewest=fewest,
        family=None if family is None else int((enough < family).sum()),
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = [np.where(level > 0, end / level, np.nan) for end in ends]
    found = _ended([rows[i] for i in enough], ends, (relative[0], relative[1]))
    for i, row in zip(enough.tolist(), found, strict=True):
        rows[i] = row
    return rows


def widened(middle: Floats, ends: tuple[Floats, Floats], noise: Floats) -> tuple[Floats, Floats]:
    """The ends of an interval moved out by 1.96 standard errors of independent noise of this variance."""
    spread = 1.959964 * np.sqrt(noise)
    return middle - np.hypot(middle - ends[0], spread), middle + np.hypot(ends[1] - middle, spread)


def sensitivity(verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row a strategy, bin and R: the verdict under each convention; ``flips`` where they contradict.

    Where the small side cannot pay under one convention, pretraining wins there.
    """
    table = verdicts.pivot_table(
        index=["strategy", "bin", "R"], columns="convention", values="verdict", aggfunc="first", sort=False
    )
    against = table.isin([PRETRAINING, CANNOT_PAY]).any(axis=1)
    return table.assign(flips=(table == TEST_TIME).any(axis=1) & against).reset_index().rename_axis(columns=None)


def _means(small: Floats, large: Floats) -> list[dict[str, Any]]:
    """Paired means, (rows,), without an interval or a verdict yet."""
    rows = []
    for mean, reference in zip(small.tolist(), large.tolist(), strict=True):
        relative = mean / reference - 1 if reference > 0 else None
        found = {"small": mean, "large": reference, "difference": mean - reference, "relative": relative}
        rows.append(found | {"verdict": UNDECIDED})
    return rows


def _ended(
    rows: Sequence[dict[str, Any]], ends: tuple[Floats, Floats], relative: tuple[Floats, Floats]
) -> list[dict[str, Any]]:
    found = []
    for j, row in enumerate(rows):
        low, high = max(float(ends[0][j]), -1.0), min(float(ends[1][j]), 1.0)
        one = row | {"low": low, "high": high, "verdict": _verdict(low, high)}
        if row["relative"] is not None:
            least, most = (float(end[j]) if np.isfinite(end[j]) else None for end in relative)
            one |= {"relative_low": None if least is None else max(least, -1.0), "relative_high": most}
        found.append(one)
    return found


def _verdict(low: float, high: float) -> str:
    if low <= 0 <= high:
        return UNDECIDED
    return TEST_TIME if low > 0 else PRETRAINING
