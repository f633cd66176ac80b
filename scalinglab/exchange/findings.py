"""The paper's findings about strategies, checked on a study: holds, does not, or undecided here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Floats, Group, Ints, Line, doubt, interval
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.paired import FEWEST_PROBLEMS, UNDECIDED, widened
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


_LENGTHS = ("longest", "shortest")
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
NOTHING = 0.05
"""In the hardest bin nothing works: an accuracy below this, the testbed's own bound for that bin."""
OPPOSITE = {HOLDS: DOES_NOT, DOES_NOT: HOLDS}
"""That nothing works is that the best lies below the bound."""
_ROUNDING = 1e-12
"""Of a mean over problems: an end so near to 0 is 0."""


def findings(evidence: Evidence, verifier: str, *, rule: Convention, bins: int = 5, seed: int = 0) -> pd.DataFrame:
    """One row a finding: the accuracies compared at equal budgets in samples, their paired difference with a
    95 % interval over problems (none, and undecided, for fewer than six), and whether the finding holds, does not,
    or is undecided here. Intervals allow for what resampling cannot see: the noise of votes, and the doubt that is
    left where all problems agree.

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
    group = merged([group for group in view.groups if group.name in claim.bins])
    row: dict[str, object] = {"finding": claim.text, "bin": ", ".join(claim.bins), "problems": 0}
    if group is None:
        return row | {"verdict": NOT_MEASURED}
    row |= {"problems": group.size}
    sides = sides_of(claim, view, group, verifier)
    pair = picked(claim, sides, shared_budgets(claim, sides))
    if pair is None:
        return row | {"verdict": NOT_MEASURED}
    arms, budgets = pair
    first, second = (float(one.accuracy.mean()) for one in arms)
    found = {"budgets": budgets, "first": first, "second": second, "difference": first - second}
    return row | found | judged(_ends(view, group, arms[0].accuracy - arms[1].accuracy, arms, seed))


def merged(groups: Sequence[Group]) -> Group | None:
    """The problems of several bins as one group: one that stands in two of them, over the splits, counts once."""
    if not groups:
        return None
    members = np.unique(np.concatenate([group.members for group in groups]))
    inside = [_placed(group.inside, group.members, members) for group in groups if group.inside is not None]
    return Group(", ".join(group.name for group in groups), members, np.any(inside, axis=0) if inside else None)


def _placed(inside: npt.NDArray[np.bool_], own: Ints, members: Ints) -> npt.NDArray[np.bool_]:
    found = np.zeros((len(inside), len(members)), dtype=np.bool_)
    found[:, np.searchsorted(members, own)] = inside
    return found


@dataclass(frozen=True)
class Read:
    """A line at one of its budgets: accuracy of the members, evened, and its noise, (members,)."""

    line: Line
    budget: int
    accuracy: Floats
    noise: Floats


def _reads(view: View, group: Group, lines: Sequence[Line]) -> list[Read]:
    """Lines at every budget at which verdicts can read them in the group."""
    found = []
    for line in lines:
        budgets = view.scanned(line, group)
        accuracy, noise = view.values(line, group, budgets)
        found += [Read(line, int(k), *each) for k, *each in zip(budgets, accuracy.T, noise.T, strict=True)]
    return found


def _ends(
    view: View, group: Group, values: Floats, arms: Sequence[Read], seed: int, *, least: float = -1.0
) -> tuple[float, float] | None:
    """The 95 % ends of the mean of the members' values, worked out from these arms; None of too few problems."""
    if group.size < FEWEST_PROBLEMS:
        return None
    unseen = np.asarray(unseen_of(view, group, arms))
    low, high = widened(np.asarray(values.mean()), interval(values, seed=seed), unseen)
    return max(float(low), least), min(float(high), 1.0)


def unseen_of(view: View, group: Group, arms: Sequence[Read]) -> float:
    """The variance of a mean worked out from these arms that resampled problems do not show."""
    alike = doubt(group.effective, min(_fewest(view, group, one.line.way) for one in arms)) ** 2
    share = group.weights / group.weights.sum()
    return float(alike + share**2 @ np.sum([one.noise for one in arms], axis=0))


def _fewest(view: View, group: Group, way: int) -> int:
    """Samples behind any one accuracy of a line in a group: of the scoring halves, where bins took the others."""
    whole = (view.arms.readers[way],)
    return min(one.fewest for one in (whole if group.inside is None else view.halves.get(way, whole)))


def judged(ends: tuple[float, float] | None, bound: float = 0.0) -> dict[str, object]:
    """The interval of what is claimed to lie above the bound, about the bound, and the verdict."""
    if ends is None:
        return {"low": None, "high": None, "verdict": UNDECIDED}
    low, high = (0.0 if abs(end - bound) < _ROUNDING else end - bound for end in ends)
    return {"low": low, "high": high, "verdict": HOLDS if low > 0 else DOES_NOT if high < 0 else UNDECIDED}


Side = dict[tuple[int, int], Read]


def sides_of(claim: Claim, view: View, group: Group, verifier: str) -> list[Side]:
    """The arms of either side of a claim that can be read in the group."""
    return [_arms(view, group, side[0], verifier) for side in (claim.better, claim.worse)]


def shared_budgets(claim: Claim, sides: Sequence[Side]) -> list[int]:
    """The budgets at which both sides can be read; of lengths of chains, those of several lengths."""
    shared = sorted({budget for budget, _ in sides[0]} & {budget for budget, _ in sides[1]})
    by_length = claim.better[1] in _LENGTHS
    return [k for k in shared if not by_length or sum(at == k for at, _ in sides[0]) > 1]


def picked(claim: Claim, sides: Sequence[Side], shared: Sequence[int]) -> tuple[tuple[Read, Read], str] | None:
    """Both arms, and at which of the shared budgets they are compared: the least or the most."""
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


def _arms(view: View, group: Group, strategy: str, verifier: str) -> dict[tuple[int, int], Read]:
    """The arms of a strategy by budget and length of chains (0 where there are none).

    Samples and chains can be read at any number of them: with searches, where these were run.
    """
    selector, judged = ("majority", "") if strategy == "revisions" else ("weighted", verifier)
    wanted = (strategy, selector, judged)
    lines = [line for line in view.lines() if (line.strategy, line.selector, line.verifier) == wanted]
    return {
        (one.budget, int(json.loads(one.line.setting).get("length", 0))): one for one in _reads(view, group, lines)
    }


def _hardest(view: View, seed: int) -> dict[str, object]:
    """Bin 5: nothing works. The best arm is chosen on the problems it is scored on, which favours it."""
    group, best = view.groups[-1], best_of(view)
    middle = float(best.accuracy.mean())
    found = judged(_ends(view, group, best.accuracy, [best], seed, least=0.0), NOTHING)
    return {
        "finding": f"hardest bin: nothing works (best here: {best.line.strategy})", "bin": group.name,
        "problems": group.size, "budgets": str(best.budget), "first": middle, "second": NOTHING,
        "difference": middle - NOTHING, **found, "verdict": OPPOSITE.get(str(found["verdict"]), UNDECIDED),
    }  # fmt: skip


def best_of(view: View) -> Read:
    """The most accurate arm of the hardest bin."""
    return max(_reads(view, view.groups[-1], view.menu()), key=lambda one: float(one.accuracy.mean()))
