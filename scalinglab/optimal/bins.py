"""Difficulty bins, always set on samples that are not then used to score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Floats, Ints, Pool, pool_from_run
from scalinglab.errors import DataError
from scalinglab.ledger import Ledger
from scalinglab.samples import Run, scored_by

ORACLE = "oracle"
_APART = ":difficulty"


@dataclass(frozen=True)
class Bins:
    """The difficulty bin of each problem, 1 (easiest) to ``count``, and what they were set on.

    source: "oracle" (pass@1), the verifier whose mean score predicted them, or "given". ease: what was binned.
    samples: of each problem, drawn to estimate its difficulty. flops: what these cost a problem, (problems,),
    0 where the convention does not charge them. charged: whether it does.
    """

    problems: tuple[str, ...]
    labels: Ints
    count: int
    source: str = "given"
    ease: Floats | None = None
    samples: int = 0
    flops: Floats | None = None
    charged: bool = False

    def groups(self) -> list[tuple[int, npt.NDArray[np.intp]]]:
        """Each bin that holds problems, with their positions."""
        found = [(b, np.flatnonzero(self.labels == b)) for b in range(1, self.count + 1)]
        return [(b, members) for b, members in found if len(members)]

    @property
    def cost(self) -> Floats:
        """FLOPs charged for estimating each problem's difficulty, (problems,)."""
        return np.zeros(len(self.labels)) if self.flops is None or not self.charged else self.flops


def apart(run: Run, model: str, *, seed: int = 0) -> Run:
    """The run with samples that serve difficulty alone, as units of strategy "difficulty".

    A run that recorded such units is returned as it is. Of another, a random half of each of the model's
    parallel units becomes one: bins are set on that half, and no arm is scored on it.
    Raises DataError where a unit has fewer than two samples, or there are none.
    """
    units = run.units[run.units["model"] == model]
    if (units["strategy"] == "difficulty").any():
        return run
    parallel = units[units["strategy"] == "parallel"]
    solved = run.solutions[run.solutions["unit"].isin(parallel["key"])]
    if parallel.empty or solved.groupby("unit").size().reindex(parallel["key"], fill_value=0).min() < 2:
        raise DataError(
            f"model {model!r} lacks two parallel samples of each problem",
            "two or more, to set bins and scores apart",
            "collect more samples, or the strategy difficulty",
        )
    shuffled = solved[["unit", "sample"]].sample(frac=1, random_state=seed)
    place, size = shuffled.groupby("unit").cumcount(), shuffled.groupby("unit")["sample"].transform("size")
    taken = set(shuffled[place < size // 2].itertuples(index=False, name=None))
    moved = parallel.assign(key=parallel["key"] + _APART, strategy="difficulty")
    return Run(
        pd.concat([run.units, moved], ignore_index=True),
        *(frame.assign(unit=_moved(frame, taken)) for frame in (run.calls, run.solutions)),
    )


def bins_of(
    run: Run,
    ledger: Ledger,
    model: str,
    *,
    verifier: str | None = None,
    verifiers: Mapping[str, str | None] | None = None,
    count: int = 5,
) -> Bins:
    """Bins of a run's problems by ``model``'s samples of strategy "difficulty" (see ``apart``).

    Oracle bins by pass@1, which needs the answers; with ``verifier``, predicted ones by its mean score of the
    samples, which does not (PAPER section 3). ``verifiers``: the model behind each verifier's name.
    Raises DataError where there are no such samples, or the verifier did not judge them all.
    """
    judge = (verifiers or {}).get(verifier or "")
    seen = run if verifier is None else scored_by(run, verifier, model=judge)
    pool = pool_from_run(seen, model, strategy="difficulty")
    ease = pool.correct / pool.n if verifier is None else mean_score(pool)
    return Bins(
        pool.problems,
        difficulty_bins(ease, count),
        count,
        verifier or ORACLE,
        ease,
        round(float(pool.n.mean())),
        _spent(run, ledger, model, judge).reindex(pool.problems, fill_value=0.0).to_numpy(np.float64),
        ledger.convention.difficulty,
    )


def mean_score(pool: Pool) -> Floats:
    """The verifier's mean score of each problem's samples. Raises DataError where a sample has none."""
    scores = None if pool.graded is None else pool.graded.scores
    recorded = np.arange(pool.n.max()) < pool.n[:, None]
    if scores is None or np.isnan(scores[recorded]).any():
        raise DataError(
            f"samples of model {pool.model!r} without a verifier's score", "a score of each", "choose oracle bins"
        )
    return np.asarray(np.where(recorded, scores, 0.0).sum(axis=1) / pool.n)


def halves(pool: Pool, *, seed: int = 0) -> tuple[Pool, Pool]:
    """Two disjoint random halves of every problem's samples: bins from the first, curves from the second.

    Counts alone split as texts would: the right ones in a half are hypergeometric.
    Raises DataError where a problem has fewer than two samples.
    """
    if pool.n.min() < 2:
        raise DataError(
            f"model {pool.model} has a problem with one sample",
            "two or more, to set bins and scores apart",
            "collect more samples or use --bins 1",
        )
    rng = np.random.default_rng(seed)
    first = pool.n // 2
    if pool.graded is None:
        hits = rng.hypergeometric(pool.correct, pool.n - pool.correct, first)
        return replace(pool, n=first, correct=hits), replace(pool, n=pool.n - first, correct=pool.correct - hits)
    width = pool.graded.right.shape[1]
    recorded = np.arange(width) < pool.n[:, None]
    order = np.argsort(np.where(recorded, rng.random(recorded.shape), np.inf), axis=1)
    later = np.minimum(first[:, None] + np.arange(width - int(first.min())), width - 1)
    return _take(pool, order, first), _take(pool, np.take_along_axis(order, later, 1), pool.n - first)


def difficulty_bins(ease: Floats, bins: int = 5) -> Ints:
    """The difficulty bin of each problem, 1 (easiest) to ``bins`` (hardest), from its pass@1 or mean score.

    Quantiles of the problems; tied problems share the bin of their mean rank, so bins can differ in size, as
    the paper's 100/100/100/105/95, and one can be empty. Raises DataError for more bins than problems.
    """
    if not 1 <= bins <= len(ease):
        raise DataError(f"{bins} bins of {len(ease)} problems", f"1 to {len(ease)} bins", "choose fewer bins")
    if np.isnan(ease).any():
        raise DataError("a difficulty that is not a number", "an accuracy or score a problem", "drop the problem")
    rank = pd.Series(-ease).rank(method="average").to_numpy()
    return np.asarray(np.floor((rank - 0.5) * bins / len(ease)), dtype=np.int64) + 1


def _moved(frame: pd.DataFrame, taken: set[tuple[str, int]]) -> pd.Series:
    """The unit of each row, once the samples in ``taken`` are their own unit's."""
    goes = [pair in taken for pair in zip(frame["unit"], frame["sample"], strict=True)]
    return frame["unit"].mask(pd.Series(goes, frame.index, dtype=bool), frame["unit"] + _APART)


def _spent(run: Run, ledger: Ledger, model: str, judge: str | None) -> pd.Series:
    """FLOPs by problem of the model's difficulty samples, verified by ``judge`` alone (None: by nobody)."""
    units = run.units[(run.units["strategy"] == "difficulty") & (run.units["model"] == model)]
    entries = ledger.entries[ledger.entries["unit"].isin(units["key"])]
    paid = entries[(entries["role"] != "verifier") | (entries["model"] == judge)]
    return paid.groupby("problem")["flops"].sum().astype(float)


def _take(pool: Pool, order: npt.NDArray[np.intp], n: Ints) -> Pool:
    """The pool of the first n samples of each row in the given order."""
    assert pool.graded is not None
    graded = pool.graded.take(lambda array: np.take_along_axis(array, order[:, : n.max()], axis=1))
    correct = (graded.right & (np.arange(graded.right.shape[1]) < n[:, None])).sum(axis=1)
    return replace(pool, n=n, correct=correct, graded=graded)
