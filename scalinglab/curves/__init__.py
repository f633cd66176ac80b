"""Samples x ledger -> accuracy against FLOPs, for each selector and budget, with intervals over problems."""

from scalinglab.curves.arms import ARM, Arms, arms_of, arms_under
from scalinglab.curves.costs import QueryCost, run_cost, spec_cost
from scalinglab.curves.curve import Curve, curve, table
from scalinglab.curves.estimators import best_of_k, pass_at_k
from scalinglab.curves.intervals import DRAWS, interval, ratio_interval, resampled, tails
from scalinglab.curves.pools import Floats, Graded, Ints, Pool, pool_from_counts, pool_from_run
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
    "interval",
    "pass_at_k",
    "pool_from_counts",
    "pool_from_run",
    "ratio_interval",
    "resampled",
    "run_cost",
    "spec_cost",
    "table",
    "tails",
    "vote_at_k",
]
