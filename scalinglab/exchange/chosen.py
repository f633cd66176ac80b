"""How the compute-optimal strategy was chosen and what it gains: predicted difficulty, the table, the gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from scalinglab.curves import Arms, QueryCost, pool_from_run
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.splits import Division, divided, kept_apart
from scalinglab.exchange.views import View, views
from scalinglab.flops import Convention
from scalinglab.optimal import (
    Agreement,
    Allocation,
    Bins,
    Gain,
    Optimal,
    agreement,
    allocation,
    compute_optimal,
    gains,
    shrunk,
)
from scalinglab.samples import scored_by

SELECTOR = "weighted"
"""How the baseline, best-of-N weighted, chooses (PAPER section 3: the default everywhere)."""


@dataclass(frozen=True)
class Chosen:
    """The compute-optimal strategy of one small model, with its reviser where there is one, under one convention.

    predicted, oracle: the choice on bins of either kind; predicted is None where no verifier judged the samples
    that set bins, and so are agreement and allocation. gains: over parallel sampling of the same proposer, search
    and revisions apart; none where neither was run. allocation: samples shared out by the predicted difficulty,
    None where the verifier's scores are no chances of success.
    """

    model: str
    verifier: str | None
    oracle: Optimal
    predicted: Optimal | None
    agreement: Agreement | None
    gains: tuple[Gain, ...]
    allocation: Allocation | None
    notes: tuple[str, ...]

    def gain(self) -> pd.DataFrame:
        """What search and revisions gain over parallel samples of their own proposer (see ``Gain.table``)."""
        return pd.concat([one.table for one in self.gains], ignore_index=True) if self.gains else pd.DataFrame()

    def table(self) -> pd.DataFrame:
        """Both choices, a row a kind of bins, bin and budget (see ``Optimal.table``)."""
        kinds = {"predicted": self.predicted, "oracle": self.oracle}
        parts = [found.table().assign(bins=name) for name, found in kinds.items() if found is not None]
        every = pd.concat(parts, ignore_index=True)
        return every[["bins", *(name for name in every.columns if name != "bins")]]


def choose(
    evidence: Evidence,
    *,
    rule: Convention,
    verifier: str | None = None,
    bins: int = 5,
    unit: Literal["samples", "flops"] = "samples",
    seed: int = 0,
    view: View | None = None,
) -> Chosen:
    """The compute-optimal strategy over every arm of the small model and its reviser that can be run.

    ``verifier`` predicts difficulty and chooses for best-of-N; the first that judged parallel samples without it.
    ``view``: the evidence under ``rule`` in ``bins``, where it is at hand. Raises DataError for a verifier that
    the evidence lacks, and as ``views`` and ``compute_optimal``.
    """
    if view is None:
        (view,), _ = views(evidence, [rule], bins=bins, seed=seed)
    judge = _judge(view, verifier)
    own = divided(evidence, [view.arms], [rule], view.small, count=bins, seed=seed)
    oracle = _optimal(view, own, rule, unit, seed)
    guessed = None if judge is None else divided(
        evidence, [view.arms], [rule], view.small, count=bins, seed=seed, verifier=judge
    )  # fmt: skip
    predicted = None if guessed is None else _optimal(view, guessed, rule, unit, seed)
    arms, _ = own.case(view.arms, view.menu(), 0, 0, charged=rule.difficulty)
    return Chosen(
        view.small, judge, oracle, predicted,
        None if predicted is None else agreement(oracle.bins, predicted.bins),
        _gains(arms, oracle.bins, view.small, seed),
        None if judge is None or predicted is None else _allocated(evidence, view, predicted.bins, judge, seed),
        _notes(evidence, oracle, judge),
    )  # fmt: skip


def _gains(arms: Arms, bins: Bins, small: str, seed: int) -> tuple[Gain, ...]:
    try:
        return tuple(gains(arms, bins, small=small, seed=seed))
    except DataError:  # no search or revisions beside samples of their proposer
        return ()


def _optimal(
    view: View, found: Division, rule: Convention, unit: Literal["samples", "flops"], seed: int
) -> Optimal:
    case = found.case(view.arms, view.menu(), 0, 0, charged=rule.difficulty)
    return compute_optimal([case], unit=unit, seed=seed)[0]


def _judge(view: View, verifier: str | None) -> str | None:
    """The verifier asked for, or the first, of those that judged parallel samples and do not know the answers."""
    usable = [
        line.verifier
        for line in view.lines()
        if line.strategy == "parallel" and view.judges.get(line.verifier) is not None
    ]
    if verifier is not None and verifier not in usable:
        known = ", ".join(dict.fromkeys(usable)) or "none"
        raise DataError(f"verifier {verifier!r}", f"one of {known}", "name one that judged parallel samples")
    return verifier or next(iter(usable), None)


def _allocated(evidence: Evidence, view: View, bins: Bins, judge: str, seed: int) -> Allocation | None:
    """The allocator's samples, priced as the arms of best-of-N are: a fixed part and an equal one a sample."""
    line = next(
        (
            one
            for one in view.lines()
            if (one.strategy, one.selector, one.verifier) == ("parallel", SELECTOR, judge)
        ),
        None,
    )
    if line is None or bins.ease is None or bins.ease.min() < 0 or bins.ease.max() > 1 or evidence.run is None:
        return None
    price = view.arms.prices[line.way]
    cost = QueryCost(float((price.fixed + bins.cost).mean()), float(price.each.mean()))
    seen = scored_by(evidence.run, judge, model=view.judges[judge])
    pool = pool_from_run(seen, view.small)
    if pool.problems != view.arms.problems:
        return None
    return allocation(
        pool,
        shrunk(bins.ease, bins.samples),
        selector=SELECTOR,
        convention=view.arms.convention,
        cost=cost,
        seed=seed,
    )


def _notes(evidence: Evidence, oracle: Optimal, judge: str | None) -> tuple[str, ...]:
    bins, kept = oracle.bins, kept_apart(evidence)
    told = f"{bins.samples} samples a problem, " + (
        "recorded for that alone" if kept else "a random half of the parallel ones"
    )
    paid = "charged to every query" if bins.charged else "not charged under this convention"
    guess = f"predicted bins: by the mean score of {judge}; " if judge else ""
    return (
        f"bins: 1 is easiest; set on {told}, on which no arm is scored; {paid}",
        f"{guess}accuracy: arms chosen on other problems; in_sample: on the same, which flatters",
        "a budget means at most, on the mean over queries; between two measured ones stands their mixture",
        "intervals: 95 %, bootstrap over problems, arms chosen anew on each resample",
    )
