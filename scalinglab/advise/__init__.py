"""Advice from a study: which model, strategy and budget for a target or a budget at a load; and in seconds."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.advise.candidates import Asked, Candidate, asked, candidates
    from scalinglab.advise.choice import (
        EXTRAPOLATED,
        MEASURED,
        MIXED,
        Advice,
        Flip,
        Number,
        Option,
        Part,
        advise,
        tried,
    )
    from scalinglab.advise.costs import Cost, costs_on
    from scalinglab.advise.hardware import (
        GPUS,
        Gpu,
        Work,
        decode_seconds,
        find_gpu,
        prefill_seconds,
        query_seconds,
    )
    from scalinglab.advise.validated import Validated, validated
    from scalinglab.advise.words import advice_sentences

__all__ = [
    "EXTRAPOLATED",
    "GPUS",
    "MEASURED",
    "MIXED",
    "Advice",
    "Asked",
    "Candidate",
    "Cost",
    "Flip",
    "Gpu",
    "Number",
    "Option",
    "Part",
    "Validated",
    "Work",
    "advice_sentences",
    "advise",
    "asked",
    "candidates",
    "costs_on",
    "decode_seconds",
    "find_gpu",
    "prefill_seconds",
    "query_seconds",
    "tried",
    "validated",
]

lazy(__name__)
