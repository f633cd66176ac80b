"""A larger study made of a pilot: its problems again and again, the small model's samples drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import Efforts, Finals, Floats, Graded, Ints, Pool, Reader, Sampled, Way, asked

SPREAD = 0.4
"""Of difficulty, where one sample a problem cannot tell it: the correlation of two samples of one problem."""
_FEWEST_ALIKE = 5
"""Problems on which a prior is fitted, at least."""


@dataclass(frozen=True)
class Redrawn:
    """Ways as a study of ``copies`` times the pilot's problems would have them, with ``samples`` parallel ones.

    A problem's chance is drawn from what the pilot leaves open of it: a Beta fitted to the problems on which the
    large model did alike, then updated by its own samples (which keeps the pairing of the two). Right and wrong
    samples are then drawn among its own, with their answers and scores; of a kind that it has none of, among
    another problem's. All else (the large model, greedy answers, searches, revisions) is as recorded.
    most: of the pilot's problems so many are taken, at random.
    """

    small: str
    samples: int
    copies: int
    seed: int = 0
    most: int = 1000
    _picked: dict[tuple[str, str], Ints] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, ways: list[Way]) -> list[Way]:
        problems = np.array(asked(ways).problems)
        if len(problems) > self.most:
            problems = np.random.default_rng([self.seed, 2]).permutation(problems)[: self.most]
        names = tuple(f"{name}~{copy}" for copy in range(self.copies) for name in problems)
        group = _alike(ways, problems)
        found = []
        for way in ways:
            rows = _rows(way.reader.problems, problems)
            again = np.tile(rows, self.copies)
            reader = self._reader(way, rows, names, group)
            found.append(replace(way, reader=reader, prices=tuple(price.at(again) for price in way.prices)))
        return found

    def _reader(self, way: Way, rows: Ints, names: tuple[str, ...], group: Ints) -> Reader:
        reader, again = way.reader, np.tile(rows, self.copies)
        if isinstance(reader, Sampled):
            drawn = way.strategy == "parallel" and way.model == self.small
            taken = _taken(reader.pool, rows if drawn else again, names)
            pool = self._drawn((way.strategy, way.setting), taken, names, group) if drawn else taken
            return replace(reader, pool=pool, known={})
        if isinstance(reader, Efforts):
            wanted = [reader.problems[i] for i in rows]
            parts = [
                replace(
                    one, pool=_taken(one.pool, np.tile(_rows(one.problems, wanted), self.copies), names), known={}
                )
                for one in reader.parts
            ]
            return replace(reader, problems=names, parts=tuple(parts))
        assert isinstance(reader, Finals)
        return Finals(names, reader.budgets, reader.at(reader.budgets, again)[0], reader.step, reader.fewest)

    def _drawn(self, key: tuple[str, str], pool: Pool, names: tuple[str, ...], group: Ints) -> Pool:
        rng = np.random.default_rng([self.seed, 0])  # of one setting all selectors read the same samples
        chance = np.concatenate([_chances(pool.correct, pool.n, group, rng) for _ in range(self.copies)])
        sizes = np.full(len(names), self.samples)
        if pool.graded is None:
            return Pool(pool.model, names, sizes, rng.binomial(self.samples, chance))
        right = rng.random((len(names), self.samples)) < chance[:, None]
        if key not in self._picked:
            self._picked[key] = _picks(pool.graded.right, pool.n, right, rng)
        graded = _of_picks(pool.graded, self._picked[key], right)
        return Pool(pool.model, names, sizes, right.sum(axis=1), graded)


def _alike(ways: Sequence[Way], problems: npt.NDArray[np.str_]) -> Ints:
    """0 or 1 for each problem: whether the large model's single answer does better than in the middle."""
    once = [way for way in ways if way.role == "large" and way.reader.step == 1]
    if not once:
        return np.zeros(len(problems), dtype=np.int64)
    first = min(once, key=lambda way: way.strategy != "greedy")
    right = first.reader.at(np.ones(1, dtype=np.int64), _rows(first.reader.problems, problems))[0][:, 0]
    group = (right > np.median(right)) | (right == 1)
    return np.asarray(group if _FEWEST_ALIKE <= group.sum() <= len(group) - _FEWEST_ALIKE else 0 * group, np.int64)


def _chances(correct: Ints, n: Ints, group: Ints, rng: np.random.Generator) -> Floats:
    """A chance of each problem, by the samples of the pilot and of the problems like it."""
    found = np.empty(len(n))
    for one in np.unique(group):
        at = group == one
        a, b = prior(correct[at], n[at])
        found[at] = rng.beta(a + correct[at], b + (n - correct)[at])
    return found


def prior(correct: Ints, n: Ints) -> tuple[float, float]:
    """The Beta distribution of problems' chances by its moments, without the binomial noise of their samples."""
    share, once = correct / n, float(np.mean(1 / n))
    least = 0.5 / (float(n.sum()) + 1)
    mean = float(np.clip(share.mean(), least, 1 - least))
    most = mean * (1 - mean)
    spread = SPREAD
    if once < 1 and len(n) > 1:
        spread = (float(share.var(ddof=1)) - most * once) / (1 - once) / most
    spread = float(np.clip(spread, 0.01, 0.98))
    return mean * (1 / spread - 1), (1 - mean) * (1 / spread - 1)


def _picks(own: npt.NDArray[np.bool_], n: Ints, right: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """For each sample, (problems, samples), the flat place in ``own`` of a pilot's sample of its kind."""
    rows, width = len(own), own.shape[1]
    there = np.arange(width) < n[:, None]
    found = np.empty(right.shape, dtype=np.int64)
    for kind in (True, False):
        of_kind = there & (own == kind)
        holders = np.flatnonzero(of_kind.any(axis=1))
        if not len(holders):  # nothing of this kind anywhere: what there is, graded as drawn
            of_kind, holders = there, np.arange(rows)
        for i in range(len(right)):
            row = i % rows
            donor = row if of_kind[row].any() else int(rng.choice(holders))
            at = np.flatnonzero(right[i] == kind)
            found[i, at] = donor * width + rng.choice(np.flatnonzero(of_kind[donor]), len(at))
    return found


def _of_picks(graded: Graded, picks: Ints, right: npt.NDArray[np.bool_]) -> Graded:
    """The samples at these places; another problem's answers are other answers than one's own."""
    width = graded.right.shape[1]
    answers, scores = graded.answers.ravel()[picks], graded.scores.ravel()[picks]
    borrowed = picks // width != (np.arange(len(picks)) % len(graded.right))[:, None]
    answers = np.where(borrowed & (answers >= 0), answers + (1 + right) * (int(graded.answers.max()) + 1), answers)
    return Graded(right, answers, scores)


def _taken(pool: Pool, rows: Ints, names: tuple[str, ...]) -> Pool:
    graded = None if pool.graded is None else pool.graded.take(lambda array: array[rows])
    return Pool(pool.model, names[: len(rows)], pool.n[rows], pool.correct[rows], graded)


def _rows(known: Sequence[str], wanted: Sequence[str] | npt.NDArray[np.str_]) -> Ints:
    return np.asarray(pd.Index(known).get_indexer(pd.Index(wanted)), dtype=np.int64)
