"""Draws given objects on given Axes, in Okabe and Ito's colour-blind safe colours; shapes repeat them."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.plots.advice import advice
    from scalinglab.plots.atlas import claims, gain_by_cost
    from scalinglab.plots.drawing import (
        COLOURS,
        HATCHES,
        MARKERS,
        Drawn,
        bin_label,
        breakdown,
        cost_ratio,
        figure,
        grouped_bars,
        lines_by,
        matched_budgets,
        png,
        published_lines,
        relative_frame,
        rule_effect,
        sensitivity,
        svg,
    )
    from scalinglab.plots.studies import break_even, frontier, gains, optimal_by_bin, optimal_curves

__all__ = [
    "COLOURS",
    "HATCHES",
    "MARKERS",
    "Drawn",
    "advice",
    "bin_label",
    "break_even",
    "breakdown",
    "claims",
    "cost_ratio",
    "figure",
    "frontier",
    "gain_by_cost",
    "gains",
    "grouped_bars",
    "lines_by",
    "matched_budgets",
    "optimal_by_bin",
    "optimal_curves",
    "png",
    "published_lines",
    "relative_frame",
    "rule_effect",
    "sensitivity",
    "svg",
]

lazy(__name__)
