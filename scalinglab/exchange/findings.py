"""The paper's findings about strategies, checked on a study: holds, does not, or undecided here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves import interval
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.paired import UNDECIDED
from scalinglab.exchange.views import ALL, View, views
from scalinglab.flops import Convention

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


def findings(evidence: Evidence, verifier: str, *, rule: Convention, bins: int = 5, seed: int = 0) -> pd.DataFrame:
    """One row a finding: the accuracies compared at equal budgets in samples, their paired difference with a
    95 % interval over problems, and whether the finding holds, does not, or is undecided here.

    Samples and the finals of searches are voted on with the weights of ``verifier``, revisions by flat majority.
    Bins are those of ``views``. Where a strategy was not run, the row says so. Raises DataError for a verifier
    that the evidence has not.
    """
    if verifier not in evidence.verifiers:
        known = ", ".join(evidence.verifiers) or "none: it has none"
        raise DataError(f"verifier {verifier!r}", f"one of {known}", "name a verifier of the study")
    (view,), _ = views(evidence, [rule], bins=bins, seed=seed)
    rows = [_row(claim, view, verifier, seed) for claim in CLAIMS]
    return pd.DataFrame([*rows, _hardest(view, seed)])


def _row(claim: Claim, view: View, verifier: str, seed: int) -> dict[str, object]:
    groups = [group for group in view.groups if group.name in claim.bins]
    size = sum(len(group.members) for group in groups)
    row: dict[str, object] = {"finding": claim.text, "bin": ", ".join(claim.bins), "problems": size}
    pair = _pair(claim, view, verifier) if groups else None
    if pair is None:
        return row | {"verdict": NOT_MEASURED}
    (better, worse), budgets = pair
    scored = np.concatenate([view.scored(group)[:, [better, worse]] for group in groups])
    difference = scored[:, 0] - scored[:, 1]
    low, high = map(float, interval(difference, seed=seed))
    verdict = HOLDS if low > 0 else DOES_NOT if high < 0 else UNDECIDED
    found = {"budgets": budgets, "first": scored[:, 0].mean(), "second": scored[:, 1].mean()}
    return row | found | {"difference": difference.mean(), "low": low, "high": high, "verdict": verdict}


def _pair(claim: Claim, view: View, verifier: str) -> tuple[tuple[int, int], str] | None:
    """Both arms, and at which budgets they were measured: the least or the most that both were."""
    sides = [_arms(view, side[0], verifier) for side in (claim.better, claim.worse)]
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
    first, second = (arms[at] for arms, at in zip(sides, chosen, strict=True))
    return (first, second), " and ".join(str(budget) for budget in dict.fromkeys(b for b, _ in chosen))


def _arms(view: View, strategy: str, verifier: str) -> dict[tuple[int, int], int]:
    """The arms of a strategy by budget and length of chains (0 where there are none), where they were run so.

    Chains are read at any number of them; here at the budgets at which searches and samples were run too.
    """
    selector, judged = ("majority", "") if strategy == "revisions" else ("weighted", verifier)
    found: dict[tuple[int, int], int] = {}
    for line in view.lines():
        if (line.strategy, line.selector, line.verifier) == (strategy, selector, judged):
            length = int(json.loads(line.setting).get("length", 0))
            found |= {(int(k), length): int(at) for k, at in zip(line.budgets, line.columns, strict=True)}
    return found


def _hardest(view: View, seed: int) -> dict[str, object]:
    """Bin 5: nothing works. The best arm is chosen on the problems it is scored on, which favours it."""
    group = view.groups[-1]
    accuracy = view.scored(group)
    columns = np.concatenate([view.columns(line, group) for line in view.menu()])
    best = int(columns[accuracy[:, columns].mean(axis=0).argmax()])
    low, high = map(float, interval(accuracy[:, best], seed=seed))
    verdict = HOLDS if high < _NOTHING else DOES_NOT if low > _NOTHING else UNDECIDED
    arm, middle = view.arms.table.iloc[best], float(accuracy[:, best].mean())
    return {
        "finding": f"hardest bin: nothing works (best here: {arm['strategy']})", "bin": group.name,
        "problems": len(group.members), "budgets": str(arm["budget"]), "first": middle, "second": _NOTHING,
        "difference": middle - _NOTHING, "low": low - _NOTHING, "high": high - _NOTHING, "verdict": verdict,
    }  # fmt: skip
