"""A collection stopped while its engine starts: it ends within seconds, and leaves no process behind.

The engine is a vLLM of a few lines that starts as the real one does: some seconds of importing, then a forked
process that is waited for, for minutes.
"""

import os
import signal
import textwrap
import time

import pytest
from processes import alive, collecting, family

SECONDS = 60
STUDY = """
name = "one"
[task]
kind = "testbed"
levels = [[2, 1]]
count = 1
[models.small]
model = "testbed/base/small"
[[strategies]]
name = "greedy"
"""
VLLM = {
    "__init__": "class AsyncEngineArgs:\n    def __init__(self, **_): pass",
    "platforms": "from types import SimpleNamespace\ncurrent_platform = SimpleNamespace(is_cpu=lambda: True)",
    "v1/engine/async_llm": """
        import multiprocessing
        import time

        class AsyncLLM:
            @classmethod
            def from_engine_args(cls, _):
                print("waiting", flush=True)
                engine = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,))
                engine.start()
                engine.join()
                raise RuntimeError("Engine core initialization failed")
    """,
}
SLOW = "import time; print('importing', flush=True); time.sleep(300)"


@pytest.fixture
def starting(tmp_path):
    """Collects with such a vLLM, and waits until it has come so far."""

    def start(until):
        for name, text in VLLM.items():
            path = tmp_path / "stub/vllm" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text) + "\n" + (SLOW if until == "importing" else ""))
        (tmp_path / "study.toml").write_text(STUDY)
        process = collecting(tmp_path / "study.toml", tmp_path / "run", first=[tmp_path / "stub"])
        said = ""
        while until not in said:
            said = process.stdout.readline()
            assert said, "it ended"
        return process

    return start


def ended(pids):
    begun = time.monotonic()
    while alive(pids) and time.monotonic() < begun + SECONDS:
        time.sleep(0.05)
    return not alive(pids)


@pytest.mark.parametrize(
    ("until", "by"), [("importing", signal.SIGTERM), ("waiting", signal.SIGINT), ("waiting", signal.SIGTERM)]
)
def test_ctrl_c_or_a_kill_ends_a_start_with_one_line(until, by, starting):
    with starting(until) as process:
        time.sleep(0.5)
        pids = family(process.pid)
        assert len(pids) >= (2 if until == "waiting" else 0), "its engine, and the guard"
        os.kill(process.pid, signal.SIGSTOP)  # its engine hears of it first
        os.killpg(process.pid, by)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert said.startswith("scalinglab: stopped; nothing done is lost: `scalinglab collect ")
    assert said.count("\n") == 1
    assert ended(pids)


def test_a_start_that_is_killed_outright_leaves_no_engine(starting):
    with starting("waiting") as process:
        time.sleep(0.5)
        pids = family(process.pid)
        assert len(pids) >= 2
        process.kill()
    assert ended(pids)
