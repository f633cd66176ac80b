"""Names are text: what they would do to a terminal or a figure, they do not."""

from __future__ import annotations

import html
import re

_UNSEEN = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""What a terminal obeys, what turns the direction of writing, and halves of characters, which no file can hold."""
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_LONG = re.compile(r"\S{33,}")
_LINE = 100


def visible(text: str) -> str:
    """The text with every control character, line ends too, as its escape: a bell is ``\\x07``."""
    return _HIDDEN.sub(escape, text)


def escape(found: re.Match[str]) -> str:
    """The escape of a character that was found, in ASCII."""
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def short(text: str) -> str:
    """The text for a figure: words of over 32 characters and lines of over 100 without their middle."""
    lines = (_LONG.sub(lambda word: _ends(word[0], 32), visible(line)) for line in text.split("\n"))
    return "\n".join(_ends(line, _LINE) for line in lines)


def _ends(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most + most // 2 :]}"


class Shown:
    """What a notebook shows of a record: the lines of its ``repr``, the first of them bold."""

    def _repr_html_(self) -> str:
        first, *rest = (html.escape(visible(line)) for line in repr(self).split("\n"))
        return "<br>".join([f"<b>{first}</b>", *rest])
