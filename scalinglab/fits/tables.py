"""Rows of a table as what laws are fitted to: columns named or mapped, D or C computed from the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Floats, Points
from scalinglab.fits.likelihood import sound_counts
from scalinglab.laws import LAWS, Law
from scalinglab.samples import read_counts, read_table

APART = "none"
"""What ``groups`` may be instead of a column: every row is independent of the others."""
_COMPUTED: dict[str, tuple[tuple[str, ...], Callable[..., Floats]]] = {
    "C/6N": (("C", "N"), lambda compute, size: compute / (6 * size)),
    "6ND": (("N", "D"), lambda size, tokens: 6 * size * tokens),
}
"""What ``columns`` may give instead of a column: training tokens from compute, or compute from tokens."""


def find_law(name: str) -> Law:
    """The law of that name. Raises DataError, which lists them all."""
    if name not in LAWS:
        raise DataError(f"law {name!r}", f"one of {', '.join(LAWS)}", "choose one")
    return LAWS[name]


def read_points(
    path: str | Path, law: Law, *, columns: Mapping[str, str] | None = None, groups: str | None = None
) -> Points:
    """``points_of`` a table of CSV, Parquet or JSONL."""
    return points_of(read_table(path), law, columns=columns, groups=groups, where=str(path))


def points_of(
    frame: pd.DataFrame,
    law: Law,
    *,
    columns: Mapping[str, str] | None = None,
    groups: str | None = None,
    where: str = "the frame",
) -> Points:
    """The law's inputs and outcome from a table's columns of the same names, or those that ``columns`` names.

    ``columns`` maps N, D, C, k, loss or accuracy to a column; D may be "C/6N" and C may be "6ND". ``groups`` is a
    column whose values say which rows belong to one run, or "none": every row is a run of its own. Raises
    DataError for a column that is not there, and for a value that is no finite number.
    """
    inputs, outcome = mapped(frame, law.inputs, law.outcome, columns, where)
    labels: Any = None if groups is None else np.arange(len(frame))
    if groups not in (None, APART):
        labels = _column(frame, where, groups, groups).astype(str).to_numpy()
    return Points(inputs, outcome, labels)


def mapped(
    frame: pd.DataFrame, names: Sequence[str], outcome: str, columns: Mapping[str, str] | None, where: str
) -> tuple[dict[str, Floats], Floats]:
    """The inputs of these names and the outcome, as ``points_of`` reads them."""
    named = dict(columns or {})
    unknown = set(named) - {*names, outcome, "C", "N", "D"}
    if unknown:
        raise DataError(f"a mapping of {min(unknown)}", ", ".join((*names, outcome)), "map what is needed")
    inputs = {name: _values(frame, where, name, named) for name in names}
    return inputs, _values(frame, where, outcome, named)


def entered(law: Law, data: Any) -> Points | Counts:
    """Points and counts as they are, a frame as the one or the other: its values are checked here.

    Raises DataError for anything else.
    """
    if isinstance(data, Points):
        return data
    if isinstance(data, Counts):
        return sound_counts(data)
    if not isinstance(data, pd.DataFrame):
        allowed = "Points, Counts or a DataFrame"
        raise DataError(f"a {type(data).__name__} for law {law.name}", allowed, "give one of these")
    counted = {"n", "correct"} <= set(data)
    if law.likelihood is None and not (counted and law.inputs == ("k",) and law.outcome not in data):
        return points_of(data, law)
    models = set(data["model"]) if "model" in data else set()
    if len(models) > 1:
        raise DataError(f"counts of {len(models)} models", "those of one", "choose one model's rows")
    n, correct = (_values(data, "the frame", name, {}) for name in ("n", "correct"))
    return sound_counts(Counts(n, correct))  # type: ignore[arg-type]  # checked, and made whole there


def read_model_counts(path: str | Path, *, model: str | None = None) -> Counts:
    """The counts of one model of a table (see ``samples.read_counts``); its name may be left out."""
    counts = read_counts(path)
    known = sorted(counts["model"].unique())
    if model is None and len(known) > 1:
        raise DataError(f"{path} has {len(known)} models", f"one of {', '.join(known)}", "choose one with --model")
    chosen = counts[counts["model"] == (model or known[0])]
    if chosen.empty:
        raise DataError(f"no samples of model {model!r}", f"one of {', '.join(known)}", "name a model of the data")
    return Counts(chosen["n"].to_numpy(np.int64), chosen["correct"].to_numpy(np.int64))


def _values(frame: pd.DataFrame, path: str, name: str, named: Mapping[str, str]) -> Floats:
    """The numbers of an input, from its column or computed from others."""
    column = named.get(name, name)
    if column in _COMPUTED and column not in frame:
        needed, formula = _COMPUTED[column]
        if name in needed or column != {"D": "C/6N", "C": "6ND"}.get(name):
            raise DataError(f"{name}={column}", "D=C/6N or C=6ND", "give one of these or a column")
        return formula(*(_values(frame, path, other, named) for other in needed))
    numbers = pd.to_numeric(_column(frame, path, name, column), errors="coerce").to_numpy(float)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0]) + 1
        raise DataError(f"{path} row {row} has no number in {column}", "a finite number", "mend or drop the row")
    return numbers


def _column(frame: pd.DataFrame, path: str, name: str, column: str) -> pd.Series[Any]:
    if column not in frame:
        have = ", ".join(map(str, frame.columns))
        raise DataError(
            f"{path} has no column {column!r} for {name}", f"one of {have}", f"map it: --map {name}=COLUMN"
        )
    return frame[column]
