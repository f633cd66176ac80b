"""The verb optimal: the best strategy per difficulty bin and budget, and what it gains over best-of-N."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from scalinglab.cli.options import Case, Json
from scalinglab.cli.render import print_rows

_WIDE = 72
"""Letters of an arms column in a terminal."""


def optimal(
    case: Case,
    verifier: Annotated[str | None, typer.Option(help="Predicts difficulty, chooses for best-of-N.")] = None,
    unit: Annotated[Literal["samples", "flops"], typer.Option(help="What a budget counts.")] = "samples",
    as_json: Json = False,
) -> None:
    """The compute-optimal strategy per difficulty bin and budget, and what it gains over parallel sampling."""
    from scalinglab.exchange import choose
    from scalinglab.report import rows

    found = choose(case.evidence(), rule=case.rule(), verifier=verifier, bins=case.bins, unit=unit, seed=case.seed)
    agreed, table = found.agreement, found.table()
    shared = None if found.allocation is None else rows(found.allocation.table)
    rate = {} if agreed is None else {key: getattr(agreed, key) for key in ("rate", "low", "high", "chance")}
    if as_json:
        document: dict[str, Any] = {
            "model": found.model,
            "verifier": found.verifier,
            "rows": rows(table),
            "gain": rows(found.gain()),
        }
        document |= {"agreement": None if agreed is None else rate | {"bins": rows(agreed.table)}}
        print_rows([], document | {"allocation": shared, "notes": list(found.notes)}, True)
        return None
    kinds = table["bins"].unique()
    shown = table[(table["bins"] == kinds[0]) | (table["bin"] == "all")].drop(columns=["convention", "problems"])
    shown["arms"] = [text if len(text) <= _WIDE else f"{text[: _WIDE - 4]} ..." for text in shown["arms"]]
    basis = f"convention {found.oracle[0].convention}, {len(found.oracle[0].problems)} problems"
    typer.echo(f"Compute-optimal choice of {found.model} ({basis})\n")
    print_rows(rows(shown), None, False)
    if found.gains:
        typer.echo("\nGain over parallel sampling of the same proposer, in a step and as a mixture\n")
        print_rows(rows(found.gain().drop(columns=["convention", "problems"])), None, False)
    if shared is not None:
        typer.echo("\nSamples shared out by predicted difficulty, against as many for each\n")
        print_rows(shared, None, False)
    if agreed is not None:
        share = f"{100 * agreed.rate:.1f} % ({100 * agreed.low:.1f} to {100 * agreed.high:.1f})"
        typer.echo(f"\nPredicted against oracle bins: {share} agree, {100 * agreed.chance:.1f} % by chance\n")
        print_rows(rows(agreed.table), None, False)
    typer.echo("")
    told = [f"convention: {case.rule()}", f"arms: the first {_WIDE} letters; --json has all", *found.notes]
    return typer.echo("\n".join(f"  - {note}" for note in told))
