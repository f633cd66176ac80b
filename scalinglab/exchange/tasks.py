"""Several tasks: a comparison of each, and one over all in which tasks weigh equally; nothing is pooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.comparison import Comparison, compare
from scalinglab.exchange.paired import CANNOT_PAY, OUTSIDE, PRETRAINING, TEST_TIME, UNDECIDED
from scalinglab.exchange.views import ALL

_ROW = ["convention", "strategy", "model", "verifier", "selector", "against", "R", "interval"]
_SHOWN = [*_ROW, "tasks", "problems", "small", "large", "difference", "low", "high", "verdict"]


def compare_tasks(evidence: Evidence, **options: Any) -> dict[str, Comparison]:
    """The comparison of each task that both models answered, by its name. options: as of ``compare``.

    Raises DataError as ``compare``, and where they share no task.
    """
    return {task: compare(evidence.of_task(task), **options) for task in shared_tasks(evidence)}


def shared_tasks(evidence: Evidence) -> list[str]:
    """The tasks that both of the models compared answered. Raises DataError where there is none."""
    pair = set(evidence.pair())
    found = [task for task in evidence.tasks() if pair <= set(evidence.of_task(task).models())]
    if not found:
        raise DataError(
            f"no task that {' and '.join(evidence.pair())} both answered", "one or more", "give both on one task"
        )
    return found


def over_tasks(found: Mapping[str, Comparison]) -> pd.DataFrame:
    """One row a convention, strategy and R that all tasks have: the mean over tasks, each weighing the same.

    Columns: those that name a row of ``matched.verdicts``, tasks, problems (of all tasks), small, large and
    difference (means over tasks of all their problems), low, high, verdict. Tasks share no problems, so the
    variances of their differences add up: the half-width of the interval is the root of the sum of squared
    half-widths over the number of tasks. Where one task has no numbers there are none over all, and the verdict is
    outside.
    """
    count = r" of [\d,]+ samples$"  # tasks may have been sampled more or less often
    frames = [one.verdicts[one.verdicts["bin"] == ALL].assign(task=task) for task, one in found.items()]
    every = pd.concat(frames, ignore_index=True)
    every["against"] = every["against"].str.replace(count, "", regex=True)
    rows = [
        dict(zip(_ROW, key, strict=True)) | _mean(rows)
        for key, rows in every.groupby(_ROW, sort=False, dropna=False)
        if len(rows) == len(found)
    ]
    return pd.DataFrame(rows, columns=_SHOWN)


def _mean(rows: pd.DataFrame) -> dict[str, Any]:
    count, about = len(rows), {"tasks": len(rows), "problems": int(rows["problems"].sum())}
    if rows[["difference", "low", "high"]].isna().any(axis=None):
        alike = set(rows["verdict"]) == {CANNOT_PAY}
        return about | {"verdict": CANNOT_PAY if alike else OUTSIDE}
    means = {name: float(rows[name].mean()) for name in ("small", "large", "difference")}
    below, above = (np.sqrt(((rows["difference"] - rows[end]) ** 2).sum()) / count for end in ("low", "high"))
    low, high = means["difference"] - float(below), means["difference"] + float(above)
    return about | means | {"low": low, "high": high, "verdict": _verdict(low, high)}


def _verdict(low: float, high: float) -> str:
    return TEST_TIME if low > 0 else PRETRAINING if high < 0 else UNDECIDED
