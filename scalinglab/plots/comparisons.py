"""A comparison on given Axes, in one call: who wins, lines, break-evens, rules. Titles name models and task.

Example::

    found = compare(open_evidence("counts.csv", small="Pythia 1B", large="Pythia 12B"))
    figure, ax = plt.subplots()
    plots.exchange(found, ax=ax)
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from scalinglab.exchange import ALL, FIXED, OPTIMAL, Comparison, line_table
from scalinglab.plots.drawing import grouped_bars, relative_frame, sensitivity
from scalinglab.plots.studies import break_even, frontier, optimal_by_bin


def pair_title(found: Comparison) -> str:
    """Both models and the task, as figures name them."""
    pair = f"{found.called(found.small)} against {found.called(found.large)}"
    return f"{pair}, {found.task}" if found.task else pair


def exchange(found: Comparison, convention: str = "paper", *, ax: Axes) -> None:
    """Who wins: the compute-optimal strategy's accuracy over the large model's, in each bin and at each R."""
    grouped_bars(ax, relative_frame(_headline(found, convention)))
    _entitle(ax, found, f"compute-optimal strategy ({convention}; bars: 95 %)")


def by_bin(found: Comparison, convention: str = "paper", *, ax: Axes) -> None:
    """The compute-optimal line of each bin, and the large model's star at each R (the paper's Fig. 9)."""
    curves = line_table([found.view(convention)])
    best = curves[curves["strategy"] == OPTIMAL]
    optimal_by_bin(ax, best, _headline(found, convention), found.called(found.large))
    _entitle(ax, found, ax.get_title())


def break_evens(found: Comparison, convention: str = "paper", *, ax: Axes) -> None:
    """Break-even R in each bin: of each kind of strategy the one most accurate at its largest budget."""
    even = found.breakeven[found.breakeven["convention"] == convention]
    break_even(ax, even[even["strategy"].isin(_foremost(line_table([found.view(convention)])))])
    _entitle(ax, found, ax.get_title())


def rules(found: Comparison, *, ax: Axes) -> None:
    """The verdict on the compute-optimal strategy in each bin and at each R, under each accounting rule."""
    table = found.sensitivity()
    sensitivity(ax, table[table["strategy"] == OPTIMAL])
    _entitle(ax, found, ax.get_title())


def lines(found: Comparison, convention: str = "paper", *, axes: Sequence[Axes]) -> None:
    """Every strategy's accuracy against FLOPs a query: an Axes for all problems, and one for each bin."""
    curves = line_table([found.view(convention)])
    frontier(axes, curves, _headline(found, convention), found.called(found.large))


def _headline(found: Comparison, convention: str) -> pd.DataFrame:
    rows = found.verdicts
    return rows[(rows["convention"] == convention) & (rows["strategy"] == OPTIMAL)]


def _entitle(ax: Axes, found: Comparison, what: str) -> None:
    ax.set_title("\n".join(filter(None, (pair_title(found), what))), fontsize=10)


def _foremost(curves: pd.DataFrame) -> list[str]:
    """Of each kind of strategy the one most accurate at its largest budget over all problems."""
    last = curves[(curves["bin"] == ALL) & (curves["strategy"] != FIXED)]
    best = last.groupby(["kind", "strategy"], sort=False)["accuracy"].last()
    return [str(strategy) for _, strategy in best.groupby(level="kind", sort=False).idxmax()]
