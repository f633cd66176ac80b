"""The verb exchange, and what it shares with curve and report: data, models and grids from the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from scalinglab.cli.render import Json, Seed, print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.exchange import Exchange
    from scalinglab.specs import ModelSpec

Number = TypeVar("Number", int, float)
Data = Annotated[Path, typer.Argument(metavar="COUNTS_OR_RUN", help="Counts (.csv, .parquet, .jsonl) or a run.")]
Rs = Annotated[str, typer.Option("--r", help="Values of R = D_inference / D_pretrain, by commas.")]
Bins = Annotated[int, typer.Option(help="Difficulty bins; 1 for none.")]
Selector = Annotated[str, typer.Option(help="coverage, majority, best-of-n or weighted.")]
Ratio = Annotated[float | None, typer.Option(help="Price by this large / small ratio instead of by specs.")]
Specs = Annotated[list[str] | None, typer.Option("--spec", help="MODEL=config.json for a model of the data.")]
Prompt = Annotated[int | None, typer.Option(help="Prompt tokens a sample (counts only).")]
Generate = Annotated[int | None, typer.Option(help="Generated tokens a sample (counts only).")]
Model = Annotated[str | None, typer.Option(help="As the data name it; a study's roles name it otherwise.")]
Chosen = Annotated[
    str | None, typer.Option(help="Only parallel samples, by coverage, majority, best-of-n or weighted.")
]
Sunk = Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights (studies).")]
Thinking = Annotated[
    bool, typer.Option("--thinking", help="The large model at each of its own budgets too (studies).")
]
Weak = Annotated[
    str | None, typer.Option(help="How good must this verifier be: random, noisy and clean scores (studies).")
]
Sizes = Annotated[
    str | None,
    typer.Option(metavar="K", help="By what factor pretraining must grow to match k samples, by commas."),
]
Surface = Annotated[
    str | None, typer.Option(metavar="K", help="Fit accuracy over size and k samples: local rate, iso-accuracy.")
]


def exchange(
    data: Data,
    small: Model = None,
    large: Model = None,
    r: Rs = "0.16,0.79,22",
    bins: Bins = 5,
    convention: Annotated[str | None, typer.Option(help="One convention; default all, the paper's shown.")] = None,
    selector: Chosen = None,
    sunk: Sunk = False,
    thinking: Thinking = False,
    weak_verifier: Weak = None,
    sizes: Sizes = None,
    surface: Surface = None,
    ratio: Ratio = None,
    spec: Specs = None,
    prompt: Prompt = None,
    generate: Generate = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Small model with test-time compute against the large one: a verdict per difficulty bin and R.

    Of a study's folder, every strategy at its measured costs, and where it breaks even; with --selector, or of
    counts, parallel samples.
    """
    from scalinglab.flops import convention as preset

    chosen = None if convention is None else preset(convention).name
    if sizes is not None:
        _sizes(data, sizes, chosen or "paper", selector or "coverage", spec, seed, as_json)
        return
    if surface is not None:
        _surface(data, surface, spec, seed, as_json)
        return
    if whole_study(data, selector, ratio, prompt, generate):
        _study(data, small, large, r, bins, chosen, sunk, thinking, weak_verifier, spec, seed, as_json)
        return
    asked = {"--sunk": sunk, "--thinking": thinking, "--weak-verifier": weak_verifier}
    for option, value in asked.items():
        if value:
            raise DataError(f"{option} for {data}", "a study's folder, with every strategy", f"drop {option}")
    result = compare(data, small, large, r, bins, selector or "coverage", ratio, spec, prompt, generate, seed)
    _shown(result, chosen, as_json)


def whole_study(data: Path, *parallel: object) -> bool:
    """Whether every strategy of a study is asked for: none of the options of parallel samples alone is given."""
    from scalinglab.exchange import is_study

    return is_study(data) and all(value is None for value in parallel)


def compare(
    data: Path, small: str | None, large: str | None, r: str, bins: int, selector: str, ratio: float | None,
    spec: list[str] | None, prompt: int | None, generate: int | None, seed: int,
) -> Exchange:  # fmt: skip
    """The exchange of parallel samples that a command line asks for."""
    from scalinglab.exchange import exchange_recorded, open_recorded

    if small is None or large is None:
        option = "--small" if small is None else "--large"
        raise typer.BadParameter("missing: only a study's roles name it", param_hint=option)
    recorded = open_recorded(data, specs=read_specs(spec), prompt=prompt, generated=generate)
    return exchange_recorded(
        recorded, small=small, large=large, ratio=ratio, selector=selector, r=read_numbers(r, "--r", float),
        bins=bins, seed=seed,
    )  # fmt: skip


def read_specs(given: Sequence[str] | None) -> dict[str, ModelSpec]:
    """MODEL=config.json as specs by model. Raises DataError for anything else, SpecError for a bad config."""
    from scalinglab.specs import find

    found = {}
    for text in given or ():
        name, _, config = text.partition("=")
        if not (name and config):
            raise DataError(f"--spec {text}", "MODEL=config.json", "name the model as the data do")
        found[name] = find(config)
    return found


def read_numbers(text: str, option: str, kind: Callable[[str], Number]) -> list[Number]:
    """Numbers by commas. Raises DataError naming the option."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        wanted = "whole numbers" if kind is int else "numbers"
        raise DataError(f"{option} {text}", f"{wanted} separated by commas", f"mend {option}") from error


def first(result: Any) -> str:
    """The convention that is shown where none was named."""
    return str(result.verdicts["convention"].iloc[0])


def _study(
    data: Path, small: str | None, large: str | None, r: str, bins: int, chosen: str | None, sunk: bool,
    thinking: bool, weak: str | None, spec: list[str] | None, seed: int, as_json: bool,
) -> None:  # fmt: skip
    from scalinglab.exchange import exchange_study, open_study, sensitivity
    from scalinglab.flops import CONVENTIONS
    from scalinglab.report import rows

    study = open_study(data, small=small, large=large, specs=read_specs(spec))
    rules = [rule for name, rule in CONVENTIONS.items() if chosen in (None, name)]
    found = exchange_study(
        study,
        r=read_numbers(r, "--r", float),
        rules=rules,
        bins=bins,
        sunk=sunk,
        thinking=thinking,
        weak=weak,
        seed=seed,
    )
    flips = sensitivity(found.verdicts)
    if not as_json:
        _print_study(found, chosen or first(found), flips)
        return
    document = {"small": found.small, "large": found.large, "rows": rows(found.verdicts)}
    document |= {"breakeven": rows(found.breakeven), "sensitivity": rows(flips)}
    print_rows([], document | {"unpriced": found.unpriced, "notes": list(found.notes)}, as_json)


def _sizes(
    data: Path, k: str, convention: str, selector: str, spec: list[str] | None, seed: int, as_json: bool
) -> None:
    from scalinglab.exchange import open_recorded, sizes_recorded
    from scalinglab.flops import convention as preset
    from scalinglab.report import rows

    recorded = open_recorded(data, specs=read_specs(spec))
    table, notes = sizes_recorded(
        recorded, k=read_numbers(k, "--sizes", int), rule=preset(convention), selector=selector, seed=seed
    )
    print_rows(rows(table), {"rows": rows(table), "notes": notes}, as_json, notes)


def _surface(data: Path, k: str, spec: list[str] | None, seed: int, as_json: bool) -> None:
    from scalinglab.exchange import open_recorded, surface_recorded
    from scalinglab.report import rows, text

    recorded = open_recorded(data, specs=read_specs(spec))
    fit, rates, iso, notes = surface_recorded(recorded, read_numbers(k, "--surface", int), seed=seed)
    found = {name: vars(estimate) for name, estimate in fit.parameters.items()}
    if not as_json:
        typer.echo(text(rates) + "\n\n" + text(iso) + "\n")
        print_rows([{"parameter": name, **ends} for name, ends in found.items()], None, as_json, notes)
        return
    document = {"law": fit.law.text, "status": fit.status, "parameters": found, "rates": rows(rates)}
    print_rows([], document | {"iso": rows(iso), "notes": notes}, as_json)


def _print_study(found: Any, convention: str, flips: Any) -> None:
    from scalinglab.exchange import breakeven_table, verdict_table
    from scalinglab.flops import CONVENTIONS
    from scalinglab.report import Section

    rule = f"convention: {CONVENTIONS[convention]}"
    count, of = int(flips["flips"].sum()), len(flips)
    rules = found.verdicts["convention"].unique()
    flip = f"{count} of {of} verdicts flip among the conventions {', '.join(rules)} (--json: all of them)"
    heading = (
        f"{found.small} with test-time compute against {found.large}: accuracy points (95 % interval), verdict"
    )
    table = verdict_table(found.verdicts, convention)
    ends = "within the R that the measured budgets stand for; a missing high or measured_to is infinite"
    left_out = [f"{name} left out: {reason}" for name, reason in found.unpriced.items()]
    sections = [
        Section("verdicts", heading, [rule, *([flip] if len(rules) > 1 else []), *found.notes, *left_out], table),
        Section(
            "breakeven", "Break-even R (95 % interval)", [rule, ends], breakeven_table(found.breakeven, convention)
        ),
    ]
    typer.echo("\n\n".join(section.text() for section in sections))


def _shown(result: Exchange, chosen: str | None, as_json: bool) -> None:
    from scalinglab.exchange import sensitivity
    from scalinglab.report import exchange_report, rows

    report = exchange_report(result, convention=chosen or first(result))
    if not as_json:
        verdicts, _, flips = report.sections
        typer.echo("\n\n".join(section.text() for section in (verdicts, flips)))
        return
    shown = result.verdicts if chosen is None else report.sections[0].table
    document = {"rows": rows(shown), "sensitivity": rows(sensitivity(result.verdicts))}
    print_rows([], document | {"unpriced": result.unpriced, "notes": list(result.notes)}, as_json)
