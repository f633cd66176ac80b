"""The compute-optimal way to answer: in each difficulty bin and at each budget, the best arm, cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Arms, Floats, Ints, interval
from scalinglab.errors import DataError
from scalinglab.policy.bins import Bins

MEASURED, BELOW, ABOVE = "measured", "below every arm", "above every arm"
ALL = "all"
FEWEST_PROBLEMS = 6
"""Bins of fewer problems get no interval: a bootstrap of so few misses too often."""
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Optimal:
    """The compute-optimal policy over measured arms.

    accuracy: of each problem at each budget, (problems, budgets), under arms that were chosen on other problems;
    in_sample: under the arm that is best on these very problems, which flatters; flops: of one query under the
    cross-validated choice, with what estimating difficulty costs where ``convention`` charges it. NaN where
    every arm costs more than the budget. chosen: the arm (a row of ``arms``) that is best on all problems of the
    bin, (bins, budgets), -1 where there is none.
    ``budget`` says what budgets count: "samples" (of the strategy, as the paper) or "flops" (of a query).
    """

    convention: str
    budget: str
    bins: Bins
    budgets: Floats
    problems: tuple[str, ...]
    arms: pd.DataFrame
    accuracy: Floats
    in_sample: Floats
    flops: Floats
    chosen: Ints
    table: pd.DataFrame


def compute_optimal(
    arms: Arms,
    bins: Bins,
    *,
    folds: int = 2,
    seed: int = 0,
    budget: Literal["samples", "flops"] = "samples",
    budgets: Sequence[float] | None = None,
    partitions: int = 20,
) -> Optimal:
    """The best arm for each bin and budget, chosen on the other folds of problems and scored on this one.

    Two folds are the paper's (section 3.2); accuracies are averaged over ``partitions`` seeded divisions into
    folds, which cuts the noise of any one. A budget in samples is met exactly, as in the paper, so that a curve
    need not rise; one in FLOPs admits every arm whose mean cost in the bin, with estimating difficulty where
    charged, is at most it. Ties go to the cheaper arm. A bin of one problem is chosen for on all others.
    Budgets default to those of the arms, or to doublings of the cheapest arm's FLOPs on top of
    estimating difficulty.

    table: one row a bin and budget, with the arm, the cross-validated accuracy and its 95 % interval over
    problems, the optimistic in-sample accuracy, and ``kept``: how often the folds chose that same arm.
    Raises DataError for bins of other problems or labels outside them, fewer than two folds, or a budget in
    samples that no arm has.
    """
    _check(arms, bins, folds)
    spent = arms.flops + bins.cost[:, None]
    asked = _budgets(arms, spent, budget, budgets)
    shape = (len(arms.problems), len(asked))
    values, flattered, paid = np.full((3, *shape), np.nan)
    groups = bins.groups()
    chosen, kept = np.full((len(groups), shape[1]), -1), np.zeros((len(groups), shape[1]))
    admitted = np.stack([_admitted(arms, spent[members], budget, asked) for _, members in groups])
    rng = np.random.default_rng(seed)
    for g, (_, members) in enumerate(groups):
        chosen[g] = _best(arms.accuracy[members].mean(axis=0)[None], spent[members], admitted[g])[0]
        picked = _picked(arms, members, spent, admitted[g], folds, partitions, rng)
        open_ = admitted[g].any(axis=0)
        flattered[np.ix_(members, open_)] = arms.accuracy[members][:, chosen[g, open_]]
        for source, target in ((arms.accuracy, values), (spent, paid)):
            found = source[members[:, None], picked[:, :, open_]].mean(axis=0)
            target[np.ix_(members, open_)] = found
        kept[g] = (picked == chosen[g]).mean(axis=(0, 1))
    found = Optimal(
        arms.convention, budget, bins, asked, arms.problems, arms.table, values, flattered, paid, chosen,
        pd.DataFrame(),
    )  # fmt: skip
    rows = _rows(found, kept, spent, seed)
    return Optimal(**{**vars(found), "table": pd.DataFrame(rows)})


def arm_name(arm: pd.Series) -> str:
    """An arm in words: its model, strategy, setting, selector, verifier and samples."""
    setting = str(arm["setting"]).strip("{}").replace('"', "").replace(": ", "=")
    by = f" by {arm['verifier']}" if arm["verifier"] else ""
    what = f"{arm['strategy']}({setting})" if setting else arm["strategy"]
    return f"{arm['model']} {what} x{arm['budget']}, {arm['selector']}{by}"


def _picked(
    arms: Arms,
    members: npt.NDArray[np.intp],
    spent: Floats,
    admitted: _Mask,
    folds: int,
    partitions: int,
    rng: np.random.Generator,
) -> Ints:
    """The arm chosen for each problem without it, (partitions, problems of the bin, budgets)."""
    size = len(members)
    if size == 1:
        others = np.setdiff1d(np.arange(len(arms.problems)), members)
        means = arms.accuracy[others].mean(axis=0)[None]
        return np.broadcast_to(_best(means, spent[members], admitted)[:, None], (partitions, 1, admitted.shape[1]))
    parts = min(folds, size)
    fold = rng.permuted(np.tile(np.arange(size) % parts, (partitions, 1)), axis=1)
    train = (fold[:, None, :] != np.arange(parts)[:, None]).astype(np.float64)
    means = (train / train.sum(axis=-1, keepdims=True)) @ arms.accuracy[members]
    best = _best(means.reshape(-1, means.shape[-1]), spent[members], admitted).reshape(partitions, parts, -1)
    return np.take_along_axis(best, fold[:, :, None], axis=1)


def _best(means: Floats, spent: Floats, admitted: _Mask) -> Ints:
    """The admitted arm of the highest mean at each budget, the cheaper of equals: (rows, budgets); -1: none."""
    order = np.argsort(spent.mean(axis=0), kind="stable")
    ranked = np.where(admitted[order][None], means[:, order, None].round(12), -1.0)
    best = order[ranked.argmax(axis=1)]
    return np.where(admitted.any(axis=0), best, -1)


def _admitted(arms: Arms, spent: Floats, budget: str, asked: Floats) -> _Mask:
    """Which arms a budget admits in a bin, (arms, budgets)."""
    if budget == "samples":
        return np.asarray(arms.table["budget"].to_numpy()[:, None] == asked)
    return np.asarray(spent.mean(axis=0)[:, None] <= asked * (1 + 1e-12))


def _budgets(arms: Arms, spent: Floats, budget: str, given: Sequence[float] | None) -> Floats:
    if budget not in ("samples", "flops"):
        raise DataError(f"a budget of {budget!r}", "samples or flops", "choose one")
    if budget == "samples":
        known = np.unique(arms.table["budget"].to_numpy(np.float64))
        asked = known if given is None else np.asarray(given, dtype=np.float64)
        if not np.isin(asked, known).all():
            listed = ", ".join(f"{k:g}" for k in known)
            raise DataError(f"budgets {asked.tolist()}", f"some of {listed}", "ask for measured ones")
        return asked
    if given is not None:
        return np.asarray(given, dtype=np.float64)
    costs, fixed = arms.flops.mean(axis=0), float((spent - arms.flops).mean())
    least = costs[costs > 0].min() if (costs > 0).any() else 1.0
    doublings = int(np.ceil(np.log2(max(costs.max() / least, 1.0)) - 1e-9)) + 1
    return np.asarray(fixed + least * 2.0 ** np.arange(doublings))


def _rows(found: Optimal, kept: Floats, spent: Floats, seed: int) -> list[dict[str, Any]]:
    whole = (ALL, np.arange(len(found.problems)), None)
    parts = [whole, *((b, members, g) for g, (b, members) in enumerate(found.bins.groups()))]
    rows = []
    for name, members, group in parts:
        open_ = ~np.isnan(found.accuracy[members]).any(axis=0)
        low, high = _ends(found.accuracy[members], open_, seed)
        dearest = spent[members].mean(axis=0).max()
        for j, at in enumerate(found.budgets.tolist()):
            arm = -1 if group is None else int(found.chosen[group, j])
            row: dict[str, Any] = {"bin": name, "budget": int(at) if found.budget == "samples" else at}
            row["arm"] = arm_name(found.arms.iloc[arm]) if arm >= 0 else None
            row["kept"] = float(kept[group, j]) if group is not None and arm >= 0 else None
            row |= dict.fromkeys(("accuracy", "low", "high", "in_sample", "flops"))
            if open_[j]:
                for key in ("accuracy", "in_sample", "flops"):
                    row[key] = float(getattr(found, key)[members, j].mean())
                row |= {"low": low[j], "high": high[j]}
            above = found.budget == "flops" and at > dearest
            row["status"] = BELOW if not open_[j] else ABOVE if above else MEASURED
            rows.append(row | {"convention": found.convention, "problems": len(members)})
    return rows


def _ends(values: Floats, open_: _Mask, seed: int) -> tuple[list[float | None], list[float | None]]:
    """95 % intervals of the mean at each budget; None where nothing was measured, or of too few problems."""
    ends: list[list[float | None]] = [[None] * values.shape[1], [None] * values.shape[1]]
    if len(values) >= FEWEST_PROBLEMS and open_.any():
        for side, found in zip(ends, interval(values[:, open_], seed=seed), strict=True):
            for j, end in zip(np.flatnonzero(open_), found.tolist(), strict=True):
                side[j] = end
    return ends[0], ends[1]


def _check(arms: Arms, bins: Bins, folds: int) -> None:
    if arms.problems != bins.problems:
        raise DataError(
            f"bins of {len(bins.problems)} problems for arms over {len(arms.problems)}",
            "the same problems in the same order",
            "set the bins on the same run",
        )
    if arms.table.empty or len(arms.problems) < 2:
        raise DataError(
            f"{len(arms.table)} arms over {len(arms.problems)} problems", "an arm and two problems", "collect more"
        )
    if ((bins.labels < 1) | (bins.labels > bins.count)).any():
        raise DataError("labels outside the bins", f"whole numbers from 1 to {bins.count}", "mend labels or count")
    if folds < 2:
        raise DataError(f"{folds} folds", "two or more, so that no arm is chosen by what scores it", "raise folds")
