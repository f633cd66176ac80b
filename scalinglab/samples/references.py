"""The right answers of a run's problems, its references.jsonl: a line {"task", "problem", "answer"} each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from scalinglab.errors import DataError
from scalinglab.files import save

REFERENCES = "references.jsonl"


def write_references(folder: str | Path, answers: Mapping[tuple[str, str], str]) -> Path:
    """Keep right answers, by task and problem, with the run in a folder. Raises DataError."""
    rows = ({"task": task, "problem": problem, "answer": answer} for (task, problem), answer in answers.items())
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return save(Path(folder) / REFERENCES, "".join(lines))


def read_references(folder: str | Path) -> dict[tuple[str, str], str]:
    """The right answers, by task and problem, that a run's folder holds; none where it holds no such file.

    Raises DataError naming the line that cannot be read.
    """
    path = Path(folder) / REFERENCES
    if not path.is_file():
        return {}
    found: dict[tuple[str, str], str] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
                task, problem, answer = (row[key] for key in ("task", "problem", "answer"))
                if not all(isinstance(one, str) for one in (task, problem, answer)):
                    raise TypeError("texts only")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {number}, is no right answer ({error!r:.60})",
                    'a JSON object with the texts "task", "problem" and "answer"',
                    "mend the line",
                ) from error
            found[task, problem] = answer
    return found
