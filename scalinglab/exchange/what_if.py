"""What would be said at another R, target or rule for who pays: the headline as lines that a page can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import BOUND, CANNOT, Floats, Group
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.headline import FIXED, OPTIMAL, Headline, headline
from scalinglab.exchange.matched import Rival, answered, budget, headline_of, rivals, together
from scalinglab.exchange.paired import PAPER_R
from scalinglab.exchange.views import Menu, View, views
from scalinglab.flops import AXES, Convention, with_axes

_DIGITS = 7
"""Significant digits of what a page reads: an accuracy is shown to three."""
_APART = 1 + 2e-6
"""Past an end by more than the slack with which costs are compared."""


@dataclass(frozen=True)
class Curve:
    """The small side at mean FLOPs a query in a group: linear between the points, which rise in FLOPs.

    flops, accuracy: of each point; low, high: the ends of the difference from the large model's answer (None
    where the group is too small for any): at the R compared those of ``verdicts``, elsewhere as wide as if it were
    one of these. most: the FLOPs of the dearest point that was measured; the last point stands for all beyond it.
    """

    flops: list[float]
    accuracy: list[float]
    low: list[float | None]
    high: list[float | None]
    most: float


@dataclass(frozen=True)
class Part:
    """A group of problems under one rule. problems: its size. large: accuracy of the large model's one answer;
    answer: its FLOPs a query. curves: by strategy, of each choice of helpers."""

    group: str
    problems: int
    large: float
    answer: float
    curves: dict[str, list[Curve]]


@dataclass(frozen=True)
class Charge:
    """One rule for who pays. helpers: FLOPs of training those of each choice of helpers, where tuning is charged;
    without it the first choice, all helpers, costs nothing. models: of each choice, all that take part."""

    verifier: str
    difficulty: bool
    helpers: list[float]
    models: list[tuple[str, ...]]
    parts: list[Part]


@dataclass(frozen=True)
class WhatIf:
    """Everything that decides the headline at any R.

    against: what the large model's one answer is. training: FLOPs of pretraining small and large, None where
    unknown, so that nobody can be charged it. queries_per_r: queries that R = 1 stands for, None where unknown.
    charges: by who pays the verifier and whether estimating difficulty is charged. counted: whether numbers of
    queries mean anything, as they do not where a ratio stands for the models.
    """

    small: str
    large: str
    convention: str
    against: str
    training: tuple[float, float] | None
    queries_per_r: float | None
    charges: list[Charge]
    counted: bool = True

    def document(self) -> dict[str, Any]:
        """As JSON has it, numbers to seven digits."""
        found: dict[str, Any] = _rounded(asdict(self))
        return found

    def table(self) -> pd.DataFrame:
        """One row a rule, strategy, choice of helpers, group and point.

        verifier (who pays it), difficulty (whether it is charged), strategy, helpers, bin, flops (a query),
        accuracy, low, high (the simultaneous 95 % ends of its difference from the large model's answer), large,
        large_flops.
        """
        return pd.DataFrame([row for charge in self.charges for row in _rows(charge)])


def what_if(
    evidence: Evidence, rule: Convention, *, r: Sequence[float] = PAPER_R, bins: int = 5, sunk: bool = False,
    strict: bool = False, seed: int = 0,
) -> WhatIf:  # fmt: skip
    """The headline of ``compare`` at every R under ``rule``, whoever pays the verifier, tuning and difficulty.

    r, sunk: of the comparison, whose intervals these are.
    Raises DataError as ``views``, and where the rule cannot price the evidence.
    """
    axes = product(AXES["verifier"], ("difficulty", "no-difficulty") if bins > 1 else ("no-difficulty",))
    rules = [with_axes(rule, f"verifier={payer},{difficulty},tuning") for payer, difficulty in axes]
    try:
        found, unpriced = views(evidence, rules, bins=bins, strict=strict, seed=seed)
        view = found[0]
        training, queries = (view.lifetime.small, view.lifetime.large), view.lifetime.queries_per_r
    except DataError:  # of unknown training tokens: nobody pays them
        found, unpriced = views(evidence, rules, bins=bins, sunk=True, strict=strict, seed=seed)
        view, training, queries = found[0], None, found[0].lifetime.queries_per_r
    if unpriced:
        raise DataError(f"no price under {rule.name} ({next(iter(unpriced.values()))})", "one", "give specs")
    return WhatIf(
        view.small, view.large, rule.name, rivals(view, thinking=False, line=None)[0].name, training,
        queries if np.isfinite(queries) else None, [_charge(one, _asked(one, rule, sunk), r) for one in found],
    )  # fmt: skip


def _asked(view: View, rule: Convention, sunk: bool) -> View:
    """The view as the comparison has it: tuning and pretraining charged or not."""
    life = view.lifetime
    life = replace(life, convention=replace(life.convention, tuning=rule.tuning))
    life = replace(life, small=0.0, large=0.0) if sunk else life
    return replace(view, lifetime=life, menus=view.menus if rule.tuning else view.menus[:1])


def _charge(view: View, asked: View, r: Sequence[float]) -> Charge:
    base = view.lifetime.trained("policy", [view.small])
    helpers = [view.lifetime.trained("policy", menu.models) - base for menu in view.menus]
    (rival,) = rivals(view, thinking=False, line=None)
    lines = {kind: _curves(view, asked, rival, r, fixed=kind == FIXED) for kind in (OPTIMAL, FIXED)}
    parts = [
        Part(
            group.name, group.size, float(group.mean(view.arms.accuracy[group.members, rival.column])),
            float(group.mean_of(rival.flops)), {kind: own[g] for kind, own in lines.items()},
        )
        for g, group in enumerate(view.groups)
    ]  # fmt: skip
    rule = view.convention
    return Charge(rule.verifier, rule.difficulty, helpers, [menu.models for menu in view.menus], parts)


def _curves(view: View, asked: View, rival: Rival, r: Sequence[float], *, fixed: bool) -> list[list[Curve]]:
    """By group, of each menu, beside the points at the R compared."""
    table = answered([(group, headline_of(asked, group, rival, r, fixed=fixed)) for group in view.groups])
    read = [
        (group, _along(menu, group, view.arms.accuracy[:, rival.column], fixed,
                       budget(asked, group, rival, "policy", menu.models, r)))
        for group in view.groups
        for menu in view.menus
    ]  # fmt: skip
    every = together(view, rival, [*table, *answered(read)], family=len(table))
    told = iter(every[len(table) :])
    made = [_curve(one, [next(told) for _ in one.small]) for _, one in read]
    count = len(view.menus)
    return [made[start : start + count] for start in range(0, len(made), count)]


def _along(menu: Menu, group: Group, large: Floats, fixed: bool, at: Floats) -> Headline:
    """One menu's headline ``at`` some FLOPs, and wherever it bends: at each configuration, past the dearest."""
    points = np.unique([*_bends(menu, group, fixed), *at])
    ours = headline([menu], group, large, [points], fixed=fixed)
    keep = np.array([status != CANNOT for status in ours.status])
    return replace(
        ours, small=ours.small[keep], apart=ours.apart[:, keep], flops=ours.flops[keep],
        status=tuple(status for status in ours.status if status != CANNOT),
    )  # fmt: skip


def _bends(menu: Menu, group: Group, fixed: bool) -> list[float]:
    """FLOPs a query between which a headline is linear, the last beyond all that was measured."""
    found = []
    for optimal in [*menu.optimal, *([] if menu.whole is None else [menu.whole])]:
        names = [str(name) for name in optimal.sizes]
        if group.name in names:
            g = names.index(group.name)
            own = optimal.fixed if fixed or optimal is menu.whole else optimal.chosen
            end = max(float(own.spent[g].max()), float(optimal.dearest[g]))
            found += [*own.spent[g].tolist(), end, end * _APART]
    return found


def _curve(one: Headline, told: Sequence[dict[str, Any]]) -> Curve:
    measured = [float(at) for at, status in zip(one.flops, one.status, strict=True) if status != BOUND]
    low, high = ([None if row.get(end) is None else float(row[end]) for row in told] for end in ("low", "high"))
    return Curve(one.flops.tolist(), one.small.tolist(), low, high, max(measured))


def _rows(charge: Charge) -> Iterator[dict[str, Any]]:
    for part in charge.parts:
        for strategy, curves in part.curves.items():
            for models, curve in zip(charge.models, curves, strict=True):
                for flops, accuracy, low, high in zip(
                    curve.flops, curve.accuracy, curve.low, curve.high, strict=True
                ):
                    yield {
                        "verifier": charge.verifier, "difficulty": charge.difficulty, "strategy": strategy,
                        "helpers": ", ".join(models[1:]), "bin": part.group, "flops": flops,
                        "accuracy": accuracy, "low": low, "high": high, "large": part.large,
                        "large_flops": part.answer,
                    }  # fmt: skip


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value
