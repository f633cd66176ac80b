"""Views, all that a comparison needs: arms under one convention, in groups of problems, with training costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scalinglab.curves import (
    THINK,
    Arms,
    Floats,
    Group,
    Ints,
    Line,
    Reader,
    Reading,
    Way,
    arms_from,
    lines_of,
    read,
    scanned,
    values_of,
    ways_of,
)
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.checking import checks_of
from scalinglab.exchange.lifetime import Lifetime, lifetimes
from scalinglab.exchange.splits import Division, divided, undivided
from scalinglab.flops import Convention
from scalinglab.optimal import Optimal, compute_optimal

ALL = "all"


@dataclass(frozen=True)
class Menu:
    """What the compute-optimal strategy chooses among: the lines of models whose training it then pays.

    optimal: the strategy on each split of the samples. whole: on all samples without bins, where bins take half of
    them: one arm for all needs none.
    """

    models: tuple[str, ...]
    optimal: tuple[Optimal, ...] = field(repr=False)
    whole: Optimal | None = field(default=None, repr=False)


@dataclass(frozen=True)
class View:
    """Arms under one convention, the groups of problems over which they are compared, training and the cast.

    small, large: the models compared. judges: the model behind each verifier's name. helpers: the small model, its
    revisers and verifiers. halves: by way, of each split the reader of samples that did not set its bins. menus:
    of the compute-optimal strategy: everything; and where training helpers is charged the small model alone, which
    is left where they cannot be paid. checks: FLOPs of checking one answer of the large model,
    (problems,), by verifier ("": a perfect one), where the convention charges it. division: behind the groups.
    """

    arms: Arms
    lifetime: Lifetime
    groups: tuple[Group, ...]
    small: str
    large: str
    judges: Mapping[str, str | None]
    helpers: tuple[str, ...]
    halves: Mapping[int, tuple[Reader, ...]] = field(default_factory=dict, repr=False)
    menus: tuple[Menu, ...] = field(default=(), repr=False)
    checks: Mapping[str, Floats] = field(default_factory=dict, repr=False)
    division: Division | None = field(default=None, repr=False)

    @property
    def convention(self) -> Convention:
        return self.lifetime.convention

    def lines(self, *, large: bool = False) -> list[Line]:
        """The lines of the small side, or of the large model; greedy answers are none."""
        return [line for line in self._side(large=large) if line.strategy != "greedy"]

    @cached_property
    def once(self) -> Line:
        """The large model's one answer: greedy, or the mean of its single samples where it has no greedy one.

        Of several efforts at the dearest. Raises DataError where it has neither.
        """
        own = [line for line in self._side(large=True) if line.verifier == ""]
        for wanted in (
            ("greedy", "majority"),
            ("parallel", "majority"),
            ("greedy", "coverage"),
            ("parallel", "coverage"),
        ):
            found = [line for line in own if (line.strategy, line.selector) == wanted]
            if found:
                line = max(found, key=lambda one: self.arms.flops[:, int(one.columns[0])].mean())
                return replace(line, columns=line.columns[:1], budgets=line.budgets[:1])
        raise DataError(f"no single answer of {self.large}", "a greedy or parallel sample", "collect one")

    def answered(self, line: Line | None) -> Floats:
        """FLOPs of the large model's one answer to each problem, (problems,).

        Where both sides pay, checked once as the answers of ``line`` are: by its verifier, or by a perfect one;
        of the compute-optimal strategy (None), by the first verifier.
        """
        spent = self.arms.flops[:, int(self.once.columns[0])]
        if self.once.selector == "coverage":  # its price holds the check
            return spent
        perfect = "" if all(own.selector == "coverage" for own in self.menu()) else None
        verifier = next((name for name in self.judges if name in self.checks), perfect)
        if line is not None:
            verifier = line.verifier or ("" if line.selector == "coverage" else None)
        return spent if verifier is None or verifier not in self.checks else spent + self.checks[verifier]

    def cheapest(self, group: Group) -> float:
        """FLOPs of the cheapest answer of the small side in a group."""
        if group.name not in self._cheapest:
            columns = np.array([int(line.columns[0]) for line in self._side(large=False)])
            self._cheapest[group.name] = float(self.costs(group)[columns].min())
        return self._cheapest[group.name]

    def costs(self, group: Group) -> Floats:
        """Mean FLOPs of a query in a group under each arm, (arms,)."""
        return group.mean_of(self.arms.flops)

    def read(self, line: Line, group: Group, flops_: Floats) -> Reading:
        """What a line of the small side answers at FLOPs a query in a group (see ``lines.read``)."""
        halves = self.halves.get(line.way)
        return read(self.arms, line, group, flops_, cheapest=self.cheapest(group), halves=halves)

    def scanned(self, line: Line, group: Group) -> Ints:
        """The budgets at which a line is read in a group (see ``lines.scanned``)."""
        return scanned(self.arms, line, group, halves=self.halves.get(line.way))

    def values(self, line: Line, group: Group, budgets: Ints) -> tuple[Floats, Floats]:
        """Each member's accuracy at some of these, evened (see ``Group.evened``), and its noise."""
        accuracy, noise = values_of(self.arms, line, group, budgets, halves=self.halves.get(line.way))
        return group.evened(accuracy), noise

    def columns(self, line: Line, group: Group) -> Ints:
        """The arms of a line that can be read in a group: half of its budgets where its samples set the bins."""
        if group.inside is None or line.way not in self.halves:
            return line.columns
        return line.columns[line.budgets <= min(int(half.budgets[-1]) for half in self.halves[line.way])]

    def scored(self, group: Group) -> Floats:
        """Accuracy of every arm on a group's members, evened (see ``Group.evened``), (members, arms).

        Of arms whose samples also set the bins, on the other half; meaningless outside ``columns``.
        """
        found = group.evened(self.arms.accuracy[group.members])
        for line in self._side(large=False) if group.inside is not None else []:
            if line.way in self.halves:
                at = self.columns(line, group)
                found[:, at] = self.values(line, group, line.budgets[: len(at)].astype(np.int64))[0]
        return found

    def menu(self, *, large: bool = False) -> list[Line]:
        """What a side can run, greedy answers among it: lines that do not know the right answers.

        Where every line takes a perfect verifier, as counts do, one answer at each effort, else those.
        """
        every = self._side(large=large)
        think = [line for line in every if line.strategy == THINK]  # one answer at each effort
        own = [line for line in every if line.strategy != THINK]
        honest = [
            line for line in own if line.selector != "coverage" and self.judges.get(line.verifier, "") is not None
        ]
        if any("effort" in line.setting for line in honest):
            return honest
        return [*honest, *think] or own

    @cached_property
    def _cheapest(self) -> dict[str, float]:
        return {}

    @cached_property
    def _sides(self) -> tuple[list[Line], list[Line]]:
        """The lines of the small side and of the large model, greedy answers among them."""
        table = self.arms.table
        theirs = set(table.loc[table["model"] == self.large, "way"])
        every = lines_of(self.arms, self.judges)
        return [line for line in every if line.way not in theirs], [line for line in every if line.way in theirs]

    def _side(self, *, large: bool) -> list[Line]:
        return self._sides[large]


def views(
    evidence: Evidence,
    rules: Sequence[Convention],
    *,
    bins: int = 5,
    sunk: bool = False,
    strict: bool = False,
    seed: int = 0,
    change: Callable[[list[Way]], list[Way]] | None = None,
) -> tuple[list[View], dict[str, str]]:
    """The evidence's arms under each rule, over all problems and in bins; and the rules that cannot price it.

    Bins come from samples of strategy difficulty where there are any, else from half of the small model's parallel
    samples, the other half scoring, over several splits; over all problems every sample scores. ``sunk``: nobody
    pays pretraining, as with open weights. ``strict``: no problem may be missing. ``change``: other ways to
    compare than those that were recorded. Raises DataError where no rule can price it.
    """
    small, large = evidence.pair()
    paid, unpriced = lifetimes(evidence, rules, sunk=sunk)
    used = list(paid)
    ways = ways_of(evidence, used, models=(small, large, *evidence.revisers()), seed=seed)
    ways = ways if change is None else change(ways)
    arms = arms_from(ways, used, strict=strict)
    found = divided(evidence, arms, used, small, count=bins, seed=seed)
    groups = (Group(ALL, np.arange(len(arms[0].problems))), *found.groups)
    made = [
        View(one, paid[rule], groups, small, large, evidence.verifiers, evidence.helpers(), found.halves,
             checks=checks_of(one, evidence, rule, large), division=found)
        for one, rule in zip(arms, used, strict=True)
    ]  # fmt: skip
    return with_menus(made, found, used, seed), unpriced


def with_menus(made: list[View], found: Division, rules: Sequence[Convention], seed: int) -> list[View]:
    """The views with the menus of their compute-optimal strategies, chosen on each split.

    Where training helpers is charged they are left out one after another, the dearest to train first: which menu
    is used depends on what can be paid, and never on what it answers.
    """
    menus: list[list[Menu]] = [[] for _ in made]
    left = [list(view.helpers) for view in made]
    while any(left):
        for models in dict.fromkeys(tuple(models) for models in left if models):
            at = [i for i, own in enumerate(left) if tuple(own) == models and _lines(made[i], models)]
            made_of = _menus([made[i] for i in at], found, [rules[i] for i in at], models, seed)
            for i, menu in zip(at, made_of, strict=True):
                menus[i].append(menu)
        left = [_without_dearest(view, own) for view, own in zip(made, left, strict=True)]
    return [replace(view, menus=tuple(own)) for view, own in zip(made, menus, strict=True)]


def _without_dearest(view: View, models: Sequence[str]) -> list[str]:
    """These models without the one whose training is dearest; nothing where none is charged any more."""

    def extra(name: str) -> float:
        return view.lifetime.trained("policy", models) - view.lifetime.trained("policy", set(models) - {name})

    helpers = [name for name in models if name != view.small]
    dearest = max(helpers, key=extra, default=None)
    if dearest is None or view.lifetime.trained("policy", models) <= view.lifetime.small:
        return []
    return [name for name in models if name != dearest]


def _lines(view: View, models: Sequence[str]) -> list[Line]:
    """Of the menu those that take no other model."""
    return [line for line in view.menu() if set(line.models) <= set(models)]


def _menus(
    made: Sequence[View], found: Division, rules: Sequence[Convention], models: tuple[str, ...], seed: int
) -> list[Menu]:
    """The menu of each view, of lines that take no other model than these; their costs alone differ."""
    if not made:
        return []
    lines = [_lines(view, models) for view in made]

    def chosen(division: Division, split: int) -> list[Optimal]:
        cases = [
            division.case(view.arms, own, split, i, rule.difficulty)
            for i, (view, own, rule) in enumerate(zip(made, lines, rules, strict=True))
        ]
        return compute_optimal(cases, seed=seed)

    splits = [chosen(found, split) for split in range(found.splits)]
    whole = chosen(undivided(found.problems), 0) if found.halves else [None] * len(made)
    return [Menu(models, tuple(split[i] for split in splits), whole[i]) for i in range(len(made))]
