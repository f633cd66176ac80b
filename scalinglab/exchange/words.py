"""The verdict in words: one to three sentences that a person can repeat, made from the numbers of a comparison.

Whoever says a verdict says it by these: the verbs, the page, the advice. Sentences of something whole:

- ``sentences(comparison, convention)``: the headline at one R, then at the others, then what other rules say.
- ``task_sentences({task: comparison}, over, convention)``: the same over several tasks, then of each.
- ``seed_sentences({seed: comparison}, convention)``: of one pair over several training seeds.
- ``optimal_sentences(chosen, called=...)``: what the compute-optimal strategy reaches, and what it saves.
- ``atlas_words.atlas_sentences(atlas)``: verdicts counted over its pairs;
  ``atlas_words.pair_sentences([atlas, ...], key)``: one pair under the first one's rule, then under the others'.

Clauses that others can put together stand in ``clauses``: ``verdict_clause`` and ``short`` (of a row of
``matched.verdicts``, ``tasks.over_tasks`` or ``Atlas.verdicts``), ``breakeven_clause``, ``rules_clause``,
``bins_clause``, ``uncharged`` (of a view); and numbers: ``points``, ``interval``, ``listed``.
A difference is said in accuracy points, the small side over the large one, with its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from scalinglab.exchange.chosen import Chosen
from scalinglab.exchange.clauses import (
    Row,
    bins_clause,
    breakeven_clause,
    interval,
    listed,
    means,
    points,
    rules_clause,
    sentence,
    short,
    uncharged,
    verdict_clause,
    verdict_word,
    where,
)
from scalinglab.exchange.comparison import Comparison
from scalinglab.exchange.headline import OPTIMAL
from scalinglab.exchange.matched import POINTWISE
from scalinglab.exchange.paired import CANNOT_PAY, OUTSIDE, PRETRAINING, TEST_TIME
from scalinglab.exchange.views import ALL, View
from scalinglab.optimal import MIXTURE, REACHED

DECIDED = (TEST_TIME, PRETRAINING, CANNOT_PAY)
_UNITS = {"samples": "samples", "flops": "FLOPs"}
_MOST = 3
"""Values of R or rules that a sentence names with their numbers; of more it says the verdicts alone."""


def sentences(found: Comparison, convention: str, *, r: float | None = None) -> tuple[str, ...]:
    """One to three sentences of a comparison under one of its conventions, by the headline over all problems.

    The first says the verdict at R = ``r`` (else the middle one of those compared; where nothing was measured
    there, the nearest one where something was), on what task, under what rule, and what nobody is charged; the
    second says the other R, the break-even, bins that decide otherwise, and of a headline that decides nothing
    what single arms say; the third what other rules say. Raises ValueError for a convention or R not compared.
    """
    rows = _headline(found.verdicts, convention)
    at = main_row(rows, r)
    small, large = found.called(found.small), found.called(found.large)
    view = found.view(convention)
    first = (
        f"At R = {at['R']:g} {where(found.task, int(at['problems']))}, "
        f"{verdict_clause(at, small=f'{small} with {means(view)}', large=large)}, {_rule(view, found)}"
    )
    others = [row for row in rows if row["R"] != at["R"]]
    more = [
        _others(others),
        *_even(found, convention),
        *_in_bins(found, at),
        *_arms(found, rows),
    ]
    last = rules_clause(found.verdicts, convention, at, unpriced=found.unpriced)
    return tuple(sentence(text) for text in (first, "; ".join(filter(None, more)), last) if text)


def task_sentences(
    found: Mapping[str, Comparison], over: pd.DataFrame, convention: str, *, r: float | None = None
) -> tuple[str, ...]:
    """Sentences of several tasks: the mean over them (``over``: see ``over_tasks``), each task, other rules."""
    rows, one = _headline(over, convention), next(iter(found.values()))
    at = main_row(rows, r)
    small, large = one.called(one.small), one.called(one.large)
    told = verdict_clause(at, small=f"{small} with {means(one.view(convention))}", large=large)
    first = (
        f"At R = {at['R']:g}, over {int(at['tasks'])} tasks that weigh the same ({int(at['problems']):,} "
        f"problems), {told}, {_rule(one.view(convention), one)}"
    )
    each = "; ".join(f"{task}: {short(_at(each, convention, at['R']))}" for task, each in found.items())
    last = rules_clause(over, convention, at, unpriced=one.unpriced)
    return tuple(sentence(text) for text in (first, f"by task, {each}", last) if text)


def seed_sentences(found: Mapping[str, Comparison], convention: str, *, r: float | None = None) -> tuple[str, ...]:
    """Sentences of one pair trained from several seeds, by seed: how often which verdict, and each difference."""
    one = next(iter(found.values()))
    at = main_row(_headline(one.verdicts, convention), r)
    rows = {seed: _at(each, convention, at["R"]) for seed, each in found.items()}
    counts = pd.Series([verdict_word(row) for row in rows.values()]).value_counts(sort=False)
    told = listed([f"{verdict} in {n}" for verdict, n in counts.items()])
    small, large = one.called(one.small), one.called(one.large)
    first = (
        f"At R = {at['R']:g} {where(one.task, int(at['problems']))}, over {len(found)} training seeds, {small} "
        f"with {means(one.view(convention))} against {large} is {told}, {_rule(one.view(convention), one)}"
    )
    each = "; ".join(f"seed {seed}: {short(row)}" for seed, row in rows.items())
    return sentence(first), sentence(f"{each}; each interval is over problems, not over seeds")


def optimal_sentences(found: Chosen, *, called: Callable[[str], str] = str) -> tuple[str, ...]:
    """What the compute-optimal strategy reaches at the largest budget, and what it saves there over best-of-N.

    called: what a model of the data is called.
    """
    table, unit = found.table(), found.oracle[0].unit
    best = table[(table["bins"] == table["bins"].iloc[0]) & (table["bin"] == ALL)].iloc[-1]
    by = f"difficulty as {found.verifier} predicts it" if found.predicted else "difficulty known"
    known = not pd.isna(best["low"]) and not pd.isna(best["high"])
    ends = f"95 % {interval(best['low'], best['high'])}" if known else "too few problems for an interval"
    right, alone = points(best["accuracy"]), points(best["fixed"])
    first = (
        f"With at most {best['budget']:.4g} {_UNITS[unit]} a query and {by}, the compute-optimal strategy of "
        f"{called(found.model)} is right on {right} % ({ends}) of {int(best['problems'])} problems, one "
        f"arm for all on {alone} %"
    )
    gain = found.gain()
    here = gain[(gain["unit"] == unit) & (gain["by"] == MIXTURE)] if len(gain) else gain
    told = [_saves(rows.iloc[-1]) for _, rows in here.groupby("mechanism", sort=False)] if len(here) else []
    return tuple(sentence(text) for text in (first, "; ".join(told)) if text)


def _saves(row: pd.Series) -> str:
    """One mechanism's gain at the baseline's largest budget."""
    than = f"{row['against']} at {int(row['n'])} samples"
    if row["verdict"] != REACHED:
        return f"{row['mechanism']} against {than}: {row['verdict']}"
    known = row["low"] == row["low"] and row["high"] == row["high"]
    ends = f" (95 % {row['low']:.3g} to {row['high']:.3g})" if known else ""
    return f"{row['mechanism']} takes {row['gain']:.3g} times less{ends} to be as accurate as {than}"


def main_row(rows: Sequence[Row], r: float | None = None) -> Row:
    """The row that is said first: at ``r``, else at the middle R; the nearest that was measured, if any was."""
    if r is not None:
        found = [row for row in rows if row["R"] == r]
        if not found:
            raise ValueError(f"R = {r:g} was not compared")
        return found[0]
    order = sorted(rows, key=lambda row: row["R"])
    middle = len(order) // 2
    near = sorted(range(len(order)), key=lambda i: (order[i]["verdict"] == OUTSIDE, abs(i - middle), -i))
    return order[near[0]]


def _headline(verdicts: pd.DataFrame, convention: str) -> list[Row]:
    """The rows over all problems, one an R, of the compute-optimal strategy, else of the first one."""
    rows = verdicts[verdicts["convention"] == convention]
    rows = rows[rows["bin"] == ALL] if "bin" in rows else rows
    if rows.empty:
        raise ValueError(f"{convention} was not compared")
    name = OPTIMAL if (rows["strategy"] == OPTIMAL).any() else rows["strategy"].iloc[0]
    rows = rows[(rows["strategy"] == name) & (rows["against"] == rows["against"].iloc[0])]
    return list(rows.sort_values("R", kind="stable").to_dict("records"))


def _at(found: Comparison, convention: str, r: float) -> Row:
    return main_row(_headline(found.verdicts, convention), r)


def _rule(view: View, found: Comparison) -> str:
    free = uncharged(view, found.called)
    return f"under {view.arms.convention}" + (f", where nobody is charged {listed(free, 'or')}" if free else "")


def _others(rows: Sequence[Row]) -> str:
    if len(rows) <= _MOST:
        return "; ".join(f"at R = {row['R']:g}: {short(row)}" for row in rows)
    runs: list[tuple[str, list[float]]] = []
    for row in rows:
        if not runs or runs[-1][0] != verdict_word(row):
            runs.append((verdict_word(row), []))
        runs[-1][1].append(row["R"])
    return "; ".join(f"{word} at R = {at[0]:g}{f' to {at[-1]:g}' if len(at) > 1 else ''}" for word, at in runs)


def _even(found: Comparison, convention: str) -> Iterator[str]:
    frame = found.breakeven
    here = (frame["convention"] == convention) & (frame["bin"] == ALL) & (frame["strategy"] == OPTIMAL)
    yield from (breakeven_clause(row) for row in frame[here].head(1).to_dict("records"))


def _in_bins(found: Comparison, at: Row) -> Iterator[str]:
    """Bins that are decided otherwise than all problems together."""
    rows = found.verdicts
    same = ["convention", "strategy", "R", "against"]
    here = rows[(rows[same] == [at[key] for key in same]).all(axis=1) & (rows["bin"] != ALL)].to_dict("records")
    other = [row for row in here if row["verdict"] in DECIDED and row["verdict"] != at["verdict"]]
    if other:
        yield f"by difficulty (1 is easiest) at R = {at['R']:g}: {bins_clause(here)}"


def _arms(found: Comparison, head: Sequence[Row]) -> Iterator[str]:
    """Of a headline that decides nothing: the single arms that do, at their first such R."""
    if any(row["verdict"] in DECIDED for row in head):
        return
    rows = found.verdicts
    here = rows[
        (rows["convention"] == head[0]["convention"]) & (rows["bin"] == ALL) & (rows["interval"] == POINTWISE)
    ]
    decided = here[here["verdict"].isin(DECIDED)].drop_duplicates("strategy").to_dict("records")
    if decided:
        told = "; ".join(f"{row['strategy']} at R = {row['R']:g}: {short(row)}" for row in decided[:2])
        more = f"; {len(decided) - 2} more" if len(decided) > 2 else ""
        yield f"of single arms, each alone, {told}{more}"
