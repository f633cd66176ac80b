"""The samples form of recorded data: a row an answer, as evaluation logs have it, read as a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.samples.columns import INDEPENDENT, refuse
from scalinglab.samples.counts import kind_of, spread
from scalinglab.samples.frames import opened
from scalinglab.samples.records import Run, canonical
from scalinglab.samples.told import answers_of

_UNIT = ["task", "model", "strategy", "effort", "chosen_by", "budget", "seed", "problem"]


def read_samples(source: str | Path | pd.DataFrame, *, mapping: Mapping[str, str] | None = None) -> Run:
    """A table of samples (CSV, Parquet, JSONL or a DataFrame) as a run; of rates, n samples a row.

    Columns: model, problem, correct (true or false, 1 or 0) or grade (see ``samples.GRADES``; a partial one with
    its value). An empty grade is ungraded: it stays in n as not right. Where there are any of them: sample (its
    number; the order of rows without it), answer, text, score and verifier (whose score it is; "verifier" without
    it), strategy ("parallel" without it), effort (a label or a thinking budget), budget (in samples; how many rows
    there are without it), seed, task, finish_reason, and tokens under the names of ``columns.TOKENS``, or their
    means as ``mean_generated_tokens``. mapping: by our name of a column, the table's.

    A unit of the run is a model's answers to a problem under one strategy, effort, budget and seed, of role
    policy. Of a strategy that draws no single samples these are the finals of a search, or outcomes of the whole
    arm (best-of-n of a budget of 100: one chosen answer a row). ``calls`` has a row an answer of each model that
    tells any tokens, with what is not reported missing; none of other models. What a verifier read is never
    known. Raises DataError naming the row that cannot be.
    """
    frame, where = opened(source, mapping)
    if kind_of(frame) == "rates":
        frame = spread(frame, where)
    rows = answers_of(frame, where)
    outcome = ~rows["strategy"].isin(INDEPENDENT)
    rows["chosen_by"] = rows["verifier"].where(outcome & rows["verifier"].notna(), "")
    rows["sample"] = _numbers(rows, where)
    _refuse_twice(rows, where)
    unit, firsts = _units_of(rows)
    rows = rows.assign(unit=unit, size=np.bincount(unit)[unit])
    rows["budget"] = rows["budget"].where(rows["budget"] > 0, rows["size"].where(~outcome, 1))
    rows["judged"] = rows["score"].notna().groupby(unit).transform("any")
    _refuse_arms(rows, outcome, where)
    key = pd.Series([f"row {at + 1}" for at in firsts], dtype=object)
    ordered = rows.assign(key=key.to_numpy()[unit]).sort_values(["unit", "sample"], kind="stable")
    ordered["position"] = ordered.groupby("unit").cumcount()
    return Run(_unit_frame(rows.iloc[firsts], key), _calls(ordered), _solutions(ordered))


def _numbers(rows: pd.DataFrame, where: str) -> pd.Series:
    """The number of each answer: as it is given, else by the order of rows. Raises DataError for some of each."""
    units, given = [rows[key] for key in _UNIT], rows["sample"].notna()
    some = given.groupby(units, observed=True, dropna=False).transform("any") & ~given
    refuse(some, where, "has no number in sample", "a number of each answer to a problem, or of none")
    return rows["sample"].fillna(rows.groupby(_UNIT, observed=True, dropna=False).cumcount()).astype("int64")


def _refuse_twice(rows: pd.DataFrame, where: str) -> None:
    keys = [*_UNIT, "sample"]
    twice = rows.duplicated(keys)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        first = int(np.flatnonzero((rows[keys] == rows.iloc[at][keys]).all(axis=1))[0]) + 1
        name = " / ".join(str(rows.iloc[at][key]) for key in ("model", "problem", "sample"))
        refuse(twice, where, f"repeats a model, problem and sample ({name}, as row {first})", "each sample once")


def _refuse_arms(rows: pd.DataFrame, outcome: pd.Series, where: str) -> None:
    short = ~outcome & (rows["size"] > rows["budget"])
    refuse(short, where, "is one of more answers than its budget", "a budget of as many samples at least")
    by = rows["verifier"].where(rows["score"].notna()).groupby(rows["unit"]).transform("nunique")
    refuse(~outcome & (by > 1), where, "is of an answer that several verifiers score", "one verifier's scores")
    several = (rows["strategy"] == "greedy") & (rows["size"] > 1)
    refuse(several, where, "is one of several greedy answers", "one greedy answer of a model to a problem")
    priced = rows["generated_tokens"].notna() | rows["budgeted"]
    refuse(
        outcome & ~priced, where, "is an arm's outcome of unknown cost", "a budget in samples, or generated_tokens"
    )


def _units_of(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's unit, in the order of units' first rows by name, and those first rows."""
    unit = rows.groupby(_UNIT, sort=True, observed=True, dropna=False).ngroup().to_numpy()
    firsts = np.full(unit.max() + 1, len(unit))
    np.minimum.at(firsts, unit, np.arange(len(unit)))
    return unit, firsts


def _unit_frame(first: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    first = first.reset_index(drop=True)
    judged = first["judged"] | (first["verifier"].notna() & ~first["strategy"].isin(INDEPENDENT))
    told = zip(first["strategy"], first["budget"], first["effort"], first["verifier"], judged, strict=True)
    return pd.DataFrame(
        {
            "key": key,
            "run": "table",
            **{name: first[name] for name in ("task", "problem")},
            "role": "policy",
            **{name: first[name] for name in ("model", "strategy")},
            "parameters": [canonical(_parameters(*row)) for row in told],
            "budget": first["budget"].astype(np.int64),
            "seed": first["seed"],
        }
    )


def _parameters(strategy: str, n: int, effort: str, verifier: str, judged: bool) -> dict[str, Any]:
    found: dict[str, Any] = {} if strategy == "greedy" else {"samples": int(n)}
    found |= {"effort": effort} if effort else {}
    return found | ({"verifier": verifier} if judged else {})


def _solutions(rows: pd.DataFrame) -> pd.DataFrame:
    scores = pd.Series([[] if score != score else [score] for score in rows["score"]], dtype=object)
    return pd.DataFrame(
        {
            "unit": rows["key"].to_numpy(),
            "position": rows["position"].to_numpy(),
            "text": rows["text"].to_numpy(),
            "answer": rows["answer"].to_numpy(),
            "grade": rows["grade"].to_numpy(),
            "scores": scores,
            "sample": rows["sample"].to_numpy(),
            "chain": 0,
            "round": 0,
            "other_scores": "{}",
            "value": rows["value"].to_numpy(np.float64),
        }
    )


def _calls(rows: pd.DataFrame) -> pd.DataFrame:
    told = rows["prompt_tokens"].notna() | rows["generated_tokens"].notna()
    known = rows[told.groupby(rows["model"]).transform("any")]
    return pd.DataFrame(
        {
            "unit": known["key"].to_numpy(),
            "position": known["position"].to_numpy(),
            "role": "policy",
            "model": known["model"].to_numpy(),
            "prompt_tokens": known["prompt_tokens"].array,
            "generated_tokens": known["generated_tokens"].array,
            "question_tokens": known["prompt_tokens"].array,
            "cached_tokens": known["cached_tokens"].array,
            "reusable_tokens": 0,
            "scored_tokens": 0,
            "sample": known["sample"].to_numpy(),
            "chain": 0,
            "round": 0,
            "finish_reason": known["finish_reason"].to_numpy(),
            "seconds": np.nan,
            "thinking_tokens": known["thinking_tokens"].array,
        }
    )
