import json
import os
import pickle
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import DataError
from scalinglab.samples import (
    GRADES,
    ROLES,
    Call,
    RunStore,
    Solution,
    Unit,
    is_run,
    read_run,
    write_jsonl,
    write_parquet,
)

QUICK = settings(max_examples=25, deadline=None, derandomize=True)
TABLES = ("units", "calls", "solutions")
UNIT = Unit("run", "math", "p1", "policy", "small", "parallel", {"temperature": 0.7}, budget=4, seed=1)
CALL = Call(
    "policy", "small", prompt_tokens=12, generated_tokens=5, question_tokens=10, cached_tokens=0, seconds=0.25
)
SOLUTION = Solution("It is 4.", "4", "right", scores=(0.5, 0.25))
PACKAGE = Path(__file__).parents[1]


def refusal(act, *args, **kwargs):
    """The message of the DataError, which is one line in three parts."""
    with pytest.raises(DataError) as caught:
        act(*args, **kwargs)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(caught.value.args) == 3
    assert all(caught.value.args)
    return message


def work(number, calls=3):
    """The number-th unit of a run, its calls and its solutions; wall seconds differ at every call."""
    unit = replace(UNIT, problem=f"p{number}")
    made = [
        replace(CALL, sample=i, generated_tokens=number + i, seconds=time.perf_counter()) for i in range(calls)
    ]
    return unit, made, [replace(SOLUTION, sample=i, text=f"{number}.{i}") for i in range(calls)]


def record(path, *works):
    with RunStore(path) as store:
        for unit, calls, solutions in works:
            assert store.append(unit, calls, solutions)
        return store.read()


def read(path):
    with RunStore(path, create=False) as store:
        return store.read()


def assert_same(one, other, *, seconds=True):
    for table in TABLES:
        left, right = getattr(one, table), getattr(other, table)
        if table == "calls" and not seconds:
            left, right = left.drop(columns="seconds"), right.drop(columns="seconds")
        pd.testing.assert_frame_equal(left, right)


# Records


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [(kind, "role", value) for kind in (UNIT, CALL) for value in ("teacher", "Policy", "", None, "a\nb")]
    + [(SOLUTION, "grade", value) for value in ("correct", True, None, "a\nb")]
    + [
        (kind, name, value)
        for kind, names in (
            (UNIT, ("budget", "seed")),
            (CALL, ("prompt_tokens", "generated_tokens", "question_tokens", "cached_tokens")),
            (CALL, ("reusable_tokens", "scored_tokens", "sample", "chain", "round")),
            (SOLUTION, ("sample", "chain", "round")),
        )
        for name in names
        for value in (-1, 1.0, True, "1", float("nan"))
    ],
)
def test_a_field_out_of_its_range_is_refused_by_name(record, field, value):
    message = refusal(replace, record, **{field: value})
    assert message.startswith(f"{field} is {value!r}; expected ")


@pytest.mark.parametrize(
    "tokens",
    [
        {"question_tokens": 13},
        {"question_tokens": 10, "reusable_tokens": 3},
        {"question_tokens": 0, "reusable_tokens": 13},
        {"cached_tokens": 13},
    ],
    ids=str,
)
def test_a_call_cannot_hold_more_of_a_part_than_its_prompt(tokens):
    assert "prompt of 12" in refusal(replace, CALL, **tokens)


def test_a_call_may_be_all_question_all_cached_and_all_reusable():
    replace(CALL, question_tokens=12, cached_tokens=12)
    replace(CALL, question_tokens=10, reusable_tokens=2)
    replace(CALL, prompt_tokens=0, question_tokens=0, generated_tokens=0)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_is_refused(score):
    assert "finite" in refusal(replace, SOLUTION, scores=[0.5, score])


@pytest.mark.parametrize("grade", GRADES)
def test_every_grade_is_allowed_with_or_without_an_answer(grade):
    value = 0.5 if grade == "partial" else None
    assert replace(SOLUTION, grade=grade, answer=None, scores=(), value=value).grade == grade


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_allowed(role):
    assert replace(UNIT, role=role).role == replace(CALL, role=role).role == role


@pytest.mark.parametrize("scores", [None, 0.5, ["high"], [None], [10**400]], ids=lambda x: str(x)[:9])
def test_scores_that_are_no_numbers_are_refused(scores):
    refusal(replace, SOLUTION, scores=scores)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x"])
def test_parameters_that_json_cannot_hold_are_refused(value):
    refusal(lambda: replace(UNIT, parameters={"temperature": value}).key)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, "fast"])
def test_wall_time_that_is_no_duration_is_refused(seconds):
    refusal(replace, CALL, seconds=seconds)


# Keys


def test_the_key_of_a_unit_is_the_same_in_every_process():
    code = "import sys; from scalinglab.samples import Unit; print(Unit(**eval(sys.argv[1])).key)"
    unit = replace(UNIT, parameters={"beams": 4, "é": [1, None], "a": {"z": 1, "b": 2}})
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONHASHSEED": "123"}
    command = [sys.executable, "-c", code, repr(asdict(unit))]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == unit.key


def test_the_order_of_parameters_does_not_change_the_key():
    one, other = ({"beams": 4, "width": 2}, {"width": 2, "beams": 4})
    assert replace(UNIT, parameters=one).key == replace(UNIT, parameters=other).key


def test_the_key_of_a_unit_is_pinned_because_stores_on_disk_hold_it():
    assert UNIT.key == "1534ddd13e4ffa1c77b9df0db8137918"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
NEW_VALUES = {
    **{name: st.text() for name in ("run", "task", "problem", "model", "strategy")},
    "role": st.sampled_from(ROLES),
    "parameters": st.dictionaries(st.text(), JSON, max_size=3),
    "budget": st.integers(0, 2**63 - 1),
    "seed": st.integers(0, 2**63 - 1),
}


@QUICK
@given(data=st.data())
def test_a_change_of_any_field_changes_the_key(data):
    assert set(NEW_VALUES) == {field.name for field in fields(Unit)}
    for name, values in NEW_VALUES.items():
        new = data.draw(values.filter(lambda value, name=name: value != getattr(UNIT, name)))
        assert replace(UNIT, **{name: new}).key != UNIT.key


def test_fields_do_not_run_into_one_another_in_the_key():
    assert replace(UNIT, task="ab", problem="c").key != replace(UNIT, task="a", problem="bc").key


# The store


def test_what_is_appended_is_read_back(tmp_path):
    run = record(tmp_path / "run.sqlite", (UNIT, [CALL, replace(CALL, sample=1)], [SOLUTION]))
    stored = {"key": UNIT.key, **asdict(UNIT), "parameters": '{"temperature":0.7}'}
    made = {"options": {"temperature": 0.7}, "setting": '{"temperature": 0.7}', "verifiers": ()}
    assert run.units.to_dict("records") == [stored | made]
    assert run.calls.to_dict("records") == [
        {"unit": UNIT.key, "position": i, **asdict(replace(CALL, sample=i))} for i in (0, 1)
    ]
    expected = {"unit": UNIT.key, "position": 0, **asdict(SOLUTION), "scores": [0.5, 0.25], "other_scores": "{}"}
    expected["value"] = pytest.approx(float("nan"), nan_ok=True)
    assert run.solutions.to_dict("records") == [expected]


def test_token_counts_are_read_as_int64(tmp_path):
    run = record(tmp_path / "run.sqlite", (UNIT, [replace(CALL, generated_tokens=2**63 - 1)], []))
    tokens = [name for name in run.calls if name.endswith("_tokens")]
    assert {str(run.calls[name].dtype) for name in tokens} == {"int64", "Int64"}  # thinking: not reported
    assert run.calls["generated_tokens"].tolist() == [2**63 - 1]


def test_rows_come_in_the_order_of_unit_keys_and_positions_whatever_the_order_of_appends(tmp_path):
    works = [work(number) for number in range(6)]
    one = record(tmp_path / "one.sqlite", *works)
    other = record(tmp_path / "other.sqlite", *reversed(works))
    assert_same(one, other)
    assert one.units["key"].is_monotonic_increasing
    assert one.calls.groupby("unit")["position"].apply(list).tolist() == [[0, 1, 2]] * 6


def test_a_second_append_of_a_unit_says_false_and_writes_nothing(tmp_path):
    first = record(tmp_path / "run.sqlite", work(1))
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.append(*work(1, calls=5)) is False
        assert_same(store.read(), first)


def test_a_second_append_does_not_even_ask_for_the_calls(tmp_path):
    record(tmp_path / "run.sqlite", (UNIT, [], []))
    asked = []
    with RunStore(tmp_path / "run.sqlite") as store:
        store.append(UNIT, (asked.append(1) for _ in range(3)), [])
    assert not asked


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["calls", "solutions"])
def test_an_exception_while_appending_leaves_nothing_of_the_unit(tmp_path, error, place):
    def broken(records):
        yield from records
        raise error

    unit, calls, solutions = work(2)
    parts = {"calls": calls, "solutions": solutions}
    before = record(tmp_path / "run.sqlite", work(1))
    with RunStore(tmp_path / "run.sqlite") as store:
        with pytest.raises(error):
            store.append(unit, **{**parts, place: broken(parts[place])})
        assert_same(store.read(), before)
        assert store.append(unit, calls, solutions)
    assert_same(read(tmp_path / "run.sqlite"), record(tmp_path / "b.sqlite", work(1), work(2)), seconds=False)


def test_done_names_what_is_on_disk_after_reopening(tmp_path):
    record(tmp_path / "run.sqlite", work(1), work(2))
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.done() == {work(1)[0].key, work(2)[0].key}
        assert store.append(*work(3))
        assert store.done() == {work(number)[0].key for number in (1, 2, 3)}


def test_an_empty_store_reads_as_empty_frames_with_all_columns(tmp_path):
    run = record(tmp_path / "run.sqlite")
    assert [len(getattr(run, table)) for table in TABLES] == [0, 0, 0]
    assert list(run.units) == ["key", *(field.name for field in fields(Unit)), "options", "setting", "verifiers"]
    assert list(run.calls) == ["unit", "position", *(field.name for field in fields(Call))]
    assert list(run.solutions) == ["unit", "position", *(field.name for field in fields(Solution))]


def test_a_closed_store_says_so(tmp_path):
    store = RunStore(tmp_path / "run.sqlite")
    store.close()
    store.close()
    assert "closed" in refusal(store.done)


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (UNIT, "seed", 2**63),
        (CALL, "prompt_tokens", 2**63),
    ],
    ids=["seed beyond int64", "tokens beyond int64"],
)
def test_values_that_sqlite_cannot_hold_are_refused(tmp_path, record, field, value):
    def append(store):
        new = replace(record, **{field: value})
        calls, solutions = ([new] if isinstance(new, kind) else [] for kind in (Call, Solution))
        store.append(new if isinstance(new, Unit) else UNIT, calls, solutions)

    with RunStore(tmp_path / "run.sqlite") as store:
        refusal(append, store)
        assert store.done() == set()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("half a pair: \ud83d", "half a pair: \ufffd"),
        ("\udfb2 \ud83d\ud83d 🎲", "\ufffd \ufffd\ufffd 🎲"),
        ("\ufeffé", "\ufeffé"),
        ("\ud83c\udfb2", "🎲"),
    ],
)
def test_half_a_surrogate_pair_is_stored_as_a_replacement_character(tmp_path, text, stored):
    run = record(tmp_path / "run.sqlite", (UNIT, [CALL], [replace(SOLUTION, text=text, answer=text)]))
    assert run.solutions.loc[0, ["text", "answer"]].tolist() == [stored, stored]


# Stores and exports from before a unit could have several verifiers


@pytest.fixture
def old_store(tmp_path):
    path = tmp_path / "old.sqlite"
    record(path, work(1), work(2))
    with sqlite3.connect(path) as db:
        db.executescript(
            "ALTER TABLE solutions DROP COLUMN other_scores; ALTER TABLE solutions DROP COLUMN value;"
            "ALTER TABLE solutions DROP COLUMN thinking;"
            "ALTER TABLE calls DROP COLUMN thinking_tokens; PRAGMA user_version = 1"
        )
    db.close()
    return path


def test_an_old_store_is_read_as_it_is_and_appended_to(tmp_path, old_store):
    before = old_store.read_bytes()
    assert_same(read_run(old_store), record(tmp_path / "new.sqlite", work(1), work(2)), seconds=False)
    assert old_store.read_bytes() == before
    three = work(3)
    three = (*three[:2], [replace(SOLUTION, other_scores={"orm": [0.5]})])
    assert_same(record(old_store, three), record(tmp_path / "new.sqlite", three), seconds=False)


def test_old_exports_are_read(tmp_path):
    run = record(tmp_path / "run.sqlite", work(1), work(2))
    old = replace(run, solutions=run.solutions.drop(columns=["other_scores", "value", "thinking"]))
    for write, name in FORMATS.values():
        write(old, tmp_path / name)
        assert_same(read_run(tmp_path / name), run)


# Killed and resumed

WORKER = """
import pickle, sys, time
from dataclasses import replace
from scalinglab.samples import RunStore
with open(sys.argv[2], "rb") as file:
    works = pickle.load(file)
with RunStore(sys.argv[1]) as store:
    for unit, calls, solutions in works:
        timed = (time.sleep(1e-4) or replace(call, seconds=time.perf_counter()) for call in calls)
        if store.append(unit, timed, solutions):
            print(unit.key, flush=True)
"""


def test_a_run_killed_at_any_moment_resumes_to_what_an_unbroken_run_gives(tmp_path):
    path, moments = tmp_path / "run.sqlite", random.Random(2408)
    works = [work(number, calls=40) for number in range(60)]
    (tmp_path / "works").write_bytes(pickle.dumps(works))
    command = [sys.executable, "-c", WORKER, str(path), str(tmp_path / "works")]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = [0]
    for _ in range(3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            said = {process.stdout.readline().decode().strip() for _ in range(moments.randint(2, 9))}
            time.sleep(moments.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
        run = read(path)
        assert said <= set(run.units["key"]) == set(run.calls["unit"]) == set(run.solutions["unit"])
        assert (run.calls.groupby("unit").size() == 40).all()
        done.append(len(run.units))
    assert done == sorted(set(done))
    assert done[-1] < len(works)
    with RunStore(path) as store:
        assert [store.append(*item) for item in works].count(True) == len(works) - done[-1]
    assert_same(read(path), record(tmp_path / "unbroken.sqlite", *works), seconds=False)


# One writer, many readers


def test_a_reader_sees_only_whole_units_while_one_is_being_written(tmp_path):
    path = tmp_path / "run.sqlite"
    before = record(path, work(1))
    unit, calls, solutions = work(2)
    seen = []

    def watched(records):
        for item in records:
            yield item
            seen.append(read(path))

    with RunStore(path) as store:
        assert store.append(unit, watched(calls), watched(solutions))
    assert len(seen) == 6
    for run in seen:
        assert_same(run, before)
    assert len(read(path).units) == 2


def test_the_three_frames_of_a_read_are_of_one_moment(tmp_path):
    path = tmp_path / "run.sqlite"
    record(path)

    def append_all():
        with RunStore(path) as store:
            for number in range(200):
                store.append(*work(number, calls=1))

    writer = threading.Thread(target=append_all)
    writer.start()
    torn = False
    with RunStore(path, create=False) as store:
        while writer.is_alive():
            run = store.read()
            torn |= not len(run.units) == len(run.calls) == len(run.solutions)
    writer.join()
    assert not torn


def test_two_stores_in_turn_append_to_one_file(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as one, RunStore(tmp_path / "run.sqlite") as other:
        assert one.append(*work(1))
        assert other.append(*work(2))
        assert not one.append(*work(2))
        assert one.done() == other.done()


# Files that are no run store


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"hello\n" * 999, b"\x89PNG\r\n\x1a\n" + bytes(5000), bytes(range(256)) * 40],
    ids=["short text", "text", "PNG", "all bytes"],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path, content, create):
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    assert str(path) in refusal(RunStore, path, create=create)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("create", [True, False])
def test_a_directory_is_refused(tmp_path, create):
    assert str(tmp_path) in refusal(RunStore, tmp_path, create=create)


def test_a_missing_store_is_refused_where_it_may_not_be_created(tmp_path):
    assert "no run store" in refusal(RunStore, tmp_path / "run.sqlite", create=False)
    assert "no run store" in refusal(read_run, tmp_path / "run.sqlite")
    assert os.listdir(tmp_path) == []


def test_a_store_in_a_missing_folder_is_refused(tmp_path):
    assert "nowhere" in refusal(RunStore, tmp_path / "nowhere" / "run.sqlite")


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "run.sqlite").touch()
    assert len(record(tmp_path / "run.sqlite", work(1)).units) == 1


def other_database(path, version):
    with sqlite3.connect(path) as db:
        db.executescript(f"CREATE TABLE invoices (id); PRAGMA user_version = {version}")
    db.close()


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_another_program_is_refused_on_opening(tmp_path, version, create):
    other_database(tmp_path / "run.sqlite", version)
    assert "another kind" in refusal(RunStore, tmp_path / "run.sqlite", create=create)


@pytest.fixture(scope="module")
def store_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.sqlite"
    record(path, *(work(number, calls=20) for number in range(20)))
    return path.read_bytes()


@pytest.mark.parametrize("kept", [10, 50, 100, 1000, 4096, 8192, 0.5, 0.9])
def test_a_truncated_store_is_refused(tmp_path, store_bytes, kept):
    size = kept if kept > 1 else int(len(store_bytes) * kept)
    (tmp_path / "run.sqlite").write_bytes(store_bytes[:size])
    refusal(read, tmp_path / "run.sqlite")


# No room, no permission


@pytest.fixture
def no_privileges():
    """Root may write anywhere; while this lasts, the process is nobody."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    if user == 0:
        os.seteuid(user)


@pytest.fixture
def locked_folder(no_privileges):  # noqa: ARG001
    """A folder with a run, both of which may be read and not written."""
    folder = Path(tempfile.mkdtemp())
    record(folder / "run.sqlite", work(1))
    (folder / "run.sqlite").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_store_refuses_to_be_appended_to(locked_folder):
    def append():
        with RunStore(locked_folder / "run.sqlite") as store:
            store.append(*work(2))

    assert "run.sqlite" in refusal(append)


def test_a_read_only_folder_refuses_new_stores_and_exports(locked_folder):
    run = record(":memory:", work(1))
    assert "new.sqlite" in refusal(RunStore, locked_folder / "new.sqlite")
    assert "run.jsonl" in refusal(write_jsonl, run, locked_folder / "run.jsonl")
    assert "exported" in refusal(write_parquet, run, locked_folder / "exported")


def test_a_full_disk_is_refused_loses_nothing_and_work_goes_on_once_there_is_room(small_disk):
    (small_disk / "ballast").write_bytes(bytes(600_000))
    before = record(small_disk / "run.sqlite", work(1))
    large = work(2, calls=3000)
    with RunStore(small_disk / "run.sqlite") as store:
        assert "full" in refusal(store.append, *large)
        assert_same(store.read(), before)
        (small_disk / "ballast").unlink()
        assert store.append(replace(UNIT, problem="p3"), [], [])
        assert len(store.done()) == 2
    assert len(read(small_disk / "run.sqlite").units) == 2


@contextmanager
def files_up_to(size):
    """While this lasts, no file can grow beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Export and import

FORMATS = {"jsonl": (write_jsonl, "run.jsonl"), "parquet": (write_parquet, "run")}
EACH_FORMAT = pytest.mark.parametrize(("write", "name"), FORMATS.values(), ids=FORMATS)
RUNS = {
    "plain": [work(1), work(2)],
    "no answers": [(UNIT, [CALL], [replace(SOLUTION, answer=None, grade="unparsed")] * 2)],
    "some answers": [(UNIT, [CALL], [replace(SOLUTION, answer=answer) for answer in (None, "4", "", "nan")])],
    "unicode": [
        (
            replace(UNIT, problem="π", parameters={"é\u2028": "日本"}),
            [CALL],
            [replace(SOLUTION, text='\\frac{1}{2}\n\r\t"\u2028\x85\x0b\0 🎲', answer="½")],
        )
    ],
    "no scores": [(UNIT, [CALL], [replace(SOLUTION, scores=())])],
    "some scores": [(UNIT, [CALL], [SOLUTION, replace(SOLUTION, scores=()), replace(SOLUTION, scores=[1])])],
    "two verifiers": [(UNIT, [CALL], [SOLUTION, replace(SOLUTION, other_scores={"orm": [0.5], "π": []})])],
    "whole seconds": [(UNIT, [CALL, replace(CALL, seconds=3)], [SOLUTION])],
    "units without calls": [(UNIT, [], []), work(2)],
}


@EACH_FORMAT
@pytest.mark.parametrize("works", RUNS.values(), ids=RUNS)
def test_an_exported_run_reads_back_as_the_same_frames(tmp_path, write, name, works):
    run = record(tmp_path / "run.sqlite", *works)
    write(run, tmp_path / name)
    assert_same(read_run(tmp_path / name), run)
    assert_same(read_run(tmp_path / "run.sqlite"), run)


@EACH_FORMAT
@pytest.mark.parametrize("works", [[(UNIT, [], [])], [(UNIT, [CALL], [])], [(UNIT, [], [SOLUTION])]])
def test_a_table_without_rows_reads_back_as_the_same_frame(tmp_path, write, name, works):
    run = record(tmp_path / "run.sqlite", *works)
    write(run, tmp_path / name)
    assert_same(read_run(tmp_path / name), run)


@EACH_FORMAT
def test_a_run_without_units_reads_back_as_the_same_frames(tmp_path, write, name):
    run = record(tmp_path / "run.sqlite")
    write(run, tmp_path / name)
    assert_same(read_run(tmp_path / name), run)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCORES = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3)
SOLUTIONS = st.builds(
    Solution, TEXT, st.none() | TEXT, st.sampled_from(sorted({*GRADES} - {"partial"})), SCORES,
    st.integers(0, 2**63 - 1), other_scores=st.dictionaries(TEXT, SCORES, max_size=2),
)  # fmt: skip
CALLS = st.builds(
    lambda role, model, counts, cached, reason, seconds: Call(
        role, model, sum(counts[:2]), counts[2], counts[0], min(cached, counts[0]) if cached % 3 else None,
        counts[1],
        finish_reason=reason, seconds=seconds, thinking_tokens=min(cached, counts[2]) if cached % 2 else None,
    ),
    st.sampled_from(ROLES), TEXT, st.tuples(*[st.integers(0, 10**9)] * 3), st.integers(0), TEXT,
    st.floats(0, 1e9),
)  # fmt: skip


@settings(QUICK, max_examples=10)
@given(
    st.lists(
        st.tuples(TEXT, st.lists(CALLS, min_size=1, max_size=3), st.lists(SOLUTIONS, min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
        unique_by=lambda item: item[0],
    )
)
def test_any_run_reads_back_as_the_same_frames_in_every_format(tmp_path_factory, works):
    folder = tmp_path_factory.mktemp("run")
    run = record(folder / "run.sqlite", *((replace(UNIT, problem=p), c, s) for p, c, s in works))
    for write, name in FORMATS.values():
        write(run, folder / name)
        assert_same(read_run(folder / name), run)


@EACH_FORMAT
def test_an_export_replaces_the_one_before(tmp_path, write, name):
    old, new = record(tmp_path / "old.sqlite", work(1)), record(tmp_path / "new.sqlite", work(2), work(3))
    for run in (old, new):
        write(run, tmp_path / name)
        assert_same(read_run(tmp_path / name), run)
    assert sorted(os.listdir(tmp_path)) == sorted(["new.sqlite", "old.sqlite", name])


@EACH_FORMAT
def test_an_export_that_runs_out_of_room_leaves_the_old_one_as_it_was(tmp_path, write, name):
    old = record(tmp_path / "old.sqlite", work(1))
    text = random.Random(1).randbytes(300_000).hex()
    new = record(tmp_path / "new.sqlite", (UNIT, [], [replace(SOLUTION, text=text)]))
    write(old, tmp_path / name)
    with files_up_to(200_000):
        assert name in refusal(write, new, tmp_path / name)
    assert_same(read_run(tmp_path / name), old)
    write(new, tmp_path / name)
    assert len(read_run(tmp_path / name).solutions) == 1


@EACH_FORMAT
def test_an_export_that_breaks_half_way_leaves_the_old_one_as_it_was(tmp_path, write, name):
    old = record(tmp_path / "old.sqlite", work(1), work(2))
    write(old, tmp_path / name)
    broken = replace(old, solutions=old.solutions.assign(scores=[[0.5]] * 5 + [[object]]))
    with pytest.raises((ValueError, TypeError)):
        write(broken, tmp_path / name)
    assert_same(read_run(tmp_path / name), old)


@EACH_FORMAT
def test_an_export_to_a_place_of_another_kind_is_refused(tmp_path, write, name):
    run = record(tmp_path / "run.sqlite", work(1))
    place = tmp_path / name
    if write is write_jsonl:
        place.mkdir()
    else:
        place.write_text("a file")
    assert name in refusal(write, run, place)


def test_a_parquet_export_into_a_folder_with_other_files_deletes_none(tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with suppress(DataError):
        write_parquet(record(tmp_path / "run.sqlite", work(1)), folder)
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_is_run_tells_runs_from_counts(tmp_path):
    run = record(tmp_path / "run.sqlite", work(1))
    write_jsonl(run, tmp_path / "run.jsonl")
    write_parquet(run, tmp_path / "run")
    (tmp_path / "counts.jsonl").write_text('{"model": "a", "problem": "p", "n": 1, "correct": 0}\n')
    (tmp_path / "counts.csv").write_text("model,problem,n,correct\na,p,1,0\n")
    assert [is_run(tmp_path / name) for name in ("run.sqlite", "run.jsonl", "run")] == [True] * 3
    write_parquet(run, tmp_path / "study/samples")
    assert is_run(tmp_path), "a folder with a run.sqlite"
    assert is_run(tmp_path / "study")
    assert read_run(tmp_path / "study").units.equals(run.units)
    others = ("counts.jsonl", "counts.csv", "nothing.jsonl", "nothing", "..")
    assert [is_run(tmp_path / name) for name in others] == [False] * 5


@pytest.fixture
def lines(tmp_path):
    """The lines of a JSONL file of two units, as objects, and the file."""
    write_jsonl(record(tmp_path / "run.sqlite", work(1), work(2)), tmp_path / "run.jsonl")
    path = tmp_path / "run.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()], path


def refused_lines(path, lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    message = refusal(read_run, path)
    assert str(path) in message
    return message


def test_a_jsonl_file_that_was_cut_off_is_refused_by_its_line(lines):
    (first, second), path = lines
    cut = json.dumps(second)
    for kept in (1, len(cut) // 2, len(cut) - 1):
        assert "line 2" in refused_lines(path, [first, cut[:kept]])


@pytest.mark.parametrize("line", ["", "[]", "3", "null", '"text"', "{}", '{"unit": {}}', '{"unit": 5}'])
def test_a_jsonl_line_that_is_no_unit_is_refused_by_its_number(lines, line):
    (first, second), path = lines
    assert "line 2" in refused_lines(path, [first, line, second])


@pytest.mark.parametrize("table", ["calls", "solutions"])
@pytest.mark.parametrize("value", [None, 5, [5], "absent"], ids=str)
def test_a_jsonl_line_with_a_bad_table_is_refused_by_its_number(lines, table, value):
    (first, second), path = lines
    second[table] = value
    if value == "absent":
        del second[table]
    assert "line 2" in refused_lines(path, [first, second])


@pytest.mark.parametrize(
    ("table", "column"), [("units", "task"), ("calls", "reusable_tokens"), ("solutions", "grade")]
)
def test_a_column_that_jsonl_lacks_is_named(lines, table, column):
    (first, second), path = lines
    for line in (first, second):
        for row in [line["unit"]] if table == "units" else line[table]:
            del row[column]
    assert column in refused_lines(path, [first, second])


@pytest.mark.parametrize(
    ("table", "column"), [("units", "task"), ("calls", "scored_tokens"), ("solutions", "grade")]
)
def test_a_field_that_one_jsonl_line_lacks_is_named(lines, table, column):
    (first, second), path = lines
    row = second["unit"] if table == "units" else second[table][0]
    del row[column]
    assert column in refused_lines(path, [first, second])


@pytest.mark.parametrize("tokens", ["many", -5, 1.5, True, 2**63])
def test_a_token_count_that_cannot_be_is_refused_on_import(lines, tokens):
    (first, second), path = lines
    second["calls"][0]["prompt_tokens"] = tokens
    assert "prompt_tokens" in refused_lines(path, [first, second])


def test_a_unit_that_jsonl_holds_twice_is_refused(lines):
    (first, second), path = lines
    assert first["unit"]["key"] in refused_lines(path, [first, second, first])


@pytest.mark.parametrize("content", [bytes(range(256)), b"\xff\xfe"], ids=["all bytes", "UTF-16"])
def test_a_jsonl_file_that_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "run.jsonl").write_bytes(content)
    assert "run.jsonl" in refusal(read_run, tmp_path / "run.jsonl")


@pytest.mark.parametrize("name", ["nothing.jsonl", "nothing", "nothing.sqlite", "nothing.db"])
def test_a_missing_run_is_named(tmp_path, name):
    assert name in refusal(read_run, tmp_path / name)


@pytest.fixture
def exported(tmp_path):
    write_parquet(record(tmp_path / "run.sqlite", work(1), work(2)), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kept", [None, 0, 0.5, 0.99])
def test_a_missing_or_truncated_parquet_table_is_named(exported, table, kept):
    path = exported / f"{table}.parquet"
    if kept is None:
        path.unlink()
    else:
        os.truncate(path, int(path.stat().st_size * kept))
    assert str(path) in refusal(read_run, exported)


@pytest.mark.parametrize(
    ("table", "column"), [("units", "key"), ("calls", "cached_tokens"), ("solutions", "scores")]
)
def test_a_column_that_a_parquet_table_lacks_is_named(exported, table, column):
    path = exported / f"{table}.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path)
    message = refusal(read_run, exported)
    assert str(path) in message
    assert f"lacks {table} column {column};" in message


@pytest.mark.parametrize("scores", [None, 0.5])
def test_a_scores_column_without_lists_is_refused(exported, scores):
    path = exported / "solutions.parquet"
    pd.read_parquet(path).assign(scores=scores).to_parquet(path)
    assert "scores" in refusal(read_run, exported)


def test_columns_of_other_programs_are_left_out(exported):
    run = read_run(exported)
    run.calls.assign(gpu="H100").to_parquet(exported / "calls.parquet")
    assert_same(read_run(exported), run)


# Others' samples, through the store


@pytest.fixture(scope="module")
def crucible(shared_data, tmp_path_factory):
    """Twenty GSM8K problems, eight samples each, with token counts and verifier scores."""
    found = json.loads((shared_data("crucible") / "gsm8k-bestofn.json").read_text())
    model = found["meta"]["policy"]
    with RunStore(tmp_path_factory.mktemp("crucible") / "run.sqlite") as store:
        for problem in found["records"]:
            unit = Unit("crucible", "gsm8k", problem["problem_id"], "policy", model, "parallel", budget=8)
            traces = list(enumerate(problem["traces"]))
            calls = [
                Call("policy", model, 0, trace["tokens"], 0, sample=i, cached_tokens=0) for i, trace in traces
            ]
            store.append(unit, calls, [graded(i, trace) for i, trace in traces])
        return store.read()


def graded(sample, trace):
    grade = "right" if trace["correct"] else "wrong"
    return Solution(trace["text"], None, grade, scores=[trace["prm_score"]], sample=sample)


@pytest.mark.parametrize(("n", "solved"), [(1, 8), (2, 12), (4, 15), (8, 18)])
def test_crucible_oracle_over_the_first_samples(crucible, n, solved):
    first = crucible.solutions.loc[crucible.solutions["sample"] < n]
    assert (first["grade"] == "right").groupby(first["unit"]).any().sum() == solved


@pytest.mark.parametrize(("n", "solved"), [(1, 8), (2, 10), (4, 12), (8, 12)])
def test_crucible_best_of_the_first_samples_by_verifier_score(crucible, n, solved):
    first = crucible.solutions.loc[crucible.solutions["sample"] < n]
    best = first["scores"].str[-1].groupby(first["unit"]).idxmax()
    assert (first.loc[best, "grade"] == "right").sum() == solved


@pytest.mark.parametrize(("n", "tokens"), [(1, 367.25), (2, 674.65), (4, 1380.8), (8, 2818.25)])
def test_crucible_generated_tokens_a_problem(crucible, n, tokens):
    first = crucible.calls.loc[crucible.calls["sample"] < n]
    assert first["generated_tokens"].sum() / 20 == tokens
