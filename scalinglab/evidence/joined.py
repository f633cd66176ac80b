"""Several sources as one body of evidence: counts with counts, samples with samples."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples import Run, read_samples

Found = pd.DataFrame | Run
_ANY = "table"
"""The task of a table that names none."""


def joined(found: Sequence[Found], names: Sequence[str], tasks: Sequence[frozenset[str]]) -> Found:
    """All of it as one: problems of one name are one problem, whatever source they stand in.

    tasks: that each source names. One that names none has the task of the others, if these have one. Raises
    DataError where two sources tell of the same model and strategy, or have no task in common.
    """
    if len(found) == 1:
        return found[0]
    _alike(tasks, names)
    if all(isinstance(one, pd.DataFrame) for one in found):
        frames = [one for one in found if isinstance(one, pd.DataFrame)]
        _apart([{(str(m), "parallel") for m in one["model"].unique()} for one in frames], names)
        return pd.concat(frames, ignore_index=True)
    runs = [one if isinstance(one, Run) else read_samples(one.assign(strategy="parallel")) for one in found]
    _apart([set(zip(run.units["model"], run.units["strategy"], strict=True)) for run in runs], names)
    named = frozenset[str]().union(*tasks)
    task = next(iter(named)) if len(named) == 1 else None
    return Run(*(pd.concat(tables, ignore_index=True) for tables in zip(*_tables(runs, task), strict=True)))


def _alike(tasks: Sequence[frozenset[str]], names: Sequence[str]) -> None:
    """Refuse sources of tasks that are not each other's, or of none beside several."""
    told = [own for own in tasks if own]
    every = frozenset[str]().union(*told)
    shared = frozenset.intersection(*told) if told else every
    if every and not shared:
        listed = "; ".join(
            f"{', '.join(sorted(own)) or 'none'} in {name}" for own, name in zip(tasks, names, strict=True)
        )
        raise DataError(f"tasks {listed}", "a task that all tell of", "compare data of the same task")
    if len(every) > 1 and len(told) < len(tasks):
        silent = next(name for own, name in zip(tasks, names, strict=True) if not own)
        raise DataError(f"no task in {silent}, of {', '.join(sorted(every))}", "a column task", "name its task")


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
