"""The figure of advice: what every way to answer reaches at what it takes over a lifetime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from scalinglab.plots.drawing import COLOURS, MARKERS, shape

_CHOSEN: tuple[dict[str, Any], ...] = (
    {"marker": "*", "markersize": 12, "label": "best"},
    {"marker": "X", "markersize": 8, "label": "runner-up"},
)


def advice(
    ax: Axes,
    offers: pd.DataFrame,
    chosen: Sequence[tuple[float, float]],
    *,
    queries: float,
    target: float | None = None,
    budget: float | None = None,
) -> None:
    """Accuracy against lifetime FLOPs at a load, a line a model and strategy, and what was asked for.

    offers: see ``advise.offers``. chosen: lifetime FLOPs and accuracy of the best and the runner-up.
    """
    models = list(dict.fromkeys(offers["model"]))
    for i, ((model, strategy), line) in enumerate(offers.groupby(["model", "strategy"], sort=False)):
        ax.plot(
            line["total"], 100 * line["accuracy"], color=COLOURS[models.index(model) % 7],
            marker=shape(MARKERS, i), markersize=3.5, linewidth=1, label=_plain(f"{model}: {strategy}"),
        )  # fmt: skip
    for (total, accuracy), look in zip(chosen, _CHOSEN, strict=False):
        ax.plot([total], [100 * accuracy], linestyle="", color="white", markeredgecolor="black", zorder=5, **look)
    if target is not None:
        ax.axhline(100 * target, color="black", linestyle=":", linewidth=1, label="asked for")
    if budget is not None:
        ax.axvline(budget, color="black", linestyle=":", linewidth=1, label="asked for")
    ax.set_xscale("log")
    ax.set(xlabel=f"FLOPs of training and {queries:.3g} queries", ylabel="accuracy (%)")
    ax.figure.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", fontsize=7, frameon=False, ncols=2
    )


def _plain(name: str, most: int = 60) -> str:
    """A name as text: no mathematics, and no longer than a legend has room for."""
    short = name if len(name) <= most else f"{name[: most - 4]} ..."
    return short.replace("$", r"\$")
