"""One comparison over several training seeds: means over seeds, with intervals over problems and seeds.

What differs between seeds is all that training decides: policies, helpers, samples, and so the bins of difficulty.
Problems are the same, and so are their resamples: a mean over seeds is taken within each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import BOUND, CANNOT, MEASURED, Floats, Group, over_seeds, weights
from scalinglab.errors import DataError
from scalinglab.exchange.headline import FIXED, OPTIMAL
from scalinglab.exchange.matched import Rival, budget, fewest_of, headline_of, noise_of, once_name, rivals
from scalinglab.exchange.paired import (
    CANNOT_PAY,
    FEWEST_PROBLEMS,
    OUTSIDE,
    PRETRAINING,
    TEST_TIME,
    UNDECIDED,
)
from scalinglab.exchange.views import ALL, View
from scalinglab.optimal import RESAMPLES

SEED = "seed "
"""Begins the columns that hold each seed's own difference."""


@dataclass(frozen=True)
class Cell:
    """One row of a table over seeds before its interval.

    row: what names it. small, large: accuracies, (seeds,); draws: their difference under each resample of the
    problems, (seeds, draws). status: of each seed. problems, size: of the group, by its weights and as it is
    said. noise: variance of the mean over seeds from subsampled votes; fewest: samples behind any rate.
    """

    row: dict[str, Any]
    small: Floats
    large: Floats
    draws: Floats
    status: tuple[str, ...]
    problems: float
    size: int
    noise: float = 0.0
    fewest: int = 1

    @property
    def known(self) -> bool:
        """Whether the small side has an accuracy in every seed."""
        return set(self.status) <= {MEASURED, BOUND}


def check_alike(found: Mapping[str, View]) -> None:
    """Raise DataError where training seeds were not asked the same problems."""
    first, *others = found
    asked = set(found[first].arms.problems)
    for name in others:
        apart = sorted(asked.symmetric_difference(found[name].arms.problems))
        if apart:
            raise DataError(
                f"{len(apart)} problems that only one of seeds {first} and {name} answered, such as {apart[0]}",
                "the same problems in every training seed: they are resampled together",
                "finish the runs, or collect each seed on the same problems",
            )


def headline_cells(found: Mapping[str, View], r: Sequence[float], *, fixed: bool = False) -> list[Cell]:
    """The compute-optimal strategy (``fixed``: one arm for all) against each answer of the large model that every
    seed has, in every group and at each R: a cell each."""
    views = list(found.values())
    every = [{one.name: one for one in rivals(view, thinking=True, line=None)} for view in views]
    names = [name for name in every[0] if all(name in own for own in every)]
    return [
        cell
        for name in names
        for group in _groups(views)
        for cell in _headlines(views, [own[name] for own in every], group, r, fixed)
    ]


def _groups(views: Sequence[View]) -> Iterator[list[Group]]:
    """Each group that every seed has, as it is in each of them."""
    named = [{group.name: group for group in view.groups} for view in views]
    for name in named[0]:
        if all(name in own for own in named):
            yield [own[name] for own in named]


def _headlines(
    views: Sequence[View], against: Sequence[Rival], groups: Sequence[Group], r: Sequence[float], fixed: bool
) -> Iterator[Cell]:
    parts = list(zip(views, against, groups, strict=True))
    heads = [headline_of(view, group, rival, r, fixed=fixed) for view, rival, group in parts]
    for j, at in enumerate(r):
        row = {
            "strategy": FIXED if fixed else OPTIMAL, "bin": groups[0].name, "R": at, "against": against[0].name,
            "convention": views[0].arms.convention, "flops": float(np.mean([one.flops[j] for one in heads])),
        }  # fmt: skip
        yield Cell(
            row,
            np.array([one.small[j] for one in heads]),
            np.array([one.large for one in heads]),
            np.array([one.apart[:, j] for one in heads]),
            tuple(one.status[j] for one in heads),
            *_sizes(groups),
            sum(noise_of(view, group) for view, _, group in parts) / len(parts) ** 2,
            min(fewest_of(view, rival) for view, rival, _ in parts),
        )


def line_cells(found: Mapping[str, View], r: Sequence[float], strategy: str) -> list[Cell]:
    """The line of a strategy at its matched budget, in every group and at each R; none where a seed lacks it."""
    views, cells, name = list(found.values()), list[Cell](), strategy
    lines = [line for view in views for line in view.lines() if line.strategy == strategy]
    if len(lines) < len(views):
        return []
    for groups in _groups(views):
        read, large = [], []
        for view, line, group in zip(views, lines, groups, strict=True):
            rival = rivals(view, thinking=False, line=line)[0]
            flops = budget(view, group, rival, line.role, line.models, r)
            read.append(view.read(line, group, flops))
            large.append(view.arms.accuracy[group.members, rival.column])
        for j, at in enumerate(r):
            row = {
                "strategy": name, "bin": groups[0].name, "R": at, "against": once_name(views[0]),
                "convention": views[0].arms.convention,
                "k": float(np.mean([one.k[j] for one in read])),
            }  # fmt: skip
            pairs = [(one.accuracy[:, j], theirs) for one, theirs in zip(read, large, strict=True)]
            noise = sum(
                float((group.weights / group.weights.sum()) ** 2 @ one.noise[:, j])
                for one, group in zip(read, groups, strict=True)
            )
            cells.append(
                _paired(row, views, groups, pairs, tuple(one.status[j] for one in read),
                        noise / len(views) ** 2, min(one.fewest for one in read))
            )  # fmt: skip
    return cells


def arm_cells(found: Mapping[str, View], pick: Callable[[View], int | None], name: str) -> list[Cell]:
    """One arm of every seed at its own cost, whatever the large model's lifetime allows, in every group.

    pick: its column among the arms. None at all where a seed lacks it.
    """
    views = list(found.values())
    columns = [at for at in map(pick, views) if at is not None]
    if len(columns) < len(views):
        return []
    cells = []
    for groups in _groups(views):
        parts = list(zip(views, groups, columns, strict=True))
        pairs = [
            (view.arms.accuracy[group.members, at], view.arms.accuracy[group.members, int(view.once.columns[0])])
            for view, group, at in parts
        ]
        cost = float(np.mean([group.mean_of(view.arms.flops)[at] for view, group, at in parts]))
        row = {
            "strategy": name, "bin": groups[0].name, "R": np.nan, "against": once_name(views[0]), "flops": cost,
            "convention": views[0].arms.convention,
        }  # fmt: skip
        status = (MEASURED,) * len(views)
        cells.append(_paired(row, views, groups, pairs, status, 0.0, 1))
    return cells


def _paired(
    row: dict[str, Any], views: Sequence[View], groups: Sequence[Group], pairs: Sequence[tuple[Floats, Floats]],
    status: tuple[str, ...], noise: float, fewest: int,
) -> Cell:  # fmt: skip
    """A cell of accuracies of the members of a group of each seed, the small side's and the large model's."""
    apart = [
        group_draws(group.evened(ours - theirs), group, len(view.arms.problems))
        for view, group, (ours, theirs) in zip(views, groups, pairs, strict=True)
    ]
    small, large = (
        np.array([group.mean(pair[side]) for group, pair in zip(groups, pairs, strict=True)]) for side in (0, 1)
    )
    return Cell(row, small, large, np.array(apart), status, *_sizes(groups), noise, fewest)


def group_draws(values: Floats, group: Group, problems: int, *, seed: int = 0) -> Floats:
    """Means of values of a group's members, (members,), under resamples of all ``problems``, (draws,).

    Where a resample drew none of them, the mean of all.
    """
    times = weights(problems, RESAMPLES, seed)[:, group.members]
    total = times.sum(axis=1)
    return np.asarray(np.divide(times @ values, total, out=np.full(len(total), values.mean()), where=total > 0))


def _sizes(groups: Sequence[Group]) -> tuple[float, int]:
    return float(np.mean([one.effective for one in groups])), round(np.mean([one.size for one in groups]))


def seed_table(cells: Sequence[Cell], seeds: Sequence[str], *, together: bool = True) -> pd.DataFrame:
    """A row a cell. Cells over all problems hold at once, and so do all in groups (``together``); or each alone.

    Columns: those that name a row (strategy, bin, R, against, convention, flops or k), seeds, problems, small,
    large and difference (means over seeds), low, high (95 %, over problems and seeds; see
    ``intervals.over_seeds``), between (the standard deviation of seeds' differences), verdict, status, and each
    seed's difference. Where a seed has no number there is none over all; where the best measured within a budget
    is a lower bound, only a win is one.
    """
    families: dict[Any, list[int]] = {}
    for i, cell in enumerate(cells):
        key = (cell.row["strategy"], cell.row["against"], cell.row["bin"] == ALL) if together else i
        families.setdefault(key, []).append(i)
    rows: dict[int, dict[str, Any]] = {}
    for at in families.values():
        rows |= dict(zip(at, _family([cells[i] for i in at], seeds), strict=True))
    return pd.DataFrame([rows[i] for i in range(len(cells))])


def _family(cells: Sequence[Cell], seeds: Sequence[str]) -> list[dict[str, Any]]:
    ends = iter(_ends([cell for cell in cells if cell.known and cell.size >= FEWEST_PROBLEMS]))
    rows = []
    for cell in cells:
        told = cell.known and cell.size >= FEWEST_PROBLEMS
        rows.append(cell.row | _row(cell, seeds, next(ends) if told else (np.nan, np.nan)))
    return rows


def _ends(cells: Sequence[Cell]) -> list[tuple[float, float]]:
    if not cells:
        return []
    point = np.column_stack([cell.small - cell.large for cell in cells])
    draws = np.stack([cell.draws for cell in cells], axis=2)
    problems, noise = (np.array([getattr(cell, name) for cell in cells]) for name in ("problems", "noise"))
    fewest = min(cell.fewest for cell in cells)
    _, low, high = over_seeds(draws, point, problems=problems, extra=np.sqrt(noise), fewest=fewest)
    return list(zip(low.clip(-1, 1).tolist(), high.clip(-1, 1).tolist(), strict=True))


def _row(cell: Cell, seeds: Sequence[str], ends: tuple[float, float]) -> dict[str, Any]:
    row: dict[str, Any] = {"seeds": len(seeds), "problems": cell.size}
    apart, (low, high) = cell.small - cell.large, ends
    own = dict(zip((SEED + name for name in seeds), apart.tolist(), strict=True))
    numbers = ("small", "difference", "low", "high", "between")
    empty = row | dict.fromkeys(numbers, np.nan) | {"large": float(cell.large.mean())} | dict.fromkeys(own, np.nan)
    if not cell.known:
        return empty | {"verdict": CANNOT_PAY if set(cell.status) == {CANNOT} else OUTSIDE}
    verdict = TEST_TIME if low > 0 else PRETRAINING if high < 0 else UNDECIDED
    if BOUND in cell.status and verdict != TEST_TIME:
        return empty | {"verdict": OUTSIDE}
    between = float(apart.std(ddof=1)) if len(seeds) > 1 else np.nan
    means = {"small": float(cell.small.mean()), "large": float(cell.large.mean())}
    means |= {"difference": float(apart.mean()), "low": low, "high": high, "between": between}
    return row | means | {"verdict": verdict, "status": BOUND if BOUND in cell.status else MEASURED} | own
