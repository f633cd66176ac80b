"""The samples form of recorded data: a row an answer, as evaluation logs have it, read as a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.samples.columns import GRADED, TASK, column_of, name_of, refuse, whole_numbers, with_task
from scalinglab.samples.counts import NAMES, opened
from scalinglab.samples.records import Run, canonical

SAMPLED = ("parallel", "greedy", "difficulty")
"""Those whose answers say all of how they came to be; others have parameters, which a run records."""
TOKENS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "generated_tokens": ("generated_tokens", "output_tokens", "completion_tokens"),
    "cached_tokens": ("cached_tokens",),
}
"""Under which names: of the whole prompt, of all that was written, and of the prompt what a cache held."""
_UNIT = ["task", "model", "strategy", "budget", "seed", "problem"]
_TRUE = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


def read_samples(source: str | Path | pd.DataFrame) -> Run:
    """A table of samples (CSV, Parquet, JSONL or a DataFrame) as a run.

    Columns: model, problem, correct (true or false, 1 or 0). Where there are any of them: sample (its number; the
    order of rows without it), answer, score and verifier (whose score it is; "verifier" without it), strategy
    ("parallel" without it), budget (in samples; how many rows there are without it), seed, task, and tokens under
    the names of ``TOKENS``. A task is joined to the problem where the table holds several.

    A unit of the run is a model's answers to a problem under one strategy, budget and seed, of role policy.
    ``calls`` has a row an answer of each model of which prompt and generated tokens are there; none of others:
    their tokens are unknown. What a verifier read is never known. Raises DataError naming the row that cannot be.
    """
    frame, where = opened(source)
    rows = _named(frame, where).assign(**_told(frame, where))
    unit, firsts = _units_of(rows)
    numbered = rows.assign(unit=unit, sample=_numbers(frame, where, unit))
    refuse(
        numbered.duplicated(["unit", "sample"]), where, "repeats a model, problem and sample", "each sample once"
    )
    numbered["size"] = np.bincount(unit)[unit]
    numbered["budget"] = numbered["budget"].where(numbered["budget"] > 0, numbered["size"])
    short = numbered["size"] > numbered["budget"]
    refuse(short, where, "is one of more answers than its budget", "a budget of as many samples at least")
    several = (numbered["strategy"] == "greedy") & (numbered["size"] > 1)
    refuse(several, where, "is one of several greedy answers", "one greedy answer of a model to a problem")
    key = pd.Series([f"row {at + 1}" for at in firsts], dtype=object)
    units = _unit_frame(numbered.iloc[firsts], key)
    ordered = numbered.assign(key=key.to_numpy()[unit]).sort_values(["unit", "sample"], kind="stable")
    ordered["position"] = ordered.groupby("unit").cumcount()
    return Run(units, _calls(ordered), _solutions(ordered))


def _named(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Who answered what, and whether right: columns model, problem, task (texts) and correct (bool)."""
    found = {ours: frame[column_of(frame, where, ours, NAMES[ours])] for ours in ("model", "problem")}
    rows = pd.DataFrame({**found, "correct": frame[column_of(frame, where, "correct", GRADED)]})
    refuse(rows[["model", "problem"]].isna().any(axis=1), where, "has no model or problem", "a name in both")
    task = name_of(frame, TASK)
    several = task is not None and len(frame[task].unique()) > 1
    rows["problem"] = with_task(frame, where, rows["problem"].astype(str))
    rows["task"] = "several tasks" if several else "table" if task is None else str(frame[task].iloc[0])
    rows["model"] = rows["model"].astype(str)
    truth = rows["correct"].astype(object).map(lambda value: _TRUE.get(str(value).strip().lower(), np.nan))
    refuse(
        truth.isna(),
        where,
        f"has correct {_first(rows['correct'], truth.isna())}",
        "true or false, 1 or 0 (a rate needs n: a table of counts, with n and correct)",
    )
    return rows.assign(correct=truth == 1)


def _told(frame: pd.DataFrame, where: str) -> dict[str, pd.Series]:
    """What a table may tell of its answers, and what stands for it where it does not."""

    def texts(name: str, default: str | None) -> pd.Series:
        given = frame[name].tolist() if name in frame else [None] * len(frame)
        return pd.Series([default if pd.isna(one) else str(one) for one in given], frame.index, dtype=object)

    told = {"answer": texts("answer", None), "strategy": texts("strategy", "parallel")}
    unknown = ~told["strategy"].isin(SAMPLED)
    refuse(
        unknown, where, f"has strategy {_first(told['strategy'], unknown)}",
        f"one of {', '.join(SAMPLED)}; record others as a run, with their parameters",
    )  # fmt: skip
    told["verifier"] = texts("verifier", "verifier" if "score" in frame else None)
    told["score"] = _scores(frame, where)
    told["budget"] = whole_numbers(frame["budget"], where, "budget") if "budget" in frame else _zeros(frame)
    refuse((told["budget"] == 0) & ("budget" in frame), where, "has budget 0", "a whole number above 0")
    told["seed"] = whole_numbers(frame["seed"], where, "seed") if "seed" in frame else _zeros(frame)
    return told | _tokens(frame, where)


def _scores(frame: pd.DataFrame, where: str) -> pd.Series:
    """Scores as floats; NaN where there is none."""
    if "score" not in frame:
        return pd.Series(np.nan, frame.index)
    scores = pd.to_numeric(frame["score"], errors="coerce").astype(np.float64)
    bad = (scores.isna() & frame["score"].notna()) | np.isinf(scores)
    refuse(bad, where, f"has score {_first(frame['score'], bad)}", "a finite number, or nothing")
    return scores


def _tokens(frame: pd.DataFrame, where: str) -> dict[str, pd.Series]:
    """Token counts as whole numbers; -1 where the table has none of a model."""
    model = frame[column_of(frame, where, "model", NAMES["model"])]
    found = {}
    for ours, names in TOKENS.items():
        theirs = name_of(frame, names)
        column = pd.Series(-1, frame.index) if theirs is None else frame[theirs]
        known = column.notna()
        partly = ~known & known.groupby(model.to_numpy()).transform("any")
        refuse(
            partly, where, f"has no {ours}, and others of its model have", "tokens of all its answers, or of none"
        )
        whole = whole_numbers(column.where(known, 0), where, ours) if theirs is not None else column
        found[ours] = whole.where(known, -1)
    over = found["cached_tokens"] > found["prompt_tokens"]
    refuse(over, where, "has more cached tokens than prompt tokens", "a prompt that counts its cached part")
    return found


def _units_of(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's unit, in the order of units' first rows by name, and those first rows."""
    unit = rows.groupby(_UNIT, sort=True, observed=True).ngroup().to_numpy()
    firsts = np.full(unit.max() + 1, len(unit))
    np.minimum.at(firsts, unit, np.arange(len(unit)))
    return unit, firsts


def _numbers(frame: pd.DataFrame, where: str, unit: np.ndarray) -> pd.Series:
    if "sample" in frame:
        return whole_numbers(frame["sample"], where, "sample")
    return pd.Series(unit, frame.index).groupby(unit).cumcount()


def _unit_frame(first: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    first = first.reset_index(drop=True)
    judged = first["score"].notna()
    parameters = [
        canonical(({"samples": int(n)} if strategy != "greedy" else {}) | ({"verifier": name} if scored else {}))
        for strategy, n, name, scored in zip(
            first["strategy"], first["budget"], first["verifier"], judged, strict=True
        )
    ]
    return pd.DataFrame(
        {
            "key": key,
            "run": "table",
            **{name: first[name] for name in ("task", "problem")},
            "role": "policy",
            **{name: first[name] for name in ("model", "strategy")},
            "parameters": parameters,
            "budget": first["budget"].astype(np.int64),
            "seed": first["seed"],
        }
    )


def _solutions(rows: pd.DataFrame) -> pd.DataFrame:
    scores = pd.Series([[] if score != score else [score] for score in rows["score"]], dtype=object)
    return pd.DataFrame(
        {
            "unit": rows["key"].to_numpy(),
            "position": rows["position"].to_numpy(),
            "text": "",
            "answer": rows["answer"].to_numpy(),
            "grade": np.where(rows["correct"], "right", "wrong"),
            "scores": scores,
            "sample": rows["sample"].to_numpy(),
            "chain": 0,
            "round": 0,
            "other_scores": "{}",
        }
    )


def _calls(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[(rows["prompt_tokens"] >= 0) & (rows["generated_tokens"] >= 0)]
    prompt = known["prompt_tokens"].to_numpy(np.int64)
    return pd.DataFrame(
        {
            "unit": known["key"].to_numpy(),
            "position": known["position"].to_numpy(),
            "role": "policy",
            "model": known["model"].to_numpy(),
            "prompt_tokens": prompt,
            "generated_tokens": known["generated_tokens"].to_numpy(np.int64),
            "question_tokens": prompt,
            "cached_tokens": np.maximum(known["cached_tokens"].to_numpy(np.int64), 0),
            "reusable_tokens": 0,
            "scored_tokens": 0,
            "sample": known["sample"].to_numpy(),
            "chain": 0,
            "round": 0,
            "finish_reason": "unknown",
            "seconds": 0.0,
        }
    )


def _zeros(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(0, frame.index)


def _first(values: pd.Series, bad: pd.Series) -> str:
    """How the first bad value reads."""
    found = values[bad].tolist()
    return repr(found[0]) if found else ""
