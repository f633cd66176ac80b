"""The options that verbs share, once: a verb that compares takes a ``Case``, whose options join its own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from scalinglab.cli.terminal import waiting
from scalinglab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.evidence import Evidence
    from scalinglab.flops import Convention
    from scalinglab.plots import Output
    from scalinglab.specs import ModelSpec

Number = TypeVar("Number", int, float)
Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Counts or samples (.csv, .parquet, .jsonl; - for standard input), or a run's folder; several are "
        "compared on the problems that they share.",
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="NAME=COLUMN", help="Our name of a column, and a table's: correct=exact_match."),
]
Small = Annotated[str | None, typer.Option(help="The small model, as the data name it; default by its role.")]
Large = Annotated[str | None, typer.Option(help="The large model, as the data name it; default by its role.")]
Specs = Annotated[
    list[str] | None,
    typer.Option(
        "--spec",
        metavar="MODEL=WHAT[@TOKENS]",
        help="What prices a model of the data: a catalogue name, a config.json, or its parameters (7e9; "
        "active/total 37e9/671e9); @TOKENS it was trained on.",
    ),
]
OneTask = Annotated[str | None, typer.Option("--task", help="One of several tasks of the data.")]
Ratio = Annotated[
    float | None, typer.Option(help="In place of specs: the large model costs so many times the small one's.")
]
Rule = Annotated[str, typer.Option("--convention", help="The accounting convention that is shown.")]
With = Annotated[
    str | None,
    typer.Option(
        "--with", metavar="AXES", help="Axes over the convention: tuning,difficulty,verifier=both,no-tuning."
    ),
]
Rs = Annotated[str, typer.Option("--r", help="Values of R = D_inference / D_pretrain, by commas.")]
Queries = Annotated[
    str | None,
    typer.Option(help="In place of R: numbers of queries over the lifetime, by commas, such as 1e9,1e10."),
]
Bins = Annotated[int, typer.Option(help="Difficulty bins; 1 for none.")]
Prompt = Annotated[int | None, typer.Option(help="Prompt tokens of a sample, where none are recorded.")]
Generate = Annotated[int | None, typer.Option(help="Generated tokens of a sample, where none are recorded.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse data in which a problem is missing on one side.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits, the votes and the bootstrap.")]
Formats = Annotated[
    str, typer.Option("--format", help="Of figures, by commas: png, svg, pdf; tex for tables as LaTeX (booktabs).")
]
Width = Annotated[
    str | None, typer.Option(help="Of figures, as a column: 3.3in, 84mm, 8.4cm, 240pt; letters of 7 to 9 pt.")
]
Latex = Annotated[bool, typer.Option("--latex", help="Tables as LaTeX too, as --format tex.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@dataclass(frozen=True)
class Case:
    """Data, the pair compared in it, what prices them, and how they are compared, as a command line gives them."""

    data: Data
    small: Small = None
    large: Large = None
    spec: Specs = None
    ratio: Ratio = None
    convention: Rule = "paper"
    axes: With = None
    r: Rs = "0.16,0.79,22"
    queries: Queries = None
    bins: Bins = 5
    prompt: Prompt = None
    generate: Generate = None
    strict: Strict = False
    seed: Seed = 0
    mapping: Map = None
    task: OneTask = None

    def sources(self) -> list[Path | pd.DataFrame]:
        """The data, standard input read."""
        return [_read_in(source) for source in self.data]

    def evidence(self, sources: Sequence[Path | pd.DataFrame] | None = None) -> Evidence:
        """The evidence with its cast and specs; of ``sources``, where they have been read."""
        from scalinglab.evidence import open_evidence

        specs = read_specs(self.spec) | self.by_ratio()
        found = open_evidence(
            self.sources() if sources is None else sources,
            small=self.small,
            large=self.large,
            specs=specs,
            prompt=self.prompt,
            generated=self.generate,
            mapping=read_map(self.mapping),
        )
        found = found if self.task is None else found.of_task(self.task)
        helpers = {*found.revisers(), *found.verifiers.values()}.intersection(found.specs)
        if self.ratio is not None and helpers:  # of known sizes, beside a pair of none
            raise DataError(
                f"--ratio for {found.source}, in which {', '.join(sorted(map(str, helpers)))} took part too",
                "specs, which price them all",
                "give --spec MODEL=7e9@2e12 for each model",
            )
        return found

    def folder(self) -> Path:
        """The one folder that is asked about. Raises DataError where several are."""
        if len(self.data) != 1:
            raise DataError(f"{len(self.data)} runs", "one", "ask about one at a time")
        return self.data[0]

    def rule(self) -> Convention:
        """The convention that is shown."""
        from scalinglab.flops import convention, with_axes

        chosen = convention(self.convention)
        return chosen if self.axes is None else with_axes(chosen, self.axes)

    def rules(self) -> list[Convention]:
        """The convention that is shown, and every preset beside it."""
        from scalinglab.flops import CONVENTIONS

        shown = self.rule()
        return [shown, *(rule for rule in CONVENTIONS.values() if rule.name != shown.name)]

    def at(self, evidence: Evidence | None = None) -> list[float]:
        """The values of R, or those at which the small model answers so many queries.

        A query counts as the tokens of one sample. Raises DataError for queries without evidence, or of a pair
        without training tokens.
        """
        if self.queries is None:
            return read_numbers(self.r, "--r", float)
        if evidence is None:
            raise DataError(f"--queries {self.queries} where no data say their tokens", "--r", "give --r")
        small, _ = evidence.pair()
        trained = None if self.ratio is not None else evidence.spec(small).training_tokens
        if trained is None:
            raise DataError(
                f"--queries {self.queries}, and the training tokens of {small} are not known",
                "sizes and training tokens", "use --spec, or give --r",
            )  # fmt: skip
        return [n * evidence.written() / trained for n in read_numbers(self.queries, "--queries", float)]

    def by_ratio(self) -> dict[str, ModelSpec]:
        """Specs of the pair that are to each other as --ratio; none without it."""
        from scalinglab.specs import parse

        if self.ratio is None:
            return {}
        if self.small is None or self.large is None or self.spec:
            raise DataError(
                "--ratio without both models, or with --spec", "--small A --large B --ratio M", "name both"
            )
        if not 1 < self.ratio < 1e6:
            raise DataError(f"--ratio {self.ratio}", "a number above 1", "give large / small, such as 14")
        sizes = {self.small: 1e9, self.large: 1e9 * self.ratio}
        return {name: parse(f"{size:.0f}@20e9") for name, size in sizes.items()}


def comparing(
    command: Callable[..., None], *, only: Sequence[str] = (), bare: bool = False
) -> Callable[..., None]:
    """The verb with the options of a Case in place of its first argument; of some of them, with ``only``.

    ``bare``: it can be asked without data.
    """
    names = [name for name in (f.name for f in fields(Case)) if not only or name in only]
    hints, own = get_type_hints(Case, globals(), include_extras=True), inspect.signature(command)
    defaults: dict[str, Any] = {f.name: f.default for f in fields(Case)}
    defaults["data"] = [] if bare else inspect.Parameter.empty
    hinted = get_type_hints(command, include_extras=True)
    rest = [p.replace(annotation=hinted[p.name]) for p in list(own.parameters.values())[1:]]
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[name],
            default=defaults[name],
        )
        for name in names
    ]  # fmt: skip
    every = [*shared, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest)]

    def run(**given: Any) -> None:
        case = Case(**{name: given.pop(name) for name in names})
        with waiting(f"{command.__name__}, {', '.join(map(str, case.data))}"):
            command(case, **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in every} | {"return": None}
    return run


def read_specs(given: Sequence[str] | None) -> dict[str, ModelSpec]:
    """MODEL=WHAT[@TOKENS] as specs by model. Raises DataError for anything else, SpecError for a bad one."""
    from scalinglab.specs import parse

    found = {}
    for text in given or ():
        name, _, what = text.partition("=")
        if not (name and what):
            raise DataError(f"--spec {text}", "MODEL=WHAT[@TOKENS]", "name the model as the data do")
        found[name] = parse(what)
    return found


def read_map(given: Sequence[str] | None) -> dict[str, str]:
    """NAME=COLUMN by our names. Raises DataError for anything else."""
    found = {}
    for text in given or ():
        name, _, column = text.partition("=")
        if not (name and column):
            raise DataError(f"--map {text}", "NAME=COLUMN", "name our column, then the table's")
        found[name] = column
    return found


def _read_in(source: Path) -> Path | pd.DataFrame:
    """What a source is, read where it is standard input."""
    if str(source) != "-":
        return source
    from scalinglab.samples import read_stream

    return read_stream(sys.stdin.buffer.read())


def read_figures(formats: str, width: str | None, latex: bool) -> Output:
    """How figures and tables are written. Raises DataError for an unknown format or width."""
    from scalinglab.plots import read_output

    return read_output(f"{formats},tex" if latex else formats, width)


def read_numbers(text: str, option: str, kind: Callable[[str], Number]) -> list[Number]:
    """Numbers by commas. Raises DataError naming the option."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        wanted = "whole numbers" if kind is int else "numbers"
        raise DataError(f"{option} {text}", f"{wanted} separated by commas", f"mend {option}") from error
