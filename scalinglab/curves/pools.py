"""The parallel samples of one model, a row a problem, from counts or from a recorded run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples import AGGREGATES, ANSWERED, Run

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
    units = np.flatnonzero((run.units["model"] == model) & (run.units["strategy"] == strategy))
    return Samples(run).pool(units, aggregate=aggregate, chained=chained, asked=(strategy, model))


@dataclass(frozen=True, eq=False)
class Samples:
    """The solutions of a run, by unit and position, with what every pool of them needs worked out once."""

    run: Run

    def pool(
        self, units: Ints, *, verifier: str = "", aggregate: str = "last", chained: bool = False,
        asked: tuple[str, str] = ("recorded", ""),
    ) -> Pool:  # fmt: skip
        """The pool of these units of one model, by their places; see ``pool_from_run``.

        verifier: whose scores they get (see ``samples.scored_by``); "" for a solution's own. asked: the strategy
        and model that an error names.
        """
        mine = np.zeros(len(self.run.units) + 1, dtype=bool)  # the last is of solutions of no unit
        mine[units] = True
        solved = self._order[mine[self._unit[self._order]]]
        if not len(solved):
            known = ", ".join(sorted(set(self.run.units["model"] + " / " + self.run.units["strategy"])))
            raise DataError(f"no {asked[0]} samples of model {asked[1]!r}", f"one of {known}", "name what was run")
        row, problems = self._problems(self._unit[solved])
        order = np.argsort(row, kind="stable")
        model = str(self.run.units["model"].iloc[int(self._unit[solved[0]])])
        return self._stacked(
            model, problems, solved[order], row[order], self._scores(verifier, aggregate), chained
        )

    def answered(self, units: Ints) -> bool:
        """Whether answers of these units were recorded: each right one is there, or none is right and some are."""
        mine = np.zeros(len(self.run.units) + 1, dtype=bool)
        mine[units] = True
        known = (self._answers >= 0)[mine[self._unit]]
        return bool(known.any() and known[(self._grade == "right")[mine[self._unit]]].all())

    def _problems(self, units: Ints) -> tuple[Ints, tuple[str, ...]]:
        """The number of each one's problem, and their names in order; with the task's where there are several."""
        own, back = np.unique(units, return_inverse=True)
        rows = self.run.units.iloc[own]
        several = len(rows["task"].unique()) > 1
        codes, found = pd.factorize(
            rows["task"] + "/" + rows["problem"] if several else rows["problem"], sort=True
        )
        return codes[back], tuple(map(str, found))

    def _stacked(
        self, model: str, problems: tuple[str, ...], at: Ints, row: Ints, scored: Floats, chained: bool
    ) -> Pool:
        """Solutions ``at`` side by side, each in the row of its problem."""
        n = np.bincount(row)
        place = (row, np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n))
        shape = (len(problems), int(n.max()))
        right, answers = np.zeros(shape, dtype=bool), np.full(shape, -1, dtype=np.int64)
        scores = np.full(shape, np.nan)
        right[place] = self._grade[at] == "right"
        answers[place] = _codes(self._answers[at], row)
        scores[place] = scored[at]
        chains = None
        if chained:
            chains = np.full(shape, -1, dtype=np.int64)
            chains[place] = _codes(self._chains[at], row)
        return Pool(model, problems, n, right.sum(axis=1, dtype=np.int64), Graded(right, answers, scores, chains))

    @cached_property
    def _unit(self) -> Ints:
        """The place of each solution's unit; -1 for none."""
        return np.asarray(pd.Index(self.run.units["key"]).get_indexer(pd.Index(self.run.solutions["unit"])))

    @cached_property
    def _order(self) -> Ints:
        """The solutions by the key of their unit and their position."""
        rank = pd.factorize(self.run.units["key"], sort=True)[0]
        return np.lexsort((self.run.solutions["position"].to_numpy(), np.append(rank, -1)[self._unit]))

    @cached_property
    def _grade(self) -> npt.NDArray[np.object_]:
        return self.run.solutions["grade"].to_numpy(object)

    @cached_property
    def _answers(self) -> Ints:
        """A number for each answer; -1 where there is none."""
        found: Ints = pd.factorize(self.run.solutions["answer"].where(np.isin(self._grade, ANSWERED)))[0]
        return found

    @cached_property
    def _chains(self) -> Ints:
        """A number for each chain of each unit."""
        chains = self.run.solutions["chain"].to_numpy(np.int64)
        return np.asarray(self._unit * (chains.max(initial=0) + 1) + chains)

    @cached_property
    def _known(self) -> dict[tuple[str, str], Floats]:
        return {}

    @cached_property
    def _others(self) -> list[dict[str, list[float]]]:
        return [{} if text == "{}" else json.loads(text) for text in self.run.solutions["other_scores"].tolist()]

    def _scores(self, verifier: str, aggregate: str) -> Floats:
        """Every solution's score by a verifier (see ``samples.scored_by``), NaN without one."""
        if (verifier, aggregate) not in self._known:
            self._known[verifier, aggregate] = self._by(verifier, aggregate)
        return self._known[verifier, aggregate]

    def _by(self, verifier: str, aggregate: str) -> Floats:
        one = AGGREGATES[aggregate]
        if not verifier:
            return _aggregated(self.run.solutions["scores"].tolist(), one)
        found = self._scores("", aggregate).copy()
        further = [len(all_) > 1 and all_[0] != verifier for all_ in self.run.units["verifiers"]]
        at = np.flatnonzero(np.array([*further, False])[self._unit])
        found[at] = _aggregated([self._others[i].get(verifier, ()) for i in at.tolist()], one)
        return found


def _aggregated(steps: Sequence[Sequence[float]], one: Callable[[Sequence[float]], float]) -> Floats:
    """A number for the step scores of each solution; NaN where there are none."""
    return np.array([one(each) if len(each) else np.nan for each in steps], dtype=np.float64)


def _codes(numbers: Ints, row: Ints) -> Ints:
    """Numbers as others from 0 within each ``row``, by first appearance; -1 where there is none."""
    known = numbers >= 0
    codes = np.full(len(numbers), -1, dtype=np.int64)
    codes[known] = pd.factorize(numbers[known])[0]
    pairs, within = np.unique(row[known] * (len(codes) + 1) + codes[known], return_inverse=True)
    firsts = np.searchsorted(pairs // (len(codes) + 1), np.arange(row.max(initial=0) + 1))
    found = np.full(len(codes), -1, dtype=np.int64)
    found[known] = within - firsts[row[known]]
    return found
