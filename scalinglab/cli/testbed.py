"""The testbed's verbs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Json, Rs, Seed, read_numbers
from scalinglab.cli.render import command, print_files, print_rows, writable
from scalinglab.errors import DataError
from scalinglab.files import save

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.evidence import Evidence

app = typer.Typer(
    help="Train a small and a 14x larger model, verifiers and a reviser from scratch, every FLOP known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Scaled = Annotated[str, typer.Option("--scale", help="tiny (under 3 minutes on 2 cores), base or ladder.")]


@app.command("train", epilog="Example: scalinglab testbed train --scale tiny --out testbed-tiny")
def train(
    out: Annotated[Path, typer.Option(help="The folder to train into; a stopped training goes on there.")],
    scale: Scaled = "tiny",
    seed: Seed = 0,
    controls: Annotated[
        bool,
        typer.Option("--controls", help="Then the small shape at the helpers' FLOPs more, and at four times."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train policies, verifiers and reviser (or the ladder of sizes) from scratch; write weights and manifests."""
    made = _testbed()
    with _Bars() as bars:
        if scale == "ladder":
            climbed = made.train_ladder(out, seed=seed, progress=bars)
            keys = ("model", "non_embedding", "tokens", "loss")
            rows = [{key: row[key] for key in keys} | {"flops": row["flops"]} for row in climbed]
        else:
            trained = made.train_testbed(_scale(scale), out, seed=seed, progress=bars)
            if controls:
                trained |= made.train_controls(_scale(scale), out, longer=not seed, seed=seed, progress=bars)
            costs = ("non_embedding", "tokens", "steps", "seconds", "flops", "data_flops")
            rows = [{"model": name} | {c: getattr(run, c) for c in costs} for name, run in trained.items()]
    print_rows([_charged(row) for row in rows], {"models": rows}, as_json)


@app.command("search", epilog="Example: scalinglab testbed search --scale base --work search --out rates.csv")
def search(
    work: Annotated[Path, typer.Option(help="The folder to train into; a stopped search goes on there.")],
    scale: Annotated[str, typer.Option("--scale", help="tiny or base.")] = "base",
    out: Annotated[Path | None, typer.Option(help="Write the table here, as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Find each size's own learning rate: the same search for both, by validation loss."""
    made = _testbed()
    with _Bars() as bars:
        found = made.search_rates(_scale(scale), work, progress=bars)
    if out is not None:
        save(out, found.to_csv(index=False))
    print_rows(found.to_dict("records"), {"rates": found.to_dict("records")}, as_json)


@app.command(
    "evaluate", epilog="Example: scalinglab testbed evaluate --scale tiny --folder testbed-tiny --seed 1 --json"
)
def evaluate(
    scale: Annotated[str, typer.Option("--scale", help="tiny or base.")] = "base",
    folder: Annotated[
        Path | None, typer.Option(help="A folder of `scalinglab testbed train`; the shipped base without it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the fresh test problems.")] = 0,
    problems: Annotated[int, typer.Option(min=10, help="How many of them.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Write tables, figures and criteria.json here.")] = None,
    ladder: Annotated[Path | None, typer.Option(help="With --out: a trained ladder's folder, to add.")] = None,
    as_json: Json = False,
) -> None:
    """Check on fresh test problems what makes the testbed useful, one criterion a line."""
    made = _testbed()
    writable(out)
    chosen, models = _scale(scale), folder or made.shipped(scale)
    climbed = made.ladder_table(ladder) if ladder is not None else None
    found = made.measure(chosen, models, count=problems, seed=seed)
    judged = made.judge(found, seed=seed)
    rows = [{"name": c.name, "value": c.value, "wanted": c.wanted, "pass": c.passed} for c in judged]
    if out is not None:
        report = made.report_of(found, judged, models, ladder=climbed)
        more = {"criteria.json": (json.dumps({"criteria": rows}, indent=1) + "\n").encode()}
        if ladder is not None:
            more["ladder_counts.csv"] = made.ladder_counts(ladder).to_csv(index=False).encode()
        report.write(out, command=command(), seed=seed, files=more)
    print_rows(rows, {"criteria": rows}, as_json)


@app.command(
    "study", epilog="Example: scalinglab testbed study run-0 run-1 run-2 --out results/testbed-study --json"
)
def study(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="A run's folder or its export, one a seed.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    more: Annotated[
        list[Path] | None,
        typer.Option(
            help="A run of the small shape that was pretrained further: one for each RUN, in their order."
        ),
    ] = None,
    ladder: Annotated[Path | None, typer.Option(help="A folder with a ladder's ladder.csv.")] = None,
    r: Rs = "0.16,0.79,22",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Analyse a study from its record: headlines with controls, over problems and training seeds."""
    from scalinglab.exchange import repeated
    from scalinglab.report import explore, repeated_report, study_readme

    beside = [path.name for path in out.glob("*.toml")]  # a study's own settings may stand there
    writable(out, beside=beside)
    climbed = None if ladder is None else _ladder(ladder)
    evidence, others = _seeds(runs, more or [])
    found = repeated(evidence, more=others, r=read_numbers(r, "--r", float), seed=seed)
    made = repeated_report(found, explore(found, ladder=climbed, seed=seed))
    files = {"README.md": study_readme(found, made)}
    print_files(made.write(out, command=command(), seed=seed, files=files, beside=beside), as_json, said=made.said)


def _seeds(runs: Sequence[Path], more: Sequence[Path]) -> tuple[dict[str, Evidence], dict[str, Evidence]]:
    """The evidence of each training seed, by the seed that its units name where these tell the runs apart."""
    from scalinglab.evidence import open_evidence

    if more and len(more) != len(runs):
        raise DataError(f"{len(more)} --more for {len(runs)} runs", "one for each run, or none", "give all")
    found, others = ([open_evidence(path) for path in paths] for paths in (runs, more))
    named = [sorted(set(one.run.units["seed"])) if one.run is not None else [] for one in found]
    alone = {str(own[0]) for own in named if len(own) == 1}
    names = [str(own[0]) for own in named] if len(alone) == len(found) else list(map(str, range(len(found))))
    return dict(zip(names, found, strict=True)), dict(zip(names, others, strict=False))


def _ladder(folder: Path) -> pd.DataFrame:
    import pandas as pd

    path = folder / "ladder.csv"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", "a ladder's table", "give the folder that holds it") from error
    lacking = [name for name in ("parameters", "non_embedding", "tokens", "pass@1") if name not in table]
    if lacking:  # said before minutes of analysis, not after
        raise DataError(
            f"{path} lacks {', '.join(lacking)}", "a ladder's table", "give one of `scalinglab testbed evaluate`"
        )
    return table


class _Bars:
    """A progress bar a stage: its share, time left, FLOPs so far and a remark, on stderr."""

    def __init__(self) -> None:
        self.stage = ""
        self.bar: Any = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, stage: str, share: float, spent: int, remark: str) -> None:
        from tqdm import tqdm

        if stage != self.stage:
            self.__exit__()
            form = "{desc:9}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}, {postfix}"
            self.stage = stage
            self.bar = tqdm(total=1.0, desc=stage, bar_format=form)
        self.bar.set_postfix_str(f"{spent:.2e} FLOPs, {remark}", refresh=False)
        self.bar.update(share - self.bar.n)


def _charged(row: dict[str, Any]) -> dict[str, Any]:
    """The row for people: FLOPs under one convention."""
    return {key: value.get("exact", 0) if isinstance(value, dict) else value for key, value in row.items()}


def _testbed() -> Any:
    try:
        from scalinglab import testbed

        testbed.quiet()
    except ImportError as error:
        raise DataError(
            f"the testbed needs {error.name}, which is not installed", "torch and transformers",
            "pip install 'scalinglab[testbed]'",
        ) from error  # fmt: skip
    return testbed


def _scale(name: str) -> Any:
    scales = _testbed().SCALES
    if name not in scales:
        raise DataError(f"scale {name!r}", f"one of {', '.join(scales)}", "choose a scale")
    return scales[name]
