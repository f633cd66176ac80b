"""What every strategy of a study reaches at each of its budgets: the lines behind the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import interval
from scalinglab.exchange.frontier import Family, families
from scalinglab.exchange.studies import StudyData, View
from scalinglab.exchange.verdicts import FEWEST_PROBLEMS


def study_curves(views: Sequence[View], study: StudyData, *, seed: int = 0) -> pd.DataFrame:
    """One row a group of problems, strategy and budget: accuracy with its 95 % interval and FLOPs a query.

    kind: the strategy without its parameters; k: the budget in samples (missing: a policy's, which is FLOPs);
    flops: the mean over the group under the view's convention; in_sample: a policy's accuracy under the arms that
    are best on the very problems that score it, which flatters. Groups of fewer than six problems
    have no interval.
    """
    rows = [row for view in views for row in _rows(view, families(view.arms, study), seed)]
    return pd.DataFrame(rows).astype(dict.fromkeys(("k", "accuracy", "low", "high", "in_sample", "flops"), float))


def _rows(view: View, own: Sequence[Family], seed: int) -> Iterator[dict[str, Any]]:
    for g, (name, members) in enumerate(view.groups):
        accuracy, flops = view.arms.accuracy[members], view.arms.flops[members].mean(axis=0)
        low, high = np.full((2, accuracy.shape[1]), np.nan)
        if view.policy is None and len(members) >= FEWEST_PROBLEMS:
            low, high = interval(accuracy, seed=seed)
        if view.policy is not None:  # its arms come first, and are chosen anew in each resample
            ends, budgets = view.policy.table, len(view.policy.budgets)
            rows = slice(g * budgets, (g + 1) * budgets)
            low[:budgets], high[:budgets] = (ends[end].to_numpy(np.float64)[rows] for end in ("low", "high"))
        for family in own:
            for k, at in zip(family.budgets.tolist(), family.columns.tolist(), strict=True):
                hindsight = None if view.policy is None else float(view.policy.in_sample[members, at].mean())
                yield {
                    "bin": name, "kind": family.strategy, "strategy": family.label, "verifier": family.verifier,
                    "selector": family.selector, "k": k, "accuracy": float(accuracy[:, at].mean()),
                    "low": low[at], "high": high[at], "in_sample": hindsight, "flops": flops[at],
                    "convention": view.arms.convention, "problems": len(members),
                }  # fmt: skip
