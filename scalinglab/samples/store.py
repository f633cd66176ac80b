"""The run store: SQLite in WAL mode, one writer, one transaction a unit of work."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.records import Call, Run, Solution, Unit, canonical, sound

_FORMAT = 4
_UNIT = [f.name for f in fields(Unit)]
_CALL = [f.name for f in fields(Call)]
_SOLUTION = [f.name for f in fields(Solution)]
_FIELDS = {Unit: _UNIT, Call: _CALL, Solution: _SOLUTION}
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS units (key TEXT PRIMARY KEY, {", ".join(_UNIT)});
CREATE TABLE IF NOT EXISTS calls (unit TEXT NOT NULL REFERENCES units(key), position INTEGER NOT NULL,
                                  {", ".join(_CALL)}, PRIMARY KEY (unit, position));
CREATE TABLE IF NOT EXISTS solutions (unit TEXT NOT NULL REFERENCES units(key), position INTEGER NOT NULL,
                                      {", ".join(_SOLUTION)}, PRIMARY KEY (unit, position));
PRAGMA user_version = {_FORMAT};
"""
_LATER = (
    (2, "solutions", "other_scores DEFAULT '{}'"),
    (3, "calls", "thinking_tokens"),
    (3, "solutions", "value"),
    (4, "solutions", "thinking DEFAULT ''"),
)
"""The version of the format that brought a column, its table, and how it is added."""
_FAILURES = "CREATE TABLE IF NOT EXISTS failures (key TEXT PRIMARY KEY, times INTEGER NOT NULL)"


class RunStore:
    """A run on disk. Append units as they finish; after any crash, ask ``done`` what is left.

    >>> with RunStore("run.sqlite") as store:
    ...     store.append(unit, calls, solutions)

    Text that UTF-8 cannot hold (half a surrogate pair) is stored with U+FFFD in its place.
    An older store is read as it is and brought up to date when appended to: version 1 knew one verifier a unit,
    version 2 neither thinking tokens nor partial credit, version 3 no thoughts.
    Raises DataError where the file is no run store or cannot be read or written.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise DataError(f"no run store at {self.path}", "an existing .sqlite file", "check the path")
        with self._explained():
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._open()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was appended is on disk already."""
        self._db.close()

    def append(self, unit: Unit, calls: Iterable[Call], solutions: Iterable[Solution]) -> bool:
        """Write one finished unit, whole or not at all. False, and nothing written, where it is there."""
        key = unit.key
        with self._explained(), self._transaction():
            self._upgrade()
            if self._db.execute("SELECT 1 FROM units WHERE key = ?", (key,)).fetchone():
                return False
            self._insert("units", [(key, *_cells(unit))])
            self._insert("calls", [(key, i, *_cells(call)) for i, call in enumerate(calls)])
            self._insert("solutions", [(key, i, *_cells(solution)) for i, solution in enumerate(solutions)])
        return True

    def update_solutions(self, changed: pd.DataFrame) -> None:
        """Set columns of the solutions that ``unit`` and ``position`` tell, all of them or none."""
        columns = [column for column in changed if column not in ("unit", "position")]
        wanted = ", ".join(f"{column} = ?" for column in columns)
        rows = changed[[*columns, "unit", "position"]].astype(object).itertuples(index=False, name=None)
        with self._explained(), self._transaction():
            self._upgrade()
            self._db.executemany(f"UPDATE solutions SET {wanted} WHERE unit = ? AND position = ?", rows)

    def done(self) -> set[str]:
        """The keys of the units on disk."""
        with self._explained():
            return {key for (key,) in self._db.execute("SELECT key FROM units")}

    def fail(self, unit: Unit) -> None:
        """Note that a unit was tried in vain."""
        with self._explained(), self._transaction():
            self._db.execute(_FAILURES)
            again = "ON CONFLICT DO UPDATE SET times = times + 1"
            self._db.execute(f"INSERT INTO failures VALUES (?, 1) {again}", (unit.key,))

    def failures(self) -> dict[str, int]:
        """How often each unit was tried in vain, by its key; those since done are named too."""
        with self._explained(), self._transaction("BEGIN"):
            known = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'failures'").fetchone()
            return dict(self._db.execute("SELECT key, times FROM failures")) if known else {}

    def read(self) -> Run:
        """All that was recorded, ordered by unit key and position."""
        with self._explained(), self._transaction("BEGIN"):
            frames = [self._frame(table) for table in ("units", "calls", "solutions")]
        scores = [json.loads(text) for text in frames[2]["scores"]]
        frames[2]["scores"] = pd.Series(scores, dtype=object)
        return Run(*frames)

    def _open(self) -> None:
        with self._transaction("BEGIN"):  # another process may be making the tables
            version = self._version()
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        empty = version == 0 and not tables
        if not empty and (not 1 <= version <= _FORMAT or not tables >= {"units", "calls", "solutions"}):
            self._db.close()
            raise DataError(
                f"{self.path} is a database of another kind (version {version})",
                f"a run store of version {_FORMAT} or earlier",
                "give another path",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        if empty:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def _version(self) -> int:
        found: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return found

    def _upgrade(self) -> None:
        version = self._version()
        for since, table, column in _LATER:
            if version < since:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        if version < _FORMAT:
            self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def _insert(self, table: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    def _frame(self, table: str) -> pd.DataFrame:
        order = "key" if table == "units" else "unit, position"
        return pd.read_sql_query(f"SELECT * FROM {table} ORDER BY {order}", self._db)

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        self._db.execute(begin)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, pd.errors.DatabaseError, OverflowError, UnicodeEncodeError) as error:
            raise DataError(
                f"run store {self.path} failed ({error})",
                "a readable, writable SQLite run store with room on its disk",
                "check the path, the disk and that no other writer holds it",
            ) from error


def _cells(record: Unit | Call | Solution) -> tuple[object, ...]:
    """A record's fields as SQLite values; mappings and lists as canonical JSON."""
    return tuple(_cell(getattr(record, name)) for name in _FIELDS[type(record)])


def _cell(value: object) -> object:
    if isinstance(value, str):
        return sound(value)
    return value if isinstance(value, (int, float, type(None))) else canonical(value)
