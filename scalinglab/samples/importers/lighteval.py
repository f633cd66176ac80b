"""Details of LightEval: details/<model>/<date>/details_<task>_<date>.parquet, structs doc, metric, model_response.

Its documentation calls the columns otherwise; these names are its writer's (evaluation_tracker.py, 0.13).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scalinglab.samples.importers.credit import credit
from scalinglab.samples.importers.record import Asked, Importer, Log, choice, register
from scalinglab.samples.importers.sources import (
    Recorded,
    folders_below,
    fullest,
    named,
    no_samples,
    odd,
    of_task,
    refuse_one_name,
    unreadable,
)

_COLUMNS = ("doc", "metric", "model_response")
_NAME = re.compile(r"details_(?P<task>.+?)_(?P<date>\d{4}-\d\d-\d\dT[-\d.:]+)\.parquet")
_PASS = re.compile(r".*pass@(?:k:k=)?(?P<k>\d+)(?:\D.*)?")
_MEAN = re.compile(r".*avg@.*")
_BROKEN = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


def _files(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".parquet" and (_NAME.fullmatch(path.name) or _is_ours(path))]


def _is_ours(path: Path) -> bool:
    try:
        return set(_COLUMNS) <= set(pq.read_schema(path).names)
    except _BROKEN:
        return False


def _read(paths: Sequence[Path], asked: Asked) -> Log:
    refuse_one_name(asked.model, map(_place, paths))
    kept, notes = fullest(of_task([_opened(path, asked) for path in paths], asked.task))
    metrics = _chosen(kept, asked)
    rows: list[dict[str, Any]] = []
    for one, metric in zip(kept, metrics, strict=True):
        rates = any(len(line["texts"]) > 1 for line in one.lines)
        if rates:
            notes.append(
                f"{one.task}: {metric} is a rate over a problem's texts; which of them are right, it does not say"
            )
        for line in one.lines:
            rows += _counted(one, line, metric) if rates else [_graded(one, line, metric, asked.threshold)]
    if all(row["grade"] == "ungraded" for row in rows):
        raise odd(kept[0].path, f"has no grades under {metrics[0]}", "a metric of each answer")
    return Log(pd.DataFrame(rows), tuple(notes))


def _opened(path: Path, asked: Asked) -> Recorded:
    """A file of details. Its lines: id, reference, metrics, texts, prompt and generated tokens."""
    try:
        table = pq.read_table(path, columns=list(_COLUMNS)).combine_chunks()
        lines = _lines(table) if len(table) else []
    except _BROKEN as error:
        raise unreadable(
            path, error, f"a Parquet file of {', '.join(_COLUMNS)}, as LightEval writes it"
        ) from error
    if not lines:
        raise no_samples(path)
    said = _NAME.fullmatch(path.name)
    date = said["date"] if said else ""
    task = next((line["task"] for line in lines if line["task"]), said["task"] if said else path.stem)
    return Recorded(path, named(path, _place(path), asked.model), task, date, len(lines), lines)


def _place(path: Path) -> str:
    """The model as the folders between details and the date name it."""
    return folders_below(path, "details", last=1)


def _lines(table: pa.Table) -> list[dict[str, Any]]:
    """Only the lengths of token lists are taken: the lists of one file may hold more than memory does."""
    doc, said = (table[name].combine_chunks() for name in ("doc", "model_response"))
    texts = said.field("text").to_pylist()
    return [
        {
            "id": str(id_),
            "task": task,
            "reference": _gold(choices, gold),
            "metrics": {name: value for name, value in (metrics or {}).items() if value is not None},
            "texts": text if isinstance(text, list) else [],
            "prompt": prompt or None,
            "generated": generated,
        }
        for id_, task, choices, gold, metrics, text, prompt, generated in zip(
            *(doc.field(name).to_pylist() for name in ("id", "task_name", "choices", "gold_index")),
            table["metric"].to_pylist(),
            texts,
            _lengths(said, "input_tokens"),
            _inner_lengths(said, "output_tokens"),
            strict=True,
        )
    ]


def _lengths(said: pa.StructArray, name: str) -> list[int | None]:
    """Of a list of ids; None where there is none, also where a list of lists stands for several prompts."""
    known = said.type.get_field_index(name) >= 0
    ids = said.field(name) if known else None
    if ids is None or not pa.types.is_list(ids.type) or pa.types.is_list(ids.type.value_type):
        return [None] * len(said)
    found: list[int | None] = pc.list_value_length(ids).to_pylist()
    return found


def _inner_lengths(said: pa.StructArray, name: str) -> list[list[int]]:
    """The length of each text's ids, a list a row; empty where they are not recorded for all texts."""
    known = said.type.get_field_index(name) >= 0
    lists = said.field(name) if known else None
    if lists is None or not pa.types.is_list(lists.type) or not pa.types.is_list(lists.type.value_type):
        return [[]] * len(said)
    lengths = iter(pc.list_value_length(lists.flatten()).to_pylist())
    return [[next(lengths) or 0 for _ in range(count or 0)] for count in pc.list_value_length(lists).to_pylist()]


def _gold(choices: Any, index: Any) -> str | None:
    first = index[0] if isinstance(index, list) and index else index
    known = isinstance(choices, list) and isinstance(first, int) and 0 <= first < len(choices)
    return str(choices[first]) if known else None


def _chosen(kept: Sequence[Recorded], asked: Asked) -> list[str]:
    """The metric of each file: what was asked for, or the only one; of pass@k at several k, that of k = 1."""
    every = [list(dict.fromkeys(name for line in one.lines for name in line["metrics"])) for one in kept]
    if asked.score is not None and not any(asked.score in names for names in every):
        known = dict.fromkeys(name for names in every for name in names)
        choice(asked.score, list(known), where=kept[0].path, what="metric", option="--score")
    found = []
    for one, names in zip(kept, every, strict=True):
        single = [name for name in names if (of := _PASS.fullmatch(name)) is None or of["k"] == "1"]
        given = asked.score if asked.score in names else None
        name = choice(given, names if given else single or names, where=one.path, what="metric", option="--score")
        if name not in single:
            raise odd(one.path, f"has {name}, no grade of a sample", "pass@1, or a metric of each answer")
        found.append(name)
    return found


def _graded(one: Recorded, line: Mapping[str, Any], metric: str, threshold: float | None) -> dict[str, Any]:
    grade, value = credit(line["metrics"].get(metric), threshold, f"{one.path}: {metric} of {line['id']}")
    text = line["texts"][0] if line["texts"] else None
    return _row(one, line, 0) | {"grade": grade, "value": value, "text": text}


def _counted(one: Recorded, line: Mapping[str, Any], metric: str) -> list[dict[str, Any]]:
    """As many right answers as the rate says, the first ones: their texts are not theirs, and are left out."""
    n, rate, where = len(line["texts"]), line["metrics"].get(metric), f"{one.path}: {metric} of {line['id']}"
    if rate is not None and n > 1 and not (_PASS.fullmatch(metric) or _MEAN.fullmatch(metric)):
        raise odd(where, f"is one value for {n} texts", "a rate over them (pass@k with k=1, avg@n)")
    if rate is None or (isinstance(rate, float) and math.isnan(rate)):
        return [_row(one, line, i) | {"grade": "ungraded", "value": None, "text": None} for i in range(max(n, 1))]
    right = round(n * rate) if isinstance(rate, (int, float)) and 0 <= rate <= 1 else -1
    if not 0 <= right <= n or abs(right - n * rate) > 1e-3:
        raise odd(where, f"is {rate!s:.40} over {n} texts", "right ones over all")
    grades = ["right"] * right + ["wrong"] * (n - right)
    return [_row(one, line, i) | {"grade": grade, "value": None, "text": None} for i, grade in enumerate(grades)]


def _row(one: Recorded, line: Mapping[str, Any], sample: int) -> dict[str, Any]:
    generated = line["generated"]
    known = len(generated) == max(len(line["texts"]), 1) and generated[sample] > 0
    return {
        "model": one.model,
        "task": one.task,
        "problem": line["id"],
        "sample": sample,
        "prompt_tokens": line["prompt"],
        "generated_tokens": generated[sample] if known else None,
        "reference": line["reference"],
    }


register(Importer("lighteval", _files, _read))
