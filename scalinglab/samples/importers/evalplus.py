"""Results of EvalPlus: <model>_<backend>_temp_<t>_eval_results.json, right or wrong by tests, without answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import loaded_file, text
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, choice, register
from scalinglab.samples.importers.sources import named, odd, refuse_one_name

_NAME = re.compile(r"(?P<model>.+?)(?:_[A-Za-z]+_temp_[\d.]+)?(?:_base_only)?[_.]?eval_results\.json")
_STATUS = {"pass": "right", "success": "right", "fail": "wrong", "failed": "wrong", "timeout": "wrong"}
"""Of 2023 "success" and "failed"; a program that never ends is a failure, or a timeout."""


def _files(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".json" and (_NAME.fullmatch(path.name) or _is_ours(path))]


def _is_ours(path: Path) -> bool:
    start = first_bytes(path)
    return b'"eval"' in start and b'"base_status"' in start


def _read(paths: Sequence[Path], asked: Asked) -> Log:
    refuse_one_name(asked.model, map(_hint, paths))
    tables, notes = [], []
    for path in paths:
        model = named(path, _hint(path), asked.model)
        tables.append(pd.DataFrame(_rows(path, model, asked.score)))
        if asked.model is None:
            notes.append(f"the model is called {model} after the file {path.name} (--model)")
    rows = pd.concat(tables, ignore_index=True)
    _refuse_twice(rows, paths)
    return Log(rows.drop(columns="file"), tuple(notes))


def _hint(path: Path) -> str:
    """The model as the file's name says it, in which -- stands for /."""
    said = _NAME.fullmatch(path.name)
    return said["model"].replace("--", "/") if said else ""


def _rows(path: Path, model: str, score: str | None) -> list[dict[str, Any]]:
    found = loaded_file(path)
    problems = found.get("eval") if isinstance(found, dict) else None
    if not isinstance(problems, dict) or not problems:
        raise odd(path, "has no results under eval", "what evalplus.evaluate wrote")
    each = [(task_id, *one) for task_id, said in problems.items() for one in _tried(path, task_id, said)]
    known = ["base", "plus"] if any(plus is not None for *_, plus in each) else ["base"]
    tests = choice(score, known, where=path, what="test set", option="--score")
    counts: dict[str, int] = {}
    rows = []
    for task_id, program, base, plus in each:
        sample = counts[task_id] = counts.get(task_id, -1) + 1
        grade = _grade(base, plus, tests, f"{path}: {task_id}")
        about = {"model": model, "task": task_id.partition("/")[0], "problem": task_id, "file": str(path)}
        rows.append(about | {"sample": sample, "grade": grade, "text": program})
    return rows


def _tried(path: Path, task_id: str, said: object) -> list[tuple[str | None, Any, Any]]:
    """The program, the base and the plus status of each sample; None for what is not told."""
    if isinstance(said, Mapping) and isinstance(said.get("base"), list):  # 2023: lists of [status, details]
        base, plus = said["base"], said.get("plus") or [None] * len(said["base"])
        if isinstance(plus, list) and len(plus) == len(base):
            return [(None, _first(one), _first(other)) for one, other in zip(base, plus, strict=True)]
    elif isinstance(said, list) and all(isinstance(one, dict) and "base_status" in one for one in said):
        return [(text(one.get("solution")), one["base_status"], one.get("plus_status")) for one in said]
    raise odd(f"{path}: {task_id}", "is no list of results", "a base_status and a plus_status for each sample")


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _grade(base: object, plus: object, tests: str, where: str) -> str:
    """Right under plus where both sets of tests pass."""
    asked = (base,) if tests == "base" else (base, plus)
    grades = ["ungraded" if one is None else _STATUS.get(str(one)) for one in asked]
    if None in grades:
        raise odd(where, f"has the status {asked[grades.index(None)]!r:.40}", f"one of {', '.join(_STATUS)}")
    return next(grade for grade in ("wrong", "ungraded", "right") if grade in grades)


def _refuse_twice(rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    files = rows.groupby(["model", "problem"])["file"].unique()
    twice = files[files.map(len) > 1]
    if len(twice):
        names = " and ".join(Path(name).name for name in twice.iloc[0])
        raise DataError(
            f"{names} ({paths[0].parent}) hold the same problems of {twice.index[0][0]}",
            "one file for a model",
            "import one of them",
        )


register(Importer("evalplus", _files, _read))
