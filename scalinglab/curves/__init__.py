"""Evidence -> arms: accuracy against FLOPs of every way to answer, as lines, with intervals over problems."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.curves.alike import alike, beside, repeated, rows_of
    from scalinglab.curves.arms import ARM, Arms, Asked, arms_from, arms_of, asked
    from scalinglab.curves.costs import QueryCost, spec_cost
    from scalinglab.curves.efforts import THINK
    from scalinglab.curves.estimators import best_of_k, pass_at_k
    from scalinglab.curves.intervals import (
        DRAWS,
        MOST_UNITS,
        doubt,
        draw_counts,
        interval,
        over_seeds,
        ratio_interval,
        resampled,
        simultaneous,
        tails,
        weights,
    )
    from scalinglab.curves.lines import (
        BELOW,
        BOUND,
        CANNOT,
        MEASURED,
        Group,
        Line,
        Reading,
        label_of,
        lines_of,
        read,
        scanned,
        values_of,
        whole_numbers,
    )
    from scalinglab.curves.mixtures import first_reach, held, reached, shares
    from scalinglab.curves.pools import (
        Floats,
        Graded,
        Ints,
        Pool,
        pool_from_counts,
        pool_from_run,
        pools_from_counts,
    )
    from scalinglab.curves.prices import Price, checking, from_tokens
    from scalinglab.curves.readers import Efforts, Finals, Placed, Reader, Sampled
    from scalinglab.curves.selectors import CHAINS, FINALS, INDEPENDENT, SELECTORS, Selector, accuracy
    from scalinglab.curves.votes import vote_at_k
    from scalinglab.curves.way import Way
    from scalinglab.curves.ways import coverage_pools, singles_of, ways_of

__all__ = [
    "ARM",
    "BELOW",
    "BOUND",
    "CANNOT",
    "CHAINS",
    "DRAWS",
    "FINALS",
    "INDEPENDENT",
    "MEASURED",
    "MOST_UNITS",
    "SELECTORS",
    "THINK",
    "Arms",
    "Asked",
    "Efforts",
    "Finals",
    "Floats",
    "Graded",
    "Group",
    "Ints",
    "Line",
    "Placed",
    "Pool",
    "Price",
    "QueryCost",
    "Reader",
    "Reading",
    "Sampled",
    "Selector",
    "Way",
    "accuracy",
    "alike",
    "arms_from",
    "arms_of",
    "asked",
    "beside",
    "best_of_k",
    "checking",
    "coverage_pools",
    "doubt",
    "draw_counts",
    "first_reach",
    "from_tokens",
    "held",
    "interval",
    "label_of",
    "lines_of",
    "over_seeds",
    "pass_at_k",
    "pool_from_counts",
    "pool_from_run",
    "pools_from_counts",
    "ratio_interval",
    "reached",
    "read",
    "repeated",
    "resampled",
    "rows_of",
    "scanned",
    "shares",
    "simultaneous",
    "singles_of",
    "spec_cost",
    "tails",
    "values_of",
    "vote_at_k",
    "ways_of",
    "weights",
    "whole_numbers",
]

lazy(__name__)
