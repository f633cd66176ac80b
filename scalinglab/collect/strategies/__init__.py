"""Strategies: plain async functions from a problem, a policy and a verifier to solutions (PAPER section 3).

Each has one record, a ``Strategy``, in ``STRATEGIES``; whatever must know about strategies asks the record. One
from outside is an async function and its record: ``register(Strategy("mine", mine, scales=("tries",)))``, or
``name = "module:attribute"`` in a study.

Samples can be judged by several verifiers, {"verifier": ["prm", "orm"]}: the first one's scores are the
solution's, the others' its ``other_scores`` (read by ``samples.scored_by``). A search has one, which guides it.
"""

from scalinglab.collect.strategies.drafts import Draft, Policy, apart, judge, scored
from scalinglab.collect.strategies.record import (
    OUTCOME,
    SAMPLES,
    STRATEGIES,
    Entry,
    Parameters,
    Selectors,
    Strategy,
    find,
    known,
    register,
)
from scalinglab.collect.strategies.sampling import greedy, parallel, revisions
from scalinglab.collect.strategies.thinking import think
from scalinglab.collect.strategies.trees import ROUNDS, allocate, beam_search, dvts, lookahead, rebase
from scalinglab.collect.strategies.voting import early_stopping, stays_ahead

__all__ = [
    "OUTCOME",
    "ROUNDS",
    "SAMPLES",
    "STRATEGIES",
    "Draft",
    "Entry",
    "Parameters",
    "Policy",
    "Selectors",
    "Strategy",
    "allocate",
    "apart",
    "beam_search",
    "dvts",
    "early_stopping",
    "find",
    "greedy",
    "judge",
    "known",
    "lookahead",
    "parallel",
    "rebase",
    "register",
    "revisions",
    "scored",
    "stays_ahead",
    "think",
]
