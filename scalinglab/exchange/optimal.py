"""The compute-optimal policy as arms of its own: at each allowance of FLOPs, the best strategy of each bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from scalinglab.curves import ARM, Arms, Floats
from scalinglab.exchange.frontier import POLICY
from scalinglab.exchange.studies import StudyData, View, side_by_side
from scalinglab.exchange.verdicts import ALL
from scalinglab.policy import Bins, Optimal, optimal_under

ALLOWANCES = 12
"""Budgets at which the policy chooses, evenly apart in log FLOPs."""


def policy_views(found: Sequence[View], study: StudyData, *, seed: int = 0) -> list[View]:
    """Of each view in bins, the policy beside the large model's arms, over all problems and in the bins.

    Its arms cost their allowance of FLOPs a query, estimating difficulty included where that is charged; in each
    bin it answers by the arm that was best on other problems (see ``compute_optimal``). Views of which no two
    allowances leave every bin an arm are left out. The views are of one study, and differ in costs alone.
    """
    cases = []
    for view in found:
        table = view.arms.table
        mine = view.arms.where((table["model"] == study.small) | (table["role"] == "reviser"))
        if view.bins is not None and len(mine.table):
            allowances = _allowances(mine.flops + view.bins.cost[:, None], view.bins)
            if allowances is not None:
                cases.append((view, mine, view.bins, allowances))
    if not cases:
        return []
    chosen = optimal_under([(mine, bins, at.tolist()) for _, mine, bins, at in cases], budget="flops", seed=seed)
    return [_policy(view, mine, best, study) for (view, mine, _, _), best in zip(cases, chosen, strict=True)]


def _policy(view: View, mine: Arms, best: Optimal, study: StudyData) -> View:
    rows = [("policy", study.small, POLICY, "{}", "", "compute-optimal", np.nan)] * len(best.budgets)
    own = replace(
        mine,
        table=pd.DataFrame(rows, columns=list(ARM)),
        accuracy=best.accuracy,
        flops=np.tile(best.budgets, (len(mine.problems), 1)),
    )
    rivals = view.arms.where(view.arms.table["model"] == study.large)
    groups = [(ALL, np.arange(len(mine.problems))), *view.groups]
    return View(side_by_side(own, rivals), groups, view.lifetime, policy=best)


def _allowances(spent: Floats, bins: Bins) -> Floats | None:
    """From the least at which every bin has an arm to the dearest arm of any bin."""
    costs = np.array([spent[members].mean(axis=0) for _, members in bins.groups()])
    least, most = float(costs.min(axis=1).max()), float(costs.max())
    return np.geomspace(least * (1 + 1e-9), most, ALLOWANCES) if 0 < least < most else None
