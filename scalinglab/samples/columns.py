"""The columns of tables that others write: found by their common names, and refused by the row that cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.errors import DataError

TASK = ("task", "benchmark")
GRADED = ("correct", "is_correct", "grade")
"""Whether an answer is right, in a table of samples; or its grade, one of ``samples.GRADES``."""
RATE = ("rate", "accuracy", "pass_rate")
"""The share of right ones among n samples."""
INDEPENDENT = ("parallel", "greedy", "difficulty", "think")
"""Strategies whose answers are single samples."""
ARM = ("strategy", "effort", "budget", "verifier")
"""How an answer came to be."""
TOKENS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "generated_tokens": ("generated_tokens", "output_tokens", "completion_tokens"),
    "cached_tokens": ("cached_tokens",),
    "thinking_tokens": ("thinking_tokens", "reasoning_tokens"),
}
"""Under which names: of the whole prompt, of all that was written, of the prompt what a cache held, and of what
was written the thoughts."""
MEANS = tuple(f"mean_{name}" for names in TOKENS.values() for name in names)
"""The same as means over the samples of a row, or of a model."""


def name_of(frame: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    """The name under which a table has a column, the first of several; None where it has not."""
    return next((name for name in names if name in frame), None)


def column_of(frame: pd.DataFrame, where: str, ours: str, names: tuple[str, ...]) -> str:
    """The one name under which a table has a column. Raises DataError where it has none, or several."""
    present = [name for name in names if name in frame]
    if len(present) != 1:
        state = (
            f"both {' and '.join(present)}"
            if present
            else f"no column {ours!r} (it has {', '.join(map(str, frame.columns))})"
        )
        raise DataError(f"{where} has {state}", f"one of {', '.join(names)}", f"name one column {ours}")
    return present[0]


def whole_numbers(column: pd.Series, where: str, name: str) -> pd.Series:
    """A column as int64 >= 0. Raises DataError naming the first row that holds anything else."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype(str)
    truth = column.map(lambda value: isinstance(value, (bool, np.bool_)))
    numbers = pd.to_numeric(column.mask(truth), errors="coerce")
    refuse(numbers.isna() | ~np.isfinite(numbers), where, f"has no number in {name}", "a whole number >= 0")
    refuse(
        (numbers < 0) | (numbers % 1 != 0) | (numbers >= 2**63), where, f"has a bad {name}", "a whole number >= 0"
    )
    return numbers.astype("int64")


def tasks_in(frame: pd.DataFrame) -> frozenset[str]:
    """The tasks that a table names."""
    name = name_of(frame, TASK)
    return frozenset() if name is None else frozenset(frame[name].dropna().astype(str))


def with_task(frame: pd.DataFrame, where: str, problem: pd.Series) -> pd.Series:
    """Problems with their task before them, where the table holds several tasks."""
    name = name_of(frame, TASK)
    if name is None or len(frame[name].unique()) == 1:
        return problem
    task = frame[name]
    refuse(task.isna(), where, "has no task", "a task in each row")
    return task.astype(str) + "/" + problem


def refuse(bad: pd.Series, where: str, what: str, allowed: str) -> None:
    """Raise DataError where a row is bad, naming the first, counted from 1."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0]) + 1
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise DataError(f"{where} row {row}{more} {what}", allowed, "mend or drop the row")
