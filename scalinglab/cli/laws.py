"""The verb that fits laws to a study's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalinglab.cli.options import Case, Formats, Json, Latex, Width, read_figures
from scalinglab.cli.render import behind, command, print_rows, writable

if TYPE_CHECKING:
    from scalinglab.evidence import Evidence

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
    evidence = case.evidence()
    strategies = evidence_laws(evidence, bootstrap=bootstrap, seed=case.seed)
    sizes = [] if ladder is None else ladder_laws(ladder, bootstrap=bootstrap, seed=case.seed)
    if out is not None:
        made = laws_report(strategies, sizes).over_figures(_title(evidence))
        made.write(out, command=command(), seed=case.seed, output=output)
    found, notes = [*strategies, *sizes], [*behind(evidence.names), *notes_of(sizes)]
    print_rows(rows_of(found), {"laws": [one.document() for one in found], "notes": notes}, as_json, notes)


def _title(evidence: Evidence) -> str:
    """The models whose strategies are drawn, with what the legend calls them, and the task."""
    drawn = [name for name in (evidence.small, evidence.large) if name] or evidence.models()
    called = {name: evidence.called(name) for name in drawn}
    pair = " and ".join(real if real == name else f"{real} ({name})" for name, real in called.items())
    return f"{pair}, {evidence.task()}" if evidence.task() else pair
