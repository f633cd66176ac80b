"""Accuracy against FLOPs a query as tables: of one model's samples, and of every line of a comparison."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from scalinglab.curves import (
    SELECTORS,
    THINK,
    Floats,
    Group,
    Way,
    accuracy,
    coverage_pools,
    doubt,
    interval,
    ways_of,
)
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.exchange.headline import OPTIMAL, configurations
from scalinglab.exchange.lifetime import refuse_unreported
from scalinglab.exchange.paired import FEWEST_PROBLEMS, widened
from scalinglab.exchange.views import View
from scalinglab.flops import Convention
from scalinglab.grids import doublings


def curves(
    evidence: Evidence,
    *,
    models: Sequence[str] | None = None,
    selector: str = "coverage",
    k: Sequence[int] | None = None,
    rule: Convention,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str]]:
    """Accuracy of each model's parallel samples at each budget, and notes on what it rests on.

    One row a model, verifier and budget: model, selector, verifier ("" for none), k, accuracy with its 95 %
    interval over problems (low, high), flops_per_query (missing where it cannot be priced), convention, problems,
    sampling_error (the standard error that comes from subsampling votes; 0: exact). Budgets default to the powers
    of two within the samples. selector "think": one answer at each effort, k being the tokens of an answer.
    effort: of parallel samples, where any have one. Raises DataError for a model or selector that the evidence has
    not, or k > n.
    """
    notes, parts = [], []
    judged = selector in SELECTORS and SELECTORS[selector].needs_verifier
    judges = {model for model in evidence.verifiers.values() if model and judged}
    for name in models or evidence.models():
        ways, why = _ways(evidence, name, rule, judges, seed)
        if why:
            notes.append(f"{name} is not priced: {why}")
        wanted = (THINK, "recorded") if selector == THINK else ("parallel", selector)
        parts += [_curve(way, k, rule, seed) for way in ways if (way.strategy, way.selector) == wanted]
    if not parts:
        raise unchosen(evidence, models or evidence.models(), selector)
    table = pd.concat(parts, ignore_index=True)
    return (table if table["effort"].any() else table.drop(columns="effort")), notes


def unchosen(evidence: Evidence, models: Sequence[str], selector: str) -> DataError:
    """Why nothing that these models sampled is chosen by a selector: it is unknown, or lacks answers or scores."""
    for model, pool in coverage_pools(evidence).items():
        if model in models:
            try:
                accuracy(pool, selector, [1])
            except DataError as error:
                return error
    return DataError(
        f"no parallel samples of {', '.join(models)} by {selector}",
        "a selector that the samples allow: votes need answers, weights a verifier's scores",
        "name another --selector",
    )


def _ways(
    evidence: Evidence, model: str, rule: Convention, judges: Collection[str], seed: int
) -> tuple[list[Way], str]:
    """How a model answered; where the rule cannot price it or its judges, without prices and with the reason."""
    try:
        evidence.spec(model)
        refuse_unreported(evidence, rule, {model}, judges)
        return ways_of(evidence, [rule], models=[model], seed=seed), ""
    except SpecError as error:
        return ways_of(evidence, [], models=[model], seed=seed), str(error)


def _curve(way: Way, k: Sequence[int] | None, rule: Convention, seed: int) -> pd.DataFrame:
    rows = len(way.reader.problems)
    usual = doublings(way.reader.fewest) if way.reader.step else way.reader.budgets
    budgets = usual if k is None or not way.reader.step else np.asarray(k, dtype=np.int64)
    if way.reader.step and (budgets.min() < 1 or budgets.max() > way.reader.fewest):
        raise DataError(
            f"k = {', '.join(map(str, budgets))} of model {way.model}",
            f"budgets from 1 to n = {way.reader.fewest}, the samples of its least sampled problem",
            "lower k or collect more samples",
        )
    values, noise = way.reader.at(budgets, np.arange(rows))
    variance = noise.sum(axis=0) / rows**2
    unseen = doubt(rows, way.reader.fewest) ** 2  # by resampling, where all problems agree
    low, high = widened(values.mean(axis=0), interval(values, seed=seed), variance + unseen)
    return pd.DataFrame({
        "model": way.model, "selector": way.selector, "verifier": way.verifier, "k": budgets,
        "accuracy": values.mean(axis=0), "low": np.maximum(low, 0), "high": np.minimum(high, 1),
        "flops_per_query": way.prices[0].flops(budgets).mean(axis=0) if way.prices else np.nan,
        "convention": rule.name, "problems": rows, "sampling_error": np.sqrt(variance),
        "effort": str(json.loads(way.setting).get("effort", "")),
    })  # fmt: skip


def line_table(views: Sequence[View], *, seed: int = 0) -> pd.DataFrame:
    """Accuracy of every line of the small side at each of its budgets, and of the compute-optimal strategy.

    One row a view, group, line and budget: bin, kind (the strategy's name), strategy (the line's), model
    (that answers; "" of the compute-optimal one), verifier, selector, k (missing for the compute-optimal one),
    accuracy with its 95 % interval over problems (low, high, missing for fewer than six problems), flops (of a
    query), convention, problems (over splits, the mean number in the bin).
    """
    parts = [row for view in views for group in view.groups for row in _lines(view, group, seed)]
    return pd.DataFrame(parts).astype(dict.fromkeys(("k", "accuracy", "low", "high", "flops"), float))


def _lines(view: View, group: Group, seed: int) -> Iterator[dict[str, object]]:
    common = {"bin": group.name, "convention": view.arms.convention, "problems": group.size}
    scored = view.scored(group)
    accuracy, flops = scored.mean(axis=0), view.costs(group)
    low, high = np.full((2, len(accuracy)), np.nan)
    if group.size >= FEWEST_PROBLEMS:
        low, high = interval(scored, seed=seed)
    unseen = {way: doubt(group.effective, reader.fewest) ** 2 for way, reader in view.arms.readers.items()}
    low, high = widened(accuracy, (low, high), np.array([unseen[way] for way in view.arms.table["way"]]))
    yield from (row | common for row in _optimal(view, group))
    for line in view.lines():
        for at in view.columns(line, group).tolist():
            yield {
                "kind": line.strategy, "strategy": line.label, "model": line.models[0], "verifier": line.verifier,
                "selector": line.selector, "k": int(view.arms.table["budget"].iloc[at]),
                "accuracy": accuracy[at], "low": max(low[at], 0.0), "high": min(high[at], 1.0),
                "flops": flops[at], **common,
            }  # fmt: skip


def _optimal(view: View, group: Group) -> Iterator[dict[str, object]]:
    nothing: Floats = np.zeros((len(view.arms.problems), 1))
    spent, right, _ = configurations(view.menus[0], group, nothing)
    low, high = np.quantile(right[1:], [0.025, 0.975], axis=0)
    enough = group.size >= FEWEST_PROBLEMS
    for i in np.flatnonzero(np.r_[True, np.diff(spent[0]) > 1e-9 * spent[0, 1:]]):
        yield {
            "kind": OPTIMAL, "strategy": OPTIMAL, "model": "", "verifier": "", "selector": OPTIMAL, "k": np.nan,
            "accuracy": right[0, i], "low": max(low[i], 0.0) if enough else np.nan,
            "high": min(high[i], 1.0) if enough else np.nan, "flops": spent[0, i],
        }  # fmt: skip
