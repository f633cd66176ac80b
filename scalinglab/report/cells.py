"""Rows as a table for people, without pandas: a verb that prints a few numbers loads nothing for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ESCAPED = str.maketrans({"\t": "\\t", "\r": "\\r", "\n": "\\n"})


def table(columns: Iterable[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Cells as ``cell`` writes them under their columns, to the right; "(nothing)" without rows."""
    lines = [[cell_text(value) for value in row] for row in rows]
    if not lines:
        return "(nothing)"
    lines.insert(0, [str(column) for column in columns])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(" ".join(map(str.rjust, line, widths)) for line in lines)


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows by their keys as a table; what one lacks of another's is missing."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return table(columns, ([row.get(column) for column in columns] for row in rows))


def cell_text(value: Any) -> str:
    """A cell as one line of text."""
    return str(cell(value)).translate(_ESCAPED)


def cell(value: Any) -> Any:
    """What stands in a cell: four digits of a number that is not whole, a dash for what is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int) and abs(value) < 10**7:
        return value
    return f"{value:.4g}"
