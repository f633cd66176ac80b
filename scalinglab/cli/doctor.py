"""The verb that tells what a study finds on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Json
from scalinglab.cli.progress import starting, tell
from scalinglab.cli.render import print_rows
from scalinglab.cli.stopping import stoppable
from scalinglab.errors import EngineError

if TYPE_CHECKING:
    from scalinglab.study import Checkup

EXAMPLE = "Example: scalinglab doctor study.toml --price 4.50"


def doctor(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study: models, task, strategies.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each model is tried.")] = 10.0,
    price: Annotated[float | None, typer.Option(min=0, help="Of an hour of all that it runs on.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a study finds here: engine, device, memory, tokens/s, hours, cost, what is missing."""
    with stoppable("nothing was written") as stop:
        from scalinglab.study import check_up, read_study

        work = check_up(read_study(study), seconds=seconds, price=price, starting=starting, tell=tell)
        found = stop.run(work)
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
    else:
        _print(found)
    if found.missing:
        more = f" (and {len(found.missing) - 1} more)" if len(found.missing) > 1 else ""
        raise EngineError(found.missing[0] + more, "all that the study needs", "mend it and ask again")


def _print(found: Checkup) -> None:
    machine = found.machine
    gpus = ", ".join(f"{name} ({gib:g} GiB)" for name, gib in machine.gpus) or "no GPU"
    typer.echo(f"engine: {found.engine or 'vLLM is not installed'}")
    typer.echo(f"device: {gpus}; {machine.cores} cores, {machine.memory_gib:g} GiB\n")
    print_rows([{key: _shown(value) for key, value in row.items()} for row in found.models], None, False)
    notes = ["memory in GiB of each device, cache in KiB a token; sequences: of the longest context, at once"]
    for note in notes:
        typer.echo(f"  - {note}")
    if found.rates:
        typer.echo("")
        print_rows([{key: _shown(value) for key, value in row.items()} for row in found.rates], None, False)
    typer.echo(f"\n{_estimate(found)}")
    for title, lines in (("missing", found.missing), ("not tried", found.untried)):
        for line in lines:
            typer.echo(f"{title}: {line}")


def _estimate(found: Checkup) -> str:
    if found.hours is None:
        return f"{found.study}: hours and cost unknown"
    sizes = {"hours": found.hours, "minutes": found.hours * 60, "seconds": found.hours * 3600}
    said = next((f"{size:,.1f} {unit}" for unit, size in sizes.items() if size >= 2), "2 seconds or less")
    cost = "cost unknown (--price of an hour)" if found.cost is None else f"cost {found.cost:,.2f}"
    return f"{found.study}: about {said} at these rates, one model's work after the other's; {cost}"


def _shown(value: Any) -> Any:
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
