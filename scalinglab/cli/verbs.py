"""The command line: one subcommand a verb, each parse -> one library call -> render.

Data on stdout (tables, or with --json one document on the last line), errors on stderr in one line.
Exit codes: 0, 1 for an error of the user's or the data's, 2 for wrong usage. Heavy imports wait for their verb.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab import __version__
from scalinglab.cli import collect, findings, fit, laws, policy, sizes, testbed
from scalinglab.cli.advise import advise
from scalinglab.cli.exchange import (
    Bins,
    Chosen,
    Data,
    Generate,
    Model,
    Prompt,
    Ratio,
    Rs,
    Selector,
    Specs,
    compare,
    exchange,
    first,
    read_numbers,
    read_specs,
    whole_study,
)
from scalinglab.cli.render import Json, Seed, command, print_files, print_rows
from scalinglab.errors import DataError, ScalingLabError

if TYPE_CHECKING:
    from scalinglab.report import Report
    from scalinglab.specs import ModelSpec

app = typer.Typer(
    help="With a fixed amount of compute: pretrain a bigger model, or let a smaller one think longer?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

NAMED = "A config.json, its folder, or a name of the catalogue."
app.add_typer(testbed.app, name="testbed")
app.command(epilog="Example: scalinglab exchange run    scalinglab exchange counts.csv --small A --large B")(
    exchange
)
app.command(epilog="Example: scalinglab advise --study run --queries 1e9 --target 0.6")(advise)
app.command(epilog="Example: scalinglab collect tests/data/first-study/study.toml --out run --dry-run")(
    collect.collect
)
app.command(epilog="Example: scalinglab status run --json")(collect.status)
app.command(epilog="Example: scalinglab export run --out run-exported")(collect.export)
app.command(epilog=fit.EXAMPLE)(fit.fit)
app.command(epilog=fit.COMPARED)(fit.compare)
app.command(epilog=sizes.CHEAPEST)(sizes.cheapest)
app.command(epilog=sizes.ISOFLOP)(sizes.isoflop)
app.command(epilog=laws.EXAMPLE)(laws.laws)
app.command(epilog="Example: scalinglab findings run --verifier prm")(findings.findings)
app.command(epilog="Example: scalinglab policy run --verifier prm --convention paper")(policy.policy)
app.command(epilog="Example: scalinglab demo --out results/demo")(collect.demo)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """With a fixed amount of compute: pretrain a bigger model, or let a smaller one think longer?"""
    if version:
        typer.echo(f"scalinglab {__version__}")
        raise typer.Exit


@app.command(epilog="Example: scalinglab specs Qwen3-8B    scalinglab specs --ratio 14")
def specs(
    model: Annotated[str | None, typer.Argument(metavar="[CONFIG_OR_NAME]", help=NAMED)] = None,
    ratio: Annotated[float | None, typer.Option(help="Find pairs about this many times apart.")] = None,
    tolerance: Annotated[float, typer.Option(help="How far from the ratio, relatively.")] = 0.1,
    across: Annotated[bool, typer.Option(help="Pair models of different series too.")] = False,
    as_json: Json = False,
) -> None:
    """List the catalogue, show one model's exact parameter counts, or find pairs near a ratio."""
    from scalinglab.specs import catalogue, find, pairs

    if ratio is not None:
        found = [_pair(pair) for pair in pairs(ratio, tolerance=tolerance, across=across)]
        print_rows(found, {"pairs": found}, as_json)
    elif model is not None:
        shown = _spec(find(model))
        print_rows([{"field": key, "value": _exact(value)} for key, value in shown.items()], shown, as_json)
    else:
        listed = [_spec(spec) for spec in catalogue()]
        short = ("name", "series", "total", "active", "non_embedding", "training_tokens")
        print_rows([{key: _exact(row[key]) for key in short} for row in listed], {"models": listed}, as_json)


@app.command(epilog="Example: scalinglab flops Llama-3.1-8B --prompt 500 --generate 1000 --samples 16")
def flops(
    model: Annotated[str, typer.Argument(metavar="CONFIG_OR_NAME", help=NAMED)],
    prompt: Annotated[int, typer.Option(help="Prompt tokens.")],
    generate: Annotated[int, typer.Option(help="Generated tokens a sample.")],
    samples: Annotated[int, typer.Option(help="Parallel samples.")] = 1,
    as_json: Json = False,
) -> None:
    """Price one query under every convention, by component, with the bias of each against exact."""
    from scalinglab.flops import compare_conventions
    from scalinglab.specs import find

    spec = find(model)
    costs = compare_conventions(spec, prompt, generate, samples=samples)
    rows = [
        {"convention": name, "prefill": c["prefill"], "decode": c["decode"], "total": c["total"],
         "bias": None if c["bias"] is None else f"{100 * c['bias']:+.1f} %", **c["components"]}
        for name, c in costs.items()
    ]  # fmt: skip
    print_rows(rows, {"model": spec.name, "conventions": costs}, as_json)


@app.command(epilog="Example: scalinglab budget --ratio 14 --r 0.79 --convention small-pays")
def budget(
    ratio: Annotated[float, typer.Option(help="M = large / small, in cost per token.")],
    r: Annotated[float | None, typer.Option("--r", help="R = D_inference / D_pretrain.")] = None,
    k: Annotated[float | None, typer.Option("--k", help="Samples per query of the small model.")] = None,
    convention: Annotated[str, typer.Option(help="The accounting convention.")] = "paper",
    as_json: Json = False,
) -> None:
    """The matched budget k at R, or the R at k, for two models M times apart."""
    from scalinglab.exchange import match_ratio
    from scalinglab.flops import convention as preset

    if (r is None) == (k is None):
        raise DataError("neither or both of --r and --k", "one of them", "give --r for k, or --k for R")
    match = match_ratio(ratio, preset(convention))
    found = {"k": match.k(r) if r is not None else k, "R": r if r is not None else match.r(k or 0.0)}
    print_rows([found | {"convention": convention}], found | {"convention": convention}, as_json)


@app.command(epilog="Example: scalinglab curve counts.csv --k 1,10,100 --model 'Pythia 1B'")
def curve(
    data: Data,
    selector: Selector = "coverage",
    k: Annotated[str | None, typer.Option("--k", help="Budgets, by commas; default powers of two.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model of the data; default all.")] = None,
    convention: Annotated[str, typer.Option(help="The convention that prices a query.")] = "paper",
    spec: Specs = None,
    prompt: Prompt = None,
    generate: Generate = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Accuracy at each budget with its 95 % interval, and FLOPs per query beside it."""
    from scalinglab.exchange import curves_recorded, open_recorded
    from scalinglab.report import rows

    budgets = None if k is None else read_numbers(k, "--k", int)
    recorded = open_recorded(data, specs=read_specs(spec), prompt=prompt, generated=generate)
    table, notes = curves_recorded(
        recorded, models=model, selector=selector, k=budgets, convention=convention, seed=seed
    )
    found = rows(table)
    print_rows(found, {"rows": found, "notes": notes}, as_json, notes)


@app.command(
    epilog="Example: scalinglab report run --out results/run    "
    "scalinglab report counts.csv --small 'Pythia 1B' --large 'Pythia 12B' --out results/pythia"
)
def report(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    small: Model = None,
    large: Model = None,
    r: Rs = "0.16,0.79,22",
    bins: Bins = 5,
    convention: Annotated[
        str | None, typer.Option(help="The convention of the figures; default the paper's.")
    ] = None,
    selector: Chosen = None,
    ratio: Ratio = None,
    spec: Specs = None,
    prompt: Prompt = None,
    generate: Generate = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write the exchange of two models as figures, tables, one HTML page and a manifest.

    Of a study's folder, every strategy and the compute-optimal policy; with --selector, or of counts, parallel
    samples.
    """
    from scalinglab.flops import convention as preset
    from scalinglab.report import exchange_report

    chosen = None if convention is None else preset(convention).name
    if whole_study(data, selector, ratio, prompt, generate):
        made = _study_report(data, small, large, read_numbers(r, "--r", float), bins, chosen, spec, seed)
    else:
        result = compare(data, small, large, r, bins, selector or "coverage", ratio, spec, prompt, generate, seed)
        made = exchange_report(result, convention=chosen or first(result))
    print_files(made.write(out, command=command(), seed=seed), as_json)


def _study_report(
    data: Path, small: str | None, large: str | None, r: list[float], bins: int, convention: str | None,
    spec: list[str] | None, seed: int,
) -> Report:  # fmt: skip
    from scalinglab.exchange import exchange_study, open_study
    from scalinglab.report import study_report
    from scalinglab.study import policies_of

    study = open_study(data, small=small, large=large, specs=read_specs(spec))
    found = exchange_study(study, r=r, bins=bins, seed=seed)
    rule = convention or first(found)
    try:
        chosen = policies_of(data, small=study.small, rule=rule, bins=bins, seed=seed)
    except DataError:  # no verifier to rank by, or no best-of-N: the rest stands
        return study_report(found, study, rule, policy=None, gain=None)
    return study_report(found, study, rule, policy=chosen.table(), gain=chosen.gain)


@app.command(epilog="Example: scalinglab paper --out results/paper")
def paper(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("results/paper"),
    as_json: Json = False,
) -> None:
    """Re-derive the paper's central result from its published figures, under several accounting rules."""
    from scalinglab.report import paper_report

    made = paper_report()
    written = made.write(out, command=command())
    if not as_json:
        typer.echo(made.text() + "\n")
    print_files(written, as_json)


def main() -> None:
    """Run the command line; turn every expected failure into one line and exit code 1."""
    try:
        app()
    except ScalingLabError as error:
        _fail(str(error))
    except OverflowError:
        _fail("a number is too large; expected fewer digits; mend it")
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _spec(spec: ModelSpec) -> dict[str, Any]:
    names = (
        "name",
        "series",
        "family",
        "total",
        "active",
        "embedding",
        "non_embedding",
        "layers",
        "hidden",
        "vocab",
    )
    more = ("max_context", "cached_per_token", "training_tokens", "training_sequence", "source")
    return {name: getattr(spec, name) for name in (*names, *more)}


def _exact(value: Any) -> Any:
    return f"{value:,}" if isinstance(value, int) else value


def _pair(pair: Any) -> dict[str, Any]:
    from scalinglab.specs import COUNTS

    return {
        "small": pair.small.name,
        "large": pair.large.name,
        **{count: pair.ratio(count) for count in COUNTS},
    }


def _fail(message: str) -> None:
    print(f"scalinglab: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
