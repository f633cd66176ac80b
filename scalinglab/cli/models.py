"""The verbs of models without any samples: specs and flops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalinglab.cli.options import Json
from scalinglab.cli.render import print_rows

if TYPE_CHECKING:
    from scalinglab.specs import ModelSpec, Pair

SPECS = "Example: scalinglab specs Qwen3-8B    scalinglab specs --ratio 14"
FLOPS = (
    "Example: scalinglab flops Llama-3.1-8B --prompt 500 --generate 1000 --samples 16    "
    "scalinglab flops Llama-3.1-8B --train 15T"
)

NAMED = (
    "A name of the catalogue, a config.json or its folder, or a number of parameters (6e9, or active/total "
    "37e9/671e9); after an @ the training tokens, such as 300e9, 20B or 2T."
)
_SIZES = ("total", "active", "embedding", "non_embedding")
_SHAPE = ("layers", "hidden", "vocab")


def specs(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help=NAMED)] = None,
    ratio: Annotated[float | None, typer.Option(help="Find pairs about this many times apart.")] = None,
    tolerance: Annotated[float, typer.Option(help="How far from the ratio, relatively.")] = 0.1,
    across: Annotated[bool, typer.Option(help="Pair models of different series too.")] = False,
    as_json: Json = False,
) -> None:
    """List the catalogue, show one model's exact parameter counts, or find pairs near a ratio."""
    from scalinglab.specs import catalogue, pairs, parse

    if ratio is not None:
        found = [_pair(pair) for pair in pairs(ratio, tolerance=tolerance, across=across)]
        print_rows(
            [{key: _exact(value) for key, value in row.items()} for row in found], {"pairs": found}, as_json
        )
    elif model is not None:
        shown = _spec(parse(model))
        print_rows([{"field": key, "value": _exact(value)} for key, value in shown.items()], shown, as_json)
    else:
        listed = [_spec(spec) for spec in catalogue()]
        short = ("name", "series", "total", "active", "non_embedding", "training_tokens")
        print_rows([{key: _exact(row[key]) for key in short} for row in listed], {"models": listed}, as_json)


def flops(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=NAMED)],
    prompt: Annotated[int | None, typer.Option(help="Prompt tokens.")] = None,
    generate: Annotated[int | None, typer.Option(help="Generated tokens a sample.")] = None,
    samples: Annotated[int, typer.Option(help="Parallel samples.")] = 1,
    train: Annotated[
        str | None, typer.Option(metavar="D", help="Training tokens, such as 300e9, 20B, 2T.")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(help="Tokens a row in training; default the model's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Price one query, or with --train training, under every convention, with the bias of each against exact."""
    from scalinglab.flops import compare_conventions, compare_training
    from scalinglab.specs import parse, read_count

    asked = {"--prompt": prompt, "--generate": generate}
    spec = parse(model)
    if train is not None:
        _refuse(asked, "none of a query with --train")
        tokens = read_count(train, "training tokens")
        row = spec.training_sequence if sequence is None else sequence
        _print_costs(spec, compare_training(spec, tokens, sequence=row), as_json, tokens=tokens, sequence=row)
        return
    _refuse({"--sequence": sequence}, "none without --train")
    if prompt is None or generate is None:
        missing = "--prompt" if prompt is None else "--generate"
        raise typer.BadParameter("missing: a query needs it; or price training with --train", param_hint=missing)
    _print_costs(spec, compare_conventions(spec, prompt, generate, samples=samples), as_json)


def _refuse(options: dict[str, int | None], allowed: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"expected {allowed}", param_hint=option)


def _print_costs(spec: ModelSpec, costs: dict[str, dict[str, Any]], as_json: bool, **training: int | None) -> None:
    """A row for each convention that prices the model, and a note on each that cannot."""
    rows = [
        {"convention": name, **{key: c[key] for key in ("prefill", "decode", "total") if key in c},
         "bias": None if c["bias"] is None else f"{100 * c['bias']:+.1f} %", **c["components"]}
        for name, c in costs.items() if "total" in c
    ]  # fmt: skip
    notes = [f"{name} unpriced: {c['unpriced']}" for name, c in costs.items() if "unpriced" in c]
    print_rows(rows, {"model": spec.name, **training, "conventions": costs}, as_json, notes)


def _spec(spec: ModelSpec) -> dict[str, Any]:
    """The counts of a spec; what a bare number of parameters leaves open is None."""
    known: Any = spec.size
    shown = {name: getattr(spec, name) for name in ("name", "series", "family")}
    shown |= {name: getattr(known, name, None) for name in (*_SIZES, *_SHAPE)}
    shown["max_context"] = spec.max_context
    shown["cached_per_token"] = getattr(known, "cached_per_token", None)
    return shown | {name: getattr(spec, name) for name in ("training_tokens", "training_sequence", "source")}


def _exact(value: Any) -> Any:
    return f"{value:,}" if isinstance(value, int) else value


def _pair(pair: Pair) -> dict[str, Any]:
    """The ratios of a pair by count and in pretraining FLOPs, the training tokens of both, and a word on them."""
    from scalinglab.specs import COUNTS

    ratios = {count: pair.ratio(count) for count in COUNTS}
    tokens = {"small_tokens": pair.small.training_tokens, "large_tokens": pair.large.training_tokens}
    names = {"small": pair.small.name, "large": pair.large.name}
    return names | ratios | tokens | {"pretraining": pair.pretraining, "remark": pair.remark}
