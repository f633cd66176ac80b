"""The verb import: other people's logs as a run's folder, on which every verb works."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from scalinglab.cli.options import Json
from scalinglab.cli.render import command, print_rows

KINDS = "inspect, lm-eval, sal, monkeys, lighteval, every-eval-ever, evalplus, or auto: by what the files hold."


def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=KINDS)],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A log, or a folder of logs.")],
    out: Annotated[Path, typer.Option(help="The folder to write: a run.")],
    score: Annotated[str | None, typer.Option(help="Which of several scores or metrics is the grade.")] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="Which of several ways to read the answer (lm-eval).")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model, where the log names none.")] = None,
    task: Annotated[str | None, typer.Option(help="The task to take, of several.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From which value partial credit counts as right; never without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Other people's logs as a run's folder: samples, right answers, and what was odd about them."""
    from scalinglab.report import rows
    from scalinglab.samples import Asked, read_logs
    from scalinglab.study import graded, imported_table, write_imported

    log = asyncio.run(graded(read_logs(path, kind, Asked(score, filter_, model, task, threshold))))
    run = write_imported(log, out, command=command(), source=str(path))
    table = rows(imported_table(run))
    print_rows(table, {"out": str(out), "rows": table, "notes": list(log.notes)}, as_json, list(log.notes))
