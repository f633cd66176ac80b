"""How the evidence answered: a way a model, strategy, setting, verifier and selector, read and priced."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalinglab.collect.strategies import STRATEGIES, Strategy
from scalinglab.curves.pools import Ints, Pool, pool_from_run, pools_from_counts
from scalinglab.curves.prices import Charged, Price, charged, checking, from_tokens, pays
from scalinglab.curves.readers import Finals, Reader, Sampled
from scalinglab.curves.selectors import SELECTORS, accuracy
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.samples import Run, scored_by

_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Way:
    """Arms that differ in budget alone: how they answer, what reads them, and their Price under each rule.

    judge: the model behind the verifier that chooses; None for none, or an exact checker. budgets: those that were
    run, of a search.
    """

    role: str
    model: str
    strategy: str
    setting: str
    verifier: str
    selector: str
    judge: str | None
    reader: Reader
    prices: tuple[Price, ...]
    budgets: Ints

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of ``arms.ARM`` without the budget."""
        return (self.role, self.model, self.strategy, self.setting, self.verifier, self.selector)


def ways_of(evidence: Evidence, rules: Sequence[Convention], *, models: Sequence[str], seed: int = 0) -> list[Way]:
    """Every way in which these models answered, unpriced without rules.

    Raises DataError for several tasks, votes of mixed kinds, or models that are not in the data.
    """
    for name in models:
        evidence.known(name)
    if evidence.run is None:
        return list(_of_counts(evidence, rules, models, seed))
    tasks = len(evidence.run.units["task"].unique())
    if not tasks:
        raise DataError(f"no units of work in {evidence.source}", "a run with samples", "collect some")
    if tasks != 1:
        raise DataError(f"a run of {tasks} tasks", "one task", "split the run")
    return list(_of_run(evidence, evidence.run, rules, models, seed))


def coverage_pools(evidence: Evidence) -> dict[str, Pool]:
    """The parallel samples of every model, by its name."""
    ways = ways_of(evidence, [], models=evidence.models())
    return {
        way.model: way.reader.pool
        for way in ways
        if (way.strategy, way.selector) == ("parallel", "coverage") and isinstance(way.reader, Sampled)
    }


def _of_counts(evidence: Evidence, rules: Sequence[Convention], models: Sequence[str], seed: int) -> Iterator[Way]:
    assert evidence.counts is not None
    every = pools_from_counts(evidence.counts)
    for model, pool in ((model, every[model]) for model in models):
        role = _role(evidence, model)
        prices = tuple(
            from_tokens(
                evidence.spec(model), None, evidence.tokens, len(pool.n), rule=rule, verified=pays(rule, role)
            )
            for rule in rules
        )
        yield Way(
            role, model, "parallel", "{}", "", "coverage", None, Sampled(pool, "coverage", seed), prices, _NONE
        )


def _role(evidence: Evidence, model: str) -> str:
    return "large" if model == evidence.large else "policy"


def _of_run(
    evidence: Evidence, run: Run, rules: Sequence[Convention], models: Sequence[str], seed: int
) -> Iterator[Way]:
    units = run.units.assign(place=np.arange(len(run.units)))
    costs = charged(evidence, run, rules) if rules and len(run.calls) else None
    place = pd.Index(run.units["key"]).get_indexer(pd.Index(run.solutions["unit"]))
    units = units[units["model"].isin(models)]
    if rules:
        units = units[~units["model"].isin(evidence.lacking)]
    units = units[np.array([STRATEGIES[name].answers for name in units["strategy"]], dtype=bool)]
    families = {id(o): json.dumps(STRATEGIES[s].family(o), sort_keys=True) for s, o in _distinct(units)}
    units = units.assign(family=[families[id(o)] for o in units["options"]])
    for _, rows in units.groupby(["role", "model", "strategy", "family", "verifiers"], sort=False):
        mine = np.zeros(len(run.units) + 1, dtype=bool)
        mine[rows["place"].to_numpy()] = True  # the last is that of solutions of no unit
        part = Run(run.units.iloc[rows["place"].to_numpy()], run.calls.iloc[:0], run.solutions[mine[place]])
        yield from _Group(evidence, rules, rows, part, costs, seed).ways()


def _distinct(units: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    seen: set[int] = set()
    for strategy, options in zip(units["strategy"], units["options"], strict=True):
        if id(options) not in seen:
            seen.add(id(options))
            yield strategy, options


@dataclass(frozen=True)
class _Group:
    """Units of one model, strategy, setting and set of verifiers, over budgets and seeds, with solutions."""

    evidence: Evidence
    rules: Sequence[Convention]
    rows: pd.DataFrame
    part: Run
    costs: list[Charged] | None
    seed: int

    def ways(self) -> Iterator[Way]:
        first = self.rows.iloc[0]
        strategy: Strategy = STRATEGIES[first["strategy"]]
        choosers = strategy.choosers(first["options"], first["verifiers"])
        if strategy.independent(first["options"]) and strategy.scales:  # of one answer there is nothing to choose
            choosers = {"": ("coverage", *choosers.get("", ()))} | {k: v for k, v in choosers.items() if k}
        for verifier, selectors in choosers.items():
            judge = self._judge(verifier)
            if self.rules and judge in self.evidence.lacking and self._called(judge):
                continue
            for selector in selectors:
                yield from self._way(strategy, verifier, judge, selector)

    def _way(self, strategy: Strategy, verifier: str, judge: str | None, selector: str) -> Iterator[Way]:
        first, size = self.rows.iloc[0], strategy.block_of(self.rows.iloc[0]["options"])
        rows = self.rows if size in (None, 1) else self.rows[self.rows["budget"] == self.rows["budget"].max()]
        reader: Reader
        if size is None:
            budgets = np.unique(rows["budget"].to_numpy(np.int64))
            values = [self._finals(rows[rows["budget"] == k], verifier, judge, selector) for k in budgets]
            problems = tuple(sorted(set.intersection(*(set(value.index) for value in values))))
            kept = np.column_stack([value.reindex(list(problems)).to_numpy(np.float64) for value in values])
            reader = Finals(problems, budgets, kept)
        else:
            budgets, pool = _NONE, self._pool(rows, verifier, judge, chained=size > 1)
            pool = pool if strategy.scales else _alone(pool)
            if SELECTORS[selector].needs_answers and not _answered(pool):
                return
            reader = Sampled(pool, selector, self.seed, size)
        prices = tuple(
            self._price(i, rows, judge, selector, reader.problems, budgets) for i in range(len(self.rules))
        )
        role, model, name, family = (str(first[column]) for column in ("role", "model", "strategy", "family"))
        yield Way(role, model, name, family, verifier, selector, judge, reader, prices, budgets)

    def _judge(self, verifier: str) -> str | None:
        if verifier == "":
            return None
        if verifier not in self.evidence.verifiers:
            known = ", ".join(self.evidence.verifiers) or "none"
            raise DataError(f"verifier {verifier!r}", f"one of {known}", "name the model behind it")
        return self.evidence.verifiers[verifier]

    def _called(self, judge: str | None) -> bool:
        run = self.evidence.run
        return run is not None and bool((run.calls["model"] == judge).any())

    def _pool(self, rows: pd.DataFrame, verifier: str, judge: str | None, *, chained: bool = False) -> Pool:
        part = self.part
        if len(rows) < len(self.rows):
            keys = part.units["key"].isin(rows["key"])
            part = Run(part.units[keys], part.calls, part.solutions[part.solutions["unit"].isin(rows["key"])])
        seen = part if verifier == "" else scored_by(part, verifier, model=judge)
        names = {"model": str(rows["model"].iloc[0]), "strategy": str(rows["strategy"].iloc[0])}
        return pool_from_run(seen, **names, chained=chained)

    def _finals(self, rows: pd.DataFrame, verifier: str, judge: str | None, selector: str) -> pd.Series:
        """Accuracy of the vote over all finals of each problem, a mean over seeds."""
        found = []
        for _, same in rows.groupby("seed", sort=False):
            pool = self._pool(same, verifier, judge)
            found.append(pd.Series(accuracy(pool, selector, None)[0][:, 0], pool.problems))
        return pd.concat(found, axis=1, join="inner").mean(axis=1)

    def _price(
        self, i: int, rows: pd.DataFrame, judge: str | None, selector: str, problems: Sequence[str], budgets: Ints
    ) -> Price:
        rule, evidence, model, role = (
            self.rules[i],
            self.evidence,
            str(rows["model"].iloc[0]),
            str(rows["role"].iloc[0]),
        )
        spec = evidence.spec(model)
        perfect = selector == "coverage" and pays(rule, role)
        if self.costs is None or not evidence.recorded(model):
            verified = perfect or (judge is not None and judge in evidence.specs and pays(rule, role))
            return from_tokens(spec, None if judge is None else evidence.specs.get(judge), evidence.tokens,
                               len(problems), rule=rule, verified=verified)  # fmt: skip
        if len(budgets):
            runs = {int(k): self.costs[i].run(rows[rows["budget"] == k], judge, problems) for k in budgets}
            return Price(np.zeros(len(problems)), np.zeros(len(problems)), runs)
        found = self.costs[i].price(rows, judge, problems)
        once, each = checking(spec, evidence.tokens_of(model), rule) if perfect else (0.0, 0.0)
        return Price(found.fixed + once, found.each + each)


def _alone(pool: Pool) -> Pool:
    """Single answers, among which nothing is chosen: their grades say all, whatever was kept of their texts."""
    assert pool.graded is not None
    return replace(pool, graded=replace(pool.graded, answers=np.where(pool.graded.right, 0, 1)))


def _answered(pool: Pool) -> bool:
    """Whether answers were recorded: a right sample has one, or none is right and some can be read."""
    graded = pool.graded
    if graded is None:
        return False
    return not (graded.right & (graded.answers < 0)).any() and bool((graded.answers >= 0).any())
