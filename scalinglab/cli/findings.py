"""The verb that checks the paper's findings on a collected study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalinglab.cli.render import Json, Seed, print_rows


def findings(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run of `scalinglab collect`.")],
    verifier: Annotated[str, typer.Option(help="The verifier that guides searches and weighs votes.")] = "prm",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The paper's findings about strategies on this study: each holds, does not, or is undecided here."""
    from scalinglab.exchange import findings as check
    from scalinglab.exchange import open_study
    from scalinglab.report import rows

    found = rows(check(open_study(run), verifier, seed=seed))
    note = "accuracy at equal budgets in samples; 95 % intervals over problems; bins: 1 is easiest"
    print_rows(found, {"rows": found, "notes": [note]}, as_json, [note])
