"""The same objects as text tables, JSON rows, and a folder of figures, CSV and one HTML page."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.report.cells import table_of
    from scalinglab.report.compared import comparison_report
    from scalinglab.report.page import Report, Section, manifest, rows, text
    from scalinglab.report.paper import paper_report

__all__ = [
    "Report",
    "Section",
    "comparison_report",
    "manifest",
    "paper_report",
    "rows",
    "table_of",
    "text",
]

lazy(__name__)
