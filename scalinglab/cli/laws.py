"""The verb that fits laws to a study's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalinglab.cli.options import Case, Formats, Json, Latex, Width, read_figures
from scalinglab.cli.render import command, print_rows, writable

EXAMPLE = "Example: scalinglab laws run    scalinglab laws run --ladder results/testbed --out run-laws --json"


def laws(
    case: Case,
    ladder: Annotated[
        Path | None, typer.Option(help="A folder with a testbed's ladder.csv and ladder_counts.csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for figures and tables.")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples behind the intervals; 0 for none.")] = 1000,
    formats: Formats = "png",
    width: Width = None,
    latex: Latex = False,
    as_json: Json = False,
) -> None:
    """Laws on the data's own numbers: accuracy by samples per strategy, loss and pass@k of a ladder of sizes."""
    from scalinglab.study.laws import evidence_laws, ladder_laws, laws_report, notes_of, rows_of

    writable(out)
    output = read_figures(formats, width, latex)
    case.rule()  # laws are in samples, and yet a rule that does not exist is an error
    strategies = evidence_laws(case.evidence(), bootstrap=bootstrap, seed=case.seed)
    sizes = [] if ladder is None else ladder_laws(ladder, bootstrap=bootstrap, seed=case.seed)
    if out is not None:
        laws_report(strategies, sizes).write(out, command=command(), seed=case.seed, output=output)
    found, notes = [*strategies, *sizes], notes_of(sizes)
    print_rows(rows_of(found), {"laws": [one.document() for one in found], "notes": notes}, as_json, notes)
