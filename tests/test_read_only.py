"""Runs on disks and in folders that cannot be written are read as any other, and nothing of them is lost."""

import asyncio
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.samples import Call, RunStore, Solution, Unit, read_run
from scalinglab.study import export_run, status_of

UNIT = Unit("run", "math", "p", "policy", "small", "parallel", {"samples": 1})
CALL = Call("policy", "small", 12, 5, 10, 0)
SOLUTION = Solution("It is 4.", "4", "right")


def fill(path, numbers):
    with RunStore(path) as store:
        for number in numbers:
            assert store.append(replace(UNIT, problem=f"p{number}"), [CALL], [SOLUTION])


def break_off(path, numbers):
    """Append in a child that ends without closing, so that its rows are in the log alone."""

    def child():
        store = RunStore(path)
        for number in numbers:
            store.append(replace(UNIT, problem=f"p{number}"), [CALL], [SOLUTION])
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0


@pytest.fixture
def sealed():
    """Makes a folder read-only by mounting it so, even for root."""
    folders = []

    def seal(folder):
        mount = ["mount", "--bind", str(folder), str(folder)]
        again = ["mount", "-o", "remount,ro,bind", str(folder)]
        if os.geteuid() != 0 or any(
            subprocess.run(m, check=False, capture_output=True).returncode for m in (mount, again)
        ):
            pytest.skip("a read-only disk needs root and the right to mount one")
        folders.append(folder)
        return folder

    yield seal
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_a_finished_run_on_a_read_only_disk_is_read(run, sealed):
    fill(run / "run.sqlite", range(3))
    sealed(run)
    assert len(read_run(run).units) == status_of(run).done == 3
    assert os.listdir(run) == ["run.sqlite"]


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without"])
def test_rows_in_the_log_of_a_read_only_disk_are_read(run, sealed, index):
    fill(run / "run.sqlite", [0])
    break_off(run / "run.sqlite", [1, 2])
    if not index:
        (run / "run.sqlite-shm").unlink()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    sealed(run)
    assert len(read_run(run).units) == 3
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_it_is_told_of_compared_and_exported_from_a_read_only_disk(run, tmp_path, sealed):
    with RunStore(run / "run.sqlite") as store:
        for problem in "abcd":
            for role in ("policy", "large"):
                unit = replace(UNIT, problem=problem, role=role, model=role)
                store.append(unit, [replace(CALL, role=role, model=role)], [SOLUTION])
    sealed(run)
    specs = "--spec policy=Qwen2.5-0.5B --spec large=Qwen2.5-7B"
    verbs = (
        "status RUN",
        f"curve RUN --k 1 {specs}",
        f"exchange RUN --bins 1 --r 22 {specs}",
        "export RUN --out OUT",
    )
    for verb in verbs:
        done = CliRunner().invoke(app, verb.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")).split())
        assert done.exit_code == 0, (verb, done.output, done.exception)
    assert len(read_run(tmp_path / "out").solutions) == 8


def test_a_run_in_somebody_elses_folder_is_read_by_another_user_while_it_is_collected(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(shutil.copytree(tmp_path, Path("/tmp") / f"scalinglab-{os.getpid()}"))
    folder.chmod(0o755)
    path = folder / "run.sqlite"
    try:
        fill(path, [0])
        assert seen_by_nobody(path) == 1
        with RunStore(path) as store:
            store.append(replace(UNIT, problem="p1"), [CALL], [SOLUTION])
            assert seen_by_nobody(path) == 2
        assert sorted(os.listdir(folder)) == ["run.sqlite"]
    finally:
        shutil.rmtree(folder)


def seen_by_nobody(path):
    """How many units a process without rights to the folder reads there; -1 where it fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            os.write(writing, str(len(read_run(path).units)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return int(said.read() or -1)


def test_a_file_that_changes_while_it_is_read_as_one_that_does_not_is_refused(run, sealed):
    fill(run / "run.sqlite", range(3))
    sealed(run)
    with RunStore(run / "run.sqlite", write=False) as store:
        subprocess.run(["mount", "-o", "remount,rw,bind", str(run)], check=True)
        fill(run / "run.sqlite", [3])
        with pytest.raises(
            DataError, match="changed while it was read; expected one that does not; read it again"
        ):
            store.read()


def test_a_reader_writes_nothing_and_leaves_nothing(run):
    fill(run / "run.sqlite", range(3))
    before = (run / "run.sqlite").read_bytes()
    with RunStore(run / "run.sqlite", write=False) as store:
        with pytest.raises(DataError, match="readonly"):
            store.append(UNIT, [], [])
        assert len(store.read().units) == 3
    assert os.listdir(run) == ["run.sqlite"]
    assert (run / "run.sqlite").read_bytes() == before


def test_parts_are_of_one_moment_while_another_writes(run):
    path = run / "run.sqlite"
    fill(path, range(40))
    more = threading.Thread(target=fill, args=(path, range(40, 60)))
    with RunStore(path, write=False) as store:
        parts = store.parts(10)
        first = next(parts)
        more.start()
        more.join()
        units = [first, *parts]
    assert len(units) > 5
    assert sum(len(part.units) for part in units) == sum(len(part.calls) for part in units) == 40
    assert len(read_run(path).units) == 60
    assert {len(part.units) for part in units[:-1]} == {4}


def test_parts_together_are_the_run(run):
    fill(run / "run.sqlite", range(25))
    with RunStore(run / "run.sqlite", write=False) as store:
        parts, whole = list(store.parts(6)), store.read()
    for table in ("units", "calls", "solutions"):
        keys = [key for part in parts for key in getattr(part, table)["key" if table == "units" else "unit"]]
        assert keys == list(getattr(whole, table)["key" if table == "units" else "unit"])
    export_run(run, run.parent / "out", command=[])
    exported = read_run(run.parent / "out")
    for table in ("units", "calls", "solutions"):
        assert getattr(exported, table).equals(getattr(whole, table))


def test_a_collector_is_not_held_up_by_a_reader(run):
    async def collect():
        with RunStore(run / "run.sqlite", write=False) as reader:
            parts = reader.parts(1)
            next(parts)
            fill(run / "run.sqlite", range(10, 20))
            return sum(1 for _ in parts)

    fill(run / "run.sqlite", range(5))
    assert asyncio.run(collect()) == 4


def test_an_export_that_finds_no_room_leaves_what_was_there(run, small_disk):
    fill(run / "run.sqlite", range(3))
    out = small_disk / "out"
    export_run(run, out, command=[])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with RunStore(run / "run.sqlite") as store:
        text = os.urandom(1_600_000).hex()
        store.append(replace(UNIT, problem="long"), [CALL], [replace(SOLUTION, text=text)])
    for place in (out, small_disk / "new"):
        with pytest.raises(DataError, match=f"cannot write {place}"):
            export_run(run, place, command=[])
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert os.listdir(small_disk) == ["out"]


def test_an_export_without_a_part_is_the_same_run_otherwise(run, tmp_path):
    fill(run / "run.sqlite", range(3))
    export_run(run, tmp_path / "out", command=[], without=["seconds", "texts"])
    whole, found = read_run(run), read_run(tmp_path / "out")
    assert found.calls["seconds"].isna().all()
    assert (found.solutions[["text", "thinking"]] == "").all(axis=None)
    for table, gone in (("calls", ["seconds"]), ("solutions", ["text", "thinking"]), ("units", [])):
        one, other = (getattr(read, table).drop(columns=gone).astype(str) for read in (whole, found))
        assert one.equals(other)


def test_only_known_parts_can_be_left_out_of_an_export(run, tmp_path):
    fill(run / "run.sqlite", range(3))
    with pytest.raises(DataError, match="an export without 'tokens'; expected seconds or texts"):
        export_run(run, tmp_path / "out", command=[], without=["tokens"])
    records = ["export", str(run), "--out", str(tmp_path / "out"), "--as", "every-eval-ever", "--without", "texts"]
    with pytest.raises(DataError, match="records of every-eval-ever without texts; expected a run"):
        CliRunner().invoke(app, records, catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_an_export_of_a_run_that_cannot_be_read_writes_nothing(run, tmp_path):
    fill(run / "run.sqlite", range(3))
    with closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        db.execute("UPDATE solutions SET grade = 'great'")
    with pytest.raises(DataError, match="solutions column grade is 'great'"):
        export_run(run, tmp_path / "out", command=[])
    assert not (tmp_path / "out").exists()
