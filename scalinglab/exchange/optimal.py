"""The compute-optimal policy as arms of its own: at each allowance of FLOPs, the best strategy of each bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from scalinglab.curves import ARM, Floats
from scalinglab.exchange.frontier import POLICY
from scalinglab.exchange.studies import StudyData, View, side_by_side
from scalinglab.exchange.verdicts import ALL
from scalinglab.policy import Bins, compute_optimal

ALLOWANCES = 12
"""Budgets at which the policy chooses, evenly apart in log FLOPs."""


def policy_view(view: View, study: StudyData, *, seed: int = 0) -> View | None:
    """The policy beside the large model's arms, over all problems and in the view's bins.

    Its arms cost their allowance of FLOPs a query, estimating difficulty included where that is charged; in each
    bin it answers by the arm that was best on other problems (see ``compute_optimal``). None where the view has no
    bins, or no two allowances at which every bin has an arm.
    """
    table = view.arms.table
    mine = view.arms.where((table["model"] == study.small) | (table["role"] == "reviser"))
    if view.bins is None or mine.table.empty:
        return None
    allowances = _allowances(mine.flops + view.bins.cost[:, None], view.bins)
    if allowances is None:
        return None
    found = compute_optimal(mine, view.bins, budget="flops", budgets=allowances.tolist(), seed=seed)
    rows = [("policy", study.small, POLICY, "{}", "", "compute-optimal", np.nan)] * len(allowances)
    own = replace(
        mine,
        table=pd.DataFrame(rows, columns=list(ARM)),
        accuracy=found.accuracy,
        flops=np.tile(allowances, (len(mine.problems), 1)),
    )
    rivals = view.arms.where(table["model"] == study.large)
    groups = [(ALL, np.arange(len(mine.problems))), *view.groups]
    return View(side_by_side(own, rivals), groups, view.lifetime)


def _allowances(spent: Floats, bins: Bins) -> Floats | None:
    """From the least at which every bin has an arm to the dearest arm of any bin."""
    costs = np.array([spent[members].mean(axis=0) for _, members in bins.groups()])
    least, most = float(costs.min(axis=1).max()), float(costs.max())
    return np.geomspace(least * (1 + 1e-9), most, ALLOWANCES) if 0 < least < most else None
