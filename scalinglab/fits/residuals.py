"""The objective of laws with residuals: the sum of Huber terms, its gradient and curvatures, for many points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalinglab.fits.minimise import Floats, Ints, Local
from scalinglab.laws import Inputs, Law


@dataclass(frozen=True)
class Residuals:
    """A law against targets (S or 1, n), the data as the law's link and residual have them, weighted (S or 1, n).

    ``delta`` (S or 1, 1) ends the quadratic part of the Huber loss.
    """

    law: Law
    inputs: Inputs
    target: Floats
    weight: Floats
    delta: Floats

    @property
    def rows(self) -> int:
        return int(self.target.shape[1])

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def __call__(self, point: Floats, which: Ints) -> Local:
        target, weight, delta = (_of(array, which) for array in (self.target, self.weight, self.delta))
        residual, slopes = self.residual(point, target)
        size = np.abs(residual)
        inside = size <= delta
        slope = np.where(inside, residual, np.copysign(delta, residual))
        pull = slope * weight
        value = (pull * (residual - 0.5 * slope)).sum(axis=1)
        gradient = (slopes @ pull[:, :, None])[:, :, 0]
        across = slopes.transpose(0, 2, 1)
        quadratic = (slopes * (inside * weight)[:, None]) @ across
        if inside.all():
            return Local(value, gradient, quadratic, quadratic)
        bounding = np.where(inside, 1.0, delta / np.maximum(size, delta)) * weight
        return Local(value, gradient, quadratic, (slopes * bounding[:, None]) @ across)

    def residual(self, point: Floats, target: Floats) -> tuple[Floats, Floats]:
        """Residuals (S, n) and their derivatives (S, P, n) by the searched coordinates."""
        theta = natural(self.law, point)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value, slopes = self.law.differentiate(theta, self.inputs)
            for i, parameter in enumerate(self.law.parameters):
                if parameter.log:
                    slopes[:, i] *= theta[:, i, None]
            if self.law.residual == "log":
                slopes /= value[:, None]
                return np.log(value) - target, slopes
        return value - target, slopes


def natural(law: Law, point: Floats) -> Floats:
    """Parameters from searched coordinates (S, P): those on a log scale are exponentiated."""
    return np.where(
        [p.log for p in law.parameters], np.exp(np.where([p.log for p in law.parameters], point, 0)), point
    )


def searched(law: Law, theta: npt.ArrayLike) -> Floats:
    """Searched coordinates from parameters."""
    log, theta = np.array([p.log for p in law.parameters]), np.asarray(theta, dtype=float)
    return np.where(log, np.log(np.where(log, theta, 1.0)), theta)


def project(law: Law, inputs: Inputs, linked: Floats, searched_values: Floats) -> Floats:
    """Starts (S, P): the linear parameters solved by least squares for each row of the others (S, those).

    ``linked`` (n,) is what the formula predicts. Residuals are relative where the law's are logarithmic. A
    positive parameter that comes out negative starts at a thousandth of what would explain the data alone.
    """
    linear = [i for i, parameter in enumerate(law.parameters) if parameter.linear]
    theta = np.zeros((len(searched_values), len(law.parameters)))
    theta[:, [i for i in range(theta.shape[1]) if i not in linear]] = searched_values
    if linear:
        basis = np.stack([law.formula(_with_one(theta, i, linear), inputs) for i in linear], axis=2)
        weight = 1 / np.abs(linked) if law.residual == "log" else np.ones_like(linked)
        size = np.sqrt(((basis * weight[:, None]) ** 2).sum(axis=1))
        scaled = basis * weight[:, None] / size[:, None]
        normal = scaled.transpose(0, 2, 1) @ scaled + 1e-9 * np.eye(len(linear))
        solved = np.linalg.solve(normal, scaled.transpose(0, 2, 1) @ (linked * weight)[:, None])[:, :, 0] / size
        alone = 1e-3 * np.sqrt(((linked * weight) ** 2).sum()) / size
        positive = np.array([law.parameters[i].log for i in linear])
        theta[:, linear] = np.where(positive & (solved <= alone), alone, solved)
    return searched(law, theta)


def _with_one(theta: Floats, chosen: int, linear: list[int]) -> Floats:
    """The parameters with one linear one at 1 and the others at 0: its basis function."""
    copy = theta.copy()
    copy[:, linear] = 0.0
    copy[:, chosen] = 1.0
    return copy


def _of(array: Floats, which: Ints) -> Floats:
    return array if len(array) == 1 else array[which]
