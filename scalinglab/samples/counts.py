"""The counts form of recorded data, which is what others publish: model, problem, n samples, correct ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow

from scalinglab.errors import DataError
from scalinglab.samples.columns import GRADED, TASK, column_of, name_of, refuse, whole_numbers, with_task

# Names under which published tables carry the same columns.
NAMES = {
    "model": ("model", "Model"),
    "problem": ("problem", "prompt_idx", "problem_id", "question_id"),
    "n": ("n", "samples", "num_samples"),
    "correct": ("correct", "c", "num_correct"),
}
_NAMED = (*NAMES["model"], *NAMES["problem"], *TASK, "answer", "strategy", "verifier")
_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: pd.read_csv(path, dtype=dict.fromkeys(_NAMED, str)),
    ".parquet": pd.read_parquet,
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
}


def read_counts(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """A table of counts: columns model, problem (strings), n, correct (int64), one row a model and problem.

    Reads CSV, Parquet, JSONL or a DataFrame; common other names of the columns are understood. A task column is
    joined to the problem where the table holds several tasks. Raises DataError naming the row that cannot be
    right, and for a table of samples.
    """
    frame, path = opened(source)
    if kind_of(frame) == "samples":
        raise DataError(
            f"{path} has no column 'n': it holds a row an answer",
            "a table of counts, with n and correct",
            "read it with samples.read_samples, or count its answers",
        )
    found = {ours: column_of(frame, path, ours, names) for ours, names in NAMES.items()}
    counts = pd.DataFrame({ours: frame[theirs] for ours, theirs in found.items()})
    refuse(counts[["model", "problem"]].isna().any(axis=1), path, "has no model or problem", "a name in both")
    for column in ("n", "correct"):
        counts[column] = whole_numbers(counts[column], path, column)
    refuse(counts["n"] == 0, path, "has n = 0", "at least one sample")
    refuse(counts["correct"] > counts["n"], path, "has more correct than n samples", "0 <= correct <= n")
    counts["model"] = counts["model"].astype(str)
    counts["problem"] = with_task(frame, path, counts["problem"].astype(str))
    twice = counts.duplicated(["model", "problem"])
    refuse(twice, path, "repeats a model and problem", "one row for each model and problem")
    return counts.sort_values(["model", "problem"], ignore_index=True)


def kind_of(frame: pd.DataFrame) -> Literal["counts", "samples"]:
    """What a table holds: counts have n and correct; samples have correct, a row an answer, and no n."""
    graded = name_of(frame, (*NAMES["correct"], *GRADED)) is not None
    return "samples" if graded and name_of(frame, NAMES["n"]) is None else "counts"


def opened(source: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table, and what errors call it. Raises DataError as ``read_table``."""
    if not isinstance(source, pd.DataFrame):
        return read_table(source), str(source)
    if source.empty:
        raise DataError("the table has no rows", "at least one row", "check the table")
    if not source.columns.is_unique:
        twice = source.columns[source.columns.duplicated()][0]
        raise DataError(f"the table has two columns {twice!r}", "each column once", "drop one")
    return source.reset_index(drop=True), "the table"


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
