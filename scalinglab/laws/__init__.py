"""Functional forms with named parameters, bounds and starting points; ``fits`` fits them."""

from scalinglab.laws.accuracy import COMPUTE_COVERAGE, COVERAGE, DRIFTING, LOG_LOGISTIC, SATURATING
from scalinglab.laws.law import Floats, Inputs, Ints, Law, Parameter
from scalinglab.laws.lifetime import Allocation, allocate, cheapest
from scalinglab.laws.mixtures import BETA, KUMARASWAMY, SCALED_BETA
from scalinglab.laws.pretraining import CHINCHILLA, GADRE, KAPLAN, T2, T2_BETA

_ALL = (CHINCHILLA, KAPLAN, GADRE, T2, T2_BETA, COVERAGE, COMPUTE_COVERAGE, SATURATING, LOG_LOGISTIC, DRIFTING)
LAWS = {law.name: law for law in (*_ALL, BETA, SCALED_BETA, KUMARASWAMY)}

__all__ = [
    "BETA", "CHINCHILLA", "COMPUTE_COVERAGE", "COVERAGE", "DRIFTING", "GADRE", "KAPLAN", "KUMARASWAMY", "LAWS",
    "LOG_LOGISTIC", "SATURATING", "SCALED_BETA", "T2", "T2_BETA",
    "Allocation", "Floats", "Inputs", "Ints", "Law", "Parameter", "allocate", "cheapest",
]  # fmt: skip
