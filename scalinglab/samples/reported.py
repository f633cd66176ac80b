"""What a recorder may leave out: token counts that nobody reported, and columns that older records lack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

REPORTED = (
    "prompt_tokens",
    "generated_tokens",
    "question_tokens",
    "cached_tokens",
    "reusable_tokens",
    "thinking_tokens",
)
"""Counts of a call that a server may leave out; all others are our own."""
MEASURED = ("seconds", "value")
"""Columns of numbers that may be unknown: NaN."""
_LATER: Mapping[str, Mapping[str, Any]] = {
    "calls": {"thinking_tokens": pd.NA},
    "solutions": {"other_scores": "{}", "value": float("nan"), "thinking": ""},
    "units": {},
}
"""By table, columns that older records lack, with what stands for them."""


def with_later(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table of a run with all its columns; counts are int64, or Int64 with NA where some were not reported."""
    for name, value in _LATER[table].items():
        if name not in frame:
            frame = frame.assign(**{name: value})
    for name in MEASURED:
        if name in frame and frame[name].dtype.kind != "f":
            frame = frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce").astype("float64")})
    counts = {name: _counts(frame[name]) for name in REPORTED if table == "calls" and name in frame}
    changed = {name: column for name, column in counts.items() if column is not frame[name]}
    return frame.assign(**changed) if changed else frame


def _counts(column: pd.Series) -> pd.Series:
    """Whole numbers, some perhaps missing; anything else as it is, for those who read files to refuse."""
    if isinstance(column.dtype, pd.Int64Dtype) and column.isna().any():
        return column
    if column.dtype == "int64" or column.dtype.kind == "b":
        return column
    if column.dtype == object and any(isinstance(value, bool) for value in column):
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    if (column.notna() & (numbers.isna() | (numbers % 1 != 0))).any():
        return column
    return numbers.astype("int64" if numbers.notna().all() else "Int64")
