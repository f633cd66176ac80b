"""The verb rate: what a doubling of the model is worth in doublings of samples, tokens or inference FLOPs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scalinglab.cli.options import Case, Json, read_numbers
from scalinglab.cli.render import print_rows

OPTIONS = ("data", "spec", "convention", "axes", "bins", "prompt", "generate", "seed", "mapping", "task")
EXAMPLE = "Example: scalinglab rate counts.csv --k 1,4,16,64,256"


def rate(
    case: Case,
    k: Annotated[
        str | None, typer.Option("--k", help="Budgets in samples, by commas; default powers of two or four.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How many doublings of samples, or of inference FLOPs, one doubling of the model is worth: a fitted model.

    Over all, by strategy, difficulty, size step and budget, each with its interval and its lack of fit.
    """
    from scalinglab.exchange import rates
    from scalinglab.report import rows

    budgets = None if k is None else read_numbers(k, "--k", int)
    found = rates(case.evidence(), rule=case.rule(), k=budgets, bins=case.bins, seed=case.seed)
    document: dict[str, Any] = {
        "said": found.said,
        "unit": found.unit,
        "convention": found.convention,
        "rows": rows(found.table),
    }
    document |= {"pairs": rows(found.pairs), "notes": list(found.notes)}
    said = [f"{found.said[0].upper()}{found.said[1:]}."]
    print_rows(_shown(document["rows"]), document, as_json, found.notes, said=said)


def _shown(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What fits a terminal: an interval a cell, and the status with its reason; --json has all."""
    return [
        {"of": row["of"], "group": row["group"], "unit": row["unit"], "rate": _ends(row)}
        | {"lack_of_fit": row["lack_of_fit"], "changes": row["changes_with_budget"]}
        | {
            "surface": row["surface"],
            "status": ": ".join(filter(None, (row["status"], row["why"], row["smaller"]))),
        }
        for row in found
    ]


def _ends(row: dict[str, Any]) -> str | None:
    return None if row["rate"] is None else f"{row['rate']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
