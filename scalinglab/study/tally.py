"""What a run amounts to, added up part by part, so that no run is too large to be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from scalinglab.flops import Convention
from scalinglab.ledger import price, priced_counts
from scalinglab.samples import GRADES, Run, filled
from scalinglab.samples.records import COLUMNS
from scalinglab.specs import ModelSpec

WORK = ("calls", "prompt_tokens", "cached_tokens", "generated_tokens", "thinking_tokens")
COUNTED = {**COLUMNS, "solutions": ("unit", "position", "grade", "value", "text")}
"""The columns that are counted, part by part: thoughts, scores and answers are not."""
_CELL = ["model", "strategy", "budget", "effort"]


class Tally:
    """Units, calls, tokens and FLOPs of the parts of a run that were added.

    specs: by model, what prices its calls under ``rule``. planned: the keys that count as done; None: all.
    """

    def __init__(
        self, specs: Mapping[str, ModelSpec], rule: Convention, planned: Collection[str] | None = None
    ) -> None:
        self._specs, self._rule, self._planned = specs, rule, planned
        self.done = 0
        self._cells: Counter[tuple[Any, ...]] = Counter()
        self._sums: Counter[tuple[str, str, str]] = Counter()
        self._unknown: set[tuple[str, str, str]] = set()
        self._unpriced: set[tuple[str, str]] = set()
        self._spent: Counter[tuple[str, str]] = Counter()
        self._shares: Counter[str] = Counter()
        self._grades: Counter[str] = Counter()
        self._blank = 0

    def add(self, run: Run) -> None:
        """Count a part of whole units."""
        units = run.units.assign(effort=run.units["options"].map(effort_in))
        keys, planned = units["key"].to_numpy(object), self._planned
        self.done += len(keys) if planned is None else sum(key in planned for key in keys)
        solved = run.solutions.merge(units[["key", *_CELL]], left_on="unit", right_on="key")
        for what, frame in (("done", units), ("solved", solved), ("right", solved[solved["grade"] == "right"])):
            self._cells.update({(what, *cell): n for cell, n in _sizes(frame).items()})
        self._add_calls(run.calls)
        self._spent.update(_spent(run, self._specs, self._rule))
        made = run.calls[run.calls["generated_tokens"] > 0]
        self._shares.update(completions=len(made), truncated=int((made["finish_reason"] == "length").sum()))
        self._grades.update(map(str, run.solutions["grade"]))
        self._blank += int(((run.solutions["text"] == "") & (run.solutions["grade"] == "unparsed")).sum())

    def _add_calls(self, calls: pd.DataFrame) -> None:
        told = _told(calls, self._rule)
        calls = calls.assign(thinking_tokens=calls["thinking_tokens"].where(calls["generated_tokens"] != 0, 0))
        for key, mine in calls.assign(calls=1).groupby(["role", "model"], sort=False):
            role, model = map(str, key if isinstance(key, tuple) else (key, ""))
            for name in WORK:
                self._sums[role, model, name] += int(mine[name].sum())
                if mine[name].isna().any():
                    self._unknown.add((role, model, name))
            if not told[mine.index].all():
                self._unpriced.add((role, model))

    @property
    def truncated(self) -> float | None:
        """Of completions, the share that the token limit cut; None where there is none."""
        made = self._shares["completions"]
        return self._shares["truncated"] / made if made else None

    def grades(self) -> dict[str, float]:
        """Of solutions, the share of each grade that is neither right nor wrong; those that always are named."""
        every = sum(self._grades.values())
        named = [one for one in GRADES if one not in ("right", "wrong")]
        shown = [one for one in named if self._grades[one] or one in ("unparsed", "error")]
        return {one: self._grades[one] / every for one in shown} if every else {}

    def notes(self) -> list[str]:
        """What is odd about the solutions, in sentences."""
        return [f"{self._blank} answers came without text, and are unparsed"] if self._blank else []

    def cells(self, wanted: Counter[tuple[str, str, int, str]] | None) -> list[dict[str, Any]]:
        """Units done and left of those wanted (None: all are there), and the share of right solutions, by cell.

        effort: how long the model was asked to think, in tokens or by name; "": it was not.
        """
        cells = list(wanted or (key[1:] for key in self._cells if key[0] == "done"))
        rows = []
        for cell in cells:
            done, solved, right = (self._cells[what, *cell] for what in ("done", "solved", "right"))
            left = max(0, wanted[cell] - done) if wanted is not None else 0
            share = right / solved if solved else None
            rows.append(dict(zip(_CELL, cell, strict=True)) | {"done": done, "left": left, "right": share})
        return rows

    def roles(self) -> list[dict[str, Any]]:
        """Calls, tokens and FLOPs by role and model; pretraining is left out.

        Tokens that were not reported of every call are None, and so are FLOPs then, or without a spec.
        """
        found = []
        for role, model in dict.fromkeys((role, model) for role, model, _ in self._sums):
            unknown = {name for name in WORK if (role, model, name) in self._unknown}
            sums = {name: None if name in unknown else self._sums[role, model, name] for name in WORK}
            known = model in self._specs and (role, model) not in self._unpriced
            flops = self._spent[role, model] if known else None
            found.append({"role": role, "model": model, **sums, "flops": flops})
        return found


def effort_in(parameters: Mapping[str, Any]) -> str:
    """How long a unit asks its model to think, in tokens or by name; "" where it does not say."""
    return str(parameters.get("effort", ""))


def _sizes(frame: pd.DataFrame) -> Counter[tuple[Any, ...]]:
    return Counter(zip(*(frame[name].to_numpy(object) for name in _CELL), strict=True))


def _told(calls: pd.DataFrame, rule: Convention) -> pd.Series:
    """Whether a call tells every count by which a rule prices it."""
    told = calls[["prompt_tokens", "generated_tokens"]].notna().all(axis=1)
    for verifier in (False, True):
        mine = (calls["role"] == "verifier") == verifier
        told &= ~mine | calls[list(priced_counts(rule, verifier=verifier))].notna().all(axis=1)
    return told


def _spent(run: Run, specs: Mapping[str, ModelSpec], rule: Convention) -> dict[tuple[str, str], int]:
    """FLOPs by role and model of the calls that specs can price."""
    priced = run.calls[run.calls["model"].isin(list(specs)) & _told(run.calls, rule)]
    if priced.empty:
        return {}
    whole, _ = filled(
        Run(run.units, priced, run.solutions), {"prompt": 0, "generated": 0}
    )  # what is left, no rule of these reads
    entries = price(whole, specs, convention=rule).entries
    entries = entries[~entries["phase"].isin(["pretrain", "tune"])]
    spent: Counter[tuple[str, str]] = Counter()
    for role, model, flops in entries[["role", "model", "flops"]].itertuples(index=False):
        spent[role, model] += flops
    return spent
