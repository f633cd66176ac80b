"""What each row of a samples table tells of an answer, checked, with what stands for what it does not tell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.columns import GRADED, MEANS, TASK, TOKENS, column_of, name_of, refuse, whole_numbers
from scalinglab.samples.frames import NAMES
from scalinglab.samples.records import GRADES

_TRUE = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
_MISSING = ("", "nan", "none", "<na>", "nat")
_CORRECTISH = (
    "passed",
    "pass",
    "acc",
    "acc_norm",
    "exact_match",
    "em",
    "f1",
    "score",
    "is_right",
    "success",
    "resolved",
)
"""Columns that may be grades under other names: offered, never taken without a word."""


def answers_of(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """A row an answer: model, problem, task, grade, value, answer, text, strategy, effort, verifier, score, budget
    (0: unknown), budgeted (whether it was given), seed, sample (NA: by order), finish_reason, and the counts of
    ``columns.TOKENS`` (Int64, NA: unknown). Raises DataError naming the row that cannot be."""
    found = {ours: frame[column_of(frame, where, ours, NAMES[ours])] for ours in ("model", "problem")}
    rows = pd.DataFrame(found)
    refuse(rows["model"].isna(), where, "has no model", "a name")
    refuse(rows["problem"].isna(), where, "has no problem", "a name")
    task = name_of(frame, TASK)
    rows["problem"] = rows["problem"].astype(str)
    if task is not None:
        refuse(frame[task].isna() & bool(frame[task].notna().any()), where, "has no task", "a task in each row")
    rows["task"] = "table" if task is None else frame[task].fillna("table").astype(str)
    rows["model"] = rows["model"].astype(str)
    rows["grade"], rows["value"] = _grades(frame, where)
    rows = rows.assign(**_texts(frame), score=_scores(frame, where))
    rows["budgeted"] = frame["budget"].notna() if "budget" in frame else False
    rows["budget"] = _numbers(frame, where, "budget", 0)
    refuse((rows["budget"] == 0) & rows["budgeted"], where, "has budget 0", "a whole number above 0")
    rows["seed"] = _numbers(frame, where, "seed", 0)
    rows["sample"] = _joined(frame, where, "sample", ["sample"] if "sample" in frame else [])
    return rows.assign(**_tokens(frame, where))


def unread(frame: pd.DataFrame) -> list[str]:
    """The columns of a samples table that nothing here reads."""
    known = {name for names in (*NAMES.values(), *TOKENS.values(), GRADED, TASK) for name in names}
    known |= {f"mean_{name}" for names in TOKENS.values() for name in names}
    known |= {*_TEXTS, "score", "budget", "seed", "sample", "value", "rate", "accuracy", "pass_rate", "reference"}
    return [str(name) for name in frame.columns if name not in known]


_TEXTS = {
    "answer": None,
    "text": "",
    "strategy": "parallel",
    "effort": "",
    "verifier": None,
    "finish_reason": "unknown",
}


def _texts(frame: pd.DataFrame) -> dict[str, pd.Series]:
    found = {}
    for name, default in _TEXTS.items():
        given = frame[name].tolist() if name in frame else [None] * len(frame)
        if name == "verifier" and "score" in frame:
            default = "verifier"
        values = [default if one is None or one is pd.NA or one != one else str(one) for one in given]
        found[name] = pd.Series(values, frame.index, dtype=object)
    return found


def _grades(frame: pd.DataFrame, where: str) -> tuple[pd.Series, pd.Series]:
    """Each answer's grade, and the value of partial ones."""
    if "grade" in frame and (name_of(frame, GRADED[:2]) is None or frame["grade"].dropna().isin(GRADES).all()):
        grade = frame["grade"].astype(object).where(frame["grade"].notna(), "ungraded").astype(str)
        bad = ~grade.isin(GRADES)
        refuse(bad, where, f"has grade {_first(grade, bad)}", f"one of {', '.join(GRADES)}")
        value = (
            pd.to_numeric(frame["value"], errors="coerce") if "value" in frame else pd.Series(np.nan, frame.index)
        )
        off = (grade == "partial") & ~((value > 0) & (value < 1))
        refuse(off, where, "has partial credit without a value", "a value between 0 and 1")
        return grade, value.where(grade == "partial")
    column = frame[_graded(frame, where)]
    texts = column.astype(object).map(lambda value: str(value).strip().lower())
    truth, none = texts.map(_TRUE), texts.isin(_MISSING)
    refuse(
        truth.isna() & ~none,
        where,
        f"has correct {_first(column, truth.isna() & ~none)}",
        "true or false, 1 or 0 (a rate needs n: a table of counts, with n and correct)",
    )
    grade = pd.Series(
        np.where(none, "ungraded", np.where(truth == 1, "right", "wrong")), frame.index, dtype=object
    )
    return grade, pd.Series(np.nan, frame.index)


def _graded(frame: pd.DataFrame, where: str) -> str:
    inner = [name for name in map(str, frame.columns) if name.rpartition(".")[2] in _CORRECTISH]
    if name_of(frame, GRADED) is None and inner:
        raise DataError(
            f"{where} has no column 'correct', but {', '.join(inner)}",
            "one that says what is right",
            f"choose one: --map correct={inner[0]}",
        )
    return column_of(frame, where, "correct", GRADED[:2])


def _scores(frame: pd.DataFrame, where: str) -> pd.Series:
    """Scores as floats; NaN where there is none."""
    if "score" not in frame:
        return pd.Series(np.nan, frame.index)
    scores = pd.to_numeric(frame["score"], errors="coerce").astype(np.float64)
    bad = (scores.isna() & frame["score"].notna()) | np.isinf(scores)
    refuse(bad, where, f"has score {_first(frame['score'], bad)}", "a finite number, or nothing")
    return scores


def _numbers(frame: pd.DataFrame, where: str, name: str, default: int) -> pd.Series:
    if name not in frame:
        return pd.Series(default, frame.index)
    return whole_numbers(frame[name].where(frame[name].notna(), default), where, name)


def _tokens(frame: pd.DataFrame, where: str) -> dict[str, pd.Series]:
    """Token counts; NA where there are none. Of means, whole numbers with that mean."""
    found = {}
    for ours, names in TOKENS.items():
        present, mean = [n for n in names if n in frame], name_of(frame, tuple(f"mean_{name}" for name in names))
        if present:
            found[ours] = _joined(frame, where, ours, present)
        elif mean is not None:
            found[ours] = _of_mean(frame[mean], where, mean)
        else:
            found[ours] = pd.Series(pd.NA, frame.index, dtype="Int64")
    if name_of(frame, MEANS) is not None:  # whole numbers round apart
        found["thinking_tokens"] = found["thinking_tokens"].where(
            ~(found["thinking_tokens"] == found["generated_tokens"] + 1).fillna(False), found["generated_tokens"]
        )
    for part, whole_ in (("cached", "prompt"), ("thinking", "generated")):
        over = (found[f"{part}_tokens"] > found[f"{whole_}_tokens"]).fillna(False).astype(bool)
        refuse(over, where, f"has more {part} than {whole_} tokens", f"{whole_} tokens that count the {part} ones")
    return found


def _joined(frame: pd.DataFrame, where: str, ours: str, names: list[str]) -> pd.Series:
    """A count under any of its names: of each row the one that is there."""
    found = pd.Series(pd.NA, frame.index, dtype="Int64")
    for name in names:
        known = frame[name].notna()
        whole = whole_numbers(frame[name].where(known, 0), where, ours).astype("Int64").where(known)
        differ = (found != whole).fillna(False).astype(bool)
        refuse(differ, where, f"has two different {ours} ({', '.join(names)})", "one number")
        found = found.fillna(whole)
    return found


def _of_mean(column: pd.Series, where: str, name: str) -> pd.Series:
    """Whole numbers whose mean over equal values in a row is that value."""
    values = pd.to_numeric(column, errors="coerce")
    refuse(column.notna() & ~(values >= 0), where, f"has a bad {name}", "a number >= 0")
    again = values.groupby(values).cumcount()
    whole = ((again + 1) * values) // 1 - (again * values) // 1
    return whole.astype("Int64")


def _first(values: pd.Series, bad: pd.Series) -> str:
    """How the first bad value reads."""
    found = values[bad].tolist()
    return repr(found[0]) if found else ""
