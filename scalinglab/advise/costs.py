"""What an option takes on a GPU: the tokens it was measured to read and write, through the roofline."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from scalinglab.advise.choice import Option
from scalinglab.advise.hardware import Gpu, Work, query_seconds
from scalinglab.curves import Arms
from scalinglab.errors import DataError
from scalinglab.exchange import StudyData
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price

_SAMPLED = ("parallel", "greedy")


@dataclass(frozen=True)
class Cost:
    """An option on one GPU at a batch: seconds of the GPU a query, by model, for all queries and for training.

    training_seconds: at the GPU's peak. dollars: of all of it at ``hourly`` dollars an hour, None without a price.
    All are lower bounds: a roofline, at peak and full bandwidth.
    """

    model: str
    strategy: str
    k: float
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
    study: StudyData,
    gpu: Gpu,
    *,
    queries: float,
    batch: int = 64,
    hourly: float | None = None,
) -> list[Cost]:
    """Each option's seconds and dollars on one GPU, with ``batch`` sequences decoding together in BF16.

    Tokens are those its nearest measured budget read and wrote, in proportion to its own budget, each prompt and
    prefix read once. Raises DataError for a negative price, or a batch that does not fit in the GPU's memory.
    """
    if hourly is not None and not hourly >= 0:
        raise DataError(f"a price of {hourly}", "dollars an hour, 0 or more", "mend the price")
    found = []
    for option in options:
        works, context = _works(option, arms.table.iloc[option.arm], study)
        by_model = {
            work.model: query_seconds(study.specs[work.model], gpu, work, context=context, batch=batch)
            for work in works
        }
        seconds, training = sum(by_model.values()), option.training / gpu.peak
        total = queries * seconds
        dollars = None if hourly is None else (total + training) / 3600 * hourly
        found.append(
            Cost(
                option.model, option.strategy, option.k, gpu.name, batch, seconds, by_model, total, training,
                dollars, hourly,
            )
        )  # fmt: skip
    return found


def _works(option: Option, arm: pd.Series, study: StudyData) -> tuple[list[Work], float]:
    """Tokens read and written by each model a query, and the mean context of a decoding step."""
    units = _units(study.run.units, arm)
    keys = set(units["key"])
    calls = study.run.calls[study.run.calls["unit"].isin(keys)]
    judge = study.verifiers.get(option.verifier)
    calls = calls[(calls["role"] != "verifier") | (calls["model"] == judge)]
    part = type(study.run)(units, calls, study.run.solutions[study.run.solutions["unit"].isin(keys)])
    entries = price(part, study.specs, convention=CONVENTIONS["exact"]).entries
    entries = entries[entries["unit"].isin(keys)]
    measured = len(part.solutions) / len(units) if arm["strategy"] in _SAMPLED else float(arm["budget"])
    scale = option.k / measured / len(units)
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


def _units(units: pd.DataFrame, arm: pd.Series) -> pd.DataFrame:
    """The recorded units behind an arm: of its model and strategy, with its parameters among theirs."""
    setting = json.loads(arm["setting"]).items()
    rows: pd.DataFrame = units[(units["model"] == arm["model"]) & (units["strategy"] == arm["strategy"])]
    rows = rows[[setting <= json.loads(text).items() for text in rows["parameters"].map(_plain)]]
    if arm["strategy"] not in _SAMPLED:
        rows = rows[rows["budget"] == arm["budget"]]
    return rows


def _plain(parameters: str) -> str:
    options = json.loads(parameters)
    options.pop("verifier", None)
    return json.dumps(options)
