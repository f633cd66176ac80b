"""Answers as people and models write them, made into what math-verify reads as it is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fractions import Fraction

from scalinglab.tasks.phrases import without_words

_SUPERSCRIPTS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207a\u207f", "0123456789-+n"
)
_SYMBOLS = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u00d7": "\\times ", "\u00b7": "\\cdot ", "\u22c5": "\\cdot ",
        "\u00f7": "/", "\u03c0": "\\pi ", "\u221e": "\\infty ", "\u2264": "\\le ", "\u2265": "\\ge ",
        "\u2260": "\\ne ", "\u00b1": "\\pm ", "\u00b0": "^\\circ", "\u222a": "\\cup ", "\u2229": "\\cap ",
        "\u2208": "\\in ", "\u2205": "\\emptyset ", "\u03b8": "\\theta ", "\u03b1": "\\alpha ",
        "\u03b2": "\\beta ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2044": "/",
    }
)  # fmt: skip
_WHOLE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|rm|it|sf)|boldsymbol|bm|mbox|bf|displaystyle)"
    r"\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(?<=\\bf)\s(.*)|(?<=\\displaystyle)\s*(.*))"
)
"""A command that says how all of an answer is set, and what it sets."""
_GAP = r"(?:\\[,;: ]|~|\{,\}|,\\!| )"
_Change = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _superscript(found: re.Match[str]) -> str:
    return f"^{{{found[0].translate(_SUPERSCRIPTS)}}}"


def _fraction_sign(found: re.Match[str]) -> str:
    return " " + unicodedata.normalize("NFKC", found[0]).replace("\u2044", "/") + " "


def _grouped(found: re.Match[str]) -> str:
    return re.sub(r"\D", "", found[0])


def _repeating(found: re.Match[str]) -> str:
    """0.1\\overline{6} as 1/6."""
    whole, first, again = found.groups()
    scale = 10 ** len(first)
    value = Fraction(int(whole + first), scale) + Fraction(int(again), scale * (10 ** len(again) - 1))
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


_CHANGES: Sequence[_Change] = (
    (re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b\u207f]+"), _superscript),
    (re.compile("[\u00bc-\u00be\u2150-\u215e]"), _fraction_sign),
    (re.compile("\u221b\\s*(\\d+|\\([^()]*\\)|[A-Za-z])"), r"\\sqrt[3]{\1}"),
    (re.compile("\u221a\\s*(\\d+(?:\\.\\d+)?|\\([^()]*\\)|[A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s*(\d+|\([^()]*\))"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"\\(?:mathbf|textbf|boldsymbol|bm|mathit|textit)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\text\{\s*\(?([A-Za-z ]*(?:answer|result)[A-Za-z ]*:?)\s*\}\s*"), ""),
    (re.compile(rf"(?<![\d.,{{^_\\])\d{{1,3}}(?:{_GAP}\d{{3}})+(?![\d}}])"), _grouped),
    (re.compile(r"(?<![\d.}^_/])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d/.])"), r"\1\\frac{\2}{\3}"),
    (re.compile(r"(\d+)\.(\d{0,9})\\(?:overline|bar)\s*\{(\d{1,9})\}"), _repeating),
    (re.compile(r"(?<![\w.}])(\d+(?:\.\d+)?)[eE]([-+]?\d{1,4})(?!\w)"), r"\1\\times10^{\2}"),
)
"""What is written otherwise, in this order: signs of Unicode, bold, groups of digits (115 000, 115\\,000), mixed
numbers in plain text (1 1/4), repeating decimals, 1.6e-19."""


def tidy(answer: str) -> str:
    """An answer in plain LaTeX: without bold, delimiters and words around it; each number in one piece."""
    text = _bare(answer.replace("**", ""))
    for pattern, written in _CHANGES:
        text = pattern.sub(written, text)
    text = " ".join(text.translate(_SYMBOLS).split())
    return _bare(without_words(_without_variable(text)))


def _bare(text: str) -> str:
    """Without the commands, the delimiters and the full stop around all of it."""
    before = None
    while before != text:
        before, text = text, text.strip().strip("*").strip()
        if found := _WHOLE.fullmatch(text):
            text = next(part for part in found.groups() if part is not None)
        if found := re.fullmatch(r"\$+([^$]+)\$+|\\\((.*)\\\)|\\\[(.*)\\\]", text, re.DOTALL):
            text = next(part for part in found.groups() if part is not None)
        if text.endswith(".") and not re.search(r"\b[A-Za-z]\.$", text):  # that of "a.m." is its own
            text = text[:-1]
    return text


def _without_variable(text: str) -> str:
    """ "x = 0, 1" and "x = 0 or x = 1" as "0, 1": one variable names nothing that the list does not."""
    parts = _listed(text)
    named = [re.match(r"\s*([A-Za-z](?:_\{?\w+\}?)?)\s*=(?!=)\s*", part) for part in parts]
    names = {found[1] for found in named if found}
    plain = all("=" not in part for part, found in zip(parts, named, strict=True) if not found)
    if len(parts) < 2 or len(names) != 1 or not named[0] or not plain:
        return text
    return ", ".join(part[found.end() :] if found else part for part, found in zip(parts, named, strict=True))


def _listed(text: str) -> list[str]:
    """The parts between commas (or "or", "and") that are in no brackets."""
    parts, depth = [""], 0
    for piece in re.findall(
        r"\\?[{}()\[\]]|\\text\s*\{\s*(?:or|and)\s*\}|\b(?:or|and)\b|,|[^,{}()\[\]\\a-z]+|.", text
    ):
        depth += (piece[-1] in "{([") - (piece[-1] in "})]") if len(piece) < 3 else 0
        if depth == 0 and re.fullmatch(r",|(?:\\text\s*\{)?\s*(?:or|and)\s*\}?", piece):
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts if part.strip()]
