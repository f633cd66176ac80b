"""Exchanging pretraining and test-time compute: matched budgets k(R), verdicts per bin and R, sensitivity."""

from scalinglab.exchange.matching import Match, match_ratio, match_run, match_specs, reference_strategy
from scalinglab.exchange.published import R_COLUMNS, published, published_bars, published_lines
from scalinglab.exchange.recorded import (
    CountsData,
    Recorded,
    RunData,
    curves_recorded,
    exchange_recorded,
    find_spec,
    open_recorded,
    specs_in,
    study_specs,
)
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
    "R_COLUMNS",
    "TEST_TIME",
    "UNDECIDED",
    "CountsData",
    "Exchange",
    "Match",
    "Recorded",
    "RunData",
    "curves_recorded",
    "exchange",
    "exchange_recorded",
    "find_spec",
    "match_ratio",
    "match_run",
    "match_specs",
    "open_recorded",
    "published",
    "published_bars",
    "published_lines",
    "reference_strategy",
    "sensitivity",
    "specs_in",
    "study_specs",
]
