"""The paper's central result, re-derived from its published figures."""

from __future__ import annotations

from functools import partial

import pandas as pd

from scalinglab import flops, plots
from scalinglab.exchange import (
    PAPER_R,
    R_COLUMNS,
    TEST_TIME,
    match_specs,
    published,
    published_bars,
    published_lines,
)
from scalinglab.flops import CONVENTIONS
from scalinglab.report.page import Report, Section, draw
from scalinglab.specs import find


def paper_report() -> Report:
    """The paper's central result, re-derived from its published figures under each accounting rule."""
    return Report(
        "Pretrain a bigger model, or let a smaller one think longer? (Snell et al. 2024, re-derived)",
        [_who_wins(), _rule_effect(), _lines(), _real_pairs(), _one_query()],
        _said(published_bars()),
    )


def _said(bars: pd.DataFrame) -> list[str]:
    """How often which side wins, by difficulty; and how far the rule for the verifier moves R."""
    wins = bars["winner"] == TEST_TIME
    by = wins.groupby(bars["difficulty"], sort=False)
    counted = ", ".join(f"{part.sum()} of {len(part)} on {name}" for name, part in by)
    moved = bars["R paper"] / bars["R small-pays"]
    return [
        "By the paper's own bars, at equal lifetime FLOPs a small model with test-time compute beats one about 14 "
        f"times larger in {wins.sum()} of {len(wins)} cells of mechanism, difficulty and R: {counted} questions.",
        f"If the small side pays its verifier, the same samples stand for an R that is {moved.min():.2g} to "
        f"{moved.max():.2g} times lower.",
    ]


def _who_wins() -> Section:
    bars = published_bars()
    cells = bars.assign(
        cell=[f"{v:+.1f} {w}" for v, w in zip(bars["improvement_pct"], bars["winner"], strict=True)]
    )
    keys = ["mechanism", "k", *R_COLUMNS]
    table = cells.pivot_table(index=keys, columns="difficulty", values="cell", aggfunc="first", sort=False)
    notes = [
        f"source: {published()['source']}",
        "cells: relative improvement of the small model over the ~14x larger one (%), and the winner",
        "convention: paper (2N a generated token, verifier free); the other columns charge the verifier",
    ]
    shown = table[published()["difficulties"]].reset_index().rename_axis(columns=None)
    heading = "Who wins where (the paper's Fig. 1, right)"
    return Section("who_wins", heading, notes, shown, partial(_draw_who_wins, bars))


def _rule_effect() -> Section:
    bars = published_bars()
    table = bars.drop_duplicates("k")[["k", *R_COLUMNS]]
    notes = [
        f"M = {published()['ratio']}: {published()['ratio_source']}",
        "k = M + 3 (M - 1) / R (paper), M / 2 + 1.5 (M - 1) / R (small-pays), M + 1.5 (M - 1) / R (both pay)",
        "the paper's halving of R is exact only if the large model's one greedy sample is verified too",
    ]
    heading = "The same budgets, another R: who pays the verifier"
    return Section("rule_effect", heading, notes, table, partial(draw, plots.rule_effect, bars))


def _lines() -> Section:
    lines = published_lines()
    table = lines[lines["k"].isin(published()["budgets"])]
    notes = [
        "accuracy over all MATH test questions, +-0.2 points of reading error; no interval is published",
        "a majority needs no verifier: its R is the paper's under every rule",
    ]
    heading = "Accuracy at each matched budget (Fig. 1, left)"
    return Section("lines", heading, notes, table, partial(_draw_lines, lines))


def _real_pairs(prompt: int = 512, generated: int = 512) -> Section:
    records = []
    for small, large in (("Pythia-1B", "Pythia-12B"), ("Qwen3-0.6B", "Qwen3-8B")):
        for convention in CONVENTIONS.values():
            match = match_specs(
                find(small), find(large), prompt=prompt, generated=generated, convention=convention
            )
            record = {"small": small, "large": large, "convention": convention.name}
            record["large / small per query"] = match.large.at(1) / match.small.at(1)
            records.append(record | {f"k at R = {r:g}": match.k(r) for r in PAPER_R})
    notes = [f"samples read {prompt} and write {generated} tokens; a charged verifier has its model's own size"]
    table = pd.DataFrame(records)
    heading = "What equal compute buys the smaller of two real models"
    return Section("real_pairs", heading, notes, table, partial(_draw_pairs, table))


def _one_query(name: str = "Qwen3-0.6B", prompt: int = 512, generated: int = 512, samples: int = 16) -> Section:
    compared = flops.compare_conventions(find(name), prompt, generated, samples=samples)
    costs = {rule: cost["components"] for rule, cost in compared.items()}
    table = pd.DataFrame(costs).T.rename_axis("convention").reset_index()
    notes = [
        f"{name}: {samples} samples of {prompt} + {generated} tokens; policy only, verifier apart",
        "never counted: norms, softmax, rotary embedding, sampling",
    ]
    heading = "FLOPs of one query, by component and convention"
    return Section("one_query", heading, notes, table, partial(draw, plots.breakdown, costs))


def _draw_who_wins(bars: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, (mechanism, part) in zip(axes, bars.groupby("mechanism", sort=False), strict=True):
        budget = [f"k = {k} (R = {r:.2g})" for k, r in zip(part["k"], part["R paper"], strict=True)]
        values = {"group": part["difficulty"], "bar": budget, "value": part["improvement_pct"]}
        plots.grouped_bars(ax, pd.DataFrame(values), legend=ax is axes[-1])
        ax.set_title(str(mechanism), fontsize=10)
    return drawn


def _draw_lines(lines: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, mechanism in zip(axes, lines["mechanism"].unique(), strict=True):
        plots.published_lines(ax, lines, mechanism)
    return drawn


def _draw_pairs(table: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, (pair, part) in zip(axes, table.groupby(["small", "large"], sort=False), strict=True):
        points = part.melt(["convention"], [f"k at R = {r:g}" for r in PAPER_R], "budget", "k")
        plots.matched_budgets(ax, points)
        ax.set_title(" against ".join(map(str, pair)), fontsize=10)
    return drawn
