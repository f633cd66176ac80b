"""The verbs exchange, curve and report: what the data say, as a table, lines, or a folder of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Case, Formats, Json, Latex, Width, read_figures, read_numbers
from scalinglab.cli.render import (
    behind,
    command,
    print_files,
    print_notes,
    print_rows,
    print_said,
    print_table,
    writable,
)
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
_ALONE = "single arms are exploratory"
All = Annotated[
    bool, typer.Option("--all", help="Every arm, bin and R, break-evens, and how the numbers are to be read.")
]


def exchange(
    case: Case,
    selector: Selector = None,
    sunk: Sunk = False,
    thinking: Thinking = False,
    weak_verifier: Weak = None,
    sizes: Sizes = None,
    whole: All = False,
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
        return _tasks(case, evidence, whole, as_json, sunk=sunk, thinking=thinking, weak=weak_verifier)
    found = compared(case, evidence, sunk=sunk, thinking=thinking, weak=weak_verifier)
    shown, even = found.verdicts, found.breakeven
    if selector is not None:
        shown, even = (frame[frame["selector"] == selector] for frame in (shown, even))
    if shown.empty:
        raise unchosen(evidence, [found.small], str(selector))
    name = shown_rule(found, case.rule().name)
    if as_json:
        return print_rows([], _document(found, shown, even, case), as_json)
    return _print(found, shown, even, name, whole)


def compared(case: Case, evidence: Evidence, *, r: Sequence[float] | None = None, **options: Any) -> Comparison:
    """The comparison that a command line asks for; at these values of R where they are known already."""
    from scalinglab.exchange import compare

    found = compare(
        evidence,
        r=case.at(evidence) if r is None else r,
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


def _tasks(case: Case, evidence: Evidence, whole: bool, as_json: bool, **options: Any) -> None:
    """A verdict a task, and one over all of them."""
    from scalinglab.exchange import over_tasks, shared_tasks, task_sentences
    from scalinglab.report import rows

    options |= {"r": case.at(evidence)}  # one load for all: a query's tokens are a mean over the tasks
    found = {task: compared(case, evidence.of_task(task), **options) for task in shared_tasks(evidence)}
    over = over_tasks(found)
    if as_json:
        each = {task: _document(one, one.verdicts, one.breakeven, case) for task, one in found.items()}
        return print_rows([], {"tasks": each, "over": rows(over)}, as_json)
    name = shown_rule(next(iter(found.values())), case.rule().name)
    print_said(task_sentences(found, over, name))
    here = over[over["convention"] == name]
    print_table(verdict_rows(here), heading=f"Over {len(found)} tasks, each weighing the same")
    left = sorted(set(evidence.tasks()) - set(found))
    print_notes([f"left out, as one of the two did not answer them: {', '.join(left)}"] if left else [])
    print_notes(["problems are not pooled: means over tasks of their rows, intervals over each task's problems"])
    for task, one in found.items():
        typer.echo(f"\nTask {task}\n")
        _print(one, one.verdicts, one.breakeven, name, whole)
    return None


def _document(found: Comparison, shown: pd.DataFrame, even: pd.DataFrame, case: Case) -> dict[str, Any]:
    from scalinglab.exchange import sensitivity
    from scalinglab.report import rows

    document = {"small": found.small, "large": found.large, "convention": str(case.rule()), "rows": rows(shown)}
    document |= {"breakeven": rows(even), "sensitivity": rows(sensitivity(shown))}
    return document | {"unpriced": dict(found.unpriced), "notes": list(found.notes)}


def _print(found: Comparison, shown: pd.DataFrame, even: pd.DataFrame, name: str, whole: bool) -> None:
    """The verdict in words, then as a table, its headline first; with ``whole`` every row, and break-evens."""
    from scalinglab.exchange import breakeven_table, headlines, lasting, sensitivity, sentences
    from scalinglab.report import rows

    print_said(sentences(found, name))
    here = shown[shown["convention"] == name]
    told = here if whole else headlines(here)
    pair = f"{found.called(found.small)} less {found.called(found.large)}"
    print_table(verdict_rows(told), heading=f"{pair}, in accuracy points, under {name}:")
    if len(told) < len(here):
        print_notes([f"{len(told)} of {len(here)} verdicts (--all: every arm, bin and R, break-evens); {_ALONE}"])
    print_notes(behind(found.names))
    left_out = [f"{unpriced} left out: {reason}" for unpriced, reason in found.unpriced.items()]
    if not whole:
        return print_notes([*lasting(found.notes), *left_out])
    rule = f"convention: {found.view(name).convention}"
    print_notes([rule, others(sensitivity(shown), name), *found.notes, *left_out])
    typer.echo("")
    print_table(rows(breakeven_table(even, name)), heading="Break-even R (95 %):")
    return print_notes(["within the R that the measured budgets stand for; a missing end lies beyond them"])


def verdict_rows(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of verdicts for a terminal: the verdict first, then in accuracy points, where and by what."""
    from scalinglab.exchange import difference

    several = len(verdicts["against"].unique()) > 1
    return [
        {"verdict": row["verdict"].split(" measured")[0], "points (95 %)": difference(row), "R": f"{row['R']:g}"}
        | ({"bin": row["bin"]} if "bin" in row else {})
        | {"arm": row["strategy"]}
        | ({"against": row["against"]} if several else {})
        for row in verdicts.to_dict("records")
    ]


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
    formats: Formats = "png",
    width: Width = None,
    latex: Latex = False,
    as_json: Json = False,
) -> None:
    """Write the comparison as figures, tables, one HTML page and a manifest."""
    from scalinglab.exchange import choose, what_if
    from scalinglab.report import comparison_report

    writable(out)
    output = read_figures(formats, width, latex)
    evidence = case.evidence()
    found = compared(case, evidence, sunk=sunk, thinking=thinking)
    name = shown_rule(found, case.rule().name)
    optimal = choose(evidence, rule=case.rule(), bins=case.bins, seed=case.seed, view=found.view(name))
    asked = what_if(
        evidence, case.rule(), r=case.at(), bins=case.bins, sunk=sunk, strict=case.strict, seed=case.seed
    )
    asked = replace(asked, counted=case.ratio is None)
    made = comparison_report(found, name, optimal=optimal, evidence=evidence, asked=asked)
    told = {"output": output, **_collected(case.data)}
    print_files(made.write(out, command=command(), seed=case.seed, **told), as_json, said=made.said)


def _collected(sources: Sequence[Path]) -> dict[str, Any]:
    """What collected the runs among the data, for manifests."""
    from scalinglab.study import read_collected

    found = [one for source in sources if source.is_dir() for one in read_collected(source)]
    return {"collected": found} if found else {}
