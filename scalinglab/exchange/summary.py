"""The verdicts and break-evens of a study as tables for people: under one convention, a column an R."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scalinglab.exchange.paired import OUTSIDE

_SHORT = {OUTSIDE: "outside"}


def verdict_table(verdicts: pd.DataFrame, convention: str) -> pd.DataFrame:
    """A row a group and strategy; in each R's column difference, interval and verdict, in accuracy points."""
    rows = verdicts[verdicts["convention"] == convention]
    keys = ["bin", "strategy", *(["against"] if len(rows["against"].unique()) > 1 else [])]
    cells = rows.assign(cell=[_cell(row) for row in rows.to_dict("records")], at=[f"R = {r:g}" for r in rows["R"]])
    table = cells.pivot_table(index=keys, columns="at", values="cell", aggfunc="first", sort=False)
    return table.reset_index().rename_axis(columns=None)


def breakeven_table(breakeven: pd.DataFrame, convention: str) -> pd.DataFrame:
    """A row a group and strategy that has a measured break-even or an interval: R*, queries and status."""
    rows = breakeven[(breakeven["convention"] == convention) & (breakeven["status"] != OUTSIDE)]
    return rows[["bin", "strategy", "status", "R", "low", "high", "queries", "measured_from", "measured_to"]]


def _cell(row: dict[Any, Any]) -> str:
    if row["difference"] != row["difference"]:
        return _SHORT.get(row["verdict"], str(row["verdict"]))
    ends = "no interval" if row["low"] != row["low"] else f"{_points(row['low'])} to {_points(row['high'])}"
    return f"{_points(row['difference'])} ({ends}) {row['verdict']}"


def _points(share: float) -> str:
    """Accuracy points to one decimal, or to the first that shows the sign."""
    text = f"{100 * share:+.1f}"
    return text if float(text) or not share else f"{100 * share:+.1g}"
