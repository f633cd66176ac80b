"""Answers graded in worker processes, killed where they hang, replaced where they die."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from scalinglab import tasks
from scalinglab.errors import DataError, EngineError
from scalinglab.tasks.kinds import KINDS
from scalinglab.tasks.text import extract

_SCRIPT = Path(tasks.__file__).with_name("gradeworker.py")
_START = 120.0
"""Seconds a worker may take to import sympy: 1 on a free machine."""
_NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
"""A right answer that every kind but choice can read, without a process."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""An answer that is written in the one way already: of two, the same text is the same number."""


class Grader:
    """Worker processes that grade; they start when first needed and stop at ``close``, or with this process.

    workers: processes. limit: seconds of wall time for one answer, after which it is an "error". kind: of the
    answers, one of ``tasks.kinds.KINDS`` or a grader of one's own as module:function, imported by the workers.
    Raises DataError for another kind, EngineError where math-verify is needed and not installed.
    """

    def __init__(self, *, workers: int = 2, limit: float = 10.0, kind: str = "math") -> None:
        if workers < 1 or limit <= 0:
            raise EngineError(f"{workers} grading workers of {limit} s", "1 or more, above 0 s", "raise them")
        if kind not in KINDS and not all(kind.partition(":")):
            raise DataError(f"grading {kind!r}", f"{', '.join(KINDS)}, or module:function", "mend grading")
        if kind == "math" and find_spec("math_verify") is None:
            raise EngineError(
                "math-verify is not installed", "it, to grade mathematics", "pip install 'scalinglab[collect]'"
            )
        self.kind = kind
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._workers = [_Worker(limit, kind) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        self._stop = weakref.finalize(self, _stop, self._threads, self._workers)

    async def grade(self, gold: str, given: str) -> tuple[str, str]:
        """One of ``samples.GRADES``, and the answer written in one way (see ``tasks.kinds``).

        "error" where the time ran out or the worker died. Raises EngineError where no worker starts at all.
        """
        if self.kind in ("math", "number") and _INTEGER.fullmatch(gold) and _INTEGER.fullmatch(given):
            return "right" if given == gold else "wrong", given
        asked = gold, given
        if asked not in self._known:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, _ask, self._idle, gold, given)
            if answer[0] == "error":  # perhaps not another time
                return answer
            self._known[asked] = answer
        return self._known[asked]

    async def grade_text(
        self, gold: str, text: str, places: Sequence[str], *, cut: bool
    ) -> tuple[str, str | None]:
        """A solution's grade by the answer that stands in its text, and that answer as ``grade`` writes it.

        Where there is none: "unparsed", or "truncated" where the token limit ended the text (``cut``).
        """
        answer = extract(text, places, cut=cut)
        return ("truncated" if cut else "unparsed", None) if answer is None else await self.grade(gold, answer)

    def refuse_unreadable(self, golds: Mapping[str, str], where: str) -> None:
        """Refuse right answers, by problem, of which one cannot be read: no answer to it would ever be right.

        Raises DataError naming the first such problem, EngineError where no worker starts; both close the grader.
        """
        easy = self.kind != "choice"
        hard = [one for one, gold in golds.items() if not (easy and _NUMBER.fullmatch(gold))]
        try:
            said = list(self._threads.map(lambda one: _ask(self._idle, golds[one], None), hard))
            bad = [one for one, (grade, _) in zip(hard, said, strict=True) if grade == "error"]
            if bad:
                raise DataError(
                    f"{where}, problem {bad[0]!r}{f' (and {len(bad) - 1} more)' if len(bad) > 1 else ''}, "
                    f"has the right answer {golds[bad[0]]!r:.60}, which cannot be read",
                    f"an answer of kind {self.kind}",
                    "mend or drop the line, or choose another grading",
                )
        except BaseException:
            self.close()
            raise

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

    def __init__(self, limit: float, kind: str) -> None:
        self.limit, self.kind = limit, kind
        self.process: subprocess.Popen[str] | None = None

    def ask(self, gold: str, given: str | None) -> tuple[str, str]:
        process = self.process = self.process or _start(self.kind)
        line = ""
        with suppress(OSError):  # it has died since
            _write(process, json.dumps([gold, given, self.limit + 1]))
            line = _read(process, self.limit)
        if not line:
            self.close()
            return "error", given or gold
        grade, answer = json.loads(line)
        return grade, answer

    def close(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            _end(process)


def _ask(idle: SimpleQueue[_Worker], gold: str, given: str | None) -> tuple[str, str]:
    worker = idle.get()
    try:
        return worker.ask(gold, given)
    finally:
        idle.put(worker)


def _start(kind: str) -> subprocess.Popen[str]:
    """A worker that is ready. In a process group of its own: Ctrl-C is for who reads the answers to handle."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": _path(), "PYTHONHASHSEED": "0"},  # sympy orders some sets by hash
        text=True,
        process_group=0,
    )
    said = _read(process, _START)
    if said != '"ready"\n':
        _end(process)
        raise EngineError(
            f"a grading worker does not start ({said.strip() or 'it died'})",
            "a math-verify that can be imported" if kind == "math" else "a grader that can be imported",
            "pip install 'scalinglab[collect]'" if kind == "math" else "mend it, or put it on PYTHONPATH",
        )
    return process


def _path() -> str:
    """Where a worker looks for modules: as this process does, the current folder as what it is now."""
    return os.pathsep.join(
        dict.fromkeys([*filter(None, [os.environ.get("PYTHONPATH")]), *(p or os.getcwd() for p in sys.path)])
    )


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
