"""The verb advise: what to use for a target or a budget at a load, from any evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Case, Json, read_numbers
from scalinglab.cli.render import command, print_files, print_notes, print_rows, print_said, print_table
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.advise import Advice, Cost, Number, Option
    from scalinglab.evidence import Evidence
    from scalinglab.exchange import View

OPTIONS = tuple(one.name for one in fields(Case) if one.name != "queries")  # its own is one number
Prices = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL=INPUT/CACHED/OUTPUT[/THINKING]",
        help="What a server asks for a model, in dollars per million tokens; or a .toml file of them.",
    ),
]


def advise(
    case: Case,
    queries: Annotated[float, typer.Option(help="Queries to answer over the model's lifetime, such as 1e9.")],
    target: Annotated[float | None, typer.Option(help="The accuracy to reach, 0 to 1.")] = None,
    flops: Annotated[float | None, typer.Option(help="FLOPs for training and all queries.")] = None,
    difficulty: Annotated[
        str | None, typer.Option(help="Shares of easy to hard queries, by commas; default as in the data.")
    ] = None,
    sunk: Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights.")] = False,
    extrapolate: Annotated[bool, typer.Option("--extrapolate", help="Go beyond the measured budgets.")] = False,
    gpus: Annotated[str, typer.Option(help="The GPUs that answer, such as 8xH100, 4xB200 or MI300X.")] = "8xH100",
    batch: Annotated[int, typer.Option(min=1, help="Sequences that decode together on a replica.")] = 64,
    price: Annotated[float | None, typer.Option(help="Dollars an hour of one GPU.")] = None,
    latency: Annotated[
        float | None, typer.Option(help="Seconds an answer may take at most, by the roofline of these GPUs.")
    ] = None,
    prices: Prices = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write: figure, tables, a page.")] = None,
    as_json: Json = False,
) -> None:
    """The cheapest model, strategy and budget for a target and a load, or the best within FLOPs.

    Beside FLOPs: seconds and dollars of GPUs, seconds until an answer, and dollars at a server's prices.
    """
    from scalinglab import advise as advice
    from scalinglab.exchange import views

    if case.ratio is not None:
        raise DataError(
            "--ratio for advice", "sizes and training tokens: a load is a number of queries", "use --spec"
        )
    mix = None if difficulty is None else read_numbers(difficulty, "--difficulty", float)
    hardware, rates = advice.Hardware(advice.read_gpus(gpus), batch, price), advice.read_prices(prices or [])
    evidence, rule = case.evidence(), case.rule()
    bins = len(mix) if mix is not None else 1
    found, unpriced = views(evidence, case.rules(), bins=bins, strict=case.strict, seed=case.seed, sunk=sunk)
    within = None if latency is None else advice.waiting(found[0].arms, evidence, hardware, latency)
    asked: dict[str, Any] = {"queries": queries, "mix": mix, "within": within}
    told = {
        view.arms.convention: advice.tried(
            view, **asked, target=target, budget=flops, extrapolate=extrapolate, seed=case.seed
        )
        for view in found
    }
    best = told.pop(rule.name, unpriced.get(rule.name))
    if not isinstance(best, advice.Advice):
        raise best if isinstance(best, Exception) else _unpriced(rule.name, str(best))
    best = replace(best, notes=_grounded(best, evidence, found, sunk))
    others = {name: _short(one) for name, one in told.items()}
    options = [option for option in (best.best, best.second) if option is not None]
    view = next(view for view in found if view.arms.convention == rule.name)
    costs = advice.costs_on(options, view.arms, evidence, hardware, queries=queries, prices=rates)
    seconds = (
        f"seconds: roofline of {hardware.gpus}, batch {batch}, BF16, each model on the fewest GPUs that hold it, "
        "what they tell each other left out: lower bounds, verifier included; of an answer: its prompts at a "
        "replica's full speed, then a step of a full batch for each token in sequence "
        f"({hardware.gpus.gpu.source})"
    )
    notes = [*_about(best, sunk, _line(best, others), str(rule)), seconds]
    if out is not None:
        from scalinglab.report import advice_report

        made = advice_report(best, advice.offers(view, **asked), costs, notes, called=evidence.called)
        return print_files(made.write(out, command=command(), seed=case.seed), as_json, said=made.said)
    if as_json:
        document = asdict(best) | {"sunk": sunk, "hardware": [asdict(cost) for cost in costs], "others": others}
        return print_rows([], document | {"seconds": seconds, "unpriced": dict(unpriced)}, as_json)
    return _print(best, costs, notes, evidence)


def _grounded(best: Advice, evidence: Evidence, found: Sequence[View], sunk: bool) -> tuple[str, ...]:
    """The notes of advice, and what the numbers of the evidence rest on."""
    from scalinglab.exchange.notes import EVIDENCE, notes_of

    grounds = [note.text for note in notes_of(evidence, found, sunk=sunk) if note.topic == EVIDENCE]
    return tuple(dict.fromkeys([*best.notes, *grounds]))


def _unpriced(name: str, why: str) -> Exception:
    from scalinglab.errors import SpecError

    return SpecError(f"no advice under {name} ({why})", "a convention that can price the data", "choose another")


def _short(one: Any) -> str:
    if isinstance(one, Exception):
        return str(one).split(";")[0]
    return f"{one.best.model}, {one.best.strategy}, {one.best.plan()}"


def _line(best: Advice, others: dict[str, str]) -> str:
    """What other rules advise, in a line."""
    if not others:
        return "other rules: none can price these data"
    own = _short(best)
    by_advice: dict[str, list[str]] = {}
    for name, one in others.items():
        by_advice.setdefault("the same" if one == own else one, []).append(name)
    return "other rules: " + "; ".join(f"{', '.join(names)}: {one}" for one, names in by_advice.items())


def _about(told: Advice, sunk: bool, others: str, rule: str) -> list[str]:
    """What the advice rests on."""
    held = told.validated
    validated = [] if held is None else [
        f"cross-validated, {held.folds} folds of problems: at {held.flops:.4g} FLOPs a query; "
        f"{100 * held.advised:.0f} % of the choices found advice"
    ]  # fmt: skip
    return [
        *validated,
        f"convention: {rule}",
        others,
        f"pretraining {'sunk' if sunk else 'paid'}; training: exact where charged",
        *told.notes,
    ]


def _print(told: Advice, costs: Sequence[Cost], notes: Sequence[str], evidence: Evidence) -> None:
    """The advice in words; the two options side by side; what they take beside FLOPs; the notes."""
    from scalinglab.advise import advice_sentences, cost_sentences
    from scalinglab.report import cost_table, rows

    options = [option for option in (told.best, told.second) if option is not None]
    print_said((*advice_sentences(told, called=evidence.called), *cost_sentences(costs)))
    print_table(_aside([_option(option, evidence) for option in options]))
    beside = rows(cost_table(costs, evidence.called))
    shared = {"model", "run", "GPUs"}
    typer.echo("")
    print_table(
        _aside([{key: value for key, value in row.items() if key not in shared} for row in beside]),
        heading=f"Beside FLOPs, on {costs[0].gpus}:",
    )
    print_notes(notes)


def _aside(each: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column an option."""
    names = ("best", "runner-up")
    return [{"": key} | {name: one[key] for name, one in zip(names, each, strict=False)} for key in each[0]]


def _option(option: Option, evidence: Evidence) -> dict[str, str]:
    return {
        "model": evidence.called(option.model),
        "strategy": option.strategy,
        "run": option.plan(),
        "accuracy": _shown(option.accuracy),
        "FLOPs a query": _shown(option.flops),
        "training FLOPs": f"{option.training:.4g}",
        "lifetime FLOPs": _shown(option.total),
        "best in": f"{100 * option.right:.0f} % of draws",
    }


def _shown(number: Number) -> str:
    return f"{number.value:.4g} ({number.low:.4g} to {number.high:.4g}) {number.how}"
