"""What is advised: options with what each reaches and takes, and at which loads another one is better."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.advise.validated import Validated
from scalinglab.names import Shown

MEASURED, MIXED, EXTRAPOLATED = "measured", "mixture", "extrapolated"
"""How a number is known."""


@dataclass(frozen=True)
class Number:
    """A number with its 95 % bootstrap interval over problems, and how it is known.

    That of an accuracy allows for the doubt that is left where all problems agree.
    """

    value: float
    low: float
    high: float
    how: str


@dataclass(frozen=True)
class Part:
    """A share of the queries, and the budget that answers them: k samples (of an effort line: its mean tokens).

    way: the number of its line in the view's arms. run: what to run, such as "k = 16" or "effort high".
    """

    share: float
    k: float
    way: int
    run: str


@dataclass(frozen=True)
class Option:
    """One way to answer: a model, a strategy and what to run, with what it reaches and takes.

    parts: one budget, or two that share the queries. flops: of a query. total: of the training and all queries.
    right: how often the bootstrap chose it.
    """

    model: str
    strategy: str
    verifier: str
    parts: tuple[Part, ...]
    accuracy: Number
    flops: Number
    training: float
    total: Number
    right: float

    def plan(self) -> str:
        """What to run, such as "k = 16 for 69% of queries, k = 8 for 31%": shares that add up to 100."""
        if len(self.parts) == 1:
            return self.parts[0].run
        first, *rest = sorted(self.parts, key=lambda part: -part.share)
        least = [float(f"{100 * part.share:.2g}") for part in rest]
        told = [f"{first.run} for {100 - sum(least):.6g}% of queries"]
        return ", ".join([*told, *(f"{p.run} for {share:g}%" for p, share in zip(rest, least, strict=True))])


@dataclass(frozen=True)
class Flip:
    """The nearest load, in queries, at which another option is the better one, and which."""

    queries: float
    model: str
    strategy: str


@dataclass(frozen=True)
class Advice(Shown):
    """What to use at a load, what is next, and at which smaller and larger loads that changes (None: nowhere).

    validated: what such a choice reaches on problems it was not made on; None beyond the support, or of too few.
    """

    convention: str
    queries: float
    target: float | None
    budget: float | None
    best: Option
    second: Option | None
    below: Flip | None
    above: Flip | None
    problems: int
    notes: tuple[str, ...]
    validated: Validated | None

    def __repr__(self) -> str:
        best, second = self.best, "none"
        if self.second is not None:
            second = f"{self.second.model} by {self.second.strategy}"
        return (
            f"Advice({self.convention}, {self.queries:.4g} queries: {best.model} by {best.strategy},\n"
            f"  {best.plan()}, accuracy {best.accuracy.value:.3f}, {best.flops.value:.4g} FLOPs a query,\n"
            f"  second {second})"
        )
