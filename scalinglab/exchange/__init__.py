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
    from scalinglab.exchange.controls import (
        LARGE_VERIFIED,
        MORE,
        ORM,
        PRM,
        REVISIONS,
        SEARCH,
        TRIALS,
        helper_shares,
    )
    from scalinglab.exchange.explored import gains_over, ladder_over, predicted_over
    from scalinglab.exchange.findings import findings
    from scalinglab.exchange.findings_over import findings_over
    from scalinglab.exchange.forecast import Forecast, forecast
    from scalinglab.exchange.groupings import DIFFICULTY, RAREST
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
    from scalinglab.exchange.repeated import MECHANISMS, NOT_MEASURED, WEAK_STUDY, Repeated, repeated
    from scalinglab.exchange.seeds import SEED
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
    "DIFFICULTY",
    "FIXED",
    "LARGE_VERIFIED",
    "LIFETIME",
    "MECHANISMS",
    "MORE",
    "NOT_MEASURED",
    "OPTIMAL",
    "ORM",
    "OUTSIDE",
    "PAIR",
    "PAIRING",
    "PAPER_R",
    "PRETRAINING",
    "PRM",
    "RAREST",
    "REVISIONS",
    "R_COLUMNS",
    "SAME",
    "SEARCH",
    "SEED",
    "SIDES",
    "SIMULTANEOUS",
    "SPREAD",
    "SUNK",
    "TARGET",
    "TEST_TIME",
    "TRIALS",
    "UNDECIDED",
    "WEAK_STUDY",
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
    "Repeated",
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
    "findings_over",
    "fit_surface",
    "forecast",
    "foremost_pairs",
    "gains_over",
    "headlines",
    "helper_shares",
    "ladder_over",
    "lasting",
    "line_table",
    "match_ratio",
    "match_specs",
    "once_name",
    "optimal_sentences",
    "over_tasks",
    "pair_sentences",
    "power",
    "predicted_over",
    "published",
    "published_bars",
    "published_lines",
    "rates",
    "repeated",
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
