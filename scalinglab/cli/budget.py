"""The verb budget: how many samples of a small model a large one is worth, by names or by a ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.models import NAMED
from scalinglab.cli.options import Json
from scalinglab.cli.render import print_rows
from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.exchange import Match

EXAMPLE = (
    "Example: scalinglab budget Pythia-1B Pythia-12B --queries 2e9    "
    "scalinglab budget --ratio 14 --r 0.79 --convention small-pays"
)


def budget(
    small: Annotated[str | None, typer.Argument(metavar="[SMALL]", help=NAMED)] = None,
    large: Annotated[str | None, typer.Argument(metavar="[LARGE]", help="The same of the large one.")] = None,
    ratio: Annotated[
        float | None, typer.Option(help="In place of names: M = large / small, in cost per token.")
    ] = None,
    r: Annotated[float | None, typer.Option("--r", help="R = D_inference / D_pretrain.")] = None,
    queries: Annotated[
        float | None, typer.Option(help="In place of R: queries over the lifetime, such as 2e9.")
    ] = None,
    k: Annotated[float | None, typer.Option("--k", help="Samples per query of the small model.")] = None,
    prompt: Annotated[int, typer.Option(min=0, help="Prompt tokens of a sample.")] = 256,
    generate: Annotated[int, typer.Option(min=1, help="Generated tokens of a sample.")] = 256,
    convention: Annotated[str, typer.Option(help="The accounting convention.")] = "paper",
    as_json: Json = False,
) -> None:
    """The budget k that a small model can draw at equal lifetime FLOPs, at R or a number of queries; or R at k.

    Of two models by name, or of any two M times apart.
    """
    if (small is None or large is None) == (ratio is None) or (ratio is not None and small is not None):
        raise typer.BadParameter("name two models, or give --ratio", param_hint="SMALL LARGE")
    if sum(given is not None for given in (r, queries, k)) != 1:
        raise DataError(
            "neither or several of --r, --queries and --k", "one of them", "give --r or --queries for k, --k for R"
        )
    if queries is not None and ratio is not None:
        raise DataError("--queries with --ratio", "sizes and training tokens", "name two models, or give --r")
    match, about = _match(small, large, ratio, prompt, generate, convention)
    found = _found(match, r, queries, k) | ({} if ratio is not None else {"queries": None}) | about
    if ratio is None:
        found["queries"] = found["R"] * match.queries_per_r
    notes = [] if ratio is not None else [
        f"a sample is taken to read {prompt} tokens and write {generate} (--prompt, --generate)"
    ]  # fmt: skip
    print_rows([found], found, as_json, notes)


def _match(
    small: str | None, large: str | None, ratio: float | None, prompt: int, generate: int, convention: str
) -> tuple[Match, dict[str, Any]]:
    """The match, and what it is of."""
    from scalinglab.exchange import match_ratio, match_specs
    from scalinglab.flops import convention as preset
    from scalinglab.specs import parse

    rule = preset(convention)
    if ratio is not None:
        return match_ratio(ratio, rule), {"convention": convention}
    ours, theirs = parse(str(small)), parse(str(large))
    match = match_specs(ours, theirs, prompt=prompt, generated=generate, convention=rule)
    return match, {"small": ours.name, "large": theirs.name, "convention": convention}


def _found(match: Match, r: float | None, queries: float | None, k: float | None) -> dict[str, Any]:
    """k, what to run for it, and R."""
    from scalinglab.exchange import runnable
    from scalinglab.exchange.matching import positive

    if queries is not None:
        r = positive(queries, "queries") / match.queries_per_r
    drawn = match.k(r) if r is not None else float(k or 0.0)
    return {"k": drawn, "run": runnable(drawn), "R": r if r is not None else match.r(drawn)}
