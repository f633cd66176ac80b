"""The verb optimal: the best strategy per difficulty bin and budget, and what it gains over best-of-N."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scalinglab.cli.options import Case, Json
from scalinglab.cli.render import print_notes, print_rows, print_said, print_table

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.exchange import Chosen

_WIDE = 72
"""Letters of an arms column in a terminal."""


def optimal(
    case: Case,
    verifier: Annotated[str | None, typer.Option(help="Predicts difficulty, chooses for best-of-N.")] = None,
    unit: Annotated[Literal["samples", "flops"], typer.Option(help="What a budget counts.")] = "samples",
    whole: Annotated[bool, typer.Option("--all", help="Every bin, budget and step, and all notes.")] = False,
    as_json: Json = False,
) -> None:
    """The compute-optimal strategy per difficulty bin and budget, and what it gains over parallel sampling."""
    from scalinglab.exchange import choose, optimal_sentences
    from scalinglab.report import rows

    evidence, rule = case.evidence(), case.rule()
    found = choose(evidence, rule=rule, verifier=verifier, bins=case.bins, unit=unit, seed=case.seed)
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
    print_said(optimal_sentences(found, called=evidence.called))
    print_table(_shown(table, whole), heading=f"Accuracy by budget in {unit}, under {rule.name} (95 %):")
    if found.gains:
        typer.echo("")
        print_table(
            _gains(found, unit, whole), heading=f"Gain over parallel sampling of the same proposer, in {unit}:"
        )
    if whole and shared is not None:
        typer.echo("")
        print_table(shared, heading="Samples shared out by predicted difficulty, against as many for each:")
    if agreed is not None:
        share = f"{100 * agreed.rate:.1f} % ({100 * agreed.low:.1f} to {100 * agreed.high:.1f})"
        typer.echo(f"\nPredicted against oracle bins: {share} agree, {100 * agreed.chance:.1f} % by chance.")
        if whole:
            print_table(rows(agreed.table))
    typer.echo("")
    if not whole:
        return print_notes(["every bin, budget and step, samples shared out, notes: --all; arms whole: --json"])
    return print_notes([f"convention: {rule}", *found.notes])


def _shown(table: pd.DataFrame, whole: bool) -> list[dict[str, Any]]:
    """Rows of the first kind of bins: all problems, and bins at the largest budget; ``whole``: all of them."""
    first = table["bins"] == table["bins"].iloc[0]
    told = (
        table if whole else table[first & ((table["bin"] == "all") | (table["budget"] == table["budget"].max()))]
    )
    return [
        {
            "accuracy %": _percent(row, "accuracy"),
            "one arm": f"{100 * row['fixed']:.1f}",
            "budget": f"{row['budget']:.4g}",
        }
        | {"bins": row["bins"], "bin": row["bin"]}
        | {"run": row["arms"] if len(row["arms"]) <= _WIDE else f"{row['arms'][: _WIDE - 4]} ..."}
        for row in told.to_dict("records")
    ]


def _gains(found: Chosen, unit: str, whole: bool) -> list[dict[str, Any]]:
    """What each mechanism saves: in the unit asked about and as a mixture; ``whole``: in both, and in steps."""
    table = found.gain()
    told = table if whole else table[(table["unit"] == unit) & (table["by"] == "mixture")]
    return [
        {"gain": _times(row), "verdict": row["verdict"], "n": row["n"], "mechanism": row["mechanism"]}
        | ({"unit": row["unit"], "by": row["by"]} if whole else {})
        | {"against": row["against"]}
        for row in told.to_dict("records")
    ]


def _percent(row: dict[Any, Any], name: str) -> str:
    if row["low"] is None or row["low"] != row["low"]:  # too few problems for an interval
        return f"{100 * row[name]:.1f}"
    return f"{100 * row[name]:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _times(row: dict[Any, Any]) -> str:
    if row["gain"] is None or row["gain"] != row["gain"]:
        return "-"
    known = all(row[end] is not None and row[end] == row[end] for end in ("low", "high"))
    return f"{row['gain']:.3g}" + (f" ({row['low']:.3g} to {row['high']:.3g})" if known else "")
