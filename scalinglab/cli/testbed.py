"""The testbed's verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scalinglab.cli.render import Json, Seed, print_rows
from scalinglab.errors import DataError

app = typer.Typer(
    help="Train a small and a 14x larger model from scratch, every FLOP known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Scaled = Annotated[str, typer.Option("--scale", help="tiny (about 2 minutes on 2 cores) or base.")]


@app.command("train", epilog="Example: scalinglab testbed train --scale tiny --out testbed-tiny")
def train(
    out: Annotated[Path, typer.Option(help="The folder to train into; a stopped training goes on there.")],
    scale: Scaled = "tiny",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a small and a 14x larger policy from scratch on the same data; write weights and manifests."""
    made = _testbed()
    chosen = _scale(scale)
    with _Bar(chosen.tokens) as bar:
        trained = made.train_pair(chosen, out, seed=seed, progress=bar)
    costs = ("parameters", "non_embedding", "tokens", "steps", "seconds", "flops")
    rows = [{"model": name} | {cost: getattr(run, cost) for cost in costs} for name, run in trained.items()]
    print_rows([row | {"flops": row["flops"]["exact"]} for row in rows], {"models": rows}, as_json)


@app.command("evaluate", epilog="Example: scalinglab testbed evaluate --folder testbed-tiny --scale tiny --seed 1")
def evaluate(
    folder: Annotated[Path, typer.Option(help="The folder of `scalinglab testbed train`.")],
    scale: Scaled = "tiny",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the fresh test problems.")] = 0,
    problems: Annotated[int, typer.Option(min=10, help="How many of them.")] = 200,
    as_json: Json = False,
) -> None:
    """Check on fresh test problems what makes the pair useful, one criterion a line."""
    found = _testbed().pair_criteria(_scale(scale), folder, problems_drawn=problems, seed=seed)
    rows = [{"name": c.name, "value": c.value, "wanted": c.wanted, "pass": c.passed} for c in found]
    print_rows(rows, {"criteria": rows}, as_json)


class _Bar:
    """A progress bar a model: tokens, time left, FLOPs so far and loss, on stderr."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, tokens: int, spent: int, loss: float) -> None:
        from tqdm import tqdm

        if self.bar is None or tokens < self.bar.n:
            self.__exit__()
            self.bar = tqdm(total=self.tokens, unit="tok", unit_scale=True)
        self.bar.set_postfix_str(f"{spent:.2e} FLOPs, loss {loss:.3f}", refresh=False)
        self.bar.update(min(tokens, self.tokens) - self.bar.n)


def _testbed() -> Any:
    try:
        from scalinglab import testbed
    except ImportError as error:
        raise DataError(
            f"the testbed needs {error.name}, which is not installed", "torch and transformers",
            "pip install 'scalinglab[testbed]'",
        ) from error  # fmt: skip
    testbed.quiet()
    return testbed


def _scale(name: str) -> Any:
    scales = _testbed().SCALES
    if name not in scales:
        raise DataError(f"scale {name!r}", f"one of {', '.join(scales)}", "choose a scale")
    return scales[name]
