"""Thinking as an axis: what a model answers at each effort, as one line whose budgets are tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from scalinglab.curves.pools import Ints
from scalinglab.curves.prices import Price
from scalinglab.curves.readers import Efforts, Sampled
from scalinglab.curves.way import Way
from scalinglab.samples import Run

THINK = "think"
"""The strategy of a line over efforts. Its arms are the first samples of other lines: no menu holds them twice."""


def efforts(single: Sequence[Way], run: Run) -> Iterator[Way]:
    """A way for each model that was asked at several efforts: one sample at each, by rising tokens of an answer.

    single: one answer of a model at each of its efforts. Only where the tokens of every effort were recorded, for
    they are the budgets.
    """
    first = {(way.role, way.model, way.setting): way for way in reversed(single)}
    for (role, model), keys in groupby(sorted(first), key=lambda key: key[:2]):
        own = [first[key] for key in keys]
        known = [(n, way) for way in own if (n := _tokens(run, way)) is not None]
        if len(known) == len(own) > 1:
            yield _line(role, model, sorted(known, key=lambda pair: pair[0]))


def _line(role: str, model: str, known: Sequence[tuple[int, Way]]) -> Way:
    parts = [way.reader for _, way in known if isinstance(way.reader, Sampled)]
    problems = tuple(sorted(set.intersection(*(set(part.problems) for part in parts))))
    budgets = _apart([n for n, _ in known])
    arms = tuple((way.strategy, way.setting) for _, way in known)
    rules = range(min(len(way.prices) for _, way in known))
    prices = tuple(_price([way for _, way in known], budgets, problems, rule) for rule in rules)
    return Way(
        role, model, THINK, "{}", "", "recorded", None, Efforts(problems, budgets, tuple(parts), arms), prices
    )


def _price(ways: Sequence[Way], budgets: Ints, problems: Sequence[str], rule: int) -> Price:
    one, runs = np.ones(1, dtype=np.int64), {}
    for budget, way in zip(budgets.tolist(), ways, strict=True):
        rows = pd.Index(way.reader.problems).get_indexer(pd.Index(problems))
        runs[budget] = way.prices[rule].at(rows).flops(one)[:, 0]
    return Price(np.zeros(len(problems)), np.zeros(len(problems)), runs)


def _tokens(run: Run, way: Way) -> int | None:
    """Mean generated tokens of an answer of a way; None where they are not recorded."""
    units = run.units
    mine = (units["model"] == way.model) & (units["strategy"] == way.strategy) & (units["setting"] == way.setting)
    calls = run.calls[run.calls["unit"].isin(units.loc[mine, "key"]) & (run.calls["role"] != "verifier")]
    known = calls["generated_tokens"].mean() if len(calls) else None
    return None if known is None or not known > 0 else round(float(known))


def _apart(tokens: Sequence[int]) -> Ints:
    """Whole numbers that rise, where two efforts took as many tokens."""
    found = np.array(tokens, dtype=np.int64)
    for i in range(1, len(found)):
        found[i] = max(found[i], found[i - 1] + 1)
    return found
