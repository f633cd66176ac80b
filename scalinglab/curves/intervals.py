"""Uncertainty over problems: samples of one problem are one cluster."""

from __future__ import annotations

import numpy as np
from scipy import special

from scalinglab.curves.pools import Floats
from scalinglab.errors import DataError

DRAWS = 2000
"""Bootstrap resamples of the problems behind every interval."""


def interval(values: Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> tuple[Floats, Floats]:
    """Bootstrap interval of the mean over problems, the first axis: samples of a problem are one cluster.

    Percentiles widened for few problems (Hesterberg 2015, arXiv 1411.5279, section 5.2: "expanded"). The same
    seed resamples the same problems, so that differences of paired values are paired.
    Raises DataError for fewer than two problems, which carry no information on their spread.
    """
    problems = len(values)
    _enough(problems)
    ends = np.quantile(resampled(values, draws, seed), tails(problems, level), axis=0)
    return ends[0].reshape(values.shape[1:]), ends[1].reshape(values.shape[1:])


def ratio_interval(
    above: Floats, below: Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """As ``interval``, of the ratio of two means over the same problems; infinite where the second is 0."""
    _enough(len(above))
    tops, bottoms = (resampled(values, draws, seed) for values in (above, below))
    ratios = np.divide(tops, bottoms, out=np.full(tops.shape, np.inf), where=bottoms > 0)
    low, high = np.quantile(ratios, tails(len(above), level), axis=0, method="nearest")
    return low.reshape(above.shape[1:]), high.reshape(above.shape[1:])


def resampled(values: Floats, draws: int, seed: int) -> Floats:
    """Means over resampled problems, shape (draws, the rest flattened): one seed, one set of problems."""
    problems = len(values)
    picks = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=draws)
    return np.asarray(picks @ values.reshape(problems, -1) / problems)


def tails(problems: int, level: float = 0.95) -> list[float]:
    """The two quantiles of a bootstrap over so many problems that hold ``level``, widened for few of them."""
    widened = special.stdtrit(problems - 1, (1 - level) / 2) * np.sqrt(problems / (problems - 1))
    tail = float(special.ndtr(widened))
    return [tail, 1 - tail]


def _enough(problems: int) -> None:
    if problems < 2:
        raise DataError(f"an interval over {problems} problem", "2 problems or more", "pool the bins")


def simultaneous(draws, middle, *, problems, extra=0.0, level=0.95):
    off = draws - draws.mean(axis=0)
    se = np.sqrt(off.var(axis=0) + np.asarray(extra) ** 2)
    rng = np.random.default_rng(0)
    noisy = off + rng.normal(size=(len(off), 1)) * extra
    top = np.quantile(np.abs(noisy / se).max(axis=1), level)
    return middle - top * se, middle + top * se
