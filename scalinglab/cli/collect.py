"""The verbs that run a study and tell how far it is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from scalinglab.cli.options import Case, Json, Rule, read_specs
from scalinglab.cli.render import command, print_files, print_rows
from scalinglab.errors import DataError, EngineError

if TYPE_CHECKING:
    from scalinglab.collect import Progress
    from scalinglab.specs import ModelSpec
    from scalinglab.study import Probe, Status, Study

_T = TypeVar("_T")
_PRICE_EVERY = 5.0
"""Seconds between two pricings of what was recorded meanwhile."""


def collect(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study: models, task, strategies.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; the study's name without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes, from one problem.")] = False,
    convention: Rule = "paper",
    as_json: Json = False,
) -> None:
    """Run a study, or go on with it: every strategy on every problem, each token recorded. Ctrl-C stops it."""
    from scalinglab.flops import convention as preset
    from scalinglab.study import probe_study, read_study, status_of

    read = read_study(study)
    if dry_run:
        return _print_forecast(
            _until_stopped(lambda _: probe_study(read, starting=_starting), "nothing was written"),
            convention,
            as_json,
        )
    folder = out or Path(read.name)
    _run(read, folder, convention, f"scalinglab collect {study} --out {folder}")
    return _print_status(status_of(folder, rule=preset(convention)), as_json)


def status(case: Case, as_json: Json = False) -> None:
    """Units done and left, calls, tokens and FLOPs by role, and the shares of what went wrong."""
    from scalinglab.study import status_of

    _print_status(status_of(case.folder(), rule=case.rule(), specs=read_specs(case.spec)), as_json)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    form: Annotated[
        Literal["run", "every-eval-ever"],
        typer.Option("--as", help="A run of Parquet, or records of Every Eval Ever (schema 0.3.0)."),
    ] = "run",
    as_json: Json = False,
) -> None:
    """Write a run's samples as Parquet, with the study and the specs that price them; or as others' records."""
    from scalinglab.study import export_records, export_run

    write = export_run if form == "run" else export_records
    print_files(write(run, out, command=command()), as_json)


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

    shown = [] if only is Part.RUN else _real(out / "real-models", as_json)
    if only is Part.REAL:
        return print_files(shown, as_json)
    folder, note = _demo_run(out)
    made = demo_report(folder)
    written = made.write(out, command=command(), collected=read_collected(folder))
    if not as_json:
        typer.echo(f"{made.text()}\n\n{note}\n")
    return print_files([*shown, *written], as_json)


def _real(folder: Path, as_json: bool) -> list[Path]:
    """The evidence on real models that comes with the package, written; its first sentence and figure said."""
    from scalinglab.report import first_sentence, write_real

    if not as_json:
        typer.echo(f"{first_sentence()}\n")
    written = write_real(folder, command=["scalinglab", "atlas", "--shipped", "--out", str(folder)])
    if not as_json:
        typer.echo(f"Figure: {folder / 'claims.png'}; in words: {folder / 'README.md'}\n")
    return written


def _demo_run(out: Path) -> tuple[Path, str]:
    """The run to show: one made now, or where no engine starts, the recorded one; and which it is."""
    from scalinglab.study import RECORDED, demo_study

    try:
        _run(demo_study(), out / "run", "paper", f"scalinglab demo --out {out}")
    except EngineError as error:
        note = f"the run was recorded earlier and not made now: {error}"
        print(f"scalinglab: {note}", file=sys.stderr)
        return RECORDED, f"Note: {note}"
    return out / "run", f"The run is in {out / 'run'}: `scalinglab status {out / 'run'}` tells what it took."


def _run(study: Study, folder: Path, convention: str, again: str) -> None:
    from scalinglab.study import run_study

    async def work(stop: _Stop) -> None:
        with _Bar(folder, convention) as bar:
            stop.begun = bar.begun
            await run_study(study, folder, progress=bar, starting=_starting, stop=stop.gently)

    _until_stopped(work, f"nothing done is lost: `{again}` goes on")


def _starting(model: str) -> None:
    print(f"scalinglab: starting {model}", file=sys.stderr)


class _Stop:
    """Ctrl-C lets units in flight end, where there are any; a second one, or SIGTERM, stops at once.

    Processes forked by vLLM inherit this handler; there a signal does what it does by default.
    """

    def __init__(self) -> None:
        self.loop, self.task, self.gently = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
        self.begun: Callable[[], bool] = lambda: False
        self.asked = False
        self.process = os.getpid()

    def __call__(self, number: int, _: object) -> None:
        if os.getpid() != self.process:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        before, self.asked = self.asked, True
        if not self.begun():
            raise KeyboardInterrupt  # vLLM, while it is imported, blocks the loop
        if before or number == signal.SIGTERM:
            assert self.task is not None
            self.loop.call_soon_threadsafe(self.task.cancel)
        else:
            self.loop.call_soon_threadsafe(self.gently.set)
            print("\nscalinglab: ending what is in flight; Ctrl-C again to stop at once", file=sys.stderr)


def _until_stopped(work: Callable[[_Stop], Coroutine[Any, Any, _T]], then: str) -> _T:
    """What the work returns; where a signal ended it, one line that says how to go on, and exit code 1."""
    asked = False

    async def main() -> _T:
        nonlocal asked
        stop = _Stop()
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return await work(stop)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            asked = stop.asked

    try:
        result = asyncio.run(main())
    except BaseException:
        if not asked:
            raise
    if not asked:
        return result
    print(f"scalinglab: stopped; {then}", file=sys.stderr)
    raise typer.Exit(1)


class _Bar:
    """Live on stderr: samples (the units' budgets) done of all, units, tokens/s, FLOPs by role, time left."""

    def __init__(self, folder: Path, rule: str) -> None:
        self.folder, self.rule = folder, rule
        self.specs: dict[str, ModelSpec] = {}
        self.bar: Any = None
        self.new: list[Any] = []
        self.flops: dict[str, int] = {}
        self.tokens, self.samples = 0, 0
        self.start = self.priced = monotonic()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self._price()
            self.bar.close()

    def __call__(self, progress: Progress) -> None:
        if self.bar is None:
            self._open(progress)
        self.tokens += sum(call.generated_tokens or 0 for call in progress.calls)
        self.samples += len(progress.solutions)
        self.new.append((progress.unit, progress.calls, progress.solutions))
        if monotonic() - self.priced > _PRICE_EVERY:
            self._price()
        self.bar.update()

    def begun(self) -> bool:
        """Whether units are being done, and not engines started."""
        return self.bar is not None

    def _open(self, first: Progress) -> None:
        from scalinglab.evidence import plan_specs

        try:
            from tqdm import tqdm
        except ImportError as error:
            raise DataError(
                "tqdm is not installed", "it for the progress display", "pip install 'scalinglab[collect]'"
            ) from error
        self.start, self.specs = monotonic(), plan_specs(self.folder)
        form = "{n_fmt}/{total_fmt} units {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}"
        often = 0.5 if sys.stderr.isatty() else 30
        self.bar = tqdm(total=first.total, initial=first.done - 1, bar_format=form, mininterval=often)

    def _price(self) -> None:
        from scalinglab.flops import convention
        from scalinglab.study import frames, roles

        self.priced = monotonic()
        if self.new:
            for row in roles(frames(self.new), self.specs, convention(self.rule)):
                self.flops[row["role"]] = self.flops.get(row["role"], 0) + (row["flops"] or 0)
        self.new = []
        rate = self.tokens / max(1e-9, self.priced - self.start)
        spent = ", ".join(f"{role} {flops:.2g}" for role, flops in self.flops.items())
        self.bar.set_postfix_str(f"{self.samples} samples, {rate:,.0f} tokens/s, FLOPs: {spent}", refresh=False)


def _print_status(found: Status, as_json: bool) -> None:
    """Two tables, or one document."""
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    typer.echo(f"{found.run}: {found.done:,} of {found.total:,} units done\n")
    print_rows([row | {"right": _percent(row["right"])} for row in found.cells], None, False)
    typer.echo("")
    shares = [f"{name} {_percent(getattr(found, name))}" for name in ("truncated", "unparsed", "error")]
    notes = [f"FLOPs: convention {found.convention}, pretraining left out", ", ".join(shares)]
    if (found.unparsed or 0) > 0.5:
        notes.append('most answers were not found: "answers" of [task] says where to look for them')
    print_rows([_readable(row) for row in found.roles], None, False, notes)


def _print_forecast(probe: Probe, convention: str, as_json: bool) -> None:
    from scalinglab.flops import convention as preset
    from scalinglab.study import forecast

    found = forecast(probe, rule=preset(convention))
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    typer.echo(
        f"{found.run}: {found.units:,} units, {found.calls:,} calls, {found.tokens:,} generated tokens, "
        f"about {found.seconds / 60:,.0f} minutes\n"
    )
    notes = [
        f"one problem of {found.problems} ({found.problem}), in {probe.seconds:.1f} s; nothing was written",
        f"FLOPs: convention {found.convention}, pretraining left out",
        "time: at the rate of that one problem; with more in flight a study is usually faster",
    ]
    print_rows([_readable(row) for row in found.roles], None, False, notes)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    flops = row["flops"]
    counts = {key: f"{value:,}" if isinstance(value, int) else value for key, value in row.items()}
    return counts | {"flops": "unknown" if flops is None else f"{flops:.3g}"}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
