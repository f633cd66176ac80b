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


def eighths(most: int) -> npt.NDArray[np.int64]:
    """Every number up to 16, then eight in each doubling, and ``most``. Empty where it is below 1.

    >>> eighths(37)[15:]
    array([16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 37])
    """
    every = np.arange(1, int(most) + 1, dtype=np.int64)
    steps = 2 ** np.maximum(0, np.floor(np.log2(every)).astype(np.int64) - 3)
    return np.union1d(every[every % steps == 0], every[-1:])
