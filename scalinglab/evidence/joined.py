"""Several sources as one body of evidence: counts with counts, samples with samples."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples import Run, read_samples

Found = pd.DataFrame | Run
_ANY = "table"
"""The task of a table that names none."""


def joined(found: Sequence[Found], names: Sequence[str]) -> Found:
    """All of it as one: problems of one name are one problem, whatever source they stand in.

    A source whose table names no task has the task of the others, if these have one. Raises DataError where two
    sources tell of the same model and strategy, or have no task in common.
    """
    if len(found) == 1:
        return found[0]
    if all(isinstance(one, pd.DataFrame) for one in found):
        frames = [one for one in found if isinstance(one, pd.DataFrame)]
        _apart([{(str(m), "parallel") for m in one["model"].unique()} for one in frames], names)
        return pd.concat(frames, ignore_index=True)
    runs = [one if isinstance(one, Run) else read_samples(one.assign(strategy="parallel")) for one in found]
    _apart([set(zip(run.units["model"], run.units["strategy"], strict=True)) for run in runs], names)
    tasks = {task for run in runs for task in run.units["task"].unique()} - {_ANY}
    if len(tasks) > 1 and all(len(run.units["task"].unique()) == 1 for run in runs):
        raise DataError(
            f"tasks {', '.join(sorted(tasks))} in {' and '.join(names)}",
            "one task",
            "compare data of the same task",
        )
    task = next(iter(tasks)) if len(tasks) == 1 else None
    return Run(*(pd.concat(tables, ignore_index=True) for tables in zip(*_tables(runs, task), strict=True)))


def _tables(runs: Sequence[Run], task: str | None) -> list[tuple[pd.DataFrame, ...]]:
    """Each run's tables, units told apart by their source."""
    found = []
    for i, run in enumerate(runs):
        units = run.units.assign(key=f"{i}:" + run.units["key"].astype(str))
        units = units if task is None else units.assign(task=units["task"].replace(_ANY, task))
        others = [frame.assign(unit=f"{i}:" + frame["unit"].astype(str)) for frame in (run.calls, run.solutions)]
        found.append((units, *others))
    return found


def _apart(told: Sequence[set[tuple[str, str]]], names: Sequence[str]) -> None:
    for i, one in enumerate(told):
        for j in range(i):
            both = sorted(one & told[j])
            if both:
                raise DataError(
                    f"{names[j]} and {names[i]} both tell of {' / '.join(both[0])}",
                    "each model's samples of a strategy in one source",
                    "drop them from one, or name the models apart",
                )
