"""fit(law, data) -> parameters by name, intervals, and a status that says why they can or cannot be trusted."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.fits.compare import HOLD_OUTS, Ranked, compare, compare_all
    from scalinglab.fits.data import Counts, Points
    from scalinglab.fits.fit import Data, fit, fit_all
    from scalinglab.fits.isoflop import Budget, IsoFlop, isoflop, read_runs
    from scalinglab.fits.record import Estimate, Fit, Status, document
    from scalinglab.fits.tables import find_law, points_of, read_model_counts, read_points

__all__ = [
    "HOLD_OUTS", "Budget", "Counts", "Data", "Estimate", "Fit", "IsoFlop", "Points", "Ranked", "Status",
    "compare", "compare_all", "document", "find_law", "fit", "fit_all", "isoflop", "points_of",
    "read_model_counts", "read_points", "read_runs",
]  # fmt: skip

lazy(__name__)
