"""Draws given objects on given Axes, in colours that every eye tells apart, 3 : 1 on white; shapes repeat them."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from scalinglab.exchange import CANNOT_PAY, OUTSIDE, PRETRAINING, R_COLUMNS, TEST_TIME, UNDECIDED
from scalinglab.names import short

Drawn = Figure
COLOURS = ("#004C8C", "#C38700", "#009E73", "#5C364B", "#6D3000", "#4A9BC8", "#000000")
"""After Okabe and Ito, darkened to a contrast of 3 : 1 on white, for lines and marks in print."""
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ABOVE, BESIDE, CELL, NUMBER = "above", "beside", "cell", "number"
"""Of texts that are moved where they would collide: see ``fitting``."""
_VERDICTS = {
    TEST_TIME: "#56B4E9", PRETRAINING: "#E69F00", CANNOT_PAY: "#F0C66A", UNDECIDED: "#E8E8E8", OUTSIDE: "#FFFFFF",
}  # fmt: skip
_SHORT = {
    TEST_TIME: "test-time", PRETRAINING: "pretrain", CANNOT_PAY: "small cannot\npay", UNDECIDED: "undecided",
    OUTSIDE: "not\nmeasured",
}  # fmt: skip


def figure(
    columns: int = 1, *, rows: int = 1, width: float = 6.4, height: float = 4.2
) -> tuple[Figure, list[Axes]]:
    """A new figure of ``columns`` Axes in each of ``rows``, each ``width`` by ``height`` inches."""
    made = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return made, list(np.ravel(made.subplots(rows, columns)))


def png(drawn: Figure, dots: int = 160) -> bytes:
    """The figure as PNG, ``dots`` per inch; drawn once, where ``savefig`` also draws it to lay it out."""
    buffer = io.BytesIO()
    literal(drawn)
    drawn.set_dpi(dots)
    canvas = FigureCanvasAgg(drawn)
    with _boxes():
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    imsave(buffer, pixels, format="png", dpi=dots, metadata={"Software": None})  # type: ignore[dict-item]
    return buffer.getvalue()


def svg(drawn: Figure) -> bytes:
    """The figure as SVG, its letters as text of the reader's fonts; the same bytes each time."""
    buffer = io.BytesIO()
    literal(drawn)
    with _boxes(), rc_context({"svg.hashsalt": "scalinglab", "svg.fonttype": "none"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(rb"(\d*[1-9]\d*\.\d\d)\d+", rb"\1", buffer.getvalue())  # hundredths of a point


def literal(drawn: Figure) -> None:
    """Let every text of a figure, but the numbers of a scale, be what it says: no ``$`` begins mathematics, and
    long names are without their middle."""
    numbers: set[Text] = set()
    for axis in (axis for ax in drawn.axes for axis in (ax.xaxis, ax.yaxis)):
        form, labels = axis.get_major_formatter(), axis.get_ticklabels(which="both")
        if isinstance(form, FuncFormatter):  # names on a scale too
            form.func = _shortened(form.func)
        else:
            numbers.update(labels)
    for text in drawn.findobj(Text):
        if isinstance(text, Text) and text not in numbers:
            text.set_parse_math(False)
            text.set_text(short(text.get_text()))


def _shortened(form: Callable[..., str]) -> Callable[..., str]:
    return lambda value, position: short(form(value, position))


@contextmanager
def _boxes() -> Iterator[None]:
    """Within, an empty box stands for a letter that the font lacks, and nobody is warned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def above(ax: Axes, x: float, text: str, colour: str = "black") -> None:
    """A note over the upper edge of the Axes, where no data are."""
    ax.annotate(text, (x, 1.0), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom",
                color=colour, xytext=(0, 2), textcoords="offset points", annotation_clip=False,
                gid=ABOVE)  # fmt: skip


def relative_frame(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as ``grouped_bars`` takes them: a group a bin, a bar an R, in %."""
    why = verdicts["verdict"].map({CANNOT_PAY: "cannot pay", OUTSIDE: "not measured"}).fillna("no ratio")
    numbers = {"value": "relative", "low": "relative_low", "high": "relative_high"}
    return pd.DataFrame(
        {
            "group": [bin_label(name).replace(" (", "\n(") for name in verdicts["bin"]],
            "bar": [f"R = {r:g}" for r in verdicts["R"]],
            "why": why.to_numpy(),
            **{name: 100 * verdicts[column].to_numpy(dtype=float) for name, column in numbers.items()},
        }
    )


def grouped_bars(ax: Axes, frame: pd.DataFrame, *, legend: bool = True) -> None:
    """Bars of columns group, bar, value (%), and low and high where there are intervals (∞: no bound).

    Where a value is NaN nothing is drawn, and its column why is said, or "not measured".
    """
    groups, bars = list(dict.fromkeys(frame["group"])), list(dict.fromkeys(frame["bar"]))
    width = 0.8 / max(len(bars), 1)
    hanging = bool(frame["value"].max() < 0)  # then there is room below 0 alone
    for i, name in enumerate(bars):
        rows = frame[frame["bar"] == name]
        x = np.array([groups.index(group) for group in rows["group"]]) + (i - (len(bars) - 1) / 2) * width
        value = rows["value"].to_numpy(dtype=float)
        ax.bar(x, value, width, label=name, color=COLOURS[i % 7], hatch=shape(HATCHES, i), edgecolor="white")
        flat = np.abs(value) < 0.5  # a bar too low to be seen
        ax.plot(x[flat], value[flat], "_", color=COLOURS[i % 7], markersize=12, markeredgewidth=2)
        said = rows["why"] if "why" in rows else pd.Series("not measured", rows.index)
        for at, text in zip(x[np.isnan(value)], said[np.isnan(value)], strict=True):
            _upright(ax, at, 0.0, str(text), hanging=hanging)
        if "low" in rows:
            reach = np.abs(rows[["low", "high"]].to_numpy(dtype=float).T - value)
            ax.errorbar(x, value, np.nan_to_num(reach), fmt="none", ecolor="black", capsize=2, linewidth=1)
            unbounded = np.isnan(reach[1]) & ~np.isnan(value)
            for at, top in zip(x[unbounded], value[unbounded], strict=True):
                ax.annotate("\N{INFINITY}", (at, top), ha="center", va="bottom", fontsize=9)
    if not frame["value"].notna().any():
        ax.set_ylim(-10, 100)
    if len(frame) and frame["value"].abs().max() > 300:
        ax.set_yscale("symlog", linthresh=100)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}"))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xlim(-0.5, max(len(groups), 1) - 0.5)
    ax.set_xticks(range(len(groups)), groups)
    ax.set_ylabel("accuracy, small / large - 1 (%)\nabove 0: test-time compute wins")
    if legend and bars:
        ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _upright(ax: Axes, x: float, y: float, text: str, *, hanging: bool = False) -> None:
    """A note as narrow as a bar, above where it would end, or ``hanging`` below."""
    ax.annotate(text, (x, y), xytext=(0, -3 if hanging else 3), textcoords="offset points", rotation=90,
                ha="center", va="top" if hanging else "bottom", fontsize=7)  # fmt: skip


def sensitivity(ax: Axes, table: pd.DataFrame) -> None:
    """The verdict of each bin and R under each convention; FLIPS marks rows whose verdicts contradict."""
    conventions = [name for name in table.columns if name not in ("strategy", "bin", "R", "flips")]
    order = list(_VERDICTS)
    codes = np.array([[order.index(verdict) for verdict in row] for row in table[conventions].to_numpy()])
    ax.imshow(codes, cmap=ListedColormap(list(_VERDICTS.values())), vmin=0, vmax=len(order) - 1, aspect="auto")
    for (i, j), code in np.ndenumerate(codes):
        ax.text(j, i, _SHORT[order[code]], ha="center", va="center", fontsize=7, gid=CELL)
    labels = [f"{row.bin}, R = {row.R:g}{'  FLIPS' if row.flips else ''}" for row in table.itertuples()]
    ax.set_xticks(range(len(conventions)), conventions, rotation=25, ha="right", fontsize=8)
    ax.set_yticks(range(len(labels)), labels, fontsize=8)
    ax.set_ylabel("difficulty bin, R")
    ax.set_title("Who wins, by accounting convention", fontsize=10)


def breakdown(ax: Axes, costs: Mapping[str, Mapping[str, int]]) -> None:
    """Stacked FLOPs by component for each convention."""
    parts = list(dict.fromkeys(part for row in costs.values() for part in row))
    bottom = np.zeros(len(costs))
    for i, part in enumerate(parts):
        height = np.array([float(row.get(part, 0)) for row in costs.values()])
        style: dict[str, Any] = {"color": COLOURS[i % 7], "hatch": shape(HATCHES, i), "edgecolor": "white"}
        ax.bar(range(len(costs)), height, bottom=bottom, label=part, **style)
        bottom += height
    ax.set_xticks(range(len(costs)), list(costs), rotation=25, ha="right", fontsize=8)
    ax.set_ylabel("FLOPs")
    ax.set_title("FLOPs of one query, by component", fontsize=10)
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def published_lines(ax: Axes, lines: pd.DataFrame, mechanism: str) -> None:
    """The paper's Fig. 1 (left): accuracy against generations, as digitised."""
    rows = lines[lines["mechanism"] == mechanism]
    for i, (series, line) in enumerate(rows.groupby("series", sort=False)):
        ax.plot(
            line["k"],
            line["accuracy_pct"],
            color=COLOURS[i],
            marker=MARKERS[i],
            markersize=4,
            label=str(series),
        )
    ax.set_xscale("log", base=2)
    ax.set(xlabel="generations k", ylabel="MATH accuracy (%)", ylim=(0, None))
    ax.set_title(f"{mechanism} (Snell et al. 2024, Fig. 1 left, digitised)", fontsize=10)
    ax.legend(fontsize=8, frameon=False, loc="lower right")


def rule_effect(ax: Axes, bars: pd.DataFrame) -> None:
    """The R at which each published budget is matched, under each rule for who pays the verifier."""
    budgets = bars.drop_duplicates("k").sort_values("k")
    for i, rule in enumerate(R_COLUMNS):
        y = np.arange(len(budgets)) + (i - 1) * 0.28
        ax.plot(budgets[rule].astype(float), y, MARKERS[i], color=COLOURS[i], label=rule.removeprefix("R "))
        for x, at in zip(budgets[rule], y, strict=True):
            ax.annotate(f"{x:.2g}", (x, at), xytext=(7, 0), textcoords="offset points", fontsize=8, va="center")
    ax.set_xscale("log")
    ax.set_xlim(0.05, 60)
    ax.set_yticks(range(len(budgets)), [f"k = {k}" for k in budgets["k"]])
    ax.set_ylim(-0.5, len(budgets) - 0.2)
    ax.set_xlabel("R = D_inference / D_pretrain at which 1 large sample costs k small ones")
    ax.set_title("The accounting rule moves R up to tenfold", fontsize=10)
    ax.legend(title="who pays the verifier", fontsize=8, title_fontsize=8, frameon=False,
              loc="upper left", bbox_to_anchor=(1.0, 1.0))  # fmt: skip


def matched_budgets(ax: Axes, points: pd.DataFrame) -> None:
    """The matched k of each budget (column budget) under each convention."""
    names = list(points["convention"].unique())
    for i, (budget, rows) in enumerate(points.groupby("budget", sort=False)):
        at = [names.index(name) for name in rows["convention"]]
        ax.plot(at, rows["k"], shape(MARKERS, i), color=COLOURS[i % 7], label=str(budget))
    ax.set_yscale("log", base=2)
    ax.set_xticks(range(len(names)), names, rotation=25, ha="right", fontsize=8)
    ax.set_ylabel("samples per query k")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def cost_ratio(ax: Axes, frame: pd.DataFrame, *, x: str = "length") -> None:
    """Large-to-small cost ratio (column ratio) against a length, one line a convention."""
    for i, (name, rows) in enumerate(frame.groupby("convention", sort=False)):
        style: dict[str, Any] = {"color": COLOURS[i % 7], "marker": shape(MARKERS, i), "markersize": 4}
        ax.plot(rows[x], rows["ratio"], label=str(name), linestyle=("-", "--", "-.", ":")[i % 4], **style)
    ax.set_xscale("log", base=2)
    ax.set(xlabel=f"{x} (tokens)", ylabel="large / small FLOPs")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def lines_by(
    ax: Axes, frame: pd.DataFrame, *, x: str, y: str, by: str, log: str = "", low: str = "", high: str = ""
) -> None:
    """A line for each value of ``by``, with a band where low and high are named; ``log`` names log axes."""
    for i, (name, rows) in enumerate(frame.groupby(by, sort=False)):
        style: dict[str, Any] = {"color": COLOURS[i % 7], "linestyle": ("-", "--", "-.", ":")[i % 4]}
        marker = shape(MARKERS, i) if len(rows) < 30 else ""
        ax.plot(rows[x], rows[y], label=str(name), marker=marker, markersize=4, **style)
        if low:
            ax.fill_between(rows[x], rows[low], rows[high], color=COLOURS[i % 7], alpha=0.15, linewidth=0)
    ax.set(xlabel=x, ylabel=y)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    ax.legend(title=by, fontsize=8, title_fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def shape(shapes: tuple[str, ...], i: int) -> str:
    """The i-th shape; when the colours come round again, another shape goes with each."""
    return shapes[(i + i // 7) % 7]


def bin_label(name: str) -> str:
    """A bin of difficulty in words."""
    return {"1": "bin 1 (easiest)", "all": "all"}.get(name, f"bin {name}")
