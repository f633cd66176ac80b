"""On which line of a TOML text a key stands: the standard library's parser does not say."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from scalinglab.samples.document import Way


def line_of(text: str, way: Way) -> int | None:
    """The line, from 1, of the statement that brings a key into a TOML text; None at the top of the document.

    way: names of tables and keys, and numbers in lists. Where there is no such key, the line of the nearest table
    around it that is there. A text is TOML up to the end of each of its statements, and nowhere between.
    """
    lines = text.split("\n")
    begins = _statements(lines)
    ends = [*begins[1:], len(lines)]
    whole = tomllib.loads(text)
    while way and not _there(whole, way):
        way = way[:-1]
    if not way:
        return None
    at = bisect_left(ends, True, key=lambda end: _there(_parsed(lines[:end]), way))
    return begins[min(at, len(begins) - 1)] + 1


def _statements(lines: Sequence[str]) -> list[int]:
    """Where the statements begin, from 0; an empty line is one too."""
    begins = [0]
    for end in range(1, len(lines)):
        if _parsed(lines[begins[-1] : end]) is not None:
            begins.append(end)
    return begins


def _parsed(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except (ValueError, RecursionError):
        return None


def _there(found: Any, way: Way) -> bool:
    try:
        for key in way:
            found = found[key]
    except (KeyError, IndexError, TypeError):
        return False
    return True
