"""A study over training seeds as a report and a README: headlines with their controls, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from scalinglab import plots
from scalinglab.exchange import (
    ALL,
    DIFFICULTY,
    MECHANISMS,
    NOT_MEASURED,
    PRM,
    RAREST,
    SEED,
    WEAK_STUDY,
    Repeated,
    View,
    choose,
    difference,
    findings_over,
    gains_over,
    helper_shares,
    ladder_over,
    predicted_over,
    short,
    verdict_clause,
)
from scalinglab.fits.joint import CELL, JOINT, MEASURED
from scalinglab.flops import with_axes
from scalinglab.report.caveats import departures, grade_table
from scalinglab.report.page import Report, Section
from scalinglab.report.page import text as table_text

_INTERVALS = (
    "small less large in accuracy points, means over training seeds; 95 % over problems and training seeds: the "
    "rows of one trial over all problems hold at once, and so do those of its groups; what few seeds tell of "
    "seeds counts by Student's t"
)
_EXPLORED = "exploratory: not a headline of the plan"
_ONE = "one training run: another seed could decide otherwise"


@dataclass(frozen=True)
class Explored:
    """What is looked at beside the headlines; each table is empty where it was not asked for or not measured."""

    findings: pd.DataFrame
    gains: pd.DataFrame
    predicted: pd.DataFrame
    ladder: pd.DataFrame


def repeated_report(found: Repeated, explored: Explored) -> Report:
    """Verdicts in words, then a section a headline, and the exploratory ones."""
    runs = f"{len(found.seeds)} training seeds" if len(found.seeds) > 1 else "one training seed"
    title = f"{found.view.small} against {found.view.large} over {runs}"
    sections = [
        _headline(found),
        _contrasts(found),
        _grouped(found, DIFFICULTY.name, "difficulty", "By difficulty"),
        *_axes(found),
        _rules(found),
        *_explored(found, explored),
        _caveats(found),
    ]
    return Report(title, sections, sentences(found), _origin(found))


def explore(found: Repeated, *, ladder: pd.DataFrame | None = None, seed: int = 0) -> Explored:
    """What is looked at beside the headlines, under the convention that is shown. ladder: its table."""
    rule, first = found.view.convention, next(iter(found.evidence.values()))
    own = {name: views_[0] for name, views_ in found.views.items()}
    every = found.evidence.items()
    chosen = {name: choose(one, rule=rule, unit="flops", seed=seed, view=own[name]) for name, one in every}
    paid = with_axes(rule, "difficulty")
    charged = {name: choose(one, rule=paid, unit="flops", seed=seed) for name, one in every}
    held = findings_over(own, PRM) if PRM in first.verifiers else pd.DataFrame()
    table = pd.DataFrame() if ladder is None else ladder_over(ladder, first, rule, found.r, seed=seed)
    return Explored(held, gains_over(chosen), predicted_over(charged), table)


def study_readme(found: Repeated, told: Report) -> bytes:
    """The verdict first, each headline with its controls, then tables, as Markdown."""
    parts = [f"# {told.title}", *told.said]
    for section in told.sections:
        shown = section.table if section.short is None else section.short
        parts += [f"## {section.heading}", *section.said]
        parts += [f"```text\n{table_text(shown)}\n```"] if len(shown) > 0 else ["Not measured."]
        parts += ["\n".join(f"- {note}" for note in section.notes)] if section.notes else []
    parts.append(f"Made from numbers by `scalinglab testbed study`; seeds: {', '.join(found.seeds)}.")
    return ("\n\n".join(parts) + "\n").encode()


def sentences(found: Repeated) -> tuple[str, ...]:
    """The headlines over all problems, a paragraph a mechanism; then each over its controls, at the middle R."""
    view, rows = found.view, found.headline()
    runs, middle = len(found.seeds), sorted(found.r)[len(found.r) // 2]
    first = f"Over {runs} training seeds and {len(view.arms.problems)} problems, under {view.arms.convention}."
    told, over = [], []
    for trial, own in rows.groupby("trial", sort=False):
        told.append(" ".join(_verdict(view, row) for row in own.to_dict("records")))
        row = own[own["R"] == middle].iloc[0].to_dict()
        over.append(f"{str(trial).capitalize()} over its controls at R = {middle:g} (at every R: contrasts): "
                    f"{_controls(found, row)}.")  # fmt: skip
    return (first if runs > 1 else f"Of {_ONE}.", *told, *over)


def _verdict(view: View, row: Mapping[Any, Any]) -> str:
    clause = verdict_clause(row, small=f"{view.small} with {row['trial']}", large=view.large)
    spread = "" if row["between"] != row["between"] else f" (between seeds {100 * row['between']:.1f})"
    return f"At R = {row['R']:g}, {clause}{spread}."


def _controls(found: Repeated, row: Mapping[Any, Any]) -> str:
    """A mechanism less each of its controls at one R."""
    wanted = {"trial": row["trial"], "bin": ALL, "R": row["R"]}
    here = [one for one in found.contrasts.to_dict("records") if wanted.items() <= one.items()]
    listed = [f"{one['against']} {short(one)}" for one in here if one["against"] not in MECHANISMS]
    return "; ".join(listed) or NOT_MEASURED


def _headline(found: Repeated) -> Section:
    rows, view = found.rows, found.view
    kept = (rows["convention"] == view.arms.convention) & (rows["bin"] == ALL) & (rows["trial"] != WEAK_STUDY)
    kept &= (rows["grouping"] == DIFFICULTY.name) & (rows["strategy"] != "one arm for all")
    here = rows[kept]
    plain = (here["against"] == here["against"].iloc[0]) | here["trial"].isin(MECHANISMS)
    notes = [
        _INTERVALS,
        "between: the standard deviation of seeds' differences; R -: alone, at its own cost, not matched in FLOPs",
        helper_shares(found.view),
        *found.lacking,
    ]
    return Section("headline", "All problems, each with its controls", notes, here,
                   partial(_by_r, found), short=_short(here[plain], "R"))  # fmt: skip


def _contrasts(found: Repeated) -> Section:
    rows = found.contrasts
    notes = [
        "a mechanism less its control in accuracy points, at the R of the row, both as dear as equal lifetimes "
        "allow (controls that stand alone at their own cost); 95 % as above",
        "where more may be spent than was measured, a side counts as the best of what was",
    ]
    heading = "Is it the mechanism? Against its controls"
    shown = rows[rows["bin"] == ALL] if len(rows) else rows
    return Section("contrasts", heading, notes, rows, short=_short(shown, "R"))


def _grouped(found: Repeated, grouping: str, name: str, heading: str) -> Section:
    rows = found.headline(grouping=grouping, whole=False)
    every = found.rows[found.rows["grouping"] == grouping]
    order = list(dict.fromkeys(rows["bin"]))
    notes = [_EXPLORED, _INTERVALS] if grouping == RAREST else [_INTERVALS]
    return Section(name, heading, notes, every, partial(_panels, found, rows, order) if len(rows) else None,
                   short=_short(rows, "bin"))  # fmt: skip


def _axes(found: Repeated) -> Iterator[Section]:
    headings = {"facts": "By the number of facts", "sums": "By the number of sums"}
    headings[RAREST] = "By the rank of the least common fact"
    there = dict.fromkeys(found.rows["grouping"])
    for grouping, heading in headings.items():
        if grouping in there:
            yield _grouped(found, grouping, grouping.replace(" ", "_"), heading)
    if len(found.trends):
        notes = ["slopes by least squares over the groups above, in points a step; 95 % as above"]
        shown = _short(found.trends, "grouping")
        yield Section("trends", "Does the difference grow along an axis?", notes, found.trends, short=shown)


def _rules(found: Repeated) -> Section:
    table = found.sensitivity()
    said = [f"{int(table['flips'].sum())} of {len(table)} verdicts on search and revisions flip between rules."]
    return Section("sensitivity", "Does the accounting rule decide?", ["means over seeds, by difficulty"], table,
                   said=said)  # fmt: skip


def _explored(found: Repeated, explored: Explored) -> Iterator[Section]:
    once = [_EXPLORED]
    holds = "a difference of two arms at equal samples; 95 % over problems and seeds, all findings at once"
    yield Section("findings", "The paper's findings", [*once, holds], explored.findings)
    weak = found.rows[found.rows["trial"] == WEAK_STUDY]
    told = (
        "A random scores, B 20 % of scores p made 1 - p, C the scores, D majority of the reviser; each row alone"
    )
    shown = _short(weak[weak["bin"] == ALL].assign(trial=weak["strategy"]), "R")
    yield Section("weak", "How good must the verifier be?", [*once, told], weak, short=shown)
    gain = "times less FLOPs than parallel samples of the same proposer; geometric mean of seeds that reach it"
    yield Section("gain", "Gain over best-of-N", [*once, gain], explored.gains)
    cost = "estimating difficulty is charged to every query; difference: predicted bins less one arm for all"
    yield Section("predicted", "Difficulty as the verifier predicts it", [*once, cost], explored.predicted)
    if len(explored.ladder):
        yield _ladder(explored.ladder, once)


def _ladder(table: pd.DataFrame, notes: Sequence[str]) -> Section:
    """The law's optimum, whole and within what was measured, beside the cell that a direct search finds."""
    kept = table[table["choice"].isin([CELL, MEASURED, JOINT])]
    ends = zip(kept["times"], kept["times low"], kept["times high"], strict=True)
    shown = kept[["target", "R", "choice", "N", "D", "k", "flops"]].assign(
        times=[f"{t:.3g}" + ("" if pd.isna(low) else f" ({low:.3g} to {high:.3g})") for t, low, high in ends],
        outside=kept["outside"],
    )
    off, nearest = table["off"].iloc[0], table["nearest"].iloc[0]
    told = [
        *notes,
        f"N, D and k of least FLOPs at an accuracy, by the law that forecasts best ({table['law'].iloc[0]}), and "
        "the cheapest cell measured, which is direct search; times: FLOPs over those of the law's optimum",
        f"where it was not fitted the law is off by {off:.0f} points, the nearest cell by {nearest:.0f}; outside: "
        "what lies beyond what was measured",
        "accuracy is pass@k: a perfect verifier picks, whom nobody pays",
    ]
    return Section("ladder", "The joint optimum on the ladder", told, table, short=shown)


def _caveats(found: Repeated) -> Section:
    parts = [grade_table(one).assign(seed=name) for name, one in found.evidence.items()]
    runs = len(found.seeds)
    beside = [f"beside the paper, {text}" for text in departures(next(iter(found.evidence.values())), found.view)]
    kept = [text for text in beside if "training runs:" not in text] + ([] if runs > 1 else [_ONE])
    notes = ["answers by grade, in % of each model's", *kept, *found.notes]
    return Section("caveats", "Before you quote this", notes, pd.concat(parts, ignore_index=True), plain=True)


def _short(rows: pd.DataFrame, first: str) -> pd.DataFrame:
    """Rows for people: verdict first, then in accuracy points."""
    told = rows.to_dict("records")
    own = [name for name in rows if str(name).startswith(SEED)]
    beside = {"against": [row["against"] for row in told]} if len(rows) and len(set(rows["against"])) > 1 else {}
    return pd.DataFrame({
        "verdict": [str(row["verdict"]).split(" measured")[0] for row in told],
        "trial": [row["trial"] for row in told],
        **({} if first == "R" else {first: [row[first] for row in told]}),
        "R": ["-" if row["R"] != row["R"] else f"{row['R']:g}" for row in told],
        **beside,
        "points (95 %)": [difference(row) for row in told],
        "between": ["-" if row["between"] != row["between"] else f"{100 * row['between']:.1f}" for row in told],
        "seeds": [" ".join("-" if row[name] != row[name] else f"{100 * row[name]:+.1f}" for name in own)
                  for row in told],
        "n": [row["problems"] for row in told],
    })  # fmt: skip


def _by_r(found: Repeated) -> plots.Drawn:
    rows = found.headline()
    drawn, (ax,) = plots.figure(width=6.4, height=3.6)
    plots.over_seeds(
        ax, rows.assign(at=[f"R = {r:g}" for r in rows["R"]]), x="at", order=[f"R = {r:g}" for r in found.r]
    )
    ax.set_title("All problems: means over seeds, 95 % (dashes: each seed)", fontsize=10)
    return drawn


def _panels(found: Repeated, rows: pd.DataFrame, order: Sequence[str]) -> plots.Drawn:
    drawn, axes = plots.figure(len(found.r), width=3.3, height=3.2)
    for ax, r in zip(axes, found.r, strict=True):
        plots.over_seeds(ax, rows[rows["R"] == r], x="bin", order=order, legend=ax is axes[-1])
        ax.set_ylabel("points over the large model" if ax is axes[0] else "")
        ax.set_title(f"R = {r:g}", fontsize=10)
        ax.tick_params(axis="x", labelrotation=25, labelsize=8)
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    return drawn


def _origin(found: Repeated) -> dict[str, Any]:
    return {"evidence": {name: one.source for name, one in found.evidence.items()}}
