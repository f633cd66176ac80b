"""The paper's findings about strategies, checked on a study: holds, does not, or undecided here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, interval
from scalinglab.errors import DataError
from scalinglab.exchange.studies import StudyData, View, views
from scalinglab.exchange.verdicts import ALL, UNDECIDED
from scalinglab.flops import convention

HOLDS, DOES_NOT, NOT_MEASURED = "holds", "does not", "not measured"


@dataclass(frozen=True)
class Claim:
    """That one arm is more accurate than another in some difficulty bins (PAPER section 3, Findings to check).

    better, worse: strategy and which of the budgets both measured, "least" or "most"; or a length of revisions.
    """

    text: str
    bins: Sequence[str]
    better: tuple[str, str]
    worse: tuple[str, str]


_EASY, _MIDDLE = ("1",), ("3", "4")
CLAIMS = (
    Claim("beam search beats best-of-N at small budgets", (ALL,), ("beam_search", "least"), ("parallel", "least")),
    Claim("beam search falls behind at large budgets", (ALL,), ("parallel", "most"), ("beam_search", "most")),
    Claim("easy: beam search degrades with budget", _EASY, ("beam_search", "least"), ("beam_search", "most")),
    Claim("bins 3, 4: beam search stays ahead", _MIDDLE, ("beam_search", "most"), ("parallel", "most")),
    Claim("lookahead is worse than best-of-N", (ALL,), ("parallel", "most"), ("lookahead", "most")),
    Claim("lookahead is worse than beam search", (ALL,), ("beam_search", "most"), ("lookahead", "most")),
    Claim("easy: long chains beat parallel revisions", _EASY, ("revisions", "longest"), ("revisions", "shortest")),
)  # fmt: skip
_NOTHING = 0.05
"""In the hardest bin nothing works: an accuracy below this, the testbed's own bound for that bin."""


def findings(study: StudyData, verifier: str, *, seed: int = 0) -> pd.DataFrame:
    """One row a finding: the accuracies compared at equal budgets in samples, their paired difference with a
    95 % interval over problems, and whether the finding holds, does not, or is undecided here.

    Samples and the finals of searches are voted on with the weights of ``verifier``, revisions by flat majority.
    Bins are those of ``views``. Where a strategy was not run, the row says so. Raises DataError for a verifier
    that the study has not.
    """
    if verifier not in study.verifiers:
        known = ", ".join(study.verifiers) or "none: it has none"
        raise DataError(f"verifier {verifier!r}", f"one of {known}", "name a verifier of the study")
    whole, binned = views(study, [convention("paper")], seed=seed)[0]
    rows = [_row(claim, whole if claim.bins == (ALL,) else binned, verifier, seed) for claim in CLAIMS]
    return pd.DataFrame([*rows, _hardest(binned, seed)])


def _row(claim: Claim, view: View, verifier: str, seed: int) -> dict[str, object]:
    members = np.concatenate([rows for name, rows in view.groups if name in claim.bins])
    row: dict[str, object] = {"finding": claim.text, "bin": ", ".join(claim.bins), "problems": len(members)}
    pair = _pair(claim, view, verifier)
    if pair is None:
        return row | {"verdict": NOT_MEASURED}
    (better, worse), budgets = pair
    difference = better[members] - worse[members]
    low, high = map(float, interval(difference, seed=seed))
    verdict = HOLDS if low > 0 else DOES_NOT if high < 0 else UNDECIDED
    found = {"budgets": budgets, "first": better[members].mean(), "second": worse[members].mean()}
    return row | found | {"difference": difference.mean(), "low": low, "high": high, "verdict": verdict}


def _pair(claim: Claim, view: View, verifier: str) -> tuple[tuple[Floats, Floats], str] | None:
    """The accuracies of both arms, (problems,) each, and at which budgets they were measured."""
    sides = [dict(_arms(view, side[0], verifier)) for side in (claim.better, claim.worse)]
    shared = sorted({budget for budget, _ in sides[0]} & {budget for budget, _ in sides[1]})
    if not shared:
        return None
    chosen = []
    for (_, which), arms in zip((claim.better, claim.worse), sides, strict=True):
        budget = shared[0] if which == "least" else shared[-1]
        lengths = [length for at, length in arms if at == budget]
        length = min(lengths) if which == "shortest" else max(lengths)
        chosen.append((budget, length))
    if chosen[0] == chosen[1] and claim.better[0] == claim.worse[0]:
        return None
    columns = [view.arms.accuracy[:, arms[at]] for arms, at in zip(sides, chosen, strict=True)]
    return (columns[0], columns[1]), " and ".join(str(budget) for budget in dict.fromkeys(b for b, _ in chosen))


def _arms(view: View, strategy: str, verifier: str) -> Iterator[tuple[tuple[int, int], int]]:
    """The arms of a strategy by budget and length of chains (0 where there are none)."""
    table = view.arms.table
    selector = "majority" if strategy == "revisions" else "weighted"
    judged = "" if strategy == "revisions" else verifier
    rows = table[
        (table["strategy"] == strategy) & (table["selector"] == selector) & (table["verifier"] == judged)
        & (table["role"] != "large")
    ]  # fmt: skip
    for at, setting, budget in zip(rows.index, rows["setting"], rows["budget"], strict=True):
        yield (int(budget), int(json.loads(setting).get("length", 0))), int(at)


def _hardest(view: View, seed: int) -> dict[str, object]:
    """Bin 5: nothing works. The best arm is chosen on the problems it is scored on, which favours it."""
    name, members = view.groups[-1]
    small = np.flatnonzero(view.arms.table["role"] != "large")
    accuracy = view.arms.accuracy[np.ix_(members, small)]
    best = int(accuracy.mean(axis=0).argmax())
    low, high = map(float, interval(accuracy[:, best], seed=seed))
    verdict = HOLDS if high < _NOTHING else DOES_NOT if low > _NOTHING else UNDECIDED
    arm = view.arms.table.iloc[small[best]]
    return {
        "finding": f"hardest bin: nothing works (best here: {arm['strategy']})", "bin": name,
        "problems": len(members), "budgets": str(arm["budget"]), "first": accuracy[:, best].mean(),
        "second": _NOTHING, "difference": accuracy[:, best].mean() - _NOTHING, "low": low - _NOTHING,
        "high": high - _NOTHING, "verdict": verdict,
    }  # fmt: skip
