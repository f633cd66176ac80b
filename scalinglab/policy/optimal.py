"""The compute-optimal way to answer: in each difficulty bin and at each budget, the best arm, cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, Ints
from scalinglab.errors import DataError
from scalinglab.policy.bins import Bins
from scalinglab.policy.choosing import Mask, Places, best, crossed, redrawn, spread, weights

MEASURED, BELOW, ABOVE = "measured", "below every arm", "above every arm"
ALL = "all"
FEWEST_PROBLEMS = 6
"""Bins of fewer problems get no interval: a bootstrap of so few misses too often."""


@dataclass(frozen=True)
class Optimal:
    """The compute-optimal policy over measured arms.

    accuracy: of each problem at each budget, (problems, budgets), under arms that were chosen on other problems;
    in_sample: under the arm that is best on these very problems, which flatters; flops: of one query under the
    cross-validated choice, with what estimating difficulty costs where ``convention`` charges it. NaN where
    every arm costs more than the budget. chosen: the arm (a row of ``arms``) that is best on all problems of the
    bin, (bins, budgets), -1 where there is none.
    ``budget`` says what budgets count: "samples" (of the strategy, as the paper) or "flops" (of a query).
    draws: the mean accuracy over all problems and over each bin under resampled problems, on which arms are
    chosen anew, (draws, 1 + bins, budgets): an interval that held the choice fixed would miss too often.
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
    draws: Floats
    seed: int
    table: pd.DataFrame

    def groups(self) -> list[tuple[int | str, Places]]:
        """All problems, then each bin that holds any: a name and positions."""
        return [(ALL, np.arange(len(self.problems))), *self.bins.groups()]

    def difference(self, other: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean accuracy less ``other``'s over the same problems, and its paired 95 % ends; (1 + bins, budgets).

        other: (problems,), such as a large model's greedy accuracy, or (problems, budgets). Ends are NaN for
        bins of fewer than six problems.
        """
        other = np.broadcast_to(other.reshape(len(self.problems), -1), self.accuracy.shape)
        share = weights(len(self.problems), seed=self.seed)
        found = np.full((3, len(self.groups()), len(self.budgets)), np.nan)
        for g, (_, members) in enumerate(self.groups()):
            middle = (self.accuracy - other)[members].mean(axis=0)
            around = self.draws[:, g] - _means(share[:, members], share[:, members] @ other[members])
            found[0, g] = middle
            if len(members) >= FEWEST_PROBLEMS:
                found[1:, g] = np.clip(spread(middle, around, len(members)), -1, 1)
        return found[0], found[1], found[2]


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
    groups, share = bins.groups(), weights(len(arms.problems), seed=seed)
    values, flattered, paid = np.full((3, len(arms.problems), len(asked)), np.nan)
    chosen, kept = np.full((len(groups), len(asked)), -1), np.zeros((len(groups), len(asked)))
    sums = np.zeros((len(groups), len(share), len(asked)))
    rng = np.random.default_rng(seed)
    for g, (_, members) in enumerate(groups):
        here, costs = arms.accuracy[members], spent[members]
        may = _admitted(arms, costs, budget, asked)
        open_ = may.any(axis=0)
        chosen[g] = best(here.mean(axis=0)[None], costs, may)[0]
        picked = crossed(arms.accuracy, members, spent, may, folds, partitions, rng)
        kept[g] = (picked == chosen[g]).mean(axis=(0, 1))
        at = np.arange(len(members))[:, None]
        flattered[members] = np.where(open_, here[at, chosen[g]], np.nan)
        values[members] = np.where(open_, here[at, picked].mean(axis=0), np.nan)
        paid[members] = np.where(open_, costs[at, picked].mean(axis=0), np.nan)
        one = len(members) == 1
        again = (
            share[:, members] * values[members]
            if one
            else redrawn(here, costs, may, share[:, members], folds, rng)
        )
        sums[g] = np.where(open_, again, np.nan)
    means = [sums.sum(axis=0), *(_means(share[:, m], total) for (_, m), total in zip(groups, sums, strict=True))]
    found = Optimal(
        arms.convention, budget, bins, asked, arms.problems, arms.table, values, flattered, paid, chosen,
        np.stack(means, axis=1), seed, pd.DataFrame(),
    )  # fmt: skip
    return replace(found, table=pd.DataFrame(_rows(found, kept, spent)))


def arm_name(arm: pd.Series) -> str:
    """An arm in words: its model, strategy, setting, selector, verifier and samples."""
    setting = str(arm["setting"]).strip("{}").replace('"', "").replace(": ", "=")
    by = f" by {arm['verifier']}" if arm["verifier"] else ""
    what = f"{arm['strategy']}({setting})" if setting else arm["strategy"]
    return f"{arm['model']} {what} x{arm['budget']}, {arm['selector']}{by}"


def _admitted(arms: Arms, spent: Floats, budget: str, asked: Floats) -> Mask:
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


def _means(share: Floats, sums: Floats) -> Floats:
    """Weighted means from sums, (draws, budgets); the middle of the others where no problem was drawn."""
    whole = share.sum(axis=1, keepdims=True)
    drawn = whole[:, 0] > 0
    found = sums / np.where(whole > 0, whole, 1)
    found[~drawn] = found[drawn].mean(axis=0)
    return found


def _rows(found: Optimal, kept: Floats, spent: Floats) -> list[dict[str, Any]]:
    none = np.zeros_like(found.accuracy[:, 0])
    middle, low, high = found.difference(none)
    rows = []
    for g, (name, members) in enumerate(found.groups()):
        dearest = spent[members].mean(axis=0).max()
        for j, at in enumerate(found.budgets.tolist()):
            arm = -1 if name == ALL else int(found.chosen[g - 1, j])
            open_, above = not np.isnan(middle[g, j]), found.budget == "flops" and at > dearest
            row: dict[str, Any] = {"bin": name, "budget": int(at) if found.budget == "samples" else at}
            row["arm"] = arm_name(found.arms.iloc[arm]) if arm >= 0 else None
            row["kept"] = float(kept[g - 1, j]) if arm >= 0 else None
            row |= {"accuracy": _number(middle[g, j]), "low": _number(low[g, j]), "high": _number(high[g, j])}
            row |= {key: _number(getattr(found, key)[members, j].mean()) for key in ("in_sample", "flops")}
            row["status"] = BELOW if not open_ else ABOVE if above else MEASURED
            rows.append(row | {"convention": found.convention, "problems": len(members)})
    for row in rows:
        if row["low"] is not None:
            row |= {"low": max(row["low"], 0.0), "high": min(row["high"], 1.0)}
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


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
