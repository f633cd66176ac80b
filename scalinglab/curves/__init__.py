"""Samples x ledger -> accuracy against FLOPs, for each selector and budget, with intervals over problems."""

from scalinglab.curves.arms import ARM, Arms, arms_of, arms_under
from scalinglab.curves.costs import QueryCost, run_cost, spec_cost
from scalinglab.curves.curve import Curve, curve, table
from scalinglab.curves.estimators import best_of_k, pass_at_k
from scalinglab.curves.intervals import (
    DRAWS,
    doubt,
    interval,
    pointwise,
    ratio_interval,
    resampled,
    simultaneous,
    tails,
    weights,
)
from scalinglab.curves.pools import Floats, Graded, Ints, Pool, pool_from_counts, pool_from_run, pools_from_counts
from scalinglab.curves.selectors import CHAINS, FINALS, INDEPENDENT, SELECTORS, Selector, accuracy
from scalinglab.curves.votes import vote_at_k

__all__ = [
    "ARM",
    "CHAINS",
    "DRAWS",
    "FINALS",
    "INDEPENDENT",
    "SELECTORS",
    "Arms",
    "Curve",
    "Floats",
    "Graded",
    "Ints",
    "Pool",
    "QueryCost",
    "Selector",
    "accuracy",
    "arms_of",
    "arms_under",
    "best_of_k",
    "curve",
    "doubt",
    "interval",
    "pass_at_k",
    "pointwise",
    "pool_from_counts",
    "pool_from_run",
    "pools_from_counts",
    "ratio_interval",
    "resampled",
    "run_cost",
    "simultaneous",
    "spec_cost",
    "table",
    "tails",
    "vote_at_k",
    "weights",
]
