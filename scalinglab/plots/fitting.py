"""Figures as wide as a paper's column: letters of 7 to 9 points, legends beneath, labels that do not collide."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, ScaledTranslation

from scalinglab.plots.drawing import ABOVE, BESIDE, CELL, NUMBER, literal

_LEAST, _MOST = 7.0, 9.0
"""Points of the smallest and the largest letters."""
_NARROW = 5.0
"""Inches below which nothing fits beside the data."""
_LETTER = 0.55
"""Mean width of a letter, as a share of its size."""
_BROKEN = {
    "test-time": "test-\ntime", "pretrain": "pre-\ntrain", "undecided": "unde-\ncided",
    "small cannot\npay": "cannot\npay", "not\nmeasured": "not\nmeas-\nured",
}  # fmt: skip
_PLACES = [(x, y) for y, x in product((4, -10, 13, -19), (6, -10))]
"""Where a number may stand beside its point, in points; the first that is free."""


def fitted(drawn: Figure, inches: float) -> Figure:
    """The same figure ``inches`` wide: letters of 7 to 9 points; in a narrow one all stands one under another.

    Its height follows what it holds. Returns the figure, for ``png``, ``svg``, ``pdf`` or ``savefig``.
    """
    literal(drawn)
    was = drawn.get_size_inches()
    for text in drawn.findobj(Text):
        if isinstance(text, Text):
            text.set_fontsize(min(max(float(text.get_fontsize()), _LEAST), _MOST if inches > _NARROW else 7.5))
    if inches >= _NARROW:
        drawn.set_size_inches(inches, max(float(was[1] * inches / was[0]), 2.2))
        return settled(drawn)
    _stack(drawn)
    for ax in drawn.axes:
        _narrow(ax, inches)
    legends = [each for ax in drawn.axes if (each := ax.get_legend()) is not None]
    for legend in [*legends, *drawn.legends]:  # those beside the data leave no room for them
        legend.set_in_layout(False)
    columns = max(ax.get_subplotspec().get_geometry()[1] for ax in drawn.axes)  # type: ignore[union-attr]
    height = sum(_height(ax, inches) for ax in drawn.axes) / columns**1.5
    drawn.set_size_inches(inches, height + (0.5 if drawn.get_suptitle() else 0.0))
    for _ in range(2):  # a legend stands under the lines of a label
        drawn.draw_without_rendering()
        _wrap_all(drawn)
    moved = [_beneath(legend, inches) for legend in [*legends, *drawn.legends]]
    drawn.set_size_inches(inches, drawn.get_size_inches()[1] + sum(moved))
    return settled(drawn)


def settled(drawn: Figure) -> Figure:
    """The same figure with titles within it, and notes and numbers moved apart where they would collide."""
    literal(drawn)
    with warnings.catch_warnings():  # a title that is too wide takes all room from the Axes, until it is wrapped
        warnings.filterwarnings("ignore", "Glyph .* missing from font|constrained_layout not applied")
        for _ in range(2):
            drawn.draw_without_rendering()
            _wrap_all(drawn)
        for _ in range(2):  # rows of notes take room too
            drawn.draw_without_rendering()
            for ax in drawn.axes:
                _rows_above(ax)
                _numbers_apart(ax)
    return drawn


def _wrap_all(drawn: Figure) -> None:
    wide = float(drawn.bbox.width)
    beside = [2 * legend.get_window_extent().width for legend in drawn.legends if wide > _NARROW * drawn.dpi]
    for title in drawn.texts:
        _wrap(title, wide - max(beside, default=0.0))
    single = len({round(ax.get_position().x0, 2) for ax in drawn.axes}) == 1
    for ax in drawn.axes:
        middle = (ax.bbox.x0 + ax.bbox.x1) / 2
        room = 2 * min(middle, wide - middle) if single else 1.1 * ax.bbox.width
        _wrap(ax.title, room)
        _wrap(ax.xaxis.label, room)
        _wrap(ax.yaxis.label, 1.1 * ax.bbox.height)


def _stack(drawn: Figure) -> None:
    """Axes that stand side by side, one under another; those that share their labels, in pairs."""
    shared = drawn.get_supxlabel()
    columns = min(2, len(drawn.axes)) if shared else 1
    rows = -(-len(drawn.axes) // columns)
    grid = GridSpec(rows, columns, figure=drawn)
    for i, ax in enumerate(drawn.axes):
        ax.set_subplotspec(grid[i // columns, i % columns])
    if shared:  # the legend stands where it stood
        drawn.supxlabel("")
        for ax in drawn.axes[-columns:]:
            ax.set_xlabel(shared, fontsize=_LEAST)


def _narrow(ax: Axes, inches: float) -> None:
    """Labels in lines short enough; remarks that stand beside the data go under the labels of their rows."""
    remarks = [text for text in ax.texts if text.get_gid() == BESIDE]
    told = [label.get_text() for label in ax.get_yticklabels()]
    if remarks:
        both = [f"{label.replace(chr(10), ' ')}\n({text.get_text().replace(chr(10), ' ')})"
                for label, text in zip(told, remarks, strict=True)]  # fmt: skip
        lines = [_lines(label, int(inches * 8)) for label in both]
        ax.set_yticks(ax.get_yticks(), lines, fontsize=_LEAST)
        for text in remarks:
            text.remove()
    for text in ax.texts:
        if text.get_gid() == CELL:
            text.set_text(_BROKEN.get(text.get_text(), text.get_text()))


def _lines(text: str, letters: int) -> str:
    return "\n".join(textwrap.fill(line, max(letters, 8), break_on_hyphens=False) for line in text.split("\n"))


def _height(ax: Axes, inches: float) -> float:
    """Inches that an Axes takes: three quarters of its width, or what its rows of words take."""
    words = [label.get_text() for label in ax.get_yticklabels() if any(map(str.isalpha, label.get_text()))]
    cells = [text for text in ax.texts if text.get_gid() == CELL]
    lines = sum(max(2.2, label.count("\n") + 2) for label in words)
    return max(0.8 * inches, (0.37 * len(words) if cells else 0.12 * lines) + 1.0)


def _beneath(legend: Legend, inches: float) -> float:
    """The legend under its Axes, or under the figure; inches that it takes."""
    drawn, ax = legend.get_figure(root=True), legend.axes
    assert isinstance(drawn, Figure)
    texts = [_lines(text.get_text(), int((inches * 72 - 34) / (_LETTER * _LEAST))) for text in legend.get_texts()]
    widest = max((len(line) for text in texts for line in text.split("\n")), default=1)
    columns = max(1, min(len(texts), int(inches * 72 / (_LETTER * _LEAST * widest + 34))))
    how: dict[str, Any] = {"fontsize": _LEAST, "title_fontsize": _LEAST, "frameon": False, "ncols": columns}
    how["title"] = legend.get_title().get_text() or None
    if ax is None:
        drawn.legends.remove(legend)
        new = drawn.legend(legend.legend_handles, texts, loc="outside lower center", **how)
    else:
        drawn.draw_without_rendering()
        box, dpi = ax.get_tightbbox(), drawn.dpi
        assert box is not None
        left, down = (box.x0 - ax.bbox.x0) / dpi, (box.y0 - ax.bbox.y0) / dpi - 0.03
        under = ax.transAxes + ScaledTranslation(left, down, drawn.dpi_scale_trans)
        handles, _ = ax.get_legend_handles_labels()
        new = ax.legend(handles, texts, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=under,
                        borderaxespad=0, **how)  # fmt: skip
    return float(new.get_window_extent().height / drawn.dpi)


def _rows_above(ax: Axes) -> None:
    """Notes over the upper edge, in as many rows as keep them apart, under the title."""
    rows: list[list[Bbox]] = []
    notes = [text for text in ax.texts if text.get_gid() == ABOVE and isinstance(text, Annotation)]
    for text in sorted(notes, key=lambda note: note.get_window_extent().x0):
        text.xyann = (0, 2)
        box = text.get_window_extent()
        row = next((i for i, taken in enumerate(rows) if not any(map(_close(box), taken))), len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(box)
        text.xyann = (0, 2 + row * (float(text.get_fontsize()) + 2.0))
    if rows:
        size = float(notes[0].get_fontsize()) + 2.0
        ax.set_title(ax.get_title(), fontsize=ax.title.get_fontsize(), pad=6 + size * len(rows))


def _close(box: Bbox) -> Callable[[Bbox], bool]:
    wide = Bbox.from_extents(box.x0 - 6, box.y0, box.x1 + 6, box.y1)
    return wide.overlaps


def _numbers_apart(ax: Axes) -> None:
    """Each number beside its point where no number placed before it stands."""
    taken: list[Bbox] = []
    for text in ax.texts:
        if text.get_gid() == NUMBER and isinstance(text, Annotation):
            for place in _PLACES:
                text.xyann = place
                if not any(map(text.get_window_extent().overlaps, taken)):
                    break
            taken.append(text.get_window_extent())


def _wrap(text: Text, room: float) -> None:
    """Lines short enough for so many pixels, less what letters differ by in another resolution."""
    upright, whole = text.get_rotation() == 90, text.get_text()
    letters = max(map(len, whole.split("\n")))
    while letters > 12 and _length(text, upright) > 0.94 * room:
        letters -= 1
        text.set_text(_lines(whole, letters))


def _length(text: Text, upright: bool) -> float:
    box = text.get_window_extent()
    return float(box.height if upright else box.width)
