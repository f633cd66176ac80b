"""Every line of the small side at equal lifetime FLOPs against the large model: a verdict per group and R."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import BOUND, CANNOT, MEASURED, Floats, Group, Line
from scalinglab.exchange.headline import FIXED, OPTIMAL, Headline, headline
from scalinglab.exchange.matching import positive
from scalinglab.exchange.paired import (
    CANNOT_PAY,
    COMPARED,
    OUTSIDE,
    TEST_TIME,
    chosen,
    pointwise,
)
from scalinglab.exchange.views import View

SIMULTANEOUS, POINTWISE = "simultaneous", "pointwise, exploratory"


Cell = tuple[Group, Headline, int]
"""A point of a group's headline."""


@dataclass(frozen=True)
class Rival:
    """An answer of the large model: its name, its arm, and FLOPs a query to each problem, (problems,)."""

    name: str
    line: Line
    column: int
    flops: Floats


@dataclass(frozen=True)
class _Point:
    """One cell of the verdict table: the paired values to compare, evened over the group; NaN for none."""

    row: dict[str, Any]
    small: Floats
    large: Floats
    noise: float
    fewest: float


def verdicts(views: Sequence[View], r: Sequence[float], *, thinking: bool = False, seed: int = 0) -> pd.DataFrame:
    """One row a convention, strategy, group and R: small at its matched budget against the large model.

    The FLOPs a query F solve ``C_s + Q F = C_L + Q c_L`` with the group's mean measured costs; at F stands a
    mixture of the measured budgets. k is F in the strategy's own budget, ``against`` the large model's answer: its
    one answer or, with ``thinking``, each of its own budgets too. The first rows of a group are the headline: the
    compute-optimal strategy, whose intervals hold for all groups and R shown at once, and beside it the best one
    arm for all; each line after them is exploratory, its interval its own. status: of F, see ``lines.MEASURED``.
    model: whose answers a line's are, "" of a headline. Intervals are 95 %, paired over problems, given the mean
    costs.
    """
    r = [positive(at, "R") for at in r]
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for view in views:
        for row in _headlines(view, r, thinking):
            rows[row["bin"]].append(row)
    for g, group in enumerate(views[0].groups):
        for view in views:  # one after another: of very many problems, the values of one alone are held
            rows[group.name] += _rows(list(_points(view, view.groups[g], r, thinking)), seed)
    found = pd.DataFrame([row for group in views[0].groups for row in rows[group.name]])
    return found.astype(dict.fromkeys((*COMPARED, "k", "flops"), float))


def rivals(view: View, *, thinking: bool, line: Line | None) -> list[Rival]:
    """The large model's one answer, and with ``thinking`` each of its budgets."""
    once = view.once
    found = [Rival(once_name(view), once, int(once.columns[0]), view.answered(line))]
    for other in view.lines(large=True) if thinking else []:
        for k, column in zip(other.budgets, other.columns.tolist(), strict=True):
            found.append(Rival(f"{other.label} at {k:g}", other, column, view.arms.flops[:, column]))
    return found


def once_name(view: View) -> str:
    """What the large model's one answer is: greedy, or the mean of its single samples; and at which effort."""
    line = view.once
    most = view.arms.readers[line.way].fewest
    name = "greedy" if line.strategy == "greedy" else f"pass@1 of {most} samples" if most > 1 else "one sample"
    effort = json.loads(line.setting).get("effort")
    return name if effort is None else f"{name} at effort {effort}"


def budget(view: View, group: Group, rival: Rival, role: str, models: Sequence[str], r: Sequence[float]) -> Floats:
    """FLOPs a query the small side may spend in a group at each R, (points,); below 0 where training is all."""
    spent = float(group.mean_of(rival.flops))
    spare = view.lifetime.trained("large", rival.line.models) - view.lifetime.trained(role, models)
    return np.asarray(spent + spare / (np.asarray(r, dtype=np.float64) * view.lifetime.queries_per_r))


def _points(view: View, group: Group, r: Sequence[float], thinking: bool) -> Iterator[_Point]:
    for line in view.lines():
        for rival in rivals(view, thinking=thinking, line=line):
            flops = budget(view, group, rival, line.role, line.models, r)
            found = view.read(line, group, flops)
            large = group.evened(view.arms.accuracy[group.members, rival.column])
            small, share = group.evened(found.accuracy), group.weights / group.weights.sum()
            noise = share**2 @ found.noise
            fewest = min(found.fewest, view.arms.readers[rival.line.way].fewest)
            counted = fewest * group.effective / len(group.members)
            for j, at in enumerate(r):
                row = {
                    "strategy": line.label, "model": line.models[0], "verifier": line.verifier,
                    "selector": line.selector,
                    "bin": group.name, "R": at, "k": found.k[j], "flops": flops[j], "against": rival.name,
                    "convention": view.arms.convention, "status": found.status[j], "interval": POINTWISE,
                    "problems": group.size,
                }  # fmt: skip
                yield _Point(row, small[:, j], large, float(noise[j]), counted)


def _rows(points: Sequence[_Point], seed: int) -> list[dict[str, Any]]:
    """The points of one group of problems, compared under one bootstrap."""
    read = [i for i, point in enumerate(points) if point.row["status"] in (MEASURED, BOUND)]
    found: dict[int, dict[str, Any]] = {}
    if read:
        size = int(points[0].row["problems"])
        small, large = (np.column_stack([getattr(points[i], side) for i in read]) for side in ("small", "large"))
        fewest, noise = (np.array([getattr(points[i], name) for i in read]) for name in ("fewest", "noise"))
        found = dict(zip(read, pointwise(small, large, fewest, noise, problems=size, seed=seed), strict=True))
    return [finished(point.row, float(point.large.mean()), found.get(i)) for i, point in enumerate(points)]


def finished(row: dict[str, Any], large: float, found: dict[str, Any] | None) -> dict[str, Any]:
    """A row with what was compared, or with why there is nothing: a lower bound that does not win says nothing."""
    empty = row | dict.fromkeys(COMPARED) | {"large": large}
    if found is None:
        return empty | {"verdict": CANNOT_PAY if row["status"] == CANNOT else OUTSIDE}
    if row["status"] == BOUND and found["verdict"] != TEST_TIME:
        return empty | {"verdict": OUTSIDE}
    return empty | found


def _headlines(view: View, r: Sequence[float], thinking: bool) -> Iterator[dict[str, Any]]:
    """Rows of the compute-optimal strategy and of one arm for all, all groups and R under one interval each."""
    for kind in (OPTIMAL, FIXED):
        for rival in rivals(view, thinking=thinking, line=None):
            parts = [(group, headline_of(view, group, rival, r, fixed=kind == FIXED)) for group in view.groups]
            yield from _together(view, kind, rival, parts, r)


def headline_of(view: View, group: Group, rival: Rival, r: Sequence[float], *, fixed: bool) -> Headline:
    """The compute-optimal strategy (``fixed``: one arm for all) in a group at each R, as lifetimes allow it."""
    flops = [budget(view, group, rival, "policy", menu.models, r) for menu in view.menus]
    return headline(view.menus, group, view.arms.accuracy[:, rival.column], flops, fixed=fixed)


def _together(
    view: View, kind: str, rival: Rival, parts: Sequence[tuple[Group, Headline]], r: Sequence[float]
) -> Iterator[dict[str, Any]]:
    told = iter(together(view, rival, answered(parts)))
    for group, one, j in ((group, one, j) for group, one in parts for j in range(len(r))):
        row = {
            "strategy": kind, "model": "", "verifier": "", "selector": kind, "bin": group.name, "R": r[j],
            "k": np.nan, "flops": one.flops[j], "against": rival.name, "convention": view.arms.convention,
            "status": one.status[j], "interval": SIMULTANEOUS, "problems": group.size,
        }  # fmt: skip
        yield finished(row, one.large, next(told) if one.status[j] in (MEASURED, BOUND) else None)


def answered(parts: Sequence[tuple[Group, Headline]]) -> list[Cell]:
    """The points of headlines at which the small side has an accuracy."""
    return [
        (group, one, j)
        for group, one in parts
        for j in range(len(one.status))
        if one.status[j] in (MEASURED, BOUND)
    ]


def together(
    view: View, rival: Rival, cells: Sequence[Cell], *, family: int | None = None
) -> list[dict[str, Any]]:
    """Points of headlines compared with the large model's answer, under intervals that hold for all at once.

    family: for that many first points; the others stand beside them, as wide as if they were among these.
    """
    if not cells:
        return []
    small, large = np.array([(one.small[j], one.large) for _, one, j in cells]).T
    apart = np.column_stack([one.apart[:, j] for _, one, j in cells])
    counts, sizes, noise = (
        np.array([of(group) for group, _, _ in cells]) for of in (_size, _effective, partial(noise_of, view))
    )
    return chosen(small, large, apart, problems=counts, sizes=sizes, noise=noise,
                  fewest=fewest_of(view, rival), family=family)  # fmt: skip


def _size(group: Group) -> int:
    return group.size


def _effective(group: Group) -> float:
    return group.effective


def noise_of(view: View, group: Group) -> float:
    """The most that subsampling votes adds to the variance of any arm's mean in a group."""
    return (
        0.0
        if view.arms.noise is None
        else float(view.arms.noise[group.members].sum(axis=0).max()) / len(group.members) ** 2
    )


def fewest_of(view: View, rival: Rival) -> int:
    """Samples behind any rate of a headline: those of the arm, on either side, that has fewest."""
    ways = {*(line.way for line in view.menu()), rival.line.way}
    return min(view.arms.readers[way].fewest for way in ways)
