"""What every verb shares: its common options, and rows as a table or one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def print_rows(rows: list[dict[str, Any]], document: Any, as_json: bool, notes: Sequence[str] = ()) -> None:
    """The rows as a table with notes, or with --json the document alone."""
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    from scalinglab.report import table_of

    typer.echo(table_of(rows))
    for note in notes:
        typer.echo(f"  - {note}")


def print_files(paths: Sequence[Path], as_json: bool) -> None:
    """The files that were written."""
    listed = [str(path) for path in paths]
    typer.echo(
        json.dumps({"files": listed}) if as_json else "Wrote:\n" + "\n".join(f"  {name}" for name in listed)
    )


def command() -> list[str]:
    """The command line as it was given, for manifests."""
    return ["scalinglab", *sys.argv[1:]]
