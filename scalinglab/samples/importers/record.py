"""What an importer is to everything else: one record a kind of log, in an open registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scalinglab.errors import DataError


@dataclass(frozen=True)
class Asked:
    """What a log may leave open, as a user answers it; None where they do not.

    score: which of several scores, metrics or statuses is the grade. filter: which of several ways to read the
    answer. model: its name, where a log names none. task: the one of several to take. threshold: from which value
    partial credit counts as right.
    """

    score: str | None = None
    filter: str | None = None
    model: str | None = None
    task: str | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Log:
    """What a log says: a samples table (see ``samples.read_samples``), and what is odd about it, in sentences.

    Rows whose grade is "ungraded", with a text and a column ``reference``, are graded where ``graded`` is False.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()
    graded: bool = True


@dataclass(frozen=True)
class Importer:
    """One kind of log.

    name: as the command line gives it. read: from the files of one log, or of several of one kind, what they say;
    raises DataError naming the file, or the choices of what is left open (see ``choice``). files: those of this
    kind among the files of a folder, told by names and first bytes; none where it is of another kind.
    """

    name: str
    files: Callable[[Sequence[Path]], list[Path]]
    read: Callable[[Sequence[Path], Asked], Log]


_known: dict[str, Importer] = {}


def register(importer: Importer) -> Importer:
    """Make an importer known by its name. Raises DataError where another has it."""
    if _known.setdefault(importer.name, importer) != importer:
        raise DataError(f"a second importer {importer.name!r}", "one of each name", "choose another name")
    return importer


def importers() -> Mapping[str, Importer]:
    """Every importer that is registered, by name."""
    return dict(_known)


def choice(given: str | None, known: Sequence[str], *, where: object, what: str, option: str) -> str:
    """The one that was asked for, or the only one. Raises DataError that names all of several."""
    listed = ", ".join(known)
    if given is not None and given not in known:
        raise DataError(f"no {what} {given!r} in {where}", f"one of {listed or 'none'}", f"mend {option}")
    if given is None and len(known) != 1:
        raise DataError(
            f"{len(known)} {what}s in {where}",
            f"one of {listed}" if known else f"a {what}",
            f"choose one: {option}",
        )
    return given if given is not None else known[0]
