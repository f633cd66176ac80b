"""Mathematical answers read by math-verify and compared: exactly, or as far as a decimal was written out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from scalinglab.tasks.latex import tidy
from scalinglab.tasks.numbers import Number, number, same_number, written

_TIME = re.compile(
    r"(\d{1,2})\s*:\s*(\d{2}(?::\d{2})?)\s*(?:\\[a-z]+\{)?\s*(?:([ap])\.?\s*m\b\.?)?\s*\}?", re.IGNORECASE
)
_COMMAND = re.compile(r"\\(?:text|mathrm|mbox|operatorname|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+")
_NAMES = re.compile(
    r"(?<![A-Za-z])(?:sqrt|sin|cos|tan|sec|csc|cot|arc[a-z]+|log|ln|exp|inf(?:inity)?|mod|gcd|lcm|max|min"
    r"|per ?cent(?:age)?)(?![A-Za-z])"
)
_WORDS = re.compile(
    r"[A-Za-z]{3,}(?: [A-Za-z]+)*|.*(?:[^\W\d_]{4}|[^\W\d_]{3}.*[^\W\d_]{3}|[^\x00-\u036f]).*", re.DOTALL
)
"""Letters that are a word: to math-verify they are a product, by which "listen" would equal "silent"."""


@dataclass(frozen=True)
class Answer:
    """An answer as it can be read: as a number, as a time of day, as words, or as what math-verify makes of it."""

    text: str

    @cached_property
    def number(self) -> Number | None:
        return number(self.text)

    @cached_property
    def time(self) -> tuple[str, str, str] | None:
        """Hour, minutes and half of the day, in lower case."""
        found = _TIME.fullmatch(self.text)
        return (found[1].lstrip("0") or "0", found[2], (found[3] or "").lower()) if found else None

    @cached_property
    def is_clock(self) -> bool:
        """Whether it can only be a time: 10:00 or 2:30 p.m., where 3:10 may be a ratio."""
        return self.time is not None and bool(self.time[2] or self.time[1].startswith("0"))

    @cached_property
    def words(self) -> str | None:
        """Words in small letters, without brackets around them; None for what is not made of words."""
        if self.number or self.is_clock or not _WORDS.fullmatch(_NAMES.sub(" ", _COMMAND.sub(" ", self.text))):
            return None
        plain = re.sub(r"\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}|\\[ ,;!]", r"\1 ", self.text)
        return " ".join(plain.lower().split()).strip(" .,;:()'\"") or None

    @cached_property
    def value(self) -> Any:
        """What math-verify reads; None where that is nothing mathematical, or no number there is."""
        import sympy

        found = _parsed(self.text)
        known = found[0] if found and not isinstance(found[0], str) else None
        return None if known is sympy.nan or known is sympy.zoo else known

    @property
    def is_readable(self) -> bool:
        return bool(self.number or self.is_clock or self.words or self.value is not None)

    def written(self, *, closed: bool = False) -> str:
        """Equal answers in one way. closed: roots and constants as they are, not as decimals."""
        from scalinglab.tasks.symbols import in_one_way

        if self.number:
            return written(self.number.value, self.number.digits)
        if self.is_clock and self.time:
            return f"{self.time[0]}:{self.time[1]}{self.time[2] and f' {self.time[2]}.m.'}"
        if self.words or self.value is None:
            return self.words or self.text
        return in_one_way(self.value, closed=closed) or self.text


@lru_cache(maxsize=8192)
def read(answer: str) -> Answer:
    """An answer, as the inside of a \\boxed{}, tidied; remembered, since references come again and again."""
    return Answer(tidy(answer))


def grade(gold: str, given: str) -> tuple[str, str]:
    """One of ``samples.GRADES`` for an answer against the right one, and the answer written in one way.

    A right answer is written as the reference is, so that all that are right vote together, and no other does.
    ``unparsed``: it holds nothing to be read. ``error``: the reference cannot be read, or the comparison failed.
    """
    try:
        said = _compared(gold, given)
    except Exception:
        return "error", given
    try:
        right = read(gold).written(closed=True)
        own = right if said == "right" else read(given).written()
    except Exception:  # what cannot be written in another way stays as it is
        return said, gold if said == "right" else given
    return said, own if said == "right" or own != right else given


def readable(gold: str) -> bool:
    """Whether a reference can be compared with anything but itself."""
    try:
        return read(gold).is_readable
    except Exception:
        return False


def _compared(gold: str, given: str) -> str:
    known, said = read(gold), read(given)
    if given == gold or said.text == known.text:
        return "right"
    if not known.is_readable:
        raise ValueError(f"the reference {gold!r} cannot be read")
    if not said.is_readable:
        return "unparsed"
    return "right" if _same(known, said) else "wrong"


def _same(known: Answer, said: Answer) -> bool:
    if known.number and said.number:
        return same_number(known.number, said.number)
    if known.is_clock or said.is_clock:
        return _same_time(known.time, said.time)
    if known.words or said.words:
        return known.words == said.words
    if known.value is None or said.value is None:
        return False
    from scalinglab.tasks.symbols import verified

    return verified(known.value, said.value)


def _same_time(one: tuple[str, str, str] | None, other: tuple[str, str, str] | None) -> bool:
    """The half of the day matters where both tell it."""
    return bool(one and other and one[:2] == other[:2] and (not (one[2] and other[2]) or one[2] == other[2]))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> list[Any]:
    """What math-verify reads: an expression and the text itself; the text alone; or nothing."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    form = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
    found: list[Any] = parse(
        f"\\boxed{{{text}}}", extraction_config=form, parsing_timeout=None, raise_on_error=True
    )
    return found
