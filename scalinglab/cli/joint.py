"""The verb that says which size, training length and number of samples reach an accuracy at the least FLOPs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.fit import HELD
from scalinglab.cli.options import Case, Json, read_map, read_specs
from scalinglab.cli.render import print_rows

if TYPE_CHECKING:
    from scalinglab.evidence import Evidence, Tokens
    from scalinglab.fits import Answer, Cells

EXAMPLE = (
    "Example: scalinglab joint results/testbed/ladder.csv --map N=non_embedding --map D=tokens --generate 25 "
    "--queries 1e5 --target 0.6    scalinglab joint cells.csv --queries 1e9 --target 0.6 --runs N,D --json"
)
SHARED = ("data", "spec", "convention", "axes", "prompt", "generate", "seed", "mapping", "task")
_RUNS = (
    "Columns that tell training runs apart, by commas: rows of one run are resampled together. N,D where each was "
    "trained on its own."
)


def joint(
    case: Case,
    queries: Annotated[float, typer.Option(help="Queries that the model will answer in its life.")],
    target: Annotated[float, typer.Option(help="The accuracy to reach, between 0 and 1.")],
    runs: Annotated[str, typer.Option(help=_RUNS)] = "N",
    hold_out: Annotated[list[str] | None, typer.Option(metavar="WHAT", help=HELD)] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples behind the intervals; 0 for none.")] = 1000,
    as_json: Json = False,
) -> None:
    """Which N, D and k cost least over a lifetime at an accuracy, by T^2 fitted to accuracy at many N, D and k.

    DATA: a table of N, D (or model with --spec), k and accuracy, and n, the problems behind a row; or with columns
    pass@1, pass@4 ... in place of k and accuracy; or counts or samples of several models with --spec.
    """
    from scalinglab.fits import joint as answered
    from scalinglab.fits import lifetime

    rule = case.rule()
    cells, tokens, told = _read(case, runs.split(","), rule.parameters == "non-embedding")
    life = lifetime(target, queries, rule, prompt=tokens.prompt, generated=tokens.generated)
    found = answered(cells, life, hold_out=hold_out or (), bootstrap=bootstrap, seed=case.seed)
    said = list(_first(found[0]))
    notes = [
        f"N (training D + queries (once + each k)) FLOPs: {life.training:g}, {life.once:g} and {life.each:g} "
        f"under {rule}",
        "pass@k is a perfect verifier's, whom nobody pays; rules that count attention need a shape: no N has one",
        f"an answer reads {tokens.prompt} tokens and writes {tokens.generated}, {told}",
        *_notes(found, cells),
    ]
    document = {"target": target, "queries": queries, "convention": str(rule), "tokens": vars(tokens)}
    document |= {"laws": [one.document() for one in found], "notes": [*said, *notes]}
    print_rows(list(_rows(found)), document, as_json, notes, said=said)


def _read(case: Case, runs: Sequence[str], non_embedding: bool) -> tuple[Cells, Tokens, str]:
    """The cells of the data, the tokens of an answer, and who says so."""
    from scalinglab.evidence import Tokens
    from scalinglab.fits import cells_in, cells_of, is_cells
    from scalinglab.samples import is_run, opened

    sources = case.sources()
    first = sources[0]
    how: dict[str, Any] = {"runs": runs, "non_embedding": non_embedding}
    if len(sources) == 1 and not (isinstance(first, Path) and is_run(first)):
        frame, _ = opened(first, read_map(case.mapping))
        if is_cells(frame):
            given = {"prompt": case.prompt, "generated": case.generate}
            tokens = Tokens(**{name: value for name, value in given.items() if value is not None})
            cells = cells_in(frame, specs=read_specs(case.spec), task=case.task, **how)
            return cells, tokens, "taken to be so (--prompt, --generate)"
    evidence = case.evidence(sources)
    return cells_of(evidence, **how), *_tokens(evidence)


def _tokens(evidence: Evidence) -> tuple[Tokens, str]:
    """The mean tokens of one answer over the models, and where they are from."""
    from scalinglab.evidence import Tokens

    each = [evidence.tokens_of(model) for model in evidence.models()]
    mean = Tokens(
        *(round(sum(numbers) / len(each)) for numbers in zip(*(vars(t).values() for t in each), strict=True))
    )
    if not any(map(evidence.recorded, evidence.models())):
        return mean, "taken to be so (--prompt, --generate)"
    written = [one.generated for one in each]
    return mean, f"the mean over models, which write {min(written)} to {max(written)}"


def _rows(found: Sequence[Answer]) -> Iterator[dict[str, Any]]:
    """A row a law and choice, each number with the ends of its interval."""
    from scalinglab.fits.joint import NUMBERS

    for answer in found:
        law = answer.ranked.law
        if not answer.choices:
            yield {"law": law, "choice": answer.ranked.fit.status}
        for choice in answer.choices:
            row: dict[str, Any] = {"law": law, "choice": choice.name}
            for name in NUMBERS:
                row[name] = _shown(**asdict(getattr(choice, name)))
            yield row | {"outside": ", ".join(choice.outside)}


def _shown(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    if low is None and high is None:
        return f"{value:.4g}"
    ends = (f"{low:.3g} " if low is not None else "", f" {high:.3g}" if high is not None else "")
    return f"{value:.4g} ({ends[0]}to{ends[1]})"


def _first(answer: Answer) -> Iterator[str]:
    """The answer in a sentence, by the law that forecasts best."""
    from scalinglab.fits.joint import AWARE, CHINCHILLA, JOINT, MEASURED

    named = {choice.name: choice for choice in answer.choices}
    if not named or named[JOINT].N.value is None:
        yield f"{answer.ranked.law}: no N, D and k are known to reach the target"
        return
    best = named[JOINT]
    where = f"extrapolated: {', '.join(best.outside)}" if best.outside else "within what was measured"
    yield (
        f"{answer.ranked.law}: N = {_shown(**asdict(best.N))}, D = {_shown(**asdict(best.D))} and "
        f"k = {_shown(**asdict(best.k))} cost least, {_shown(**asdict(best.flops))} FLOPs ({where})"
    )
    for name in (MEASURED, AWARE, CHINCHILLA):
        one = named[name]
        times = _shown(**asdict(one.times))
        yield f"{name}: " + (", ".join(one.outside) if one.N.value is None else f"{times} times these FLOPs")


def _notes(found: Sequence[Answer], cells: Cells) -> Iterator[str]:
    for answer in found:
        fit, choices = answer.ranked.fit, answer.choices
        yield f"{fit.law.name}: {fit.law.text}; {fit.status}" + (f" ({fit.why})" if fit.why else "")
        yield f"{fit.law.name} forecasts what was left out of it: {_errors(answer)}"
        for choice in choices:
            if choice.missed and choice.N.value is not None:
                share = f"{100 * choice.missed:.1f} % of resamples do not reach the target"
                yield f"{fit.law.name}, {choice.name}: {share}"
    nearest = ", ".join(f"{name} {error:.3g}" for name, error in found[0].nearest.items())
    yield f"the nearest cell that was not left out, in its place: {nearest} points"
    inputs = cells.points.inputs
    measured = ", ".join(f"{name} {values.min():g} to {values.max():g}" for name, values in inputs.items())
    yield f"measured: {measured}; what lies outside is extrapolated, and no more than the law's guess"
    noise = cells.noise[cells.noise == cells.noise]
    if len(noise):
        yield f"sampled problems leave each cell's accuracy a standard error of {100 * noise.mean():.2g} points"
    fit = found[0].ranked.fit
    if fit.draws is not None:
        yield f"intervals: 95 %, bootstrap over {fit.units} {fit.unit}; a missing end lies beyond the search"
    yield from cells.notes


def _errors(answer: Answer) -> str:
    """Of each split, the mean absolute error and the rows left out."""
    ranked = answer.ranked
    each = (
        f"{name} {'-' if error is None else f'{error:.3g} points'} ({ranked.rows[name]} cells)"
        for name, error in ranked.errors.items()
    )
    return "mean absolute error " + ", ".join(each)
