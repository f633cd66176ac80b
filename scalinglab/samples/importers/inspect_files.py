"""The forms of an Inspect log on disk: a zip .eval, one .json, or a folder of header.json and summaries.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.apart import Layers
from scalinglab.samples.importers.archives import Archive
from scalinglab.samples.importers.inspect_samples import Sample, Solver, sample_of
from scalinglab.samples.importers.jsons import inner, loaded, loaded_file, mapping, objects, text, whole
from scalinglab.samples.importers.usage import tokens_of

HEADER, SUMMARIES = "header.json", "summaries.json"
_START = "_journal/start.json"
_RUNNING = ("max_connections", "max_retries", "timeout", "attempt_timeout", "batch", "cache")
"""What a generation config holds that changes no answer."""


@dataclass(frozen=True)
class Evaluation:
    """One log: its header (eval, plan, status, results, stats), its samples, and notes on its form."""

    path: Path
    header: Mapping[str, Any]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return str(inner(self.header, "eval", "model"))

    @property
    def task(self) -> str:
        return str(inner(self.header, "eval", "task"))

    @property
    def created(self) -> str:
        return str(inner(self.header, "eval", "created"))

    @property
    def identity(self) -> str:
        """What a log and its retries have in common."""
        return str(inner(self.header, "eval", "task_id") or self.path)

    @property
    def config(self) -> dict[str, Any]:
        """How the model generated."""
        configs = (mapping(self.header, "eval", "model_generate_config"), mapping(self.header, "plan", "config"))
        return {key: value for one in configs for key, value in one.items() if key not in _RUNNING}

    @property
    def effort(self) -> str:
        """Its reasoning effort or thinking budget; nothing where none was set."""
        return next(
            (str(self.config[key]) for key in ("reasoning_effort", "reasoning_tokens") if self.config.get(key)), ""
        )

    @property
    def settings(self) -> Layers:
        """The task's arguments, the generation's, and the solver's steps."""
        steps = objects(inner(self.header, "plan", "steps"))
        solver = {
            f"{one.get('solver')}.{key}": value for one in steps for key, value in mapping(one, "params").items()
        }
        steps_of = {"solver": " ".join(str(one.get("solver")) for one in steps)}
        return mapping(self.header, "eval", "task_args"), self.config, solver | steps_of

    @property
    def planned(self) -> int | None:
        """How many samples it was to have; None where it does not say."""
        total = whole(inner(self.header, "results", "total_samples"))
        ids = inner(self.header, "eval", "dataset", "sample_ids")
        problems = len(ids) if isinstance(ids, list) else whole(inner(self.header, "eval", "dataset", "samples"))
        epochs = whole(inner(self.header, "eval", "config", "epochs")) or 1
        return total or (problems * epochs if problems else None)


def inspect_files(paths: Sequence[Path], beginning: Mapping[Path, bytes]) -> list[Path]:
    """Those of Inspect's logs, by name and first bytes; the summaries of a header with it."""
    here = set(paths)
    found = []
    for path in paths:
        start = beginning.get(path, b"")
        pair = {path.parent / HEADER, path.parent / SUMMARIES} if path.name in (HEADER, SUMMARIES) else set()
        is_json = path.suffix == ".json" and re.match(rb'\s*\{\s*"version"', start) and b'"eval"' in start
        if (
            (path.suffix == ".eval" and start.startswith(b"PK"))
            or (pair and pair <= here)
            or (not pair and is_json)
        ):
            found.append(path)
    return found


def opened_log(path: Path) -> Evaluation:
    """A log at a path, the header of a folder's among them. Raises DataError where it cannot be read."""
    if path.suffix == ".eval":
        return _archive(path)
    content = loaded_file(path)
    if path.name == HEADER:
        samples = loaded_file(path.with_name(SUMMARIES))
        return _of_summaries(path, content, samples)
    return _evaluation(path, content, inner(content, "samples"))


def _archive(path: Path) -> Evaluation:
    """From the members themselves: ids stand in them, and need not be what their names say."""
    with Archive(path) as archive:
        names = archive.names()
        start = next((name for name in (HEADER, _START) if name in names), None)
        if start is None:
            raise DataError(f"{path} has neither {HEADER} nor {_START}", "a log of Inspect", "check the file")
        header = mapping(loaded(archive.read(start), f"{path}: {start}"))
        solver, samples, strange = Solver.of(header), [], 0
        for name in names:
            if name.startswith("samples/") and name.endswith(".json"):
                found = mapping(loaded(archive.read(name), f"{path}: {name}"))
                strange += "id" not in found
                samples += [sample_of(found, solver, f"{path}: {name}")] if "id" in found else []
    notes = (f"{path}: {strange} members that are no samples, not read",) if strange else ()
    return _checked(Evaluation(path, header, tuple(samples), notes))


def _evaluation(path: Path, header: Any, samples: Any) -> Evaluation:
    solver = Solver.of(mapping(header))
    found = tuple(sample_of(one, solver, str(path)) for one in objects(samples))
    kept = {name: value for name, value in mapping(header).items() if name not in ("samples", "reductions")}
    return _checked(Evaluation(path, kept, found))


def _checked(log: Evaluation) -> Evaluation:
    for name in ("model", "task"):
        if text(inner(log.header, "eval", name)) is None:
            raise DataError(f"{log.path} names no {name}", f"a log of Inspect with eval.{name}", "check the file")
    if not log.samples:
        raise DataError(
            f"{log.path} has no samples", "a log with samples", "log them (log_samples), or leave it out"
        )
    return log


def _of_summaries(path: Path, header: Any, samples: Any) -> Evaluation:
    """From summaries: tokens of each sample where they have them, else the whole log's, spread evenly."""
    log = _evaluation(path, header, samples)
    if any(count is not None for one in log.samples for count in one.tokens.values()):
        return log
    whole_log, _ = tokens_of(Solver.of(log.header).usage(mapping(log.header, "stats")))
    if whole_log["generated_tokens"] is None:
        return log
    number = len(log.samples)
    spread = tuple(
        replace(one, tokens={name: _share(count, at, number) for name, count in whole_log.items()})
        for at, one in enumerate(log.samples)
    )
    note = f"{path}: tokens are the log's own means over its {number} samples, without the grader's"
    return replace(log, samples=spread, notes=(*log.notes, note))


def _share(count: int | None, at: int, number: int) -> int | None:
    """Whole parts of a count that add up to it."""
    return None if count is None else count * (at + 1) // number - count * at // number
