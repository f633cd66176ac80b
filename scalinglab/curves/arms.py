"""Every way the evidence answered, side by side: accuracy and FLOPs of each problem under each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves.alike import beside, columns_of
from scalinglab.curves.pools import Floats, Ints
from scalinglab.curves.prices import Price
from scalinglab.curves.readers import Placed, Reader
from scalinglab.curves.way import Way
from scalinglab.curves.ways import ways_of
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.grids import doublings

ARM = ("role", "model", "strategy", "setting", "verifier", "selector", "budget")


@dataclass(frozen=True)
class Arms:
    """Ways to answer a question, an arm a column, over the same problems, a row each.

    table: one row an arm, with the columns of ``ARM``: setting holds the parameters that do not grow with the
    budget as JSON, verifier is "" where none chose, budget counts samples as the strategy does; and ``way``, the
    number of the arm's line: the arms that differ in budget alone. accuracy: the chance that the arm's answer is
    right; noise: its variance from subsampling votes, None where all are exact; flops: of one query under
    ``convention``, with the verifier where its payer pays it and without any training; all (problems, arms).
    readers, prices: of each line by its number, at any budget that its samples can stand for. missing: of each
    model's ways that lack some, how many of the ``whole``, the problems that any way was asked.
    """

    convention: str
    problems: tuple[str, ...]
    table: pd.DataFrame
    accuracy: Floats
    flops: Floats
    noise: Floats | None = None
    readers: Mapping[int, Reader] = field(default_factory=dict, repr=False)
    prices: Mapping[int, Price] = field(default_factory=dict, repr=False)
    missing: Mapping[str, int] = field(default_factory=dict, repr=False)
    whole: int = 0

    def where(self, chosen: npt.ArrayLike) -> Arms:
        """The arms at these rows of ``table``: a mask, or positions."""
        at = np.arange(len(self.table))[np.asarray(chosen)]
        table, noise = (
            self.table.iloc[at].reset_index(drop=True),
            None if self.noise is None else self.noise[:, at],
        )
        return replace(
            self, table=table, accuracy=self.accuracy[:, at], flops=columns_of(self.flops, at), noise=noise
        )


@dataclass(frozen=True)
class Asked:
    """Which problems the arms share. missing: of each model's ways, how many of the whole; whole: asked of any."""

    problems: tuple[str, ...]
    missing: Mapping[str, int]
    whole: int


def arms_of(
    evidence: Evidence,
    rules: Sequence[Convention],
    *,
    models: Sequence[str] | None = None,
    strict: bool = False,
    seed: int = 0,
) -> list[Arms]:
    """Every arm of the evidence under each rule: the same arms and accuracies, worked out once.

    models: whose answers are read; the small and the large model and the revisers without it. See ``arms_from``.
    Raises SpecError where a rule cannot price a model.
    """
    chosen = (*evidence.pair(), *evidence.revisers()) if models is None else models
    return arms_from(ways_of(evidence, rules, models=chosen, seed=seed), rules, strict=strict)


def arms_from(ways: Sequence[Way], rules: Sequence[Convention], *, strict: bool = False) -> list[Arms]:
    """The arms of these ways under each of the rules that priced them.

    Independent samples are read at every power of two, chains at every power of two of them, searches where they
    were run. Arms are over the problems that all of them were asked (see ``asked``). Raises DataError where there
    are none, or with ``strict`` where any way lacks one.
    """
    shared = asked(ways, strict=strict)
    rows = [_rows(way.reader, shared.problems) for way in ways]
    read = [_read(way, at) for way, at in zip(ways, rows, strict=True)]
    table = pd.DataFrame(
        [
            (*way.key, k, i)
            for i, (way, (budgets, _, _)) in enumerate(zip(ways, read, strict=True))
            for k in budgets
        ],
        columns=[*ARM, "way"],
    )
    accuracy: Floats = np.hstack([values for _, values, _ in read])
    exact = not any(variance.any() for _, _, variance in read)
    noise = None if exact else np.hstack([variance for _, _, variance in read])
    readers = {i: Placed(way.reader, at) for i, (way, at) in enumerate(zip(ways, rows, strict=True))}
    found = []
    for j, rule in enumerate(rules):
        prices = {i: way.prices[j].at(at) for i, (way, at) in enumerate(zip(ways, rows, strict=True))}
        flops = beside([prices[i].flops(budgets) for i, (budgets, _, _) in enumerate(read)])
        found.append(
            Arms(
                rule.name, shared.problems, table, accuracy, flops, noise, readers, prices, shared.missing,
                shared.whole,
            )
        )  # fmt: skip
    return found


def asked(ways: Sequence[Way], *, strict: bool = False) -> Asked:
    """The problems that every way was asked, and how many each model lacks of all that any was asked.

    A problem is missing where it was never asked; one that was refused, cut or could not be read was asked.
    """
    if not ways:
        raise DataError("no arms: nothing was sampled", "samples of the models compared", "collect some")
    every = [set(way.reader.problems) for way in ways]
    whole, shared = set.union(*every), set.intersection(*every)
    lacking: dict[str, int] = {}
    for way, problems in zip(ways, every, strict=True):
        if len(problems) < len(whole):
            name = f"{way.model} / {way.strategy}"
            lacking[name] = max(lacking.get(name, 0), len(whole) - len(problems))
    if lacking and (strict or not shared):
        name, count = max(lacking.items(), key=lambda item: item[1])
        raise DataError(
            f"{name} lacks {count} of {len(whole)} problems",
            "arms over the same problems, so that differences are paired",
            "finish the run, or compare on those that all were asked"
            if shared
            else "compare data that share problems",
        )
    return Asked(tuple(sorted(shared)), lacking, len(whole))


def _rows(reader: Reader, problems: Sequence[str]) -> Ints:
    return np.asarray(pd.Index(reader.problems).get_indexer(pd.Index(problems)), dtype=np.int64)


def _read(way: Way, rows: Ints) -> tuple[Ints, Floats, Floats]:
    """The budgets at which a way is read, and its accuracy and noise there."""
    reader, budgets = way.reader, way.reader.budgets
    if reader.step:
        budgets = reader.step * doublings(reader.fewest)
    values, noise = way.reader.at(budgets, rows)
    return budgets, values, noise
