"""Differences of a study over training seeds: means with intervals, and each seed's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scalinglab.exchange import SEED
from scalinglab.plots.drawing import COLOURS, MARKERS


def over_seeds(ax: Axes, rows: pd.DataFrame, *, x: str, order: Sequence[str], legend: bool = True) -> None:
    """The small side less the large one in points at each ``x``, a colour a trial; small marks are seeds.

    rows: of ``Repeated.rows``, one a trial and x. Where nothing was measured, it says so.
    """
    trials = list(dict.fromkeys(rows["trial"]))
    for i, trial in enumerate(trials):
        own = rows[rows["trial"] == trial]
        at = np.array([order.index(str(name)) for name in own[x]]) + (i - (len(trials) - 1) / 2) * 0.25
        middle, low, high = (100 * own[name].to_numpy(dtype=float) for name in ("difference", "low", "high"))
        ax.errorbar(at, middle, [middle - low, high - middle], fmt="none", capsize=3, ecolor=COLOURS[i])
        ax.plot(at, middle, MARKERS[i], color=COLOURS[i], markersize=6, label=trial)
        known = ~np.isnan(middle)
        for name in (name for name in own if str(name).startswith(SEED)):
            ax.plot(at[known] + 0.07, 100 * own[name].to_numpy(dtype=float)[known], "_", color=COLOURS[i],
                    markersize=6)  # fmt: skip
    measured = set(rows.loc[rows["difference"].notna(), x].map(str))
    for i in (i for i, name in enumerate(order) if name not in measured):
        ax.text(i, 0.5, "not measured", color="grey", fontsize=7, rotation=90, ha="center", va="center",
                transform=ax.get_xaxis_transform())  # fmt: skip
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xlim(-0.5, len(order) - 0.5)
    ax.set_xticks(range(len(order)), list(order))
    ax.set_ylabel("points over the large model")
    if legend:
        ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
