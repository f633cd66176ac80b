"""A whole study compared: every strategy against the large model, under every convention that can price it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from scalinglab.exchange.breakeven import breakeven
from scalinglab.exchange.frontier import reference, verdicts
from scalinglab.exchange.optimal import policy_views
from scalinglab.exchange.studies import StudyData, View, views
from scalinglab.exchange.verdicts import PAPER_R
from scalinglab.exchange.weak import weak_views
from scalinglab.flops import CONVENTIONS, Convention

_WEAK = (
    "A: uniform random scores; B: 20 % of the verifier's scores p made 1 - p; C: its scores; D: reviser, majority"
)


@dataclass(frozen=True)
class Compared:
    """verdicts: see ``frontier.verdicts``. breakeven: see ``breakeven.breakeven``. unpriced: conventions left out,
    each with its reason. notes: what every number here rests on. views: what was compared."""

    small: str
    large: str
    verdicts: pd.DataFrame
    breakeven: pd.DataFrame
    unpriced: dict[str, str]
    notes: tuple[str, ...]
    views: tuple[View, ...]


def exchange_study(
    study: StudyData,
    *,
    r: Sequence[float] = PAPER_R,
    rules: Sequence[Convention] = tuple(CONVENTIONS.values()),
    bins: int = 5,
    sunk: bool = False,
    thinking: bool = False,
    weak: str | None = None,
    seed: int = 0,
) -> Compared:
    """Compare every strategy of a study's small model with its large model, over all problems and in bins.

    ``sunk``: nobody pays pretraining, as with open weights. ``thinking``: the large model also at each of its own
    budgets. ``weak``: the weak-verifier study of this verifier (see ``weak_views``) in place of the strategies.
    Raises DataError where no convention can price the study.
    """
    found, unpriced = views(study, rules, bins=bins, seed=seed, sunk=sunk)
    if weak is not None:
        found = weak_views(found, study, weak, seed=seed)
    found += policy_views(found, study, seed=seed)
    return Compared(
        study.small,
        study.large,
        verdicts(found, study, r, thinking=thinking, seed=seed),
        breakeven(found, study, seed=seed),
        unpriced,
        (*_notes(study, found, bins, sunk, policy=weak is None), *([] if weak is None else [_WEAK])),
        tuple(found),
    )


def _notes(study: StudyData, found: Sequence[View], bins: int, sunk: bool, *, policy: bool) -> tuple[str, ...]:
    once = reference(found[0].arms, study).label
    answer = (
        "its greedy answer" if once == "greedy" else "its mean single-sample accuracy, no greedy one is recorded"
    )
    notes = [
        "tokens: as the run recorded them, call by call; costs a query are means over the problems compared",
        f"large: {answer}",
        f"R: one sample of {study.small} a query ({study.written():.4g} tokens) over its training tokens",
        "between measured budgets accuracy is linear in log FLOPs; beyond them nothing is extrapolated",
        "intervals: 95 %, paired bootstrap over problems; of a verdict given the mean costs",
    ]
    if bins > 1:
        kept = (study.run.units["strategy"] == "difficulty").any()
        how = (
            "samples kept for difficulty"
            if kept
            else "one half of its parallel samples, which are scored on the other"
        )
        notes.append(f"bins: 1 is easiest for {study.small}, set on {how}")
    if bins > 1 and policy:
        notes.append("policy: the best strategy of each bin within the FLOPs, chosen on other problems")
    if study.unpriced:
        lacking = ", ".join(study.unpriced)
        notes.append(f"left out: what {lacking} answered or judged, without a spec (--spec MODEL=config.json)")
    if sunk:
        notes.append("sunk: nobody pays pretraining; training verifiers and revisers is paid where it is charged")
    return (*notes, *_tuned(study, found))


def _tuned(study: StudyData, found: Sequence[View]) -> list[str]:
    """Whether training the verifiers and the reviser is charged, under which conventions, and where unknown."""
    units = study.run.units
    used = {*study.verifiers.values(), *units.loc[units["role"] == "reviser", "model"]} - {None, study.small}
    charged = [view.arms.convention for view in found if view.lifetime.convention.tuning]
    unknown = sorted(str(model) for model in used - set(study.tuning))
    notes = []
    if charged and set(used) - set(unknown):
        rules = ", ".join(dict.fromkeys(charged))
        notes.append(f"tuning of {', '.join(sorted(map(str, used & set(study.tuning))))} is charged under {rules}")
    if unknown:
        notes.append(f"tuning of {', '.join(unknown)} is unknown and never charged")
    return notes
