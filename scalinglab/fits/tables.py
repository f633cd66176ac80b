"""Rows of a table as what laws are fitted to: columns named or mapped, D or C computed from the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts, Floats, Points
from scalinglab.laws import LAWS, Law
from scalinglab.samples import read_counts, read_table

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
    """The law's inputs and outcome from a table's columns of the same names, or those that ``columns`` names.

    ``columns`` maps N, D, C, k, loss or accuracy to a column; D may be "C/6N" and C may be "6ND". ``groups`` is a
    column whose values say which rows belong to one run. Raises DataError for a column that is not there.
    """
    frame = read_table(path)
    named = dict(columns or {})
    unknown = set(named) - {*law.inputs, law.outcome, "C", "N", "D"}
    if unknown:
        allowed = ", ".join((*law.inputs, law.outcome))
        raise DataError(f"a mapping of {min(unknown)} for law {law.name}", allowed, "map what the law needs")
    inputs = {name: _values(frame, path, name, named) for name in law.inputs}
    outcome = _values(frame, path, law.outcome, named)
    labels = None if groups is None else _column(frame, path, groups, groups).astype(str).to_numpy()
    return Points(inputs, outcome, labels)


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


def _values(frame: pd.DataFrame, path: str | Path, name: str, named: Mapping[str, str]) -> Floats:
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


def _column(frame: pd.DataFrame, path: str | Path, name: str, column: str) -> pd.Series[Any]:
    if column not in frame:
        have = ", ".join(map(str, frame.columns))
        raise DataError(
            f"{path} has no column {column!r} for {name}", f"one of {have}", f"map it: --map {name}=COLUMN"
        )
    return frame[column]
