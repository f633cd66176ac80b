"""Whose answers a file holds, and which file of several is read: what importers of plain files share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError


@dataclass(frozen=True)
class Recorded:
    """One file of answers: whose, to which task, from when, to how many problems, and its lines as it has them."""

    path: Path
    model: str
    task: str
    date: str
    problems: int
    lines: Sequence[Mapping[str, Any]]


def unreadable(path: Path, error: BaseException, allowed: str) -> DataError:
    """The error that a file cannot be read at all, with the first line of the reason."""
    reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
    return DataError(f"{path} cannot be read ({reason})", allowed, "check the file, or fetch it again")


def no_samples(path: Path) -> DataError:
    """The error that a file of answers holds none."""
    return odd(path, "has no samples", "an answer at least")


def odd(where: object, what: str, allowed: str) -> DataError:
    """The error that a part of a log cannot be what it should."""
    return DataError(f"{where} {what}", allowed, "mend the log, or leave the file out")


def fullest(found: Sequence[Recorded]) -> tuple[list[Recorded], list[str]]:
    """One file for each model and task: that of most problems, the latest of equals; and what was left out."""
    groups: dict[tuple[str, str], list[Recorded]] = {}
    for one in found:
        groups.setdefault((one.model, one.task), []).append(one)
    kept, notes = [], []
    for (model, task), several in groups.items():
        *left, best = sorted(several, key=lambda one: (one.problems, one.date, str(one.path)))
        kept.append(best)
        if left:
            others = ", ".join(f"{one.path.name} ({one.problems})" for one in left)
            notes.append(f"{model} ran {task} {len(several)} times: {best.path.name} is read, not {others}")
    return kept, notes


def of_task(found: Sequence[Recorded], task: str | None) -> list[Recorded]:
    """Those of the task that was asked for; all where none was. Raises DataError where there is none of it."""
    kept = [one for one in found if task in (None, one.task)]
    if not kept:
        tasks = ", ".join(sorted({one.task for one in found}))
        raise DataError(f"no task {task!r} in the log", f"one of {tasks}", "mend --task")
    return kept


def agreed(named: str, asked: str | None, where: object) -> str:
    """The model that a log names. Raises DataError where another was asked for."""
    if asked not in (None, named):
        raise DataError(
            f"--model {asked}, but {where} is of {named}", "the model that the log names", "leave --model out"
        )
    return named


def named(path: Path, hint: str, asked: str | None, *, do: str = "name it: --model") -> str:
    """The model of a log that does not name it: as it was asked for, else the hint of its place or name.

    Raises DataError where there is neither.
    """
    if asked is None and not hint:
        raise DataError(f"no model in {path}", "the name that its writer gives a file or a folder", do)
    return asked or hint


def refuse_one_name(asked: str | None, hints: Iterable[str]) -> None:
    """Refuse one name for the logs of several models."""
    several = sorted(set(hints))
    if asked is not None and len(several) > 1:
        raise DataError(
            f"--model {asked} for the logs of {len(several)} models ({', '.join(several)})",
            "the logs of one, or no --model",
            "import them one at a time",
        )


def folders_below(path: Path, name: str, *, last: int) -> str:
    """The folders of a file below one of a name, but for the last ones; "" where there are none."""
    parts = path.absolute().parts[: -1 - last]
    return "/".join(parts[len(parts) - parts[::-1].index(name) :]) if name in parts else ""


def natural(names: Iterable[str]) -> list[str]:
    """Names in order, numbers by their value."""
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
