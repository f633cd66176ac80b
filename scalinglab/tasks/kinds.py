"""Kinds of answers: how each is read, compared with the right one, and written in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scalinglab.errors import DataError
from scalinglab.outside import imported
from scalinglab.tasks import mathematics
from scalinglab.tasks.latex import tidy
from scalinglab.tasks.numbers import Number, number, same_number, written

_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s*:?\s*)?(?:[(\[]\s*([A-Ea-e])\s*[)\]].*|([A-E])\s*(?:[).:,].*)?|([a-e])\s*[).:]?)",
    re.IGNORECASE | re.DOTALL,
)


_SAID = ("right", "wrong", "unparsed")
"""What a grader of one's own may say of an answer."""


@dataclass(frozen=True)
class Kind:
    """How answers are graded.

    grade: one of ``samples.GRADES`` and the answer written in one way, from the right answer and the one given.
    readable: whether a right answer can be compared with anything.
    """

    grade: Callable[[str, str], tuple[str, str]]
    readable: Callable[[str], bool]


def kind_of(name: str) -> Kind:
    """The kind of a name, or a grader of one's own as "module:function".

    The function takes the right answer and the one given, and returns whether it is right (or "right", "wrong" or
    "unparsed"), alone or with the answer as votes shall count it. Raises DataError where there is none.
    """
    if name in KINDS:
        return KINDS[name]
    module, _, function = name.partition(":")
    if not (module and function):
        raise DataError(f"grading {name!r}", f"one of {', '.join(KINDS)}, or module:function", "mend grading")
    found = imported(name, "grader")
    return Kind(lambda gold, given: _own(found, gold, given), lambda _: True)


def _own(function: Callable[[str, str], object], gold: str, given: str) -> tuple[str, str]:
    try:
        said = function(gold, given)
        grade, answer = said if isinstance(said, tuple) else (said, given)
    except Exception:
        return "error", given
    if isinstance(grade, bool):
        grade = "right" if grade else "wrong"
    return (str(grade), str(answer)) if grade in _SAID else ("error", given)


def _exact(gold: str, given: str) -> tuple[str, str]:
    """The same text, but for the space around and within it."""
    known, said = (" ".join(text.split()) for text in (gold, given))
    return ("right" if known == said else "wrong"), said


def _choice(gold: str, given: str) -> tuple[str, str]:
    said = _letter(given)
    return ("unparsed", given) if said is None else ("right" if said == _letter(gold) else "wrong", said)


def _letter(text: str) -> str | None:
    """The one letter, A to E, that an answer begins with: "(b)", "C. 73", "option D"."""
    found = _CHOICE.fullmatch(tidy(text))
    return next(part for part in found.groups() if part).upper() if found else None


def _number(gold: str, given: str) -> tuple[str, str]:
    known, said = _value(gold), _value(given)
    if known is None:
        return "error", given
    if said is None:
        return "unparsed", given
    if same_number(known, said):
        return "right", written(known.value, known.digits)
    return "wrong", written(said.value, said.digits)


def _value(text: str) -> Number | None:
    return number(re.sub(r"^[A-Za-z]\s*=\s*", "", tidy(text)))


KINDS: Mapping[str, Kind] = {
    "math": Kind(mathematics.grade, mathematics.readable),
    "exact": Kind(_exact, lambda gold: bool(gold.strip())),
    "choice": Kind(_choice, lambda gold: _letter(gold) is not None),
    "number": Kind(_number, lambda gold: _value(gold) is not None),
}
"""math: any mathematical answer, or words. exact: the same text. choice: a letter, A to E. number: one number."""
