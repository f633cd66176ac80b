"""What a recorded value is worth as a grade: right, wrong, partial credit, or nothing that can be read."""

from __future__ import annotations

import math
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import cut

_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Inspect's: correct, incorrect, partial, no answer."""
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def credit(value: Any, threshold: float | None, where: str) -> tuple[str, float | None]:
    """The grade that a value stands for, and what a partial one is worth.

    From ``threshold`` on a value is right; without one only 1 is. Raises DataError naming ``where`` for a value
    that is no grade.
    """
    number = _number(value, where)
    if math.isnan(number):
        return "ungraded", None
    if threshold is not None and number >= threshold:
        return "right", None
    if 0 < number < 1:
        return "partial", number
    if threshold is None and number not in (0, 1):
        raise DataError(f"{where} has the score {cut(value)}", "0 to 1", "say what is right: --threshold VALUE")
    return ("right" if number == 1 and threshold is None else "wrong"), None


def _number(value: Any, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str):
        known = _LETTERS.get(value, _WORDS.get(value.strip().lower()))
        try:
            return float(value) if known is None else known
        except ValueError:
            raise DataError(
                f"{where} has the score {cut(value)!r}",
                "C, I, P, N, yes, no, true, false or a number",
                "choose another --score",
            ) from None
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return float(value)
    raise DataError(f"{where} has the score {cut(value)}", "a grade or a number", "choose another --score")
