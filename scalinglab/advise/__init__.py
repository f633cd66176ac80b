"""Advice from a study: which model, strategy and budget for a target or a budget at a load; and in seconds."""

from scalinglab.advise.candidates import Candidate, candidates
from scalinglab.advise.choice import (
    EXTRAPOLATED,
    INTERPOLATED,
    MEASURED,
    Advice,
    Flip,
    Number,
    Option,
    advise,
)
from scalinglab.advise.costs import Cost, costs_on
from scalinglab.advise.hardware import GPUS, Gpu, Work, decode_seconds, find_gpu, prefill_seconds, query_seconds
from scalinglab.advise.validated import Validated, validated

__all__ = [
    "EXTRAPOLATED",
    "GPUS",
    "INTERPOLATED",
    "MEASURED",
    "Advice",
    "Candidate",
    "Cost",
    "Flip",
    "Gpu",
    "Number",
    "Option",
    "Validated",
    "Work",
    "advise",
    "candidates",
    "costs_on",
    "decode_seconds",
    "find_gpu",
    "prefill_seconds",
    "query_seconds",
    "validated",
]
