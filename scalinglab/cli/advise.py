"""The verb advise: what to use for a target or a budget at a load, from a study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.exchange import Specs, read_numbers, read_specs
from scalinglab.cli.render import Json, Seed, print_rows

if TYPE_CHECKING:
    from scalinglab.advise import Advice, Number


def advise(
    study: Annotated[Path, typer.Option(help="The folder of a run of scalinglab collect.")],
    queries: Annotated[float, typer.Option(help="Queries to answer over the model's lifetime, such as 1e9.")],
    target: Annotated[float | None, typer.Option(help="The accuracy to reach, 0 to 1.")] = None,
    budget: Annotated[float | None, typer.Option(help="FLOPs for training and all queries.")] = None,
    difficulty: Annotated[
        str | None, typer.Option(help="Shares of easy to hard queries, by commas; default as the study's.")
    ] = None,
    sunk: Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights.")] = False,
    extrapolate: Annotated[bool, typer.Option("--extrapolate", help="Go beyond the measured budgets.")] = False,
    convention: Annotated[str, typer.Option(help="The accounting convention.")] = "exact",
    gpu: Annotated[
        str, typer.Option(help="The GPU for seconds: H100 SXM, H200, A100 80GB, L40S or L4.")
    ] = "H100 SXM",
    batch: Annotated[int, typer.Option(help="Sequences that decode together.")] = 64,
    price: Annotated[float | None, typer.Option(help="Dollars an hour of the GPU.")] = None,
    small: Annotated[str | None, typer.Option(help="The small model; default by its role.")] = None,
    large: Annotated[str | None, typer.Option(help="The large model; default by its role.")] = None,
    spec: Specs = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The cheapest model, strategy and budget for a target and a load, or the best within a budget."""
    from scalinglab import advise as advice
    from scalinglab.exchange import open_study, views
    from scalinglab.flops import convention as preset

    mix = None if difficulty is None else read_numbers(difficulty, "--difficulty", float)
    chip, data = advice.find_gpu(gpu), open_study(study, small=small, large=large, specs=read_specs(spec))
    found, _ = views(data, [preset(convention)], bins=len(mix or [1]), seed=seed, sunk=sunk)
    view = found[-1]
    told = advice.advise(
        view, data, queries=queries, target=target, budget=budget, mix=mix, extrapolate=extrapolate, seed=seed
    )  # fmt: skip
    options = [option for option in (told.best, told.second) if option is not None]
    costs = advice.costs_on(options, view.arms, data, chip, queries=queries, batch=batch, hourly=price)
    if as_json:
        print_rows([], asdict(told) | {"sunk": sunk, "hardware": [asdict(cost) for cost in costs]}, as_json)
        return
    _print(told, costs, sunk)


def _print(told: Advice, costs: list[Any], sunk: bool) -> None:
    from scalinglab.flops import CONVENTIONS

    wanted = f"{told.target:g} accuracy" if told.target is not None else f"the most within {told.budget:.3g} FLOPs"
    typer.echo(f"For {wanted} over {told.queries:.3g} queries:\n")
    rows = [
        {
            "": name,
            "model": option.model,
            "strategy": option.strategy,
            "k": option.k,
            "accuracy": _shown(option.accuracy),
            "FLOPs a query": _shown(option.flops),
            "training": option.training,
            "lifetime FLOPs": _shown(option.total),
            "best in": f"{option.right:.0%} of draws",
            "GPU seconds a query": cost.seconds,
            "dollars": cost.dollars,
        }
        for name, option, cost in zip(("best", "runner-up"), (told.best, told.second), costs, strict=False)
        if option is not None
    ]
    flips = [
        f"{side} {flip.queries:.3g} queries: {flip.model}, {flip.strategy}"
        for side, flip in (("below", told.below), ("above", told.above))
        if flip is not None
    ]
    held = told.validated
    validated = [] if held is None else [
        f"cross-validated, {held.folds} folds of problems: accuracy {held.accuracy:.4g} ({held.low:.4g} to "
        f"{held.high:.4g}) at {held.flops:.4g} FLOPs a query; {held.advised:.0%} of the choices found advice"
    ]  # fmt: skip
    notes = [
        *validated,
        f"the choice flips {'; '.join(flips)}"
        if flips
        else "the choice is the same at every load from 1e-6 to 1e6 times this",
        f"convention: {CONVENTIONS[told.convention]}",
        f"{told.problems} problems; pretraining {'sunk' if sunk else 'paid'}; training: exact where charged",
        *told.notes,
        f"seconds: roofline of {costs[0].gpu}, batch {costs[0].batch}, BF16: a lower bound, verifier included",
    ]
    print_rows(rows, None, False, notes)


def _shown(number: Number) -> str:
    return f"{number.value:.4g} ({number.low:.4g} to {number.high:.4g}) {number.how}"
