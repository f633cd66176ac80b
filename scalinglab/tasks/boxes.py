"""Answers in \\boxed{}: one, or several that make a list; not where the word is only mentioned."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])(\s*\{)?|\\.|[{}]", re.DOTALL)
_BARE = re.compile(
    r"\s*([-+]?\d[\d,]*(?:\.\d+)?(?:/\d+)?|\\(?!text)[a-zA-Z]+[^\s$]*|[A-Za-z](?=\s*(?:[$.]|\\[)\]]|\Z)))"
)
"""What \\boxed boxes without braces: a number, a command of LaTeX, or one letter before the end of the formula."""
_MENTION = re.compile(
    r"(?:[.\u2026_?\s]|\\[lc]?dots)*|(?:your |the |final |numerical )*(?:answer|result)(?: here)?"
)
"""What stands in a box that only shows what a box is."""
_SPACE = r"(?:[\s$*]|\\[()\[\],;:! ]|\\q?quad(?![A-Za-z]))*"
_BETWEEN = re.compile(
    rf"{_SPACE}(?:(?:[,;&]|\\\\){_SPACE}(?:(?:and|or)\b|\\text\{{\s*(?:and|or)\s*\}})?|(?:and|or)\b"
    rf"|\\text\{{\s*,?\s*(?:and|or)\s*\}}){_SPACE}(?:[A-Za-z](?:_\{{?\w+\}}?)?\s*=)?{_SPACE}"
)
"""Between two boxes of one list: a comma, "and" or "or", and perhaps "x =" before the next."""
_FAR = 60


@dataclass(frozen=True)
class _Box:
    start: int
    end: int
    content: str


def boxed(text: str) -> str | None:
    """What is in the last \\boxed{} (or \\fbox{}); in several, those that end a list, with commas between.

    Boxes that are empty, never closed or mere mentions are none. Of a box in a box the outer one counts.
    """
    boxes = [box for box in _boxes(text) if not _MENTION.fullmatch(box.content)]
    if not boxes:
        return None
    listed = [boxes.pop()]
    while boxes and _together(text, boxes[-1], listed[0]):
        listed.insert(0, boxes.pop())
    return ", ".join(dict.fromkeys(box.content for box in listed))


def _boxes(text: str) -> list[_Box]:
    """All boxes by their place, in one pass: braces that are never closed, or never opened, are no matter."""
    found: list[_Box] = []
    opened: list[tuple[int, int] | None] = []
    for token in _TOKEN.finditer(text):
        if token[1]:
            opened.append((token.start(), token.end()))
        elif token[0] == "{":
            opened.append(None)
        elif token[0] == "}" and opened:
            if (begun := opened.pop()) is not None:
                found = _without_inner(found, begun[0])
                found.append(_Box(begun[0], token.end(), text[begun[1] : token.start()].strip()))
        elif token[0].startswith(("\\boxed", "\\fbox")) and (bare := _BARE.match(text, token.end())):
            found.append(_Box(token.start(), bare.end(), bare[1]))
    return found


def _without_inner(boxes: list[_Box], start: int) -> list[_Box]:
    while boxes and boxes[-1].start > start:
        boxes.pop()
    return boxes


def _together(text: str, one: _Box, other: _Box) -> bool:
    between = text[one.end : other.start]
    return len(between) <= _FAR and _BETWEEN.fullmatch(between) is not None
