"""Logs of Inspect AI (inspect.aisi.org.uk), as its 0.3 writes them: epochs are samples, one score is the grade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.samples.importers.apart import kept_apart
from scalinglab.samples.importers.credit import credit
from scalinglab.samples.importers.inspect_files import SUMMARIES, Evaluation, inspect_files, opened_log
from scalinglab.samples.importers.inspect_samples import Sample
from scalinglab.samples.importers.jsons import inner
from scalinglab.samples.importers.reading import first_bytes
from scalinglab.samples.importers.record import Asked, Importer, Log, choice, register


def read(paths: Sequence[Path], asked: Asked) -> Log:
    """Logs of one folder: a row an epoch, each sample of a log and its retries once, evaluations kept apart.

    Raises DataError where a log cannot be read, several scores are left open (``asked.score``), or two evaluations
    cannot be told apart.
    """
    logs = [opened_log(path) for path in paths if path.name != SUMMARIES]
    for name in ("model", "task"):
        logs = _only(logs, name, getattr(asked, name))
    logs = _retries_merged(logs)
    scores = _scores(logs, asked.score)
    efforts, notes = _efforts(logs)
    rows: list[dict[str, Any]] = []
    for log, effort in zip(logs, efforts, strict=True):
        told = {"model": log.model, "task": log.task, "effort": effort}
        rows += [told | _row(one, scores[log.task], asked, log.path) for one in log.samples]
        notes += [*log.notes, *_unfinished(log), *_oddities(log)]
    return Log(pd.DataFrame(rows), (*notes, *_partial(rows)))


def _only(logs: list[Evaluation], name: str, given: str | None) -> list[Evaluation]:
    """The logs of one model or task, where one was asked for."""
    if given is None:
        return logs
    choice(given, sorted({getattr(log, name) for log in logs}), where="these logs", what=name, option=f"--{name}")
    return [log for log in logs if getattr(log, name) == given]


def _retries_merged(logs: Iterable[Evaluation]) -> list[Evaluation]:
    """Logs of one evaluation as one: of each sample the last that did not fail."""
    groups: defaultdict[tuple[str, ...], list[Evaluation]] = defaultdict(list)
    for log in sorted(logs, key=lambda log: (log.created, str(log.path))):
        groups[log.model, log.task, log.identity].append(log)
    return [_merged(group) if len(group) > 1 else group[0] for group in groups.values()]


def _merged(group: list[Evaluation]) -> Evaluation:
    found: dict[tuple[str, int], Sample] = {}
    for log in group:
        for one in log.samples:
            if (one.problem, one.epoch) not in found or not one.failed:
                found[one.problem, one.epoch] = one
    names = ", ".join(log.path.name for log in group)
    note = f"{names}: one evaluation and its retries; each sample counts once, the tokens of failed tries do not"
    return replace(
        group[-1], samples=tuple(found.values()), notes=(*(n for log in group for n in log.notes), note)
    )


def _efforts(logs: Sequence[Evaluation]) -> tuple[list[str], list[str]]:
    """Each log's effort, with what else tells it from others of its model, task and effort, and notes on these."""
    keys = [(log.model, log.task, log.effort) for log in logs]
    told, notes = kept_apart(keys, [log.settings for log in logs], [log.path for log in logs])
    return [", ".join(filter(None, pair)) for pair in zip((log.effort for log in logs), told, strict=True)], notes


def _scores(logs: Sequence[Evaluation], given: str | None) -> dict[str, str | None]:
    """The score that is the grade, by task: the one asked for, or the only one. None where every sample failed."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for log in logs:
        names[log.task].update(name for one in log.samples for name in _names(one))
    every = sorted({name for found in names.values() for name in found})
    if given is not None and given not in every:
        choice(given, every, where="these logs", what="score", option="--score")
    failed = {log.task for log in logs if all(one.failed for one in log.samples)}
    return {
        task: None
        if not found and task in failed
        else choice(
            given if given in found else None, sorted(found), where=task, what="score", option="--score NAME"
        )
        for task, found in names.items()
    }


def _names(sample: Sample) -> list[str]:
    """A sample's scores: scorers, and the parts of those that give several."""
    found = []
    for name, score in sample.scores.items():
        value = inner(score, "value")
        parts = (
            list(value)
            if isinstance(value, Mapping)
            else list(range(len(value)))
            if isinstance(value, list)
            else []
        )
        found += [f"{name}.{part}" for part in parts] or [name]
    return found


def _value(sample: Sample, name: str) -> tuple[str, Any]:
    """The scorer behind a score's name, and the value."""
    for scorer, score in sample.scores.items():
        value = inner(score, "value")
        if scorer == name:
            return scorer, value
        if name.startswith(f"{scorer}."):
            part = name.removeprefix(f"{scorer}.")
            if isinstance(value, Mapping):
                return scorer, value.get(part)
            if isinstance(value, list) and part.isdigit() and int(part) < len(value):
                return scorer, value[int(part)]
    return "", None


def _row(sample: Sample, name: str | None, asked: Asked, path: Path) -> dict[str, Any]:
    scorer, value = _value(sample, name) if name else ("", None)
    grade, worth = credit(value, asked.threshold, f"{path}: sample {sample.problem}, {name}")
    return {
        "problem": sample.problem,
        "sample": sample.epoch,
        "grade": "error" if sample.failed and grade == "ungraded" else grade,
        "value": worth,
        "answer": sample.answer(scorer),
        "text": sample.text,
        "reference": sample.reference,
        "finish_reason": sample.finish,
        **sample.tokens,
    }


def _unfinished(log: Evaluation) -> list[str]:
    status, planned, have = inner(log.header, "status") or "started", log.planned, len(log.samples)
    if status == "success" and (planned is None or planned == have):
        return []
    return [f"{log.path}: status {status}, {have} of {planned or 'unknown'} samples"]


def _oddities(log: Evaluation) -> list[str]:
    """Each oddity once, with the samples that have it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in log.samples:
        for odd in one.odd:
            found[odd].append(f"{one.problem} epoch {one.epoch}")
    return [f"{log.path}: {_some(names)}: {odd}" for odd, names in found.items()]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _partial(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    partial = sum(row["grade"] == "partial" for row in rows)
    return [f"{partial} answers have partial credit: not right without --threshold VALUE"] if partial else []


def _files(paths: Sequence[Path]) -> list[Path]:
    return inspect_files(paths, {path: first_bytes(path) for path in paths if path.suffix in (".eval", ".json")})


register(Importer("inspect", _files, read))
