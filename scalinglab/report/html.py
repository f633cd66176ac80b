"""A report as one HTML page that asks nobody for anything: all that it shows and runs is inside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import pandas as pd

from scalinglab.report.cells import cell

OPEN_ROWS, OPEN_COLUMNS, FOLDED_ROWS, OPEN_NOTES = 12, 8, 50, 3
"""A table that is longer or wider stands folded, so many of its rows: its CSV file holds all. Of more notes a
reader sees that they are there; on paper they stand open."""
_RESTS = "What this rests on"
_LONG = 40
"""Letters beyond which a cell is a sentence."""


@dataclass(frozen=True)
class Widget:
    """What a reader can change. body: its HTML. data: what its script reads, as JSON has it. scripts: in order."""

    body: str
    data: Any
    scripts: Sequence[str]


@dataclass(frozen=True)
class Panel:
    """A section as the page shows it.

    said: sentences before the figure. picture: a data address. short: the table that stands open, or None for the
    whole one. plain: whether its notes are what it has to say, and stand open however many they are.
    """

    name: str
    heading: str
    said: Sequence[str]
    picture: str | None
    short: pd.DataFrame | None
    table: pd.DataFrame | None
    notes: Sequence[str]
    widget: Widget | None = None
    plain: bool = False


def page(title: str, said: Sequence[str], sections: Sequence[Panel], origin: Mapping[str, Any]) -> str:
    """The page: a heading, what is said first, links to its sections, these, and at the end where it comes from.

    Its policy lets a browser run the scripts that stand here, known by their digests, and load nothing.
    """
    scripts = [script for one in sections if one.widget for script in _scripts(one.widget)]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}"
    links = "".join(f'<li><a href="#{escape(one.name)}">{escape(one.heading)}</a></li>' for one in sections)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{asset('page.css')}</style>"
    )
    body = (
        f"<header><h1>{escape(title)}</h1>{_said(said)}</header>"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
        f"<main>{''.join(map(_section, sections))}{_origin(origin)}</main>"
        f"{''.join(f'<script>{script}</script>' for script in scripts)}"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def asset(name: str) -> str:
    """A file of the page that comes with the package."""
    return (files("scalinglab.report") / name).read_text(encoding="utf-8")


def table(frame: pd.DataFrame) -> str:
    """A frame as an HTML table that scrolls by itself, by keyboard too; columns of words to the left."""
    kinds = [_kind(frame[name]) for name in frame.columns]
    named = zip(frame.columns, kinds, strict=True)
    head = "".join(f'<th scope="col"{kind}>{escape(str(name))}</th>' for name, kind in named)
    rows = (
        "".join(f"<td{kind}>{escape(str(cell(value)))}</td>" for value, kind in zip(row, kinds, strict=True))
        for row in frame.itertuples(index=False, name=None)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    made = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" role="region" aria-label="table" tabindex="0">{made}</div>'


def _kind(column: pd.Series) -> str:
    """Numbers have no class; words have one, and long ones another, for they need a width to be read."""
    if pd.api.types.is_numeric_dtype(column):
        return ""
    return f' class="text{" long" if column.astype(str).str.len().max() > _LONG else ""}"'


def _said(sentences: Sequence[str]) -> str:
    return "".join(f'<p class="said">{escape(text)}</p>' for text in sentences)


def _section(one: Panel) -> str:
    parts = [f'<h2 id="{escape(one.name)}">{escape(one.heading)}</h2>']
    parts.append(_said(one.said))
    if one.picture is not None:
        parts.append(
            f'<figure class="scroll" tabindex="0"><img alt="{escape(one.heading)}" src="{one.picture}"></figure>'
        )
    if one.widget is not None:
        data = json.dumps(one.widget.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        parts.append(f'{one.widget.body}<script type="application/json" id="{one.name}-data">{data}</script>')
    if one.short is not None and len(one.short):
        parts.append(table(one.short))
    if one.table is not None and one.table is not one.short:
        parts.append(_whole(one.name, one.table, folded=one.short is not None or one.widget is not None))
    if one.notes:
        listed = f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in one.notes)}</ul>'
        few = len(one.notes) <= OPEN_NOTES or one.plain
        parts.append(listed if few else f'<details class="notes"><summary>{_RESTS}</summary>{listed}</details>')
    return f'<section aria-labelledby="{escape(one.name)}">{"".join(parts)}</section>'


def _whole(name: str, frame: pd.DataFrame, *, folded: bool) -> str:
    rows, columns = frame.shape
    if not folded and rows <= OPEN_ROWS and columns <= OPEN_COLUMNS:
        return table(frame)
    told = f"All {rows:,} rows" if rows <= FOLDED_ROWS else f"The first {FOLDED_ROWS} of {rows:,} rows"
    file = f'<p>Whole: <a href="{escape(name)}.csv">{escape(name)}.csv</a></p>'
    return f"<details><summary>{told}</summary>{file}{table(frame.head(FOLDED_ROWS))}</details>"


def _origin(origin: Mapping[str, Any]) -> str:
    """What a manifest says, as a list of terms."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_words(value))}</dd>" for name, value in origin.items())
    return f'<section aria-labelledby="origin"><h2 id="origin">Where this comes from</h2><dl>{rows}</dl></section>'


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_words, value))
    return str(value)


def _scripts(widget: Widget) -> list[str]:
    return [script.replace("</script", "<\\/script") for script in widget.scripts]
