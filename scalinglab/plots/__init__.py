"""Draws given objects on given Axes, in Okabe and Ito's colour-blind safe colours; shapes repeat them."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.plots.advice import advice
    from scalinglab.plots.atlas import claims, gain_by_cost
    from scalinglab.plots.comparisons import break_evens, by_bin, exchange, lines, pair_title, rules
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
    from scalinglab.plots.fitting import fitted, settled
    from scalinglab.plots.formats import FORMATS, Output, pdf, read_output
    from scalinglab.plots.seeds import over_seeds
    from scalinglab.plots.studies import break_even, frontier, gains, optimal_by_bin, optimal_curves

__all__ = [
    "COLOURS",
    "FORMATS",
    "HATCHES",
    "MARKERS",
    "Drawn",
    "Output",
    "advice",
    "bin_label",
    "break_even",
    "break_evens",
    "breakdown",
    "by_bin",
    "claims",
    "cost_ratio",
    "exchange",
    "figure",
    "fitted",
    "frontier",
    "gain_by_cost",
    "gains",
    "grouped_bars",
    "lines",
    "lines_by",
    "matched_budgets",
    "optimal_by_bin",
    "optimal_curves",
    "over_seeds",
    "pair_title",
    "pdf",
    "png",
    "published_lines",
    "read_output",
    "relative_frame",
    "rule_effect",
    "rules",
    "sensitivity",
    "settled",
    "svg",
]

lazy(__name__)
