"""How a store's file is opened: to be written, or to be read, also where nothing can be written beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd

from scalinglab.errors import DataError

_LOGS = ("-wal", "-journal")
"""What SQLite keeps beside a file: rows that are not in it yet, or were before a transaction broke off."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What SQLite and the disk say of a store as a DataError."""
    try:
        yield
    except (sqlite3.Error, pd.errors.DatabaseError, OverflowError, UnicodeError, OSError) as error:
        raise DataError(
            f"run store {path} failed ({error})",
            "a readable, writable SQLite run store with room on its disk",
            "check the path, the disk and that no other writer holds it",
        ) from error


class Connection:
    """An open store. ``db``: SQLite's own connection. Raises what SQLite and the disk raise.

    A reader writes nothing where it cannot write both the file and beside it. Then SQLite shares the index of a
    live writer; without one it reads the file as one that does not change, and ``steady`` says whether that held;
    and rows in a log that has no index beside it, as in a copied folder, are read from a copy of both.
    Where it can, SQLite keeps its index beside the file while it reads, as it must to see what a writer adds.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self._held = ExitStack()
        self.steady: Callable[[], bool] = lambda: True
        with ExitStack() as opening:
            opening.push(self._held)
            self.db = sqlite3.connect(path, isolation_level=None) if write else self._reader(path)
            self._held.callback(self.db.close)
            opening.pop_all()

    def close(self) -> None:
        """Close the file, and drop the copy if there is one."""
        self._held.close()

    def _reader(self, path: Path) -> sqlite3.Connection:
        if _writable(path) and _writable(path.parent):
            db = _connect(path, "mode=rw")
            db.execute("PRAGMA query_only = ON")
            return db
        if _beside(path, "-shm"):
            return _connect(path, "mode=ro")
        if any(_beside(path, log) for log in _LOGS):
            return _connect(self._copied(path), "mode=rw")
        before = _stamp(path)
        self.steady = lambda: _stamp(path) == before and not _beside(path, "-wal")
        return _connect(path, "mode=ro&immutable=1")

    def _copied(self, path: Path) -> Path:
        folder = Path(mkdtemp(prefix="scalinglab-"))
        self._held.callback(shutil.rmtree, folder, ignore_errors=True)
        for kind in ("", *_LOGS):
            if kind == "" or _beside(path, kind):
                shutil.copyfile(f"{path}{kind}", folder / f"run.sqlite{kind}")
        return folder / "run.sqlite"


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _beside(path: Path, kind: str) -> bool:
    """Whether a file of SQLite's that is not empty stands beside a store."""
    beside = Path(f"{path}{kind}")
    return beside.is_file() and beside.stat().st_size > 0


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
