"""The parallel samples of one model, a row a problem, from counts or from a recorded run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples import AGGREGATES, Run

ANSWERED = ("right", "wrong")
"""Grades of samples whose answer was read."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Graded:
    """Each sample's grade, answer and score, all of one shape (problems, samples).

    answers are codes within the problem (-1: unparsed); scores are a verifier's (NaN: none). chains: the number
    from 0 of each sample's chain of revisions within its problem (-1: padding); None for independent samples.
    """

    right: npt.NDArray[np.bool_]
    answers: Ints
    scores: Floats
    chains: Ints | None = None

    def rows(self, rows: Ints, n: int) -> Graded:
        """The first n samples of some rows."""
        return self.take(lambda array: array[rows, :n])

    def take(self, pick: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Graded:
        chains = None if self.chains is None else pick(self.chains)
        return Graded(pick(self.right), pick(self.answers), pick(self.scores), chains)


@dataclass(frozen=True)
class Pool:
    """The parallel samples of one model, a row a problem.

    n, correct: samples and right ones, shape (problems,). ``graded`` is None for counts; its rows are padded
    on the right to the longest n.
    """

    model: str
    problems: tuple[str, ...]
    n: Ints
    correct: Ints
    graded: Graded | None = None

    @property
    def sizes(self) -> Ints:
        """The independent draws of each problem, which budgets count: chains where there are any, else samples."""
        if self.graded is None or self.graded.chains is None:
            return self.n
        return np.asarray(self.graded.chains.max(axis=1) + 1)


def pools_from_counts(counts: pd.DataFrame) -> dict[str, Pool]:
    """The pool of every model of a table of counts (see ``samples.read_counts``), by name in order."""
    ordered = counts.sort_values(["model", "problem"])
    n, correct = (ordered[column].to_numpy(np.int64) for column in ("n", "correct"))
    problems, models = ordered["problem"].tolist(), ordered["model"]
    starts = np.flatnonzero(~models.duplicated().to_numpy()).tolist()
    return {
        name: Pool(name, tuple(problems[start:end]), n[start:end], correct[start:end])
        for name, start, end in zip(models.iloc[starts].tolist(), starts, [*starts[1:], len(models)], strict=False)
    }


def pool_from_counts(counts: pd.DataFrame, model: str) -> Pool:
    """The pool of one model of a table of counts; of several, ``pools_from_counts`` reads the table once."""
    rows = counts[counts["model"] == model]
    if rows.empty:
        known = ", ".join(sorted(counts["model"].unique()))
        raise DataError(f"no samples of model {model!r}", f"one of {known}", "name a model of the data")
    return pools_from_counts(rows)[model]


def pool_from_run(
    run: Run, model: str, *, strategy: str = "parallel", aggregate: str = "last", chained: bool = False
) -> Pool:
    """The pool of one model of a recorded run; a solution's score aggregates its step scores.

    chained: whether the samples of a unit's chain depend on each other, so that budgets count chains.
    Every sample stays in n, whatever its grade: all but the right ones are not right. Those that were refused,
    could not be read or not be graded have no answer, and do not vote. Raises DataError where there are none.
    """
    if aggregate not in AGGREGATES:
        raise DataError(f"aggregate {aggregate!r}", f"one of {', '.join(AGGREGATES)}", "choose one")
    units = run.units[(run.units["model"] == model) & (run.units["strategy"] == strategy)]
    solved = run.solutions.join(units.set_index("key")[["task", "problem"]], on="unit", how="inner")
    if solved.empty:
        known = ", ".join(sorted(set(run.units["model"] + " / " + run.units["strategy"])))
        raise DataError(f"no {strategy} samples of model {model!r}", f"one of {known}", "name what was run")
    several = len(solved["task"].unique()) > 1
    solved["problem"] = solved["task"] + "/" + solved["problem"] if several else solved["problem"]
    return _stack(model, solved.sort_values(["problem", "unit", "position"]), AGGREGATES[aggregate], chained)


def _stack(model: str, graded: pd.DataFrame, aggregate: Callable[[Sequence[float]], float], chained: bool) -> Pool:
    row, problems = pd.factorize(graded["problem"], sort=True)
    n = np.bincount(row)
    place = (row, np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n))
    shape = (len(problems), int(n.max()))
    right, answers = np.zeros(shape, dtype=bool), np.full(shape, -1, dtype=np.int64)
    scores = np.full(shape, np.nan)
    right[place] = graded["grade"] == "right"
    answers[place] = _codes(graded["answer"].where(graded["grade"].isin(ANSWERED)), row)
    scores[place] = [aggregate(steps) if len(steps) else np.nan for steps in graded["scores"]]
    chains = None
    if chained:
        chains = np.full(shape, -1, dtype=np.int64)
        chains[place] = _codes(pd.Series(graded.groupby(["unit", "chain"], sort=False).ngroup().to_numpy()), row)
    found = tuple(map(str, problems))
    return Pool(model, found, n, right.sum(axis=1, dtype=np.int64), Graded(right, answers, scores, chains))


def _codes(answers: pd.Series, row: Ints) -> Ints:
    """Answers as numbers from 0 within each ``row``; -1 where there is none."""
    codes = pd.factorize(answers)[0]
    known = codes >= 0
    pairs, within = np.unique(row[known] * (len(codes) + 1) + codes[known], return_inverse=True)
    firsts = np.searchsorted(pairs // (len(codes) + 1), np.arange(row.max(initial=0) + 1))
    found = np.full(len(codes), -1, dtype=np.int64)
    found[known] = within - firsts[row[known]]
    return found
