"""The verb ledger: who spent what, training included, and what was not counted."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from scalinglab.cli.options import Case, Json
from scalinglab.cli.render import print_rows


def ledger(
    case: Case,
    by: Annotated[
        Literal["phase", "role", "model", "strategy"], typer.Option(help="What FLOPs are summed by.")
    ] = "phase",
    as_json: Json = False,
) -> None:
    """FLOPs of everything recorded, with pretraining and helpers' training, and what was not counted."""
    from scalinglab.exchange import charged_to, unreported
    from scalinglab.ledger import left_out
    from scalinglab.report import rows

    evidence = case.evidence()
    found = charged_to(evidence, case.rule())
    sums = found.by(by)
    total = found.total()
    table = [
        {by: name, "FLOPs": int(spent), "share": int(spent) / total if total else None}
        for name, spent in sums.items()
    ]
    notes = [
        f"convention: {case.rule()}",
        f"total: {total:.6g} FLOPs",
        left_out(found),
        *unreported(evidence, evidence.models()),
    ]
    document = {"rows": table, "total": total, "not_counted": rows(found.not_counted), "notes": notes}
    print_rows([row | {"FLOPs": f"{row['FLOPs']:,}"} for row in table], document, as_json, notes)
