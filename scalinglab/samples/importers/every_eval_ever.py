"""Records of Every Eval Ever (evaleval.github.io, schema 0.3.0): aggregates, and their answers a line each.

One line is one sample under one result, so that several results of a sample are several lines: one is chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.importers.credit import credit
from scalinglab.samples.importers.eval_results import Result, efforts_of, results_of
from scalinglab.samples.importers.jsons import cut, inner, loaded_lines, mapping, objects, text, whole
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, register
from scalinglab.samples.importers.usage import OUTSIDE, tokens_of, usage_of
from scalinglab.samples.records import GRADES


def read(paths: Sequence[Path], asked: Asked) -> Log:
    """The answers in records; ``asked.score`` (or ``asked.filter``) chooses between results of the same samples.

    Raises DataError where a line cannot be read, a score is a mean over epochs and no grade, or several results
    are left open.
    """
    results = results_of(paths, asked)
    rows: list[dict[str, Any]] = []
    efforts, notes = efforts_of(results)
    for one, effort in zip(results, efforts, strict=True):
        _refuse_reduced(one)
        told = {"model": one.model, "task": one.task, "effort": effort}
        made = _numbered([told | _row(record, asked, one.path) for record in one.records])
        rows += made
        notes += _notes(one, made)
    return Log(pd.DataFrame(rows), tuple(notes))


def _refuse_reduced(result: Result) -> None:
    """Raise DataError where scores are means over a sample's epochs: the same fraction in each of them."""
    scores: defaultdict[str, list[Any]] = defaultdict(list)
    for one in result.records:
        scores[str(one.get("sample_id"))].append(inner(one, "evaluation", "score"))
    for problem, found in scores.items():
        value = found[0]
        if len(found) > 1 and isinstance(value, float) and 0 < value < 1 and found.count(value) == len(found):
            raise DataError(
                f"{result.path}: sample {problem} has the score {value:g} in each of its {len(found)} epochs, "
                "a mean over them and no grade",
                "a grade an epoch",
                "import the log that it was made of (Inspect's .eval)",
            )


def _row(record: Mapping[str, Any], asked: Asked, path: Path) -> dict[str, Any]:
    where = f"{path}: sample {record.get('sample_id')}"
    tokens, _ = tokens_of(_usage(record))
    grade, value = _grade(record, asked.threshold, where)
    references = inner(record, "input", "reference")
    return {
        "problem": str(record["sample_id"]),
        "grade": grade,
        "value": value,
        "answer": _answer(record),
        "text": next(iter(_texts(record)), ""),
        "reference": text(references[0]) if isinstance(references, list) and len(references) == 1 else None,
        "finish_reason": "error" if record.get("error") else _finish(record),
        **tokens,
        **_arm(mapping(record, "metadata")),
    }


def _arm(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What our own records tell of how an answer came to be; of others' the epoch."""
    if "strategy" not in metadata:
        return {"sample": _number(metadata.get("epoch"))}
    names = ("strategy", "effort", "verifier")
    told = {name: metadata[name] for name in names if text(metadata.get(name))}
    numbers = {name: _number(metadata[name]) for name in ("budget", "seed") if name in metadata}
    scores = {"score": metadata["score"]} if "score" in metadata else {}
    return told | numbers | scores | {"sample": _number(metadata.get("sample"))}


def _usage(record: Mapping[str, Any]) -> Mapping[str, int]:
    """Its usage; nothing for several turns, where converters give that of the last one."""
    return {} if _turns(record) > 1 else usage_of(record.get("token_usage"))


def _turns(record: Mapping[str, Any]) -> int:
    return whole(inner(record, "evaluation", "num_turns")) or 1


def _texts(record: Mapping[str, Any]) -> list[str]:
    """The model's texts; of a conversation the last message."""
    outputs = inner(record, "output", "raw")
    if isinstance(outputs, list):
        return [str(one) for one in outputs]
    said = [text(one.get("content")) for one in objects(record.get("messages")) if one.get("role") == "assistant"]
    return [one for one in said if one][-1:]


def _grade(record: Mapping[str, Any], threshold: float | None, where: str) -> tuple[str, float | None]:
    """Ours is told; an error is no wrong answer; 0 and 1 must agree with is_correct; a fraction is partial."""
    score, right = inner(record, "evaluation", "score"), inner(record, "evaluation", "is_correct")
    told = inner(record, "metadata", "grade")
    if told in GRADES and inner(record, "metadata", "strategy") and told != "partial":
        return str(told), None
    if record.get("error"):
        return "error", None
    grade, value = credit(right if score is None else score, threshold, where)
    if (
        threshold is None
        and isinstance(right, bool)
        and grade in ("right", "wrong")
        and right != (grade == "right")
    ):
        raise DataError(
            f"{where} has the score {cut(score)} and is_correct {right}", "one grade", "mend the record"
        )
    return grade, value


def _finish(record: Mapping[str, Any]) -> str:
    reason = text(inner(record, "metadata", "stop_reason")) or text(inner(record, "metadata", "finish_reason"))
    return "length" if reason in ("max_tokens", "model_length") else reason or "unknown"


def _answer(record: Mapping[str, Any]) -> str | None:
    last = [one for one in objects(record.get("answer_attribution")) if one.get("is_terminal")]
    return text(last[-1].get("extracted_value")) if last else None


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else whole(value)


def _numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their sample's number: its epoch, or where one has none, the order of its problem's rows."""
    if all(row["sample"] is not None for row in rows):
        return rows
    seen: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        row["sample"] = seen[row["problem"]]
        seen[row["problem"]] += 1
    return rows


def _notes(result: Result, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is odd about a result's records, with how many of them are so."""
    partial = sum(row["grade"] == "partial" for row in rows)
    several = sum(len(_texts(one)) > 1 for one in result.records)
    turns = sum(_turns(one) > 1 for one in result.records)
    outside = sum(tokens_of(_usage(one))[1] for one in result.records)
    lines = len(loaded_lines(result.path)) if result.stated is not None else None
    found = {
        f"{partial} answers have partial credit: not right without --threshold VALUE": partial,
        f"{several} samples have several texts and one grade: the first text stands for it": several,
        f"{turns} samples of several turns: their usage may be of the last one alone, so it is unknown": turns,
        f"{outside} samples: {OUTSIDE}": outside,
        f"{lines} lines, where its aggregate says {result.stated}": lines != result.stated,
    }
    return [f"{result.path}: {said}" for said, is_so in found.items() if is_so]


def _files(paths: Sequence[Path]) -> list[Path]:
    """Aggregates and lines, by the keys that they begin with."""
    return [path for path in paths if path.suffix in (".json", ".jsonl") and _is_record(first_bytes(path))]


def _is_record(start: bytes) -> bool:
    keys = (b'"schema_version"', b'"evaluation_id"')
    return start.lstrip()[:1] == b"{" and all(key in start for key in keys)


register(Importer("every-eval-ever", _files, read))
