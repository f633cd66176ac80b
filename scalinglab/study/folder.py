"""A run's folder, of one collector at a time: its store, the study, its plan, and what collected it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scalinglab.collect import About
from scalinglab.collect.run import sole_collector
from scalinglab.errors import DataError
from scalinglab.files import is_partial, save
from scalinglab.report import manifest
from scalinglab.samples import COLLECTED, PLAN, Plan, PlanModel, RunStore, read_collected, read_plan
from scalinglab.study.plan import STORE
from scalinglab.study.settings import Study


@contextmanager
def held(study: Study, plan: Plan, out: Path) -> Iterator[RunStore]:
    """The store in a run's folder, for this process alone; before it is, nothing there changes.

    Raises DataError where another collector has it, or it holds the run of other models, another task, or no run.
    A run of which nothing is done yet gives way to another: who mends what a server refused begins anew.
    """
    if not (out / PLAN).is_file() and out.exists() and not (out.is_dir() and _unbegun(out)):
        raise DataError(f"{out} is no run's folder", "a new folder, or this study's", "give another --out")
    out.mkdir(parents=True, exist_ok=True)
    with sole_collector(out / STORE):
        before = begun(out)
        if before is None:
            (out / COLLECTED).unlink(missing_ok=True)
        else:
            _check_same(plan, before, out)
        save(out / PLAN, plan.to_json())
        save(out / "study.toml", study.text)
        with RunStore(out / STORE) as store:
            yield store


def begun(out: Path) -> Plan | None:
    """The plan of the run in a folder, where something of it is done. Raises DataError where it cannot be read."""
    if not (out / PLAN).is_file():
        return None
    if (out / STORE).is_file():
        with RunStore(out / STORE, write=False) as store:
            if not store.done():
                return None
    return read_plan(out)


def note(out: Path, engines: Mapping[str, About]) -> None:
    """Keep with a run what collects it: the engine of each model, versions and machine; each combination once.

    Raises DataError where a model's engine is of another kind than before.
    """
    known, about = read_collected(out), manifest((), (), None)
    for before in known:
        _check_kinds(engines, before.get("engines", {}), out)
    new = {
        "engines": {name: asdict(engine) | {"notes": list(engine.notes)} for name, engine in engines.items()},
        "versions": about["versions"],
        "machine": about["machine"],
    }
    if new not in known:
        save(out / COLLECTED, json.dumps([*known, new], indent=1) + "\n")


def _check_kinds(engines: Mapping[str, About], before: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    for name, engine in engines.items():
        kind = before.get(name, {}).get("kind")
        if kind and engine.kind and kind != engine.kind:
            raise DataError(
                f"{name} is on {engine.kind}, and the run in {out} on {kind}, which samples in its own way",
                "one kind of server for all of a run",
                "go back to such a server, or give another --out",
            )


def _check_same(plan: Plan, before: Plan, out: Path) -> None:
    """Servers may move, or become more: what collected a run, and of which kind, is in its collected.json."""

    def kept(model: PlanModel) -> PlanModel:
        return replace(model, url=(), server=None, replicas=1)

    both = [name for name in before.models if name in plan.models]
    changed = [name for name in both if kept(before.models[name]) != kept(plan.models[name])]
    if changed or before.task != plan.task or before.run != plan.run:
        what = f"another model {changed[0]}" if changed else f"study {before.run} of task {before.task}"
        raise DataError(f"{out} holds {what}", "the run of this study", "give another --out")
    asked = plan.asked or {}
    for key, value in (before.asked or {}).items():
        if key in asked and asked[key] != value:
            raise DataError(
                f"task.{key} is {asked[key]!r}, and the run in {out} has {value!r}",
                "the same for all of a run",
                "set it back, or give another --out",
            )


def _unbegun(folder: Path) -> bool:
    """Whether a folder holds nothing, or what a run that is killed as it begins leaves."""
    return all(path.name == f"{STORE}.lock" or is_partial(path.name) for path in folder.iterdir())
