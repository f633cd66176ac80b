"""Exchanging pretraining and test-time compute: one comparison, its views, verdicts, break-evens and notes."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.exchange.assumed import PAIRING, assumed
    from scalinglab.exchange.atlas import Atlas, atlas
    from scalinglab.exchange.atlas_words import PAIR, atlas_sentences, foremost_pairs, pair_sentences
    from scalinglab.exchange.breakeven import SIDES, breakeven
    from scalinglab.exchange.charges import charged_to
    from scalinglab.exchange.chosen import Chosen, choose
    from scalinglab.exchange.clauses import breakeven_clause, difference, short, uncharged, verdict_clause
    from scalinglab.exchange.comparison import Comparison, compare
    from scalinglab.exchange.findings import findings
    from scalinglab.exchange.forecast import Forecast, forecast
    from scalinglab.exchange.headline import FIXED, OPTIMAL
    from scalinglab.exchange.lifetime import Lifetime
    from scalinglab.exchange.matched import SIMULTANEOUS, once_name, verdicts
    from scalinglab.exchange.matching import Match, match_ratio, match_specs, runnable
    from scalinglab.exchange.notes import lasting, unreported
    from scalinglab.exchange.paired import (
        CANNOT_PAY,
        OUTSIDE,
        PAPER_R,
        PRETRAINING,
        TEST_TIME,
        UNDECIDED,
        sensitivity,
    )
    from scalinglab.exchange.pairs import LIFETIME, SAME, SUNK, Charges
    from scalinglab.exchange.power import TARGET, Outlook, Power, power, rough_half_width
    from scalinglab.exchange.published import R_COLUMNS, published, published_bars, published_lines
    from scalinglab.exchange.rates import Rates, rates
    from scalinglab.exchange.redrawn import SPREAD, Redrawn
    from scalinglab.exchange.sizes import effective_sizes, sizes_of
    from scalinglab.exchange.summary import breakeven_table, headlines
    from scalinglab.exchange.surface import fit_surface, surface_rate
    from scalinglab.exchange.tables import curves, line_table, unchosen
    from scalinglab.exchange.tasks import compare_tasks, over_tasks, shared_tasks
    from scalinglab.exchange.views import ALL, View, views
    from scalinglab.exchange.weak import weakened
    from scalinglab.exchange.what_if import WhatIf, what_if
    from scalinglab.exchange.words import optimal_sentences, seed_sentences, sentences, task_sentences

__all__ = [
    "ALL",
    "CANNOT_PAY",
    "FIXED",
    "LIFETIME",
    "OPTIMAL",
    "OUTSIDE",
    "PAIR",
    "PAIRING",
    "PAPER_R",
    "PRETRAINING",
    "R_COLUMNS",
    "SAME",
    "SIDES",
    "SIMULTANEOUS",
    "SPREAD",
    "SUNK",
    "TARGET",
    "TEST_TIME",
    "UNDECIDED",
    "Atlas",
    "Charges",
    "Chosen",
    "Comparison",
    "Forecast",
    "Lifetime",
    "Match",
    "Outlook",
    "Power",
    "Rates",
    "Redrawn",
    "View",
    "WhatIf",
    "assumed",
    "atlas",
    "atlas_sentences",
    "breakeven",
    "breakeven_clause",
    "breakeven_table",
    "charged_to",
    "choose",
    "compare",
    "compare_tasks",
    "curves",
    "difference",
    "effective_sizes",
    "findings",
    "fit_surface",
    "forecast",
    "foremost_pairs",
    "headlines",
    "lasting",
    "line_table",
    "match_ratio",
    "match_specs",
    "once_name",
    "optimal_sentences",
    "over_tasks",
    "pair_sentences",
    "power",
    "published",
    "published_bars",
    "published_lines",
    "rates",
    "rough_half_width",
    "runnable",
    "seed_sentences",
    "sensitivity",
    "sentences",
    "shared_tasks",
    "short",
    "sizes_of",
    "surface_rate",
    "task_sentences",
    "uncharged",
    "unchosen",
    "unreported",
    "verdict_clause",
    "verdicts",
    "views",
    "weakened",
    "what_if",
]

lazy(__name__)
