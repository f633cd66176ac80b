"""Samples that are all the same text, where a temperature should have made them differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import nan
from typing import Any

from scalinglab.samples.columns import INDEPENDENT
from scalinglab.samples.records import Run


def same_samples(run: Run) -> Iterator[str]:
    """In a sentence each, the models whose samples of each problem are all the same text above temperature 0.

    Of two problems or more, as a model may be certain of one. Samples without a text say nothing.
    """
    texts = run.solutions[["unit", "text"]]
    texts = texts[(texts["text"] != "") & texts["unit"].isin(_drawn(run))]
    drawn = texts.groupby("unit")["text"].agg(["size", "nunique"])
    drawn = drawn[drawn["size"] > 1]
    units = run.units[run.units["key"].isin(drawn.index)]
    units = units.assign(temperature=[_parameters(one).get("temperature", nan) for one in units["parameters"]])
    for (model, temperature), own in units.groupby(["model", "temperature"], sort=False, dropna=False):
        found = drawn.loc[own["key"]]
        if len(set(own["problem"])) > 1 and (found["nunique"] == 1).all():
            most = found["size"].max()
            at = "1, as none is recorded" if temperature != temperature else f"{temperature:g}"
            yield (
                f"{model}: {most} of {most} samples of each problem are the same text at temperature {at}: "
                "does its server use seed and temperature?"
            )


def _drawn(run: Run) -> list[str]:
    """The units that draw single samples above temperature 0."""
    found = []
    for key, strategy, parameters in run.units[["key", "strategy", "parameters"]].itertuples(index=False):
        if strategy in INDEPENDENT and strategy != "greedy" and _parameters(parameters).get("temperature", 1) != 0:
            found.append(key)
    return found


def _parameters(told: Any) -> Mapping[str, Any]:
    found = json.loads(told) if isinstance(told, str) else told
    return found if isinstance(found, Mapping) else {}
