"""A model as one writes it on a command line: WHAT[@TOKENS]."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from scalinglab.errors import SpecError
from scalinglab.specs.catalogue import find, holds_config
from scalinglab.specs.shape import Count, ModelSpec

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e\+?\d{1,2}|[kmbt])?", re.IGNORECASE)
_POWERS = {"k": 3, "m": 6, "b": 9, "t": 12}


def parse(text: str) -> ModelSpec:
    """The spec that WHAT[@TOKENS] names.

    WHAT: a catalogue name, a config.json or its folder, or a number of parameters such as ``6e9``, of a mixture of
    experts ``active/total``, such as ``37e9/671e9`` (a file of such a name is written ``./6e9``).
    TOKENS: D, such as ``300e9``, ``20B`` or ``2T``, in place of what is known of the model's training.
    Raises SpecError for anything else.
    """
    what, at, tokens = ("", "", "") if holds_config(Path(text)) else text.rpartition("@")
    spec = _what(what if at else text)
    return replace(spec, training_tokens=read_count(tokens, "training tokens")) if at else spec


def _what(text: str) -> ModelSpec:
    sizes = text.split("/")
    if len(sizes) > 2 or not all(map(_NUMBER.fullmatch, sizes)):
        return find(text)
    active, total = (read_count(size, "parameters") for size in (sizes[0], sizes[-1]))
    if active > total:
        raise SpecError(
            f"{text}: more active parameters than there are", "active/total", f"write {sizes[1]}/{sizes[0]}"
        )
    return ModelSpec(text, Count(total, active))


def read_count(text: str, what: str) -> int:
    """A whole number >= 1 with an exponent or a suffix K, M, B or T. Raises SpecError for anything else."""
    if _NUMBER.fullmatch(text):
        power = _POWERS.get(text[-1].lower())
        number = Decimal(text) if power is None else Decimal(text[:-1]).scaleb(power)
        if number >= 1 and number == number.to_integral_value():
            return int(number)
    raise SpecError(f"{what} {text!r}", "a whole number such as 300e9, 20B or 2T", f"mend the {what}")
