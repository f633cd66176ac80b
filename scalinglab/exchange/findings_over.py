"""The paper's findings over training seeds: each at budgets that every seed has, over problems and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Group, over_seeds
from scalinglab.exchange.findings import (
    CLAIMS,
    NOT_MEASURED,
    NOTHING,
    OPPOSITE,
    Claim,
    Read,
    best_of,
    judged,
    merged,
    picked,
    shared_budgets,
    sides_of,
    unseen_of,
)
from scalinglab.exchange.paired import FEWEST_PROBLEMS, UNDECIDED
from scalinglab.exchange.seeds import group_draws
from scalinglab.exchange.views import View


def findings_over(found: Mapping[str, View], verifier: str) -> pd.DataFrame:
    """The same over training seeds: each finding at budgets that every seed has, its difference a mean over seeds.

    Intervals hold for all findings at once, over problems and seeds (see ``intervals.over_seeds``); between: the
    standard deviation of seeds' differences. views: of each seed, of one convention, in bins of difficulty.
    """
    told = [_over(claim, list(found.values()), verifier) for claim in CLAIMS]
    told.append(_hardest_over(list(found.values())))
    known = [(row, one) for row, one in told if one is not None and row["problems"] >= FEWEST_PROBLEMS]
    if known:
        point, draws = (np.stack([getattr(one, name) for _, one in known], axis=-1) for name in ("point", "draws"))
        problems, extra = (np.array([getattr(one, name) for _, one in known]) for name in ("problems", "unseen"))
        _, low, high = over_seeds(draws, point, problems=problems, extra=extra, fewest=np.inf)
        for (row, one), *ends in zip(known, low.tolist(), high.tolist(), strict=True):
            told_by = judged((ends[0], ends[1]))
            turned = {"verdict": OPPOSITE.get(str(told_by["verdict"]), UNDECIDED)} if one.against else {}
            row |= told_by | turned
    return pd.DataFrame([row for row, _ in told])


@dataclass(frozen=True)
class _Over:
    """A finding over seeds: seeds' differences, (seeds,), and under resamples of problems, (seeds, draws).

    problems: of the group; unseen: the standard error that resamples do not show. against: it holds below 0.
    """

    point: Floats
    draws: Floats
    problems: float
    unseen: float
    against: bool = False


def _over(claim: Claim, found: Sequence[View], verifier: str) -> tuple[dict[str, Any], _Over | None]:
    row: dict[str, Any] = {"finding": claim.text, "bin": ", ".join(claim.bins), "problems": 0}
    groups = [merged([group for group in view.groups if group.name in claim.bins]) for view in found]
    here = [group for group in groups if group is not None]
    if len(here) < len(found):
        return row | {"verdict": NOT_MEASURED}, None
    row |= {"problems": round(float(np.mean([group.size for group in here])))}
    sides = [sides_of(claim, view, group, verifier) for view, group in zip(found, here, strict=True)]
    shared = set.intersection(*(set(shared_budgets(claim, both)) for both in sides))
    pairs = [picked(claim, both, sorted(shared)) for both in sides]
    arms = [pair[0] for pair in pairs if pair is not None]
    if len(arms) < len(found) or pairs[0] is None:
        return row | {"verdict": NOT_MEASURED}, None
    values = [first.accuracy - second.accuracy for first, second in arms]
    means = [float(np.mean([pair[i].accuracy.mean() for pair in arms])) for i in (0, 1)]
    told = {"budgets": pairs[0][1], "first": means[0], "second": means[1], "difference": means[0] - means[1]}
    return row | told | _between(values), _combined(found, here, values, arms)


def _hardest_over(found: Sequence[View]) -> tuple[dict[str, Any], _Over]:
    """Bin 5 over seeds, the best arm of each seed chosen on the problems it is scored on."""
    groups = [view.groups[-1] for view in found]
    best = [best_of(view) for view in found]
    values = [one.accuracy - NOTHING for one in best]
    middle = float(np.mean([one.accuracy.mean() for one in best]))
    names = ", ".join(dict.fromkeys(one.line.strategy for one in best))
    row: dict[str, Any] = {
        "finding": f"hardest bin: nothing works (best here: {names})", "bin": groups[0].name,
        "problems": round(float(np.mean([group.size for group in groups]))),
        "budgets": ", ".join(dict.fromkeys(str(one.budget) for one in best)), "first": middle, "second": NOTHING,
        "difference": middle - NOTHING,
    }  # fmt: skip
    over = _combined(found, groups, values, [(one,) for one in best])
    return row | _between(values), replace(over, against=True)


def _between(values: Sequence[Floats]) -> dict[str, Any]:
    own = [float(one.mean()) for one in values]
    return {"between": float(np.std(own, ddof=1)) if len(own) > 1 else None, "verdict": UNDECIDED}


def _combined(
    found: Sequence[View], groups: Sequence[Group], values: Sequence[Floats], arms: Sequence[Sequence[Read]]
) -> _Over:
    parts = list(zip(found, groups, values, strict=True))
    draws = np.array([group_draws(own, group, len(view.arms.problems)) for view, group, own in parts])
    unseen = [unseen_of(view, group, own) for view, group, own in zip(found, groups, arms, strict=True)]
    point = np.array([float(own.mean()) for own in values])
    problems = float(np.mean([group.effective for group in groups]))
    return _Over(point, draws, problems, float(np.sqrt(np.mean(unseen))))
