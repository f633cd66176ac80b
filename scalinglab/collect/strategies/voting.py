"""Votes that stop early: samples are drawn until the leading answer is all but sure to stay ahead; the record."""

from __future__ import annotations

from collections import Counter
from math import comb

from scalinglab.collect.recording import Place, together
from scalinglab.collect.strategies.drafts import Draft, Policy
from scalinglab.collect.strategies.record import Entry, Parameters, Selectors, Strategy, given, register, whole
from scalinglab.collect.task import Problem
from scalinglab.collect.verifiers import Verifier
from scalinglab.errors import DataError
from scalinglab.samples import ANSWERED

_THRESHOLD = "a probability from 0.5 to below 1"


async def early_stopping(
    problem: Problem,
    policy: Policy,
    _: Verifier | None = None,
    *,
    samples: int,
    threshold: float = 0.95,
    batch: int = 1,
) -> list[Draft]:
    """Adaptive consistency (Aggarwal et al. 2023, arXiv 2305.11860, section 3), with its Beta criterion.

    Draws ``batch`` samples at a time, in flight together, until ``stays_ahead`` of the two answers that most give
    exceeds ``threshold``, or ``samples`` are drawn. Answers are equal where the task writes them alike; a sample
    without one does not vote. What was drawn is what is charged. When to stop was chosen by the votes, so the
    samples stand for this arm alone: the majority of all of them, and of no fewer. Raises EngineError.
    """
    drafts: list[Draft] = []
    votes = Counter[str]()
    while len(drafts) < samples and stays_ahead(*_leading(votes)) <= threshold:
        numbers = range(len(drafts), min(len(drafts) + batch, samples))
        new = await together(policy.solve(problem, place=Place(sample=i)) for i in numbers)
        drafts += new
        graded = await together(
            policy.task.grade(problem, one.text, cut=one.cut) for one in new if one.settled is None
        )
        votes.update(answer for grade, answer in graded if answer is not None and grade in ANSWERED)
    return drafts


def stays_ahead(first: int, second: int) -> float:
    """The posterior probability that the answer of ``first`` votes is likelier than that of ``second``.

    Of the two alone, under a uniform prior: P(Beta(first + 1, second + 1) > 1/2), here as the chance of at most
    ``first`` heads in first + second + 1 tosses, in whole numbers.
    """
    tosses = first + second + 1
    return sum(comb(tosses, heads) for heads in range(first + 1)) / (1 << tosses)


def _leading(votes: Counter[str]) -> tuple[int, int]:
    """The votes of the two answers that have most."""
    first, second = [*(count for _, count in votes.most_common(2)), 0, 0][:2]
    return first, second


def _cells(entry: Entry) -> list[Parameters]:
    threshold, batch = entry.real("threshold", None), entry.number("batch", None)
    if not _probable(0.95 if threshold is None else threshold):
        raise entry.wrong("threshold", threshold, _THRESHOLD)
    own = given(threshold=threshold, batch=batch)
    return [{"samples": budget, **own} for budget in sorted(set(entry.numbers("budgets")))]


def _size(parameters: Parameters) -> int:
    threshold = parameters.get("threshold", 0.95)
    if not _probable(threshold):
        raise DataError(f"early_stopping with threshold {threshold!r}", _THRESHOLD, "mend threshold")
    whole("early_stopping", {"batch": 1, **parameters}, "batch")
    return whole("early_stopping", parameters, "samples")


def _probable(value: object) -> bool:
    return type(value) in (int, float) and 0.5 <= value < 1  # type: ignore[operator]


register(
    Strategy(
        "early_stopping",
        early_stopping,
        ("samples",),
        selectors=Selectors(("majority",)),
        verifier="none",
        reading=_cells,
        size=_size,
    )
)
