"""What a record cannot hold is refused in one line wherever it is read; versions of what is stored are known."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import DataError
from scalinglab.samples import Call, RunStore, Solution, Unit, read_run, write_jsonl, write_parquet
from scalinglab.samples.records import COLUMNS, FORMAT

SLOW = settings(max_examples=60, deadline=None, derandomize=True)
UNIT = Unit("run", "math", "p", "policy", "small", "parallel", {"samples": 2, "verifier": ["prm", "orm"]}, 2)
CALL = Call("policy", "small", 12, 5, 10, 3, 1, thinking_tokens=2)
SOLUTION = Solution("It is 4.", "4", "right", (0.5, 0.25), other_scores={"orm": [0.5]})
UNITS = [replace(UNIT, problem=f"p{i}") for i in range(3)]
PARTIAL = replace(SOLUTION, grade="partial", value=0.5, answer=None)
KINDS = ("run.sqlite", "run", "run.jsonl")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A sound run in each kind of file."""
    folder = tmp_path_factory.mktemp("good")
    with RunStore(folder / "run.sqlite") as store:
        for unit in UNITS:
            store.append(unit, [CALL, replace(CALL, cached_tokens=None)], [SOLUTION, PARTIAL])
        run = store.read()
    write_parquet(run, folder / "run")
    write_jsonl(run, folder / "run.jsonl")
    return folder


def said_of(path):
    """What reading a run says: nothing, or one line of three parts that names it."""
    said = None
    try:
        read_run(path)
    except DataError as error:
        said = error
    if said is None:
        return ""
    assert len(said.args) == 3
    assert all(said.args)
    assert str(said).encode().decode().splitlines() == [str(said)]
    assert path.name in str(said)
    return str(said)


def with_value(good, folder, kind, table, column, value):
    """A run of this kind in which the second unit's first row has another value in a column."""
    path, key = folder / kind, UNITS[1].key
    if kind == "run.sqlite":
        path.write_bytes((good / kind).read_bytes())
        stored = json.dumps(value) if isinstance(value, (list, dict)) else value
        by = "key" if table == "units" else "unit"
        only = f"rowid = (SELECT min(rowid) FROM {table} WHERE {by} = ?)"
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {only}", (stored, key))
    elif kind == "run":
        path.mkdir()
        for name in COLUMNS:
            frame = pd.read_parquet(good / kind / f"{name}.parquet").astype(object)
            if name == table:
                frame["scores" if column == "scores" else column] = changed(frame, table, column, value, key)
            frame.to_parquet(path / f"{name}.parquet")
    else:
        lines = [json.loads(line) for line in (good / kind).read_text().splitlines()]
        line = next(line for line in lines if line["unit"]["key"] == key)
        (line["unit"] if table == "units" else line[table][0])[column] = value
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def changed(frame, table, column, value, key):
    at = int((frame["key" if table == "units" else "unit"] == key).to_numpy().argmax())
    values = frame[column].tolist()
    values[at] = value
    return pd.Series(values, frame.index, dtype=object)


BAD = [
    ("solutions", "grade", None),
    ("solutions", "grade", "great"),
    ("solutions", "scores", "x"),
    ("solutions", "scores", None),
    ("solutions", "other_scores", "{}"),
    ("solutions", "other_scores", '{"orm": ["x"]}'),
    ("solutions", "value", 0.5),
    ("solutions", "text", None),
    ("calls", "prompt_tokens", "many"),
    ("calls", "prompt_tokens", 3),
    ("calls", "cached_tokens", 13),
    ("calls", "thinking_tokens", 6),
    ("calls", "generated_tokens", -1),
    ("calls", "scored_tokens", "1"),
    ("calls", "seconds", "soon"),
    ("calls", "role", "teacher"),
    ("units", "parameters", "{"),
    ("units", "parameters", '{"verifier": 5}'),
    ("units", "budget", None),
    ("units", "model", None),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("table", "column", "value"), BAD, ids=str)
def test_a_value_that_cannot_be_is_refused_by_file_table_column_and_unit(
    good, tmp_path, kind, table, column, value
):
    try:
        path = with_value(good, tmp_path, kind, table, column, value)
    except (ValueError, TypeError, pyarrow.ArrowException):
        pytest.skip("Parquet's own types hold no such value beside others")
    said, named = said_of(path), "question_tokens" if value == 3 else column  # a part is more than the whole
    assert f"{table} column {named} is " in said
    assert f"(unit {UNITS[1].key})" in said


def test_a_text_that_is_not_utf_8_is_refused_by_its_column_and_unit(good, tmp_path):
    (tmp_path / "run.sqlite").write_bytes((good / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db, db:
        db.execute("UPDATE solutions SET text = CAST(x'ff41' AS TEXT) WHERE unit = ?", (UNITS[1].key,))
    said = said_of(tmp_path / "run.sqlite")
    assert f"solutions column text is b'\\xffA' (unit {UNITS[1].key}); expected text in UTF-8" in said


@pytest.mark.parametrize("table", ["calls", "solutions"])
def test_rows_of_no_unit_are_refused(good, tmp_path, table):
    (tmp_path / "run.sqlite").write_bytes((good / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db, db:
        db.execute(f"UPDATE {table} SET unit = 'nobody' WHERE unit = ?", (UNITS[1].key,))
    assert f"{table} column unit is 'nobody'" in said_of(tmp_path / "run.sqlite")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 20), st.floats(), st.text(max_size=5),
    st.binary(max_size=4),
    st.sampled_from(["{}", "[]", "{", '{"verifier": [1]}', "[NaN]", "[[1]]", "right", "partial", "\ud800"]),
    st.lists(st.integers() | st.floats() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.floats(), max_size=1), max_size=2),
)  # fmt: skip
PLACES = st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in columns])


@SLOW
@given(kind=st.sampled_from(KINDS), place=PLACES, value=VALUES)
def test_any_value_in_any_place_is_refused_in_one_line_or_read(good, tmp_path_factory, kind, place, value):
    try:
        path = with_value(good, tmp_path_factory.mktemp("bad"), kind, *place, value)
    except (sqlite3.Error, pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        return  # no such file can be
    if not said_of(path):
        run = read_run(path)
        assert [len(run.units), len(run.calls), len(run.solutions)] == [3, 6, 6]
        assert {str(run.calls[name].dtype) for name in ("position", "scored_tokens", "sample")} == {"int64"}
        assert set(run.solutions["grade"]) <= {"right", "partial", *[value] * isinstance(value, str)}


@SLOW
@given(kind=st.sampled_from(KINDS), at=st.floats(0, 1), put=st.binary(min_size=1, max_size=6), cut=st.booleans())
def test_a_file_with_other_bytes_is_refused_in_one_line_or_read(good, tmp_path_factory, kind, at, put, cut):
    folder = tmp_path_factory.mktemp("bytes")
    names = [f"run/{table}.parquet" for table in COLUMNS] if kind == "run" else [kind]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        content = (good / name).read_bytes()
        place = int(at * len(content))
        (folder / name).write_bytes(content[:place] + (b"" if cut else put + content[place + len(put) :]))
    said_of(folder / kind)


# Versions

ADDED = {2: "solutions.other_scores", 3: "calls.thinking_tokens solutions.value", 4: "solutions.thinking"}


def older(good, folder, version):
    """The sound run as a store of an earlier version."""
    path = folder / "run.sqlite"
    path.write_bytes((good / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE units SET parameters = '{}'")
        db.execute("UPDATE solutions SET grade = 'wrong', value = NULL")
        for since, names in ADDED.items():
            for name in names.split() if since > version else ():
                table, column = name.split(".")
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        db.execute(f"PRAGMA user_version = {version}")
    return path


@pytest.mark.parametrize("version", range(1, FORMAT))
def test_a_store_of_each_older_version_is_read_as_it_is_and_brought_up_to_date_by_an_append(
    good, tmp_path, version
):
    path = older(good, tmp_path, version)
    before = path.read_bytes()
    run = read_run(path)
    assert path.read_bytes() == before
    assert list(run.solutions) == list(COLUMNS["solutions"])
    assert list(run.calls) == list(COLUMNS["calls"])
    assert (run.solutions["thinking"] == "").all()
    assert run.calls["thinking_tokens"].isna().all() == (version < 3)
    new = replace(UNIT, problem="new")
    with RunStore(path) as store:
        assert store.append(new, [CALL], [PARTIAL])
    again = read_run(path)
    assert len(again.units) == 4
    pd.testing.assert_frame_equal(
        again.solutions[again.solutions["unit"] != new.key].reset_index(drop=True),
        run.solutions,
        check_dtype=False,
    )
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)


@pytest.mark.parametrize("version", range(1, FORMAT))
def test_exports_of_each_older_version_are_read(good, tmp_path, version):
    run = read_run(older(good, tmp_path, version))
    lines = [json.loads(line) for line in (good / "run.jsonl").read_text().splitlines()]
    write_parquet(run, tmp_path / "run")
    for since, names in ADDED.items():
        for name in names.split() if since > version else ():
            table, column = name.split(".")
            file = tmp_path / "run" / f"{table}.parquet"
            pd.read_parquet(file).drop(columns=column).to_parquet(file)  # pandas marks no version
            for line in lines:
                line.pop("format", None)
                for row in line[table]:
                    del row[column]
    for line in lines:
        line["unit"]["parameters"] = "{}"
        for row in line["solutions"]:
            row |= {"grade": "wrong"} | ({"value": None} if version >= 3 else {})
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("run", "run.jsonl"):
        found = read_run(tmp_path / name)
        for table in COLUMNS:
            pd.testing.assert_frame_equal(getattr(found, table), getattr(run, table))


def test_what_a_later_version_wrote_is_refused_in_one_line(good, tmp_path):
    (tmp_path / "run.sqlite").write_bytes((good / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db, db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    write_parquet(read_run(good / "run"), tmp_path / "run")
    file = tmp_path / "run" / "calls.parquet"
    table = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(table.replace_schema_metadata({"scalinglab": str(FORMAT + 1)}), file)
    text = (good / "run.jsonl").read_text()
    (tmp_path / "run.jsonl").write_text(text.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'))
    for kind in KINDS:
        path = file if kind == "run" else tmp_path / kind
        with pytest.raises(DataError, match=rf"{path} was written by a later version of scalinglab"):
            read_run(tmp_path / kind)
    with pytest.raises(DataError, match="later version"):
        RunStore(tmp_path / "run.sqlite")
