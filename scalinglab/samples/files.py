"""A run as Parquet (a folder of three tables) or JSONL (one unit a line), read back as the same frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from scalinglab.errors import DataError
from scalinglab.files import whole, whole_folder
from scalinglab.samples.options import TYPED
from scalinglab.samples.records import Call, Run, Solution, Unit
from scalinglab.samples.reported import REPORTED, with_later
from scalinglab.samples.store import RunStore

_TABLES = ("units", "calls", "solutions")
_COLUMNS = {
    "units": ["key", *(f.name for f in fields(Unit))],
    "calls": ["unit", "position", *(f.name for f in fields(Call))],
    "solutions": ["unit", "position", *(f.name for f in fields(Solution))],
}
_WHOLE = {
    "units": ("budget", "seed"),
    "calls": ("position", *REPORTED, *(f.name for f in fields(Call) if f.type == "int")),
    "solutions": ("position", "sample", "chain", "round"),
}
_MISSING = (*REPORTED, "answer", "value")
"""The columns in which nothing may stand."""
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
    path = _inside(Path(path))
    if path.suffix in _SQLITE:
        with RunStore(path, create=False) as store:
            return store.read()
    if path.is_dir():
        return Run(*(_read_table(path, table) for table in _TABLES))
    return _read_jsonl(path)


def write_parquet(run: Run, folder: str | Path) -> None:
    """Write units.parquet, calls.parquet and solutions.parquet; the folder appears whole or not at all."""
    folder = Path(folder)
    try:
        others = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        others -= {f"{table}.parquet" for table in _TABLES}
        if others:
            raise DataError(
                f"{folder} holds other files ({min(others)})",
                "a new folder or an exported run",
                "choose another path",
            )
        with whole_folder(folder) as partial:
            for table in _TABLES:
                _stored(run, table).to_parquet(partial / f"{table}.parquet", index=False)
    except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
        raise _unwritable(folder, error) from error


def write_jsonl(run: Run, path: str | Path) -> None:
    """Write one line a unit, its calls and solutions nested; the file appears whole or not at all."""
    nested = {table: _by_unit(getattr(run, table)) for table in _TABLES[1:]}
    try:
        with whole(path) as partial, partial.open("w", encoding="utf-8") as file:
            for unit in _records(_stored(run, "units")):
                inner = {table: rows.get(unit["key"], []) for table, rows in nested.items()}
                file.write(json.dumps({"unit": unit, **inner}, allow_nan=False) + "\n")
    except (OSError, ValueError, TypeError) as error:
        raise _unwritable(Path(path), error) from error


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


def _stored(run: Run, table: str) -> pd.DataFrame:
    """A table as it is kept: without what was made of its parameters where it was read."""
    frame: pd.DataFrame = getattr(run, table)
    return frame.drop(columns=[*TYPED], errors="ignore")


def _inside(path: Path) -> Path:
    """The store or the tables within a study's folder; any other path as it is."""
    store, units = (path / name for name in _INSIDE)
    return store if store.is_file() else units.parent if units.is_file() else path


def _read_table(folder: Path, table: str) -> pd.DataFrame:
    path = folder / f"{table}.parquet"
    try:
        frame = pd.read_parquet(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"cannot read {path}", "a Parquet table of a run", "export the run again") from error
    if table == "solutions" and "scores" in frame:
        try:
            scores = [list(scores) for scores in frame["scores"]]
            frame["scores"] = pd.Series(scores, frame.index, dtype=object)
        except TypeError as error:
            raise DataError(
                f"{path} column scores holds no lists", "a list of scores in each row", "export the run again"
            ) from error
    return _with_columns(frame, table, str(path))


def _read_jsonl(path: Path) -> Run:
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for number, line in enumerate(_lines(path), start=1):
        try:
            document = json.loads(line)
            unit = document["unit"]
            rows["units"].append(unit)
            for table in _TABLES[1:]:
                rows[table] += [{"unit": unit["key"], "position": i, **r} for i, r in enumerate(document[table])]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path} line {number} is no unit of work ({error!r:.60})",
                "one JSON object a line with unit, calls and solutions",
                "drop the line if the file was cut off, or export the run again",
            ) from error
    return Run(*(_with_columns(pd.DataFrame(rows[table]), table, str(path)) for table in _TABLES))


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


def _with_columns(frame: pd.DataFrame, table: str, where: str) -> pd.DataFrame:
    wanted = _COLUMNS[table]
    frame = with_later(frame, table)
    missing = [column for column in wanted if column not in frame]
    if missing and not frame.empty:
        raise DataError(
            f"{where} lacks {table} column {', '.join(missing)}",
            f"the columns {', '.join(wanted)}",
            "export the run again",
        )
    if frame.empty:
        return pd.DataFrame(columns=wanted, dtype=object)
    _refuse_values(frame, table, where)
    return frame.reindex(columns=wanted)


def _refuse_values(frame: pd.DataFrame, table: str, where: str) -> None:
    for column in _COLUMNS[table]:
        values = frame[column]
        whole = column in _WHOLE[table]
        if (values.isna().any() and column not in _MISSING) or (
            whole and (values.dtype.kind != "i" or (values.dropna() < 0).any())
        ):
            allowed = "whole numbers >= 0" if whole else "a value in each row"
            raise DataError(f"{where} has bad values in {table} column {column}", allowed, "export the run again")
    key = ["key"] if table == "units" else ["unit", "position"]
    twice = frame.duplicated(key)
    if twice.any():
        unit = frame.loc[twice, key[0]].iloc[0]
        raise DataError(f"{where} holds unit {unit} twice in {table}", "each unit once", "export the run again")


def _by_unit(frame: pd.DataFrame) -> Mapping[str, list[dict[str, Any]]]:
    inner = frame.drop(columns=["position"])
    return {str(unit): _records(rows.drop(columns=["unit"])) for unit, rows in inner.groupby("unit", sort=False)}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    return None if value is None or value is pd.NA or value != value else value


def _unwritable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"cannot write {path} ({reason})", "a run as the store reads it, a path with room", "choose another"
    )
