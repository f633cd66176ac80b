"""Searches step by step under a verifier: beams, lookahead, diverse subtrees, reward-balanced trees; and their
records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain as chained

from scalinglab.collect.recording import Place, together
from scalinglab.collect.strategies.drafts import Draft, Policy, judge
from scalinglab.collect.strategies.record import (
    Entry,
    Parameters,
    Selectors,
    Strategy,
    given,
    odd,
    register,
    whole,
)
from scalinglab.collect.task import Problem
from scalinglab.collect.verifiers import Verifier
from scalinglab.collect.verifiers import aggregate as aggregated
from scalinglab.errors import DataError

ROUNDS = 40
"""Steps of a search at most (PAPER section 3)."""
_WHOLE = 2**60


async def beam_search(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Sample N first steps; keep the best N / M; sample M next steps of each; and so on (PAPER section 3).

    Returns the N finals. Stops when all have ended, or after ``rounds`` steps. The M continuations of a
    solution that has ended are itself: it takes one place among those kept, M among the finals, and no call.
    Raises DataError unless M (``width``) divides N (``beams``), EngineError where an engine fails.
    """
    search = _Search(problem, policy, verifier, aggregate)
    return await search.beams(beams, width, rounds)


async def lookahead(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int,
    steps: int,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Beam search that scores a step at the end of a greedy rollout of up to ``steps`` further ones (section 3).

    The rollout is charged and thrown away. Raises as ``beam_search`` does.
    """
    search = _Search(problem, policy, verifier, aggregate, ahead=steps)
    return await search.beams(beams, width, rounds)


async def dvts(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Diverse verifier tree search (Beeching et al. 2024, Scaling test-time compute with open models).

    N / M independent subtrees, each keeping the best of its M candidates; a subtree is a chain in the records.
    Returns the last M candidates of every subtree. Raises as ``beam_search`` does.
    """
    search = _Search(problem, policy, verifier, aggregate)
    trees = range(groups(beams, width))
    grown = await together(search.beams(width, width, rounds, chain=tree) for tree in trees)
    return list(chained.from_iterable(grown))


async def rebase(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    balance: float = 0.2,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Reward-balanced search (Wu et al. 2024, arXiv 2408.00724): children in proportion to a softmax of scores.

    The softmax is of score / ``balance``, by default the authors' 0.2.
    A solution that has ended leaves the tree and takes one off the N children of a round. Returns N solutions.
    """
    search = _Search(problem, policy, verifier, aggregate)
    ended: list[Draft] = []
    alive = await search.grow([Draft()], [beams], Place())
    for depth in range(1, rounds):
        ended += [draft for draft in alive if draft.ended]
        alive = [draft for draft in alive if not draft.ended]
        if not alive:
            break
        counts = allocate([search.value(draft) for draft in alive], beams - len(ended), balance=balance)
        alive = await search.grow(alive, counts, Place(round=depth))
    return ended + alive


def allocate(scores: Sequence[float], children: int, *, balance: float) -> list[int]:
    """How many children each score gets: they add up, and a higher score gets no fewer.

    The paper rounds each share; here the largest remainders get the children that are left, earlier ones first
    in a tie. In whole numbers, so that no error of floats adds a child. Raises DataError unless balance > 0.
    """
    if not balance > 0:
        raise DataError(f"balance is {balance!r}", "a softmax temperature above 0", "mend balance")
    best = max(scores)
    weights = [round(_WHOLE * math.exp((score - best) / balance)) for score in scores]
    total = sum(weights)
    shares = [divmod(children * weight, total) for weight in weights]
    left = children - sum(whole for whole, _ in shares)
    lucky = set(sorted(range(len(scores)), key=lambda i: (-shares[i][1], -scores[i]))[:left])
    return [whole + (i in lucky) for i, (whole, _) in enumerate(shares)]


def groups(beams: int, width: int) -> int:
    """N / M, the beams that are kept. Raises DataError where M does not divide N."""
    if width < 1 or beams < 1 or beams % width:
        raise DataError(f"{beams} beams of width {width}", "a width that divides the beams", "change one of them")
    return beams // width


@dataclass(frozen=True)
class _Search:
    problem: Problem
    policy: Policy
    verifier: Verifier
    aggregate: str
    ahead: int = 0

    async def beams(self, beams: int, width: int, rounds: int, *, chain: int = 0) -> list[Draft]:
        keep = groups(beams, width)
        drafts = await self.grow([Draft()], [beams], Place(chain=chain))
        for depth in range(1, rounds):
            if all(draft.ended for draft in drafts):
                break
            kept = self.best(drafts, keep)
            drafts = await self.grow(kept, [width] * len(kept), Place(round=depth, chain=chain))
        return drafts

    async def grow(self, parents: Sequence[Draft], counts: Sequence[int], at: Place) -> list[Draft]:
        """So many children of each parent, all in flight together; those of an ended one are itself."""

        async def child(parent: Draft, sample: int) -> Draft:
            return parent if parent.ended else await self.extend(parent, replace(at, sample=sample))

        wanted = [parent for parent, count in zip(parents, counts, strict=True) for _ in range(count)]
        return await together(child(parent, sample) for sample, parent in enumerate(wanted))

    async def extend(self, parent: Draft, place: Place) -> Draft:
        """One more step, scored where its rollout ends."""
        draft = seen = await self.policy.step(self.problem, parent, place=place)
        for _ in range(self.ahead):
            if seen.ended:
                break
            seen = await self.policy.step(self.problem, seen, place=place, temperature=0.0)
        before, steps = (len(self.policy.task.split_steps(text)) for text in (parent.text, draft.text))
        if steps == before > 0 and not self.ahead:  # nothing was added but the end
            return draft
        scores = await judge(self.problem, seen, self.policy, self.verifier, place=place)
        return replace(draft, scores=(*parent.scores[: max(0, steps - 1)], scores[-1]))

    def best(self, drafts: Sequence[Draft], keep: int) -> list[Draft]:
        """The best by score, earlier ones first in a tie. Copies of an ended solution count as one."""
        return sorted(dict.fromkeys(drafts), key=lambda draft: -self.value(draft))[:keep]

    def value(self, draft: Draft) -> float:
        return aggregated(draft.scores, self.aggregate)


def _beams(name: str, ahead: bool, entry: Entry) -> list[Parameters]:
    """N from the budget, M as asked for, or as many as N where it is less."""
    width, own = entry.number("width", 4), given(rounds=entry.number("rounds", None))
    steps = entry.number("steps", 1) if ahead else 0
    cells: list[Parameters] = []
    for budget in sorted(set(entry.numbers("budgets"))):
        beams, rest = divmod(budget, steps + 1)
        if rest or not beams:
            raise odd(name, budget, f"a multiple of steps + 1 = {steps + 1}")
        if beams % min(width, beams):
            raise odd(name, beams, f"so many beams that width {width} divides them")
        cells.append({"beams": beams, "width": min(width, beams), **({"steps": steps} if ahead else {}), **own})
    return cells


def _balanced(entry: Entry) -> list[Parameters]:
    own = given(balance=entry.real("balance", None), rounds=entry.number("rounds", None))
    return [{"beams": budget, **own} for budget in sorted(set(entry.numbers("budgets")))]


def _size(name: str, ahead: bool, parameters: Parameters) -> int:
    """N, or N (k + 1) where each step looks k further ones ahead (PAPER section 3)."""
    beams = whole(name, parameters, "beams")
    groups(beams, whole(name, parameters, "width"))
    whole(name, {"rounds": ROUNDS, **parameters}, "rounds")
    return beams * (whole(name, parameters, "steps") + 1 if ahead else 1)


def _balanced_size(parameters: Parameters) -> int:
    balance = parameters.get("balance", 1)
    if type(balance) not in (int, float) or not balance > 0:
        raise DataError(f"rebase with balance {balance!r}", "a number above 0", "mend balance")
    whole("rebase", {"rounds": ROUNDS, **parameters}, "rounds")
    return whole("rebase", parameters, "beams")


_BALANCED = Strategy(
    "rebase",
    rebase,
    scales=("beams",),
    selectors=Selectors(judged=("weighted",)),
    verifier="guides",
    reading=_balanced,
    size=_balanced_size,
)
for _solve, _ahead in ((beam_search, False), (lookahead, True), (dvts, False)):
    _own = (_solve.__name__, _ahead)
    register(
        replace(_BALANCED, name=_own[0], solve=_solve, reading=partial(_beams, *_own), size=partial(_size, *_own))
    )
register(_BALANCED)
