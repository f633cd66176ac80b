"""The verb power: how many problems and samples a study needs, before it is paid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Case, Json, read_numbers, read_specs
from scalinglab.cli.render import print_notes, print_rows, print_said, print_table
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.advise import Outlay
    from scalinglab.evidence import Evidence
    from scalinglab.exchange import Outlook, Power
    from scalinglab.specs import ModelSpec

EXAMPLE = (
    "Example: scalinglab power study.toml pilot-run    "
    "scalinglab power --assume 0.3,0.6 --ratio 14 --problems 500 --samples 64"
)


@dataclass(frozen=True)
class _Planned:
    """What a study.toml says of the study to be: its size, its models' specs, and its folder."""

    problems: int | None = None
    samples: int | None = None
    specs: Mapping[str, ModelSpec] | None = None
    folder: Path | None = None


def power(
    case: Case,
    problems: Annotated[int | None, typer.Option(min=1, help="Of the study; default the study's, or 500.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Of the small model a problem; default the study's, or 64.")
    ] = None,
    assume: Annotated[
        str | None,
        typer.Option(metavar="P,P", help="In place of a pilot: accuracy of one answer, small and large."),
    ] = None,
    spread: Annotated[
        float | None, typer.Option(help="Of assumed difficulty: 0 all alike, 1 all or never.")
    ] = None,
    pairing: Annotated[
        float | None, typer.Option(help="Of the models' assumed difficulties: a correlation.")
    ] = None,
    chance: Annotated[float, typer.Option(help="The chance with which it should decide.")] = 0.8,
    gpus: Annotated[str, typer.Option(help="What runs it, such as 8xH100.")] = "H100 SXM",
    gpu_price: Annotated[float | None, typer.Option(help="Dollars an hour of the GPU.")] = None,
    sunk: Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights.")] = False,
    as_json: Json = False,
) -> None:
    """How wide the headline's interval will be, what it decides, and the cheapest study that does.

    DATA: a study.toml (its size and models), a pilot of a few problems (any evidence; the study's own run by
    default), or both.
    """
    from scalinglab import advise
    from scalinglab.exchange import power as forecast

    if not 0 < chance < 1:
        raise DataError(f"--chance {chance:g}", "a number between 0 and 1", "mend it")
    plan = _planned(case)
    if assume is None and (spread is not None or pairing is not None):
        raise DataError(
            "--spread or --pairing without --assume", "them beside assumed accuracies", "give --assume"
        )
    evidence = _pilot(case, plan) if assume is None else _assumed(case, plan, assume, spread, pairing)
    many, n = problems or plan.problems or 500, samples or plan.samples or 64
    found = forecast(
        evidence,
        samples=n,
        others=advise.samples_around(n),
        r=case.at(evidence),
        rules=case.rules(),
        bins=case.bins,
        sunk=sunk,
        assumed=assume is not None,
        seed=case.seed,
    )
    rule = case.rule()
    if rule.name in found.unpriced:
        why = found.unpriced[rule.name]
        raise DataError(f"no forecast under {rule.name!r} ({why})", "a rule that can price it", "choose another")
    told = (case.prompt, case.generate) != (None, None)
    options: dict[str, Any] = {"rule": rule, "gpus": advise.read_gpus(gpus), "hourly": gpu_price, "told": told}
    outlays = {one.samples: advise.outlay(evidence, one.samples, **options) for one in found.of(rule.name)}
    shown = advise.outlay(evidence, n, **options, sizes=case.ratio is None)
    return _print(
        _Told(
            found, rule.name, many, n, chance, outlays, shown, str(advise.read_gpus(gpus)), _notes(case, evidence)
        ),
        as_json,
    )


def _planned(case: Case) -> _Planned:
    """The study among the data, where there is one."""
    given = [path for path in case.data or () if path.suffix == ".toml"]
    if len(given) > 1:
        raise DataError(f"{len(given)} studies", "one", "ask about one at a time")
    if not given:
        return _Planned()
    from scalinglab.evidence import specs_in
    from scalinglab.study import opened_task, plan_of, read_study

    study = read_study(given[0])
    with opened_task(study) as task:
        plan = plan_of(study, task)
    own = [cell.budget for cell in plan.cells if (cell.strategy, cell.model) == ("parallel", "small")]
    return _Planned(len(plan.problems), max(own, default=None), specs_in(plan.models), Path(study.name))


def _pilot(case: Case, plan: _Planned) -> Evidence:
    data = [path for path in case.data or () if path.suffix != ".toml"]
    if not data and plan.folder is not None and plan.folder.is_dir():
        data = [plan.folder]
    if not data:
        raise DataError(
            "no pilot", "evidence of a few problems, or accuracies", "name a run or table, or --assume 0.3,0.6"
        )
    return replace(case, data=data).evidence()


def _assumed(case: Case, plan: _Planned, assume: str, spread: float | None, pairing: float | None) -> Evidence:
    from scalinglab.evidence import Tokens
    from scalinglab.exchange import PAIRING, SPREAD, assumed

    if any(path.suffix != ".toml" for path in case.data or ()):
        raise DataError("--assume beside a pilot", "one of them", "drop one")
    rates = read_numbers(assume, "--assume", float)
    if len(rates) != 2:
        raise DataError(f"--assume {assume}", "two accuracies: small,large", "mend it")
    names = case.small or "small", case.large or "large"
    own = {name: spec for name, spec in (plan.specs or {}).items() if name in names}
    specs = own | read_specs(case.spec) | replace(case, small=names[0], large=names[1]).by_ratio()
    wanted = {"prompt": case.prompt, "generated": case.generate}
    tokens = Tokens(**{name: value for name, value in wanted.items() if value is not None})
    return assumed(
        *rates, specs=specs, names=names, tokens=tokens,
        spread=SPREAD if spread is None else spread, pairing=PAIRING if pairing is None else pairing,
    )  # fmt: skip


@dataclass(frozen=True)
class _Told:
    """All that is printed."""

    found: Power
    rule: str
    problems: int
    samples: int
    chance: float
    outlays: Mapping[int, Outlay]
    shown: Outlay
    gpus: str
    notes: list[str]


def _print(told: _Told, as_json: bool) -> None:
    from scalinglab import advise

    found, rule = told.found, told.rule
    own = found.of(rule, told.samples)
    rows = [_row(told, one) for one in own]
    others = _others(told)
    sentence = advise.said(found, rule, told.problems, told.samples)
    if as_json:
        from scalinglab.report import rows as records

        splits = [
            {"R": one.r, "as_seen": seen} | ({} if split is None else asdict(split))
            for one in own
            for seen in (False, True)
            for split in [advise.cheapest(found, rule, one.r, told.outlays, chance=told.chance, as_seen=seen)]
        ]
        document = {
            "said": sentence, "small": found.small, "large": found.large, "convention": rule,
            "problems": told.problems, "samples": told.samples, "pilot": found.pilot,
            "rows": records(found.table(told.problems)), "splits": splits,
            "takes": told.shown.times(told.problems), "gpus": told.gpus, "unknown": dict(told.shown.unknown),
            "unpriced": found.unpriced, "notes": told.notes,
        }  # fmt: skip
        return print_rows([], document, as_json)
    print_said([f"{found.small} against {found.large}: {sentence}", _takes(told)])
    print_table(rows)
    if others:
        typer.echo("")
        heading = f"Chance of {told.problems:,} problems and {told.samples:,} samples under other rules:"
        print_table(others, heading=heading)
    typer.echo("")
    unknown = [f"{name.replace('_', ' ')} unknown: {why}" for name, why in told.shown.unknown.items()]
    return print_notes([*_reading(told), *told.notes, *unknown])


def _row(told: _Told, one: Outlook) -> dict[str, Any]:
    from scalinglab import advise
    from scalinglab.advise.split import percent

    many, known = told.problems, one.difference == one.difference
    splits = [
        advise.cheapest(told.found, told.rule, one.r, told.outlays, chance=told.chance, as_seen=seen)
        for seen in (False, True)
    ]
    split = [None if found is None else f"{found.problems:,} x {found.samples}" for found in splits]
    row: dict[str, Any] = {
        "R": f"{one.r:g}",
        "chance": percent(one.chance(many)),
        "likely": one.decided,
        "points": f"{100 * one.difference:+.1f} ± {100 * one.half_width(many):.1f}" if known else None,
        "k paid": one.k,
        "status": one.status,
        "cheapest": split[0] or "none",
    }
    if told.found.pilot is not None:
        row |= {"as seen": percent(one.chance(many, as_seen=True)), "cheapest as seen": split[1] or "none"}
    return row


def _others(told: _Told) -> list[dict[str, Any]]:
    """The chances under the other rules that can price it."""
    from scalinglab.advise.split import percent

    rules = dict.fromkeys(one.convention for one in told.found.outlooks if one.convention != told.rule)
    return [
        {"rule": name}
        | {f"R = {one.r:g}": percent(one.chance(told.problems)) for one in told.found.of(name, told.samples)}
        for name in rules
    ]


def _takes(told: _Told) -> str:
    """What the study takes, in a sentence."""
    found = told.shown.times(told.problems)

    def of(name: str, form: str) -> str:
        value = found[name]
        return "unknown" if value is None else format(value, form)

    parts = [
        f"{of('answers', ',.0f')} answers",
        f"tokens {of('tokens', '.3g')}",
        f"FLOPs {of('flops', '.3g')}",
        f"GPU hours ({told.gpus}) {of('gpu_hours', ',.3g')} at least",
        f"dollars {of('dollars', ',.3g')}",
    ]
    return f"It takes {', '.join(parts)}."


def _reading(told: _Told) -> list[str]:
    """How to read the table."""
    pilot = told.found.pilot
    found = [
        f"points: the likely difference, and half of its simultaneous 95 % interval; convention {told.rule}",
        "k paid: parallel samples that the budget at R buys; beyond those taken, status is a lower bound",
        f"cheapest: problems x samples with least FLOPs that decide with a chance of {100 * told.chance:g} %",
    ]
    if pilot is None:
        return [*found, "accuracies, spread and pairing are assumed: the chance is no better than they are"]
    found += [
        f"chance: over the differences that a pilot of {pilot:,} problems leaves possible; as seen: were it that "
        "of the pilot. Where no study reaches the chance, a larger pilot may",
    ]
    if pilot < 30:
        found.append(
            f"{pilot:,} problems tell little: not which side is ahead unless by far, nor how many are very hard "
            "or easy, and the width only to within about "
            f"{100 * 1.28 / (pilot - 1) ** 0.5:.0f} % in 8 cases of 10"
        )
    return found


def _notes(case: Case, evidence: Evidence) -> list[str]:
    """What the forecast rests on."""
    found = ["samples beyond the pilot's: its answers and scores again; searches and revisions as it ran them"]
    if evidence.run is None:
        found = [
            "counts say nothing of answers or verifiers: the small model's samples are chosen by a perfect one"
        ]
        if (case.prompt, case.generate) == (None, None):
            tokens = evidence.tokens
            found.append(
                f"FLOPs: {tokens.prompt} prompt and {tokens.generated} generated tokens a sample, assumed"
            )
    return [*found, f"difficulty bins: {case.bins}; FLOPs of inference alone"]
