"""Advice from a study: what to use for a target or a budget at a load; in FLOPs, in seconds and in dollars."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.advise.candidates import Asked, Candidate, asked, candidates
    from scalinglab.advise.choice import advise, tried
    from scalinglab.advise.costs import Cost, Hardware, costs_on, waiting
    from scalinglab.advise.gpus import GPUS, Gpu, Gpus, find_gpu, read_gpus
    from scalinglab.advise.hardware import (
        Seconds,
        Work,
        decode_seconds,
        prefill_seconds,
        query_seconds,
        split_of,
    )
    from scalinglab.advise.offers import offers
    from scalinglab.advise.outlay import Outlay, outlay
    from scalinglab.advise.prices import Rates, dollars, read_prices
    from scalinglab.advise.recommended import (
        EXTRAPOLATED,
        MEASURED,
        MIXED,
        Advice,
        Flip,
        Number,
        Option,
        Part,
    )
    from scalinglab.advise.split import Split, cheapest, said, samples_around
    from scalinglab.advise.validated import Validated, validated
    from scalinglab.advise.words import advice_sentences, cost_sentences
    from scalinglab.advise.work import Works, longest

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
    "Gpus",
    "Hardware",
    "Number",
    "Option",
    "Outlay",
    "Part",
    "Rates",
    "Seconds",
    "Split",
    "Validated",
    "Work",
    "Works",
    "advice_sentences",
    "advise",
    "asked",
    "candidates",
    "cheapest",
    "cost_sentences",
    "costs_on",
    "decode_seconds",
    "dollars",
    "find_gpu",
    "longest",
    "offers",
    "outlay",
    "prefill_seconds",
    "query_seconds",
    "read_gpus",
    "read_prices",
    "said",
    "samples_around",
    "split_of",
    "tried",
    "validated",
    "waiting",
]

lazy(__name__)
