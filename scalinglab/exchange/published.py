"""The paper's own figures, re-read under each rule for the verifier."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pandas as pd

from scalinglab.exchange.matching import match_ratio
from scalinglab.exchange.verdicts import PRETRAINING, TEST_TIME
from scalinglab.flops import CONVENTIONS


def published() -> dict[str, Any]:
    """The paper's own figures, as typed into the package: see its ``source``."""
    text = resources.files("scalinglab").joinpath("data/snell2024.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def published_lines() -> pd.DataFrame:
    """Fig. 1 (left) at every budget k, with the R at which a 14x larger greedy model costs the same.

    Columns: mechanism, series, k, accuracy_pct, and R under each rule for the verifier (missing where k is
    too small to match at any R).
    """
    paper = published()
    rows = [
        {"mechanism": line["mechanism"], "series": line["series"], "k": int(k), "accuracy_pct": value}
        for line in paper["lines"]
        for k, value in line["accuracy_pct"].items()
    ]
    return _with_r(pd.DataFrame(rows), "k", paper["ratio"])


def published_bars() -> pd.DataFrame:
    """Fig. 1 (right): who wins where, with the R of each budget under each rule for the verifier."""
    paper = published()
    rows = [
        {
            "mechanism": bar["mechanism"],
            "k": bar["budget"],
            "difficulty": difficulty,
            "improvement_pct": value,
            "winner": TEST_TIME if value > 0 else PRETRAINING if value < 0 else "even",
        }
        for bar in paper["bars"]
        for difficulty, value in zip(paper["difficulties"], bar["improvement_pct"], strict=True)
    ]
    return _with_r(pd.DataFrame(rows), "k", paper["ratio"])


def _with_r(frame: pd.DataFrame, column: str, ratio: float) -> pd.DataFrame:
    for name in ("paper", "small-pays", "paper-verifier"):
        match = match_ratio(ratio, CONVENTIONS[name])
        least = match.large.at(1) / match.small.per_sample
        frame[f"R {name}"] = [match.r(k) if k > least else None for k in frame[column]]
    return frame
