"""Rows as a table for people, without pandas: a verb that prints a few numbers loads nothing for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scalinglab.names import visible

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]\d[\d.]*(e[+-]?\d+)?( [a-z][a-z-]*)?")


def table(columns: Iterable[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Cells as ``cell`` writes them under their columns, to the right; "(nothing)" without rows."""
    lines = [[cell_text(value) for value in row] for row in rows]
    if not lines:
        return "(nothing)"
    lines.insert(0, [visible(str(column)) for column in columns])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(" ".join(map(str.rjust, line, widths)) for line in lines)


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows by their keys as a table; what one lacks of another's is missing."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return table(columns, ([row.get(column) for column in columns] for row in rows))


def cell_text(value: Any) -> str:
    """A cell as one line of text."""
    return visible(str(cell(value)))


def cell(value: Any) -> Any:
    """What stands in a cell: four digits of a number that is not whole, a dash for what is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int) and abs(value) < 10**7:
        return value
    return f"{value:.4g}"


def csv(frame: pd.DataFrame) -> bytes:
    """A frame as CSV. A text that a spreadsheet would run as a formula stands behind a single quote."""
    import pandas as pd

    guarded = {
        _guarded(name): column if column.dtype.kind in "biufc" else column.map(_guarded)
        for name, column in frame.items()
    }
    return pd.DataFrame(guarded, frame.index).to_csv(index=False).encode()


def _guarded(value: Any) -> Any:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
