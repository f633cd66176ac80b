"""The verbs that begin a study, say what it may be, and take it from its file to a report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalinglab.cli.advise import advise
from scalinglab.cli.collect import collect_into
from scalinglab.cli.exchange import exchange, report
from scalinglab.cli.optimal import optimal
from scalinglab.cli.options import Bins, Case, Json, Rs, Rule, Seed, With
from scalinglab.cli.progress import tell
from scalinglab.cli.stopping import stoppable
from scalinglab.errors import DataError, ScalingLabError
from scalinglab.files import save
from scalinglab.study.beginning import Kind

if TYPE_CHECKING:
    from scalinglab.study import Made, Results, Step, Study

RUN = "Example: scalinglab run study.toml    scalinglab run study.toml --queries 1e8 --target 0.7"
INIT = "Example: scalinglab init --kind chat study.toml"
SCHEMA = "Example: scalinglab schema > study.schema.json"


def init(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A new file.")] = Path("study.toml"),
    kind: Annotated[Kind, typer.Option(help="The shipped models, a benchmark, servers, thinking.")] = "testbed",
    as_json: Json = False,
) -> None:
    """Write a commented study.toml, to be edited."""
    from scalinglab.study import write_study

    path = write_study(kind, study)
    if as_json:
        typer.echo(json.dumps({"files": [str(path)]}))
        return
    typer.echo(
        f"Wrote {path}: edit it, then\n"
        f"  scalinglab doctor {path}     # what it finds on this machine\n"
        f"  scalinglab collect {path} --dry-run  # what it takes, and the first prompts\n"
        f"  scalinglab run {path}        # collects, compares, advises, reports\n"
        f"  scalinglab schema > {path.parent / 'study.schema.json'}  # your editor then completes and checks keys"
    )


def schema() -> None:
    """Print the JSON Schema of a study.toml: editors complete and check by it (Even Better TOML, taplo)."""
    from scalinglab.study import study_schema

    typer.echo(json.dumps(study_schema(), indent=1))


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study: models, task, strategies.")],
    out: Annotated[Path | None, typer.Option(help="The folder of all of it; the study's name without it.")] = None,
    queries: Annotated[float, typer.Option(help="Queries to advise for, such as 1e9.")] = 1e9,
    target: Annotated[
        float | None, typer.Option(help="The accuracy to advise for; one answer of the large model without it.")
    ] = None,
    convention: Rule = "paper",
    axes: With = None,
    r: Rs = "0.16,0.79,22",
    bins: Bins = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Collect a study, compare, advise and report, into one folder; again, it goes on and makes what changed."""
    with stoppable("nothing was begun") as stop:
        from scalinglab.study import Results, read_study

        read = read_study(study)
        results = Results(out or Path(read.name))
        case = Case([results.run], convention=convention, axes=axes, r=r, bins=bins, seed=seed)
        case.rule(), case.at()  # refused before anything is begun
        results.begin()
        again = f"scalinglab run {study} --out {results.folder}"
        tell(f"collect: {' and '.join(_names(read))} answer, into {results.run}")
        collect_into(read, results.run, convention, again, stop)
        if stop.asked:
            return
        stop.then = f"nothing done is lost: `{again}` goes on"
        made = [_made(results, step) for step in _steps(read, case, queries, target, results)]
        if as_json:
            typer.echo(json.dumps({"run": str(results.run), "steps": [asdict(one) for one in made]}))
        else:
            typer.echo(_told(results, made))
    if any(one.failed for one in made):
        raise typer.Exit(1)


def _steps(study: Study, case: Case, queries: float, target: float | None, results: Results) -> list[Step]:
    from scalinglab.study import Step

    def printed(name: str, does: str, verb: Callable[[], None], **load: float | None) -> Step:
        def make() -> Sequence[Path]:
            with redirect_stdout(io.StringIO()) as told:
                verb()
            return [save(results.folder / f"{name}.txt", told.getvalue())]

        return Step(name, does, asked | load, make)

    def reported() -> Sequence[Path]:
        with redirect_stdout(io.StringIO()):
            report(case, results.folder / "report")
        return sorted(path for path in (results.folder / "report").iterdir() if path.is_file())

    def advised() -> None:
        advise(case, queries, _reached(case) if target is None else target)

    asked = {key: value for key, value in asdict(case).items() if key != "data"}
    pair, load = " against ".join(_names(study)), {"queries": queries, "target": target}
    return [
        printed("exchange", f"{pair} at equal compute", lambda: exchange(case, whole=True)),
        printed("optimal", "the best strategy at each budget", lambda: optimal(case, whole=True)),
        printed("advise", f"what to use for {queries:.3g} queries", advised, **load),
        Step("report", "figures, tables and one page", asked, reported),
    ]


def _made(results: Results, step: Step) -> Made:
    """A step, done or found done; what it cannot do is said and hinders no other."""
    from scalinglab.study import Made

    tell(f"{step.name}: {step.does}")
    try:
        made = results.make(step)
    except ScalingLabError as error:
        tell(f"{step.name}: not made: {error}")
        return Made(step.name, failed=str(error))
    if made.kept:
        tell(f"{step.name}: as it was, nothing that it rests on has changed")
    return made


def _told(results: Results, made: Sequence[Made]) -> str:
    """The first paragraph of what each step says, and where all of it is."""
    lines = []
    for one in made:
        if one.failed is None and one.files[0].endswith(".txt"):
            lines.append((results.folder / one.files[0]).read_text(encoding="utf-8").split("\n\n")[0])
    where = [f"  {one.step:9} {one.failed or _place(results, one)}" for one in made]
    return "\n\n".join([*lines, "\n".join([f"  {'run':9} {results.run}", *where])])


def _place(results: Results, made: Made) -> str:
    page = next((name for name in made.files if name.endswith(".html")), made.files[0])
    return f"{results.folder / page}{' (as it was)' if made.kept else ''}"


def _names(study: Study) -> list[str]:
    """The models that are compared, as their makers call them."""
    return [one.model for name, one in study.models.items() if name in ("small", "large")]


def _reached(case: Case) -> float:
    """The accuracy of one answer of the large model, rounded down so that it is reached."""
    from scalinglab.exchange import views

    found, unpriced = views(case.evidence(), [case.rule()], bins=1, seed=case.seed)
    if not found:
        raise DataError(f"no target ({'; '.join(unpriced.values())})", "an accuracy", "give --target")
    arms, once = found[0].arms, int(found[0].once.columns[0])
    return floor(1e4 * float(arms.accuracy[:, once].mean())) / 1e4
