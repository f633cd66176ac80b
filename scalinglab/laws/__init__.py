"""Functional forms with named parameters, bounds and starting points; ``fits`` fits them."""

from scalinglab.laws.accuracy import COMPUTE_COVERAGE, COVERAGE, DRIFTING, LOG_LOGISTIC, SATURATING
from scalinglab.laws.law import Floats, Inputs, Law, Parameter
from scalinglab.laws.pretraining import CHINCHILLA, KAPLAN, T2

LAWS = {
    law.name: law
    for law in (CHINCHILLA, KAPLAN, T2, COVERAGE, COMPUTE_COVERAGE, SATURATING, LOG_LOGISTIC, DRIFTING)
}

__all__ = [
    "CHINCHILLA", "COMPUTE_COVERAGE", "COVERAGE", "DRIFTING", "KAPLAN", "LAWS", "LOG_LOGISTIC", "SATURATING", "T2",
    "Floats", "Inputs", "Law", "Parameter",
]  # fmt: skip
