"""The objective of laws fitted to counts: minus the log likelihood, weighted by problem, for many points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts
from scalinglab.fits.minimise import Floats, Ints, Local
from scalinglab.fits.residuals import natural
from scalinglab.laws import Law

_STEP = 1e-5  # of the central differences, in searched coordinates


@dataclass(frozen=True)
class Likelihood:
    """A law's likelihood of counts, its problems weighted (S or 1, problems).

    The curvature is that of the scores' outer products (Berndt et al. 1974), never negative.
    """

    law: Law
    counts: Counts
    weight: Floats

    def __call__(self, point: Floats, which: Ints) -> Local:
        weight = self.weight if len(self.weight) == 1 else self.weight[which]
        scores = np.empty((len(point), point.shape[1], self.counts.units))
        for i in range(point.shape[1]):
            step = np.zeros(point.shape[1])
            step[i] = _STEP
            scores[:, i] = (self.logs(point + step) - self.logs(point - step)) / (2 * _STEP)
        value = -(self.logs(point) * weight).sum(axis=1)
        gradient = -(scores @ np.broadcast_to(weight, (len(point), weight.shape[1]))[:, :, None])[:, :, 0]
        curvature = (scores * weight[:, None]) @ scores.transpose(0, 2, 1)
        return Local(value, gradient, curvature, curvature)

    def logs(self, point: Floats) -> Floats:
        """The log likelihood of each problem, (S, problems)."""
        assert self.law.likelihood is not None
        return self.law.likelihood(natural(self.law, point), self.counts.n, self.counts.correct)


def sound_counts(counts: Counts) -> Counts:
    """The counts, or a DataError that names the problem that cannot be."""
    bad = (counts.n < 1) | (counts.correct < 0) | (counts.correct > counts.n)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        given = f"{counts.correct[row]} of {counts.n[row]} samples right for problem {row + 1}"
        raise DataError(given, "0 to n of n >= 1 samples", "mend or drop the problem")
    return counts
