"""fit(law, data) -> parameters by name, intervals, and a status that says why they can or cannot be trusted."""

from scalinglab.fits.compare import HOLD_OUTS, Ranked, compare
from scalinglab.fits.data import Counts, Points
from scalinglab.fits.fit import fit
from scalinglab.fits.record import Estimate, Fit, Status, document
from scalinglab.fits.tables import find_law, read_model_counts, read_points

__all__ = [
    "HOLD_OUTS", "Counts", "Estimate", "Fit", "Points", "Ranked", "Status",
    "compare", "document", "find_law", "fit", "read_model_counts", "read_points",
]  # fmt: skip
