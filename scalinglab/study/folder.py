"""A run's folder, of one collector at a time: its store, the study, its plan, and what collected it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scalinglab.collect import Engine
from scalinglab.collect.run import sole_collector
from scalinglab.errors import DataError
from scalinglab.files import is_partial, save
from scalinglab.report import manifest
from scalinglab.samples import PLAN, Plan, RunStore, read_plan
from scalinglab.study.plan import COLLECTED, STORE
from scalinglab.study.reading import read_collected
from scalinglab.study.settings import Study


@contextmanager
def held(study: Study, plan: Plan, out: Path) -> Iterator[RunStore]:
    """The store in a run's folder, for this process alone; before it is, nothing there changes.

    Raises DataError where another collector has it, or it holds the run of other models, another task, or no run.
    """
    if not (out / PLAN).is_file() and out.exists() and not (out.is_dir() and _unbegun(out)):
        raise DataError(f"{out} is no run's folder", "a new folder, or this study's", "give another --out")
    out.mkdir(parents=True, exist_ok=True)
    with sole_collector(out / STORE):
        _check_same(plan, out)
        save(out / PLAN, plan.to_json())
        save(out / "study.toml", study.text)
        with RunStore(out / STORE) as store:
            yield store


async def note(out: Path, engines: Mapping[str, Engine]) -> None:
    """Keep with a run what collects it: the engine of each model, versions and machine; each combination once."""
    about = manifest((), (), None)
    new = {
        "engines": {name: (await engine.about()).software for name, engine in engines.items()},
        "versions": about["versions"],
        "machine": about["machine"],
    }
    if new not in (known := read_collected(out)):
        save(out / COLLECTED, json.dumps([*known, new], indent=1) + "\n")


def _check_same(plan: Plan, out: Path) -> None:
    if not (out / PLAN).is_file():
        return
    before = read_plan(out)
    changed = [name for name in before.models if name in plan.models and before.models[name] != plan.models[name]]
    if changed or before.task != plan.task or before.run != plan.run:
        what = f"another model {changed[0]}" if changed else f"study {before.run} of task {before.task}"
        raise DataError(f"{out} holds {what}", "the run of this study", "give another --out")


def _unbegun(folder: Path) -> bool:
    """Whether a folder holds nothing, or what a run that is killed as it begins leaves."""
    return all(path.name == f"{STORE}.lock" or is_partial(path.name) for path in folder.iterdir())
