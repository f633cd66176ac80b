"""The compute-optimal strategy: configurations by price, and what they give at a mean cost of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, whole_numbers
from scalinglab.names import Shown
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.folds import Places, resampled_means
from scalinglab.optimal.mixtures import CANNOT_PAY, LOWER_BOUND, MEASURED, mixture
from scalinglab.optimal.readings import Configurations, Reading, calmed, ends, reading, resampled_reading
from scalinglab.optimal.words import described

Unit = Literal["flops", "samples"]
ALL = "all"


@dataclass(frozen=True)
class Optimal(Shown):
    """The compute-optimal strategy over measured arms under one convention, and one arm for all beside it.

    unit: what a cost counts, "flops" or "samples" of a query. arms: their table. prices: accuracy per unit of
    cost, (prices,). one_for_all: how often, over folds and partitions, the choice was one arm for all, (prices,).
    dearest: the mean cost of the dearest arm over all problems and over each bin, (1 + bins,). chosen: what arms
    chosen by bin, or one for all where that is better, give; fixed: what one arm for all gives.
    """

    convention: str
    unit: Unit
    bins: Bins
    problems: tuple[str, ...]
    arms: pd.DataFrame
    prices: Floats
    one_for_all: Floats
    dearest: Floats
    chosen: Configurations
    fixed: Configurations
    seed: int

    def __repr__(self) -> str:
        spent = self.chosen.spent[0]
        return (
            f"Optimal({self.convention}: {len(self.arms)} arms, {len(self.sizes) - 1} bins, "
            f"{len(self.problems)} problems,\n  {spent.min():.4g} to {spent.max():.4g} {self.unit} a query, "
            f"accuracy {self.chosen.accuracy[0, 0]:.3f} to {self.chosen.accuracy[0, -1]:.3f},\n"
            f"  one arm for all in {self.one_for_all.mean():.0%} of choices)"
        )

    def groups(self) -> list[tuple[int | str, Places]]:
        """All problems, then each bin that holds any: a name and positions."""
        return [(ALL, np.arange(len(self.problems))), *self.bins.groups()]

    @cached_property
    def sizes(self) -> dict[int | str, int]:
        """How many problems are in each of ``groups``, by name."""
        counts = np.bincount(self.bins.labels).tolist()
        return {ALL: len(self.problems)} | {b: count for b, count in enumerate(counts) if count}

    def read(self, g: int, cost: Floats, *, fixed: bool = False) -> Reading:
        """The g-th of ``groups`` at each mean cost of a query, (points,); ``fixed``: by one arm for all."""
        own, problems = self.fixed if fixed else self.chosen, list(self.sizes.values())[g]
        return reading(own, g, problems, float(self.dearest[g]), np.asarray(cost, dtype=np.float64))

    def drawn(self, g: int, cost: Floats, *, fixed: bool = False) -> Floats:
        """Means over the g-th of ``groups`` under each resample, at costs of its own, (draws, points).

        They lie off the accuracy itself, having half the problems to choose on: only their spread is an estimate
        (``Reading.draws`` are about it). For costs that are themselves means over the problems drawn.
        """
        return resampled_reading(self.fixed if fixed else self.chosen, g, cost)[0]

    def others(self, g: int, values: Floats) -> Floats:
        """Means over the g-th of ``groups`` of ``values``, (problems, columns), under the same resamples.

        (draws, columns): what is compared with ``Reading.draws`` is paired.
        """
        draws = self.chosen.draws.shape[1]
        return resampled_means(values.reshape(len(values), -1), self.groups()[g][1], draws, self.seed)

    def difference(
        self, g: int, other: Floats, cost: Floats, *, fixed: bool = False
    ) -> tuple[Floats, Floats, Floats]:
        """Mean accuracy at each cost less that of ``other`` over the g-th group, and its paired 95 % ends.

        (points,) each. other: (problems,), such as a large model's greedy accuracy, or a column a point.
        """
        ours, members = self.read(g, cost, fixed=fixed), self.groups()[g][1]
        middle = ours.accuracy - other[members].reshape(len(members), -1).mean(axis=0)
        apart = calmed(ours.draws - self.others(g, other), ours.jitter)
        low, high = ends(middle, apart, len(members))
        return middle, np.clip(low, -1, 1), np.clip(high, -1, 1)

    def alike(self, g: int, cost: Floats) -> Floats:
        """How often the choice in the g-th group was one arm for all, at each mean cost, (points,)."""
        return np.asarray(mixture(self.chosen.spent[[g]], cost).of(self.one_for_all[None])[0])

    def budgets(self) -> Floats:
        """The samples of the arms, or doublings of the cheapest configuration's FLOPs up to the dearest arm's."""
        if self.unit == "samples":
            return np.unique(self.arms["budget"].to_numpy(np.float64))
        least, most = float(self.chosen.spent[0].min()), float(self.dearest[0])
        doublings = np.ceil(np.log2(most / least) - 1e-9) if least > 0 else 0
        return np.asarray(least * 2.0 ** np.arange(doublings + 1))

    def table(self, budgets: Floats | None = None) -> pd.DataFrame:
        """``averaged`` of this one."""
        return averaged([self], budgets)


def averaged(splits: Sequence[Optimal], budgets: Floats | None = None) -> pd.DataFrame:
    """One row a group and budget, the mean cost of a query at most; over splits of the samples a mean of them.

    bin: all, or the bin; budget; status: of several the one that says least; accuracy with its 95 % ends low and
    high; in_sample: of the arms that are to be run, on the problems that chose them, which flatters; spent: in the
    unit, of the budget; flops; arms: what is to be run, as shares of queries, by the bins of the first split;
    fixed, fixed_arms: accuracy and arms of one arm for all; one_for_all: how often the choice was that;
    convention; problems (over splits, the mean number; those of all bins add up).
    """
    asked = splits[0].budgets() if budgets is None else np.asarray(budgets, dtype=np.float64)
    groups = [{name: g for g, name in enumerate(one.sizes)} for one in splits]
    bins = sorted({name for own in groups for name in own} - {ALL})
    parts = {
        name: [(one, own[name]) for one, own in zip(splits, groups, strict=True) if name in own]
        for name in (ALL, *bins)
    }
    counts = whole_numbers(
        [float(np.sum([one.sizes.get(name, 0) for one in splits])) / len(splits) for name in bins]
    )
    numbers = {ALL: len(splits[0].problems)} | dict(zip(bins, counts, strict=True))
    return pd.DataFrame([row for name, own in parts.items() for row in _rows(own, asked, numbers[name])])


def _rows(parts: Sequence[tuple[Optimal, int]], asked: Floats, problems: int) -> list[dict[str, Any]]:
    (first, g), sizes = parts[0], np.array([list(one.sizes.values())[g] for one, g in parts])
    name = list(first.sizes)[g]
    own = list(first.sizes)[1:] if g == 0 else [name]
    best, fixed = ([one.read(g, asked, fixed=alone) for one, g in parts] for alone in (False, True))

    def mean(values: Sequence[Floats]) -> Floats:
        return np.asarray(np.average(values, axis=0, weights=sizes))

    found = pd.DataFrame([reading.status for reading in best])
    told = [next(kind for kind in (CANNOT_PAY, LOWER_BOUND, MEASURED) if kind in set(found[j])) for j in found]
    middle = mean([reading.accuracy for reading in best])
    jitter = np.mean([reading.jitter for reading in best], axis=0) / len(best)
    low, high = ends(middle, calmed(np.mean([reading.draws for reading in best], axis=0), jitter), problems)

    alike = mean([one.alike(g, asked) for one, g in parts])
    columns = {
        "bin": [name] * len(asked),
        "budget": asked,
        "status": told,
        "accuracy": middle,
        "low": low.clip(0, 1),
        "high": high.clip(0, 1),
        "in_sample": mean([reading.in_sample for reading in best]),
        "spent": mean([reading.spent for reading in best]),
        "flops": mean([reading.flops for reading in best]),
        "arms": [described(part, own, first.arms) if part else None for part in best[0].parts],
        "fixed": mean([reading.accuracy for reading in fixed]),
        "fixed_arms": [described(part, own, first.arms) if part else None for part in fixed[0].parts],
        "one_for_all": np.where(np.array(told) == CANNOT_PAY, np.nan, alike),
    }
    every = zip(*columns.values(), strict=True)
    rows = [dict(zip(columns, map(_plain, values), strict=True)) for values in every]
    return [row | {"convention": first.convention, "problems": problems} for row in rows]


def _plain(value: Any) -> Any:
    """A number as JSON has it: None where there is none."""
    if isinstance(value, float):
        return None if np.isnan(value) else float(value)
    return value
