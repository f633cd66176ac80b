"""The verb that grades a recorded run anew."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scalinglab.cli.options import Json

EXAMPLE = "Example: scalinglab regrade run --answers boxed,hash,said,number --dry-run"


def regrade(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, exported or not.")],
    answers: Annotated[
        str | None, typer.Option(help="Where answers are looked for, by commas: boxed,hash,said,number,text.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Of answers: math, exact, choice, number, or a grader of yours, module:function."),
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="The study.toml beside its benchmark, for a run without its right answers.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Grade a run anew from its recorded texts; nothing is collected again. Prints what changed."""
    from scalinglab.report import table_of
    from scalinglab.study import regrade_run

    places = None if answers is None else [one.strip() for one in answers.split(",") if one.strip()]
    found = asyncio.run(regrade_run(run, answers=places, kind=kind, study=study, write=not dry_run))
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    typer.echo(
        f"{found.run}: {found.changed:,} of {found.solutions:,} solutions have another grade, "
        f"{found.rewritten:,} more another answer; {found.left:,} were left (refused, or without a text)\n"
    )
    typer.echo(table_of(found.grades))
    if found.examples:
        shown = [{**row, "text_end": repr(row["text_end"])} for row in found.examples]
        typer.echo(f"\nSome of what changed:\n{table_of(shown)}")
    typer.echo(f"\n{'Written.' if found.written else 'Nothing was written.'}")
