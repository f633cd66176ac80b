"""Searches step by step under a verifier: beams, lookahead, diverse subtrees, reward-balanced trees; and their
records.

All of them have N places. A solution that is complete is a final and holds its place, whatever its score: it is
asked for nothing more and is never pruned. The next step's candidates fill the other places, until N solutions are
complete or the rounds end; the N, complete or not, are the finals that vote. What is charged is every call: N
sampled steps in the first round, one a free place in each later one, their rollouts, and the verifier's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain as chained

from scalinglab.collect.recording import Place, together
from scalinglab.collect.strategies.drafts import Draft, Policy, judge, unscored
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
from scalinglab.errors import DataError, UnreadError

ROUNDS = 40
"""Steps of a search at most (PAPER section 3)."""
SQRT = "sqrt"
"""A width of sqrt(N): the largest divisor of N up to there."""
_WHOLE = 2**60


async def beam_search(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int | str,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Sample N first steps; keep the best N / M; sample M next steps of each; and so on (PAPER section 3).

    N is ``beams``, M ``width``: a number, or "sqrt". Returns the N finals, each at the step that completed it, or
    after ``rounds`` steps. Of n places that are free the best n / M unfinished, rounded up, are kept; where M does
    not divide n the last one kept has the fewer children.
    Raises DataError unless M divides N, EngineError where an engine fails.
    """
    search = _Search(problem, policy, verifier, aggregate)
    return await search.grow(range(beams), rounds, partial(search.best, width_of(beams, width)))


async def lookahead(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int | str,
    steps: int,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Beam search that scores a step at the end of a greedy rollout of up to ``steps`` further ones (section 3).

    A round costs up to N (k + 1) generations. The rollout is charged and thrown away; a step that completes its
    solution has none. Raises as ``beam_search`` does.
    """
    search = _Search(problem, policy, verifier, aggregate, ahead=steps)
    return await search.grow(range(beams), rounds, partial(search.best, width_of(beams, width)))


async def dvts(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    *,
    beams: int,
    width: int | str,
    rounds: int = ROUNDS,
    aggregate: str = "last",
) -> list[Draft]:
    """Diverse verifier tree search (Beeching et al. 2024, Scaling test-time compute with open models).

    N / M independent subtrees, each keeping the best of its M candidates; a subtree is a chain in the records.
    Returns the M finals of every subtree. Raises as ``beam_search`` does.
    """
    search, size = _Search(problem, policy, verifier, aggregate), width_of(beams, width)
    grown = await together(
        search.grow(range(first, first + size), rounds, partial(search.best, size), chain=first // size)
        for first in range(0, beams, size)
    )
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

    The softmax is of score / ``balance``, by default the authors' 0.2. Returns the N finals.
    """
    search = _Search(problem, policy, verifier, aggregate)
    return await search.grow(range(beams), rounds, partial(search.balanced, balance))


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


def width_of(beams: int, width: int | str) -> int:
    """M as a number. Raises DataError where it does not divide N, or is a text other than "sqrt"."""
    if width == SQRT and beams > 0:
        return next(m for m in range(math.isqrt(beams), 0, -1) if beams % m == 0)
    if not isinstance(width, int) or width < 1 or beams < 1 or beams % width:
        raise DataError(
            f"{beams} beams of width {width}", f"a width that divides the beams, or {SQRT}", "change one of them"
        )
    return width


@dataclass(frozen=True)
class _Search:
    problem: Problem
    policy: Policy
    verifier: Verifier
    aggregate: str
    ahead: int = 0

    async def grow(
        self,
        places: Sequence[int],
        rounds: int,
        parents: Callable[[Sequence[Draft]], list[Draft]],
        *,
        chain: int = 0,
    ) -> list[Draft]:
        """The final of each place, whose number its calls have as their sample.

        parents: of n unfinished drafts, in the order of their places, whose children the next n shall be.
        """
        drafts = dict.fromkeys(places, Draft())
        for depth in range(rounds):
            alive = {place: draft for place, draft in drafts.items() if not draft.ended}
            if not alive:
                break
            chosen = parents(list(alive.values())) if depth else list(alive.values())
            grown = await together(
                self.extend(parent, Place(depth, chain, place))
                for place, parent in zip(alive, chosen, strict=True)
            )
            drafts |= dict(zip(alive, grown, strict=True))
        return list(drafts.values())

    async def extend(self, parent: Draft, place: Place) -> Draft:
        """One more step, scored where its rollout ends; one that cannot be is a final without a score."""
        draft = seen = await self.policy.step(self.problem, parent, place=place)
        for _ in range(self.ahead):
            if seen.ended:
                break
            seen = await self.policy.step(self.problem, seen, place=place, temperature=0.0)
        before, steps = (len(self.policy.task.split_steps(text)) for text in (parent.text, draft.text))
        if steps == before > 0 and not self.ahead:  # nothing was added but the end
            return draft
        try:
            scores = await judge(self.problem, seen, self.policy, self.verifier, place=place)
        except UnreadError:
            return unscored(draft)
        return replace(draft, scores=(*parent.scores[: max(0, steps - 1)], scores[-1]))

    def best(self, width: int, drafts: Sequence[Draft]) -> list[Draft]:
        """The best by score, earlier ones first in a tie, each ``width`` times but perhaps the last: n of n."""
        ranked = sorted(drafts, key=lambda draft: -self.value(draft))
        return [draft for draft in ranked for _ in range(width)][: len(drafts)]

    def balanced(self, balance: float, drafts: Sequence[Draft]) -> list[Draft]:
        """Each as often as its share of the n children."""
        counts = allocate([self.value(draft) for draft in drafts], len(drafts), balance=balance)
        return [draft for draft, count in zip(drafts, counts, strict=True) for _ in range(count)]

    def value(self, draft: Draft) -> float:
        return aggregated(draft.scores, self.aggregate)


def _beams(name: str, ahead: bool, entry: Entry) -> list[Parameters]:
    """N from the budget, M as asked for (a number or "sqrt"), or as many as N where it is less."""
    asked, own = entry.number("width", 4, word=SQRT), given(rounds=entry.number("rounds", None))
    steps = entry.number("steps", 1) if ahead else 0
    cells: list[Parameters] = []
    for budget in sorted(set(entry.numbers("budgets"))):
        beams, rest = divmod(budget, steps + 1)
        if rest or not beams:
            raise odd(name, budget, f"a multiple of steps + 1 = {steps + 1}")
        width = asked if asked == SQRT else min(asked, beams)
        if width != SQRT and beams % width:
            raise odd(name, beams, f"so many beams that width {width} divides them")
        cells.append({"beams": beams, "width": width, **({"steps": steps} if ahead else {}), **own})
    return cells


def _balanced(entry: Entry) -> list[Parameters]:
    own = given(balance=entry.real("balance", None), rounds=entry.number("rounds", None))
    return [{"beams": budget, **own} for budget in sorted(set(entry.numbers("budgets")))]


def _size(name: str, ahead: bool, parameters: Parameters) -> int:
    """N, or N (k + 1) where each step looks k further ones ahead (PAPER section 3)."""
    beams = whole(name, parameters, "beams")
    width_of(beams, SQRT if parameters.get("width") == SQRT else whole(name, parameters, "width"))
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
    continues=True,
)
for _solve, _ahead in ((beam_search, False), (lookahead, True), (dvts, False)):
    _own = (_solve.__name__, _ahead)
    register(
        replace(_BALANCED, name=_own[0], solve=_solve, reading=partial(_beams, *_own), size=partial(_size, *_own))
    )
register(_BALANCED)
