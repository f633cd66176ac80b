"""The figures of a comparison: every line, the compute-optimal strategy, break-evens and the gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scalinglab.curves import Floats
from scalinglab.exchange import OPTIMAL, SIDES
from scalinglab.optimal import REACHED
from scalinglab.plots.drawing import COLOURS, MARKERS, above, bin_label, shape

_OUTSIDE: dict[str, Any] = {"fontsize": 8, "frameon": False, "loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
_LINES = {"majority": ":", "weighted": "-", "best-of-n": "--", "hierarchical": "-.", "coverage": (0, (1, 1.5))}
_POINTS = ("o", "s", "D", "P", "X", "h", "*")  # a triangle says that R* lies beyond
_LEAST = 2.0**-30  # stands for no bound
_STAR: dict[str, Any] = {"marker": "*", "linestyle": "", "markersize": 13, "markeredgecolor": "black"}


def frontier(axes: Sequence[Axes], curves: pd.DataFrame, verdicts: pd.DataFrame, large: str) -> None:
    """Accuracy against FLOPs a query: every strategy a line, an Axes a bin; a star the large model at each R.

    A line's colour says how answers were drawn, its style which of them was chosen. curves: of ``line_table``.
    verdicts: the headline's, whose budgets are where the stars stand.
    """
    kinds = [kind for kind in curves["kind"].unique() if kind != OPTIMAL]
    for ax, name in zip(axes, verdicts["bin"].unique(), strict=True):
        rows, stars = curves[curves["bin"] == name], verdicts[verdicts["bin"] == name]
        for _, line in rows[rows["kind"] != OPTIMAL].groupby("strategy", sort=False):
            kind, selector = line[["kind", "selector"]].iloc[0]
            i = kinds.index(kind)
            style: dict[str, Any] = {
                "color": COLOURS[i % 7],
                "marker": shape(MARKERS, i),
                "linestyle": _LINES.get(selector, "-"),
            }
            ax.plot(line["flops"], 100 * line["accuracy"], markersize=3, linewidth=1, **style)
        _banded(ax, rows[rows["kind"] == OPTIMAL], "flops", "black", {"linewidth": 2})
        _stars(ax, stars, "#E8E8E8")
        for r, flops in zip(stars["R"], stars["flops"], strict=True):
            above(ax, flops, f"{r:g}" if r < stars["R"].max() else f"R = {r:g}")  # side by side
        _percent(ax, f"{bin_label(str(name))}, n = {stars['problems'].iloc[0]}")
    selectors = set(curves.loc[curves["kind"] != OPTIMAL, "selector"])
    _frontier_legend(axes[-1], kinds, [name for name in _LINES if name in selectors], large)


def _frontier_legend(ax: Axes, kinds: Sequence[str], selectors: Sequence[str], large: str) -> None:
    for i, kind in enumerate(kinds):
        ax.plot([], [], color=COLOURS[i % 7], marker=shape(MARKERS, i), markersize=4, label=kind)
    for name in selectors:
        ax.plot([], [], color="grey", linestyle=_LINES[name], linewidth=1, label=name)
    ax.plot([], [], color="black", linewidth=2, label="compute-optimal, 95 %")
    ax.plot([], [], color="#E8E8E8", **_STAR, label=f"{large}, one answer")
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)


def optimal_by_bin(ax: Axes, curves: pd.DataFrame, verdicts: pd.DataFrame, large: str) -> None:
    """The paper's Fig. 9: each bin's compute-optimal line, and the large model's star at each R in its colour."""
    names = [name for name in curves["bin"].unique() if name != "all"] or ["all"]
    for i, name in enumerate(names):
        line, stars = (frame[frame["bin"] == name] for frame in (curves, verdicts))
        label = f"{bin_label(str(name))}, n = {line['problems'].iloc[0]}"
        _banded(ax, line, "flops", COLOURS[i % 7], {"marker": shape(MARKERS, i), "markersize": 4, "label": label})
        _stars(ax, stars, COLOURS[i % 7])
    for r, stars in verdicts[verdicts["bin"].isin(names)].groupby("R"):
        above(ax, float(np.exp(np.log(stars["flops"]).mean())), f"R = {r:g}")
    ax.plot([], [], color="white", **_STAR, label=f"{large}, one answer")
    _percent(ax, "A star below its line: test-time compute wins (bands: 95 %)")
    ax.set(xlabel="FLOPs a query", ylabel="accuracy (%)")
    ax.legend(**_OUTSIDE)


def optimal_curves(ax: Axes, policy: pd.DataFrame, baseline: pd.DataFrame) -> None:
    """The paper's Figs. 4 and 8: compute-optimal against best-of-N over all problems, by samples a query.

    policy: the table of ``Chosen``. baseline: rows of ``line_table`` over all problems, a line a strategy.
    """
    rows = policy[policy["bin"].astype(str) == "all"]
    for i, (name, line) in enumerate(rows.groupby("bins", sort=False)):
        look: dict[str, Any] = {"marker": MARKERS[i], "markersize": 5}
        _banded(ax, line, "budget", COLOURS[i], look | {"label": f"compute-optimal, {name} bins"})
        ax.plot(line["budget"], 100 * line["in_sample"].astype(float), ":", color=COLOURS[i], linewidth=1.5)
    for i, (name, line) in enumerate(baseline.groupby("strategy", sort=False), start=2):
        look = {"marker": MARKERS[i], "markersize": 4, "linestyle": "--", "label": str(name)}
        _banded(ax, line, "k", COLOURS[i], look)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="mean samples a query", ylabel="accuracy (%)")
    against = "" if baseline.empty else " against best-of-N"
    ax.set_title(
        f"Compute-optimal{against}, by mean samples a query\n(bands: 95 %; dotted: chosen on the problems scored)",
        fontsize=10,
    )
    ax.legend(**_OUTSIDE)


def gains(ax: Axes, gain: pd.DataFrame) -> None:
    """How many times less FLOPs each mechanism takes for the accuracy of its baseline at N, where it reaches it.

    gain: of ``Gain.table``, one or several mechanisms; a colour is a mechanism and its baseline, a marker how it
    is read. An interval without a bound runs off the Axes.
    """
    rows = gain[gain["unit"] == "flops"]
    kinds = [name for name, _ in rows.groupby(["mechanism", "against"], sort=False)]
    ways = rows["by"].unique().tolist()
    series = rows.groupby(["mechanism", "against", "by"], sort=False)
    for i, ((mechanism, against, by), line) in enumerate(series):
        look = {"color": COLOURS[kinds.index((mechanism, against)) % 7], "marker": MARKERS[ways.index(by) % 7]}
        at = line["n"].to_numpy(dtype=float) * 1.06 ** (i - (series.ngroups - 1) / 2)
        _gained(ax, at, line, look, f"{mechanism}, {by}, over\n{against}")
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    known = rows.loc[rows["verdict"] == REACHED, ["gain", "low", "high"]].to_numpy(dtype=float)
    ax.set_ylim(float(np.nanmin(known)) / 1.5, float(np.nanmax(known)) * 1.5)
    ax.set_xlim(rows["n"].min() / 1.5, rows["n"].max() * 1.5)
    ax.set(xlabel="N of the baseline", ylabel="times less FLOPs for its accuracy")
    ax.set_title(
        "Gain with 95 % (off the edge: no bound;\n?: not reached, or already at the least budget)",
        fontsize=10,
        pad=18,
    )
    ax.legend(**_OUTSIDE)


def _gained(ax: Axes, at: Floats, rows: pd.DataFrame, look: dict[str, Any], label: str) -> None:
    """One series of gains: a marker and its interval; a question mark in its colour where there is none."""
    known = (rows["verdict"] == REACHED).to_numpy()
    value, low, high = (rows[name].to_numpy(dtype=float)[known] for name in ("gain", "low", "high"))
    reach = [value - np.nan_to_num(low, nan=_LEAST), np.nan_to_num(high, nan=1 / _LEAST) - value]
    reach = [np.maximum(side, 0) for side in reach]  # of gains in steps the ends can lie on one side of the gain
    ax.errorbar(at[known], value, reach, linestyle="", capsize=3, markersize=5, label=label, **look)
    for x in at[~known]:
        above(ax, float(x), "?", look["color"])


def _plain_ticks(ax: Axes, span: float) -> None:
    """Labels of a log axis as plain numbers; it may lie within one power of 10, where none would stand."""
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 30 else (1.0,), numticks=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def break_even(ax: Axes, table: pd.DataFrame) -> None:
    """Break-even R of strategies in each bin: left of it the small model wins.

    Thin: the R that the measured budgets stand for; thick: the 95 % interval; a triangle says on which side of
    them R* lies where it was not crossed.
    """
    bins, names = (table[column].astype(str).unique().tolist() for column in ("bin", "strategy"))
    ends = table[["measured_from", "measured_to", "R", "low", "high"]].to_numpy(dtype=float)
    known = ends[np.isfinite(ends)]
    if not known.size:  # no budget costs more than one answer of the large model
        ax.text(0.5, 0.5, "no break-even lies within what was measured", ha="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    least, most = float(known.min()) / 2, float(known.max()) * 4
    step = 0.8 / len(names)
    columns = ["measured_from", "measured_to", "low", "high", "R"]
    numbers = table[columns].to_numpy(dtype=float).tolist()
    missing: dict[str, list[float]] = {}
    named = table[["strategy", "bin", "status"]].astype(str).to_numpy().tolist()
    for (strategy, where, status), (start, end, low, high, r) in zip(named, numbers, strict=True):
        i = names.index(strategy)
        y = bins.index(where) + (i - (len(names) - 1) / 2) * step
        if np.isnan(start):
            missing.setdefault(where, []).append(y)
            continue
        stop = most if np.isnan(end) else end
        ax.plot([start, stop], [y, y], color="#8A8A8A", linewidth=1, zorder=1)
        if not np.isnan(low):
            ax.plot([low, most if np.isnan(high) else high], [y, y], color=COLOURS[i % 7], linewidth=4,
                    solid_capstyle="butt", zorder=2)  # fmt: skip
        place, marker = {1: (stop, ">"), -1: (start, "<"), 0: (r, shape(_POINTS, i))}[SIDES.get(status, 0)]
        ax.plot(place, y, marker, color=COLOURS[i % 7], markersize=6, markeredgecolor="black", zorder=3,
                clip_on=False)  # fmt: skip
    for places in missing.values():  # once a bin
        ax.text(least * 1.1, float(np.mean(places)), "not measured", fontsize=7, va="center")
    for i, name in enumerate(names):
        ax.plot([], [], shape(_POINTS, i), color=COLOURS[i % 7], label=name)
    ax.set_title(
        "Small wins left of its break-even\n(thick: 95 %; triangle: R* beyond the measured R;\n"
        "thin alone: undecided)",
        fontsize=10,
    )
    ax.set_xscale("log")
    ax.set_xlim(least, most)
    _plain_ticks(ax, most / least)
    ax.set_yticks(range(len(bins)), [bin_label(str(name)) for name in bins])
    ax.set_ylim(len(bins) - 0.45, -0.55)
    ax.set_xlabel("break-even R = D_inference / D_pretrain")
    ax.legend(**_OUTSIDE)


def _banded(ax: Axes, rows: pd.DataFrame, x: str, colour: str, look: dict[str, Any]) -> None:
    """A line and its band. Between budgets stands a mixture, linear in cost, which a logarithmic axis bends."""
    at, *heights = (rows[name].to_numpy(dtype=float) for name in (x, "accuracy", "low", "high"))
    fine = np.union1d(at, np.geomspace(at.min(), at.max(), 200))
    value, low, high = (100 * np.interp(fine, at, height) for height in heights)
    marked = np.flatnonzero(np.isin(fine, at)).tolist()
    ax.plot(fine, value, color=colour, markevery=marked, **look)
    ax.fill_between(fine, low, high, color=colour, alpha=0.15, linewidth=0)


def _stars(ax: Axes, verdicts: pd.DataFrame, colour: str) -> None:
    for at in verdicts["flops"]:
        ax.axvline(at, color="grey", linestyle=":", linewidth=0.7)
    ax.plot(verdicts["flops"], 100 * verdicts["large"], color=colour, **_STAR)


def _percent(ax: Axes, title: str) -> None:
    ax.set_xscale("log")
    ax.set_ylim(-3, 103)
    ax.set_title(title, fontsize=10, pad=18)
