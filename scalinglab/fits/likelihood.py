"""The objective of laws fitted to counts: minus the log likelihood, weighted by problem, for many points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.errors import DataError
from scalinglab.fits.data import Counts
from scalinglab.fits.minimise import Floats, Ints, Local
from scalinglab.fits.residuals import natural
from scalinglab.laws import Law


@dataclass(frozen=True)
class Likelihood:
    """A law's likelihood of counts, its problems weighted (S or 1, problems).

    The curvature is that of the scores' outer products (Berndt et al. 1974), never negative.
    """

    law: Law
    counts: Counts
    weight: Floats

    @property
    def rows(self) -> int:
        return 4 * self.counts.units  # the likelihood of a mixture is an array over p too

    def __call__(self, point: Floats, which: Ints) -> Local:
        weight = self.weight if len(self.weight) == 1 else self.weight[which]
        theta = natural(self.law, point)
        logs, scores = self.law.score(theta, self.counts.n, self.counts.correct)
        by_log = np.array([parameter.log for parameter in self.law.parameters])
        scores = scores * np.where(by_log, theta, 1.0)[:, :, None]
        value = -(logs * weight).sum(axis=1)
        gradient = -(scores @ np.broadcast_to(weight, logs.shape)[:, :, None])[:, :, 0]
        curvature = (scores * weight[:, None]) @ scores.transpose(0, 2, 1)
        return Local(value, gradient, curvature, curvature)


def sound_counts(counts: Counts) -> Counts:
    """The counts as whole numbers, or a DataError that names the problem that cannot be."""
    n, correct = (np.asarray(values, dtype=float) for values in (counts.n, counts.correct))
    if n.ndim != 1 or n.shape != correct.shape:
        raise DataError(f"n of shape {n.shape} and c of {correct.shape}", "one of each a problem", "give as many")
    bad = ~((n >= 1) & (correct >= 0) & (correct <= n) & (n % 1 == 0) & (correct % 1 == 0) & np.isfinite(n))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        given = f"{correct[row]:g} of {n[row]:g} samples right for problem {row + 1}"
        raise DataError(given, "0 to n of n >= 1 samples, whole numbers", "mend or drop the problem")
    return Counts(n.astype(np.int64), correct.astype(np.int64))
