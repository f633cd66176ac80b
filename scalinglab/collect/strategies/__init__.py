"""Strategies: plain async functions from a problem, a policy and a verifier to solutions (PAPER section 3)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scalinglab.collect.strategies.drafts import Draft, Policy, judge
from scalinglab.collect.strategies.sampling import greedy, parallel, revisions
from scalinglab.collect.strategies.trees import ROUNDS, allocate, beam_search, dvts, groups, lookahead, rebase
from scalinglab.errors import DataError

STRATEGIES: Mapping[str, Callable[..., Awaitable[list[Draft]]]] = {
    "greedy": greedy,
    "parallel": parallel,
    "difficulty": parallel,
    "revisions": revisions,
    "beam_search": beam_search,
    "lookahead": lookahead,
    "dvts": dvts,
    "rebase": rebase,
}
"""By the name a unit gives. A unit's parameters are the function's own, and "verifier" and "temperature".

Samples can be judged by several verifiers, {"verifier": ["prm", "orm"]}: the first one's scores are the
solution's, the others' its ``other_scores`` (read by ``samples.scored_by``). A search has one, which guides it."""

SEARCHES = ("beam_search", "lookahead", "dvts", "rebase")
"""The strategies that cannot do without a verifier."""


def budget_of(strategy: str, parameters: Mapping[str, Any]) -> int:
    """What a strategy costs, in samples: N, the chains' answers, or N (k + 1) for lookahead (PAPER section 3).

    Raises DataError where a number that makes the budget is missing, or is none it can be.
    """

    def whole(name: str) -> int:
        value = parameters.get(name)
        if type(value) is not int or value < 1:
            raise DataError(f"{strategy} with {name} {value!r}", "a whole number above 0", f"mend {name}")
        return value

    match strategy:
        case "greedy":
            return 1
        case "parallel" | "difficulty":
            return whole("samples")
        case "revisions":
            return whole("chains") * whole("length")
        case "rebase":
            return whole("beams")
    groups(whole("beams"), whole("width"))
    return whole("beams") * (whole("steps") + 1 if strategy == "lookahead" else 1)


__all__ = [
    "ROUNDS",
    "SEARCHES",
    "STRATEGIES",
    "Draft",
    "Policy",
    "allocate",
    "beam_search",
    "budget_of",
    "dvts",
    "greedy",
    "judge",
    "lookahead",
    "parallel",
    "rebase",
    "revisions",
]
