"""What collected a run, its collected.json: the engines as they described themselves, versions and machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError

COLLECTED = "collected.json"


def read_collected(out: str | Path) -> list[dict[str, Any]]:
    """What collected the run in a folder: the engine of each model, versions and machine, in order of time.

    Empty where nobody noted it. Raises DataError where it cannot be read.
    """
    path = Path(out) / COLLECTED
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise TypeError("no list of tables")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"no readable {path}", "a JSON list, as a run keeps it", "restore it, or move it away"
        ) from error
    return found


def noted(path: str | Path) -> tuple[str, ...]:
    """What a reader of a run must know beside its samples: what its importer wrote, what its engines said.

    ``path``: as ``find_plan`` takes it. Nothing where neither can be read.
    """
    path = Path(path)
    try:
        told = json.loads((path / "manifest.json").read_text(encoding="utf-8")).get("notes", ())
    except (OSError, ValueError, AttributeError):
        told = ()
    imported = map(str, told) if isinstance(told, list) else ()
    return tuple(dict.fromkeys([*imported, *engine_notes(path), *engine_notes(path.parent)]))


def engine_notes(folder: Path) -> list[str]:
    """The notes of the engines that collected the run in a folder, each once, with the models it is about."""
    try:
        engines = [one["engines"] for one in read_collected(folder)]
    except (DataError, KeyError):
        return []
    by_note: dict[str, dict[str, None]] = {}
    for models in engines:
        for name, about in models.items() if isinstance(models, dict) else ():
            for note in about.get("notes", ()) if isinstance(about, dict) else ():
                by_note.setdefault(str(note), {})[name] = None
    return [f"{', '.join(names)}: {note}" for note, names in by_note.items()]
