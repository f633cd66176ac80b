"""The results that records of Every Eval Ever hold: lines by model, evaluation and result, and which are meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.apart import Layers, kept_apart
from scalinglab.samples.importers.jsons import inner, loaded_file, loaded_lines, mapping, objects, text, whole
from scalinglab.samples.importers.record import Asked, choice

_KEYS = ("model_id", "evaluation_id", "evaluation_name", "evaluation_result_id")


@dataclass(frozen=True)
class Result:
    """The records of one result of one evaluation of a model. samples: what they are about, by id and hash.
    settings: how it was generated, where an aggregate says so. stated: how many lines that says its file has."""

    path: Path
    model: str
    evaluation: str
    name: str
    records: tuple[Mapping[str, Any], ...]
    samples: frozenset[tuple[str, str]]
    settings: Layers
    stated: int | None

    @property
    def task(self) -> str:
        """Its name, without the filter that the converter of lm-eval puts behind it."""
        used = text(inner(self.records[0], "metadata", "filter"))
        return self.name.removesuffix(f"/{used}") if used else self.name


def results_of(paths: Sequence[Path], asked: Asked) -> list[Result]:
    """The results in the files of lines, with what aggregates tell of them; of those of the same samples the one
    that was asked for. Raises DataError where a line cannot be read, or it is open which result is meant."""
    read = [loaded_file(path) for path in paths if path.suffix == ".json"]
    aggregates = {str(inner(one, "evaluation_id")): one for one in read}
    results = [one for path in paths if path.suffix == ".jsonl" for one in _results(path, aggregates)]
    if not results:
        raise DataError(f"{paths[0]} is an aggregate without answers", "its _samples.jsonl beside it", "add that")
    return _chosen(_only(results, asked), asked.score or asked.filter)


def _results(path: Path, aggregates: Mapping[str, Any]) -> list[Result]:
    """A file's lines by model, evaluation and result; ours by model and evaluation, as each tells its own arm."""
    groups: defaultdict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for record in loaded_lines(path):
        lacking = [name for name in ("model_id", "evaluation_name", "sample_id") if not text(record.get(name))]
        if lacking:
            raise DataError(f"{path} has a line without {', '.join(lacking)}", "a record of 0.3", "mend it")
        key = tuple(str(record.get(name)) for name in _KEYS)
        groups[key[:3] if inner(record, "metadata", "strategy") else key].append(record)
    several = len({key[2] for key in groups}) < len({key[2:] for key in groups})
    found = []
    for (model, evaluation, name, *result), records in groups.items():
        aggregate = aggregates.get(evaluation)
        stated = whole(inner(aggregate, "detailed_evaluation_results", "total_rows"))
        samples = frozenset((str(one.get("sample_id")), str(one.get("sample_hash"))) for one in records)
        called = "/".join([name, *result]) if several else name
        found.append(
            Result(path, model, evaluation, called, tuple(records), samples, _settings(aggregate, name), stated)
        )
    return found


def _settings(aggregate: Any, name: str) -> Layers:
    """How a result was generated, as its aggregate says."""
    for one in objects(inner(aggregate, "evaluation_results")):
        if one.get("evaluation_name") == name:
            config = mapping(one, "generation_config")
            return mapping(config, "generation_args"), mapping(config, "additional_details")
    return {}, {}


def _only(results: list[Result], asked: Asked) -> list[Result]:
    """Those of one model or task, where one was asked for."""
    for name in ("model", "task"):
        given = getattr(asked, name)
        if given is not None:
            known = sorted({getattr(one, name) for one in results})
            choice(given, known, where="these records", what=name, option=f"--{name}")
            results = [one for one in results if getattr(one, name) == given]
    return results


def _chosen(results: Sequence[Result], given: str | None) -> list[Result]:
    """Of results that share samples of one evaluation, the one that was asked for."""
    groups: list[list[Result]] = []
    for one in results:
        same = [
            group
            for group in groups
            if (group[0].model, group[0].evaluation) == (one.model, one.evaluation)
            and any(one.samples & other.samples for other in group)
        ]
        groups = [group for group in groups if group not in same] + [[*(r for group in same for r in group), one]]
    every = sorted({one.name for one in results})
    if given is not None and given not in every:
        choice(given, every, where="these records", what="result", option="--score")
    chosen = []
    for group in groups:
        names = sorted({one.name for one in group})
        where = f"{group[0].path}, of the same samples"
        taken = choice(given if given in names else None, names, where=where, what="result", option="--score NAME")
        chosen += [one for one in group if one.name == taken]
    return chosen


def efforts_of(results: Sequence[Result]) -> tuple[list[str], list[str]]:
    """What tells evaluations of one model and task apart, and notes on them; nothing where there is one."""
    keys = [(one.model, one.task) for one in results]
    return kept_apart(keys, [one.settings for one in results], [one.path for one in results])
