"""Who spent what: prices recorded calls under a Convention into entries by phase; says what it left out."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.ledger.pricing import by_unit, charged_tokens, price, priced_counts
    from scalinglab.ledger.record import KEYS, PHASES, SHARED, Key, Ledger
    from scalinglab.ledger.summary import left_out, summary
    from scalinglab.ledger.tuning import Tuning, tuning_flops, tuning_of

__all__ = [
    "KEYS",
    "PHASES",
    "SHARED",
    "Key",
    "Ledger",
    "Tuning",
    "by_unit",
    "charged_tokens",
    "left_out",
    "price",
    "priced_counts",
    "summary",
    "tuning_flops",
    "tuning_of",
]

lazy(__name__)
