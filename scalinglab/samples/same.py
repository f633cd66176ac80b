"""Samples that are all the same text, where a temperature should have made them differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalinglab.samples.columns import INDEPENDENT
from scalinglab.samples.records import Run


class Sameness:
    """Whether samples of the same problem differ, of a run that is added part by part.

    A model's are taken for the same where all samples of each of two problems or more are: it may be certain of
    one. Samples without a text say nothing.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, float | None], _Drawn] = {}

    def add(self, run: Run) -> None:
        """Look at a part of whole units."""
        texts = run.solutions[["unit", "text"]]
        texts = texts[(texts["text"] != "") & texts["unit"].isin(_drawn(run))]
        drawn = texts.groupby("unit")["text"].agg(["size", "nunique"])
        drawn = drawn[drawn["size"] > 1]
        units = run.units[run.units["key"].isin(drawn.index)]
        sizes = {str(key): int(size) for key, size in drawn["size"].items()}
        for key, model, problem, told in units[["key", "model", "problem", "parameters"]].itertuples(index=False):
            temperature = _parameters(told).get("temperature")
            found = self._found.setdefault((str(model), temperature), _Drawn())
            found.problems.add(str(problem))
            found.same &= bool(drawn.at[key, "nunique"] == 1)
            found.most = max(found.most, sizes[key])

    def said(self) -> Iterator[str]:
        """A sentence for each model and temperature above 0 whose samples of each problem are the same text."""
        for (model, temperature), one in self._found.items():
            if one.same and len(one.problems) > 1:
                at = "1, as none is recorded" if temperature is None else f"{temperature:g}"
                yield (
                    f"{model}: {one.most} of {one.most} samples of each problem are the same text at temperature "
                    f"{at}: does its server use seed and temperature?"
                )


@dataclass
class _Drawn:
    problems: set[str] = field(default_factory=set)
    same: bool = True
    most: int = 0


def same_samples(run: Run) -> Iterator[str]:
    """What is said of a whole run; see ``Sameness``."""
    found = Sameness()
    found.add(run)
    return found.said()


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
