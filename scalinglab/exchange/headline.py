"""The headline of a comparison: the compute-optimal strategy, and one arm for all, against the large model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalinglab.curves import BOUND, CANNOT, MEASURED, Floats, Group
from scalinglab.exchange.views import ALL, Menu
from scalinglab.optimal import Optimal, Reading, calmed

OPTIMAL, FIXED = "compute-optimal", "one arm for all"
"""The strategies of the headline rows."""


@dataclass(frozen=True)
class Headline:
    """One group at each FLOPs a query, over all splits of the samples.

    small: mean accuracy, NaN where nothing can be paid, (points,); large: that of the large model. apart: their
    difference under each resample, arms chosen anew in each, (draws, points). status: of each point, (points,).
    """

    small: Floats
    large: float
    apart: Floats
    flops: Floats
    status: tuple[str, ...]


def headline(
    menus: Sequence[Menu], group: Group, large: Floats, flops: Sequence[Floats], *, fixed: bool = False
) -> Headline:
    """The compute-optimal strategy (``fixed``: one arm for all) in a group, of the first menu that can be paid.

    large: accuracy of the large model's answer to every problem, (problems,). flops: a query, under each menu.
    """
    every = [_of_menu(menu, group, large, at, fixed) for menu, at in zip(menus, flops, strict=True)]
    if group.name == ALL and not fixed:
        every = [
            one if menu.whole is None else _beyond(one, _of_menu(menu, group, large, at, True))
            for menu, at, one in zip(menus, flops, every, strict=True)
        ]
    first = [next((i for i, one in enumerate(every) if one.status[j] != CANNOT), 0) for j in range(len(flops[0]))]
    columns = list(enumerate(first))
    return Headline(
        np.array([every[i].small[j] for j, i in columns]),
        every[0].large,
        np.column_stack([every[i].apart[:, j] for j, i in columns]),
        np.array([every[i].flops[j] for j, i in columns]),
        tuple(every[i].status[j] for j, i in columns),
    )


def _beyond(halves: Headline, whole: Headline) -> Headline:
    """What stands over all problems where bins take half of the samples.

    Beyond the dearest arm of that half one arm for all, which is among the choices: it needs no bins, and so is
    read from all samples.
    """
    taken = np.array([status == BOUND for status in halves.status])
    return replace(
        halves,
        small=np.where(taken, whole.small, halves.small),
        apart=np.where(taken, whole.apart, halves.apart),
        status=tuple(np.where(taken, whole.status, halves.status).tolist()),
    )


def _of_menu(menu: Menu, group: Group, large: Floats, flops: Floats, fixed: bool) -> Headline:
    sizes, small, apart, jitter, found = [], [], [], [], []
    for optimal, g, reading in _splits(menu, group, flops, fixed):
        sizes.append(list(optimal.sizes.values())[g])
        small.append(reading.accuracy)
        apart.append(reading.draws - optimal.others(g, large))
        jitter.append(reading.jitter)
        found.append(reading.status)
    noise = np.mean(jitter, axis=0) / len(jitter)  # dividing into folds: no doubt of the estimate
    told = tuple(_status(kinds) for kinds in zip(*found, strict=True))
    middle = np.average(small, axis=0, weights=sizes)  # each member counts as often as it is in the bin
    here = float(group.mean(large[group.members]))
    return Headline(middle, here, calmed(np.mean(apart, axis=0), noise), flops, told)


def configurations(menu: Menu, group: Group, large: Floats) -> tuple[Floats, Floats, Floats]:
    """FLOPs a query and accuracy of each configuration, from cheap to dear, and means of ``large``.

    The first two are (1 + draws, prices); the means of ``large``, (problems, columns), under the same resamples
    are (1 + draws, columns).

    The first row is the problems' own, the others resamples, about the first.
    """
    own, right, spent, others = [], [], [], []
    for optimal, g in _of_group(menu, group):
        chosen = optimal.chosen
        own.append([chosen.spent[g], chosen.accuracy[g]])
        spent.append(chosen.costs[:, :, g].mean(axis=0))
        right.append(chosen.draws[:, :, g].mean(axis=0, dtype=np.float64))
        others.append(optimal.others(g, large))
    (cost, middle), again, costs = np.mean(own, axis=0), np.mean(right, axis=0), np.mean(spent, axis=0)
    order = np.argsort(cost, kind="stable")
    doubt = np.random.default_rng(0).normal(0, 1 / (len(group.members) + 2), (len(again), 1))
    accuracy = np.vstack([middle, middle + again - again.mean(axis=0) + doubt])
    theirs = np.vstack([group.mean(large[group.members]), np.mean(others, axis=0)])
    return np.vstack([cost, costs])[:, order], accuracy[:, order], theirs


def _of_group(menu: Menu, group: Group) -> Iterator[tuple[Optimal, int]]:
    for optimal in menu.optimal:
        names = [str(name) for name in optimal.sizes]
        if group.name in names:
            yield optimal, names.index(group.name)


def _splits(menu: Menu, group: Group, flops: Floats, fixed: bool) -> Iterator[tuple[Optimal, int, Reading]]:
    if fixed and group.name == ALL and menu.whole is not None:
        yield menu.whole, 0, menu.whole.read(0, flops, fixed=True)
        return
    for optimal, g in _of_group(menu, group):
        yield optimal, g, optimal.read(g, flops, fixed=fixed)


def _status(kinds: tuple[str, ...]) -> str:
    """Of several splits the one that says least."""
    return CANNOT if CANNOT in kinds else BOUND if BOUND in kinds else MEASURED
