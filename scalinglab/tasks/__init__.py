"""Problems and how to grade them: the testbed's chains of facts and sums, and benchmarks read from files."""

from scalinglab.tasks.benchmark import FORMATS, Format, Item, read_items
from scalinglab.tasks.testbed import (
    SPLITS,
    Level,
    Problem,
    Split,
    complete,
    extract,
    grade,
    level_of,
    problems,
    rarest,
    solution,
    split_of,
    split_steps,
    step_is_right,
    tokens_of,
)

__all__ = [
    "FORMATS",
    "SPLITS",
    "Format",
    "Item",
    "Level",
    "Problem",
    "Split",
    "complete",
    "extract",
    "grade",
    "level_of",
    "problems",
    "rarest",
    "read_items",
    "solution",
    "split_of",
    "split_steps",
    "step_is_right",
    "tokens_of",
]
