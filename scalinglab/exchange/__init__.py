"""Exchanging pretraining and test-time compute: matched budgets k(R), verdicts per bin and R, sensitivity."""

from scalinglab.exchange.matching import Match, match_ratio, match_run, match_specs, reference_strategy
from scalinglab.exchange.published import published, published_bars, published_lines
from scalinglab.exchange.verdicts import (
    ALL,
    OUTSIDE,
    PAPER_R,
    PRETRAINING,
    TEST_TIME,
    UNDECIDED,
    Exchange,
    exchange,
    sensitivity,
)

__all__ = [
    "ALL",
    "OUTSIDE",
    "PAPER_R",
    "PRETRAINING",
    "TEST_TIME",
    "UNDECIDED",
    "Exchange",
    "Match",
    "exchange",
    "match_ratio",
    "match_run",
    "match_specs",
    "published",
    "published_bars",
    "published_lines",
    "reference_strategy",
    "sensitivity",
]
