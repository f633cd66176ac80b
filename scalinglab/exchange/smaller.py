"""Smaller or larger: every pair of models at equal inference FLOPs, problem by problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Ints, Reader, shares
from scalinglab.exchange.paired import pointwise
from scalinglab.exchange.paths import TOKENS, Grid, Path

BORNE_OUT, CONTRADICTED, OPEN = "smaller is better", "pairs contradict", "pairs leave it open"
"""What single pairs say where pretraining lowers accuracy at equal inference FLOPs by the fit: every one has the
smaller model ahead at 95 %; one has it behind at 95 %; or neither."""
_COLUMNS = ("strategy", "bin", "small", "large", "level", "inference", "difference", "low", "high")


def pairs_of(grid: Grid, *, seed: int = 0) -> pd.DataFrame:
    """One row a way, group of problems, pair of models and budget of the larger one.

    strategy, bin ("" for all), small, large, level (the larger one's budget), inference (FLOPs of both), and the
    accuracy of small less that of large with its 95 % interval over problems (difference, low, high), by itself.
    Between two budgets of the smaller one stands their mixture; beyond those measured there is no row.
    """
    every = [(0, np.arange(len(grid.problems)))]
    if grid.bins is not None:
        every += [(int(bin_), np.flatnonzero(grid.bins == bin_)) for bin_ in np.unique(grid.bins)]
    rows = [row for bin_, members in every for row in _rows(grid, bin_, members, seed)]
    return pd.DataFrame(rows, columns=[*_COLUMNS]).astype(dict.fromkeys(("low", "high"), float))


def said_by(pairs: pd.DataFrame) -> str:
    """What pairs say of a fit in which smaller is better."""
    if (pairs["high"] < 0).any():
        return CONTRADICTED
    return BORNE_OUT if len(pairs) and (pairs["low"] > 0).all() else OPEN


def _rows(grid: Grid, bin_: int, members: Ints, seed: int) -> Iterator[dict[str, object]]:
    own: dict[str, dict[str, list[tuple[Path, Reader]]]] = {}
    for i, path in enumerate(grid.paths):
        reader = grid.scored.get(i, path.reader) if bin_ else path.reader
        own.setdefault(path.label, {}).setdefault(path.model, []).append((path, reader))
    for label, models in own.items():
        names = sorted(models, key=lambda name: grid.specs[name].total)
        for j, large in enumerate(names):
            levels, at, answered, doubt = _measured(grid, models[large], members)
            for small in (name for name in names[:j] if grid.specs[name].total < grid.specs[large].total):
                ours, noise = _mixed(grid, models[small], members, at)
                inside = np.flatnonzero(~np.isnan(ours).any(axis=0))
                common = {"strategy": label, "bin": str(bin_ or ""), "small": small, "large": large}
                fewest = np.full(len(inside), min(r.fewest for _, r in [*models[small], *models[large]]))
                variance = (noise + doubt)[:, inside].sum(axis=0) / len(members) ** 2
                found = pointwise(
                    ours[:, inside], answered[:, inside], fewest, variance, problems=len(members), seed=seed
                )
                for point, row in zip(inside.tolist(), found, strict=True):
                    ends = {name: row.get(name) for name in ("difference", "low", "high")}
                    yield common | {"level": levels[point], "inference": at[point], **ends}


def _measured(
    grid: Grid, paths: Sequence[tuple[Path, Reader]], members: Ints
) -> tuple[list[str], Floats, Floats, Floats]:
    """A model's cells: their levels and mean FLOPs, and accuracy and its noise, (members, cells)."""
    levels: list[str] = []
    columns: list[tuple[Floats, Floats, Floats]] = []
    for path, reader in paths:
        budgets = grid.read_at(reader)
        levels += [path.effort] if grid.axis == TOKENS else [str(k) for k in budgets]
        spent = path.price.mean(budgets, members, np.ones(len(members)))
        columns.append((spent, *reader.at(budgets, members)))
    costs, values, noise = zip(*columns, strict=True)
    return levels, np.concatenate(costs), np.hstack(values), np.hstack(noise)


def _mixed(grid: Grid, paths: Sequence[tuple[Path, Reader]], members: Ints, at: Floats) -> tuple[Floats, Floats]:
    """Accuracy and noise of a model at mean FLOPs, (members, points): NaN outside of what was measured."""
    if grid.axis == TOKENS:
        _, spent, values, noise = _measured(grid, paths, members)
        mix = shares(spent, at)
        return values @ mix, noise @ mix**2
    ((path, reader),) = paths
    mix = shares(path.price.mean(reader.budgets, members, np.ones(len(members))), at)
    used = np.nan_to_num(mix, nan=0.0).any(axis=1)
    values, noise = reader.at(reader.budgets[used], members)
    return values @ mix[used], noise @ mix[used] ** 2
