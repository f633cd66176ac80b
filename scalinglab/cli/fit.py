"""The verb that fits a law."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.render import Json, print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.fits import Counts, Fit, Points
    from scalinglab.laws import Law

EXAMPLE = (
    "Example: scalinglab fit chinchilla results/testbed/ladder.csv --map N=non_embedding,D=tokens    "
    'scalinglab fit chinchilla points.csv --map "N=Model Size,C=Training FLOP,D=C/6N" --bootstrap 4000 --json    '
    'scalinglab fit coverage counts.csv --model "Pythia 1B"'
)
NAMES = (
    "Of loss: chinchilla, kaplan. Of pass@k in N, D and k: t2, t2-beta; in C, at one k: compute-coverage. "
    "Of accuracy in k: coverage, saturating, log-logistic, drifting. "
    "Of counts, by likelihood: beta, scaled-beta, kumaraswamy."
)
_MAP = (
    "NAME=COLUMN by commas, for N, D, C, k, loss, accuracy; D=C/6N computes D from C and N, C=6ND the other way."
)


def fit(
    law: Annotated[str, typer.Argument(metavar="LAW", help=NAMES)],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A table (.csv, .parquet, .jsonl), or counts.")],
    columns: Annotated[str, typer.Option("--map", help=_MAP)] = "",
    model: Annotated[str | None, typer.Option(help="The model, where the data are counts of several.")] = None,
    groups: Annotated[str | None, typer.Option(help="A column: rows of one value are resampled together.")] = None,
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
    points = _read(chosen, data, _mapping(columns), model, groups)
    if drop_highest:
        points = _curve(points).without_highest(drop_highest)
    found = fitted(chosen, points, bootstrap=bootstrap, seed=seed, scale=scale)
    _print(found, points, as_json)


def _mapping(text: str) -> dict[str, str]:
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


def _print(found: Fit, data: Points | Counts, as_json: bool) -> None:
    document: dict[str, Any] = {
        "law": found.law.name,
        "formula": found.law.text,
        "status": found.status,
        "why": found.why,
        "objective": found.objective,
        "n": found.n,
        "resampled": f"{found.units} {data.unit}",
        "parameters": {name: asdict(estimate) for name, estimate in found.parameters.items()},
    }
    rows = [{"parameter": name, **asdict(estimate)} for name, estimate in found.parameters.items()]
    objective = "none" if found.objective is None else f"{found.objective:.8g}"
    notes = [
        f"{found.law.outcome} = {found.law.text}",
        f"status: {found.status}" + (f" ({found.why})" if found.why else ""),
        f"objective {objective} over {found.n} points; intervals: 95 %, bootstrap over {found.units} {data.unit}",
        f"source: {found.law.source}",
    ]
    print_rows([{k: "-" if v is None else v for k, v in row.items()} for row in rows], document, as_json, notes)
