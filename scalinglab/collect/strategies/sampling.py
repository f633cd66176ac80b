"""Whole solutions: one greedy, many in parallel, or chains of revisions."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain as chained

from scalinglab.collect.recording import Place, together
from scalinglab.collect.strategies.drafts import Draft, Policy, judge
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
        return await _scored(problem, draft, policy, verifier, aggregate)

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
        return await together(_scored(problem, draft, policy, verifier, aggregate) for draft in drafts)

    return list(chained.from_iterable(await together(map(chain, range(chains)))))


async def _scored(
    problem: Problem, draft: Draft, policy: Policy, verifier: Verifier | None, aggregate: str
) -> Draft:
    if verifier is None:
        return draft
    every = aggregate != "last"
    scores = await judge(problem, draft, policy, verifier, place=draft.place, every=every)
    return replace(draft, scores=scores)
