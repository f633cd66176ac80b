"""Problems and how to grade them: the testbed's chains of arithmetic, and benchmarks read from files."""

from scalinglab.tasks.benchmark import FORMATS, Format, Item, read_items
from scalinglab.tasks.testbed import (
    SPLITS,
    Level,
    Problem,
    Split,
    extract,
    grade,
    marred,
    problems,
    slipped,
    solution,
    split_of,
    split_steps,
    step_is_right,
)

__all__ = [
    "FORMATS",
    "SPLITS",
    "Format",
    "Item",
    "Level",
    "Problem",
    "Split",
    "extract",
    "grade",
    "marred",
    "problems",
    "read_items",
    "slipped",
    "solution",
    "split_of",
    "split_steps",
    "step_is_right",
]
