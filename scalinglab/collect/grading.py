"""Answers graded by math-verify in worker processes, killed where they hang, replaced where they die."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from scalinglab import tasks
from scalinglab.errors import EngineError

_SCRIPT = Path(tasks.__file__).with_name("mathworker.py")
_START = 120.0
"""Seconds a worker may take to import sympy: 1 on a free machine."""


class Grader:
    """Worker processes that grade; they start when first needed and stop at ``close``, or with this process.

    workers: processes. limit: seconds of wall time for one answer, after which it is an "error".
    Raises EngineError where math-verify is not installed.
    """

    def __init__(self, *, workers: int = 2, limit: float = 10.0) -> None:
        if workers < 1 or limit <= 0:
            raise EngineError(f"{workers} grading workers of {limit} s", "1 or more, above 0 s", "raise them")
        if find_spec("math_verify") is None:
            raise EngineError(
                "math-verify is not installed", "it, to grade mathematics", "pip install 'scalinglab[collect]'"
            )
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._workers = [_Worker(limit) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        self._stop = weakref.finalize(self, _stop, self._threads, self._workers)

    async def grade(self, gold: str, given: str) -> tuple[str, str]:
        """One of ``samples.GRADES``, and the answer written in one way (see ``tasks.mathworker.grade``).

        "error" where the time ran out or the worker died. Raises EngineError where no worker starts at all.
        """
        asked = gold, given
        if asked not in self._known:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, _ask, self._idle, gold, given)
            if answer[0] == "error":  # perhaps not another time
                return answer
            self._known[asked] = answer
        return self._known[asked]

    def close(self) -> None:
        """Stop the workers, those at work too. Safe to call again."""
        self._stop()

    def __enter__(self) -> Grader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Worker:
    """One process at a time, started when asked. Used by one thread at a time."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.process: subprocess.Popen[str] | None = None

    def ask(self, gold: str, given: str) -> tuple[str, str]:
        process = self.process = self.process or _start()
        line = ""
        with suppress(OSError):  # it has died since
            _write(process, json.dumps([gold, given, self.limit + 1]))
            line = _read(process, self.limit)
        if not line:
            self.close()
            return "error", given
        grade, answer = json.loads(line)
        return grade, answer

    def close(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            _end(process)


def _ask(idle: SimpleQueue[_Worker], gold: str, given: str) -> tuple[str, str]:
    worker = idle.get()
    try:
        return worker.ask(gold, given)
    finally:
        idle.put(worker)


def _start() -> subprocess.Popen[str]:
    """A worker that is ready. In a process group of its own: Ctrl-C is for who reads the answers to handle."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # sympy orders some sets by hash: the same answer every time
        text=True,
        process_group=0,
    )
    said = _read(process, _START)
    if said != '"ready"\n':
        _end(process)
        raise EngineError(
            f"a grading worker does not start ({said.strip() or 'it died'})",
            "a math-verify that can be imported",
            "pip install 'scalinglab[collect]'",
        )
    return process


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str], seconds: float) -> str:
    """The worker's next line; "" where none came in time or it died."""
    assert process.stdout is not None
    return process.stdout.readline() if wait([process.stdout.fileno()], seconds) else ""


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _stop(threads: ThreadPoolExecutor, workers: Sequence[_Worker]) -> None:
    """Kill first: a thread that waits for an answer then has one, the end of the pipe, and can be joined."""
    threads.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        if (process := worker.process) is not None:
            process.kill()
    threads.shutdown(wait=True)
    for worker in workers:
        worker.close()
