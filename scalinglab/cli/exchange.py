"""The verbs exchange, curve and report: what the data say, as a table, lines, or a folder of figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Case, Json, read_numbers
from scalinglab.cli.render import command, print_files, print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.evidence import Evidence
    from scalinglab.exchange import Comparison

Selector = Annotated[
    str | None, typer.Option(help="Show only lines chosen by this: coverage, majority, weighted ...")
]
Sunk = Annotated[bool, typer.Option("--sunk", help="Nobody pays pretraining, as with open weights.")]
Thinking = Annotated[bool, typer.Option("--thinking", help="The large model at each of its own budgets too.")]
Weak = Annotated[str | None, typer.Option(help="How good must this verifier be: random, noisy and clean scores.")]
Sizes = Annotated[
    str | None,
    typer.Option(metavar="K", help="By what factor pretraining must grow to match k samples, by commas."),
]


def exchange(
    case: Case,
    selector: Selector = None,
    sunk: Sunk = False,
    thinking: Thinking = False,
    weak_verifier: Weak = None,
    sizes: Sizes = None,
    as_json: Json = False,
) -> None:
    """Small model with test-time compute against the large one: a verdict per difficulty bin and R.

    The compute-optimal strategy first, then every way in which the data answered, at what it cost, and where it
    breaks even.
    """
    from scalinglab.exchange import unchosen

    if sizes is not None:
        return _sizes(case, sizes, selector or "coverage", as_json)
    evidence = case.evidence()
    if len(evidence.tasks()) > 1:
        return _tasks(case, evidence, as_json, sunk=sunk, thinking=thinking, weak=weak_verifier)
    found = compared(case, evidence, sunk=sunk, thinking=thinking, weak=weak_verifier)
    shown, even = found.verdicts, found.breakeven
    if selector is not None:
        shown, even = (frame[frame["selector"] == selector] for frame in (shown, even))
    if shown.empty:
        raise unchosen(evidence, [found.small], str(selector))
    return _print(found, shown, even, case, as_json)


def compared(case: Case, evidence: Evidence, **options: Any) -> Comparison:
    """The comparison that a command line asks for."""
    from scalinglab.exchange import compare

    found = compare(
        evidence,
        r=case.at(),
        rules=case.rules(),
        bins=case.bins,
        strict=case.strict,
        seed=case.seed,
        **options,
    )
    return found if case.ratio is None else _by_ratio(found, case.ratio)


def _by_ratio(found: Comparison, ratio: float) -> Comparison:
    """What was priced by a ratio alone: no tokens are known, and so no number of queries."""
    told = f"M = {ratio:g} (--ratio): both are taken to have been trained on as many tokens"
    notes = [told if note.startswith("training tokens D:") else note for note in found.notes]
    unknown = dict.fromkeys((name for name in found.breakeven.columns if name.startswith("queries")), float("nan"))
    return replace(found, notes=tuple(notes), breakeven=found.breakeven.assign(**unknown))


def _tasks(case: Case, evidence: Evidence, as_json: bool, **options: Any) -> None:
    """A verdict a task, and one over all of them."""
    from scalinglab.exchange import over_tasks, shared_tasks, verdict_table
    from scalinglab.report import Section, rows

    found = {task: compared(case, evidence.of_task(task), **options) for task in shared_tasks(evidence)}
    over = over_tasks(found)
    if as_json:
        each = {task: _document(one, one.verdicts, one.breakeven, case) for task, one in found.items()}
        return print_rows([], {"tasks": each, "over": rows(over)}, as_json)
    for task, one in found.items():
        typer.echo(f"Task {task}\n")
        _print(one, one.verdicts, one.breakeven, case, as_json)
        typer.echo("")
    name = shown_rule(next(iter(found.values())), case.rule().name)
    heading = f"Over {len(found)} tasks, each weighing the same: accuracy points (95 %), verdict"
    left = sorted(set(evidence.tasks()) - set(found))
    notes = [f"left out, as one of the two did not answer them: {', '.join(left)}"] if left else []
    notes += ["problems are not pooled: means over tasks of the rows above, intervals over each task's problems"]
    return typer.echo(Section("over", heading, notes, verdict_table(over.assign(bin="all"), name)).text())


def _document(found: Comparison, shown: pd.DataFrame, even: pd.DataFrame, case: Case) -> dict[str, Any]:
    from scalinglab.exchange import sensitivity
    from scalinglab.report import rows

    document = {"small": found.small, "large": found.large, "convention": str(case.rule()), "rows": rows(shown)}
    document |= {"breakeven": rows(even), "sensitivity": rows(sensitivity(shown))}
    return document | {"unpriced": dict(found.unpriced), "notes": list(found.notes)}


def _print(found: Comparison, shown: pd.DataFrame, even: pd.DataFrame, case: Case, as_json: bool) -> None:
    from scalinglab.exchange import breakeven_table, sensitivity, verdict_table
    from scalinglab.report import Section

    flips, rule = sensitivity(shown), case.rule()
    name = shown_rule(found, rule.name)
    if as_json:
        return print_rows([], _document(found, shown, even, case), as_json)
    heading = f"{found.small} with test-time compute against {found.large}: accuracy points (95 %), verdict"
    ends = "within the R that the measured budgets stand for; an end that is missing lies beyond them"
    left_out = [f"{unpriced} left out: {reason}" for unpriced, reason in found.unpriced.items()]
    notes = [f"convention: {found.view(name).convention}", others(flips, name), *found.notes, *left_out]
    sections = [
        Section("verdicts", heading, notes, verdict_table(shown, name)),
        Section("breakeven", "Break-even R (95 %)", [ends], breakeven_table(even, name)),
    ]
    return typer.echo("\n\n".join(section.text() for section in sections))


def shown_rule(found: Comparison, name: str) -> str:
    """The convention that is shown: the one asked for. Raises DataError where it cannot price the data."""
    if name in found.unpriced:
        known = ", ".join(view.arms.convention for view in found.views)
        raise DataError(f"no verdict under {name!r} ({found.unpriced[name]})", f"one of {known}", "choose another")
    return name


def others(flips: pd.DataFrame, name: str) -> str:
    """What other rules would say of the verdicts under this one, in a line."""
    rules = [rule for rule in flips.columns if rule not in ("strategy", "bin", "R", "flips")]
    count, of = int(flips["flips"].sum()), len(flips)
    differ = [f"{rule} {int((flips[rule] != flips[name]).sum())}" for rule in rules if rule != name]
    if not differ:
        return "other rules: none can price these data"
    listed = ", ".join(differ)
    return f"other rules: {count} of {of} verdicts flip among all; against {name} differ: {listed} (--json)"


def _sizes(case: Case, k: str, selector: str, as_json: bool) -> None:
    from scalinglab.exchange import sizes_of
    from scalinglab.report import rows

    budgets = read_numbers(k, "--sizes", int)
    table, notes = sizes_of(case.evidence(), k=budgets, rule=case.rule(), selector=selector, seed=case.seed)
    print_rows(rows(table), {"rows": rows(table), "notes": notes}, as_json, notes)


def curve(
    case: Case,
    selector: Annotated[
        str,
        typer.Option(help="coverage, majority, best-of-n, weighted; think: an answer at each effort."),
    ] = "coverage",
    k: Annotated[str | None, typer.Option("--k", help="Budgets, by commas; default powers of two.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model of the data; default all.")] = None,
    as_json: Json = False,
) -> None:
    """Accuracy of parallel samples at each budget with its 95 % interval, and FLOPs per query beside it."""
    from scalinglab.exchange import curves
    from scalinglab.report import rows

    budgets = None if k is None else read_numbers(k, "--k", int)
    table, notes = curves(
        case.evidence(), models=model, selector=selector, k=budgets, rule=case.rule(), seed=case.seed
    )
    print_rows(rows(table), {"rows": rows(table), "notes": notes}, as_json, notes)


def report(
    case: Case,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    sunk: Sunk = False,
    thinking: Thinking = False,
    as_json: Json = False,
) -> None:
    """Write the comparison as figures, tables, one HTML page and a manifest."""
    from scalinglab.exchange import choose
    from scalinglab.report import comparison_report

    evidence = case.evidence()
    found = compared(case, evidence, sunk=sunk, thinking=thinking)
    name = shown_rule(found, case.rule().name)
    optimal = choose(evidence, rule=case.rule(), bins=case.bins, seed=case.seed, view=found.view(name))
    made = comparison_report(found, name, optimal=optimal)
    print_files(made.write(out, command=command(), seed=case.seed), as_json)
