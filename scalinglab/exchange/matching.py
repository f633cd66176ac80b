"""Budgets matched on equal lifetime FLOPs: k(R) and its inverse, under any convention."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scalinglab import flops
from scalinglab.curves import QueryCost, spec_cost
from scalinglab.errors import DataError, SpecError
from scalinglab.flops import Convention
from scalinglab.specs import ModelSpec


@dataclass(frozen=True)
class Match:
    """A small and a large model under one convention, matched on equal lifetime FLOPs.

    ``C_s + Q c_s(k) = C_L + Q c_L(1)`` with training FLOPs C, FLOPs per query c and Q = R * queries_per_r
    queries: R = D_inference / D_pretrain counts the tokens of one sample per query over the small model's D.
    """

    convention: Convention
    small_training: float
    large_training: float
    small: QueryCost
    large: QueryCost
    queries_per_r: float

    def k(self, r: float) -> float:
        """The samples per query the small model may draw at R. Raises DataError for R <= 0."""
        with np.errstate(over="ignore"):
            queries = positive(r, "R") * self.queries_per_r
            spare = np.divide(self.large_training - self.small_training, queries)
            budget = float((spare + self.large.at(1) - self.small.fixed) / self.small.per_sample)
        if not math.isfinite(budget):
            raise DataError(f"R = {r:g}", "an R whose budget k is finite", "raise R or lower the ratio")
        return budget

    def r(self, k: float) -> float:
        """The R at which k samples match the large model, the inverse of ``k``.

        Raises DataError where k is so small that its match needs R above infinity.
        """
        dearer = self.small.at(positive(k, "k")) - self.large.at(1)
        if dearer <= 0:
            least = (self.large.at(1) - self.small.fixed) / self.small.per_sample
            raise DataError(
                f"k = {k:g} under {self.convention.name}",
                f"more than {least:.4g}, what one large query buys even at infinite R",
                "raise k, or ask for k at an R",
            )
        return float((self.large_training - self.small_training) / (dearer * self.queries_per_r))


def match_ratio(ratio: float, convention: Convention) -> Match:
    """The match of two models whose cost per token differs by ``ratio`` = M at equal training tokens.

    Prompts left out, this is the paper's k = M + 3 (M - 1) / R (section 7) under ``paper``; a verifier as
    large as the model it checks doubles the inference cost of whoever pays it.
    """
    if not (math.isfinite(ratio) and ratio > 1):
        raise DataError(f"ratio M = {ratio}", "a number above 1", "give large / small, such as 14")
    small, large = (2.0 * (1 + _pays(convention, side)) for side in ("small", "large"))
    return Match(convention, 6.0, 6.0 * ratio, QueryCost(0, small), QueryCost(0, large * ratio), 1.0)


def match_specs(
    small: ModelSpec,
    large: ModelSpec,
    *,
    prompt: int,
    generated: int,
    convention: Convention,
    selector: str = "coverage",
) -> Match:
    """The match of two specs whose samples read ``prompt`` and write ``generated`` tokens each.

    Where the convention makes a side pay for verification, its verifier has that side's own size; a majority
    needs none. Raises SpecError where training tokens, or a sequence length that is needed, are unknown.
    """
    costs = [
        spec_cost(
            spec,
            prompt,
            generated,
            convention=convention,
            verified=_pays(convention, side) and selector != "majority",
        )
        for spec, side in ((small, "small"), (large, "large"))
    ]
    return _match(convention, small, large, costs[0], costs[1], generated)


def _match(
    convention: Convention,
    small: ModelSpec,
    large: ModelSpec,
    small_cost: QueryCost,
    large_cost: QueryCost,
    generated: float,
) -> Match:
    trained = [_training(spec, convention) for spec in (small, large)]
    if trained[1] <= trained[0]:
        raise SpecError(
            f"{large.name} cost no more to pretrain than {small.name}", "a larger large model", "swap the two"
        )
    queries = float(small.training_tokens or 0) / positive(generated, "generated tokens")
    return Match(convention, trained[0], trained[1], small_cost, large_cost, queries)


def _pays(convention: Convention, side: str) -> bool:
    return convention.verifier == "both" or (convention.verifier == "small" and side == "small")


def _training(spec: ModelSpec, convention: Convention) -> float:
    if spec.training_tokens is None:
        raise SpecError(
            f"{spec.name}: training tokens unknown", "a spec with training tokens", "give them, or a ratio M"
        )
    return float(flops.total(flops.training(spec, spec.training_tokens, convention=convention)))


def runnable(k: float) -> str:
    """A budget as samples that can be drawn: whole numbers, by shares of the queries that add up to 100 %.

    >>> runnable(3.06)
    '3 samples for 94% of queries, 4 for 6%'
    """
    if k < 1 - 1e-9:
        return "none: one sample takes more"
    low = math.floor(k)
    share = float(f"{100 * (k - low):.2g}")
    if share >= 100:
        low, share = low + 1, 0.0
    least = f"{low} sample{'s' if low > 1 else ''}"
    return least if share == 0 else f"{least} for {100 - share:.6g}% of queries, {low + 1} for {share:g}%"


def positive(value: float, name: str) -> float:
    """The value as a float. Raises DataError unless it is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{name} = {value}", "a number above 0", f"mend {name}")
    return float(value)
