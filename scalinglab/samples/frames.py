"""Any table as a frame: CSV, Parquet or JSONL, names as they are written, columns named as they were mapped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd
import pyarrow

from scalinglab.errors import DataError
from scalinglab.samples.columns import TASK

NAMES = {
    "model": ("model", "Model", "model_name"),
    "problem": ("problem", "prompt_idx", "problem_id", "question_id"),
    "n": ("n", "samples", "num_samples"),
    "correct": ("correct", "c", "num_correct"),
}
"""Names under which published tables carry the same columns."""
_NAMED = (
    *NAMES["model"],
    *NAMES["problem"],
    *TASK,
    "answer",
    "text",
    "strategy",
    "verifier",
    "effort",
    "reference",
)
_NOTHING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>")
"""What stands for nothing in a CSV, but for names: of these only an empty cell is none."""
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


def read_table(path: str | Path) -> pd.DataFrame:
    """Any table of CSV, Parquet or JSONL, as it is or by gzip; names of models and problems as strings.

    Fields of nested values are columns such as ``usage.prompt_tokens``. Raises DataError where it cannot be read
    or has no rows.
    """
    path = Path(path)
    kinds = f"a table ({', '.join(_READERS)})"
    if not path.exists():
        raise DataError(f"no file at {path}", f"{kinds} or a run", "check the path")
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if path.is_dir() or suffix not in _READERS:
        kind = "a folder without units.parquet" if path.is_dir() else f"of type {path.suffix or 'unknown'!r}"
        raise DataError(f"{path} is {kind}", f"{kinds} or a run", "give one of these")
    try:
        open_ = gzip.open if path.suffix == ".gz" else open
        with open_(path, "rb") as file:
            frame = _READERS[suffix](cast(IO[bytes], file))
    except (OSError, EOFError, ValueError, TypeError, RecursionError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read ({reason})", f"a {suffix} table", "check the file") from error
    if suffix == ".csv" and not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path} has rows with more fields than the header", "one field a column", "mend the rows")
    if frame.empty:
        raise DataError(f"{path} has no rows", "at least one row", "check the file")
    return _flat(frame)


def read_stream(data: bytes) -> pd.DataFrame:
    """A table that came through a pipe: JSONL where it begins with an object, else CSV. Raises DataError."""
    kind = ".jsonl" if data.lstrip()[:1] == b"{" else ".csv"
    try:
        frame = _READERS[kind](BytesIO(data))
    except (ValueError, TypeError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"standard input cannot be read ({reason})", f"a {kind} table", "check it") from error
    return _flat(frame)


def opened(
    source: str | Path | pd.DataFrame, mapping: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, str]:
    """A table and what errors call it. mapping: by our name of a column, the table's.

    Raises DataError as ``read_table``, and where a mapped column is not there.
    """
    if isinstance(source, pd.DataFrame):
        if source.empty:
            raise DataError("the table has no rows", "at least one row", "check the table")
        named = [name for name in source.index.names if name is not None and name not in source]
        frame, where = _flat(source.reset_index(level=named).reset_index(drop=True)), "the table"
    else:
        frame, where = read_table(source), str(source)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{where} has two columns {twice!r}", "each column once", "drop one")
    return _mapped(frame, where, dict(mapping or {})), where


def _mapped(frame: pd.DataFrame, where: str, mapping: Mapping[str, str]) -> pd.DataFrame:
    for ours, theirs in mapping.items():
        if theirs not in frame:
            columns = ", ".join(map(str, frame.columns))
            raise DataError(f"{where} has no column {theirs!r} for {ours}", f"one of {columns}", "mend --map")
    taken = frame[list(mapping.values())].set_axis(list(mapping), axis=1)
    return pd.concat([frame.drop(columns=[*mapping, *mapping.values()], errors="ignore"), taken], axis=1)


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of mappings taken apart, each field a column ``outer.inner``."""
    for name in frame.columns[[dtype == "object" for dtype in frame.dtypes]] if frame.columns.is_unique else ():
        values = frame[name].tolist()
        if any(isinstance(value, Mapping) for value in values):
            rows = [value if isinstance(value, Mapping) else {} for value in values]
            inner = pd.DataFrame(rows, dtype=object).add_prefix(f"{name}.")
            return _flat(pd.concat([frame.drop(columns=name), inner.set_index(frame.index)], axis=1))
    return frame


def _csv(file: IO[bytes]) -> pd.DataFrame:
    header = file.readline().decode("utf-8-sig", "replace")
    by = max(_SEPARATORS, key=header.count)
    file.seek(0)
    names = pd.read_csv(file, nrows=0, sep=by, encoding="utf-8-sig").columns
    file.seek(0)
    empty = {name: [""] if name in _NAMED else list(_NOTHING) for name in names}
    texts = dict.fromkeys(_NAMED, str)
    return pd.read_csv(file, sep=by, dtype=texts, na_values=empty, keep_default_na=False, encoding="utf-8-sig")


def _jsonl(file: IO[bytes]) -> pd.DataFrame:
    """Each line's object as a row; whole numbers of any size as they are."""
    rows = []
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON; was it cut off?") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no object")
        rows.append(row)
    frame = pd.DataFrame(rows)
    for name in frame.columns.intersection(pd.Index(_NAMED)):
        frame[name] = pd.Series([_text(row.get(name)) for row in rows], dtype=object)
    return frame


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)


_READERS: dict[str, Callable[[IO[bytes]], pd.DataFrame]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": pd.read_parquet,
    ".jsonl": _jsonl,
}
