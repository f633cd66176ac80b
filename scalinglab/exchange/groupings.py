"""Problems compared in groups: by difficulty, or by what a question says of itself; and fewer arms of a side.

Whatever the groups, they are those of a ``Division``: the compute-optimal strategy chooses in each of them, and
a group is read as a bin of difficulty is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Group
from scalinglab.exchange.splits import Division, bin_groups
from scalinglab.exchange.views import ALL, View, with_menus
from scalinglab.optimal import difficulty_bins
from scalinglab.tasks import level_of, rarest

Among = Callable[[pd.DataFrame], npt.NDArray[np.bool_]]
"""Which arms of a table are compared."""
_QUESTION = re.compile(r"\d\d([a-p]{2}|\+\d\d)+\?")
_MOST = 4
COUNTED = ("facts", "sums")
"""Axes along which a group is a number of steps."""
RAREST = "rarest fact"
"""The axis that no plan named: the rank of a problem's least common fact."""


@dataclass(frozen=True)
class Grouping:
    """Groups of problems. names: of each group, in order; divide: a division by difficulty into these groups."""

    name: str
    names: tuple[str, ...]
    divide: Callable[[Division], Division]

    def named(self, group: str) -> str:
        """What a group of a view under this grouping is called."""
        return group if group == ALL else self.names[int(group) - 1]


def _merged(division: Division) -> Division:
    """Five bins as the paper's three: 1 and 2, 3, 4 and 5; of any other number the outer fifths as near."""
    place = (np.arange(1, division.count + 1) - 0.5) / division.count
    thirds = np.where(place < 0.4, 1, np.where(place > 0.6, 3, 2))
    labels = tuple(thirds[one - 1] for one in division.labels)
    return replace(division, count=3, groups=bin_groups(labels, 3), labels=labels)


DIFFICULTY = Grouping("difficulty", ("easy", "medium", "hard"), _merged)
"""By pass@1 of samples that score nothing (see ``splits``): the quintiles 1 and 2, 3, 4 and 5."""


def labelled(name: str, names: Sequence[str], labels: Mapping[str, int]) -> Grouping:
    """Groups by a label of each problem, 0 for the first name: known beforehand, so that no samples set them."""

    def divide(division: Division) -> Division:
        found = np.array([labels[problem] + 1 for problem in division.problems])
        return Division(division.problems, len(names), bin_groups([found], len(names)), (found,))

    return Grouping(name, tuple(names), divide)


def axes_of(problems: Sequence[str]) -> list[Grouping]:
    """By the number of facts, of sums, and by the rank of the least common fact in thirds, of the testbed's
    questions; none where any problem is no question of the testbed."""
    if not all(_QUESTION.fullmatch(problem) for problem in problems):
        return []
    levels = [level_of(problem) for problem in problems]
    found = []
    for name in COUNTED:
        counts = [min(getattr(level, name), _MOST) for level in levels]
        names = [f"{count} {name if count != 1 else name[:-1]}" for count in range(_MOST + 1)]
        found.append(labelled(name, names, dict(zip(problems, counts, strict=True))))
    ranks = np.array([rarest(problem) for problem in problems])
    thirds, asked = np.zeros(len(ranks), dtype=np.int64), ranks > 0
    if asked.sum() >= 3:
        thirds[asked] = difficulty_bins(-ranks[asked].astype(float), 3)
    names = ["no fact", "common facts", "rarer facts", "rarest facts"]
    return [*found, labelled(RAREST, names, dict(zip(problems, thirds.tolist(), strict=True)))]


def regrouped(views: Sequence[View], grouping: Grouping | None) -> list[View]:
    """The views of one evidence with problems in other groups, and no menu yet."""
    division = views[0].division
    assert division is not None
    found = division if grouping is None else grouping.divide(division)
    groups = (Group(ALL, np.arange(len(found.problems))), *(found.groups if found.count > 1 else ()))
    return [replace(view, groups=groups, halves=found.halves, division=found, menus=()) for view in views]


def narrowed(
    views: Sequence[View], *, among: Among | None = None, grouping: Grouping | None = None, seed: int = 0
) -> list[View]:
    """The views of one evidence with some of their arms alone, and with problems in other groups.

    The samples that set difficulty stay what they were, whichever arms are compared; training is paid of those
    helpers alone that the arms take.
    """
    made = [_of_arms(view, among) for view in regrouped(views, grouping)]
    assert made[0].division is not None
    return with_menus(made, made[0].division, [view.convention for view in views], seed)


def _of_arms(view: View, among: Among | None) -> View:
    if among is None:
        return view
    kept = replace(view, arms=view.arms.where(among(view.arms.table)))
    used = {view.small, *(model for line in kept.menu() for model in line.models)}
    return replace(kept, helpers=tuple(name for name in view.helpers if name in used))
