"""The verb atlas: every pair of models in a body of evidence, at equal compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import (
    Case,
    Formats,
    Generate,
    Json,
    Latex,
    Prompt,
    Rs,
    Rule,
    Seed,
    Specs,
    Width,
    With,
    read_figures,
    read_numbers,
    read_specs,
)
from scalinglab.cli.render import command, print_files, print_notes, print_rows, print_said, print_table, writable
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.evidence import Body
    from scalinglab.exchange import Atlas, Charges, Forecast

EXAMPLE = "Example: scalinglab atlas runs --spec mine=7e9@2e12 --out atlas    scalinglab atlas --shipped"
_SHOWN = 12
"""Pairs of a task that are shown unasked."""
Sources = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FOLDER|RUN...", help="Runs, tables of samples or counts, or folders of them."),
]
Post = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL=FLOPS", help="What a model's post-training took, which nobody is charged else."),
]
Queries = Annotated[str | None, typer.Option(help="Verdicts at these numbers of queries too, by commas.")]
Perfect = Annotated[
    bool, typer.Option("--perfect", help="Answers can really be checked: count what a perfect verifier picks.")
]

Forecasting = Annotated[
    bool, typer.Option("--forecast", help="Forecast each pair from the others: errors and coefficients.")
]


def atlas(
    sources: Sources = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="The real models that come with the package.")
    ] = False,
    spec: Specs = None,
    r: Rs = "0.16,0.79,22",
    queries: Queries = None,
    convention: Rule = "paper",
    axes: With = None,
    posttraining: Post = None,
    sunk: Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights.")] = False,
    perfect: Perfect = False,
    forecast: Forecasting = False,
    prompt: Prompt = None,
    generate: Generate = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="The folder to write: figures, tables, a page.")] = None,
    formats: Formats = "png",
    width: Width = None,
    latex: Latex = False,
    whole: Annotated[
        bool, typer.Option("--all", help="Every pair, R and number of queries, and all notes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Every pair of models in both directions: gain, cost, verdicts, and what the unknown would have to be."""
    from scalinglab.evidence import REAL_MODELS, bodies_of
    from scalinglab.report import atlas_report, write_real

    writable(out)
    output = read_figures(formats, width, latex)
    if shipped and not sources and out is not None:
        paths, said = write_real(out, command=command(), seed=seed, output=output)
        return print_files(paths, as_json, said=said)
    if not sources and not shipped:
        raise DataError("no evidence", "runs, tables, folders of them, or --shipped", "name some")
    paths = [*(sources or []), *([REAL_MODELS] if shipped else [])]
    case = Case(data=paths, convention=convention, axes=axes, r=r)
    bodies = bodies_of(paths, specs=read_specs(spec), perfect=perfect, prompt=prompt, generated=generate)
    found = _atlases(bodies, _charges(case, queries, posttraining, bodies, sunk), seed)
    told = _forecast(found, seed) if forecast else None
    if out is not None:
        made = atlas_report(found, told)
        return print_files(made.write(out, command=command(), seed=seed, output=output), as_json, said=made.said)
    return _print(found, told, whole, as_json)


def _charges(case: Case, queries: str | None, given: list[str] | None, bodies: list[Body], sunk: bool) -> Charges:
    from scalinglab.exchange import Charges

    at = [] if queries is None else read_numbers(queries, "--queries", float)
    known = {name for body in bodies for name in body.evidence.models()}
    return Charges(case.rule(), read_numbers(case.r, "--r", float), at, _posttraining(given or [], known), sunk)


def _posttraining(given: list[str], known: set[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, _, value = text.rpartition("=")
        if name not in known:
            raise DataError(f"--posttraining {text}", f"MODEL=FLOPS of {', '.join(sorted(known))}", "mend it")
        (found[name],) = read_numbers(value, "--posttraining", float)
        if not 0 <= found[name] < float("inf"):
            raise DataError(f"--posttraining {text}", "FLOPs of 0 or more", "mend it")
    return found


def _atlases(bodies: list[Body], charges: Charges, seed: int) -> list[Atlas]:
    from scalinglab.exchange import atlas as made

    return [made(body, charges, seed=seed) for body in bodies]


def _forecast(found: list[Atlas], seed: int) -> Forecast:
    from scalinglab.exchange import forecast

    return forecast(found, seed=seed)


def _print(found: list[Atlas], told: Forecast | None, whole: bool, as_json: bool) -> None:
    from scalinglab.report import forecast_sections, rows

    if not as_json:
        for one in found:
            _print_one(one, whole)
        for section in forecast_sections(told):
            print_table(rows(section.table), heading=section.heading)
            print_notes(section.notes)
        return None
    document: list[dict[str, Any]] = [
        {"task": one.task, "convention": one.convention, "pairs": rows(one.pairs), "verdicts": rows(one.verdicts),
         "left_out": dict(one.left_out), "notes": list(one.notes)}
        for one in found
    ]  # fmt: skip
    every: dict[str, Any] = {"atlases": document}
    if told is not None:
        tables = {"errors": rows(told.errors), "coefficients": rows(told.coefficients)}
        every["forecast"] = {"said": told.said, **tables, "notes": list(told.notes)}
    return print_rows([], every, as_json)


def _print_one(found: Atlas, whole: bool) -> None:
    """One task: its verdicts in words, then a row a pair and R, those decided for the smaller model first."""
    from scalinglab.exchange import atlas_sentences, foremost_pairs
    from scalinglab.report import atlas_left_out, atlas_rows

    print_said(atlas_sentences(found))
    told = found.verdicts if whole else foremost_pairs(found, _SHOWN)
    print_table(
        atlas_rows(found, told), heading=f"{found.task}, gain in accuracy points (95 %), under {found.convention}:"
    )
    if len(told) < len(found.verdicts):
        print_notes(
            [f"{len(told)} of {len(found.verdicts)} verdicts: --all, or --out FOLDER for tables and a page"]
        )
        print_notes([f"{len(found.left_out)} models left out"] if found.left_out else [])
    else:
        print_notes([*found.notes, *atlas_left_out(found)])
    typer.echo("")
