"""What one query asks of each model, in tokens: as the calls of the run recorded them, at any budget of a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scalinglab.advise.hardware import Work
from scalinglab.collect.strategies import known
from scalinglab.curves import Arms, Efforts, Floats, Placed, Reader
from scalinglab.evidence import Evidence
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.samples import Run

_ONCE = ("greedy", "difficulty")
_TOKENS = replace(CONVENTIONS["exact"], parameters="total", attention="none", head="all")
"""Which tokens are read and written, each prefix once, whatever is known of the models' shapes."""


def effort_of(reader: Reader, k: float) -> tuple[str, str] | None:
    """The strategy and setting of the answers behind a budget of a line over efforts; None for any other line."""
    inner = reader.reader if isinstance(reader, Placed) else reader
    if not isinstance(inner, Efforts):
        return None
    return inner.arms[int(np.searchsorted(inner.budgets, k))]


@dataclass(frozen=True)
class Works:
    """The work of every way to answer, by its number in ``arms`` and its budget."""

    arms: Arms
    evidence: Evidence
    known: dict[tuple[int, int], tuple[_Recorded, ...]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, way: int, k: float) -> list[Work]:
        """What k samples ask of each model, the one that answers first.

        Where no tokens are recorded, those that a sample is taken to read and write, without a verifier's; then
        the depth of a search is unknown. Beyond the budgets of a search, in proportion to the dearest.
        """
        arm, reader = self._arm(way), self.arms.readers[way]
        if self.evidence.run is None or not self.evidence.recorded(str(arm["model"])):
            return [self._taken(str(arm["model"]), str(arm["strategy"]), k, reader.step)]
        effort = effort_of(reader, k)
        budgets = reader.budgets
        at = int(budgets[max(0, int(np.searchsorted(budgets, k, side="right")) - 1)])
        key = (way, at if effort or not reader.step else 0)
        if key not in self.known:
            self.known[key] = tuple(self._recorded(self.evidence.run, arm, key[1], effort))
        return [one.at(1.0 if effort else k) for one in self.known[key]]

    def _arm(self, way: int) -> pd.Series:
        table = self.arms.table
        return table[table["way"] == way].iloc[0]

    def _taken(self, model: str, strategy: str, k: float, step: int) -> Work:
        read, wrote = float(self.evidence.tokens.prompt), float(self.evidence.tokens.generated)
        each = step or (1 if strategy in _ONCE else None)
        depth = None if each is None else each * wrote
        width = k / (each or 1)
        return Work(model, read, k * wrote, read + wrote / 2, k * read, depth=depth, width=width)

    def _recorded(self, run: Run, arm: pd.Series, budget: int, effort: tuple[str, str] | None) -> list[_Recorded]:
        """By model, the tokens of the units behind an arm: of its one budget, or (0) of all its samples."""
        strategy, setting = effort or (str(arm["strategy"]), str(arm["setting"]))
        units = _units(run.units, str(arm["model"]), strategy, setting, 0 if effort else budget)
        keys = set(units["key"])
        calls, solutions = (frame[frame["unit"].isin(keys)] for frame in (run.calls, run.solutions))
        judge = self.evidence.verifiers.get(str(arm["verifier"]))
        calls = calls[(calls["role"] != "verifier") | (calls["model"] == judge)]
        entries = price(Run(units, calls, solutions), self.evidence.specs, convention=_TOKENS).entries
        entries = entries[entries["unit"].isin(keys)]
        measured = len(solutions) / len(units) if effort or not budget else float(budget)
        solving = calls[calls["role"] != "verifier"]
        context = float((solving["prompt_tokens"] + solving["generated_tokens"] / 2).mean())
        names = dict.fromkeys([*solving["model"], *calls["model"]])
        return [
            _recorded(str(name), entries, calls, len(units), measured, context, self._silent(str(name)))
            for name in names
        ]

    def _silent(self, model: str) -> frozenset[str]:
        """The counts that some of a model's calls did not report."""
        return frozenset(one.what for one in self.evidence.unreported if one.model == model)


@dataclass(frozen=True)
class _Recorded:
    """One model's tokens a query at ``measured`` samples, of them the question's, which is read once a query.

    rounds: tokens written by each sample of a round, longest last, (rounds of all units, samples), by the samples.
    """

    whole: Work
    question: float
    measured: float
    units: int
    rounds: Mapping[int, Floats]

    def at(self, k: float) -> Work:
        """As many samples of those: written and billed in proportion, the longest of them waited for."""
        share, one = k / self.measured, self.whole
        drawn = {n: min(n, max(1, round(n * share))) for n in self.rounds}
        depth = sum(float((rows @ longest(n, drawn[n])).sum()) for n, rows in self.rounds.items()) / self.units
        return replace(
            one,
            read=self.question + share * (one.read - self.question),
            written=share * one.written,
            depth=depth,
            width=max(1.0, share * max(self.rounds)),
            prompts=share * one.prompts,
            cached=None if one.cached is None else share * one.cached,
            thinking=None if one.thinking is None else share * one.thinking,
        )


def longest(n: int, drawn: int) -> Floats:
    """The chance of each of n, shortest first, to be the longest of so many drawn of them, (n,).

    >>> longest(3, 2)
    array([0.        , 0.33333333, 0.66666667])
    """
    at = np.arange(n, drawn, -1)  # each against the next shorter one: C(i-2, d-1) / C(i-1, d-1)
    falling = np.concatenate([[1.0], np.cumprod((at - drawn) / (at - 1))])
    return np.concatenate([np.zeros(drawn - 1), falling[::-1] * drawn / n])


def _recorded(
    model: str,
    entries: pd.DataFrame,
    calls: pd.DataFrame,
    units: int,
    measured: float,
    context: float,
    silent: frozenset[str],
) -> _Recorded:
    own, entries = calls[calls["model"] == model], entries[entries["model"] == model]
    written, asked = entries["part"] == "generated", entries["part"] == "question"
    read, wrote, once = (float(entries.loc[of, "tokens"].sum()) / units for of in (~written, written, asked))
    cached, thinking = (None if what in silent else _mean(own[f"{what}_tokens"], units) for what in _BILLED)
    prompts = float(own["prompt_tokens"].sum()) / units
    rounds = _rounds(own)
    whole = Work(model, read, wrote, context, prompts, cached, thinking)
    return _Recorded(whole, once, measured, units, rounds)


_BILLED = ("cached", "thinking")


def _mean(tokens: pd.Series, units: int) -> float | None:
    return None if tokens.isna().any() else float(tokens.sum()) / units


def _rounds(calls: pd.DataFrame) -> dict[int, Floats]:
    """What each sample wrote in each round of each unit: rounds come one after another, their samples together."""
    each = calls.groupby(["unit", "round", "chain", "sample"], sort=False)["generated_tokens"].sum()
    listed: dict[int, list[Floats]] = {}
    for _, tokens in each.groupby(level=["unit", "round"], sort=False):
        listed.setdefault(len(tokens), []).append(np.sort(tokens.to_numpy(np.float64)))
    return {n: np.stack(rows) for n, rows in listed.items()}


def _units(units: pd.DataFrame, model: str, strategy: str, setting: str, budget: int) -> pd.DataFrame:
    """The recorded units behind an arm: of one budget, or (0) of the largest, of which any number is read."""
    one = known(strategy)
    rows = units[(units["model"] == model) & (units["strategy"] == strategy)]
    rows = rows[[json.dumps(one.family(options), sort_keys=True) == setting for options in rows["options"]]]
    return rows[rows["budget"] == (budget or rows["budget"].max())]
