"""The figures of an atlas: gain against the ratio of inference FLOPs, and a few claims one under another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scalinglab.plots.drawing import BESIDE, COLOURS, NUMBER

_LOOKS: dict[str, dict[str, Any]] = {
    "small side better": {"color": COLOURS[0], "marker": "o"},
    "undecided": {"color": "#767676", "marker": "^"},
    "large side better": {"color": "#D55E00", "marker": "s"},
}
"""Each with a shape of its own, for eyes and printers that do not tell colours apart."""
_MOST_NAMED = 9


def gain_by_cost(ax: Axes, pairs: pd.DataFrame) -> None:
    """Gain in points against the ratio of inference FLOPs, small over large, with 95 %; the front is numbered.

    pairs: of ``exchange.Atlas``, drawn where the small side has fewer active parameters, or is the dearer
    arm of the same model.
    """
    alone = (pairs["small"] == pairs["large"]) & (pairs["flops_ratio"] >= 1)
    shown = pairs[(pairs["n_ratio"] > 1) | alone]
    shown = pairs if shown.empty else shown
    x, y, low, high = (shown[name].to_numpy(dtype=float) for name in ("flops_ratio", "gain", "low", "high"))
    kind = np.where(low > 0, 0, np.where(high < 0, 2, 1))
    many = len(shown) >= 60
    for i, (name, look) in enumerate(_LOOKS.items()):
        at = kind == i
        reach = 100 * np.nan_to_num(np.stack([(y - low)[at], (high - y)[at]]))
        look = look | {
            "markeredgecolor": "black",
            "markeredgewidth": 0.4,
            "markersize": 3 if many else 5,
            "linestyle": "",
        }
        ax.errorbar(x[at], 100 * y[at], reach, elinewidth=0.3 if many else 0.7, **look)
        ax.plot([], [], label=f"{name} ({at.sum()})", **look)
    for number, at in enumerate(_front(x, y, kind), start=1):
        ax.plot(
            x[at], 100 * y[at], markersize=7, markeredgecolor="black", linestyle="", **_LOOKS["small side better"]
        )
        ax.annotate(str(number), (x[at], 100 * y[at]), xytext=(6, 4), textcoords="offset points", fontsize=9,
                    fontweight="bold", gid=NUMBER)  # fmt: skip
        ax.plot([], [], " ", label=f"{number}: {_named(shown.iloc[at])}")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set(xlabel="FLOPs a query, small over large (dotted: equal)",
           ylabel="gain of the small side (accuracy points, 95 %)")  # fmt: skip
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def claims(ax: Axes, labels: Sequence[str], rows: pd.DataFrame) -> None:
    """Claims one under another: gain, low, high (shares) and remark of each; left of 0 the large side wins."""
    place = -np.arange(len(rows), dtype=np.float64)
    values = 100 * rows[["gain", "low", "high"]].to_numpy(dtype=float)
    ends = float(values[:, 2].max())
    for at, (value, low, high), remark in zip(place.tolist(), values.tolist(), rows["remark"], strict=True):
        look = list(_LOOKS.values())[0 if low > 0 else 2 if high < 0 else 1]
        ax.errorbar(value, at, xerr=[[value - low], [high - value]], capsize=3, markersize=7,
                    markeredgecolor="black", **look)  # fmt: skip
        ax.annotate(str(remark), (1.02, at), xycoords=("axes fraction", "data"), fontsize=8, va="center",
                    annotation_clip=False, gid=BESIDE)  # fmt: skip
    for name, look in _LOOKS.items():
        ax.plot([], [], linestyle="", markersize=7, markeredgecolor="black", label=name, **look)
    ax.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(_LOOKS))
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(place, labels, fontsize=8)
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    ax.set_xlim(min(float(values[:, 1].min()), 0) - 2, ends + 2)
    ax.set_xlabel("gain of the small side (accuracy points, 95 %)")


def _front(x: np.ndarray, y: np.ndarray, kind: np.ndarray) -> list[int]:
    """Where the small side is better, and no other such pair gains more for a smaller ratio; the largest gains."""
    better = np.flatnonzero(kind == 0)
    order = better[np.argsort(x[better], kind="stable")]
    best, found = -np.inf, []
    for at in order.tolist():
        if y[at] > best:
            best = float(y[at])
            found.append(at)
    return found[-_MOST_NAMED:]


def _named(row: pd.Series) -> str:
    if row["small"] == row["large"]:
        return f"{row['small']}: {row['small_arm']} against {row['large_arm']}"
    return " against ".join(_arm(row, side) for side in ("small", "large"))


def _arm(row: pd.Series, side: str) -> str:
    arm = str(row[f"{side}_arm"])
    return str(row[side]) if arm == "one sample" else f"{row[side]} ({arm})"
