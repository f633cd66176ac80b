"""What signals do to a verb that works for long: it ends in one line that says how to go on, with exit code 1."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import typer

_T = TypeVar("_T")


class Stop:
    """Ctrl-C lets units in flight end, where there are any; a second one, SIGTERM or SIGHUP stops at once, and one
    more does not wait for engines to close: what is finished is on disk, and they end with this process.

    then: how to go on, in words. in_flight: whether units are. gently: set once no unit shall be begun. Processes
    forked by vLLM inherit this handler; there a signal does what it does by default.
    """

    def __init__(self, then: str) -> None:
        self.then = then
        self.in_flight, self.asked = False, False
        self.gently = asyncio.Event()
        self._at_once = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._process = os.getpid()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What the work returns; CancelledError or KeyboardInterrupt where it is stopped at once."""

        async def main() -> _T:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            return await work

        try:
            return asyncio.run(main())
        finally:
            self.in_flight = False

    def __call__(self, number: int, _: object) -> None:
        if os.getpid() != self._process:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._at_once:
            self.say()
            os._exit(1)
        if self.in_flight and self._loop and number == signal.SIGINT and not self.asked:
            self.asked = True
            self._loop.call_soon_threadsafe(self.gently.set)
            return _say("\nscalinglab: ending what is in flight; Ctrl-C again to stop at once")
        self.asked = self._at_once = True
        if self._loop is not None:  # what ends late has nobody to tell
            self._loop.set_exception_handler(lambda *_: None)
        if not (self.in_flight and self._loop and self._task):
            raise KeyboardInterrupt  # vLLM, while it is imported, blocks the loop
        self._loop.call_soon_threadsafe(self._task.cancel)
        return None

    def say(self) -> None:
        """The one line."""
        _say(f"scalinglab: stopped; {self.then}")


@contextmanager
def stoppable(then: str) -> Iterator[Stop]:
    """Within, signals do what a ``Stop`` says. A SIGHUP that is ignored, as by nohup, stays so."""
    stop, before = Stop(then), {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield stop
    except BaseException:
        if not stop.asked:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stop.asked else handler)  # this process ends as it was told
    if stop.asked:
        stop.say()
        raise typer.Exit(1)


def _say(line: str) -> None:
    """On stderr without its buffer, which a handler may find in use; the terminal may be gone."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
