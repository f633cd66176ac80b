"""Figures as files: PNG, SVG and PDF, with their letters as text, and the same bytes each time."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure

from scalinglab.errors import DataError
from scalinglab.plots.drawing import literal, png, svg
from scalinglab.plots.fitting import fitted, settled

FORMATS = ("png", "svg", "pdf", "tex")
_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
"""A unit of length in inches; pt is TeX's, as \\columnwidth is printed."""
_LEAST, _MOST = 2.5, 30.0
_DOTS = 300


@dataclass(frozen=True)
class Output:
    """What figures are written as. formats: of FORMATS; tex: tables. width: inches; None as they were drawn."""

    formats: tuple[str, ...] = ("png",)
    width: float | None = None

    def files(self, name: str, drawn: Figure) -> dict[str, bytes]:
        """A figure in each format, by its file's name; it is made as wide as asked for."""
        kinds = [kind for kind in self.formats if kind in _WRITERS]
        if kinds:
            drawn = settled(drawn) if self.width is None else fitted(drawn, self.width)
        dots = 160 if self.width is None else _DOTS
        return {f"{name}.{kind}": png(drawn, dots) if kind == "png" else _WRITERS[kind](drawn) for kind in kinds}


def read_output(formats: str, width: str | None = None) -> Output:
    """Formats by commas, and a width such as 3.3in, 84mm, 8.4cm or 240pt. Raises DataError for anything else."""
    kinds = tuple(dict.fromkeys(kind.strip().lower() for kind in formats.split(",")))
    if unknown := [kind for kind in kinds if kind not in FORMATS]:
        raise DataError(f"--format {unknown[0]!r}", f"some of {', '.join(FORMATS)}, by commas", "choose of these")
    return Output(kinds, None if width is None else _inches(width))


def pdf(drawn: Figure) -> bytes:
    """The figure as PDF, its fonts embedded as TrueType, without a date."""
    buffer = io.BytesIO()
    literal(drawn)
    with rc_context({"pdf.fonttype": 42}):
        nothing = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        drawn.savefig(buffer, format="pdf", metadata=nothing)
    return buffer.getvalue()


_WRITERS = {"png": png, "svg": svg, "pdf": pdf}


def _inches(text: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|cm|mm|pt)\s*", text)
    inches = float(found[1]) * _INCHES[found[2]] if found else 0.0
    if not _LEAST <= inches <= _MOST:
        raise DataError(
            f"--width {text}", f"{_LEAST:g}in to {_MOST:g}in, in in, cm, mm or pt", "give a width such as 3.3in"
        )
    return inches
