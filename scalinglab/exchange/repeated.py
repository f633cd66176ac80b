"""A study repeated over training seeds: search and revisions apart, with controls, in groups of problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.controls import (
    MORE,
    PRM,
    TRIALS,
    Trial,
    first_answers,
    not_shared,
    shared_arms,
    with_more,
)
from scalinglab.exchange.groupings import DIFFICULTY, Grouping, narrowed, regrouped, testbed_axes
from scalinglab.exchange.headline import OPTIMAL
from scalinglab.exchange.matched import once_name
from scalinglab.exchange.notes import notes_of
from scalinglab.exchange.paired import PAPER_R, sensitivity
from scalinglab.exchange.seeds import Cell, arm_cells, check_alike, headline_cells, line_cells, seed_table
from scalinglab.exchange.views import ALL, View, views
from scalinglab.exchange.weak import weakened
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.names import Shown

NOT_MEASURED = "not measured"
_FIRST = ("trial", "what", "grouping")
_NO_AXES = "axes: problems are not questions of the testbed's task of facts and sums, so that they have none"


@dataclass(frozen=True)
class Repeated(Shown):
    """What a study says over its training seeds; tables are those of ``seeds.seed_table``, by trial and grouping.

    rows: each trial's compute-optimal strategy and one arm for all, at equal lifetime FLOPs, under every
    convention, by difficulty, and under the first along the axes. answers: arms that stand alone, at their own
    cost. weak: the weak-verifier study. notes: what all of it rests on. views: of each seed, one a convention.
    """

    seeds: tuple[str, ...]
    evidence: Mapping[str, Evidence] = field(repr=False)
    rows: pd.DataFrame
    answers: pd.DataFrame
    weak: pd.DataFrame
    notes: tuple[str, ...]
    views: Mapping[str, Sequence[View]] = field(repr=False)

    def __repr__(self) -> str:
        head = self.headline()
        told = ", ".join(f"{row.trial} at R = {row.R:g} {row.verdict}" for row in head.itertuples())
        return f"Repeated({len(self.seeds)} training seeds: {told})"

    @property
    def convention(self) -> str:
        """The rule that is shown."""
        return next(iter(self.views.values()))[0].arms.convention

    def headline(
        self, *, trial: str | None = None, grouping: str = DIFFICULTY.name, whole: bool = True
    ) -> pd.DataFrame:
        """Compute-optimal rows against the large model's one answer, over all problems, or in groups."""
        first = next(iter(self.views.values()))[0]
        rows = self.rows
        kept = (rows["strategy"] == OPTIMAL) & (rows["against"] == once_name(first))
        kept &= (rows["convention"] == self.convention) & (rows["grouping"] == grouping)
        kept &= (rows["bin"] == ALL) == whole
        return rows[kept if trial is None else kept & (rows["trial"] == trial)]

    def sensitivity(self) -> pd.DataFrame:
        """The verdict on each trial under every convention, and where they contradict (see ``sensitivity``)."""
        first = next(iter(self.views.values()))[0]
        rows = self.rows[
            (self.rows["strategy"] == OPTIMAL)
            & (self.rows["grouping"] == DIFFICULTY.name)
            & (self.rows["against"] == once_name(first))
        ]
        return sensitivity(rows.assign(strategy=rows["trial"]))


def repeated(
    found: Mapping[str, Evidence],
    *,
    more: Mapping[str, Evidence] | None = None,
    r: Sequence[float] = PAPER_R,
    rules: Sequence[Convention] = tuple(CONVENTIONS.values()),
    seed: int = 0,
) -> Repeated:
    """Compare every trial of a study (see ``controls.TRIALS``) with the large model over its training seeds.

    found: the evidence of each seed, on the same problems; more: of each, a run of the small shape that was
    pretrained further. Trials that no seed measured are named in the notes. Raises DataError where seeds differ
    in problems, or none of the trials was measured.
    """
    read = {name: views(one, rules, seed=seed) for name, one in found.items()}
    base = {name: own for name, (own, _) in read.items()}
    first = {name: own[0] for name, own in base.items()}
    check_alike(first)
    shared, axes = shared_arms(first), testbed_axes(next(iter(first.values())).arms.problems)
    there = [trial for trial in TRIALS if _everywhere(trial, first, shared)]
    if not there:
        raise DataError(
            "a study with neither search nor revisions nor votes", "one of them in every seed", "collect one"
        )
    parts = [part for trial in there for part in _of_trial(trial, base, shared, axes, r, seed)]
    plain = _plainly(found, more or {}, rules[:1], r, seed)
    weak, told = _weak(found, rules[0], r, seed)
    unpriced = {name: why for _, left in read.values() for name, why in left.items()}
    notes = (
        *(f"{trial.name}: {NOT_MEASURED} ({trial.text})" for trial in TRIALS if trial not in there),
        *(
            []
            if len(plain)
            else [f"{MORE}: {NOT_MEASURED}: what helpers' FLOPs buy as plain pretraining is not known"]
        ),
        *([] if axes else [_NO_AXES]),
        *not_shared(first),
        *told,
        *(f"{name} left out: {why}" for name, why in unpriced.items()),
        *(note.text for note in notes_of(next(iter(found.values())), next(iter(base.values())))),
    )
    answers = _alone(first, axes)
    rows = pd.concat([*parts, plain], ignore_index=True)
    return Repeated(tuple(found), found, rows, answers, weak, notes, base)


def _everywhere(trial: Trial, first: Mapping[str, View], shared: frozenset[tuple[object, ...]]) -> bool:
    return all(trial.measured(view, shared) for view in first.values())


def _of_trial(
    trial: Trial, base: Mapping[str, Sequence[View]], shared: frozenset[tuple[object, ...]],
    axes: Sequence[Grouping], r: Sequence[float], seed: int,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The tables of one trial: by difficulty under every rule, along axes under the first."""
    for grouping in (DIFFICULTY, *axes):
        some = {name: own if grouping is DIFFICULTY else own[:1] for name, own in base.items()}
        made = {
            name: narrowed(own, among=trial.among(own[0], shared), grouping=grouping, seed=seed)
            for name, own in some.items()
        }
        for i in range(len(next(iter(made.values())))):
            views_ = {name: own[i] for name, own in made.items()}
            cells = [*headline_cells(views_, r), *headline_cells(views_, r, fixed=True)]
            kept = [cell for cell in cells if grouping is DIFFICULTY or cell.row["bin"] != ALL]
            yield _told(kept, list(base), grouping, trial.name, trial.text)


def _plainly(
    found: Mapping[str, Evidence], more: Mapping[str, Evidence], rules: Sequence[Convention], r: Sequence[float],
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """The small shape that was pretrained further, by votes at equal lifetime FLOPs and greedily."""
    both = {name: with_more(one, more.get(name)) for name, one in found.items()}
    known = {name: one for name, one in both.items() if one is not None}
    if len(known) < len(found):
        return pd.DataFrame()
    own = {name: views(one, rules, bins=1, seed=seed)[0][0] for name, one in known.items()}
    check_alike(own)
    text = "control: plain pretraining by the helpers' FLOPs more, then votes or a greedy answer"
    cells: list[Cell] = headline_cells(own, r)
    cells += arm_cells(own, lambda view: first_answers(view).get("control: the small policy's greedy answer"),
                       "greedy")  # fmt: skip
    return _told(cells, list(found), DIFFICULTY, MORE, text)


def _alone(first: Mapping[str, View], axes: Sequence[Grouping]) -> pd.DataFrame:
    """Arms that answer without any choice of arms, each at its own cost, in every grouping."""
    parts = []
    for grouping in (DIFFICULTY, *axes):
        made = {name: regrouped([view], grouping)[0] for name, view in first.items()}
        for name in dict.fromkeys(name for view in made.values() for name in first_answers(view)):
            cells = arm_cells(made, lambda view, name=name: first_answers(view).get(name), name)
            kept = [cell for cell in cells if grouping is DIFFICULTY or cell.row["bin"] != ALL]
            parts.append(_told(kept, list(first), grouping, name, name))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _weak(
    found: Mapping[str, Evidence], rule: Convention, r: Sequence[float], seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """The weak-verifier study over seeds, each row alone; and why there is none."""
    try:
        read = {
            name: views(one, [rule], seed=seed, change=weakened(one, PRM, seed=seed))[0]
            for name, one in found.items()
        }
    except DataError as error:
        return pd.DataFrame(), [f"weak verifiers: {NOT_MEASURED}: {error}"]
    made = {name: regrouped(own, DIFFICULTY)[0] for name, own in read.items()}
    parts = []
    for name in dict.fromkeys(line.strategy for view in made.values() for line in view.lines()):
        cells = line_cells(
            made,
            r,
            lambda view, name=name: next((one for one in view.lines() if one.strategy == name), None),
            name,
        )
        parts.append(_told(cells, list(found), DIFFICULTY, name, "weak-verifier study", together=False))
    return pd.concat(parts, ignore_index=True), []


def _told(
    cells: Sequence[Cell],
    seeds: Sequence[str],
    grouping: Grouping,
    trial: str,
    text: str,
    *,
    together: bool = True,
) -> pd.DataFrame:
    table = seed_table(cells, seeds, together=together)
    if table.empty:
        return table
    named = table.assign(bin=[grouping.named(name) for name in table["bin"]])
    return named.assign(trial=trial, what=text, grouping=grouping.name)[[*_FIRST, *table.columns]]
