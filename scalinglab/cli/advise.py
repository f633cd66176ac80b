"""The verb advise: what to use for a target or a budget at a load, from any evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Case, Json, read_numbers
from scalinglab.cli.render import print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.advise import Advice, Number, Option
    from scalinglab.evidence import Evidence
    from scalinglab.exchange import View


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
    gpu: Annotated[
        str, typer.Option(help="The GPU for seconds: H100 SXM, H200, A100 80GB, L40S or L4.")
    ] = "H100 SXM",
    batch: Annotated[int, typer.Option(help="Sequences that decode together.")] = 64,
    price: Annotated[float | None, typer.Option(help="Dollars an hour of the GPU.")] = None,
    as_json: Json = False,
) -> None:
    """The cheapest model, strategy and budget for a target and a load, or the best within FLOPs."""
    from scalinglab import advise as advice
    from scalinglab.errors import SpecError
    from scalinglab.exchange import views

    if case.ratio is not None:
        raise DataError(
            "--ratio for advice", "sizes and training tokens: a load is a number of queries", "use --spec"
        )
    mix = None if difficulty is None else read_numbers(difficulty, "--difficulty", float)
    chip, evidence, rule = advice.find_gpu(gpu), case.evidence(), case.rule()
    bins = len(mix) if mix is not None else 1
    found, unpriced = views(evidence, case.rules(), bins=bins, strict=case.strict, seed=case.seed, sunk=sunk)
    asked = {"queries": queries, "target": target, "budget": flops, "mix": mix, "extrapolate": extrapolate}
    told = {view.arms.convention: advice.tried(view, seed=case.seed, **asked) for view in found}
    best = told.pop(rule.name, unpriced.get(rule.name))
    if not isinstance(best, advice.Advice):
        raise best if isinstance(best, Exception) else _unpriced(rule.name, str(best))
    best = replace(best, notes=_grounded(best, evidence, found, sunk))
    others = {name: _short(one) for name, one in told.items()}
    options = [option for option in (best.best, best.second) if option is not None]
    view = next(view for view in found if view.arms.convention == rule.name)
    try:
        costs = advice.costs_on(options, view.arms, evidence, chip, queries=queries, batch=batch, hourly=price)
        seconds = f"seconds: roofline of {chip.name}, batch {batch}, BF16: a lower bound, verifier included"
    except SpecError as error:  # of a model whose shape is unknown
        costs, seconds = [], f"seconds: unknown ({error})"
    if as_json:
        document = asdict(best) | {"sunk": sunk, "hardware": [asdict(cost) for cost in costs], "others": others}
        return print_rows([], document | {"seconds": seconds, "unpriced": dict(unpriced)}, as_json)
    return _print(best, costs, [*_about(best, sunk, _line(best, others), str(rule)), seconds], evidence)


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


def _print(told: Advice, costs: list[Any], notes: Sequence[str], evidence: Evidence) -> None:
    """The advice in words; the two options side by side; the notes."""
    from scalinglab.advise import advice_sentences

    options = [option for option in (told.best, told.second) if option is not None]
    each = [_option(option, cost, evidence) for option, cost in zip_longest(options, costs)]
    names = ("best", "runner-up")
    rows = [{"": key} | {name: one[key] for name, one in zip(names, each, strict=False)} for key in each[0]]
    print_rows(rows, None, False, notes, said=advice_sentences(told, called=evidence.called))


def _option(option: Option, cost: Any, evidence: Evidence) -> dict[str, str]:
    seconds, dollars = (None, None) if cost is None else (cost.seconds, cost.dollars)
    return {
        "model": evidence.called(option.model),
        "strategy": option.strategy,
        "run": option.plan(),
        "accuracy": _shown(option.accuracy),
        "FLOPs a query": _shown(option.flops),
        "training FLOPs": f"{option.training:.4g}",
        "lifetime FLOPs": _shown(option.total),
        "best in": f"{100 * option.right:.0f} % of draws",
        "GPU seconds a query": "-" if seconds is None else f"{seconds:.4g}",
        "dollars": "-" if dollars is None else f"{dollars:.4g}",
    }


def _shown(number: Number) -> str:
    return f"{number.value:.4g} ({number.low:.4g} to {number.high:.4g}) {number.how}"
