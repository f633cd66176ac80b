"""FLOPs of a query by its samples, problem by problem: as a ledger charged the calls, or from token counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves.alike import alike, beside, repeated, rows_of
from scalinglab.curves.costs import spec_cost
from scalinglab.curves.pools import Floats, Ints
from scalinglab.evidence import Evidence, Tokens
from scalinglab.flops import Convention
from scalinglab.ledger import by_unit
from scalinglab.samples import Run
from scalinglab.specs import ModelSpec


@dataclass(frozen=True)
class Price:
    """FLOPs of one query to each problem: ``fixed`` and ``each`` sample, (problems,), or those of each budget.

    runs: by budget, of searches, whose cost is known only where they were run.
    """

    fixed: Floats
    each: Floats
    runs: Mapping[int, Floats] | None = None

    def flops(self, budgets: Ints) -> Floats:
        """FLOPs at each budget, (problems, budgets)."""
        if self.runs is not None:
            return np.column_stack([self.runs[int(k)] for k in budgets])
        if alike(self.fixed) and alike(self.each):
            return repeated(self.fixed[0] + self.each[0] * budgets, len(self.fixed))
        return self.fixed[:, None] + self.each[:, None] * budgets

    def parts(self, budgets: Ints) -> tuple[Floats, Floats]:
        """What FLOPs at these budgets are made of, (problems, parts), and how, (parts, budgets): their product."""
        if self.runs is not None:
            return self.flops(budgets), np.eye(len(budgets))
        parts = beside([self.fixed[:, None], self.each[:, None]])
        return parts, np.vstack([np.ones(len(budgets)), budgets])

    def mean(self, budgets: Ints, rows: Ints, weights: Floats) -> Floats:
        """Mean FLOPs over some problems, weighted, at each budget, (budgets,)."""
        share = weights / weights.sum()
        if self.runs is not None:
            return np.array([share @ self.runs[int(k)][rows] for k in budgets])
        fixed, each = rows_of(self.fixed, rows), rows_of(self.each, rows)
        return np.asarray(share @ fixed + share @ each * budgets)

    def at(self, rows: Ints) -> Price:
        """The same of some problems."""
        runs = None if self.runs is None else {k: spent[rows] for k, spent in self.runs.items()}
        return Price(rows_of(self.fixed, rows), rows_of(self.each, rows), runs)


def pays(rule: Convention, role: str) -> bool:
    """Whether the side of this role pays for verification."""
    return rule.verifier == "both" or (rule.verifier == "small" and role != "large")


def from_tokens(
    spec: ModelSpec, judge: ModelSpec | None, tokens: Tokens, problems: int, *, rule: Convention, verified: bool
) -> Price:
    """The Price of samples that read and write so many tokens each.

    With ``verified``, ``judge`` (without one, a model of the answering one's own size) reads the question by the
    convention's rule for prompts and every generated token once.
    """
    fixed, each = checking(judge or spec, tokens, rule) if verified else (0.0, 0.0)
    own = spec_cost(spec, tokens.prompt, tokens.generated, convention=rule)
    return Price(np.broadcast_to(own.fixed + fixed, problems), np.broadcast_to(own.per_sample + each, problems))


def checking(judge: ModelSpec, tokens: Tokens, rule: Convention) -> tuple[float, float]:
    """FLOPs of verifying answers to one question: once, and for each of them."""
    with_, without = (
        spec_cost(judge, tokens.prompt, tokens.generated, convention=rule, verified=verified)
        for verified in (True, False)
    )
    return with_.fixed - without.fixed, with_.per_sample - without.per_sample


@dataclass(frozen=True)
class Charged:
    """What a ledger charges each unit, (units, 2): reading the question where it is paid once, and the rest.

    spent: under "" what answering took, under a model's name what it took to judge. samples: of each unit.
    """

    spent: Mapping[str, Floats]
    samples: Ints

    def price(self, units: Ints, problem: Ints, count: int, judge: str | None) -> Price:
        """The Price of these units' samples, a mean over a problem's units; only ``judge`` is paid to judge.

        units: places in the run; problem: the number of each one's problem below ``count``, or -1.
        """
        fixed, rest, samples = self._means(units, problem, count, judge)
        return Price(fixed, rest / samples)

    def run(self, units: Ints, problem: Ints, count: int, judge: str | None) -> Floats:
        """FLOPs of each problem's units as they were run."""
        fixed, rest, _ = self._means(units, problem, count, judge)
        return np.asarray(fixed + rest)

    def outcome(self, units: Ints, problem: Ints, count: int, judge: str | None) -> Floats:
        """FLOPs of one of each problem's recorded outcomes, a mean over them."""
        found = self.price(units, problem, count, judge)
        return np.asarray(found.fixed + found.each)

    def _means(self, units: Ints, problem: Ints, count: int, judge: str | None) -> list[Floats]:
        units, problem = units[problem >= 0], problem[problem >= 0]
        paid = np.sum(
            [self.spent[who][units] for who in ("", judge) if who is not None and who in self.spent], axis=0
        )
        of_each = np.bincount(problem, minlength=count)
        columns = (paid[:, 0], paid[:, 1], self.samples[units])
        return [np.bincount(problem, column, count) / of_each for column in columns]


def charged(evidence: Evidence, run: Run, rules: Sequence[Convention], *, models: Sequence[str]) -> list[Charged]:
    """What each rule charges the units of these models; calls by models without a spec are left out."""
    places = pd.Index(run.units["key"])
    solved = places.get_indexer(pd.Index(run.solutions["unit"]))
    samples = np.bincount(solved[solved >= 0], minlength=len(places))
    others = run.units.loc[~run.units["model"].isin(models), "key"]
    left = run.calls["unit"].isin(others) | run.calls["model"].isin(evidence.lacking)
    priced = Run(run.units, run.calls[~left], run.solutions)
    return [Charged(spent, samples) for spent in by_unit(priced, evidence.specs, rules)]
