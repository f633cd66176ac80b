"""Every way a run answered its problems, side by side: accuracy and FLOPs of each problem under each arm."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves.pools import Floats, Ints, Pool, pool_from_run
from scalinglab.curves.selectors import accuracy
from scalinglab.errors import DataError
from scalinglab.ledger import Ledger
from scalinglab.samples import Run, scored_by

ARM = ("role", "model", "strategy", "setting", "verifier", "selector", "budget")
POOLED = ("greedy", "parallel")
"""Strategies of independent samples: every budget below theirs is read from them."""
_Column = tuple[tuple[Any, ...], pd.Series, list[pd.Series]]


@dataclass(frozen=True)
class Arms:
    """Ways to answer a question, an arm a column, over the same problems, a row each.

    table: one row an arm, with the columns of ``ARM``: setting holds the strategy's parameters as JSON, verifier
    is "" where none chose, budget counts samples as the strategy does. accuracy: the chance that the arm's answer
    is right, (problems, arms). flops: of one query under ``convention``, with the verifier where its payer pays
    it and without any training, (problems, arms).
    """

    convention: str
    problems: tuple[str, ...]
    table: pd.DataFrame
    accuracy: Floats
    flops: Floats

    def where(self, chosen: npt.ArrayLike) -> Arms:
        """The arms at these rows of ``table``: a mask, or positions."""
        at = np.arange(len(self.table))[np.asarray(chosen)]
        table = self.table.iloc[at].reset_index(drop=True)
        return replace(self, table=table, accuracy=self.accuracy[:, at], flops=self.flops[:, at])


def arms_of(run: Run, ledger: Ledger, *, verifiers: Mapping[str, str | None], seed: int = 0) -> Arms:
    """Every arm of a recorded run, priced as ``ledger`` charged its calls.

    ``verifiers``: the model behind each verifier's name; None where there is none (the exact checker).
    Independent samples are read at every power of two, by majority and by the weighted vote and the best under
    each verifier that judged them. A search answers by its verifier's weighted vote over its finals; chains of
    revisions by flat majority, and by a verifier within chains and then across them (PAPER section 3). A
    solution's score is its last step's. Runs of several seeds are averaged.
    Raises DataError for a verifier that is not named, several tasks, or arms that lack problems of others.
    """
    return arms_under(run, [ledger], verifiers=verifiers, seed=seed)[0]


def arms_under(
    run: Run,
    ledgers: Sequence[Ledger],
    *,
    verifiers: Mapping[str, str | None],
    seed: int = 0,
    without: Sequence[str] = (),
) -> list[Arms]:
    """``arms_of`` under each ledger: the same arms and accuracies, worked out once.

    without: models whose answers and judgements are left out.
    """
    if len(run.units["task"].unique()) != 1:
        raise DataError(f"a run of {len(run.units['task'].unique())} tasks", "one task", "split the run")
    found: dict[tuple[Any, ...], list[list[pd.Series]]] = defaultdict(list)
    for arm, right, spent in _columns(run, ledgers, verifiers, seed, without):
        found[arm].append([right, *spent])
    problems = sorted(set(run.units["problem"]))
    accuracies, *priced = (
        np.column_stack([_mean([parts[i] for parts in every], problems, arm) for arm, every in found.items()])
        for i in range(1 + len(ledgers))
    )
    table = pd.DataFrame(list(found), columns=list(ARM))
    names = tuple(map(str, problems))
    return [
        Arms(ledger.convention.name, names, table, accuracies, flops)
        for ledger, flops in zip(ledgers, priced, strict=True)
    ]


def _columns(
    run: Run, ledgers: Sequence[Ledger], verifiers: Mapping[str, str | None], seed: int, without: Sequence[str]
) -> Iterator[_Column]:
    places = pd.Index(run.units["key"])
    spent = [_by_unit(ledger, places) for ledger in ledgers]
    solved_by = places.get_indexer(run.solutions["unit"])
    samples = np.bincount(solved_by[solved_by >= 0], minlength=len(places))
    units = run.units.assign(place=np.arange(len(places)))
    units = units[(units["strategy"] != "difficulty") & ~units["model"].isin(without)]
    settings = units["parameters"].map(_setting)
    units = units.assign(setting=[s for s, _ in settings], judges=[j for _, j in settings])
    pooled = units["strategy"].isin(POOLED)
    for group, of in ((units[pooled], ()), (units[~pooled], ("budget", "seed"))):
        for _, rows in group.groupby(["role", "model", "strategy", "setting", "judges", *of], sort=False):
            mine = np.zeros(len(places) + 1, dtype=bool)
            mine[rows["place"].to_numpy()] = True  # the last is that of solutions of no unit
            part = Run(
                run.units.iloc[rows["place"].to_numpy()], run.calls.iloc[:0], run.solutions[mine[solved_by]]
            )
            for verifier, selectors in _choosers(rows).items():
                model = _model(verifier, verifiers)
                if model in without:
                    continue
                seen = part if verifier == "" else scored_by(part, verifier, model=model)
                strategy = str(rows["strategy"].iloc[0])
                chained = strategy == "revisions"
                pool = pool_from_run(seen, str(rows["model"].iloc[0]), strategy=strategy, chained=chained)
                costs = [_costs(each, rows, samples, model) for each in spent]
                for selector in selectors:
                    yield from _arm(rows.iloc[0], pool, verifier, selector, costs, seed)


def _choosers(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The selectors by which answers are chosen, for each verifier; "" for none."""
    judges, strategy = json.loads(rows["judges"].iloc[0]), rows["strategy"].iloc[0]
    if strategy in POOLED:
        return {"": ("majority",)} | dict.fromkeys(judges, ("weighted", "best-of-n"))
    if strategy == "revisions":
        return {"": ("majority",)} | dict.fromkeys(judges, ("hierarchical", "weighted"))
    return dict.fromkeys(judges, ("weighted",))


def _arm(
    unit: pd.Series, pool: Pool, verifier: str, selector: str, costs: Sequence[pd.DataFrame], seed: int
) -> Iterator[_Column]:
    """One strategy and selector, at every budget that it measured."""
    names = tuple(unit[["role", "model", "strategy", "setting"]])
    if unit["strategy"] in POOLED:
        budgets = [2**i for i in range(int(pool.n.min()).bit_length())]
        values, _ = accuracy(pool, selector, budgets, seed=seed)
    else:
        budgets = [int(unit["budget"])]
        values, _ = accuracy(pool, selector, None)
    for k, column in zip(budgets, values.T, strict=True):
        spent = [cost["fixed"] + _share(unit, k, cost) * cost["rest"] for cost in costs]
        yield (*names, verifier, selector, k), pd.Series(column, pool.problems), spent


def _share(unit: pd.Series, k: int, cost: pd.DataFrame) -> Any:
    return k / cost["samples"] if unit["strategy"] in POOLED else 1.0


def _by_unit(ledger: Ledger, places: pd.Index) -> dict[str, Floats]:
    """FLOPs of each unit, (units, 2): reading the question where it is paid once, and the rest.

    Under "" what answering took, under a model's name what it took to judge.
    """
    entries = ledger.entries[ledger.entries["unit"].isin(places)]
    at, flops = places.get_indexer(pd.Index(entries["unit"])), entries["flops"].to_numpy(np.float64)
    rest = np.ones(len(entries), dtype=np.int64)
    if ledger.convention.prompts == "once":
        rest[(entries["part"] == "question").to_numpy()] = 0
    judge = np.where(entries["phase"] == "verifier", entries["model"], "").astype(object)
    return {
        who: np.bincount(2 * at[mine] + rest[mine], flops[mine], 2 * len(places)).astype(np.float64).reshape(-1, 2)
        for who in ["", *sorted(set(judge) - {""})]
        for mine in [judge == who]
    }


def _costs(spent: Mapping[str, Floats], rows: pd.DataFrame, samples: Ints, model: str | None) -> pd.DataFrame:
    """Mean FLOPs a unit by problem: reading the question where it is paid once, and the rest; samples a unit.

    Whoever judged, only the chooser is paid.
    """
    place = rows["place"].to_numpy()
    paid = np.sum([spent[who][place] for who in ("", model) if who is not None and who in spent], axis=0)
    columns = {"fixed": paid[:, 0], "rest": paid[:, 1], "samples": samples[place].astype(np.float64)}
    return pd.DataFrame(columns).groupby(rows["problem"].to_numpy(), sort=False).mean()


def _setting(parameters: str) -> tuple[str, str]:
    """A unit's parameters without its verifiers and number of samples, and the verifiers, as JSON."""
    options = json.loads(parameters)
    judges = options.pop("verifier", None)
    options.pop("samples", None)
    listed = [judges] if isinstance(judges, str) else list(judges or ())
    return json.dumps(options, sort_keys=True), json.dumps(listed)


def _model(verifier: str, verifiers: Mapping[str, str | None]) -> str | None:
    if verifier == "":
        return None
    if verifier not in verifiers:
        raise DataError(
            f"verifier {verifier!r}", f"one of {', '.join(verifiers) or 'none'}", "name the model behind it"
        )
    return verifiers[verifier]


def _mean(columns: list[pd.Series], problems: list[str], arm: tuple[Any, ...]) -> Floats:
    missing = sorted(set(problems) - set.intersection(*(set(column.index) for column in columns)))
    if missing:
        raise DataError(
            f"{' / '.join(map(str, arm))} lacks {len(missing)} of {len(problems)} problems, such as {missing[0]}",
            "arms over the same problems, so that differences are paired",
            "finish the run",
        )
    return np.asarray(np.mean([column.reindex(problems).to_numpy(np.float64) for column in columns], axis=0))
