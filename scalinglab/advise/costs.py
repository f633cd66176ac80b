"""What an option takes on a GPU: the tokens it was measured to read and write, through the roofline."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from scalinglab.advise.choice import Option, Part
from scalinglab.advise.hardware import Gpu, Work, query_seconds
from scalinglab.collect.strategies import known
from scalinglab.curves import Arms
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.samples import Run


@dataclass(frozen=True)
class Cost:
    """An option on one GPU at a batch: seconds of the GPU a query, by model, for all queries and for training.

    training_seconds: at the GPU's peak. dollars: of all of it at ``hourly`` dollars an hour, None without a price.
    All are lower bounds: a roofline, at peak and full bandwidth.
    """

    model: str
    strategy: str
    plan: str
    gpu: str
    batch: int
    seconds: float
    by_model: dict[str, float]
    total_seconds: float
    training_seconds: float
    dollars: float | None
    hourly: float | None


def costs_on(
    options: Iterable[Option],
    arms: Arms,
    evidence: Evidence,
    gpu: Gpu,
    *,
    queries: float,
    batch: int = 64,
    hourly: float | None = None,
) -> list[Cost]:
    """Each option's seconds and dollars on one GPU, with ``batch`` sequences decoding together in BF16.

    Tokens are those that its measured budgets read and wrote, in proportion to the budgets it runs, each prompt
    and prefix read once; where none are recorded, those that samples are taken to read and write, without a
    verifier's. Raises DataError for a negative price, or a batch that does not fit in the GPU's memory.
    """
    if hourly is not None and not hourly >= 0:
        raise DataError(f"a price of {hourly}", "dollars an hour, 0 or more", "mend the price")
    found = []
    for option in options:
        by_model: dict[str, float] = {}
        for part in option.parts:
            works, context = _works(part, arms.table.iloc[part.arm], option, evidence)
            for work in works:
                spec = evidence.spec(work.model)
                seconds = part.share * query_seconds(spec, gpu, work, context=context, batch=batch)
                by_model[work.model] = by_model.get(work.model, 0.0) + seconds
        seconds, training = sum(by_model.values()), option.training / gpu.peak
        total = queries * seconds
        dollars = None if hourly is None else (total + training) / 3600 * hourly
        found.append(
            Cost(
                option.model, option.strategy, option.plan(), gpu.name, batch, seconds, by_model, total, training,
                dollars, hourly,
            )
        )  # fmt: skip
    return found


def _works(part: Part, arm: pd.Series, option: Option, evidence: Evidence) -> tuple[list[Work], float]:
    """Tokens read and written by each model a query, and the mean context of a decoding step."""
    run = evidence.run
    if run is None or not evidence.recorded(option.model):
        read, wrote = evidence.tokens.prompt, evidence.tokens.generated
        return [Work(option.model, float(read), part.k * wrote)], read + wrote / 2
    units, sampled = _units(run.units, arm)
    keys = set(units["key"])
    calls, solutions = (frame[frame["unit"].isin(keys)] for frame in (run.calls, run.solutions))
    calls = calls[(calls["role"] != "verifier") | (calls["model"] == evidence.verifiers.get(option.verifier))]
    entries = price(Run(units, calls, solutions), evidence.specs, convention=CONVENTIONS["exact"]).entries
    entries = entries[entries["unit"].isin(keys)]
    measured = len(solutions) / len(units) if sampled else float(arm["budget"])
    scale = part.k / measured / len(units)
    works = [
        Work(
            str(model),
            scale * float(rows.loc[rows["part"] != "generated", "tokens"].sum()),
            scale * float(rows.loc[rows["part"] == "generated", "tokens"].sum()),
        )
        for model, rows in entries.groupby("model", sort=False)
    ]
    solving = calls[calls["role"] != "verifier"]
    return works, float((solving["prompt_tokens"] + solving["generated_tokens"] / 2).mean())


def _units(units: pd.DataFrame, arm: pd.Series) -> tuple[pd.DataFrame, bool]:
    """The recorded units behind an arm, and whether a part of their samples is what it stands for."""
    strategy = known(arm["strategy"])
    rows = units[(units["model"] == arm["model"]) & (units["strategy"] == arm["strategy"])]
    rows = rows[
        [json.dumps(strategy.family(options), sort_keys=True) == arm["setting"] for options in rows["options"]]
    ]
    sampled = strategy.block_of(rows["options"].iloc[0]) is not None
    return rows[rows["budget"] == (rows["budget"].max() if sampled else arm["budget"])], sampled
