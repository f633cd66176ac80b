"""fit(law, data) -> parameters by name, intervals, and a status that says why they can or cannot be trusted."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.fits.cells import Cells, cells_in, cells_of, is_cells
    from scalinglab.fits.compare import HOLD_OUTS, Ranked, compare, compare_all
    from scalinglab.fits.data import Counts, Points
    from scalinglab.fits.fit import Data, fit, fit_all
    from scalinglab.fits.gee import Answered, Rate, fit_rate
    from scalinglab.fits.isoflop import Budget, IsoFlop, isoflop, read_runs
    from scalinglab.fits.joint import Answer, Choice, Lifetime, choices, joint, lifetime
    from scalinglab.fits.meta import Meta, fit_meta, solve_meta
    from scalinglab.fits.record import Estimate, Fit, Status, document
    from scalinglab.fits.tables import find_law, points_of, read_model_counts, read_points

__all__ = [
    "HOLD_OUTS", "Answer", "Answered", "Budget", "Cells", "Choice", "Counts", "Data", "Estimate", "Fit", "IsoFlop",
    "Lifetime", "Meta", "Points", "Ranked", "Rate", "Status", "cells_in", "cells_of", "choices", "compare",
    "compare_all", "document", "find_law", "fit", "fit_all", "fit_meta", "fit_rate", "is_cells", "isoflop",
    "joint", "lifetime", "points_of", "read_model_counts", "read_points", "read_runs", "solve_meta",
]  # fmt: skip

lazy(__name__)
