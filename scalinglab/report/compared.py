"""A comparison as a report: the headline first, then every line, break-evens, and what other rules would say."""

from __future__ import annotations

from functools import partial

import pandas as pd

from scalinglab import plots
from scalinglab.errors import DataError
from scalinglab.exchange import FIXED, OPTIMAL, Chosen, Comparison, line_table, sentences
from scalinglab.optimal import REACHED
from scalinglab.report.page import Report, Section, draw, draw_sensitivity

_UNMEASURED = (
    "cannot pay: training the small side and its helpers, or its cheapest answer, takes more than the large "
    "model's lifetime (counted as pretraining); outside: no measured budget stands for this R, and no cheaper one "
    "already wins"
)


def comparison_report(found: Comparison, convention: str, *, optimal: Chosen | None = None) -> Report:
    """Verdicts on the compute-optimal strategy, every line, its gain over best-of-N, break-evens, sensitivity.

    optimal: how it was chosen and what it gains, under the same convention; None where there is no verifier to
    choose best-of-N by. Raises DataError for a convention that was not compared.
    """
    verdicts = found.verdicts[found.verdicts["convention"] == convention]
    if verdicts.empty:
        known = ", ".join(found.verdicts["convention"].unique())
        reason = found.unpriced.get(convention, "it was not asked for")
        raise DataError(f"no verdict under {convention!r} ({reason})", f"one of {known}", "choose another")
    view = found.view(convention)
    curves = line_table([view])
    head, best = verdicts[verdicts["strategy"] == OPTIMAL], curves[curves["strategy"] == OPTIMAL]
    even, flips = found.breakeven[found.breakeven["convention"] == convention], found.sensitivity()
    rule, pair = (
        f"convention: {view.convention}",
        f"{found.called(found.small)} with test-time compute against {found.called(found.large)}",
    )
    left_out = [f"{name} left out: {reason}" for name, reason in found.unpriced.items()]
    sections = [
        Section("verdicts", f"The compute-optimal strategy of {pair}", [rule, *found.notes], verdicts,
                partial(_draw_bars, head, pair, convention)),
        Section("by_bin", "By difficulty bin, and the large model at each R", [rule], best,
                partial(draw, plots.optimal_by_bin, best, head, found.large)),
        Section("frontier", "Every strategy: accuracy against FLOPs a query", [rule], curves,
                partial(_draw_frontier, curves, head, found.large)),
        Section("breakeven", "Break-even R", [rule, "drawn: of each kind the strategy most accurate at its most"],
                even, partial(_draw_even, even[even["strategy"].isin(_foremost(curves))])),
        Section("sensitivity", "Does the accounting rule decide?", [_UNMEASURED, *left_out], flips,
                partial(draw_sensitivity, flips[flips["strategy"] == OPTIMAL])),
    ]  # fmt: skip
    if optimal is not None:
        sections.insert(3, _optimal_section(optimal, curves, rule))
    return Report(pair, sections, sentences(found, convention))


def _optimal_section(optimal: Chosen, curves: pd.DataFrame, rule: str) -> Section:
    base = curves[(curves["bin"] == "all") & (curves["kind"] == "parallel") & (curves["selector"] != "coverage")]
    notes = [rule, *optimal.notes]
    return Section("optimal", "The compute-optimal strategy against best-of-N", notes, optimal.table(),
                   partial(_draw_optimal, optimal, base))  # fmt: skip


def _draw_optimal(optimal: Chosen, base: pd.DataFrame) -> plots.Drawn:
    gain = optimal.gain()
    reached = bool(len(gain) and (gain["verdict"] == REACHED).any())
    drawn, axes = plots.figure(1 + reached, width=7.6, height=4.0)
    plots.optimal_curves(axes[0], optimal.table(), base)
    if reached:
        plots.gains(axes[1], gain)
    return drawn


def _draw_bars(head: pd.DataFrame, pair: str, convention: str) -> plots.Drawn:
    drawn = draw(plots.grouped_bars, plots.relative_frame(head))
    title = (
        f"Compute-optimal strategy of {pair}\n({convention}; bars: 95 %; cross: nothing measured or cannot pay)"
    )
    drawn.axes[0].set_title(title, fontsize=10)
    return drawn


def _draw_even(table: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(width=9, height=4.8)
    plots.break_even(axes[0], table)
    return drawn


def _draw_frontier(curves: pd.DataFrame, head: pd.DataFrame, large: str) -> plots.Drawn:
    groups = len(head["bin"].unique())
    drawn, axes = plots.figure(min(3, groups), rows=-(-groups // 3), width=3.9, height=3.2)
    plots.frontier(axes[:groups], curves, head, large)
    for ax in axes[groups:]:
        ax.remove()
    drawn.supxlabel("FLOPs a query", fontsize=10)
    drawn.supylabel("accuracy (%)", fontsize=10)
    return drawn


def _foremost(curves: pd.DataFrame) -> list[str]:
    """Of each kind of strategy the one most accurate at its largest budget over all problems."""
    last = curves[(curves["bin"] == "all") & (curves["strategy"] != FIXED)]
    best = last.groupby(["kind", "strategy"], sort=False)["accuracy"].last()
    return [str(strategy) for _, strategy in best.groupby(level="kind", sort=False).idxmax()]
