"""Logs of lm-evaluation-harness: samples_<task>_<date>.jsonl, a line a problem and filter, beside results_*.json.

Read in lm_eval 0.4.13's own files: a line holds all texts of a problem (``repeats``), but one grade.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.importers.credit import credit
from scalinglab.samples.importers.jsons import loaded_file, loaded_lines, text
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, choice, register
from scalinglab.samples.importers.sources import (
    Recorded,
    agreed,
    fullest,
    no_samples,
    odd,
    of_task,
    refuse_one_name,
)

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<date>\d{4}-\d\d-\d\dT[-\d.:]+))?\.jsonl")
_IDS = ("id", "unique_id", "task_id", "question_id", "problem_id")
"""Where a document may have a name of its own; its position (doc_id) is another after every change of the data."""
_OURS = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics")
_INVALID = "[invalid]"
"""What the harness's regex filters write where they find nothing."""


def _files(paths: Sequence[Path]) -> list[Path]:
    samples = [
        path
        for path in paths
        if path.suffix == ".jsonl" and (_NAME.fullmatch(path.name) or first_bytes(path, 10) == b'{"doc_id":')
    ]
    folders = {path.parent for path in samples}
    return [*samples, *(path for path in paths if path.parent in folders and _is_results(path))]


def _is_results(path: Path) -> bool:
    return path.name.startswith("results_") and path.suffix == ".json"


def _read(paths: Sequence[Path], asked: Asked) -> Log:
    samples = [path for path in paths if path.suffix == ".jsonl"]
    refuse_one_name(asked.model, [str(path.absolute().parent) for path in samples])
    found, notes = [], []
    for path in samples:
        one, note = _opened(path, asked)
        found.append(one)
        notes += note
    kept, reruns = fullest(of_task(found, asked.task))
    pairs = _chosen(kept, asked)
    tables = []
    for one, (metric, filter_) in zip(kept, pairs, strict=True):
        rows, note = _rows(one, metric, filter_, asked.threshold)
        tables.append(rows)
        notes += note
    if len(set(pairs)) > 1:
        each = dict.fromkeys(f"{one.task} by {_called(pair)}" for one, pair in zip(kept, pairs, strict=True))
        notes.append(f"graded: {', '.join(each)}")
    rows = pd.concat(tables, ignore_index=True)
    _refuse_mixed(rows)
    return Log(rows.drop(columns="doc_hash"), tuple(dict.fromkeys([*notes, *reruns])))


def _opened(path: Path, asked: Asked) -> tuple[Recorded, list[str]]:
    """A file of samples with its model: as its results say, else as it was asked for, else by its folder."""
    said = _NAME.fullmatch(path.name)
    task, date = (said["task"], said["date"] or "") if said else (path.stem, "")
    lines = [_checked(path, number, line) for number, line in enumerate(loaded_lines(path), start=1)]
    if not lines:
        raise no_samples(path)
    model, notes = _results_of(path, date).get("model_name"), []
    if isinstance(model, str) and model:
        model = agreed(model, asked.model, path)
    elif asked.model is not None:
        model = asked.model
    else:
        model = path.absolute().parent.name
        notes = [f"no results_*.json beside {path.name} names the model: called {model} after its folder"]
    return Recorded(path, model, task, date, len({line["doc_id"] for line in lines}), lines), notes


def _checked(path: Path, number: int, line: Mapping[str, Any]) -> dict[str, Any]:
    where = f"{path} line {number}"
    if type(line.get("doc_id")) is not int or not isinstance(line.get("resps"), list):
        raise odd(where, "has no doc_id or no resps", "a line that lm_eval's --log_samples wrote")
    metrics = line.get("metrics", [])
    if not isinstance(metrics, list) or any(not isinstance(name, str) or name not in line for name in metrics):
        raise odd(where, "names metrics that it does not hold", "a key a metric")
    return {"filter": "none", **line, "where": where}


def _results_of(path: Path, date: str) -> dict[str, Any]:
    """The results that were written with the samples: of the same date, else any that are beside them."""
    same = path.with_name(f"results_{date}.json")
    beside = [same] if same.is_file() else sorted(filter(_is_results, path.absolute().parent.iterdir()))
    every = [found for found in map(loaded_file, beside) if isinstance(found, dict)]
    return every[0] if len({str(found.get("model_name")) for found in every}) == 1 else {}


def _chosen(kept: Sequence[Recorded], asked: Asked) -> list[tuple[str, str]]:
    """The metric and the filter of each file: what was asked for, or the only ones.

    An answer that one task knows may be unknown to another that leaves nothing open.
    """
    every = [_pairs(one) for one in kept]
    for one, pairs in zip(kept, every, strict=True):
        if not pairs:
            raise odd(one.path, "has no metrics of which more is better", "a run that graded its answers")
    for given, option in ((asked.score, "--score"), (asked.filter, "--filter")):
        known = [pair for pairs in every for pair in pairs if _fits(pair, given)]
        if not known:
            names = dict.fromkeys(_called(pair) for pairs in every for pair in pairs)
            raise DataError(f"no {given!r} in {kept[0].path}", f"one of {', '.join(names)}", f"mend {option}")
    found = []
    for one, pairs in zip(kept, every, strict=True):
        left = pairs
        for given in (asked.score, asked.filter):
            left = [pair for pair in left if _fits(pair, given)] or left
        open_ = "--filter" if len({metric for metric, _ in left}) == 1 else "--score"
        name = choice(None, [_called(pair) for pair in left], where=one.path, what="grade", option=open_)
        found.append(next(pair for pair in left if _called(pair) == name))
    return found


def _pairs(one: Recorded) -> list[tuple[str, str]]:
    """The metrics and filters of a file, but for metrics of which less is better."""
    better = _results_of(one.path, one.date).get("higher_is_better")
    of_task = better.get(one.task) if isinstance(better, dict) else None
    lower = {name for name, high in of_task.items() if high is False} if isinstance(of_task, dict) else set()
    pairs = ((metric, str(line["filter"])) for line in one.lines for metric in _metrics(line))
    return [pair for pair in dict.fromkeys(pairs) if pair[0] not in lower]


def _metrics(line: Mapping[str, Any]) -> list[str]:
    """Their names; in older files, which do not say, the keys that hold a number."""
    unsaid = [key for key, value in line.items() if key not in _OURS and isinstance(value, (int, float))]
    return list(line.get("metrics", unsaid))


def _called(pair: tuple[str, str]) -> str:
    return pair[0] if pair[1] == "none" else ",".join(pair)


def _fits(pair: tuple[str, str], given: str | None) -> bool:
    return given in (None, *pair, _called(pair))


def _rows(one: Recorded, metric: str, filter_: str, threshold: float | None) -> tuple[pd.DataFrame, list[str]]:
    lines = [line for line in one.lines if line["filter"] == filter_ and metric in line]
    key, voters = _name_of(one.lines), _voters(one, filter_)
    rows = [_row(one, line, metric, key, voters, threshold) for line in lines]
    if all(row["grade"] == "ungraded" for row in rows):
        raise odd(one.path, f"has no grades under {metric}", "a run without --predict_only")
    texts = [len(_texts(line)) for line in lines]
    left = sum(texts) - sum(count > 0 for count in texts)
    if not left:
        return pd.DataFrame(rows), []
    if voters is not None:
        return pd.DataFrame(rows), [f"{one.task}: {filter_} is one vote a problem over several texts"]
    note = f"{one.task}: of {sum(texts)} texts {left} have no grade (lm_eval grades one a problem): left out"
    return pd.DataFrame(rows), [note]


def _row(
    one: Recorded, line: Mapping[str, Any], metric: str, key: str, voters: int | None, threshold: float | None
) -> dict[str, Any]:
    texts, filtered = _texts(line), line.get("filtered_resps")
    answer = text(filtered[0]) if isinstance(filtered, list) and filtered else None
    grade, value = credit(line[metric], threshold, f"{line['where']}: {metric}")
    if answer == _INVALID:
        grade, answer = ("unparsed", None) if grade == "wrong" else (grade, None)
    arm = {} if voters is None else {"strategy": "majority", "budget": voters or len(texts)}
    return {
        "model": one.model,
        "task": one.task,
        "problem": str(line["doc_id"] if not key else line["doc"][key]),
        "sample": 0,
        "grade": grade,
        "value": value,
        "answer": answer,
        "text": texts[0] if texts and voters is None else None,
        "reference": text(line.get("target")) if texts else None,
        "doc_hash": text(line.get("doc_hash")),
        **arm,
    }


def _texts(line: Mapping[str, Any]) -> list[str]:
    """What was written to a problem; nothing where choices were scored instead."""
    resps = line["resps"]
    first = resps[0] if len(resps) == 1 and isinstance(resps[0], list) else []
    return [text for text in first if isinstance(text, str)]


def _name_of(lines: Sequence[Mapping[str, Any]]) -> str:
    """The key under which all documents have a name of their own; "" where none does."""
    for key in _IDS:
        docs = [line.get("doc") for line in lines]
        names = [doc.get(key) for doc in docs if isinstance(doc, dict)]
        pairs = {(line["doc_id"], str(name)) for line, name in zip(lines, names, strict=False)}
        plain = len(names) == len(lines) and all(type(name) in (str, int) for name in names)
        if plain and len(pairs) == len({at for at, _ in pairs}) == len({name for _, name in pairs}):
            return key
    return ""


def _voters(one: Recorded, filter_: str) -> int | None:
    """How many texts vote under a filter (0: all of them); None where one text is graded."""
    configs = _results_of(one.path, one.date).get("configs")
    config = configs.get(one.task) if isinstance(configs, dict) else None
    filters = config.get("filter_list") if isinstance(config, dict) else None
    for found in filters if isinstance(filters, list) else ():
        if found.get("name") == filter_:
            steps = {step.get("function"): step for step in found.get("filter", ())}
            return int(steps.get("take_first_k", {}).get("k", 0)) if "majority_vote" in steps else None
    said = re.fullmatch(r"maj@(\d+)", filter_)
    return int(said[1]) if said else None


def _refuse_mixed(rows: pd.DataFrame) -> None:
    """Refuse models that were asked different problems under one name: positions in data that changed."""
    several = rows.groupby(["task", "problem"])["doc_hash"].nunique()
    if (several > 1).any():
        task, problem = several.index[several > 1][0]
        raise DataError(
            f"problem {problem} of {task} is not the same for all models (doc_hash)",
            "runs on the same data",
            "import them apart",
        )


register(Importer("lm-eval", _files, _read))
