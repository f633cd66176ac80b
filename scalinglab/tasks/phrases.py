"""The answer in a phrase: "therefore **73** residents, since 905 - 832 = 73" says 73."""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_GAP = r"(?:,|\\,|\{,\}|,\\!|[ \u00a0\u2009\u202f])"
_DIGITS = rf"(?:\d{{1,3}}(?:{_GAP}\d{{3}})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_CURRENCY = r"(?:\\?[$\u20ac\u00a3\u00a5]\s?)"
_QUANTITY = (
    rf"[-+\u2212]?{_CURRENCY}?[-+\u2212]?(?:{_DIGITS})(?:\s+\d+/\d+|\s?/\s?\d+)?(?:\s?\\?%)?(?![\w.^*/+({{\\:=-])"
)
"""A number, a fraction or a mixed number, and not the beginning of a formula."""
_FORMULA = r"\$(?![\s\d]*\s)[^$\n]+?(?<![\s])\$(?!\d)|\\\((?:(?!\\\)).)+\\\)|\\\[(?:(?!\\\]).)+\\\]"
_ITEM = rf"(?:{_FORMULA}|{_QUANTITY})"
_NEXT = r"(?:\s*[,;]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+)"
_WORD = (
    r"(?!(?:sqrt|sin|cos|tan|sec|csc|cot|log|exp|mod|and|or)\b)"
    r"(?:(?:a|of|in|to|is|at|on|by|per|km|cm|mm|dm|mi|ft|yd|kg|mg|lb|lbs|oz|ml|cl|hr|hrs|sq|mph)\b"
    r"|(?=[^\s\d]*[AEIOUaeiou\u00c0-\u024f])[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'\u2019-]{2,})(?:\^?\{?[23]\}?|[\u00b2\u00b3])?\.?"
)
"""A word after a number, or its unit; no product of letters, which has two, or no vowel."""
_ALONE = re.compile(rf"({_ITEM}(?:{_NEXT}{_ITEM})*)(?:[\s,]+(?:{_WORD}))*\s*[.!,:]?")
_FILLING = re.compile(
    r"(?:\s*(?:therefore|thus|hence|so|then|approximately|approx\.?|about|roughly|around|exactly|simply|just|indeed"
    r"|clearly|also|only|now|equals|equal to|given by|the (?:number|value|integer)|\\approx|[\u2248=:,~])"
    r"(?![A-Za-z])\s*)+",
    re.IGNORECASE,
)
"""What may stand before an answer and is none of it."""
_CLAUSE = re.compile(
    r"\s*[;\u2014\u2013]|\s\((?=[A-Za-z]{2,})"
    r"|,?\s+(?:since|because|as|so|which|where|when|while|but|and not|not|rather|instead|then|however|if|for)\b"
    r"|(?<=[\d$)}%]),\s+(?=(?!and\b|or\b)[A-Za-z]{2,}\s+[A-Za-z])",
    re.IGNORECASE,
)
"""Where what is said about an answer begins."""
_PROSE = re.compile(r"(?:\b[A-Za-z']+\s+){3}|(?:[A-Za-z']{2,}\s+){2}(?:[\d$]|\\\()|^not\b")
_COMMAND = re.compile(r"\\(?:text|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")


def answer_in(phrase: str) -> str | None:
    """The answer that a phrase states, without the words, the bold marks and the currency around it.

    A number, a formula or a list of them; else the phrase itself, unless it is prose: then None.
    """
    head = " ".join(phrase.replace("**", "").split()).strip(" *")
    if filling := _FILLING.match(head):
        head = head[filling.end() :]
    head = _CLAUSE.split(head, maxsplit=1)[0].strip(" *\t,.:!")
    found = _ALONE.fullmatch(head)
    if found:
        return _bare(found[1])
    return head if head and not _PROSE.search(_COMMAND.sub(" ", head)) else None


def without_words(answer: str) -> str:
    """A number, or a formula that ends in a digit or a bracket, without the words after it ("73 residents")."""
    found = _ALONE.fullmatch(answer)
    return _bare(found[1]) if found else _TRAILING.sub("", answer)


_TRAILING = re.compile(rf"(?<=[\d}})!])(?:\s+(?:{_WORD}))+$")


def _bare(items: str) -> str:
    """Formulas without what delimits them, one number without its currency."""
    parts = re.findall(_FORMULA, items)
    if parts:
        return ", ".join(_undelimited(one) for one in re.findall(_ITEM, items))
    return re.sub(rf"{_CURRENCY}(?=[-\u2212\d.])", "", items)


def _undelimited(item: str) -> str:
    return re.sub(r"^(?:\$|\\[(\[])\s*|\s*(?:\$|\\[)\]])$", "", item)
