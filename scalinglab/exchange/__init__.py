"""Exchanging pretraining and test-time compute: matched budgets k(R), verdicts per bin and R, sensitivity."""

from scalinglab.exchange.breakeven import SIDES, breakeven, crossing
from scalinglab.exchange.compared import Compared, exchange_study
from scalinglab.exchange.findings import findings
from scalinglab.exchange.frontier import POLICY, Family, at_budget, families, reference
from scalinglab.exchange.lines import study_curves
from scalinglab.exchange.matching import Match, match_ratio, match_run, match_specs, reference_strategy
from scalinglab.exchange.optimal import policy_views
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
from scalinglab.exchange.sizes import effective_sizes, sizes_recorded
from scalinglab.exchange.studies import Lifetime, StudyData, View, is_study, open_study, views
from scalinglab.exchange.summary import breakeven_table, verdict_table
from scalinglab.exchange.surface import fit_surface, iso_accuracy, local_rates, surface_recorded
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
from scalinglab.exchange.weak import weak_views

__all__ = [
    "ALL",
    "OUTSIDE",
    "PAPER_R",
    "POLICY",
    "PRETRAINING",
    "R_COLUMNS",
    "SIDES",
    "TEST_TIME",
    "UNDECIDED",
    "Compared",
    "CountsData",
    "Exchange",
    "Family",
    "Lifetime",
    "Match",
    "Recorded",
    "RunData",
    "StudyData",
    "View",
    "at_budget",
    "breakeven",
    "breakeven_table",
    "crossing",
    "curves_recorded",
    "effective_sizes",
    "exchange",
    "exchange_recorded",
    "exchange_study",
    "families",
    "find_spec",
    "findings",
    "fit_surface",
    "is_study",
    "iso_accuracy",
    "local_rates",
    "match_ratio",
    "match_run",
    "match_specs",
    "open_recorded",
    "open_study",
    "policy_views",
    "published",
    "published_bars",
    "published_lines",
    "reference",
    "reference_strategy",
    "sensitivity",
    "sizes_recorded",
    "specs_in",
    "study_curves",
    "study_specs",
    "surface_recorded",
    "verdict_table",
    "views",
    "weak_views",
]
