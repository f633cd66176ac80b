"""The verbs that run a study and tell how far it is."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scalinglab.cli.options import Case, Json, Rule, read_specs
from scalinglab.cli.progress import Bar, starting, tell
from scalinglab.cli.render import behind, command, print_files, print_rows, writable
from scalinglab.cli.stopping import Stop, stoppable
from scalinglab.errors import DataError, EngineError

if TYPE_CHECKING:
    from scalinglab.study import Probe, Sent, Status, Study


def collect(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study: models, task, strategies.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; the study's name without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes, from one problem.")] = False,
    convention: Rule = "paper",
    as_json: Json = False,
) -> None:
    """Run a study, or go on with it: every strategy on every problem, each token recorded. Ctrl-C stops it."""
    with stoppable("nothing was begun") as stop:
        from scalinglab.flops import convention as preset
        from scalinglab.study import probe_study, read_study, status_of

        read = read_study(study)
        if dry_run:
            stop.then = "nothing was written"
            probe = stop.run(probe_study(read, starting=starting, tell=tell))
            return _print_forecast(probe, convention, as_json)
        folder = out or Path(read.name)
        collect_into(read, folder, convention, f"scalinglab collect {study} --out {folder}", stop)
        return _print_status(status_of(folder, rule=preset(convention)), folder, as_json)


def status(case: Case, as_json: Json = False) -> None:
    """Units done and left, calls, tokens and FLOPs by role, and the shares of what went wrong."""
    from scalinglab.study import status_of

    found = status_of(case.folder(), rule=case.rule(), specs=read_specs(case.spec))
    _print_status(found, case.folder(), as_json)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    form: Annotated[
        Literal["run", "every-eval-ever"],
        typer.Option("--as", help="A run of Parquet, or records of Every Eval Ever (schema 0.3.0)."),
    ] = "run",
    without: Annotated[
        str | None,
        typer.Option(metavar="PARTS", help="What to leave out of a run: seconds (of calls), texts (of answers)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's samples as Parquet, with the study and the specs that price them; or as others' records."""
    from scalinglab.study import export_records, export_run

    if form != "run" and without:
        raise DataError(f"records of {form} without {without}", "a run (--as run)", "leave out --without")
    parts = without.split(",") if without else ()
    write = partial(export_run, without=parts) if form == "run" else export_records
    print_files(write(run, out, command=command()), as_json)


_PARTS = ("run", "real-models")
"""What the demonstration's folder holds beside its report: folders of their own."""


_YOURS = (
    "scalinglab exchange counts.csv --small A --large B  # a row a model and problem: model, problem, n, correct"
)


class Part(StrEnum):
    """A part of the demonstration."""

    REAL = "real"
    RUN = "run"


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write; the run goes into its folder run.")] = Path(
        "results/demo"
    ),
    only: Annotated[Part | None, typer.Option(help="One part: what real models say, or the live run.")] = None,
    as_json: Json = False,
) -> None:
    """What recorded real models say; then a small study of the shipped models on vLLM, at equal compute."""
    from scalinglab.study import demo_report, read_collected

    writable(out, beside=_PARTS)
    shown = [] if only is Part.RUN else _real(out / "real-models", as_json)
    if only is Part.REAL:
        print_files(shown, as_json)
        return
    folder, note = _demo_run(out)
    made = demo_report(folder)
    written = made.write(out, command=command(), collected=read_collected(folder), beside=_PARTS)
    if not as_json:
        typer.echo(f"{made.text()}\n\n{note}\n")
    print_files([*shown, *written], as_json)
    if not as_json:
        typer.echo(f"\nThe page: {out / 'report.html'}\nOn your own data: {_YOURS}")


def _real(folder: Path, as_json: bool) -> list[Path]:
    """The evidence on real models that comes with the package, written; its first sentence and figure said."""
    from scalinglab.report import first_sentence, write_real

    if not as_json:
        typer.echo(f"{first_sentence()}\n")
    written, _ = write_real(folder, command=["scalinglab", "atlas", "--shipped", "--out", str(folder)])
    if not as_json:
        typer.echo(f"Figure: {folder / 'claims.png'}; in words: {folder / 'README.md'}\n")
    return written


def _demo_run(out: Path) -> tuple[Path, str]:
    """The run to show: one made now, or where no engine starts, the recorded one; and which it is."""
    from scalinglab.study import RECORDED, demo_study

    try:
        with stoppable("nothing was begun") as stop:
            collect_into(demo_study(), out / "run", "paper", f"scalinglab demo --out {out}", stop)
    except EngineError as error:
        note = f"the run was recorded earlier and not made now: {error}"
        print(f"scalinglab: {note}", file=sys.stderr)
        return RECORDED, f"Note: {note}"
    return out / "run", f"The run is in {out / 'run'}: `scalinglab status {out / 'run'}` tells what it took."


def collect_into(study: Study, folder: Path, convention: str, again: str, stop: Stop) -> None:
    """Run a study, or go on with it; ``again`` is the command that does. FLOPs shown are under ``convention``."""
    from scalinglab.study import run_study

    with Bar(folder, convention) as bar:

        def begin(model: str) -> None:
            stop.in_flight = False
            starting(model)

        def working(done: int, total: int) -> None:
            stop.in_flight = True
            bar.working(done, total)

        stop.then = f"nothing done is lost: `{again}` goes on"
        work = run_study(
            study, folder, progress=bar, starting=begin, working=working, tell=bar.tell, stop=stop.gently
        )
        stop.run(work)


def _print_status(found: Status, folder: Path, as_json: bool) -> None:
    """Two tables, or one document."""
    from scalinglab.evidence import names_in
    from scalinglab.samples import find_plan, read_plan

    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    typer.echo(f"{found.run}: {found.done:,} of {found.total:,} units done\n")
    cells = [row | {"right": _percent(row["right"])} for row in found.cells]
    print_rows(_saying(cells, "effort"), None, False)
    typer.echo("")
    shares = {"cut by a limit": found.truncated} | found.grades
    notes = [
        *behind({} if find_plan(folder) is None else names_in(read_plan(folder))),
        f"FLOPs: convention {found.convention}, pretraining left out",
        ", ".join(f"{name} {_percent(share)}" for name, share in shares.items()),
        *found.notes,
    ]
    if found.grades.get("unparsed", 0) > 0.5:
        notes.append('most answers were not found: "answers" of [task] says where to look for them')
    print_rows([_readable(row) for row in _saying(found.roles, "thinking_tokens")], None, False, notes)


def _print_forecast(probe: Probe, convention: str, as_json: bool) -> None:
    from scalinglab.exchange import rough_half_width
    from scalinglab.flops import convention as preset
    from scalinglab.study import forecast

    found = forecast(probe, rule=preset(convention))
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    for one in found.sent:
        typer.echo(f"{one.model} is sent first{_how(one)}:\n{_quoted(one.added + one.prompt)}\n")
    tokens = "unknown" if found.tokens is None else f"{found.tokens:,}"
    typer.echo(
        f"{found.run}: {found.units:,} units, {found.calls:,} calls, {tokens} generated tokens, "
        f"about {found.seconds / 60:,.0f} minutes\n"
    )
    notes = [
        f"one problem of {found.problems} ({found.problem}), in {probe.seconds:.1f} s; nothing was written",
        f"FLOPs: convention {found.convention}, pretraining left out",
        "time: at the rate of that one problem; with more in flight a study is usually faster",
        f"the headline's 95 % interval will be about ± {100 * rough_half_width(found.problems):.0f} points: "
        "`scalinglab power` says from a pilot what that decides",
    ]
    print_rows([_readable(row) for row in _saying(found.roles, "thinking_tokens")], None, False, notes)


def _how(sent: Sent) -> str:
    """What is around a prompt, or in front of it, that the study did not write."""
    if sent.api == "chat":
        return ", as one user message in the server's own template"
    if sent.begins is None:
        return ", and what its server puts before it is unknown"
    return f", of which its engine itself adds {sent.added}" if sent.added else ""


def _quoted(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.split("\n"))


def _saying(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """The rows, without a column that says nothing in any of them."""
    if any(row[column] for row in rows):
        return rows
    return [{key: value for key, value in row.items() if key != column} for row in rows]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    flops = row["flops"]
    counts = {key: f"{value:,}" if isinstance(value, int) else value for key, value in row.items()}
    return counts | {"flops": "unknown" if flops is None else f"{flops:.3g}"}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
