"""The verbs that say how large a model to train: cheapest over its lifetime, best for each training budget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scalinglab.cli.fit import Columns, mapping
from scalinglab.cli.options import Json
from scalinglab.cli.render import print_rows
from scalinglab.errors import DataError

CHEAPEST = (
    "Example: scalinglab cheapest --law chinchilla "
    "--parameters E=1.69,A=406.4,B=410.7,alpha=.336,beta=.283 --loss 1.947 --inference-tokens 2e12 --json"
)
ISOFLOP = (
    "Example: scalinglab isoflop runs.csv --map N=parameter_count,C=flops    "
    "scalinglab isoflop runs.csv --map N=params,D=tokens,C=6ND --json"
)


def cheapest(
    parameters: Annotated[str, typer.Option(help="The law's parameters: NAME=NUMBER by commas.")],
    loss: Annotated[float, typer.Option(help="The loss to reach, in nats a token.")],
    law: Annotated[str, typer.Option(help="chinchilla, or gadre with its one exponent alpha.")] = "chinchilla",
    inference_tokens: Annotated[
        float, typer.Option(help="Tokens that the model will read and write in its life.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """The model of least training and inference FLOPs at a loss (6ND + 2ND_inf), beside the Chinchilla-optimal."""
    from scalinglab.fits import find_law
    from scalinglab.laws import cheapest as found_by

    chosen, values = find_law(law), _numbers(parameters)
    found = found_by(values, loss=loss, inference_tokens=inference_tokens, law=chosen)
    trained = found_by(values, loss=loss, law=chosen)
    optimal = {"N": trained.N, "D": trained.D, "flops": trained.flops + 2 * trained.N * inference_tokens}
    document = {
        **asdict(found),
        "training_flops": 6 * found.N * found.D,
        "inference_flops": 2 * found.N * inference_tokens,
        "compute_optimal": optimal,
        "share": found.flops / optimal["flops"],
    }
    rows = [{"model": "cheapest", **asdict(found)}, {"model": "compute-optimal", **optimal}]
    notes = [
        f"{100 * document['share']:.3f} % of the FLOPs of the compute-optimal model, both over the same lifetime",
        "flops: 6 N D of training and 2 N a token of inference (Sardana et al. 2024)",
    ]
    print_rows(rows, document, as_json, notes)


def isoflop(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A table (.csv, .parquet, .jsonl): a run a row.")],
    columns: Columns = "",
    within: Annotated[float, typer.Option(help="Near: a factor of the best run's N.")] = 4.0,
    bootstrap: Annotated[
        int, typer.Option(min=100, help="Draws of the losses behind weights and intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """The best model size N of each training budget C, and the exponent of N in C, from runs of equal FLOPs."""
    from scalinglab.fits import isoflop as fitted
    from scalinglab.fits import read_runs

    found = fitted(read_runs(data, columns=mapping(columns)), within=within, bootstrap=bootstrap, seed=seed)
    rows = [
        {"C": one.C, "runs": one.runs, "near": one.near, "N": one.N.value, "low": one.N.low, "high": one.N.high}
        | {"weight": one.weight, "why": one.why}
        for one in found.budgets
    ]
    print_rows(rows, asdict(found), as_json, found.notes)


def _numbers(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        try:
            if not (name and equals):
                raise ValueError(part)
            found[name] = float(number)
        except ValueError:
            raise DataError(f"--parameters {part!r}", "NAME=NUMBER by commas", "give for example E=1.69") from None
    return found
