"""A comparison as a report, read from top to bottom: verdict, what-if, strategies, costs, rules, caveats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from scalinglab import plots
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange import (
    ALL,
    FIXED,
    OPTIMAL,
    Chosen,
    Comparison,
    View,
    WhatIf,
    charged_to,
    line_table,
    once_name,
    sentences,
)
from scalinglab.ledger import left_out, summary
from scalinglab.optimal import REACHED
from scalinglab.report.caveats import departures, grade_table, looks
from scalinglab.report.page import Report, Section
from scalinglab.report.what_if import NOTES, middle, widget

_ROUNDING = 1e-9
"""Share of a lifetime that is the rounding of its sums."""
_UNMEASURED = (
    "cannot pay: training the small side and its helpers, or its cheapest answer, takes more than the large "
    "model's lifetime (counted as pretraining); outside: no measured budget stands for this R, and no cheaper one "
    "already wins"
)


def comparison_report(
    found: Comparison,
    convention: str,
    *,
    optimal: Chosen | None = None,
    evidence: Evidence | None = None,
    asked: WhatIf | None = None,
) -> Report:
    """Verdicts, what-if, the compute-optimal strategy against one arm for all, costs, other rules, caveats.

    optimal: how it was chosen and what it gains, under the same convention. evidence: what was compared, for what
    it took and how answers failed. asked: what the page recomputes. Each may be None, and its part is then left
    out. Raises DataError for a convention that was not compared.
    """
    verdicts = found.verdicts[found.verdicts["convention"] == convention]
    if verdicts.empty:
        known = ", ".join(found.verdicts["convention"].unique())
        reason = found.unpriced.get(convention, "it was not asked for")
        raise DataError(f"no verdict under {convention!r} ({reason})", f"one of {known}", "choose another")
    view = found.view(convention)
    small, large = found.called(found.small), found.called(found.large)
    pair = f"{small} with test-time compute against {large}"
    sections = [
        _verdicts(found, verdicts, view),
        *([] if asked is None else [_what_if(replace(asked, small=small, large=large), verdicts, view)]),
        *_strategies(found, verdicts, view, optimal),
        *_costs(verdicts, view, evidence),
        _rules(found),
        *([] if evidence is None else [_caveats(found, view, evidence)]),
    ]
    return Report(pair, sections, sentences(found, convention), {} if evidence is None else _origin(evidence))


def _verdicts(found: Comparison, verdicts: pd.DataFrame, view: View) -> Section:
    head = verdicts[verdicts["strategy"] == OPTIMAL]
    return Section(
        "verdicts", "Verdict", [f"convention: {view.convention}", *found.notes], verdicts,
        partial(_draw, plots.exchange, found, view.arms.convention), short=_headline(head),
    )  # fmt: skip


def _headline(head: pd.DataFrame) -> pd.DataFrame:
    """The headline's rows for people, verdict first."""
    rows = head.to_dict("records")
    against = {"against": head["against"].tolist()} if len(head["against"].unique()) > 1 else {}
    return pd.DataFrame({
        "verdict": [row["verdict"] for row in rows],
        "problems": [plots.bin_label(row["bin"]) for row in rows],
        "R": [f"{row['R']:g}" for row in rows],
        **against,
        "gain, points (95 %)": [_gain(row) for row in rows],
        "small %": [_percent(row["small"]) for row in rows],
        "large %": [_percent(row["large"]) for row in rows],
    })  # fmt: skip


def _gain(row: dict[Any, Any]) -> str:
    if row["difference"] != row["difference"]:
        return "-"
    ends = "no interval" if row["low"] != row["low"] else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
    return f"{100 * row['difference']:+.1f} ({ends})"


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f}"


def _what_if(asked: WhatIf, verdicts: pd.DataFrame, view: View) -> Section:
    r = middle(verdicts["R"].unique().tolist())
    made = widget(asked, view.convention, r, sunk=view.lifetime.large == 0)
    return Section("what_if", "What if?", NOTES, asked.table(), widget=made)


def _strategies(
    found: Comparison, verdicts: pd.DataFrame, view: View, optimal: Chosen | None
) -> Iterator[Section]:
    rule, curves = f"convention: {view.arms.convention}", line_table([view])
    best, name = curves[curves["strategy"] == OPTIMAL], view.arms.convention
    even = found.breakeven[found.breakeven["convention"] == name]
    yield _optimal_section(plots.pair_title(found), optimal, verdicts, curves, rule)
    yield Section("frontier", "Every strategy: accuracy against FLOPs a query", [rule], curves,
                  partial(_draw_frontier, found, name),
                  short=_best(curves[curves["bin"] == ALL]))  # fmt: skip
    yield Section("by_bin", "By difficulty, and the large model at each R", [rule], best,
                  partial(_draw, plots.by_bin, found, name), short=_best(best))  # fmt: skip
    drawn = "drawn: of each kind the strategy most accurate at its most"
    yield Section("breakeven", "Break-even R", [rule, drawn], even,
                  partial(_draw, plots.break_evens, found, name, width=9, height=4.8),
                  short=_even(even))  # fmt: skip


def _optimal_section(
    pair: str, optimal: Chosen | None, verdicts: pd.DataFrame, curves: pd.DataFrame, rule: str
) -> Section:
    sides = verdicts[verdicts["strategy"].isin([OPTIMAL, FIXED])]
    cells = sides.assign(cell=[f"{row['verdict']} {_gain(row)}" for row in sides.to_dict("records")])
    keys = ["bin", "R", *(["against"] if len(cells["against"].unique()) > 1 else [])]
    short = cells.pivot_table(index=keys, columns="strategy", values="cell", aggfunc="first", sort=False)
    short = short.reset_index().rename_axis(columns=None)
    base = curves[(curves["bin"] == ALL) & (curves["kind"] == "parallel") & (curves["selector"] != "coverage")]
    heading = "The compute-optimal strategy against one arm for all"
    notes = [rule, "cells: verdict against the large model at equal lifetime FLOPs, gain in points (95 %)"]
    if optimal is None:
        return Section("optimal", heading, notes, sides, short=short)
    return Section("optimal", heading, [*notes, *optimal.notes], optimal.table(),
                   partial(_draw_optimal, pair, optimal, base), short=short)  # fmt: skip


def _costs(verdicts: pd.DataFrame, view: View, evidence: Evidence | None) -> Iterator[Section]:
    """Both sides' lifetimes at each R, which are equal; and every call that was recorded, where there are any."""
    head = verdicts[(verdicts["strategy"] == OPTIMAL) & (verdicts["bin"] == ALL)]
    table = _lifetimes(head[head["against"] == once_name(view)], view)
    equal = "the small side may spend on answers what makes both lifetimes equal; all problems"
    yield Section("lifetimes", "What each side pays over its lifetime", [equal], table, short=table)
    if evidence is not None and evidence.run is not None and len(evidence.run.calls):
        spent = charged_to(evidence, view.convention)
        shares = summary(spent).assign(flops=lambda frame: frame["flops"].astype(float))
        yield Section("ledger", "What was spent on this evidence", [left_out(spent)], shares)


def _lifetimes(head: pd.DataFrame, view: View) -> pd.DataFrame:
    life, answer = view.lifetime, float(view.groups[0].mean_of(view.answered(None)))
    rows = []
    for r, flops in zip(head["R"], head["flops"], strict=True):
        queries = r * life.queries_per_r
        training = life.large + queries * (answer - flops)  # of the small side and the helpers that it pays
        rest, whole = training - life.small, life.large + queries * answer
        helpers = rest if rest > _ROUNDING * whole else 0.0
        sides = ((view.small, life.small, helpers, flops), (view.large, life.large, 0.0, answer))
        rows += [
            {"R": r, "side": side, "pretraining": base, "helpers": trained, "FLOPs a query": query,
             "answers": queries * query, "lifetime": base + trained + queries * query}
            for side, base, trained, query in sides
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _rules(found: Comparison) -> Section:
    left = [f"{name} left out: {reason}" for name, reason in found.unpriced.items()]
    flips = found.sensitivity()
    head = flips[flips["strategy"] == OPTIMAL]
    count = int(head["flips"].sum())
    said = f"{count} of {len(head)} verdicts on the compute-optimal strategy flip between rules."
    return Section("sensitivity", "Does the accounting rule decide?", [_UNMEASURED, *left], flips,
                   partial(_draw, plots.rules, found, width=7.5, height=1.7 + 0.33 * len(head)), said=[said],
                   short=head[head["flips"]].drop(columns=["strategy", "flips"]))  # fmt: skip


def _caveats(found: Comparison, view: View, evidence: Evidence) -> Section:
    beside = (f"beside the paper, {text}" for text in departures(evidence, view))
    notes = ["answers by grade, in % of each model's", *looks(found, view.arms.convention), *beside]
    return Section("caveats", "Before you quote this", notes, grade_table(evidence), plain=True)


def _origin(evidence: Evidence) -> dict[str, Any]:
    """The evidence, its task and its models, as the page names where it comes from."""
    names = dict.fromkeys((*evidence.pair(), *evidence.helpers()))
    models = {
        name: f"{spec.total:.4g} parameters, trained on "
        + ("an unknown number of" if spec.training_tokens is None else f"{spec.training_tokens:.4g}")
        + " tokens"
        for name, spec in ((name, evidence.specs[name]) for name in names if name in evidence.specs)
    }
    return {
        "evidence": evidence.source,
        "task": "; ".join(filter(None, evidence.tasks())) or "not named",
        "models": models,
    }


def _best(curves: pd.DataFrame) -> pd.DataFrame:
    """Of each group and strategy its most accurate budget."""
    top = curves.loc[curves.groupby(["bin", "strategy"], sort=False)["accuracy"].idxmax()]
    return top[["bin", "strategy", "k", "accuracy", "low", "high", "flops"]]


def _even(even: pd.DataFrame) -> pd.DataFrame:
    rows = even[(even["bin"] == ALL) & even["strategy"].isin([OPTIMAL, FIXED])]
    return rows[["strategy", "status", "R", "low", "high", "queries"]]


def _draw(plot: Callable[..., None], *objects: Any, **size: Any) -> plots.Drawn:
    drawn, (ax,) = plots.figure(**size)
    plot(*objects, ax=ax)
    return drawn


def _draw_optimal(pair: str, optimal: Chosen, base: pd.DataFrame) -> plots.Drawn:
    gain = optimal.gain()
    reached = bool(len(gain) and (gain["verdict"] == REACHED).any())
    drawn, axes = plots.figure(rows=1 + reached, width=7.6, height=4.0)
    plots.optimal_curves(axes[0], optimal.table(), base)
    if reached:
        plots.gains(axes[1], gain)
    drawn.suptitle(pair, fontsize=10)
    return drawn


def _draw_frontier(found: Comparison, convention: str) -> plots.Drawn:
    groups = len(found.view(convention).groups)
    drawn, axes = plots.figure(min(2, groups), rows=-(-groups // 2), width=3.9, height=3.2)
    plots.lines(found, convention, axes=axes[:groups])
    for ax in axes[groups:]:
        ax.remove()
    drawn.suptitle(plots.pair_title(found), fontsize=10)
    drawn.supxlabel("FLOPs a query", fontsize=10)
    drawn.supylabel("accuracy (%)", fontsize=10)
    return drawn
