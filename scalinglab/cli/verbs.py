"""The command line: one subcommand a verb, each parse -> one library call -> render.

Data on stdout (tables, or with --json one document on the last line), errors on stderr in one line.
Exit codes: 0, 1 for an error of the user's or the data's, 2 for wrong usage. Heavy imports wait for their verb.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from scalinglab import __version__
from scalinglab.cli import (
    advise,
    atlas,
    budget,
    collect,
    doctor,
    exchange,
    findings,
    fit,
    importing,
    joint,
    laws,
    ledger,
    models,
    optimal,
    power,
    rate,
    regrade,
    sizes,
    studying,
    testbed,
)
from scalinglab.cli.options import Formats, Json, Latex, Width, comparing, read_figures
from scalinglab.cli.render import command, print_files, print_notes, print_said, print_table, writable
from scalinglab.cli.terminal import one_line, plain, stopped

_GROUPS = {
    "Begin": ("demo", "init", "schema", "run", "paper"),
    "Collect": ("collect", "status", "doctor", "power", "import", "export", "regrade", "testbed"),
    "Compare": ("exchange", "optimal", "curve", "rate", "findings", "report", "atlas", "joint"),
    "Decide": ("advise", "cheapest", "budget"),
    "Count FLOPs": ("specs", "flops", "ledger"),
    "Fit laws": ("laws", "fit", "compare", "isoflop"),
}
"""Under which heading of the help a verb stands."""


class _Verbs(typer.core.TyperGroup):
    """Verbs by groups in the help, whole sentences; Ctrl-C ends each as it ends collect."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        told = {name: verb.get_short_help_str(1000) for name, verb in self.commands.items()}
        wide = max(map(len, told))
        other = tuple(name for name in told if name not in chain(*_GROUPS.values()))
        for heading, names in {**_GROUPS, "Other": other}.items():
            rows = [(name.ljust(wide), told[name]) for name in names if name in told]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stopped()


app = typer.Typer(
    cls=_Verbs,
    help="With a fixed amount of compute: pretrain a bigger model, or let a smaller one think longer?",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_LEDGER = ("data", "small", "large", "spec", "convention", "axes")

app.add_typer(testbed.app, name="testbed")
app.command(epilog=models.SPECS)(models.specs)
app.command(epilog=models.FLOPS)(models.flops)
app.command(epilog=budget.EXAMPLE)(budget.budget)
app.command(epilog="Example: scalinglab exchange run    scalinglab exchange counts.csv --small A --large B")(
    comparing(exchange.exchange)
)
app.command(epilog="Example: scalinglab curve counts.csv --k 1,10,100 --model 'Pythia 1B'")(
    comparing(exchange.curve)
)
app.command(epilog=rate.EXAMPLE)(comparing(rate.rate, only=rate.OPTIONS))
app.command(epilog="Example: scalinglab optimal run --verifier prm --convention exact")(comparing(optimal.optimal))
app.command(epilog="Example: scalinglab advise run --queries 1e9 --target 0.6")(
    comparing(advise.advise, only=advise.OPTIONS)
)
app.command(epilog=power.EXAMPLE)(comparing(power.power, bare=True))
app.command(epilog="Example: scalinglab findings run --verifier prm")(comparing(findings.findings))
app.command(epilog="Example: scalinglab ledger run --by role --with tuning,difficulty")(
    comparing(ledger.ledger, only=_LEDGER)
)
app.command(
    epilog="Example: scalinglab report run --out results/run    "
    "scalinglab report counts.csv --small 'Pythia 1B' --large 'Pythia 12B' --out results/pythia"
)(comparing(exchange.report))
app.command(epilog=atlas.EXAMPLE)(atlas.atlas)
app.command(epilog=laws.EXAMPLE)(comparing(laws.laws))
app.command(epilog=fit.EXAMPLE)(fit.fit)
app.command(epilog=fit.COMPARED)(fit.compare)
app.command(epilog=sizes.CHEAPEST)(sizes.cheapest)
app.command(epilog=sizes.ISOFLOP)(sizes.isoflop)
app.command(epilog=joint.EXAMPLE)(comparing(joint.joint, only=joint.SHARED))
app.command(epilog=studying.INIT)(studying.init)
app.command(epilog=studying.SCHEMA)(studying.schema)
app.command(epilog=studying.RUN)(studying.run)
app.command(epilog="Example: scalinglab collect tests/data/first-study/study.toml --out run --dry-run")(
    collect.collect
)
app.command(epilog=doctor.EXAMPLE)(doctor.doctor)
app.command(epilog="Example: scalinglab status run --json")(comparing(collect.status, only=_LEDGER))
app.command("import", epilog="Example: scalinglab import auto logs --out run")(importing.import_)
app.command(epilog="Example: scalinglab export run --out run-exported")(collect.export)
app.command(epilog=regrade.EXAMPLE)(regrade.regrade)
app.command(epilog="Example: scalinglab demo --out results/demo")(collect.demo)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """With a fixed amount of compute: pretrain a bigger model, or let a smaller one think longer?"""
    if version:
        typer.echo(f"scalinglab {__version__}")
        raise typer.Exit


@app.command(epilog="Example: scalinglab paper --out results/paper")
def paper(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("results/paper"),
    formats: Formats = "png",
    width: Width = None,
    latex: Latex = False,
    as_json: Json = False,
) -> None:
    """Re-derive the paper's central result from its published figures, under several accounting rules."""
    from scalinglab.report import paper_report, rows

    writable(out)
    output = read_figures(formats, width, latex)
    made = paper_report()
    written = made.write(out, command=command(), output=output)
    if not as_json:
        print_said(made.said)
        for section in made.sections:
            print_table(rows(section.table), heading=f"{section.heading}:")
            print_notes(section.notes)
            typer.echo("")
    print_files(written, as_json)


def main() -> None:
    """Run the command line: every failure is one line on stderr and exit code 1, wrong usage 2."""
    with plain(), one_line():
        app()


if __name__ == "__main__":
    main()
