"""What laws are fitted to, and what is resampled for an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.curves import pass_at_k
from scalinglab.errors import DataError
from scalinglab.laws import Law

Floats = npt.NDArray[np.float64]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Points:
    """Inputs by name, each of shape (n,), and the outcome measured there.

    An outcome of shape (n,) is resampled by ``groups`` (n,), where rows of one run belong together. Without them
    rows of one N are taken together, as they may be checkpoints of one run, and so are the points of one curve in
    k, which share their problems: give each row a group of its own where all are independent. An outcome of shape
    (problems, n) is fitted by its mean and resampled by problem, and by ``groups`` as well where they are given:
    checkpoints share their problems, and problems their training runs. ``together``: what the groups are, where
    the fit made them.
    """

    inputs: Mapping[str, Floats]
    outcome: Floats
    groups: npt.NDArray[Any] | None = None
    together: str = ""

    @property
    def mean(self) -> Floats:
        return self.outcome if self.outcome.ndim == 1 else self.outcome.mean(axis=0)

    @property
    def units(self) -> int:
        """How many things are resampled; of problems and groups, the fewer."""
        if self.groups is None:
            return len(self.outcome)
        runs = len(np.unique(self.groups))
        return runs if self.outcome.ndim == 1 else min(runs, len(self.outcome))

    @property
    def unit(self) -> str:
        """What is resampled."""
        if self.outcome.ndim == 2:
            return "problems" if self.groups is None else "groups, and problems"
        return "rows" if self.groups is None else self.together or "groups"

    @property
    def said(self) -> str:
        """What a fit says of the groups that it made."""
        said = f"resampled by {self.together}, as rows of one may not be independent; groups may say otherwise"
        return said if self.together else ""

    def without_highest(self, count: int) -> Points:
        """All but so many rows of the highest outcome: the five outliers of Chinchilla's points, for example."""
        if not 0 <= count < len(self.mean):
            raise DataError(f"{count} rows to leave out", f"0 to {len(self.mean) - 1}", "leave out fewer")
        return self.where(np.argsort(np.argsort(self.mean, kind="stable")) < len(self.mean) - count)

    def where(self, rows: npt.NDArray[np.bool_]) -> Points:
        """The chosen rows alone."""
        groups = None if self.groups is None else self.groups[rows]
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        return replace(self, inputs=inputs, outcome=self.outcome[..., rows], groups=groups)


@dataclass(frozen=True)
class Counts:
    """Samples and right ones of each problem, shape (problems,): what mixtures over problems are fitted to."""

    n: npt.NDArray[np.int64]
    correct: npt.NDArray[np.int64]

    unit = "problems"

    @property
    def units(self) -> int:
        return len(self.n)

    def curve(self, budgets: Sequence[int] | None = None) -> Points:
        """Unbiased pass@k of each problem at some budgets (powers of 2 up to the fewest samples without them)."""
        most = int(self.n.min())
        chosen = budgets if budgets is not None else [2**i for i in range(most.bit_length())]
        rates = np.stack([pass_at_k(self.n, self.correct, k) for k in chosen], axis=1)
        return Points({"k": np.array(chosen, dtype=float)}, rates)


def usable(law: Law, data: Points) -> Points:
    """The data as the law needs them, or a DataError that names what is missing or cannot be."""
    missing = [name for name in law.inputs if name not in data.inputs]
    if missing:
        given = ", ".join(data.inputs) or "none"
        raise DataError(
            f"inputs {given}", f"{', '.join(law.inputs)} for law {law.name}", "give or map the missing"
        )
    inputs = {name: np.asarray(data.inputs[name], dtype=float) for name in law.inputs}
    outcome = np.asarray(data.outcome, dtype=float)
    for name, values in {**inputs, law.outcome: outcome}.items():
        if values.shape[-1:] != outcome.shape[-1:] or not np.isfinite(values).all():
            raise DataError(f"{name} of {values.shape[-1:]} values", "a finite number a row", "mend the rows")
    above_zero(inputs)
    if outcome.ndim == 2 and law.outcome == "accuracy":
        _refuse_shares(outcome)
    _refuse_outcome(law, outcome if outcome.ndim == 1 else outcome.mean(axis=0))
    return _grouped(replace(data, inputs=inputs, outcome=outcome))


def above_zero(columns: Mapping[str, Floats]) -> None:
    """A DataError for the first row that is no finite number above 0."""
    for name, values in columns.items():
        bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
        if len(bad):
            given = f"{name} = {values[bad[0]]:g} in row {bad[0] + 1}"
            raise DataError(given, "a number above 0", "mend the row")


def _grouped(data: Points) -> Points:
    """With rows of one N, or of one curve in k, as groups, where none are given and there are such rows."""
    by = ["N"] if "N" in data.inputs else [name for name in data.inputs if name != "k"]
    if data.outcome.ndim == 2 or data.groups is not None or not {"N", "k"} & set(data.inputs):
        return data
    labels = np.zeros(len(data.outcome), dtype=np.int64)
    if by:
        rows = np.stack([data.inputs[name] for name in by])
        labels = np.unique(rows, axis=1, return_inverse=True)[1].ravel()
    if len(np.unique(labels)) == len(labels):
        return data
    return replace(data, groups=labels, together="values of N" if "N" in by else "curves in k")


def _refuse_shares(outcome: Floats) -> None:
    """A DataError for an accuracy (problems, n) outside 0..1 by more than rounding."""
    bad = np.argwhere((outcome < -_ROUNDING) | (outcome > 1 + _ROUNDING))
    if len(bad):
        problem, row = bad[0]
        given = f"accuracy {outcome[problem, row]:g} of problem {problem + 1} in row {row + 1}"
        raise DataError(given, "a share from 0 to 1", "mend or leave out the problem")


def _refuse_outcome(law: Law, outcome: Floats) -> None:
    if law.outcome == "accuracy":
        open_ends = law.link == "-log"
        bad = (outcome <= 0) | (outcome >= 1) if open_ends else (outcome < 0) | (outcome > 1)
        allowed = "an accuracy between 0 and 1" + (", both excluded" if open_ends else "")
    else:
        bad, allowed = outcome <= 0, "a loss above 0"
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{law.outcome} = {outcome[row]:g} in row {row + 1}", allowed, "mend or leave out the row")
