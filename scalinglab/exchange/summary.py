"""The verdicts and break-evens of a study for people: which are shown first, under one convention."""

from __future__ import annotations

import pandas as pd

from scalinglab.exchange.headline import OPTIMAL
from scalinglab.exchange.paired import OUTSIDE
from scalinglab.exchange.views import ALL
from scalinglab.exchange.words import main_row

_FEW, _ARMS = 18, 10
"""Rows of bins, and single arms, that are shown unasked."""


def headlines(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The rows of one convention that are shown unasked: all of a few, else the headline's, then single arms.

    The headline over all problems at each R, and in each bin at each R, or of many at the R that is said first;
    the arms over all problems at that R, the first ten.
    """
    head = verdicts[verdicts["strategy"] == OPTIMAL]
    if len(verdicts) <= _FEW or head.empty:
        return verdicts.head(2 * _FEW)
    over = head[head["bin"] == ALL]
    middle = main_row(over.to_dict("records"))["R"]
    bins = head[head["bin"] != ALL]
    bins = bins if len(bins) <= _FEW else bins[bins["R"] == middle]
    arms = verdicts[(verdicts["strategy"] != OPTIMAL) & (verdicts["bin"] == ALL) & (verdicts["R"] == middle)]
    return pd.DataFrame(pd.concat([over, bins.head(_FEW), arms.head(_ARMS)]))


def breakeven_table(breakeven: pd.DataFrame, convention: str) -> pd.DataFrame:
    """A row a group and strategy that has a measured break-even or an interval: R*, queries and status."""
    rows = breakeven[(breakeven["convention"] == convention) & (breakeven["status"] != OUTSIDE)]
    columns = ["status", "R", "low", "high", "bin", "strategy", "queries", "measured_from", "measured_to"]
    return rows.loc[:, columns]
