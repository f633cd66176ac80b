"""Configurations by price, and what a group of problems gets from them at a mean cost of a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from scalinglab.curves import Floats, Ints, tails
from scalinglab.optimal.mixtures import CANNOT_PAY, Mixture, mixture, status
from scalinglab.optimal.words import Part

FEWEST_PROBLEMS = 6
"""Groups of fewer problems get no interval: a bootstrap of so few misses too often."""


@dataclass(frozen=True)
class Configurations:
    """An arm for each bin at each price, from dear to cheap.

    accuracy, spent, flops: means over all problems and over each bin, (1 + bins, prices), under arms that were
    chosen on other problems; spent counts the unit, with what estimating difficulty costs where bins chose apart
    and it is charged.
    arms: rows of the table of arms, chosen on all problems, (bins, prices); estimated: whether they were chosen
    by bin, so that difficulty must be estimated, (prices,); in_sample: their mean accuracy over all problems and
    over each bin, which flatters; paid: what they spend, (1 + bins, prices).
    draws, costs: mean accuracy and spent over all problems and over each bin under resampled problems, on which
    arms are chosen anew, under two divisions into folds, (2, draws, 1 + bins, prices); partitions: the divisions
    behind ``accuracy``.
    """

    accuracy: Floats
    spent: Floats
    flops: Floats
    in_sample: Floats
    paid: Floats
    arms: Ints
    estimated: npt.NDArray[np.bool_]
    draws: Floats
    costs: Floats
    partitions: int


@dataclass(frozen=True)
class Reading:
    """What a group of problems gets at mean costs of a query, by the mixture of two configurations.

    accuracy: their mean, (points,), NaN where no configuration can be paid. draws: the mean under each resample,
    each with a mixture of its own, about ``accuracy``; (draws, points); jitter: what of their variance comes of
    dividing into folds alone (see ``calmed``), (points,). low, high: the mean's 95 % ends, NaN for fewer than six
    problems. spent, flops: of a query, (points,). status: "measured",
    "cannot pay" or "lower bound" (beyond the dearest arm), (points,); more than the dearest configuration is
    never spent. parts: of each point, the configurations to run, each as its share of queries and the arm of each
    bin of the group, which cost at most what was asked; in_sample: their mean accuracy on the problems that chose
    them, (points,).
    """

    accuracy: Floats
    draws: Floats
    jitter: Floats
    low: Floats
    high: Floats
    in_sample: Floats
    spent: Floats
    flops: Floats
    status: npt.NDArray[np.object_]
    parts: list[list[Part]]


def reading(own: Configurations, g: int, problems: int, dearest: float, cost: Floats) -> Reading:
    """The g-th group, of so many problems, whose dearest arm costs ``dearest`` a query, at ``cost``, (points,)."""
    spent = own.spent[g]
    found, mixed, run = status(spent, dearest, cost), mixture(spent[None], cost), mixture(own.paid[[g]], cost)
    unpaid = found == CANNOT_PAY
    within = np.where(unpaid, np.nan, run.of(own.in_sample[[g]])[0])
    accuracy, took, flops = (
        np.where(unpaid, np.nan, mixed.of(values[[g]])[0]) for values in (own.accuracy, own.spent, own.flops)
    )
    draws, jitter = resampled_reading(own, g, cost)
    draws = accuracy + draws - draws.mean(axis=0)
    low, high = ends(accuracy, calmed(draws, jitter), problems)
    parts = _parts(own.arms if g == 0 else own.arms[[g - 1]], run)
    parts = [[] if no else part for no, part in zip(unpaid, parts, strict=True)]
    return Reading(accuracy, draws, jitter, low, high, within, took, flops, found, parts)


def resampled_reading(own: Configurations, g: int, cost: Floats) -> tuple[Floats, Floats]:
    """Mean accuracy of a group under each resample, (draws, points), and its jitter (see ``calmed``), (points,).

    cost: (points,) or (draws, points); each resample mixes configurations of its own.
    """
    pairs = zip(own.draws, own.costs, strict=True)
    each = np.stack([mixture(costs[:, g], cost).of(draws[:, g]) for draws, costs in pairs])
    noise = each.var(axis=0, ddof=1).mean(axis=0)
    return each.mean(axis=0), noise * max(0.0, 1 / len(each) - 1 / own.partitions)


def calmed(draws: Floats, jitter: Floats) -> Floats:
    """Draws, (draws, points), about their mean, less the variance that is no doubt of the estimate, (points,).

    A resample is divided into folds twice and the estimate oftener, so that draws vary more than it by what
    dividing at random adds: ``jitter``. For draws of the strategy or of a difference from it.
    """
    middle, spread = draws.mean(axis=0), draws.var(axis=0)
    kept = np.clip(1 - np.divide(jitter, spread, out=np.zeros(spread.shape), where=spread > 0), 0.25, 1)
    return np.asarray(middle + np.sqrt(kept) * (draws - middle))


def ends(middle: Floats, draws: Floats, problems: int) -> tuple[Floats, Floats]:
    """The 95 % ends of ``middle``, (points,), by how ``draws``, (draws, points), fall about their own mean.

    Where all problems agree, resampling sees no doubt: two pseudo-problems, one right and one wrong, are
    allowed for (after Agresti & Min 2005, who add pseudo-observations to matched proportions). NaN for fewer
    than six problems.
    """
    if problems < FEWEST_PROBLEMS:
        return np.full(middle.shape, np.nan), np.full(middle.shape, np.nan)
    low, high = np.quantile(draws - draws.mean(axis=0), tails(problems), axis=0)
    doubt = float(special.ndtri(0.975)) / (problems + 2)
    return middle - np.hypot(low, doubt), middle + np.hypot(high, doubt)


def _parts(arms: Ints, run: Mixture) -> list[list[Part]]:
    """The configurations to run at each cost: what the arms chosen on all problems cost decides the shares."""
    found = []
    for cheap, dear, share in zip(run.cheap[0], run.dear[0], run.share[0].tolist(), strict=True):
        shares: dict[tuple[int, ...], float] = {}
        for at, part in ((cheap, 1 - share), (dear, share)):
            own = tuple(arms[:, at].tolist())
            shares[own] = shares.get(own, 0.0) + part
        found.append([Part(part, own) for own, part in shares.items() if part > 1e-9])
    return found
