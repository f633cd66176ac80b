"""How good the verifier must be: one model's samples under random, noisy and clean scores, and a reviser's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scalinglab.curves import Floats, Pool, Sampled, Way
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence

RANDOM, NOISY, CLEAN, REVISER = "A random scores", "B noisy verifier", "C verifier", "D reviser"
WEAK = (
    "A: uniform random scores; B: 20 % of the verifier's scores p made 1 - p; C: its scores; D: reviser, majority"
)


def weakened(
    evidence: Evidence, verifier: str, *, flips: float = 0.2, seed: int = 0
) -> Callable[[list[Way]], list[Way]]:
    """What turns the evidence's ways into four ways of choosing among parallel samples.

    By the weighted vote under A uniform random scores, which takes no verifier and costs a majority, B the
    verifier's scores p, of which each is 1 - p with probability ``flips``, C its scores as they are; D the
    majority of the reviser's independent samples, where there are any (PAPER section 2, weak-verifier study).
    Raises DataError where the verifier judged no parallel samples, or its scores are no probabilities.
    """
    if not 0 <= flips <= 1:
        raise DataError(f"flips of {flips}", "a probability, 0 to 1", "mend flips")
    small, large = evidence.pair()
    if verifier not in evidence.verifiers:
        known = ", ".join(evidence.verifiers) or "none"
        raise DataError(f"verifier {verifier!r}", f"one of {known}", "name a verifier of the evidence")

    def change(ways: list[Way]) -> list[Way]:
        votes, judged = (
            [way for way in ways if way.model == small and way.strategy == "parallel" and way.verifier == by
             and way.selector == selector]
            for by, selector in (("", "majority"), (verifier, "weighted"))
        )  # fmt: skip
        if not (votes and judged):
            raise DataError(f"no parallel samples judged by {verifier}", "some of the small model", "collect some")
        rng = np.random.default_rng(seed)
        pool = _pool(judged[0])
        scores = _probabilities(pool)
        flipped = np.where(rng.random(scores.shape) < flips, 1 - scores, scores)
        found = [
            _named(votes[0], RANDOM, _scored(pool, rng.random(scores.shape)), seed),
            _named(judged[0], NOISY, _scored(pool, flipped), seed),
            _named(judged[0], CLEAN, pool, seed),
        ]
        found += [
            replace(way, strategy=REVISER, setting="{}")
            for way in ways
            if way.role == "reviser" and way.selector == "majority" and way.reader.step == 1
            if way.strategy != "greedy"
        ][:1]
        return [*found, *(way for way in ways if way.model == large)]

    return change


def _named(way: Way, name: str, pool: Pool, seed: int) -> Way:
    reader = Sampled(pool, "weighted", seed)
    return replace(way, strategy=name, setting="{}", selector="weighted", reader=reader)


def _pool(way: Way) -> Pool:
    assert isinstance(way.reader, Sampled)
    return way.reader.pool


def _probabilities(pool: Pool) -> Floats:
    assert pool.graded is not None
    scores = pool.graded.scores
    known = scores[~np.isnan(scores)]
    if not known.size or known.min() < 0 or known.max() > 1:
        raise DataError(f"scores of {pool.model} outside 0 to 1", "probabilities", "name another verifier")
    return scores


def _scored(pool: Pool, scores: Floats) -> Pool:
    assert pool.graded is not None
    return replace(pool, graded=replace(pool.graded, scores=scores))
