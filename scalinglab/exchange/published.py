"""The paper's own figures, re-read under each rule for the verifier."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pandas as pd

from scalinglab.exchange.matching import match_ratio
from scalinglab.exchange.paired import PRETRAINING, TEST_TIME
from scalinglab.flops import CONVENTIONS

RULES = ("paper", "small-pays", "paper-verifier")
R_COLUMNS = [f"R {rule}" for rule in RULES]


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
    frame = pd.DataFrame(rows)
    return _with_r(frame, paper["ratio"], ~frame["series"].str.contains("majority"))


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
    frame = pd.DataFrame(rows)
    return _with_r(frame, paper["ratio"], frame["k"] > 0)


def _with_r(frame: pd.DataFrame, ratio: float, verified: pd.Series) -> pd.DataFrame:
    """Add R under each rule; a majority needs no verifier, so that every rule reads as the paper's."""
    for name, column in zip(RULES, R_COLUMNS, strict=True):
        rules = [CONVENTIONS[name if checks else "paper"] for checks in verified]
        matches = [match_ratio(ratio, rule) for rule in rules]
        least = [match.large.at(1) / match.small.per_sample for match in matches]
        pairs = zip(matches, frame["k"], least, strict=True)
        frame[column] = [match.r(k) if k > at_least else None for match, k, at_least in pairs]
    return frame
