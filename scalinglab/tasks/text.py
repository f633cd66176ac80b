"""Where the final answer stands in the text of a solution."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from scalinglab.errors import DataError
from scalinglab.tasks.boxes import boxed
from scalinglab.tasks.phrases import NUMBER, answer_in

_SAID = re.compile(r"\banswer\**(?:\s+is\b\s*\**:?|\s*[:=]|\s+to\s[^.\n]{1,60}?\sis\b)\**", re.IGNORECASE)
_SUPPOSED = re.compile(r"\b(?:if|suppose|assum\w+|whether|unless)\b[^.,\n]{0,40}$", re.IGNORECASE)
"""Before "the answer is": what follows is a case that is looked at."""
_DISPLAYED = re.compile(r"(?:\\\[|\$\$)(.+?)(?:\\\]|\$\$)", re.DOTALL)
_SENTENCE = re.compile(r"(.*?)(\.?\**(?:\n|$)|[.!]\s|\?)", re.DOTALL)
_HEADING = re.compile(
    r"(?:step|case|part|method|solution|problem|question|note|conclusion|summary|explanation|verif|check|calculat)",
    re.IGNORECASE,
)
"""What a line of Markdown with #### begins with where it is a heading."""
_LATEST, _LONG = 20, 1000
"""Mentions of an answer that are looked at, from the last back, and how far each is read: texts may be endless."""


def extract(text: str, places: Sequence[str], *, cut: bool = False) -> str | None:
    """The final answer as it is written, from the first of the places that holds one; None where none does.

    boxed: in the last \\boxed{} (MATH, Hendrycks et al. 2021), or in the several that end a list ("\\boxed{3} and
    \\boxed{5}" is "3, 5"); a mention of \\boxed is none. hash: after the last #### (GSM8K, Cobbe et al. 2021).
    said: after the last "answer is" or "answer:" that an answer follows (Wei et al. 2022). number: the last number
    in the text, whatever it is. text: all of it. Words around an answer are left out after #### and "answer is".

    cut: the text was ended by its token limit. Then only what is marked as the answer counts (``MARKED``): the
    last words are whatever was being written.

    Raises DataError for an unknown place.
    """
    for place in places:
        if place not in PLACES:
            raise DataError(f"answer place {place!r}", f"one of {', '.join(PLACES)}", "mend answer place")
        found = PLACES[place](text) if place in MARKED or not cut else None
        if found is not None and found.strip():
            return found.strip()
    return None


def check_places(places: Sequence[str]) -> None:
    """Raises DataError where answers are looked for nowhere, or in a place that there is not."""
    unknown = [place for place in places if place not in PLACES]
    if unknown or not places:
        raise DataError(f"answers in {', '.join(unknown) or 'no place'}", ", ".join(PLACES), "mend answers")


def _hash(text: str) -> str | None:
    """What the last line after #### that holds an answer says; a heading of Markdown is none."""
    for line in reversed(re.findall(r"####([^\n]*)", text)[-_LATEST:]):
        line = line[:_LONG]
        found = _said(line) or (None if _HEADING.match(line.strip("*# ")) else answer_in(line))
        if found:
            return found
    return None


def _said(text: str) -> str | None:
    """What follows the last "answer is" or "answer:" that is followed by an answer, and is no supposition."""
    for said in reversed(list(_SAID.finditer(text))[-_LATEST:]):
        if not _SUPPOSED.search(text, max(0, said.start() - 60), said.start()):
            found = _stated(text[said.end() : said.end() + _LONG].lstrip("* \n"))
            if found:
                return found
    return None


def _stated(after: str) -> str | None:
    """The formula displayed at the beginning, or the answer in the first sentence; a question has none."""
    if displayed := _DISPLAYED.match(after):
        return displayed[1]
    sentence = _SENTENCE.match(after)
    return answer_in(sentence[1]) if sentence and sentence[2] != "?" else None


def _last_number(text: str) -> str | None:
    return next(reversed(re.findall(NUMBER, text)), None)


PLACES: Mapping[str, Callable[[str], str | None]] = {
    "boxed": boxed,
    "hash": _hash,
    "said": _said,
    "number": _last_number,
    "text": str,
}
"""Where an answer may stand, by name."""
MARKED = ("boxed", "hash")
"""Where it is marked as the answer."""
USUAL_PLACES = ("boxed", "hash", "said")
"""Where one is looked for unless told otherwise: the last number of a text may be any."""
