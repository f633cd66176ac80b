"""Rows that are alike, as costs by token counts are: one is kept for all, however many problems there are.

Such an array is a broadcast one, which knows itself by its stride. Plain indexing would write its rows out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from scalinglab.curves.pools import Floats, Ints

_Number = TypeVar("_Number", bound=np.generic)


def alike(values: npt.NDArray[Any]) -> bool:
    """Whether one row stands for all."""
    return values.strides[0] == 0


def repeated(row: npt.NDArray[_Number], rows: int) -> npt.NDArray[_Number]:
    """One row that stands for so many."""
    return np.broadcast_to(row, (rows, *np.shape(row)))


def rows_of(values: Floats, rows: Ints) -> Floats:
    """The values of these rows."""
    return repeated(values[0], len(rows)) if alike(values) else values[rows]


def columns_of(values: Floats, columns: Ints) -> Floats:
    """The values of these columns of (rows, columns)."""
    return repeated(values[0, columns], len(values)) if alike(values) else values[:, columns]


def beside(parts: Sequence[Floats]) -> Floats:
    """Parts of (rows, columns) side by side."""
    if all(map(alike, parts)):
        return repeated(np.concatenate([part[0] for part in parts]), len(parts[0]))
    return np.hstack(parts)
