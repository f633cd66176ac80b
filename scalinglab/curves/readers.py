"""Accuracy of one way to answer at any budget that its samples can stand for: of samples, of chains, of finals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from scalinglab.curves.pools import Floats, Ints, Pool
from scalinglab.curves.selectors import accuracy
from scalinglab.grids import eighths

_DRAWS = 128
"""Subsets behind a vote, at least; what they leave open is in every interval."""
Read = tuple[Floats, Floats]
"""Accuracies and the variance of each that comes from subsampling votes, (problems, budgets) both."""


class Reader(Protocol):
    """What knows the accuracy of each problem at budgets in samples.

    problems: in the order of rows. step: samples that are drawn together (0: a search, known where it was run).
    budgets: at which it is read, rising; between two of them stands a mixture. fewest: independent draws behind an
    accuracy, of the problem with fewest.
    """

    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def step(self) -> int: ...
    @property
    def budgets(self) -> Ints: ...
    @property
    def fewest(self) -> int: ...
    def at(self, budgets: Ints, rows: Ints) -> Read:
        """Of some rows at some budgets."""
        ...


@dataclass(frozen=True)
class Sampled:
    """Independent samples under a selector, read at every k, or chains of ``step`` at every number of them."""

    pool: Pool
    selector: str
    seed: int = 0
    step: int = 1
    known: dict[int, Read] = field(default_factory=dict, repr=False, compare=False)

    @property
    def problems(self) -> tuple[str, ...]:
        return self.pool.problems

    @cached_property
    def budgets(self) -> Ints:
        """Every number of draws; of votes, which are worked out from subsets, eight in each doubling."""
        if self.selector not in ("coverage", "best-of-n"):
            return eighths(self.fewest) * self.step
        return np.arange(1, self.fewest + 1, dtype=np.int64) * self.step

    @property
    def fewest(self) -> int:
        return int(self.pool.sizes.min())

    def at(self, budgets: Ints, rows: Ints) -> Read:
        counts = (budgets // self.step).tolist()
        if self.pool.graded is None:  # cheap, and of many problems too large to keep
            part = replace(self.pool, problems=(), n=self.pool.n[rows], correct=self.pool.correct[rows])
            return accuracy(part, self.selector, counts, seed=self.seed)
        lacking = [k for k in dict.fromkeys(counts) if k not in self.known]
        if lacking:
            values, noise = accuracy(self.pool, self.selector, lacking, draws=_DRAWS, seed=self.seed)
            self.known.update((k, (values[:, j], noise[:, j])) for j, k in enumerate(lacking))
        kept = [self.known[k] for k in counts]
        return np.column_stack([one[rows] for one, _ in kept]), np.column_stack([two[rows] for _, two in kept])


@dataclass(frozen=True)
class Finals:
    """What a search ended with: one answer at each budget that was run. (problems, budgets) by rising budget."""

    problems: tuple[str, ...]
    budgets: Ints
    values: Floats
    step: int = 0
    fewest: int = 1

    def at(self, budgets: Ints, rows: Ints) -> Read:
        found = self.values[np.ix_(rows, np.searchsorted(self.budgets, budgets))]
        return found, np.zeros_like(found)


@dataclass(frozen=True)
class Efforts:
    """One answer at each effort to think, by the samples at that effort.

    budgets: tokens of an answer, rising. arms: the strategy and setting of each of the parts.
    """

    problems: tuple[str, ...]
    budgets: Ints
    parts: tuple[Sampled, ...]
    arms: tuple[tuple[str, str], ...]
    step: int = 0

    @property
    def fewest(self) -> int:
        return min(part.fewest for part in self.parts)

    def at(self, budgets: Ints, rows: Ints) -> Read:
        found = [self._one(int(at), rows) for at in np.searchsorted(self.budgets, budgets)]
        return np.column_stack(found), np.zeros((len(rows), len(budgets)))

    def _one(self, at: int, rows: Ints) -> Floats:
        part = self.parts[at]
        own = pd.Index(part.problems).get_indexer(pd.Index(self.problems))[rows]
        return part.at(np.ones(1, dtype=np.int64), own)[0][:, 0]


@dataclass(frozen=True)
class Placed:
    """A reader of some of its rows, in another order."""

    reader: Reader
    rows: Ints

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(self.reader.problems[i] for i in self.rows)

    @property
    def step(self) -> int:
        return self.reader.step

    @property
    def budgets(self) -> Ints:
        return self.reader.budgets

    @property
    def fewest(self) -> int:
        return self.reader.fewest

    def at(self, budgets: Ints, rows: Ints) -> Read:
        return self.reader.at(budgets, self.rows[rows])
