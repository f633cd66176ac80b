"""How the compute-optimal strategy was chosen and what it gains: predicted difficulty, the table, the gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from scalinglab.curves import Floats, Placed, Pool, QueryCost, Reader, Sampled
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.notes import fewer_draws
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
    averaged,
    compute_optimal,
    gains,
    mechanisms,
    shrunk,
)

SELECTOR = "weighted"
"""How the baseline, best-of-N weighted, chooses (PAPER section 3: the default everywhere)."""
_ALONE = f"gain: no search or revisions beside parallel samples, {SELECTOR}: there is nothing to gain over"
_SPLITS = "splits: means over {} random halvings, as in exchange; arms, gain, agreement, allocation: of the first"
_READ = (
    "accuracy: arms chosen on other problems; in_sample: on the same, which flatters",
    "a budget means at most, on the mean over queries; between two measured ones stands their mixture",
    "intervals: 95 %, bootstrap over problems, arms chosen anew on each resample",
)


@dataclass(frozen=True)
class Chosen:
    """The compute-optimal strategy of one small model, with its reviser where there is one, under one convention.

    predicted, oracle: the choice on bins of either kind, on each split of the samples, over which the table
    averages; predicted is empty where no verifier judged the samples that set bins, and agreement and allocation
    are None. These and gains are of the first split. gains: over parallel sampling of the same proposer, search
    and revisions apart. allocation: samples shared out by the predicted difficulty, None where the verifier's
    scores are no chances of success. gains is empty where nothing but parallel samples was recorded.
    """

    model: str
    verifier: str | None
    oracle: tuple[Optimal, ...]
    predicted: tuple[Optimal, ...]
    agreement: Agreement | None
    gains: tuple[Gain, ...]
    allocation: Allocation | None
    notes: tuple[str, ...]

    def gain(self) -> pd.DataFrame:
        """What search and revisions gain over parallel samples of their own proposer (see ``Gain.table``)."""
        return pd.concat([one.table for one in self.gains], ignore_index=True) if self.gains else pd.DataFrame()

    def table(self, budgets: Floats | None = None) -> pd.DataFrame:
        """Both choices, a row a kind of bins, bin and budget (see ``optimal.averaged``)."""
        kinds = {"predicted": self.predicted, "oracle": self.oracle}
        parts = [averaged(found, budgets).assign(bins=name) for name, found in kinds.items() if found]
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
    oracle = view.menus[0].optimal if unit == "flops" else _optimal(view, own, rule, unit, seed)
    guessed = _guessed(evidence, view, rule, bins, judge, seed, asked=verifier is not None)
    predicted = () if guessed is None else _optimal(view, guessed, rule, unit, seed)
    arms, _ = own.case(view.arms, view.menu(), 0, 0, charged=rule.difficulty)
    beside = mechanisms(arms, small=view.small)
    return Chosen(
        view.small, judge, oracle, predicted,
        agreement(oracle[0].bins, predicted[0].bins) if predicted else None,
        tuple(gains(arms, oracle[0].bins, small=view.small, seed=seed)) if beside else (),
        None if guessed is None else _allocated(view, guessed, predicted[0].bins, seed),
        (*_notes(evidence, oracle, None if guessed is None else judge), *([] if beside else [_ALONE])),
    )  # fmt: skip


def _optimal(
    view: View, found: Division, rule: Convention, unit: Literal["samples", "flops"], seed: int
) -> tuple[Optimal, ...]:
    """The choice on each split, as the headline of a comparison makes it."""
    cases = [
        found.case(view.arms, view.menu(), split, 0, charged=rule.difficulty) for split in range(found.splits)
    ]
    return tuple(compute_optimal([case], unit=unit, seed=seed)[0] for case in cases)


def _guessed(
    evidence: Evidence, view: View, rule: Convention, bins: int, judge: str | None, seed: int, *, asked: bool
) -> Division | None:
    """The problems in bins by the judge's mean score; None where it did not judge the samples that set bins.

    Raises that DataError where this judge was asked for.
    """
    if judge is None:
        return None
    try:
        return divided(evidence, [view.arms], [rule], view.small, count=bins, seed=seed, verifier=judge)
    except DataError:  # the oracle's bins stand already: it is the scores that are missing
        if asked:
            raise
        return None


def _judge(view: View, verifier: str | None) -> str | None:
    """The verifier asked for, or the first, of those that judged parallel samples and do not know the answers."""
    usable = [
        line.verifier
        for line in view.lines()
        if line.strategy == "parallel"
        and line.models[0] == view.small
        and view.judges.get(line.verifier) is not None
    ]
    if verifier is not None and verifier not in usable:
        known = ", ".join(dict.fromkeys(usable)) or "none"
        raise DataError(f"verifier {verifier!r}", f"one of {known}", "name one that judged parallel samples")
    return verifier or next(iter(usable), None)


def _allocated(view: View, guessed: Division, bins: Bins, seed: int) -> Allocation | None:
    """The allocator's samples, priced as the arms of best-of-N are: a fixed part and an equal one a sample.

    They are scored on samples that did not predict: of the first split, whose bins these are, the other half.
    """
    wanted = (view.small, "parallel", SELECTOR, guessed.verifier)
    lines = [one for one in view.lines() if (one.models[0], one.strategy, one.selector, one.verifier) == wanted]
    if not lines or bins.ease is None or bins.ease.min() < 0 or bins.ease.max() > 1:
        return None
    price, whole = view.arms.prices[lines[0].way], view.arms.readers[lines[0].way]
    return allocation(
        _pool(guessed.halves.get(lines[0].way, (whole,))[0]),
        shrunk(bins.ease, bins.samples),
        selector=SELECTOR,
        convention=view.arms.convention,
        cost=QueryCost(float((price.fixed + bins.cost).mean()), float(price.each.mean())),
        seed=seed,
    )


def _pool(reader: Reader) -> Pool:
    """The samples of a line, a row each of the view's problems."""
    assert isinstance(reader, Placed)
    assert isinstance(reader.reader, Sampled)
    pool, rows = reader.reader.pool, reader.rows
    graded = None if pool.graded is None else pool.graded.take(lambda array: array[rows])
    return Pool(pool.model, reader.problems, pool.n[rows], pool.correct[rows], graded)


def _notes(evidence: Evidence, oracle: Sequence[Optimal], judge: str | None) -> tuple[str, ...]:
    bins, kept = oracle[0].bins, kept_apart(evidence)
    if bins.samples == 0:
        return ("bins: none: all problems are one, which takes no samples to set", *_READ, *fewer_draws(oracle))
    told = f"{bins.samples} samples a problem, " + (
        "recorded for that alone" if kept else "a random half of the parallel ones"
    )
    paid = "charged to every query" if bins.charged else "not charged under this convention"
    guess = f"predicted bins: by the mean score of {judge}" if judge else "no verifier predicts bins"
    splits = [_SPLITS.format(len(oracle))] if len(oracle) > 1 else []
    return (
        f"bins: 1 is easiest; set on {told}, on which no arm is scored; {paid}",
        *splits,
        guess,
        *_READ,
        *fewer_draws(oracle),
    )
