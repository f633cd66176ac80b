"""A run where it is kept: a store, a folder of Parquet tables, or JSONL of one unit a line; the same frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.files import whole
from scalinglab.samples.checks import Columns, checked
from scalinglab.samples.parquet import later, read_parquet, unwritable, write_parquet
from scalinglab.samples.records import COLUMNS, FORMAT, Run
from scalinglab.samples.store import RunStore

_INNER = ("calls", "solutions")
_SQLITE = (".sqlite", ".db")
_INSIDE = ("run.sqlite", "samples/units.parquet")
"""Where a study's folder keeps its run: the store, or the tables exported from it."""


def is_run(path: str | Path) -> bool:
    """Whether the path holds a recorded run (by its suffix or its tables) rather than a table of counts."""
    path = _inside(Path(path))
    return path.suffix in _SQLITE or (path / "units.parquet").is_file() or _first_line_is_unit(path)


def read_run(path: str | Path) -> Run:
    """A run from a ``.sqlite`` store, a folder of Parquet tables, a folder with either, or a ``.jsonl`` file.

    Raises DataError naming the file, and the line or column, that cannot be read.
    """
    (run,) = read_parts(path, None)
    return run


def read_parts(path: str | Path, rows: int | None = 20_000, *, columns: Columns = COLUMNS) -> Iterator[Run]:
    """The same run in parts of whole units, as of one moment; at least one.

    rows: about how many calls and solutions a part holds; only a store is read in parts, other files in one.
    columns: of each table, those wanted: without texts a run takes little room. Raises DataError as ``read_run``.
    """
    path = _inside(Path(path))
    if path.suffix in _SQLITE:
        with RunStore(path, write=False) as store:
            yield from store.parts(rows, columns=columns)
    elif path.is_dir():
        yield read_parquet(path, columns=columns)
    else:
        yield _read_jsonl(path)


def write_jsonl(run: Run, path: str | Path) -> None:
    """Write one line a unit, its calls and solutions nested; the file appears whole or not at all."""
    nested = {table: _by_unit(getattr(run, table)) for table in _INNER}
    try:
        with whole(path) as partial, partial.open("w", encoding="utf-8") as file:
            for unit in _records(run.units[list(COLUMNS["units"])]):
                inner = {table: rows.get(unit["key"], []) for table, rows in nested.items()}
                file.write(json.dumps({"unit": unit, **inner, "format": FORMAT}, allow_nan=False) + "\n")
    except (OSError, ValueError, TypeError) as error:
        raise unwritable(Path(path), error) from error


def update_solutions(path: str | Path, changed: pd.DataFrame) -> None:
    """Set the columns of some solutions anew where a run is kept, all of them or none.

    changed: unit and position, which tell a solution, and the columns to be set. Raises DataError.
    """
    place = _inside(Path(path))
    if place.suffix in _SQLITE:
        with RunStore(place, create=False) as store:
            return store.update_solutions(changed)
    run = read_run(place)
    solutions = run.solutions.set_index(["unit", "position"])
    for column in changed.columns.drop(["unit", "position"]):
        at = pd.MultiIndex.from_frame(changed[["unit", "position"]])
        solutions[column] = solutions[column].astype(object)  # a missing number is none of any other type
        solutions.loc[at, column] = pd.Series(list(changed[column]), at, dtype=object)
    whole_run = Run(run.units, run.calls, solutions.reset_index())
    return write_parquet(whole_run, place) if place.is_dir() else write_jsonl(whole_run, place)


def _inside(path: Path) -> Path:
    """The store or the tables within a study's folder; any other path as it is."""
    store, units = (path / name for name in _INSIDE)
    return store if store.is_file() else units.parent if units.is_file() else path


def _read_jsonl(path: Path) -> Run:
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in COLUMNS}
    for number, line in enumerate(_lines(path), start=1):
        try:
            document = json.loads(line)
            if "\\ud" in line:  # half a surrogate pair, which no table can hold
                json.dumps(document, ensure_ascii=False).encode()
            if not 1 <= document.get("format", 1) <= FORMAT:
                raise later(path, document["format"])
            unit = document["unit"]
            rows["units"].append({**unit})
            for table in _INNER:
                rows[table] += [{"unit": unit["key"], "position": i, **r} for i, r in enumerate(document[table])]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{path} line {number} is no unit of work ({error!r:.60})",
                "one JSON object a line with unit, calls and solutions",
                "drop the line if the file was cut off, or export the run again",
            ) from error
    frames = {table: pd.DataFrame(found) for table, found in rows.items()}
    return checked(frames, dict.fromkeys(COLUMNS, str(path)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}", "a JSONL file of a run", "check the path") from error


def _first_line_is_unit(path: Path) -> bool:
    if path.suffix != ".jsonl" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().startswith(b'{"unit"')


def _by_unit(frame: pd.DataFrame) -> Mapping[str, list[dict[str, Any]]]:
    inner = frame.drop(columns=["position"])
    return {str(unit): _records(rows.drop(columns=["unit"])) for unit, rows in inner.groupby("unit", sort=False)}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    return None if value is None or value is pd.NA or value != value else value
