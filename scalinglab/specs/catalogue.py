"""The catalogue of common open models: find one by name, find pairs by ratio."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import permutations
from pathlib import Path
from typing import Any

from scalinglab.errors import SpecError
from scalinglab.specs.config import from_config
from scalinglab.specs.shape import ModelSpec

COUNTS = ("total", "active", "non_embedding")


@cache
def catalogue() -> tuple[ModelSpec, ...]:
    """Common open models, with training tokens where they are published and the source of both."""
    text = resources.files("scalinglab").joinpath("data/models.json").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in json.loads(text)["models"])


def _entry(row: Mapping[str, Any]) -> ModelSpec:
    return replace(
        from_config(row["config"], name=row["name"]),
        series=row["series"],
        training_tokens=row["training_tokens"],
        training_sequence=row["training_sequence"],
        source=row["source"],
    )


def find(name_or_path: str | Path) -> ModelSpec:
    """The spec in a config file or directory, or under a catalogue name (case, spaces and dashes aside)."""
    path = Path(name_or_path)
    if holds_config(path):
        return from_config(path)
    for spec in catalogue():
        if _plain(spec.name) == _plain(str(name_or_path)):
            return spec
    raise SpecError(
        f"no model or file named {str(name_or_path)!r}",
        "a name of the catalogue or a path",
        "list the names with `scalinglab specs`, or give its number of parameters: 7e9, or 3e9/30e9 active/total",
    )


def holds_config(path: Path) -> bool:
    """Whether the path is a file, or a folder with a config.json."""
    try:
        return path.is_file() or (path / "config.json").is_file()
    except OSError:  # longer than the file system allows
        return False


def _plain(name: str) -> str:
    short = re.sub(r"^meta[-_ ]|([-_ ](hf|pt|it|base|instruct|v0\.1))+$", "", name.split("/")[-1].lower())
    return re.sub(r"[^a-z0-9.]", "", short)


@dataclass(frozen=True)
class Pair:
    """Two models and how far apart they are in each count of parameters."""

    small: ModelSpec
    large: ModelSpec

    def ratio(self, count: str) -> float:
        return float(getattr(self.large, count) / getattr(self.small, count))

    @property
    def pretraining(self) -> float | None:
        """How many times the small model's pretraining FLOPs (6ND) the large one's are; None: a D is unknown."""
        tokens = self.large.training_tokens, self.small.training_tokens
        if tokens[0] is None or tokens[1] is None:
            return None
        return self.ratio("active") * tokens[0] / tokens[1]

    @property
    def remark(self) -> str:
        """What must be said of the training tokens of the two: nothing where they are known and the same."""
        unknown = [spec.name for spec in (self.small, self.large) if spec.training_tokens is None]
        if unknown:
            return f"D of {' and '.join(unknown)} unknown"
        return "" if self.small.training_tokens == self.large.training_tokens else "D differs"


def pairs(ratio: float, *, tolerance: float = 0.1, across: bool = False) -> list[Pair]:
    """Catalogue pairs whose ratio in any of COUNTS lies within ``tolerance`` (relative) of ``ratio``.

    Nearest first. Pairs of one series only, since their data is shared; ``across`` lifts that.
    """
    if not (math.isfinite(ratio) and ratio > 1):
        raise SpecError(f"ratio is {ratio}", "a number above 1", "give large / small, such as 14")
    if not tolerance >= 0:
        raise SpecError(f"tolerance is {tolerance}", "a number >= 0", "give a fraction, such as 0.1")
    found = [Pair(a, b) for a, b in permutations(catalogue(), 2) if across or (a.series and a.series == b.series)]
    distance = {pair: min(abs(math.log(pair.ratio(count) / ratio)) for count in COUNTS) for pair in found}
    return sorted((pair for pair in found if distance[pair] <= math.log1p(tolerance)), key=lambda p: distance[p])
