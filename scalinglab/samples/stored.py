"""The tables of a store as checked frames: all at once, or in parts of whole units."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.checks import Columns, checked
from scalinglab.samples.records import COLUMNS, Run

_ROWS = """
SELECT key, (SELECT count(*) FROM calls WHERE unit = key) + (SELECT count(*) FROM solutions WHERE unit = key)
FROM units ORDER BY key
"""
"""How many rows belong to each unit."""


def read_parts(db: sqlite3.Connection, where: str, rows: int | None, columns: Columns) -> Iterator[Run]:
    """What a store holds, by unit key and position, in parts of about ``rows`` rows (None: in one); at least one.

    columns: of each table, those wanted. Raises DataError (see ``checks.checked``) naming where, and what SQLite
    raises. Run it in one transaction, so that all parts are of one moment.
    """
    some = rows is not None and db.execute("PRAGMA table_info(units)").fetchone()
    ends = list(_ends(db, int(rows or 0))) if some else []
    for after, upto in zip([None, *ends], [*ends, None], strict=True):
        frames = {table: _frame(db, where, table, columns[table], after, upto) for table in COLUMNS}
        yield checked(frames, dict.fromkeys(COLUMNS, where), columns=columns)


def _ends(db: sqlite3.Connection, rows: int) -> Iterator[Any]:
    """The last key of each part but the last one."""
    held, last = 0, None
    for key, count in db.execute(_ROWS):
        if held >= rows:
            yield last
            held = 0
        held, last = held + 1 + count, key


def _frame(
    db: sqlite3.Connection, where: str, table: str, columns: Sequence[str], after: Any, upto: Any
) -> pd.DataFrame:
    """The rows of a table whose unit comes after one key and not after another, and what belongs to no unit."""
    by = "key" if table == "units" else "unit"
    there = [name for (_, name, *_) in db.execute(f"PRAGMA table_info({table})")]
    if not there:  # a collector has just made the file
        return pd.DataFrame()
    known = [name for name in there if name in columns]
    limits = [(f"{by} > ?", after), (f"({by} <= ? OR {by} IS NULL)", upto)]
    given = [(text, key) for text, key in limits if key is not None]
    only = " AND ".join(text for text, _ in given) or "TRUE"
    order = "key" if table == "units" else "unit, position"
    query = f"SELECT {', '.join(known) or 'NULL'} FROM {table} WHERE {only} ORDER BY {order}"
    try:
        frame = pd.read_sql_query(query, db, params=tuple(key for _, key in given))
    except (sqlite3.OperationalError, pd.errors.DatabaseError) as error:
        if "decode" in str(error):
            _refuse_bytes(db, where, table, known, query, [key for _, key in given])
        raise
    return frame.assign(scores=_lists(frame["scores"])) if "scores" in frame else frame


def _lists(texts: pd.Series) -> pd.Series:
    """Scores as lists where they are JSON; other values as they are, to be refused."""
    values = texts.to_numpy(object)
    try:
        found = json.loads(f"[{','.join(values)}]")
    except (ValueError, TypeError, RecursionError):
        found = []
    if len(found) != len(values):
        found = [_value(text) for text in values]
    return pd.Series(found, texts.index, dtype=object)


def _value(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def _refuse_bytes(
    db: sqlite3.Connection, where: str, table: str, columns: Sequence[str], query: str, given: Sequence[Any]
) -> None:
    """Raise DataError for the first text that is not UTF-8, by its column and unit."""
    db.text_factory = bytes
    for number, row in enumerate(db.execute(query, given), start=1):
        for name, value in zip(columns, row, strict=True):
            try:
                _ = value.decode() if isinstance(value, bytes) else value
            except UnicodeDecodeError as error:
                unit = row[0].decode(errors="replace") if isinstance(row[0], bytes) else number
                raise DataError(
                    f"{where}: {table} column {name} is {value!r:.80} (unit {unit})",
                    "text in UTF-8",
                    "mend it where it was recorded, or export the run again",
                ) from error
