"""The verb that checks the paper's findings on a collected study."""

from __future__ import annotations

from typing import Annotated

import typer

from scalinglab.cli.options import Case, Json
from scalinglab.cli.render import print_rows


def findings(
    case: Case,
    verifier: Annotated[str, typer.Option(help="The verifier that guides searches and weighs votes.")] = "prm",
    as_json: Json = False,
) -> None:
    """The paper's findings about strategies on this study: each holds, does not, or is undecided here."""
    from scalinglab.exchange import findings as check
    from scalinglab.report import rows

    found = rows(check(case.evidence(), verifier, rule=case.rule(), bins=case.bins, seed=case.seed))
    notes = [
        "accuracy at equal budgets in samples; 95 % intervals over problems, each on its own; bins: 1 is easiest",
        "other rules: budgets are in samples, so that no rule for FLOPs changes a finding",
    ]
    print_rows(found, {"rows": found, "notes": notes}, as_json, notes)
