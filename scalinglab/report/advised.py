"""Advice as a page: what to use in words, the figure, seconds and dollars, and what it chose among."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import pandas as pd

from scalinglab import plots
from scalinglab.advise import Advice, Cost, Number, Option, advice_sentences, cost_sentences
from scalinglab.report.page import Report, Section

_COSTS = {
    "seconds": "GPU seconds a query", "split": "GPUs a replica", "latency": "seconds an answer",
    "days": "days for all queries", "dollars": "GPU dollars for all", "served": "server dollars a query",
    "served_total": "server dollars for all", "why": "remarks",
}  # fmt: skip


def advice_report(
    told: Advice,
    offers: pd.DataFrame,
    costs: Sequence[Cost],
    notes: Sequence[str],
    *,
    called: Callable[[str], str] = str,
) -> Report:
    """The page of advice. offers: see ``advise.offers``. called: what a model of the data is called."""
    wanted = f"{told.target:g} accuracy" if told.target is not None else f"{told.budget:.3g} FLOPs"
    title = f"What to use for {wanted} over {told.queries:.3g} queries"
    said = (*advice_sentences(told, called=called), *cost_sentences(costs))
    return Report(title, advice_sections(told, offers, costs, notes, called=called), said)


def advice_sections(
    told: Advice,
    offers: pd.DataFrame,
    costs: Sequence[Cost],
    notes: Sequence[str],
    *,
    called: Callable[[str], str] = str,
) -> list[Section]:
    """The advice, what it takes on hardware, and all that it chose among: the figure and tables of a page."""
    options = [option for option in (told.best, told.second) if option is not None]
    chosen = [(option.total.value, option.accuracy.value) for option in options]
    named = offers.assign(model=offers["model"].map(called))
    draw = partial(_draw, named, chosen, told)
    sections = [Section("advise", "What to use, and what is next", notes, _options(options, called), draw)]
    if costs:
        sections.append(Section("hardware", "Beside FLOPs: seconds and dollars", [], cost_table(costs, called)))
    return [*sections, Section("offers", "All that it chose among", [], named)]


def cost_table(costs: Sequence[Cost], called: Callable[[str], str] = str) -> pd.DataFrame:
    """A row an option: what it takes in seconds and dollars; columns that say nothing of any are left out."""
    rows = []
    for cost in costs:
        known = asdict(cost) | {
            "split": ", ".join(f"{called(model)} {n}" for model, n in cost.split.items()) or None
        }
        row = {"model": called(cost.model), "run": cost.plan, "GPUs": cost.gpus}
        rows.append(row | {title: known[name] or None for name, title in _COSTS.items()})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _options(options: Sequence[Option], called: Callable[[str], str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": called(one.model), "strategy": one.strategy, "run": one.plan(),
             "accuracy": _shown(one.accuracy), "FLOPs a query": _shown(one.flops), "training FLOPs": one.training,
             "lifetime FLOPs": _shown(one.total), "best in": f"{100 * one.right:.0f} % of draws"}
            for one in options
        ]
    )  # fmt: skip


def _shown(number: Number) -> str:
    return f"{number.value:.4g} ({number.low:.4g} to {number.high:.4g}) {number.how}"


def _draw(offers: pd.DataFrame, chosen: Sequence[tuple[float, float]], told: Advice) -> plots.Drawn:
    drawn, (ax,) = plots.figure(width=7.0, height=5.2)
    plots.advice(ax, offers, chosen, queries=told.queries, target=told.target, budget=told.budget)
    return drawn
