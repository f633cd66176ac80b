"""fit(law, data) -> parameters by name, intervals, and a status that says why they can or cannot be trusted."""

from scalinglab.fits.compare import Ranked, compare
from scalinglab.fits.data import Counts, Points
from scalinglab.fits.fit import fit
from scalinglab.fits.record import Estimate, Fit, Status
from scalinglab.fits.tables import find_law, read_model_counts, read_points

__all__ = [
    "Counts", "Estimate", "Fit", "Points", "Ranked", "Status",
    "compare", "find_law", "fit", "read_model_counts", "read_points",
]  # fmt: skip
