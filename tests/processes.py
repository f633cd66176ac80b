"""Studies run in processes of their own, as a terminal runs them, and what these leave behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent
PLAIN = "from scalinglab.cli import main; main()"


def collecting(toml, out, *, verb="collect", code=PLAIN, first=()):
    """A verb that collects, in a process group of its own, with both its outputs in one pipe."""
    paths = map(str, [*first, TESTS, TESTS.parent])
    return subprocess.Popen(
        [sys.executable, "-c", code, verb, str(toml), "--out", str(out)],
        env={**os.environ, "PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )


def family(pid):
    """The processes that a process has started, and those that they have."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return children + [one for child in children for one in family(child)]


def alive(pids, *, patience=10.0):
    """Those that still run when all have had time to end; a zombie, which nobody has reaped, does not."""
    until = time.monotonic() + patience
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
