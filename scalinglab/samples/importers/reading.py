"""A file or a folder of logs of one kind or several, as one samples table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.importers.record import Asked, Importer, Log, importers

_HOMES = ("inspect_logs", "every_eval_ever", "lm_eval", "lighteval", "search_and_learn", "monkeys", "evalplus")
"""The modules whose import registers a kind."""
AUTO = "auto"


def read_logs(path: str | Path, kind: str = AUTO, asked: Asked | None = None) -> Log:
    """What the logs at a path say, all of them as one table.

    kind: one of ``importers()``, or "auto": whatever kinds know files of the path as theirs.
    Raises DataError where there is nothing, no kind knows it, several claim one file, a log cannot be read, or
    leaves something open that ``asked`` does not answer.
    """
    path, asked = Path(path), asked or Asked()
    files = _files(path)
    known = _known()
    if kind != AUTO and kind not in known:
        raise DataError(f"kind {kind!r}", f"one of {', '.join(known)} or {AUTO}", "mend KIND")
    used = {name: one.files(files) for name, one in known.items() if kind in (AUTO, name)}
    found = {name: mine for name, mine in used.items() if mine}
    _refuse_unclear(path, kind, found, known)
    logs = [known[name].read(mine, asked) for name, mine in found.items()]
    for log in logs:
        if log.rows.empty:
            raise DataError(f"no samples in {path}", "a log with samples", "check the path")
    rows = pd.concat([log.rows for log in logs], ignore_index=True)
    return Log(rows, tuple(note for log in logs for note in log.notes), all(log.graded for log in logs))


def _known() -> dict[str, Importer]:
    for home in _HOMES:
        import_module(f"scalinglab.samples.importers.{home}")
    return dict(importers())


def _files(path: Path) -> list[Path]:
    """The files at a path, in order; hidden ones and links out of it left out."""
    if not path.exists():
        raise DataError(f"no file or folder at {path}", "a log, or a folder of logs", "check the path")
    if path.is_file():
        return [path]
    every = sorted(path.rglob("*"))
    return [
        one for one in every if one.is_file() and not any(p.startswith(".") for p in one.relative_to(path).parts)
    ]


def _refuse_unclear(path: Path, kind: str, found: dict[str, list[Path]], known: dict[str, Importer]) -> None:
    kinds = ", ".join(known)
    if not found:
        said = "of no kind that is known" if kind == AUTO else f"that is no log of {kind}"
        raise DataError(f"{path}, {said}", f"a log of {kinds}", "name its KIND, or check the path")
    claimed: dict[Path, str] = {}
    for name, files in found.items():
        for file in files:
            if claimed.setdefault(file, name) != name:
                raise DataError(f"{file} may be of {claimed[file]} or {name}", "one kind", "name its KIND")


def first_bytes(path: Path, count: int = 4096) -> bytes:
    """The beginning of a file; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def one_of_names(paths: Sequence[Path]) -> str:
    """How an error names several files: the first, and how many more."""
    return f"{paths[0]} (and {len(paths) - 1} more)" if len(paths) > 1 else str(paths[0])
