"""A study repeated over training seeds: search and revisions apart, with controls, in groups of problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.contrasts import beside, trend
from scalinglab.exchange.controls import (
    MORE,
    PRM,
    REVISIONS,
    SEARCH,
    SMALL_GREEDY,
    TRIALS,
    Trial,
    first_answers,
    not_shared,
    shared_arms,
    with_more,
)
from scalinglab.exchange.groupings import COUNTED, DIFFICULTY, Grouping, axes_of, narrowed, regrouped
from scalinglab.exchange.headline import OPTIMAL
from scalinglab.exchange.matched import once_name
from scalinglab.exchange.notes import notes_of
from scalinglab.exchange.paired import PAPER_R, PRETRAINING, TEST_TIME, UNDECIDED, sensitivity
from scalinglab.exchange.seeds import Cell, arm_cells, check_alike, headline_cells, line_cells, seed_table
from scalinglab.exchange.views import ALL, View, views
from scalinglab.exchange.weak import weakened
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.names import Shown

NOT_MEASURED, WEAK_STUDY = "not measured", "weak verifier"
MECHANISMS = (SEARCH, REVISIONS)
_CONTRAST = {TEST_TIME: "better", PRETRAINING: "worse", UNDECIDED: UNDECIDED}
_TREND = {TEST_TIME: "grows", PRETRAINING: "falls", UNDECIDED: UNDECIDED}
_NO_AXES = "axes: problems are not questions of the testbed's task of facts and sums, so that they have none"


@dataclass(frozen=True)
class Part:
    """The cells of one trial in one grouping. text: what it is; together: whether they share one interval."""

    trial: str
    text: str
    grouping: Grouping
    cells: Sequence[Cell]
    together: bool = True

    def table(self, seeds: Sequence[str]) -> pd.DataFrame:
        """A row a cell (see ``seed_table``), after the columns trial and grouping."""
        table = seed_table(self.cells, seeds, together=self.together)
        if table.empty:
            return table
        bins = [self.grouping.named(name) for name in table["bin"]]
        columns = ["trial", "grouping", *table.columns]
        return table.assign(bin=bins, trial=self.trial, grouping=self.grouping.name)[columns]


@dataclass(frozen=True)
class Repeated(Shown):
    """What a study says over its training seeds.

    parts: each trial and control in each grouping: by difficulty under every convention, along axes under the
    first. r: the values of R. lacking: what was not measured. notes: what all of it rests on. views: of each seed,
    one a convention.
    """

    seeds: tuple[str, ...]
    evidence: Mapping[str, Evidence] = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    r: Sequence[float]
    lacking: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    views: Mapping[str, Sequence[View]] = field(repr=False)

    def __repr__(self) -> str:
        head = self.headline()
        told = ", ".join(f"{row.trial} at R = {row.R:g} {row.verdict}" for row in head.itertuples())
        return f"Repeated({len(self.seeds)} training seeds: {told})"

    @property
    def view(self) -> View:
        """The first seed's, under the convention that is shown."""
        return next(iter(self.views.values()))[0]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every part's table, one after another."""
        tables = (part.table(self.seeds) for part in self.parts)
        return pd.concat([table for table in tables if len(table)], ignore_index=True)

    def headline(
        self, trial: str | None = None, *, grouping: str = DIFFICULTY.name, whole: bool = True
    ) -> pd.DataFrame:
        """Compute-optimal rows against the large model's one answer: over all problems, or in groups.

        Of a trial; of search and revisions without one.
        """
        rows = self.rows
        kept = (rows["strategy"] == OPTIMAL) & (rows["against"] == once_name(self.view))
        kept &= (rows["convention"] == self.view.arms.convention) & (rows["grouping"] == grouping)
        kept &= ((rows["bin"] == ALL) == whole) & rows["trial"].isin(MECHANISMS if trial is None else [trial])
        return rows[kept]

    def sensitivity(self) -> pd.DataFrame:
        """The verdict on search and revisions under each convention, and whether they flip (``sensitivity``)."""
        rows = self.rows
        kept = (rows["strategy"] == OPTIMAL) & (rows["against"] == once_name(self.view))
        kept &= (rows["grouping"] == DIFFICULTY.name) & rows["trial"].isin(MECHANISMS)
        return sensitivity(rows[kept].assign(strategy=rows["trial"]))

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """Search and revisions less each control, over all problems and by difficulty: better, worse, undecided.

        small: of the mechanism; large: of the control (``against``); the R of one are held at once.
        """
        parts = {part.trial: self._shown(part) for part in self.parts if part.grouping is DIFFICULTY}
        found = []
        for name in (name for name in MECHANISMS if name in parts):
            for control, cells in parts.items():
                if control != name and not (control in MECHANISMS and name != MECHANISMS[0]):
                    apart = beside(parts[name], cells, control)
                    found.append(Part(name, "", DIFFICULTY, apart).table(self.seeds))
        return _renamed(found, _CONTRAST)

    @cached_property
    def trends(self) -> pd.DataFrame:
        """By how much search and revisions gain or lose with each fact and each sum: slopes, a row an R."""
        found = []
        for part in self.parts:
            if part.grouping.name not in COUNTED or part.trial not in MECHANISMS:
                continue
            every = [cell for cell in self._shown(part) if cell.row["bin"] != ALL]
            sloped = [trend(own, [int(cell.row["bin"]) - 1 for cell in own])
                      for own in ([cell for cell in every if cell.row["R"] == r] for r in self.r)]  # fmt: skip
            cells = [cell for cell in sloped if cell is not None]
            table = seed_table(cells, self.seeds)
            found.append(table.assign(trial=part.trial, grouping=part.grouping.name, bin="a step more"))
        return _renamed(found, _TREND)

    def _shown(self, part: Part) -> list[Cell]:
        """Its headline cells under the convention that is shown; of a control that stands alone, all."""
        return [
            cell
            for cell in part.cells
            if cell.row["convention"] == self.view.arms.convention
            and cell.row["strategy"] in (OPTIMAL, part.trial)
            and cell.row["against"] == once_name(self.view)
        ]


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
    pretrained further. Trials that a seed lacks are named in the notes. Raises DataError where seeds differ in
    problems, or neither search nor revisions was measured.
    """
    read = {name: views(one, rules, seed=seed) for name, one in found.items()}
    base = {name: own for name, (own, _) in read.items()}
    first = {name: own[0] for name, own in base.items()}
    check_alike(first)
    shared, axes = shared_arms(first), axes_of(next(iter(first.values())).arms.problems)
    there = [trial for trial in TRIALS if all(trial.measured(view, shared) for view in first.values())]
    if not {trial.name for trial in there}.intersection(MECHANISMS):
        raise DataError(
            f"no samples chosen by {PRM} and no revisions in every seed", "one of the two", "collect one"
        )
    parts = [part for trial in there for part in _of_trial(trial, base, shared, axes, r, seed)]
    parts += [*_alone(first, axes), *_plainly(found, more or {}, rules[:1], r, seed)]
    weak, told = _weak(found, rules[0], r, seed)
    unpriced = {name: why for _, left in read.values() for name, why in left.items()}
    lacking = f"{MORE}: {NOT_MEASURED}: what the helpers' FLOPs buy as plain pretraining is not known"
    left = (
        *(f"{trial.name}: {NOT_MEASURED} in every seed ({trial.text})" for trial in TRIALS if trial not in there),
        *([] if any(part.trial.startswith(MORE) for part in parts) else [lacking]),
        *([] if axes else [_NO_AXES]),
        *not_shared(first),
        *told,
    )
    notes = (
        *(f"{name} left out: {why}" for name, why in unpriced.items()),
        *(note.text for note in notes_of(next(iter(found.values())), next(iter(base.values())))),
    )
    return Repeated(tuple(found), found, (*parts, *weak), r, left, notes, base)


def _of_trial(
    trial: Trial, base: Mapping[str, Sequence[View]], shared: frozenset[tuple[object, ...]],
    axes: Sequence[Grouping], r: Sequence[float], seed: int,
) -> Iterator[Part]:  # fmt: skip
    """The parts of one trial: by difficulty under every rule, along axes under the first."""
    for grouping in (DIFFICULTY, *axes):
        some = {name: own if grouping is DIFFICULTY else own[:1] for name, own in base.items()}
        made = {
            name: narrowed(own, among=trial.among(own[0], shared), grouping=grouping, seed=seed)
            for name, own in some.items()
        }
        cells: list[Cell] = []
        for rule in zip(*made.values(), strict=True):
            own = dict(zip(made, rule, strict=True))
            cells += [*headline_cells(own, r), *headline_cells(own, r, fixed=True)]
        yield _part(trial.name, trial.text, grouping, cells)


def _alone(first: Mapping[str, View], axes: Sequence[Grouping]) -> Iterator[Part]:
    """Arms that answer without any choice of arms, each at its own cost, in every grouping."""
    for grouping in (DIFFICULTY, *axes):
        made = {name: regrouped([view], grouping)[0] for name, view in first.items()}
        for name in dict.fromkeys(name for view in made.values() for name in first_answers(view)):
            yield _part(name, "alone", grouping, arm_cells(made, _answer(name), name))


def _answer(name: str) -> Callable[[View], int | None]:
    return lambda view: first_answers(view).get(name)


def _plainly(
    found: Mapping[str, Evidence], more: Mapping[str, Evidence], rules: Sequence[Convention], r: Sequence[float],
    seed: int,
) -> Iterator[Part]:  # fmt: skip
    """The small shape that was pretrained further, by votes at equal lifetime FLOPs and greedily."""
    both = {name: with_more(one, more.get(name)) for name, one in found.items()}
    known = {name: one for name, one in both.items() if one is not None}
    if len(known) < len(found):
        return
    own = {name: views(one, rules, bins=1, seed=seed)[0][0] for name, one in known.items()}
    check_alike(own)
    yield Part(MORE, "pretrained by the helpers' FLOPs more, then votes", DIFFICULTY, headline_cells(own, r))
    greedy = f"{MORE}, greedy"
    yield Part(greedy, "alone", DIFFICULTY, arm_cells(own, _answer(SMALL_GREEDY), greedy))


def _weak(
    found: Mapping[str, Evidence], rule: Convention, r: Sequence[float], seed: int
) -> tuple[list[Part], list[str]]:
    """The weak-verifier study over seeds, each row alone; and why there is none."""
    try:
        read = {
            name: views(one, [rule], seed=seed, change=weakened(one, PRM, seed=seed))[0]
            for name, one in found.items()
        }
    except DataError as error:
        return [], [f"weak verifiers: {NOT_MEASURED}: {error}"]
    made = {name: regrouped(own, DIFFICULTY)[0] for name, own in read.items()}
    cells = []
    for name in dict.fromkeys(line.strategy for view in made.values() for line in view.lines()):
        cells += line_cells(made, r, name)
    return [Part(WEAK_STUDY, "", DIFFICULTY, cells, together=False)], []


def _part(name: str, text: str, grouping: Grouping, cells: Sequence[Cell]) -> Part:
    """Rows over all problems stand under difficulty alone."""
    return Part(name, text, grouping, [one for one in cells if grouping is DIFFICULTY or one.row["bin"] != ALL])


def _renamed(found: Sequence[pd.DataFrame], words: Mapping[str, str]) -> pd.DataFrame:
    kept = [table for table in found if len(table)]
    every = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
    return every if every.empty else every.assign(verdict=every["verdict"].map(words))
