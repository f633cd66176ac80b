"""Every strategy of a small model against a large one on equal lifetime FLOPs: a verdict per group and R."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, Ints
from scalinglab.errors import DataError
from scalinglab.exchange.matching import positive
from scalinglab.exchange.studies import StudyData, View
from scalinglab.exchange.verdicts import COMPARED, OUTSIDE, compare, compare_chosen

POLICY = "policy"
"""The strategy of arms that choose among strategies: it takes whatever any of them does."""
_SCALES = ("beams", "chains")
"""Parameters that grow with a strategy's budget; all others tell its families apart."""
_FEWEST = 1
"""Samples behind a rate: a search or a greedy answer is one (see ``compare``)."""


@dataclass(frozen=True)
class Family:
    """Arms that differ only in budget: ``columns`` of an Arms, by rising budget, and their ``budgets``.

    models: all that an answer takes, verifier included. label tells it from every other family of its model.
    """

    label: str
    role: str
    models: tuple[str, ...]
    strategy: str
    verifier: str
    selector: str
    columns: Ints
    budgets: Floats


@dataclass(frozen=True)
class _Point:
    """One cell of the verdict table, with the paired columns to compare (None: outside what was measured).

    drawn: both means under each resample, where the small side's arms are chosen anew in each.
    """

    row: dict[str, Any]
    small: Floats | None
    large: Floats
    drawn: tuple[Floats, Floats] | None = None


def families(arms: Arms, study: StudyData, *, large: bool = False) -> list[Family]:
    """The families of the small model and its reviser, or of the large model; greedy answers are none."""
    table = arms.table
    mine = (table["model"] == study.small) | (table["role"] == "reviser")
    rows = table[((table["model"] == study.large) if large else mine) & (table["strategy"] != "greedy")]
    settings = rows["setting"].map(_family_setting)
    keys = [rows[name] for name in ("role", "model", "strategy")] + [settings, rows["verifier"], rows["selector"]]
    found = []
    for key, part in rows.groupby(keys, sort=False):
        role, model, strategy, setting, verifier, selector = map(str, key)
        part = part.sort_values("budget")
        judge = study.verifiers.get(verifier)
        own = (model,) if judge is None else (model, judge)
        models = helpers(study) if strategy == POLICY else own
        label = _label(strategy, setting, verifier, selector)
        budgets = part["budget"].to_numpy(np.float64)
        at = part.index.to_numpy(np.int64)
        found.append(Family(label, role, models, strategy, verifier, selector, at, budgets))
    return found


def helpers(study: StudyData) -> tuple[str, ...]:
    """The small model, its reviser and every verifier."""
    units = study.run.units
    revisers = sorted(set(units.loc[units["role"] == "reviser", "model"]))
    judges = sorted(model for model in set(study.verifiers.values()) if model is not None)
    return (study.small, *revisers, *judges)


def reference(arms: Arms, study: StudyData) -> Family:
    """The large model's one greedy answer, or its mean single sample where it has no greedy one."""
    table = arms.table[arms.table["model"] == study.large]
    for rows, label in (
        (table[table["strategy"] == "greedy"], "greedy"),
        (table[table["budget"] == 1], "one sample"),
    ):
        if len(rows):
            return Family(label, "large", (study.large,), label, "", "", rows.index.to_numpy()[:1], np.ones(1))
    raise DataError(f"no single answer of {study.large}", "a greedy or parallel sample", "collect one")


def verdicts(
    views: Sequence[View], study: StudyData, r: Sequence[float], *, thinking: bool = False, seed: int = 0
) -> pd.DataFrame:
    """One row a convention, strategy, group and R: small at its matched budget against the large model.

    The budget a query F solves ``C_s + Q F = C_L + Q c_L`` with the group's mean measured costs; accuracy at F is
    linear in log FLOPs between measured budgets, and outside of them there is none. k is F in the strategy's own
    budget, ``against`` the large model's answer: greedy or, with ``thinking``, each of its own budgets too.
    Intervals are 95 %, paired over problems, given the mean costs.
    """
    found: dict[str, list[_Point]] = defaultdict(list)
    r = [positive(at, "R") for at in r]
    for view in views:
        own, rivals = families(view.arms, study), _rivals(view.arms, study, thinking)
        for g, (name, _) in enumerate(view.groups):
            found[name] += _points(view, own, rivals, g, r)
    rows = [row for name in found for row in _rows(found[name], seed)]
    return pd.DataFrame(rows).astype(dict.fromkeys((*COMPARED, "k", "flops"), float))


def at_budget(arms: Arms, family: Family, members: Ints, flops: Floats) -> tuple[Floats, Floats]:
    """Accuracy of each member at FLOPs a query, (members, budgets), and the budgets; NaN outside those measured.

    Linear in the logarithm of the members' mean FLOPs, between neighbours in cost.
    """
    weights = blend(arms, family, members, flops)
    budgets = np.exp(np.log(family.budgets) @ weights)
    return arms.accuracy[np.ix_(members, family.columns)] @ weights, budgets


def blend(arms: Arms, family: Family, members: Ints, flops: Floats) -> Floats:
    """The share of each of a family's arms at FLOPs a query, (arms, budgets); NaN outside those measured."""
    spent = arms.flops[np.ix_(members, family.columns)].mean(axis=0)
    order = np.argsort(spent, kind="stable")
    spent = spent[order]
    slack = 1e-9 * spent
    inside = (flops >= spent[0] - slack[0]) & (flops <= spent[-1] + slack[-1])
    weights = np.full((len(spent), len(flops)), np.nan)
    places = np.log(np.clip(flops[inside], spent[0], spent[-1]))
    for j, at in enumerate(order):
        weights[at, inside] = np.interp(places, np.log(spent), np.eye(len(spent))[j])
    return weights


def _rivals(arms: Arms, study: StudyData, thinking: bool) -> list[tuple[str, Family, int]]:
    """The large model's one answer, and with ``thinking`` each of its budgets, named."""
    once = reference(arms, study)
    larger = families(arms, study, large=True) if thinking else []
    budgets = [(f"{rival.label} at {k:g}", rival, i) for rival in larger for i, k in enumerate(rival.budgets)]
    return [(once.label, once, 0), *budgets]


def _points(
    view: View,
    own: Sequence[Family],
    rivals: Sequence[tuple[str, Family, int]],
    g: int,
    r: Sequence[float],
) -> Iterator[_Point]:
    arms, life, (name, members) = view.arms, view.lifetime, view.groups[g]
    queries = np.asarray(r, dtype=np.float64) * life.queries_per_r
    for against, rival, i in rivals:
        column = int(rival.columns[i])
        answered, spent = arms.accuracy[members, column], float(arms.flops[members, column].mean())
        for family in own:
            spare = life.trained("large", rival.models) - life.trained(family.role, family.models)
            budget = spent + spare / queries
            values, k = at_budget(arms, family, members, budget)
            drawn = None
            if view.policy is not None:
                shares = blend(arms, family, members, budget)
                drawn = view.policy.resamples(g, arms.accuracy[:, [column]], blend=shares)
            for j, at in enumerate(r):
                row = {
                    "strategy": family.label,
                    "verifier": family.verifier,
                    "selector": family.selector,
                    "bin": name,
                    "R": at,
                    "k": k[j],
                    "flops": budget[j],
                    "against": against,
                    "convention": arms.convention,
                }
                if np.isnan(values[:, j]).any():
                    yield _Point(row, None, answered)
                else:
                    again = None if drawn is None else (drawn[0][:, j], drawn[1][:, 0])
                    yield _Point(row, values[:, j], answered, again)


def _rows(points: Sequence[_Point], seed: int) -> list[dict[str, Any]]:
    """The points of one group of problems, compared under one bootstrap."""
    inside = [i for i, point in enumerate(points) if point.small is not None]
    plain = [i for i in inside if points[i].drawn is None]
    chosen = [i for i in inside if points[i].drawn is not None]
    found: dict[int, dict[str, Any]] = {}
    if plain:
        found |= zip(plain, compare(*_paired(points, plain), _FEWEST, seed), strict=True)
    if chosen:
        drawn = [pair for i in chosen if (pair := points[i].drawn) is not None]
        ours, theirs = (np.column_stack(sides) for sides in zip(*drawn, strict=True))
        found |= zip(chosen, compare_chosen(*_paired(points, chosen), ours, theirs), strict=True)
    rows = []
    for i, point in enumerate(points):
        row = point.row | dict.fromkeys(COMPARED) | {"large": float(point.large.mean()), "verdict": OUTSIDE}
        rows.append(row | found.get(i, {}) | {"problems": len(point.large)})
    return rows


def _paired(points: Sequence[_Point], at: Sequence[int]) -> tuple[Floats, Floats]:
    """Both sides of these points, (problems, points) each."""
    small = [side for i in at if (side := points[i].small) is not None]
    return np.column_stack(small), np.column_stack([points[i].large for i in at])


def _family_setting(setting: str) -> str:
    kept = {key: value for key, value in json.loads(setting).items() if key not in _SCALES}
    return json.dumps(kept, sort_keys=True)


def _label(strategy: str, setting: str, verifier: str, selector: str) -> str:
    options = " ".join(f"{key}={value}" for key, value in json.loads(setting).items())
    chosen = f"{selector} by {verifier}" if verifier else selector
    return ", ".join([" ".join(filter(None, [strategy, options])), *filter(None, [chosen])])
