"""The verb that reads policies off a collected study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scalinglab.cli.collect import Rule
from scalinglab.cli.render import Json, Seed, print_rows


def policy(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run of `scalinglab collect`.")],
    small: Annotated[str | None, typer.Option(help="The small model, where the run has several.")] = None,
    verifier: Annotated[str | None, typer.Option(help="Predicts difficulty, chooses for best-of-N.")] = None,
    convention: Rule = "exact",
    bins: Annotated[int, typer.Option(help="Difficulty bins.")] = 5,
    folds: Annotated[int, typer.Option(help="Folds of problems to choose and score on.")] = 2,
    budget: Annotated[Literal["samples", "flops"], typer.Option(help="What a budget counts.")] = "samples",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The compute-optimal strategy per difficulty bin and budget, and what it gains over best-of-N."""
    from scalinglab.report import rows
    from scalinglab.study import policies_of

    found = policies_of(
        run, small=small, verifier=verifier, rule=convention, bins=bins, folds=folds, budget=budget, seed=seed
    )
    agreed, table = found.agreement, found.table()
    rate = {key: getattr(agreed, key) for key in ("rate", "low", "high", "chance")}
    shared = None if found.allocation is None else rows(found.allocation.table)
    document = {
        "model": found.model,
        "verifier": found.verifier,
        "agreement": rate | {"bins": rows(agreed.table)},
        "rows": rows(table),
        "gain": rows(found.gain.table),
        "allocation": shared,
        "notes": list(found.notes),
    }
    if as_json:
        return print_rows([], document, True)
    shown = table[(table["bins"] == "predicted") | (table["bin"] == "all")].drop(
        columns=["convention", "problems"]
    )
    rule = f"convention {found.predicted.convention}, {len(found.predicted.problems)} problems"
    typer.echo(f"Compute-optimal choice of {found.model} ({rule})\n")
    print_rows(rows(shown), None, False)
    typer.echo(f"\nGain over best-of-N ({found.gain.baseline})\n")
    print_rows(rows(found.gain.table.drop(columns=["convention", "problems"])), None, False)
    if shared is not None:
        typer.echo("\nSamples shared out by predicted difficulty, against as many for each\n")
        print_rows(shared, None, False)
    share = f"{100 * agreed.rate:.1f} % ({100 * agreed.low:.1f} to {100 * agreed.high:.1f})"
    typer.echo(f"\nPredicted against oracle bins: {share} agree, {100 * agreed.chance:.1f} % by chance\n")
    return print_rows(rows(agreed.table), None, False, found.notes)
