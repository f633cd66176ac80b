"""The run store: SQLite in WAL mode, one writer, units of work whole or not at all."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.checks import Columns
from scalinglab.samples.connecting import Connection, explained
from scalinglab.samples.records import (
    CALL,
    COLUMNS,
    FORMAT,
    SOLUTION,
    UNIT,
    Call,
    Run,
    Solution,
    Unit,
    canonical,
    sound,
)
from scalinglab.samples.stored import read_parts

Done = tuple[Unit, Iterable[Call], Iterable[Solution]]
"""A finished unit, the calls it made and the solutions it found."""
_FIELDS = {Unit: UNIT, Call: CALL, Solution: SOLUTION}
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS units (key TEXT PRIMARY KEY, {", ".join(UNIT)});
CREATE TABLE IF NOT EXISTS calls (unit TEXT NOT NULL REFERENCES units(key), position INTEGER NOT NULL,
                                  {", ".join(CALL)}, PRIMARY KEY (unit, position));
CREATE TABLE IF NOT EXISTS solutions (unit TEXT NOT NULL REFERENCES units(key), position INTEGER NOT NULL,
                                      {", ".join(SOLUTION)}, PRIMARY KEY (unit, position));
PRAGMA user_version = {FORMAT};
"""
_PLACES = {table: ", ".join("?" * len(columns)) for table, columns in COLUMNS.items()}
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

    What ``append`` or ``extend`` has returned from is on disk: no crash loses it, nor does a failure of power, as
    each transaction waits for its disk. Text that UTF-8 cannot hold (half a surrogate pair) is stored with U+FFFD
    in its place. ``create``: whether a missing file is made. ``write``: False only reads, also in a folder or on a
    disk that cannot be written, and while another process collects to it.
    An older store is read as it is and brought up to date when appended to: version 1 knew one verifier a unit,
    version 2 neither thinking tokens nor partial credit, version 3 no thoughts.
    Raises DataError where the file is no run store, or of a later version, or cannot be read or written.
    """

    def __init__(self, path: str | Path, *, create: bool = True, write: bool = True) -> None:
        self.path = Path(path)
        if not (create and write) and not self.path.is_file():
            raise DataError(f"no run store at {self.path}", "an existing .sqlite file", "check the path")
        with self._explained():
            self._open_ = Connection(self.path, write=write)
            self._db = self._open_.db
            try:
                self._open(write)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was appended is on disk already."""
        self._open_.close()

    def append(self, unit: Unit, calls: Iterable[Call], solutions: Iterable[Solution]) -> bool:
        """Write one finished unit, whole or not at all. False, and nothing written, where it is there."""
        return self.extend([(unit, calls, solutions)]) == [True]

    def extend(self, units: Iterable[Done]) -> list[bool]:
        """Write finished units in one transaction, all or none of them; of each, whether it was not there."""
        with self._explained(), self._transaction():
            self._upgrade()
            return [self._append(*one) for one in units]

    def _append(self, unit: Unit, calls: Iterable[Call], solutions: Iterable[Solution]) -> bool:
        key = unit.key
        if self._db.execute("SELECT 1 FROM units WHERE key = ?", (key,)).fetchone():
            return False
        self._insert("units", ((key, *_cells(unit)),))
        self._insert("calls", ((key, i, *_cells(call)) for i, call in enumerate(calls)))
        self._insert("solutions", ((key, i, *_cells(solution)) for i, solution in enumerate(solutions)))
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

    def read(self, *, columns: Columns = COLUMNS) -> Run:
        """All that was recorded, by unit key and position, checked. columns: of each table, those wanted."""
        (run,) = self.parts(None, columns=columns)
        return run

    def parts(self, rows: int | None, *, columns: Columns = COLUMNS) -> Generator[Run, None, None]:
        """The same in parts of whole units, of about so many rows each, as of one moment; at least one."""
        with self._explained(), self._transaction("BEGIN"):
            yield from read_parts(self._db, str(self.path), rows, columns)
            if not self._open_.steady():
                raise DataError(f"{self.path} changed while it was read", "one that does not", "read it again")

    def _open(self, write: bool) -> None:
        with self._transaction("BEGIN"):  # another process may be making the tables
            version = self._version()
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        empty = version == 0 and not tables
        if version > FORMAT and tables >= set(COLUMNS):
            raise DataError(
                f"{self.path} was written by a later version of scalinglab (store version {version})",
                f"version {FORMAT} or earlier",
                "install that version, or a later one",
            )
        if not empty and (not 1 <= version <= FORMAT or not tables >= set(COLUMNS)):
            raise DataError(
                f"{self.path} is a database of another kind (version {version})",
                f"a run store of version {FORMAT} or earlier",
                "give another path",
            )
        if write:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA foreign_keys = ON")
        if write and empty:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def _version(self) -> int:
        found: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return found

    def _upgrade(self) -> None:
        version = self._version()
        for since, table, column in _LATER:
            if version < since:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        if version < FORMAT:
            self._db.execute(f"PRAGMA user_version = {FORMAT}")

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._db.executemany(f"INSERT INTO {table} VALUES ({_PLACES[table]})", rows)

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        self._db.execute(begin)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.path)


def _cells(record: Unit | Call | Solution) -> tuple[object, ...]:
    """A record's fields as SQLite values; mappings and lists as canonical JSON."""
    values = record.__dict__
    return tuple([_cell(values[name]) for name in _FIELDS[type(record)]])


def _cell(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return sound(value)
    return value if isinstance(value, (int, float)) else canonical(value)


_PLAIN = (int, float, bool, type(None))
