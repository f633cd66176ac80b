"""A table as LaTeX, ruled by booktabs (a package that the preamble loads), for \\input in a paper."""

from __future__ import annotations

import re

import pandas as pd

from scalinglab.report.cells import cell_text

_ESCAPED = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"}, "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?( ?%)?( \(.*\))?|-")


def latex(frame: pd.DataFrame, *, caption: str = "", label: str = "") -> str:
    """A table environment: numbers to the right, words to the left, cells as on a terminal, all else escaped."""
    cells = [[cell_text(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    numbers = [all(map(_NUMBER.fullmatch, column)) for column in zip(*cells, strict=True)]
    columns = "".join("r" if number else "l" for number in numbers) or "l" * len(frame.columns)
    body = [_line([_typeset(cell) for cell in row]) for row in cells]
    return "\n".join([
        r"\begin{table}", r"\centering",
        *([rf"\caption{{{escape(caption)}}}"] if caption else []),
        *([rf"\label{{tab:{label}}}"] if label else []),
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
        _line([escape(str(name)) for name in frame.columns]), r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def escape(text: str) -> str:
    """Text that LaTeX sets as it stands."""
    return "".join(_ESCAPED.get(letter, letter) for letter in text)


def _typeset(cell: str) -> str:
    """A cell; the sign of a number is a minus."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape(cell))


def _line(cells: list[str]) -> str:
    # A row that begins with [ would be read as an argument of the line end before it.
    return " & ".join("{}" + cell if cell.startswith("[") else cell for cell in cells) + r" \\"
