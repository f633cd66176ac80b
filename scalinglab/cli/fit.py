"""The verbs that fit a law, and that rank laws by how they extrapolate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalinglab.cli.options import Json
from scalinglab.cli.render import print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.fits import Counts, Fit, Points, Ranked
    from scalinglab.laws import Law

EXAMPLE = (
    "Example: scalinglab fit chinchilla results/testbed/ladder.csv --map N=non_embedding,D=tokens    "
    'scalinglab fit chinchilla points.csv --map "N=Model Size,C=Training FLOP,D=C/6N" --bootstrap 4000 --json    '
    'scalinglab fit coverage counts.csv --model "Pythia 1B"'
)
COMPARED = (
    "Example: scalinglab compare coverage beta kumaraswamy counts.csv    "
    "scalinglab compare chinchilla kaplan results/testbed/ladder.csv --map N=non_embedding,D=tokens "
    "--hold-out largest-size    scalinglab compare saturating log-logistic counts.csv --up-to 16 --json"
)
NAMES = (
    "Of loss: chinchilla, kaplan, gadre. Of pass@k in N, D and k: t2, t2-beta; in C, at one k: compute-coverage. "
    "Of accuracy in k: coverage, saturating, log-logistic, drifting. "
    "Of counts, by likelihood: beta, scaled-beta, kumaraswamy."
)
_MAP = (
    "NAME=COLUMN by commas, for N, D, C, k, loss, accuracy; D=C/6N computes D from C and N, C=6ND the other way."
)
_GROUPS = (
    "A column: rows of one value are resampled together; none: every row is independent. "
    "Default: rows of one N together, and the points of one curve in k."
)
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A table (.csv, .parquet, .jsonl), or counts.")]
Columns = Annotated[str, typer.Option("--map", help=_MAP)]
Model = Annotated[str | None, typer.Option(help="The model, where the data are counts of several.")]
Groups = Annotated[str | None, typer.Option(help=_GROUPS)]
UpTo = Annotated[float | None, typer.Option(help="Fit to budgets k (or C) up to this, forecast those above.")]
HELD = "largest-size, largest-budget or last-checkpoints: what to leave out; repeatable; default all there are."


def fit(
    law: Annotated[str, typer.Argument(metavar="LAW", help=NAMES)],
    data: Data,
    columns: Columns = "",
    model: Model = None,
    groups: Groups = None,
    drop_highest: Annotated[int, typer.Option(min=0, help="Leave out so many rows of the highest outcome.")] = 0,
    scale: Annotated[bool, typer.Option("--scale", help="Fit the scale of the residuals too.")] = False,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples behind the intervals; 0 for none.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit a scaling law: parameters with 95 % intervals, and a status that says whether to trust them."""
    from scalinglab.fits import find_law
    from scalinglab.fits import fit as fitted

    chosen = find_law(law)
    points = _read(chosen, data, mapping(columns), model, groups)
    if drop_highest:
        points = _curve(points).without_highest(drop_highest)
    found = fitted(chosen, points, bootstrap=bootstrap, seed=seed, scale=scale)
    _print(found, as_json)


def compare(
    laws: Annotated[list[str], typer.Argument(metavar="LAW...", help=NAMES)],
    data: Data,
    columns: Columns = "",
    model: Model = None,
    hold_out: Annotated[list[str] | None, typer.Option(metavar="WHAT", help=HELD)] = None,
    up_to: UpTo = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples that are fitted to, of counts.")] = 0,
    as_json: Json = False,
) -> None:
    """Rank scaling laws by how well they forecast what they were not fitted to, with AICc beside it."""
    from scalinglab.fits import compare as ranked
    from scalinglab.fits import find_law

    chosen = [find_law(law) for law in laws]
    for law in chosen:
        if (law.inputs, law.outcome) != (chosen[0].inputs, chosen[0].outcome):
            apart = " and ".join(f"{one.name} (of {', '.join(one.inputs)})" for one in (chosen[0], law))
            raise DataError(f"laws {apart}", "laws of the same inputs and outcome", "compare these apart")
    points = _read(chosen[0], data, mapping(columns), model, None)
    found = ranked(chosen, points, hold_out=hold_out or (), up_to=up_to, seed=seed)
    _print_ranked(found, chosen[0], points, as_json)


def mapping(text: str) -> dict[str, str]:
    """NAME=COLUMN pairs; a column's name may hold anything but a comma."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for name, equals, column in pairs:
        if not (name.strip() and equals and column.strip()):
            raise DataError(f"--map {text!r}", "NAME=COLUMN pairs by commas", "give for example N=params,D=tokens")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _read(law: Law, data: Path, columns: dict[str, str], model: str | None, groups: str | None) -> Points | Counts:
    from scalinglab.fits import read_model_counts, read_points

    from_counts = law.inputs == ("k",) and not columns
    if from_counts:
        return read_model_counts(data, model=model)
    if model is not None:
        raise DataError(f"--model with law {law.name}", "it with counts of samples", "leave it out")
    return read_points(data, law, columns=columns, groups=groups)


def _curve(data: Points | Counts) -> Points:
    from scalinglab.fits import Points

    return data if isinstance(data, Points) else data.curve()


def _print(found: Fit, as_json: bool) -> None:
    from scalinglab.fits import document

    rows = [{"parameter": name, **asdict(estimate)} for name, estimate in found.parameters.items()]
    objective = "none" if found.objective is None else f"{found.objective:.8g}"
    notes = [
        f"{found.law.outcome} = {found.law.text}",
        f"status: {found.status}" + (f" ({found.why})" if found.why else ""),
        f"objective {objective} over {found.n} points; intervals: 95 %, bootstrap over {found.units} {found.unit}",
        f"source: {found.law.source}",
    ]
    print_rows(rows, document(found), as_json, notes)


def _print_ranked(found: list[Ranked], law: Law, data: Points | Counts, as_json: bool) -> None:
    unit = "accuracy points" if law.outcome == "accuracy" else "nats"
    document = {"unit": unit, "n": data.units, "laws": [one.document() for one in found]}
    rows = [
        {"law": one.law, "status": one.fit.status, "error": one.error, **one.errors, "aicc": one.aicc}
        for one in found
    ]
    notes = [
        f"error: mean absolute error in {unit} on what was left out of the fit; first their mean",
        "rows left out: " + ", ".join(f"{rows} ({name})" for name, rows in found[0].rows.items()),
        "aicc: of the fit to everything, by its squared residuals; lower is better; '-' where there is none",
    ]
    print_rows(rows, document, as_json, notes)
