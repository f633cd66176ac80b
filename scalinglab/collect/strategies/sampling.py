"""Whole solutions: one greedy, many in parallel, or chains of revisions; and their records."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain as chained

from scalinglab.collect.recording import Place, together
from scalinglab.collect.strategies.drafts import Draft, Policy, scored
from scalinglab.collect.strategies.record import (
    Entry,
    Parameters,
    Selectors,
    Strategy,
    odd,
    register,
    whole,
)
from scalinglab.collect.task import Problem
from scalinglab.collect.verifiers import Verifier


async def greedy(
    problem: Problem, policy: Policy, verifier: Verifier | None = None, *, aggregate: str = "last"
) -> list[Draft]:
    """The one greedy solution. Raises EngineError."""
    return await parallel(problem, replace(policy, temperature=0.0), verifier, samples=1, aggregate=aggregate)


async def parallel(
    problem: Problem,
    policy: Policy,
    verifier: Verifier | None = None,
    *,
    samples: int,
    aggregate: str = "last",
) -> list[Draft]:
    """Independent samples, from which every vote of k <= samples is read afterwards. Raises EngineError.

    The verifier, where there is one, scores the last step, or all where the aggregate asks for them.
    """

    async def one(sample: int) -> Draft:
        place = Place(sample=sample)
        draft = await policy.solve(problem, place=place)
        return await scored(problem, draft, policy, verifier, aggregate)

    return await together(map(one, range(samples)))


async def revisions(
    problem: Problem,
    policy: Policy,
    verifier: Verifier | None = None,
    *,
    chains: int,
    length: int,
    aggregate: str = "last",
) -> list[Draft]:
    """Chains of answers, each written with the last four of its chain in sight (PAPER section 3).

    The policy is a reviser; its task builds the prompts. Returns every answer, chain by chain: choosing within
    and across chains (hierarchical) or over all (flat) is left to whoever reads them. Raises EngineError.
    """

    async def chain(number: int) -> list[Draft]:
        drafts: list[Draft] = []
        for i in range(length):
            place = Place(round=i, chain=number, sample=number * length + i)
            prompt = policy.task.revision_prompt(problem, [draft.text for draft in drafts])
            drafts.append(await policy.solve(problem, place=place, prompt=prompt))
        return await together(scored(problem, draft, policy, verifier, aggregate) for draft in drafts)

    return list(chained.from_iterable(await together(map(chain, range(chains)))))


def most(entry: Entry) -> list[Parameters]:
    """The largest budget alone: every smaller one is read from it."""
    return [{"samples": max(entry.numbers("budgets"))}]


def _chains(entry: Entry) -> list[Parameters]:
    budgets, lengths = (sorted(set(entry.numbers(key))) for key in ("budgets", "lengths"))
    for budget in budgets:
        if all(budget % length for length in lengths):
            some = ", ".join(map(str, lengths))
            raise odd("revisions", budget, f"a multiple of one of the lengths {some}")
    return [
        {"chains": budget // length, "length": length}
        for budget in budgets
        for length in lengths
        if budget % length == 0
    ]


def _answers(parameters: Parameters) -> int:
    return whole("revisions", parameters, "chains") * whole("revisions", parameters, "length")


register(Strategy("greedy", greedy, block=1, reading=lambda _: [{}], sampled=False))
_PARALLEL = register(Strategy("parallel", parallel, ("samples",), block=1, reading=most))
register(replace(_PARALLEL, name="difficulty", answers=False))
register(
    Strategy(
        "revisions",
        revisions,
        scales=("chains",),
        block="length",
        selectors=Selectors(("majority",), ("hierarchical", "weighted")),
        reading=_chains,
        size=_answers,
        model="reviser",
    )
)
