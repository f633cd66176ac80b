"""What every verb prints: sentences, a table that fits the terminal, notes; or one JSON document.

Lines are as wide as the terminal, 100 columns where there is none. Colours on a terminal alone, and without
NO_COLOR (no-color.org); what is piped is plain text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PIPED, _LEAST, _GAP = 100, 40, 2
"""Columns where no terminal says how many it has; and the fewest that anything is laid out for."""
_WORD = 20
"""Letters of a word that a column is wide enough for: a longer one may be broken."""
_NUMBER = re.compile(r"[+-]?[\d.]+[\d.,e+-]*( %)?( \(.*\))?|-|")
_COLOURS = {
    "test-time": "green", "holds": "green", "pretraining": "magenta", "cannot pay": "magenta",
    "does not": "magenta", "undecided": "yellow", "outside": "dim", "outside measured budgets": "dim",
}  # fmt: skip
"""Of what a cell says, where it says this alone. Two colours that people tell apart who see no red or no green."""


def print_rows(
    rows: list[dict[str, Any]],
    document: Any,
    as_json: bool,
    notes: Sequence[str] = (),
    *,
    said: Sequence[str] = (),
) -> None:
    """Sentences, the rows as a table, and notes; or with --json the document alone."""
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    print_said(said)
    print_table(rows)
    print_notes(notes)


def print_said(sentences: Sequence[str]) -> None:
    """Sentences, the first of them bold, and an empty line."""
    from rich.text import Text

    for i, sentence in enumerate(sentences):
        _echo(Text(_wrapped(sentence), style="" if i else "bold"))
    if sentences:
        typer.echo("")


def print_table(rows: Sequence[dict[str, Any]], *, heading: str = "") -> None:
    """Rows by their keys under a heading: numbers to the right, words to the left, folded to the width there is.

    Columns that have no room even so follow in a table beneath, beside the first column again.
    """
    if heading:
        typer.echo(_wrapped(heading))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        typer.echo("(nothing)")
        return
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = _widths([str(name) for name in columns], cells)
    shown = len(widths)
    _echo(_table([str(name) for name in columns[:shown]], [line[:shown] for line in cells], widths))
    if shown < len(columns):  # the others beneath, beside the first again
        typer.echo("")
        print_table([{name: row.get(name) for name in (columns[0], *columns[shown:])} for row in rows])


def _table(names: Sequence[str], cells: Sequence[Sequence[Text]], widths: Sequence[int]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for name, column, wide in zip(names, zip(*cells, strict=True), widths, strict=True):
        if _numbers(column):
            table.add_column(name, justify="right", width=wide, no_wrap=True)
        else:
            table.add_column(name, overflow="fold", width=wide)
    for line in cells:
        table.add_row(*line)
    return table


def print_notes(notes: Sequence[str]) -> None:
    """A note a line, its further lines indented."""
    for note in notes:
        typer.echo(_wrapped(note, first="  - ", then="    "))


def behind(names: Mapping[str, str]) -> list[str]:
    """A note of who stands behind the names of the data, where these are others."""
    told = [f"{alias} is {real}" for alias, real in names.items() if alias != real]
    return [", ".join(told)] if told else []


def print_files(paths: Sequence[Path], as_json: bool, *, said: Sequence[str] = ()) -> None:
    """The files that were written, after what was found."""
    listed = [str(path) for path in paths]
    if as_json:
        typer.echo(json.dumps({"files": listed}))
        return
    print_said(said)
    typer.echo("Wrote:\n" + "\n".join(f"  {name}" for name in listed))


def command() -> list[str]:
    """The command line as it was given, for manifests."""
    return ["scalinglab", *sys.argv[1:]]


def width() -> int:
    """Columns of the terminal, or what COLUMNS says; 100 where there is none."""
    return max(shutil.get_terminal_size((_PIPED, 24)).columns, _LEAST)


def _console() -> Console:
    from rich.console import Console

    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(
        file=sys.stdout, width=width(), color_system=colours, highlight=False, markup=False, emoji=False
    )


def _echo(what: Any) -> None:
    """What rich lays out, without the blanks at the ends of its lines."""
    console = _console()
    with console.capture() as captured:
        console.print(what)
    typer.echo("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _cell(value: Any) -> Text:
    from rich.text import Text

    from scalinglab.report import cell_text

    text = cell_text(value)
    return Text(text, style=_COLOURS.get(text, ""))


def _numbers(column: Sequence[Text]) -> bool:
    return all(_NUMBER.fullmatch(cell.plain) for cell in column)


def _widths(names: Sequence[str], cells: Sequence[Sequence[Text]]) -> list[int]:
    """Of the columns that have room: numbers whole, words unbroken and on three lines where they can be.

    What is left over goes where lines are folded most.
    """
    widths: list[int] = []
    longest: list[int] = []
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        texts = [name, *(cell.plain for cell in column)]
        most = max(map(len, texts))
        least = most if _numbers(column) else max(_unbroken(texts), -(-most // 3))
        if sum(widths) + least + _GAP * len(widths) > width() and len(widths) > 1:
            break
        widths, longest = [*widths, least], [*longest, most]
    for _ in range(width() - sum(widths) - _GAP * (len(widths) - 1)):
        i = max(range(len(widths)), key=lambda i: longest[i] / widths[i])
        widths[i] += longest[i] > widths[i]
    return widths


def _unbroken(texts: Iterable[str]) -> int:
    """The width that breaks no word, unless one is very long."""
    return min(max((len(word) for text in texts for word in text.split()), default=1), _WORD)


def _wrapped(text: str, *, first: str = "", then: str = "") -> str:
    return textwrap.fill(text, width(), initial_indent=first, subsequent_indent=then, break_on_hyphens=False)


def writable(out: Path | None, *, beside: Collection[str] = ()) -> None:
    """Raise DataError, before anything takes time, where a folder to write is somebody's."""
    from scalinglab.files import own_files

    if out is not None:
        own_files(out, command=command(), beside=beside)
