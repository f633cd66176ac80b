"""The compute-optimal way to answer: in each difficulty bin and at each budget, the best arm, cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Arms, Floats, Ints
from scalinglab.errors import DataError
from scalinglab.optimal.bins import Bins
from scalinglab.policy.choosing import Mask, Places, best, crossed, redrawn, rounded, spread, weights

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

    def difference(self, other: Floats, *, blend: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """Mean accuracy less ``other``'s over the same problems, and its paired 95 % ends; (1 + bins, points).

        other: (problems,), such as a large model's greedy accuracy, or (problems, points). Points are the budgets,
        or with ``blend``, (budgets, points), as many weighted means of them. Ends are NaN for bins of fewer than
        six problems.
        """
        own = self.accuracy if blend is None else self.accuracy @ blend
        other = np.broadcast_to(other.reshape(len(self.problems), -1), own.shape)
        found = np.full((3, len(self.groups()), own.shape[1]), np.nan)
        for g, (_, members) in enumerate(self.groups()):
            middle = (own - other)[members].mean(axis=0)
            found[0, g] = middle
            if len(members) >= FEWEST_PROBLEMS:
                ours, theirs = self.resamples(g, other, blend=blend)
                found[1:, g] = np.clip(spread(middle, ours - theirs, len(members)), -1, 1)
        return found[0], found[1], found[2]

    def resamples(self, g: int, other: Floats, *, blend: Floats | None = None) -> tuple[Floats, Floats]:
        """Means over the g-th of ``groups`` under each resample: of accuracy, arms chosen anew, and of ``other``.

        (draws, points) and (draws, columns) for an ``other`` of (problems, columns). Having half the problems to
        choose on, the first can lie off the accuracy it belongs to: only its spread is an estimate.
        """
        ours, (_, members) = self.draws[:, g], self.groups()[g]
        share = weights(len(self.problems), seed=self.seed)[:, members]
        return ours if blend is None else ours @ blend, _means(share, share @ other[members])


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
    case = (arms, bins, budgets)
    return optimal_under([case], folds=folds, seed=seed, budget=budget, partitions=partitions)[0]


def optimal_under(
    cases: Sequence[tuple[Arms, Bins, Sequence[float] | None]],
    *,
    folds: int = 2,
    seed: int = 0,
    budget: Literal["samples", "flops"] = "samples",
    partitions: int = 20,
) -> list[Optimal]:
    """``compute_optimal`` of arms, bins and budgets whose accuracies and labels are one, whatever each costs."""
    for arms, bins, _ in cases:
        _check(arms, bins, folds)
    arms, bins, _ = cases[0]
    works = [_begun(*case, budget) for case in cases]
    share, rng = weights(len(arms.problems), seed=seed), np.random.default_rng(seed)
    for g, (_, members) in enumerate(bins.groups()):
        same = [deepcopy(rng) for _ in works]
        for work, own in zip(works, same, strict=True):
            _choose(work, g, members, folds, partitions, own)
        rng = same[0]
        if len(members) == 1:
            again = [share[:, members] * work.accuracy[members] for work in works]
        else:
            costs = [(work.spent[members], work.admitted(members)) for work in works]
            again = redrawn(arms.accuracy[members], costs, share[:, members], folds, rng)
        for work, sums in zip(works, again, strict=True):
            work.sums[g] = np.where(work.admitted(members).any(axis=0), sums, np.nan)
    return [_ended(work, share, seed) for work in works]


@dataclass(frozen=True)
class _Work:
    """One case of ``optimal_under`` on the way: its arrays are filled a bin at a time (see ``Optimal``).

    kept: how often the folds chose ``chosen``; sums: of accuracy over each bin's problems in each resample.
    """

    arms: Arms
    bins: Bins
    budget: str
    spent: Floats
    asked: Floats
    accuracy: Floats
    in_sample: Floats
    paid: Floats
    chosen: Ints
    kept: Floats
    sums: Floats

    def admitted(self, members: Places) -> Mask:
        """Which arms a budget admits in a bin, (arms, budgets)."""
        if self.budget == "samples":
            return np.asarray(self.arms.table["budget"].to_numpy()[:, None] == self.asked)
        return np.asarray(self.spent[members].mean(axis=0)[:, None] <= self.asked * (1 + 1e-12))


def _begun(arms: Arms, bins: Bins, budgets: Sequence[float] | None, budget: str) -> _Work:
    spent = arms.flops + bins.cost[:, None]
    asked, groups = _budgets(arms, spent, budget, budgets), len(bins.groups())
    accuracy, in_sample, paid = np.full((3, len(arms.problems), len(asked)), np.nan)
    chosen, kept = np.full((groups, len(asked)), -1), np.zeros((groups, len(asked)))
    sums = np.zeros((groups, DRAWS, len(asked)))
    return _Work(arms, bins, budget, spent, asked, accuracy, in_sample, paid, chosen, kept, sums)


def _choose(work: _Work, g: int, members: Places, folds: int, partitions: int, rng: np.random.Generator) -> None:
    here, costs, may = work.arms.accuracy[members], work.spent[members], work.admitted(members)
    open_ = may.any(axis=0)
    work.chosen[g] = best(rounded(here.mean(axis=0)[None]), costs, may)[0]
    picked = crossed(work.arms.accuracy, members, work.spent, may, folds, partitions, rng)
    work.kept[g] = (picked == work.chosen[g]).mean(axis=(0, 1))
    at = np.arange(len(members))[:, None]
    work.in_sample[members] = np.where(open_, here[at, work.chosen[g]], np.nan)
    work.accuracy[members] = np.where(open_, here[at, picked].mean(axis=0), np.nan)
    work.paid[members] = np.where(open_, costs[at, picked].mean(axis=0), np.nan)


def _ended(work: _Work, share: Floats, seed: int) -> Optimal:
    groups = work.bins.groups()
    means = [_means(share[:, m], total) for (_, m), total in zip(groups, work.sums, strict=True)]
    found = Optimal(
        work.arms.convention, work.budget, work.bins, work.asked, work.arms.problems, work.arms.table,
        work.accuracy, work.in_sample, work.paid, work.chosen, np.stack([work.sums.sum(axis=0), *means], axis=1),
        seed, pd.DataFrame(),
    )  # fmt: skip
    return replace(found, table=pd.DataFrame(_rows(found, work.kept, work.spent)))


def arm_name(arm: pd.Series) -> str:
    """An arm in words: its model, strategy, setting, selector, verifier and samples."""
    setting = str(arm["setting"]).strip("{}").replace('"', "").replace(": ", "=")
    by = f" by {arm['verifier']}" if arm["verifier"] else ""
    what = f"{arm['strategy']}({setting})" if setting else arm["strategy"]
    return f"{arm['model']} {what} x{arm['budget']}, {arm['selector']}{by}"


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
