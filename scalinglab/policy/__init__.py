"""Difficulty bins, the compute-optimal choice per bin, allocation per question, and the gain over best-of-N."""

from scalinglab.policy.bins import ORACLE, Bins, apart, bins_of, difficulty_bins, halves, mean_score
from scalinglab.policy.optimal import ABOVE, BELOW, MEASURED, Optimal, arm_name, compute_optimal

__all__ = [
    "ABOVE",
    "BELOW",
    "MEASURED",
    "ORACLE",
    "Bins",
    "Optimal",
    "apart",
    "arm_name",
    "bins_of",
    "compute_optimal",
    "difficulty_bins",
    "halves",
    "mean_score",
]
