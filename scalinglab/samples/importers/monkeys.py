"""Samples of Large Language Monkeys (Brown et al. 2024): a folder a model, a YAML file a problem, graded or not.

The README calls the grades is_correct, the code is_corrects. Code contests are graded into files without suffix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import text
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, register
from scalinglab.samples.importers.sources import natural, odd, refuse_one_name, unreadable

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_YAML = (".yaml", ".yml")
_OTHERS = (".json", ".jsonl", ".parquet", ".csv", ".eval", ".md", ".txt", ".py")
_START = re.compile(
    rb"(?:gt_answer|is_corrects?|samples):|(?:name|prompt|question):(?s:.*?)\n(?:samples|question):"
)
_GRADES = ("is_corrects", "is_correct")


def _files(paths: Sequence[Path]) -> list[Path]:
    """Those that begin as a problem does; beside one of them, every YAML file: one that is cut is not left out."""
    told = {path for path in paths if path.suffix not in _OTHERS and _START.match(first_bytes(path))}
    folders = {path.parent for path in told}
    return [path for path in paths if path in told or (path.suffix in _YAML and path.parent in folders)]


def _read(paths: Sequence[Path], asked: Asked) -> Log:
    folders = sorted({path.absolute().parent for path in paths})
    refuse_one_name(asked.model, [str(folder) for folder in folders])
    rows, notes = [], []
    for folder in folders:
        model = asked.model or folder.name
        if asked.model is None:
            notes.append(f"the model is called {model} after its folder (--model)")
        files = {_problem(path): path for path in paths if path.absolute().parent == folder}
        if len(files) < sum(path.absolute().parent == folder for path in paths):
            raise odd(folder, "has two files of one problem", "a file a problem")
        rows += [row for name in natural(files) for row in _rows(files[name], model, name)]
    return Log(pd.DataFrame(rows), tuple(notes))


def _problem(path: Path) -> str:
    """The whole name, which may hold dots, without .yaml."""
    return path.stem if path.suffix in _YAML else path.name


def _rows(path: Path, model: str, problem: str) -> list[dict[str, Any]]:
    try:
        found = yaml.load(path.read_bytes(), Loader=_LOADER)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise unreadable(path, error, "a YAML file of plain values") from error
    samples = found.get("samples") if isinstance(found, dict) else None
    if not isinstance(samples, list) or not all(isinstance(text, str) for text in samples):
        raise odd(path, "has no list of samples", "samples, each a text")
    reference = text(found.get("gt_answer"))
    grades = _grades(path, found, len(samples))
    about = {"model": model, "problem": problem, "reference": reference}
    each = enumerate(zip(samples, grades, strict=True))
    return [about | {"sample": i, "text": text, "grade": grade} for i, (text, grade) in each]


def _grades(path: Path, found: dict[str, Any], samples: int) -> list[str]:
    given = [found[key] for key in _GRADES if isinstance(found.get(key), list)]
    if not given:
        raise DataError(f"{path} has no grades (is_corrects)", "a graded file", "run the evaluation first")
    if len(given) > 1 and given[0] != given[1]:
        raise odd(path, "has is_corrects and is_correct, which differ", "one of them")
    if len(given[0]) != samples:
        raise odd(path, f"has {samples} samples and {len(given[0])} grades", "a grade for each sample")
    if any(type(one) not in (bool, type(None)) for one in given[0]):
        raise odd(path, "has a grade that is none", "true or false")
    return ["ungraded" if one is None else "right" if one else "wrong" for one in given[0]]


register(Importer("monkeys", _files, _read))
