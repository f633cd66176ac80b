"""Completions of search-and-learn (Beeching et al. 2024): data/<model>/<approach>_completions.jsonl.

A line a problem. It records no grades: ``answer`` is the right one. The model's answers stand in the completions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import loaded_lines
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, register
from scalinglab.samples.importers.sources import (
    folders_below,
    named,
    no_samples,
    odd,
    refuse_one_name,
)

_SUFFIX = "_completions.jsonl"
_APPROACHES = {"best_of_n": "parallel", "beam_search": "beam_search", "dvts": "dvts"}
"""Our strategy of each: only of the first are the completions independent samples."""
_IDS = ("unique_id", "id", "problem_id")
_Lines = list[tuple[int, Mapping[str, Any]]]


def _files(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".jsonl" and (path.name.endswith(_SUFFIX) or _is_ours(path))]


def _is_ours(path: Path) -> bool:
    start = first_bytes(path)
    return b'"completions"' in start and b'"scores"' in start


def _read(paths: Sequence[Path], asked: Asked) -> Log:
    refuse_one_name(asked.model, map(_place, paths))
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for path in paths:
        strategy, lines = _strategy(path), list(enumerate(loaded_lines(path), start=1))
        if not lines:
            raise no_samples(path)
        key = next((key for key in _IDS if _names(lines, key)), None)
        about = {"model": named(path, _place(path), asked.model), "strategy": strategy}
        copies = 0
        for place, (number, line) in enumerate(lines):
            found, again = _rows(line, strategy, f"{path} line {number}")
            problem = str(line[key] if key else place)
            rows += [about | {"problem": problem, **one} for one in found]
            copies += again
        notes += _notes(path, strategy, copies)
    return Log(pd.DataFrame(rows), tuple(dict.fromkeys(notes)), graded=False)


def _strategy(path: Path) -> str:
    approach = path.name.removesuffix(_SUFFIX)
    if approach not in _APPROACHES:
        allowed = ", ".join(f"{name}{_SUFFIX}" for name in _APPROACHES)
        raise DataError(f"{path}, whose name says no approach", f"one of {allowed}", "give it its name again")
    return _APPROACHES[approach]


def _place(path: Path) -> str:
    """The model as the folders below data name it."""
    return folders_below(path, "data", last=0)


def _names(lines: _Lines, key: str) -> bool:
    """Whether all problems have a name of their own under a key."""
    names = [line.get(key) for _, line in lines]
    return all(type(name) in (str, int) for name in names) and len(set(map(str, names))) == len(names)


def _rows(line: Mapping[str, Any], strategy: str, where: str) -> tuple[list[dict[str, Any]], int]:
    """A row a completion, and how many of them are copies of others."""
    texts, scores, tokens = line.get("completions"), line.get("scores"), line.get("completion_tokens")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise odd(where, "has no completions", "a list of texts")
    last = _last(scores if scores is not None else line.get("agg_scores"), len(texts), where)
    known = _lengths(tokens, len(texts), where)
    gold = line.get("answer")
    if type(gold) not in (str, int, float) or not str(gold).strip():
        raise odd(where, "has no answer, which is the right one", "the data set's own columns beside completions")
    first = _period(list(zip(texts, map(str, scores or last), known, strict=True)))
    own = first if strategy == "beam_search" else len(texts)
    each = enumerate(zip(texts, last, known, strict=True))
    rows = [
        {
            "sample": i,
            "budget": len(texts),
            "text": text,
            "score": score,
            "generated_tokens": count if i < own or count is None else 0,
            "reference": str(gold),
            "grade": "ungraded",
        }
        for i, (text, score, count) in each
    ]
    return rows, len(texts) - own


def _last(scores: object, n: int, where: str) -> list[float | None]:
    """The score after the last step of each completion, by which search-and-learn chooses."""
    if scores is None:
        return [None] * n
    if not isinstance(scores, list) or len(scores) != n:
        raise odd(where, f"has {n} completions, and not as many scores", "a score, or a list of them, for each")
    found = [one[-1] if isinstance(one, list) and one else None if one == [] else one for one in scores]
    for one in found:
        if one is not None and not (type(one) in (int, float) and math.isfinite(one)):
            raise odd(where, f"has the score {one!s:.40}", "a finite number after each step")
    return found


def _lengths(tokens: Any, n: int, where: str) -> list[int | None]:
    """The tokens of each completion; None where they are not counted, which dvts writes as -1."""
    if tokens is None or tokens == -1:
        return [None] * n
    whole = isinstance(tokens, list) and all(type(one) is int and one >= -1 for one in tokens)
    if not whole or len(tokens) != n:
        raise odd(where, f"has {n} completions, and not as many completion_tokens", "a count for each, or -1")
    return [None if one == -1 else one for one in tokens]


def _period(items: Sequence[object]) -> int:
    """After how many items they repeat to the end: a beam search that completes too few beams copies them."""
    n = len(items)
    return next(m for m in range(1, n + 1) if all(items[i] == items[i - m] for i in range(m, n)))


def _notes(path: Path, strategy: str, copies: int) -> list[str]:
    if strategy == "parallel":
        return []
    lower = "tokens of beams that were dropped are not in the log, so its cost is a lower bound"
    found = [f"{path.name}: the finals of {strategy}, no independent samples; {lower}"]
    if copies:
        found.append(f"{path.name}: {copies} completions are copies of others, charged once")
    return found


register(Importer("sal", _files, _read))
