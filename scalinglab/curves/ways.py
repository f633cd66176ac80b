"""How the evidence answered: a way a model, strategy, setting, verifier and selector, read and priced."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.collect.strategies import OUTCOME, Strategy, known
from scalinglab.curves.efforts import efforts
from scalinglab.curves.pools import Pool, Samples, pools_from_counts
from scalinglab.curves.prices import Charged, Price, charged, checking, from_tokens, pays
from scalinglab.curves.readers import Finals, Reader, Sampled
from scalinglab.curves.selectors import SELECTORS, accuracy
from scalinglab.curves.way import Way
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.samples import Run


def ways_of(evidence: Evidence, rules: Sequence[Convention], *, models: Sequence[str], seed: int = 0) -> list[Way]:
    """Every way in which these models answered, unpriced without rules.

    Raises DataError for several tasks, votes of mixed kinds, or models that are not in the data.
    """
    for name in models:
        evidence.known(name)
    tasks = len(evidence.tasks())
    if not tasks:
        raise DataError(f"no units of work in {evidence.source}", "a run with samples", "collect some")
    if tasks != 1:
        named = ", ".join(evidence.tasks())
        raise DataError(f"{tasks} tasks in {evidence.source} ({named})", "one task", "choose one: --task NAME")
    if evidence.run is None:
        return list(_of_counts(evidence, rules, models, seed))
    return list(_of_run(evidence, evidence.run, rules, models, seed))


def coverage_pools(evidence: Evidence) -> dict[str, Pool]:
    """The parallel samples of every model, by its name."""
    ways = ways_of(evidence, [], models=evidence.models())
    return {
        way.model: way.reader.pool
        for way in ways
        if (way.strategy, way.selector) == ("parallel", "coverage") and isinstance(way.reader, Sampled)
    }


def singles_of(
    evidence: Evidence, rules: Sequence[Convention], *, models: Sequence[str], role: str = "policy",
    perfect: bool = False, seed: int = 0,
) -> list[Way]:  # fmt: skip
    """How these models answered as a whole: one sample at each effort, a greedy answer, an outcome of a search.

    Each of one budget, or of those that were run. What only a perfect verifier could pick is left out, but with
    ``perfect``: then it is there with all samples. role: of the side that pays, "policy" or "large". Raises as
    ``ways_of``.
    """
    if evidence.run is None:
        once = [
            _whole(way, 1) for way in _of_counts(evidence, rules, models, seed, role=role, selector="recorded")
        ]
        most = _of_counts(evidence, rules, models, seed, role=role) if perfect else ()
        return [*once, *(_whole(way, way.reader.fewest) for way in most)]
    run = _in_role(evidence.run, role)
    found = []
    for group in _groups(replace(evidence, run=run), run, rules, models, seed):
        if group.independent:
            found.append(_whole(group.single(), 1))
            ways = [way for way in group.ways() if perfect and way.selector == "coverage"]
            found += [_whole(way, way.reader.fewest) for way in ways if way.reader.fewest > 1]
        else:
            found += [way for way in group.ways() if not way.reader.step and way.selector != "coverage"]
    return found


def _in_role(run: Run, role: str) -> Run:
    """The run as if all models that answered stood on one side."""
    sides = run.units["role"].isin(["policy", "large"])
    return Run(run.units.assign(role=run.units["role"].astype(object).mask(sides, role)), run.calls, run.solutions)


def _whole(way: Way, k: int) -> Way:
    """The way at one budget alone."""
    at = np.array([k], dtype=np.int64)
    values, _ = way.reader.at(at, np.arange(len(way.reader.problems)))
    return replace(way, reader=Finals(way.reader.problems, at, values, fewest=max(1, way.reader.fewest // k)))


def _of_counts(
    evidence: Evidence, rules: Sequence[Convention], models: Sequence[str], seed: int, *, role: str | None = None,
    selector: str = "coverage",
) -> Iterator[Way]:  # fmt: skip
    for model in models:
        pool = pools_from_counts(evidence.counted[model])[model]
        side, size = role or _role(evidence, model), len(pool.n)
        checked = [selector == "coverage" and pays(rule, side) for rule in rules]
        prices = tuple(
            from_tokens(evidence.spec(model), None, evidence.tokens, size, rule=rule, verified=verified)
            for rule, verified in zip(rules, checked, strict=True)
        )
        yield Way(side, model, "parallel", "{}", "", selector, None, Sampled(pool, selector, seed), prices)


def _role(evidence: Evidence, model: str) -> str:
    return "large" if model == evidence.large else "policy"


def _of_run(
    evidence: Evidence, run: Run, rules: Sequence[Convention], models: Sequence[str], seed: int
) -> Iterator[Way]:
    groups = _groups(evidence, run, rules, models, seed)
    for group in groups:
        yield from group.ways()
    single = [group for group in groups if group.independent]
    thinking = {group.model for group in single if "effort" in group.options}
    yield from efforts([group.single() for group in single if group.model in thinking], run)


def _groups(
    evidence: Evidence, run: Run, rules: Sequence[Convention], models: Sequence[str], seed: int
) -> list[_Group]:
    """Units that differ in budget and seed alone, of these models."""
    units = run.units.assign(place=np.arange(len(run.units)))
    costs = charged(evidence, run, rules, models=models) if rules and len(run.calls) else None
    samples, called = Samples(run), frozenset(run.calls["model"].unique())
    units = units[units["model"].isin(models)]
    if rules:
        units = units[~units["model"].isin(evidence.lacking)]
    units = units[np.array([known(name).answers for name in units["strategy"]], dtype=bool)]
    families = {id(o): json.dumps(known(s).family(o), sort_keys=True) for s, o in _distinct(units)}
    units = units.assign(family=[families[id(o)] for o in units["options"]])
    return [
        _Group(evidence, rules, rows, samples, called, costs, seed)
        for _, rows in units.groupby(["role", "model", "strategy", "family", "verifiers"], sort=False)
    ]


def _distinct(units: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    seen: set[int] = set()
    for strategy, options in zip(units["strategy"], units["options"], strict=True):
        if id(options) not in seen:
            seen.add(id(options))
            yield strategy, options


@dataclass(frozen=True)
class _Group:
    """Units of one model, strategy, setting and set of verifiers, over budgets and seeds; called: every model."""

    evidence: Evidence
    rules: Sequence[Convention]
    rows: pd.DataFrame
    samples: Samples
    called: frozenset[str]
    costs: list[Charged] | None
    seed: int

    @property
    def model(self) -> str:
        return str(self.rows.iloc[0]["model"])

    @property
    def strategy(self) -> str:
        return str(self.rows.iloc[0]["strategy"])

    @property
    def options(self) -> Mapping[str, Any]:
        """The parameters of the first unit; those of others differ in budget."""
        found: Mapping[str, Any] = self.rows.iloc[0]["options"]
        return found

    @property
    def independent(self) -> bool:
        return known(self.strategy).independent(self.options)

    def single(self) -> Way:
        """One answer, which nobody chose or checked."""
        return self._way(known(self.strategy), "", None, "recorded")

    def ways(self) -> Iterator[Way]:
        first = self.rows.iloc[0]
        strategy: Strategy = known(str(first["strategy"]))
        choosers = strategy.choosers(first["options"], first["verifiers"])
        if strategy.independent(first["options"]) and strategy.scales:  # of one answer there is nothing to choose
            choosers = {"": ("coverage", *choosers.get("", ()))} | {k: v for k, v in choosers.items() if k}
        answered = self.samples.answered(self.rows["place"].to_numpy())
        for verifier, selectors in choosers.items():
            judge = self._judge(verifier)
            if self.rules and judge in self.evidence.lacking and judge in self.called:
                continue
            for selector in selectors:
                if answered or not (strategy.scales and SELECTORS[selector].needs_answers):
                    yield self._way(strategy, verifier, judge, selector)

    def _way(self, strategy: Strategy, verifier: str, judge: str | None, selector: str) -> Way:
        first, size = self.rows.iloc[0], strategy.block_of(self.rows.iloc[0]["options"])
        rows = self.rows if size in (None, 1) else self.rows[self.rows["budget"] == self.rows["budget"].max()]
        reader: Reader
        if size is None:
            budgets = np.unique(rows["budget"].to_numpy(np.int64))
            values = [self._finals(rows[rows["budget"] == k], verifier, selector) for k in budgets]
            problems = tuple(sorted(set.intersection(*(set(value.index) for value in values))))
            kept = np.column_stack([value.reindex(list(problems)).to_numpy(np.float64) for value in values])
            reader = Finals(problems, budgets, kept)
        else:
            pool = self.samples.pool(rows["place"].to_numpy(), verifier=verifier, chained=size > 1)
            pool = pool if strategy.scales else _alone(pool)
            reader = Sampled(pool, selector, self.seed, size)
        role, model, name, family = (str(first[column]) for column in ("role", "model", "strategy", "family"))
        prices = tuple(self._prices(role, model, rows, judge, selector, reader))
        return Way(role, model, name, family, verifier, selector, judge, reader, prices)

    def _judge(self, verifier: str) -> str | None:
        if verifier == "":
            return None
        if verifier not in self.evidence.verifiers:
            known = ", ".join(self.evidence.verifiers) or "none"
            raise DataError(f"verifier {verifier!r}", f"one of {known}", "name the model behind it")
        return self.evidence.verifiers[verifier]

    def _finals(self, rows: pd.DataFrame, verifier: str, selector: str) -> pd.Series:
        """Accuracy of the vote over all finals of each problem, a mean over seeds."""
        if selector in OUTCOME.alone:  # repeats of one arm
            pool = self.samples.pool(rows["place"].to_numpy(), verifier=verifier)
            return pd.Series(accuracy(pool, selector, None)[0][:, 0], pool.problems)
        found, seeds = [], rows["seed"].to_numpy()
        for seed in np.unique(seeds):
            pool = self.samples.pool(rows["place"].to_numpy()[seeds == seed], verifier=verifier)
            found.append(pd.Series(accuracy(pool, selector, None)[0][:, 0], pool.problems))
        return pd.concat(found, axis=1, join="inner").mean(axis=1)

    def _prices(
        self, role: str, model: str, rows: pd.DataFrame, judge: str | None, selector: str, reader: Reader
    ) -> Iterator[Price]:
        """The Price under each rule: as recorded, or from token counts."""
        if not self.rules:
            return
        evidence, spec, count = self.evidence, self.evidence.spec(model), len(reader.problems)
        theirs = None if judge is None else evidence.specs.get(judge)
        recorded = evidence.recorded(model)
        units, k = rows["place"].to_numpy(), rows["budget"].to_numpy()
        problem = pd.Index(reader.problems).get_indexer(pd.Index(rows["problem"]))
        for i, rule in enumerate(self.rules):
            perfect = selector == "coverage" and pays(rule, role)
            if self.costs is None or not recorded:
                verified = perfect or (theirs is not None and pays(rule, role))
                yield from_tokens(spec, theirs, evidence.tokens, count, rule=rule, verified=verified)
            elif not reader.step:
                of = {int(b): k == b for b in reader.budgets}
                spent = self.costs[i].outcome if selector in OUTCOME.alone else self.costs[i].run
                runs = {b: spent(units[at], problem[at], count, judge) for b, at in of.items()}
                yield Price(np.zeros(count), np.zeros(count), runs)
            else:
                found = self.costs[i].price(units, problem, count, judge)
                once, each = checking(spec, evidence.tokens_of(model), rule) if perfect else (0.0, 0.0)
                yield Price(found.fixed + once, found.each + each)


def _alone(pool: Pool) -> Pool:
    """Single answers, among which nothing is chosen: their grades say all, whatever was kept of their texts."""
    assert pool.graded is not None
    return replace(pool, graded=replace(pool.graded, answers=np.where(pool.graded.right, 0, 1)))
