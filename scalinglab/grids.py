"""Grids of budgets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def doublings(most: int, *, end: bool = False) -> npt.NDArray[np.int64]:
    """1, 2, 4, ... up to ``most``; with ``end``, ``most`` itself too. Empty where it is below 1.

    >>> doublings(6), doublings(6, end=True)
    (array([1, 2, 4]), array([1, 2, 4, 6]))
    """
    found = [2**i for i in range(max(0, int(most)).bit_length())]
    return np.array(sorted({*found, most}) if end and found else found, dtype=np.int64)
