"""Difficulty bins, the compute-optimal strategy, allocation per question, and the gain over parallel sampling."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.optimal.agreement import Agreement, agreement
    from scalinglab.optimal.allocate import Allocation, allocate, allocation, marginal_gains, shrunk
    from scalinglab.optimal.bins import ORACLE, Bins, difficulty_bins, halves, mean_score
    from scalinglab.optimal.compute import RESAMPLES, compute_optimal
    from scalinglab.optimal.gain import MIXTURE, NOT_REACHED, OUTSIDE, REACHED, STEP, Gain, first_reach, gains
    from scalinglab.optimal.mechanisms import Mechanism, chain_length, mechanisms
    from scalinglab.optimal.mixtures import CANNOT_PAY, LOWER_BOUND, MEASURED, Mixture, mixture
    from scalinglab.optimal.readings import FEWEST_PROBLEMS, Configurations, Reading, calmed, ends
    from scalinglab.optimal.strategy import ALL, Optimal, averaged
    from scalinglab.optimal.words import Part, arm_name, described

__all__ = [
    "ALL",
    "CANNOT_PAY",
    "FEWEST_PROBLEMS",
    "LOWER_BOUND",
    "MEASURED",
    "MIXTURE",
    "NOT_REACHED",
    "ORACLE",
    "OUTSIDE",
    "REACHED",
    "RESAMPLES",
    "STEP",
    "Agreement",
    "Allocation",
    "Bins",
    "Configurations",
    "Gain",
    "Mechanism",
    "Mixture",
    "Optimal",
    "Part",
    "Reading",
    "agreement",
    "allocate",
    "allocation",
    "arm_name",
    "averaged",
    "calmed",
    "chain_length",
    "compute_optimal",
    "described",
    "difficulty_bins",
    "ends",
    "first_reach",
    "gains",
    "halves",
    "marginal_gains",
    "mean_score",
    "mechanisms",
    "mixture",
    "shrunk",
]

lazy(__name__)
