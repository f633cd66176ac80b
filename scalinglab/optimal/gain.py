"""How much less compute the compute-optimal strategy takes than parallel sampling: the paper's "4x"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, tails
from scalinglab.errors import DataError
from scalinglab.optimal.bins import Bins
from scalinglab.optimal.compute import RESAMPLES, compute_optimal
from scalinglab.optimal.mechanisms import Mechanism, mechanisms
from scalinglab.optimal.readings import calmed
from scalinglab.optimal.strategy import Optimal, Unit

REACHED, NOT_REACHED, OUTSIDE = "reached", "not reached", "outside measured budgets"
STEP, MIXTURE = "step", "mixture"
_GRID = 400
_SAME = 1e-6


@dataclass(frozen=True)
class Gain:
    """One mechanism's compute-optimal strategy against parallel samples of its own proposer.

    table: one row a budget of the baseline, unit and way to read. n: the baseline's samples; at: what they cost;
    accuracy: theirs. by: "step", the first measured budget of the baseline at which the strategy is as accurate,
    or "mixture", the first mean cost; reaches: that cost; gain: at / reaches, with its 95 % ends low and high,
    None where the measured budgets do not bound it; verdict: reached, not reached (at no measured budget), or
    outside measured budgets (the cheapest configuration is more accurate already: more than at / its cost);
    against: the baseline, in words; mechanism, unit, convention, problems.
    """

    mechanism: str
    against: str
    strategy: dict[Unit, Optimal]
    table: pd.DataFrame


def gains(
    arms: Arms,
    bins: Bins,
    *,
    small: str,
    selector: str = "weighted",
    units: Sequence[Unit] = ("samples", "flops"),
    folds: int = 2,
    draws: int = RESAMPLES,
    seed: int = 0,
) -> list[Gain]:
    """Of search and of revisions apart, how many times less compute is as accurate as parallel sampling.

    Each is the compute-optimal strategy over the mechanism's arms and its proposer's parallel samples, against
    those samples under the same selector and verifier (see ``mechanisms``). Intervals resample the problems of
    both together, arms chosen anew. Raises DataError where no mechanism was measured beside its baseline.
    """
    found = mechanisms(arms, small=small, selector=selector)
    if not found:
        raise DataError(
            f"no search or revisions beside parallel samples, {selector}",
            "a mechanism and its proposer's parallel samples under one verifier",
            "collect both",
        )
    return [_gain(each, bins, units, folds, draws, seed) for each in found]


def _gain(each: Mechanism, bins: Bins, units: Sequence[Unit], folds: int, draws: int, seed: int) -> Gain:
    best: dict[Unit, Optimal] = {
        unit: compute_optimal([(each.arms, bins)], unit=unit, folds=folds, draws=draws, seed=seed)[0]
        for unit in units
    }
    common = {"mechanism": each.name, "against": each.against, "convention": each.arms.convention}
    rows = [
        common | {"unit": unit} | row | {"problems": len(bins.problems)}
        for unit, found in best.items()
        for row in against(found, each.baseline)
    ]
    return Gain(each.name, each.against, best, pd.DataFrame(rows))


def against(optimal: Optimal, baseline: Arms) -> list[dict[str, Any]]:
    """The rows of one strategy and unit against a baseline: arms over the same problems, by rising budget."""
    counts = baseline.table["budget"].to_numpy(np.float64)
    at = counts if optimal.unit == "samples" else baseline.flops.mean(axis=0)
    goals = baseline.accuracy.mean(axis=0)
    again = optimal.others(0, baseline.accuracy)
    targets = np.concatenate([goals[None], goals + again - again.mean(axis=0)])
    price = np.ones(len(baseline.problems)) if optimal.unit == "samples" else baseline.flops[:, 0] / at[0]
    scale = optimal.others(0, price)
    ways = {
        STEP: (_curves(optimal, at, scale), first_step),
        MIXTURE: (_curves(optimal, _grid(optimal, at), scale), first_reach),
    }
    rows = []
    for j, n in enumerate(counts.tolist()):
        for by, ((costs, curves, jitter), reach) in ways.items():
            ahead = curves - targets[:, [j]]
            ahead[1:] = calmed(ahead[1:], jitter)
            found = reach(costs, ahead, np.zeros(len(ahead)))
            row = {"n": int(n), "at": float(at[j]), "accuracy": float(goals[j]), "by": by}
            rows.append(row | _read(found, float(at[j]), len(baseline.problems)))
    return rows


def first_step(costs: Floats, curves: Floats, target: Floats) -> Floats:
    """The first of ``costs`` at which each curve is at its target; 0 and infinite as ``first_reach``."""
    there = curves >= target[:, None] - _SAME
    first = np.where(curves[:, 0] > target + _SAME, 0.0, costs[there.argmax(axis=1)])
    return np.asarray(np.where(there.any(axis=1), first, np.inf))


def first_reach(costs: Floats, curves: Floats, target: Floats) -> Floats:
    """The least cost at which each curve is at its target, a mixture of the two costs around it.

    costs: (points,), rising; curves: (draws, points); target: (draws,). Curves need not rise: the first crossing
    counts. 0 where the cheapest is beyond the target already (at it: its cost), infinite where none reaches it.
    """
    there = curves >= target[:, None] - _SAME
    at = there.argmax(axis=1)
    rows, before = np.arange(len(curves)), np.maximum(at - 1, 0)
    left, right = curves[rows, before], curves[rows, at]
    share = np.divide(target - left, right - left, out=np.ones(len(curves)), where=right > left)
    found = costs[before] + np.clip(share, 0, 1) * (costs[at] - costs[before])
    start = np.where(curves[:, 0] > target + _SAME, 0.0, costs[0])
    return np.asarray(np.where(~there.any(axis=1), np.inf, np.where(at == 0, start, found)))


def _curves(optimal: Optimal, costs: Floats, scale: Floats) -> tuple[Floats, Floats, Floats]:
    """The costs that can be paid, (points,), and the strategy at them: itself, then each resample; its jitter.

    scale: what the baseline's first sample costs in each resample, against its cost, (draws, 1): problems that
    are dear to both sides gain neither anything.
    """
    read, draws = optimal.read(0, costs), optimal.drawn(0, costs * scale)
    middle = read.accuracy
    paid = ~np.isnan(middle)
    curves = np.concatenate([middle[None], middle + draws - draws.mean(axis=0)])
    return costs[paid], curves[:, paid], read.jitter[paid]


def _grid(optimal: Optimal, at: Floats) -> Floats:
    """Mean costs from the cheapest configuration to the dearest, the baseline's budgets among them."""
    spent = optimal.chosen.spent[0]
    own = np.linspace(spent.min(), max(spent.max(), at.max()), _GRID)
    return np.unique(np.concatenate([own, spent, at[at >= spent.min()]]))


def _read(found: Floats, at: float, problems: int) -> dict[str, Any]:
    """The gain from the cost at which the strategy gets there: in the study itself, then in each resample."""
    with np.errstate(divide="ignore"):
        gain = at / found
    low, high = np.quantile(gain[1:], tails(problems), method="nearest").tolist()
    verdict = OUTSIDE if np.isinf(gain[0]) else REACHED if gain[0] > 0 else NOT_REACHED
    known = verdict == REACHED
    return {
        "reaches": float(found[0]) if known else None,
        "gain": float(gain[0]) if known else None,
        "low": low if 0 < low < np.inf else None,
        "high": high if 0 < high < np.inf else None,
        "verdict": verdict,
    }
