"""The same objects as text tables, JSON rows, and a folder of figures, CSV and one HTML page."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.report.advised import advice_report, advice_sections, cost_table
    from scalinglab.report.atlas import atlas_left_out, atlas_report, atlas_rows, forecast_sections
    from scalinglab.report.cells import cell_text, table_of
    from scalinglab.report.claims import Claim, shipped_evidence
    from scalinglab.report.compared import comparison_report
    from scalinglab.report.latex import latex
    from scalinglab.report.page import Report, Section, manifest, rows, text
    from scalinglab.report.paper import paper_report
    from scalinglab.report.real import first_sentence, readme, real_forecast, write_real
    from scalinglab.report.repeated import explore, repeated_report, study_readme

__all__ = [
    "Claim",
    "Report",
    "Section",
    "advice_report",
    "advice_sections",
    "atlas_left_out",
    "atlas_report",
    "atlas_rows",
    "cell_text",
    "comparison_report",
    "cost_table",
    "explore",
    "first_sentence",
    "forecast_sections",
    "latex",
    "manifest",
    "paper_report",
    "readme",
    "real_forecast",
    "repeated_report",
    "rows",
    "shipped_evidence",
    "study_readme",
    "table_of",
    "text",
    "write_real",
]

lazy(__name__)
