"""The counts form of recorded data, which is what others publish: model, problem, n samples, correct ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.columns import (
    ARM,
    GRADED,
    MEANS,
    RATE,
    TASK,
    TOKENS,
    column_of,
    name_of,
    refuse,
    whole_numbers,
    with_task,
)
from scalinglab.samples.frames import NAMES, opened

_MOST = 20_000_000
"""Samples as which a table of rates is read at most."""


def read_counts(source: str | Path | pd.DataFrame, *, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A table of counts: columns model, problem (strings), n, correct (int64), one row a model and problem.

    Reads CSV, Parquet, JSONL or a DataFrame; common other names of the columns are understood, and a rate in
    place of correct. mapping: by our name of a column, the table's. A task column is joined to the problem where
    the table holds several tasks, which has a column task then. Raises DataError naming the row that cannot be
    right, and for a table of samples.
    """
    frame, path = opened(source, mapping)
    if kind_of(frame) == "samples":
        raise DataError(
            f"{path} has no column 'n': it holds a row an answer",
            "a table of counts, with n and correct",
            "read it with samples.read_samples, or count its answers",
        )
    unclear = [name for names in TOKENS.values() for name in names if name in frame]
    if unclear:
        raise DataError(
            f"{path} counts samples and has {unclear[0]}: of one of them, or of all n?",
            f"mean_{unclear[0]}, of one sample",
            f"rename it, or divide it by n; --map mean_{unclear[0]}={unclear[0]} if it is of one",
        )
    counts = counted(frame, path)
    twice = counts.duplicated(["model", "problem"])
    refuse(twice, path, "repeats a model and problem", "one row for each model and problem")
    return counts.sort_values(["model", "problem"], ignore_index=True)


def counted(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The columns model, problem, n and correct of a table, a row each of its rows. Raises as ``read_counts``."""
    rate = name_of(frame, RATE) if name_of(frame, NAMES["correct"]) is None else None
    wanted = {ours: names for ours, names in NAMES.items() if ours != "correct" or rate is None}
    found = {ours: column_of(frame, where, ours, names) for ours, names in wanted.items()}
    counts = pd.DataFrame({ours: frame[theirs] for ours, theirs in found.items()})
    refuse(counts[["model", "problem"]].isna().any(axis=1), where, "has no model or problem", "a name in both")
    counts["n"] = whole_numbers(counts["n"], where, "n")
    refuse(counts["n"] == 0, where, "has n = 0", "at least one sample")
    if rate is None:
        counts["correct"] = whole_numbers(counts["correct"], where, "correct")
    else:
        counts["correct"] = _of_rates(frame[rate], counts["n"], where)
    refuse(counts["correct"] > counts["n"], where, "has more correct than n samples", "0 <= correct <= n")
    counts["model"] = counts["model"].astype(str)
    counts["problem"] = with_task(frame, where, counts["problem"].astype(str))
    task = name_of(frame, TASK)
    return counts if task is None or len(frame[task].unique()) < 2 else counts.assign(task=frame[task].astype(str))


def kind_of(frame: pd.DataFrame) -> Literal["counts", "samples", "rates"]:
    """What a table holds: counts have n and correct; samples have correct, a row an answer, and no n; rates are
    counts that also say how the samples were drawn or how long they were."""
    graded = name_of(frame, (*NAMES["correct"], *GRADED)) is not None
    if graded and name_of(frame, NAMES["n"]) is None:
        return "samples"
    return "rates" if name_of(frame, (*ARM, *MEANS)) is not None else "counts"


def spread(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rates as samples: n rows for each of its rows, the first of them right; other columns as they are."""
    counts = counted(frame, where)
    n = counts["n"].to_numpy()
    if n.sum() > _MOST:
        raise DataError(
            f"{where} counts {n.sum():,} samples with their lengths",
            f"at most {_MOST:,}",
            "drop the columns of strategy and tokens: counts alone are read as they are",
        )
    at = np.repeat(np.arange(len(frame)), n)
    place = np.arange(len(at)) - np.repeat(np.cumsum(n) - n, n)
    dropped = {name for names in (NAMES["n"], NAMES["correct"], RATE) for name in names}
    rows = frame.drop(columns=[name for name in frame.columns if name in dropped]).iloc[at].reset_index(drop=True)
    return rows.assign(correct=place < counts["correct"].to_numpy()[at])


def _of_rates(rates: pd.Series, n: pd.Series, where: str) -> pd.Series:
    values = pd.to_numeric(rates, errors="coerce")
    refuse(~values.between(0, 1), where, "has a rate that is none", "a share from 0 to 1")
    correct = (values * n).round()
    off = (correct - values * n).abs() > 1e-3 * n.clip(lower=1)
    refuse(off, where, "has a rate that is no number of n samples", "right samples over n")
    return correct.astype("int64")
