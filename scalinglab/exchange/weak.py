"""How good the verifier must be: one model's samples under random, noisy and clean scores, and a reviser's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, Pool, accuracy, pool_from_run
from scalinglab.errors import DataError
from scalinglab.exchange.studies import StudyData, View, parallel_apart
from scalinglab.exchange.verdicts import ALL
from scalinglab.samples import scored_by

RANDOM, NOISY, CLEAN, REVISER = "A random scores", "B noisy verifier", "C verifier", "D reviser"


def weak_views(
    found: Sequence[View], study: StudyData, verifier: str, *, flips: float = 0.2, seed: int = 0
) -> list[View]:
    """The study's views with four ways of choosing among parallel samples in place of its strategies.

    By the weighted vote under A uniform random scores, which takes no verifier and costs a majority, B the
    verifier's scores p, of which each is 1 - p with probability ``flips``, C its scores as they are; D the
    majority of the reviser's parallel samples, where there are any (PAPER section 2, weak-verifier study).
    Raises DataError where the verifier judged no parallel samples, or its scores are no probabilities.
    """
    if not 0 <= flips <= 1:
        raise DataError(f"flips of {flips}", "a probability, 0 to 1", "mend flips")
    rng = np.random.default_rng(seed)
    pools = {True: _pool(study, verifier, apart=False)}
    if any(view.bins is not None for view in found):
        pools[False] = _pool(study, verifier, apart=True, seed=seed)
    random = {whole: _scored(pool, rng.random(_scores(pool).shape)) for whole, pool in pools.items()}
    noisy = {whole: _scored(pool, _flipped(_scores(pool), flips, rng)) for whole, pool in pools.items()}
    views = []
    for view in found:
        whole = view.groups[0][0] == ALL
        arms = _weakened(view.arms, study, verifier, random[whole], noisy[whole], seed)
        views.append(replace(view, arms=arms, bins=None))
    return views


def _weakened(arms: Arms, study: StudyData, verifier: str, random: Pool, noisy: Pool, seed: int) -> Arms:
    table = arms.table
    mine = (table["model"] == study.small) & (table["strategy"] == "parallel")
    votes, judged = (
        arms.where(mine & (table["verifier"] == by) & (table["selector"] == selector))
        for by, selector in (("", "majority"), (verifier, "weighted"))
    )
    revised = arms.where(
        (table["role"] == "reviser")
        & (table["selector"] == "majority")
        & ((table["strategy"] == "parallel") | table["setting"].str.contains('"length": 1[,}]'))
    )
    parts = [
        _read(votes, RANDOM, random, seed),
        _read(judged, NOISY, noisy, seed),
        _named(judged, CLEAN),
        _named(revised, REVISER),
        arms.where(table["model"] == study.large),
    ]
    return replace(
        arms,
        table=pd.concat([part.table for part in parts], ignore_index=True),
        accuracy=np.column_stack([part.accuracy for part in parts]),
        flops=np.column_stack([part.flops for part in parts]),
    )


def _read(arms: Arms, name: str, pool: Pool, seed: int) -> Arms:
    """The arms, answering by the weighted vote under the pool's scores."""
    values, _ = accuracy(pool, "weighted", arms.table["budget"].tolist(), seed=seed)
    found = _named(arms, name)
    return replace(found, table=found.table.assign(selector="weighted"), accuracy=values)


def _named(arms: Arms, name: str) -> Arms:
    return replace(arms, table=arms.table.assign(strategy=name, setting="{}"))


def _pool(study: StudyData, verifier: str, *, apart: bool, seed: int = 0) -> Pool:
    run = parallel_apart(study, seed=seed) if apart else study.run
    if verifier not in study.verifiers:
        raise DataError(f"verifier {verifier!r}", f"one of {', '.join(study.verifiers) or 'none'}", "name another")
    return pool_from_run(scored_by(run, verifier, model=study.verifiers[verifier]), study.small)


def _scores(pool: Pool) -> Floats:
    assert pool.graded is not None
    scores = pool.graded.scores
    known = scores[~np.isnan(scores)]
    if not known.size or known.min() < 0 or known.max() > 1:
        raise DataError(f"scores of {pool.model} outside 0 to 1", "probabilities", "name another verifier")
    return scores


def _flipped(scores: Floats, flips: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(scores.shape) < flips, 1 - scores, scores)


def _scored(pool: Pool, scores: Floats) -> Pool:
    assert pool.graded is not None
    return replace(pool, graded=replace(pool.graded, scores=scores))
