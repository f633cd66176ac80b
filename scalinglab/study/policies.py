"""What a collected study says about policies: difficulty, the compute-optimal choice, allocation, the gain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from scalinglab.curves import Arms, QueryCost, arms_of, pool_from_run
from scalinglab.errors import DataError
from scalinglab.exchange import find_spec, study_specs
from scalinglab.flops import convention
from scalinglab.ledger import price
from scalinglab.policy import (
    Agreement,
    Allocation,
    Bins,
    Gain,
    Optimal,
    agreement,
    allocation,
    apart,
    bins_of,
    compute_optimal,
    efficiency_gain,
    shrunk,
)
from scalinglab.samples import Run, read_plan, read_run, scored_by

SELECTOR = "weighted"
"""How the baseline, best-of-N weighted, chooses (PAPER section 3: the default everywhere)."""


@dataclass(frozen=True)
class Policies:
    """Policies of one small model, with its reviser where there is one, under one convention.

    predicted, oracle: the compute-optimal choice on bins of either kind. gain: of the predicted one over best-of-N
    weighted. allocation: samples shared out by the predicted difficulty, None where the verifier's scores are no
    chances of success.
    """

    model: str
    verifier: str
    agreement: Agreement
    predicted: Optimal
    oracle: Optimal
    gain: Gain
    allocation: Allocation | None
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Both choices, a row a kind of bins, bin and budget."""
        kinds = {"predicted": self.predicted, "oracle": self.oracle}
        parts = [found.table.assign(bins=name) for name, found in kinds.items()]
        every = pd.concat(parts, ignore_index=True)
        return every[["bins", *(name for name in every.columns if name != "bins")]]


def policies_of(
    path: str | Path,
    *,
    small: str | None = None,
    verifier: str | None = None,
    rule: str = "exact",
    bins: int = 5,
    folds: int = 2,
    budget: Literal["samples", "flops"] = "samples",
    seed: int = 0,
) -> Policies:
    """Policies of a run that `scalinglab collect` recorded, over every arm of the small model and its reviser.

    ``verifier`` predicts difficulty and chooses for best-of-N; the first that judged parallel samples without it.
    Arms chosen by an exact checker are left out: it knows the answers. Raises DataError for a folder without a
    plan, a model or verifier that the run lacks, and as ``apart`` and ``compute_optimal``; SpecError for a rule.
    """
    plan, chosen = read_plan(path), convention(rule)
    recorded, specs = read_run(path), study_specs(path)
    small = _small(recorded, small)
    run = apart(recorded, small, seed=seed)
    judge = _judge(run, small, verifier, {name for name, behind in plan.verifiers.items() if behind is not None})
    specs = {str(name): find_spec(str(name), specs) for name in run.calls["model"].unique()}
    ledger = price(run, specs, convention=chosen)
    arms = _ours(arms_of(run, ledger, verifiers=plan.verifiers, seed=seed), small, plan.verifiers)
    oracle = bins_of(run, ledger, small, count=bins)
    predicted = bins_of(run, ledger, small, verifier=judge, verifiers=plan.verifiers, count=bins)
    best, ideal = (
        compute_optimal(arms, found, folds=folds, seed=seed, budget=budget) for found in (predicted, oracle)
    )
    seen = scored_by(run, judge, model=plan.verifiers[judge])
    return Policies(
        small,
        judge,
        agreement(oracle, predicted),
        best,
        ideal,
        efficiency_gain(best, arms, selector=SELECTOR, verifier=judge, model=small),
        _allocated(seen, arms, predicted, small, judge, seed),
        _notes(predicted, run is recorded, judge, folds),
    )


def _small(run: Run, model: str | None) -> str:
    units = run.units
    known = sorted(units.loc[(units["role"] == "policy") & (units["strategy"] == "parallel"), "model"].unique())
    if model is None and len(known) == 1:
        return str(known[0])
    if model is None or model not in known:
        raise DataError(
            f"model {model!r}" if model else f"{len(known)} small models with parallel samples",
            f"one of {', '.join(known) or 'none'}",
            "name one with --small" if known else "collect the strategy parallel",
        )
    return model


def _judge(run: Run, small: str, verifier: str | None, known: set[str]) -> str:
    """The verifier asked for, or the first, of those that judged the samples and do not know the answers."""
    units = run.units
    own = units[(units["model"] == small) & units["strategy"].isin(["parallel", "difficulty"])]
    asked = [json.loads(text).get("verifier") or () for text in own["parameters"]]
    judges = [[names] if isinstance(names, str) else list(names) for names in asked]
    usable = [name for name in judges[0] if name in known and all(name in names for names in judges)]
    if not usable or (verifier is not None and verifier not in usable):
        raise DataError(
            f"verifier {verifier!r}" if verifier else "samples that no verifier judged",
            f"one of {', '.join(usable)}"
            if usable
            else "a model that judged every parallel and difficulty sample",
            "name one of them" if usable else "collect with a verifier",
        )
    return verifier or str(usable[0])


def _ours(arms: Arms, small: str, verifiers: Mapping[str, str | None]) -> Arms:
    table = arms.table
    exact = [name for name, behind in verifiers.items() if behind is None]
    ours = (table["model"] == small) | (table["role"] == "reviser")
    return arms.where((ours & ~table["verifier"].isin(exact)).to_numpy())


def _allocated(seen: Run, arms: Arms, bins: Bins, small: str, judge: str, seed: int) -> Allocation | None:
    """The allocator's samples, priced as the arms of best-of-N are: a fixed part and an equal one a sample."""
    table = arms.table
    base = (table["model"] == small) & (table["strategy"] == "parallel") & (table["selector"] == SELECTOR)
    one, two = (
        arms.where((base & (table["verifier"] == judge) & (table["budget"] == k)).to_numpy()).flops.mean(axis=0)
        for k in (1, 2)
    )
    if bins.ease is None or bins.ease.min() < 0 or bins.ease.max() > 1 or not len(two):
        return None
    cost = QueryCost(float(2 * one[0] - two[0] + bins.cost.mean()), float(two[0] - one[0]))
    return allocation(
        pool_from_run(seen, small), shrunk(bins.ease, bins.samples), selector=SELECTOR, convention=arms.convention,
        cost=cost, seed=seed,
    )  # fmt: skip


def _notes(bins: Bins, recorded: bool, judge: str, folds: int) -> tuple[str, ...]:
    told = f"{bins.samples} samples a problem, " + (
        "recorded for that alone" if recorded else "a random half of the parallel ones"
    )
    paid = "charged to every query" if bins.charged else "not charged under this convention"
    return (
        f"bins: 1 is easiest; set on {told}, on which no arm is scored; {paid}",
        f"predicted bins: by the mean score of {judge}; agreement: both kinds set on the same samples",
        f"accuracy: arms chosen on the other of {folds} folds of problems; in_sample: on the same, which flatters",
        "intervals: 95 %, bootstrap over problems, arms chosen anew on each resample",
        "kept: how often the folds chose the arm that is best on all problems of the bin",
        f"gain: over best-of-N, {SELECTOR} by {judge}; above 1, the compute-optimal policy takes less",
    )
