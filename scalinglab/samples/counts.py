"""The counts form of recorded data, which is what others publish: model, problem, n samples, correct ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from scalinglab.errors import DataError

# Names under which published tables carry the same columns.
NAMES = {
    "model": ("model", "Model"),
    "problem": ("problem", "prompt_idx", "problem_id", "question_id"),
    "n": ("n", "samples", "num_samples"),
    "correct": ("correct", "c", "num_correct"),
}
_TASK = ("task", "benchmark")
_NAMED = (*NAMES["model"], *NAMES["problem"], *_TASK)
_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: pd.read_csv(path, dtype=dict.fromkeys(_NAMED, str)),
    ".parquet": pd.read_parquet,
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
}


def read_counts(path: str | Path) -> pd.DataFrame:
    """A table of counts: columns model, problem (strings), n, correct (int64), one row a model and problem.

    Reads CSV, Parquet or JSONL; common other names of the columns are understood. A task column is joined to
    the problem where the table holds several tasks. Raises DataError naming the row that cannot be right.
    """
    path = Path(path)
    frame = read_table(path)
    found = {ours: _column(frame, path, ours, names) for ours, names in NAMES.items()}
    counts = pd.DataFrame({ours: frame[theirs] for ours, theirs in found.items()})
    _refuse(counts[["model", "problem"]].isna().any(axis=1), path, "has no model or problem", "a name in both")
    for column in ("n", "correct"):
        counts[column] = _whole(counts[column], path, column)
    _refuse(counts["n"] == 0, path, "has n = 0", "at least one sample")
    _refuse(counts["correct"] > counts["n"], path, "has more correct than n samples", "0 <= correct <= n")
    counts["model"] = counts["model"].astype(str)
    counts["problem"] = _with_task(frame, path, counts["problem"].astype(str))
    twice = counts.duplicated(["model", "problem"])
    _refuse(twice, path, "repeats a model and problem", "one row for each model and problem")
    return counts.sort_values(["model", "problem"], ignore_index=True)


def read_table(path: str | Path) -> pd.DataFrame:
    """Any table of CSV, Parquet or JSONL, names of models and problems as strings.

    Raises DataError where it cannot be read or has no rows.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"no file at {path}", f"a table ({', '.join(_READERS)}) or a run", "check the path")
    if path.is_dir() or path.suffix not in _READERS:
        kind = "a folder without units.parquet" if path.is_dir() else f"of type {path.suffix or 'unknown'!r}"
        raise DataError(f"{path} is {kind}", f"a table ({', '.join(_READERS)}) or a run", "give one of these")
    try:
        frame = _READERS[path.suffix](path)
    except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read ({reason})", f"a {path.suffix} table", "check the file") from error
    if path.suffix == ".csv" and not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path} has rows with more fields than the header", "one field a column", "mend the rows")
    if frame.empty:
        raise DataError(f"{path} has no rows", "at least one row", "check the file")
    return frame


def _column(frame: pd.DataFrame, path: Path, ours: str, names: tuple[str, ...]) -> str:
    present = [name for name in names if name in frame]
    if len(present) != 1:
        state = (
            f"both {' and '.join(present)}"
            if present
            else f"no column {ours!r} (it has {', '.join(map(str, frame.columns))})"
        )
        raise DataError(f"{path} has {state}", f"one of {', '.join(names)}", f"name one column {ours}")
    return present[0]


def _whole(column: pd.Series, path: Path, name: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype(str)
    truth = column.map(lambda value: isinstance(value, (bool, np.bool_)))
    numbers = pd.to_numeric(column.mask(truth), errors="coerce")
    _refuse(numbers.isna() | ~np.isfinite(numbers), path, f"has no number in {name}", "a whole number >= 0")
    _refuse(
        (numbers < 0) | (numbers % 1 != 0) | (numbers >= 2**63), path, f"has a bad {name}", "a whole number >= 0"
    )
    return numbers.astype("int64")


def _with_task(frame: pd.DataFrame, path: Path, problem: pd.Series) -> pd.Series:
    task = next((frame[name] for name in _TASK if name in frame), None)
    if task is None or len(task.unique()) == 1:
        return problem
    _refuse(task.isna(), path, "has no task", "a task in each row")
    return task.astype(str) + "/" + problem


def _refuse(bad: pd.Series, path: Path, what: str, allowed: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0]) + 1
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise DataError(f"{path} row {row}{more} {what}", allowed, "mend or drop the row")
