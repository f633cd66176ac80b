"""Small with test-time compute against large without: a verdict per difficulty bin and R."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Ints, Pool, accuracy, interval, ratio_interval
from scalinglab.errors import DataError
from scalinglab.exchange.matching import Match
from scalinglab.policy import difficulty_bins, halves, spread

PAPER_R = (0.16, 0.79, 22.0)
TEST_TIME, PRETRAINING = "test-time", "pretraining"
UNDECIDED, OUTSIDE = "undecided", "outside measured budgets"
ALL = "all"
FEWEST_PROBLEMS = 6
"""Bins of fewer problems get no interval and no verdict: a bootstrap of so few misses too often."""
COMPARED = ("small", "large", "difference", "low", "high", "relative", "relative_low", "relative_high")


@dataclass(frozen=True)
class Exchange:
    """A matched comparison of a small model with test-time compute against a large model without.

    verdicts: one row a convention, bin and R. curves: the small model's accuracy at each budget and bin.
    ``unpriced``: conventions left out, each with its reason. ``notes``: what every number here rests on.
    """

    small: str
    large: str
    selector: str
    verdicts: pd.DataFrame
    curves: pd.DataFrame
    unpriced: dict[str, str]
    notes: tuple[str, ...]


def exchange(
    small: Pool,
    large: Pool,
    matches: Sequence[Match],
    *,
    selector: str = "coverage",
    r: Sequence[float] = PAPER_R,
    bins: int = 5,
    seed: int = 0,
    unpriced: dict[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Exchange:
    """Compare the small model at k(R) against one sample of the large one, per difficulty bin and R.

    Bins are set on one random half of the small model's samples; accuracies come from the other half.
    Accuracy between integer budgets is linear in log k; beyond the samples nothing is extrapolated.
    ``relative`` is small / large - 1, the bars of the paper's Fig. 1 (right), missing where large is 0.
    Raises DataError where the models did not answer the same problems.
    """
    if set(small.problems) != set(large.problems):
        shared = len(set(small.problems) & set(large.problems))
        raise DataError(
            f"{small.model} and {large.model} share {shared} of {len(small.problems)} and "
            f"{len(large.problems)} problems",
            "the same problems, so that differences are paired",
            "keep the problems both answered",
        )
    easy, scored = halves(small, seed=seed) if bins > 1 else (small, small)
    labels = difficulty_bins(easy.correct / easy.n, bins)
    rates = dict(zip(large.problems, large.correct / large.n, strict=True))
    reference = np.array([rates[problem] for problem in small.problems])
    points = [(match, float(at), match.k(at)) for match in matches for at in r]
    fewest = min(int(scored.n.min()), int(large.n.min()))
    values = _between(scored, selector, np.array([k for _, _, k in points]), seed)
    verdicts = [
        row
        for name, members in _groups(labels, bins)
        for row in _verdicts(points, values, reference, name, members, fewest, seed)
    ]
    frame = pd.DataFrame(verdicts).astype(dict.fromkeys(COMPARED, float))
    frame.insert(0, "strategy", selector)
    curves = _bin_curves(scored, selector, labels, bins, seed)
    caveats = _caveats(selector, large, bins)
    return Exchange(small.model, large.model, selector, frame, curves, unpriced or {}, (*caveats, *notes))


def sensitivity(verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row a strategy, bin and R: the verdict under each convention; ``flips`` where they contradict."""
    table = verdicts.pivot_table(
        index=["strategy", "bin", "R"], columns="convention", values="verdict", aggfunc="first", sort=False
    )
    flips = (table == TEST_TIME).any(axis=1) & (table == PRETRAINING).any(axis=1)
    return table.assign(flips=flips).reset_index().rename_axis(columns=None)


def _between(pool: Pool, selector: str, k: Floats, seed: int) -> Floats:
    """Accuracy at real budgets, (problems, budgets): linear in log k between integers, NaN outside 1..n."""
    inside = (k >= 1) & (k <= pool.n.min())
    low, high = np.floor(k[inside]), np.ceil(k[inside])
    budgets = np.unique(np.concatenate([low, high, [1]])).astype(np.int64)
    values, _ = accuracy(pool, selector, budgets.tolist(), seed=seed)
    share = np.log(k[inside] / low) / np.where(high > low, np.log(high / low), 1)
    below, above = (values[:, np.searchsorted(budgets, ends)] for ends in (low, high))
    result = np.full((len(pool.n), len(k)), np.nan)
    result[:, inside] = below + share * (above - below)
    return result


def _groups(labels: Ints, bins: int) -> list[tuple[str, Ints]]:
    """All problems, then each bin that holds any."""
    groups = [(ALL, np.arange(len(labels)))]
    if bins > 1:
        groups += [(str(i), np.flatnonzero(labels == i)) for i in range(1, bins + 1)]
    return [(name, members) for name, members in groups if len(members)]


def _verdicts(
    points: Sequence[tuple[Match, float, float]],
    values: Floats,
    reference: Floats,
    name: str,
    members: Ints,
    fewest: int,
    seed: int,
) -> list[dict[str, Any]]:
    small, large = values[members], np.broadcast_to(reference[members, None], values[members].shape)
    measured = np.asarray(~np.isnan(small).any(axis=0))
    found = iter(compare(small[:, measured], large[:, measured], fewest, seed))
    rows: list[dict[str, Any]] = []
    for inside, (match, r, k) in zip(measured, points, strict=True):
        row = {"bin": name, "R": r, "k": k, "convention": match.convention.name}
        row |= dict.fromkeys(COMPARED) | {"large": float(reference[members].mean())}
        row |= next(found) if inside else {"verdict": OUTSIDE}
        rows.append(row | {"problems": len(members)})
    return rows


def compare(small: Floats, large: Floats, fewest: int, seed: int) -> list[dict[str, Any]]:
    """The differences between paired columns, with intervals where the bin has problems enough.

    Where every problem of a bin agrees, resampling sees no doubt: with one sample a problem, equal models then
    differ "significantly" in a third of the bins. Two pseudo-problems above and below the mean bring that to
    the 5 % it should be. They stand off by the spread of the bin and by 1 / sqrt(n), what n samples, the fewest
    behind any rate, leave open (after Agresti & Min 2005, who add pseudo-observations to matched proportions).
    """
    columns, (means, references) = _compared(small, large), (small.mean(axis=0), large.mean(axis=0))
    if len(small) < FEWEST_PROBLEMS:
        return columns
    doubt = np.array([[1.0], [-1.0]]) * np.sqrt((small - large).var(axis=0, ddof=1) + 1 / fewest)
    above = np.concatenate([small, means + doubt])
    below = np.concatenate([large, references + 0 * doubt])
    ends, ratios = interval(above - below, seed=seed), ratio_interval(above, below, seed=seed)
    return _ended(columns, ends, (ratios[0] - 1, ratios[1] - 1))


def compare_chosen(small: Floats, large: Floats, ours: Floats, theirs: Floats) -> list[dict[str, Any]]:
    """As ``compare``, of a small side whose arms are chosen anew in each resample: means ``ours`` and ``theirs``.

    Both are (draws, columns), see ``Optimal.resamples``. Relative ends are missing where a resample leaves the
    large side nothing.
    """
    columns = _compared(small, large)
    if len(small) < FEWEST_PROBLEMS:
        return columns
    middle, level = (small - large).mean(axis=0), large.mean(axis=0)
    off = ours - theirs
    known = level * np.divide(off, theirs, out=np.full(off.shape, np.nan), where=theirs > 0)
    relative = [np.divide(end, level, out=np.full(len(level), np.nan), where=level > 0)
                for end in spread(middle, known, len(small))]  # fmt: skip
    return _ended(columns, spread(middle, off, len(small)), (relative[0], relative[1]))


def _compared(small: Floats, large: Floats) -> list[dict[str, Any]]:
    """The means of paired columns, without an interval or a verdict yet."""
    columns = []
    for mean, reference in zip(small.mean(axis=0).tolist(), large.mean(axis=0).tolist(), strict=True):
        relative = mean / reference - 1 if reference > 0 else None
        found = {"small": mean, "large": reference, "difference": mean - reference, "relative": relative}
        columns.append(found | {"verdict": UNDECIDED})
    return columns


def _ended(
    columns: Sequence[dict[str, Any]], ends: tuple[Floats, Floats], relative: tuple[Floats, Floats]
) -> list[dict[str, Any]]:
    rows = []
    for j, found in enumerate(columns):
        low, high = max(float(ends[0][j]), -1.0), min(float(ends[1][j]), 1.0)
        row = found | {"low": low, "high": high, "verdict": _verdict(low, high)}
        if found["relative"] is not None:
            least, most = (_finite(float(end[j])) for end in relative)
            row |= {"relative_low": None if least is None else max(least, -1.0), "relative_high": most}
        rows.append(row)
    return rows


def _verdict(low: float, high: float) -> str:
    if low <= 0 <= high:
        return UNDECIDED
    return TEST_TIME if low > 0 else PRETRAINING


def _caveats(selector: str, large: Pool, bins: int) -> list[str]:
    notes = []
    if selector == "coverage":
        notes.append("coverage: a perfect verifier picks the small model's answer; real ones reach less")
    if large.n.max() > 1:
        notes.append("large: its mean single-sample accuracy (pass@1) stands in for its greedy accuracy")
    if bins > 1:
        notes.append("bins: 1 is easiest; set on one half of the small model's samples, scored on the other")
    return notes


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bin_curves(pool: Pool, selector: str, labels: Ints, bins: int, seed: int) -> pd.DataFrame:
    """Accuracy at the powers of two within the samples, per bin, with intervals."""
    budgets = 2 ** np.arange(int(np.log2(pool.n.min())) + 1)
    values, _ = accuracy(pool, selector, budgets.tolist(), seed=seed)
    parts = []
    for name, members in _groups(labels, bins):
        nothing = np.full(len(budgets), np.nan)
        enough = len(members) >= FEWEST_PROBLEMS
        low, high = interval(values[members], seed=seed) if enough else (nothing, nothing)
        mean = values[members].mean(axis=0)
        columns = {
            "bin": name,
            "k": budgets,
            "accuracy": mean,
            "low": low,
            "high": high,
            "problems": len(members),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
