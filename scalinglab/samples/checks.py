"""What a record may hold, checked where it is read: one function for SQLite, Parquet and JSONL."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.options import options_of, verifiers_of
from scalinglab.samples.records import COLUMNS, GRADES, ROLES, Run
from scalinglab.samples.reported import MEASURED, REPORTED, with_later

Frames = Mapping[str, pd.DataFrame]
Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Kind:
    """What a column may hold: in words, whether a whole column does by a quick look, and whether one value does.

    Where the quick look says no, ``good`` decides, value by value. ``optional``: nothing may stand there too.
    """

    allowed: str
    fits: Callable[[pd.Series], bool]
    good: Callable[[Any], bool]
    optional: bool = False


def checked(frames: Frames, where: Mapping[str, str], *, columns: Columns = COLUMNS) -> Run:
    """The tables of a run as a Run, if every value is one that a record can hold.

    frames: units, calls and solutions, scores as lists. where: the file of each, for errors. columns: of each
    table, those that were read. Older tables lack columns, which are filled in.
    Raises DataError naming file, table, column and the unit of the first row that cannot be.
    """
    found = {table: _table(frames[table], table, where[table], columns[table]) for table in COLUMNS}
    keys = frozenset(found["units"]["key"].to_numpy(object))
    for table in ("calls", "solutions"):
        named = found[table]["unit"].to_numpy(object)
        if not keys.issuperset(named):
            orphan = pd.Series([unit not in keys for unit in named], found[table].index)
            _refuse(found[table], orphan, where[table], table, "unit", "a unit of the table units")
    _refuse_sums(found["calls"], where["calls"])
    if "scores" in columns["solutions"]:
        _refuse_unscored(found, where["solutions"])
    return Run(*found.values())


def _table(frame: pd.DataFrame, table: str, where: str, columns: Sequence[str]) -> pd.DataFrame:
    """One table, each of its columns checked; those of other programs are left out."""
    wanted = [name for name in COLUMNS[table] if name in columns]
    if frame.empty:
        return pd.DataFrame(columns=wanted, dtype=object)
    for name in {*MEASURED} & {*frame} & {*wanted}:  # before what is no number is taken for nothing
        _refuse_column(frame, table, name, where)
    frame = with_later(frame, table)
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise DataError(
            f"{where} lacks {table} column {', '.join(missing)}", f"the columns {', '.join(wanted)}", _AGAIN
        )
    changed = {name: _refuse_column(frame, table, name, where) for name in wanted}
    new = {name: column for name, column in changed.items() if column is not frame[name]}
    frame = (frame.assign(**new) if new else frame)[wanted]
    key = ["key"] if table == "units" else ["unit", "position"]
    twice = frame.duplicated(key)
    if twice.any():
        unit = frame.loc[twice, key[0]].iloc[0]
        raise DataError(f"{where} holds unit {unit} twice in {table}", "each unit once", _AGAIN)
    if "grade" in wanted:
        partial, part = frame["grade"] == "partial", (frame["value"] > 0) & (frame["value"] < 1)
        allowed = "a value between 0 and 1 where the grade is partial, and nowhere else"
        _refuse(frame, partial != part, where, table, "value", allowed)
    return frame


def _refuse_column(frame: pd.DataFrame, table: str, name: str, where: str) -> pd.Series:
    """A column as it is, or of the type that its values have. Raises DataError for its first bad row."""
    column, kind = frame[name], _kind(table, name)
    if kind.fits(column):
        return column
    if not kind.optional:
        _refuse(frame, column.isna(), where, table, name, kind.allowed)
    values = column.tolist()
    bad = [not (kind.optional and _nothing(value)) and not kind.good(value) for value in values]
    _refuse(frame, pd.Series(bad, frame.index), where, table, name, kind.allowed)
    return pd.Series([None if _nothing(value) else value for value in values], frame.index)


def _refuse(frame: pd.DataFrame, bad: pd.Series, where: str, table: str, name: str, allowed: str) -> None:
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        key = frame.get("key" if table == "units" else "unit")
        unit = None if key is None else key.iloc[at]
        row = f"unit {unit}" if isinstance(unit, str) and name != "key" else f"row {at + 1}"
        value = frame[name].iloc[at]
        told = "nothing" if _nothing(value) else repr(value.item() if isinstance(value, np.generic) else value)
        raise DataError(f"{where}: {table} column {name} is {told:.80} ({row})", allowed, _AGAIN)


def _refuse_sums(calls: pd.DataFrame, where: str) -> None:
    """Raise DataError where a part of the tokens of a call is more than the whole."""
    if calls.empty:
        return
    for part, of in (("cached", "prompt"), ("thinking", "generated"), ("question", "prompt")):
        some = calls[f"{part}_tokens"]
        if part == "question":  # those that are reusable come after it
            some = some.fillna(0) + calls["reusable_tokens"].fillna(0)
        over = (some > calls[f"{of}_tokens"]).fillna(False).astype(bool)
        and_ = " with those that are reusable" if part == "question" else ""
        _refuse(calls, over, where, "calls", f"{part}_tokens", f"at most the {of}_tokens{and_}")


def _refuse_unscored(found: Frames, where: str) -> None:
    """Raise DataError where one of several verifiers of a unit gave a solution no scores."""
    units, solutions = found["units"], found["solutions"]
    named = {text: verifiers_of(options_of(text) or {})[1:] for text in units["parameters"].unique()}
    others = units.set_index("key")["parameters"].map(named)
    others = others[others.map(bool)]
    judged = solutions[solutions["unit"].isin(others.index)]
    known = judged["other_scores"].map(lambda text: json.loads(text).keys())
    bad = [not set(others[unit]) <= set(names) for unit, names in zip(judged["unit"], known, strict=True)]
    allowed = "scores by each verifier that its unit names"
    _refuse(judged, pd.Series(bad, judged.index, dtype=bool), where, "solutions", "other_scores", allowed)


# What columns hold


def _kind(table: str, name: str) -> _Kind:
    if name in _NAMED:
        return _NAMED[name]
    if name in REPORTED:
        return _COUNT
    return _TEXT if name in _TEXTS[table] else _WHOLE


def _nothing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) in range(2**63)


def _finite(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


def _counts(column: pd.Series) -> bool:
    return str(column.dtype) in ("int64", "Int64") and bool((column.dropna() >= 0).all())


def _duration(value: Any) -> bool:
    return _finite(value) and float(value) >= 0


def _numbers(column: pd.Series) -> bool:
    return column.dtype.kind in "if" and bool((np.isfinite(column) & (column >= 0)).all())


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=False) == "string" and not column.isna().any()


def _some_text(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "string" and bool(column.notna().any())


def _each(good: Callable[[Any], bool]) -> Callable[[pd.Series], bool]:
    """Whether a column is of texts of which all are good: each distinct one is asked."""
    return lambda column: _is_text(column) and all(map(good, column.unique()))


def _one_of(allowed: Sequence[str]) -> _Kind:
    known = frozenset(allowed)
    return _Kind(
        f"one of {', '.join(allowed)}",
        lambda column: _is_text(column) and known.issuperset(column.unique()),
        lambda value: isinstance(value, str) and value in known,
    )


def _parameters(value: object) -> bool:
    options = options_of(value)
    return options is not None and all(isinstance(name, str) for name in verifiers_of(options))


def _scores(value: object) -> bool:
    return isinstance(value, list) and all(map(_finite, value))


def _lists(column: pd.Series) -> bool:
    """Whether a column is of lists of finite numbers."""
    if column.dtype != object or not all(type(value) is list for value in column):
        return False
    flat = list(chain.from_iterable(column))
    kind = pd.api.types.infer_dtype(flat, skipna=False)
    return kind == "empty" or (kind == "floating" and bool(np.isfinite(flat).all()))


def _other_scores(value: object) -> bool:
    if value == "{}":
        return True
    found = options_of(value)
    return found is not None and all(map(_scores, found.values()))


_AGAIN = "mend it where it was recorded, or export the run again"
_TEXTS = {
    "units": ("key", "run", "task", "problem", "model", "strategy"),
    "calls": ("unit", "model", "finish_reason"),
    "solutions": ("unit", "text", "thinking"),
}
_TEXT = _Kind("a text in each row", _is_text, lambda value: isinstance(value, str))
_WHOLE = _Kind("whole numbers >= 0", lambda c: c.dtype == "int64" and bool((c >= 0).all()), _whole)
_COUNT = _Kind("whole numbers >= 0, or nothing where it was not reported", _counts, _whole, optional=True)
_NAMED = {
    "role": _one_of(ROLES),
    "grade": _one_of(GRADES),
    "answer": _Kind("a text, or nothing", _some_text, lambda value: isinstance(value, str), optional=True),
    "seconds": _Kind("finite numbers >= 0, or nothing", lambda c: _numbers(c.dropna()), _duration, optional=True),
    "value": _Kind(
        "a number, or nothing", lambda c: c.dtype.kind == "f" and not np.isinf(c).any(), _finite, optional=True
    ),
    "parameters": _Kind("a JSON object, whose verifiers have names", _each(_parameters), _parameters),
    "scores": _Kind("a list of finite numbers", _lists, _scores),
    "other_scores": _Kind("a JSON object of lists of finite numbers", _each(_other_scores), _other_scores),
}
