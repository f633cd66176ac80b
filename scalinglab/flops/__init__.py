"""Closed-form FLOPs of a spec under a named accounting Convention. One FLOP is one multiply or one add."""

from scalinglab.flops.conventions import AXES, CONVENTIONS, Convention, axes_over, convention, with_axes
from scalinglab.flops.counting import (
    Breakdown,
    cost,
    decode,
    decode_steps,
    first_logit,
    forward,
    prefill,
    step_by_step,
    total,
    whole,
)
from scalinglab.flops.work import compare_conventions, compare_training, components, query, training

__all__ = [
    "AXES",
    "CONVENTIONS",
    "Breakdown",
    "Convention",
    "axes_over",
    "compare_conventions",
    "compare_training",
    "components",
    "convention",
    "cost",
    "decode",
    "decode_steps",
    "first_logit",
    "forward",
    "prefill",
    "query",
    "step_by_step",
    "total",
    "training",
    "whole",
    "with_axes",
]
