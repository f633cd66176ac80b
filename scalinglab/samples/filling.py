"""Counts that nobody reported, filled in where that can be said, and what was filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from scalinglab.samples.columns import INDEPENDENT
from scalinglab.samples.records import Run
from scalinglab.samples.reported import REPORTED

LEFT_OUT = "left out"


@dataclass(frozen=True)
class Unreported:
    """Counts of a model's calls that nobody reported.

    what: prompt, generated, cached, reusable or question. missing, of: calls on a task. taken: what stands for
    each: the mean of the model's other calls of the same strategy, or of its single samples; None where nothing
    can. arm: what is left out, where what is LEFT_OUT.
    """

    model: str
    task: str
    what: str
    missing: int
    of: int
    taken: float | None
    arm: str = ""


def filled(run: Run, taken: Mapping[str, int]) -> tuple[Run, tuple[Unreported, ...]]:
    """The run with whole numbers in every count, and what nobody had reported.

    A prompt or an answer of unknown length is as long as the mean of the others by its model on its task under
    the same strategy, else of its single samples; a prompt of a model that reports none is as long as
    ``taken["prompt"]`` says. Answers of a model of which no length is known on a task have no calls afterwards.
    Cached and reusable tokens that are unknown are 0 here, a question of unknown length all of its prompt, and
    named: no rule that prices them may use them (see ``ledger.priced_counts``).
    Where a model tells the lengths of some efforts or searches and nothing of another, that one is left out, and
    named: no other length stands for it.
    """
    calls = run.calls
    if calls.empty or not any(calls[name].isna().any() for name in REPORTED if name != "thinking_tokens"):
        return run, ()
    task = run.units.set_index("key")["task"].loc[calls["unit"]].to_numpy()
    known = calls["generated_tokens"].notna().groupby([calls["model"], task]).transform("any")
    calls = calls[known].reset_index(drop=True)
    units = run.units.set_index("key").loc[calls["unit"], ["task", "strategy", "setting"]].reset_index(drop=True)
    alike = pd.concat([calls[["model", "role"]], units], axis=1)
    left = _unlike(calls, alike)
    told = []
    for arm in alike[left].drop_duplicates(["model", "task", "strategy", "setting"]).to_dict("records"):
        count = int((alike[left] == pd.Series(arm)).all(axis=1).sum())
        name = arm["strategy"] if arm["setting"] == "{}" else f"{arm['strategy']} {arm['setting']}"
        told.append(Unreported(arm["model"], arm["task"], LEFT_OUT, count, count, None, name))
    gone = set(calls.loc[left, "unit"])
    kept = run.units[~run.units["key"].isin(gone)].reset_index(drop=True)
    solved = run.solutions[~run.solutions["unit"].isin(gone)].reset_index(drop=True)
    calls, alike = calls[~left].reset_index(drop=True), alike[~left].reset_index(drop=True)
    unasked = calls["question_tokens"].isna() & calls["prompt_tokens"].notna()
    for name in ("generated", "prompt"):
        calls, added = _completed(calls, alike, name, taken)
        told += added
    for name in ("cached", "reusable"):
        told += _of_models(alike, name, calls[f"{name}_tokens"].isna(), None)
    told += _of_models(alike, "question", unasked, None)
    reusable = calls["reusable_tokens"].fillna(0).astype("int64")
    question = calls["question_tokens"].fillna(calls["prompt_tokens"] - reusable)
    calls = calls.assign(
        question_tokens=question.clip(lower=0, upper=calls["prompt_tokens"]).astype("int64"),
        cached_tokens=calls["cached_tokens"].fillna(0).astype("int64"),
        reusable_tokens=reusable,
    )
    return Run(kept, calls, solved), tuple(told)


def _completed(
    calls: pd.DataFrame, alike: pd.DataFrame, what: str, taken: Mapping[str, int]
) -> tuple[pd.DataFrame, list[Unreported]]:
    name = f"{what}_tokens"
    column = calls[name].astype("Float64").astype("float64")
    lacking = column.isna()
    written = column.where(column > 0)  # nothing is read or written for a copy of another answer
    column = column.fillna(written.groupby([alike[key] for key in alike]).transform("mean"))
    single = written.where(alike["strategy"].isin(INDEPENDENT) | (alike["role"] == "verifier"))
    column = column.fillna(single.groupby([alike[key] for key in ("model", "role", "task")]).transform("mean"))
    whole = column.fillna(taken[what]).round().astype("int64")
    if what == "prompt":
        held = calls["question_tokens"].fillna(0) + calls["reusable_tokens"].fillna(0)
        whole = whole.clip(lower=held.astype("int64"))
    return calls.assign(**{name: whole}), _of_models(alike, what, lacking, whole)


def _unlike(calls: pd.DataFrame, alike: pd.DataFrame) -> pd.Series:
    """Calls of searches, outcomes and efforts of which no length is known, where the model tells other lengths."""
    told = calls["generated_tokens"].notna().groupby([alike[key] for key in alike]).transform("any")
    own = ~alike["strategy"].isin(INDEPENDENT) | alike["setting"].str.contains('"effort"')
    return ~told & own & (alike["role"] != "verifier")


def _of_models(alike: pd.DataFrame, what: str, lacking: pd.Series, column: pd.Series | None) -> list[Unreported]:
    found = []
    for key, rows in alike.groupby(["model", "task"]).groups.items():
        model, task = key if isinstance(key, tuple) else (key, "")
        missing = lacking.loc[rows]
        if missing.any():
            mean = None if column is None else float(column.loc[rows][missing].mean())
            found.append(Unreported(str(model), str(task), what, int(missing.sum()), len(missing), mean))
    return found
