"""Difficulty bins, the compute-optimal choice per bin, allocation per question, and the gain over best-of-N."""

from scalinglab.optimal.agreement import Agreement, agreement
from scalinglab.optimal.allocate import Allocation, allocate, allocation, marginal_gains, shrunk
from scalinglab.optimal.bins import ORACLE, Bins, apart, bins_of, difficulty_bins, halves, mean_score
from scalinglab.policy.choosing import spread
from scalinglab.policy.gain import NOT_REACHED, OUTSIDE, REACHED, Gain, efficiency_gain, first_reach
from scalinglab.policy.optimal import ABOVE, BELOW, MEASURED, Optimal, arm_name, compute_optimal, optimal_under

__all__ = [
    "ABOVE",
    "BELOW",
    "MEASURED",
    "NOT_REACHED",
    "ORACLE",
    "OUTSIDE",
    "REACHED",
    "Agreement",
    "Allocation",
    "Bins",
    "Gain",
    "Optimal",
    "agreement",
    "allocate",
    "allocation",
    "apart",
    "arm_name",
    "bins_of",
    "compute_optimal",
    "difficulty_bins",
    "efficiency_gain",
    "first_reach",
    "halves",
    "marginal_gains",
    "mean_score",
    "optimal_under",
    "shrunk",
    "spread",
]
