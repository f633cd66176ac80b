"""What reaches a terminal: text whose control characters are seen and not obeyed, and one line for any error."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn

from scalinglab import __version__
from scalinglab.errors import ScalingLabError
from scalinglab.names import escape

_OBEYED = r"\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_COLOURS = r"\x1b(?!\[[0-9;]{0,16}m)"
"""Colours pass: they are the command's own."""
_OUT = re.compile(rf"[{_OBEYED}\r]|{_COLOURS}")
_ERR = re.compile(rf"[{_OBEYED}]|{_COLOURS}(?!\[A)")
"""A progress bar returns to the beginning of its line, and moves up one."""
_SAY_AFTER = 2.0
"""Seconds."""
_LIMITS = {
    OverflowError: "a number is too large; expected fewer digits; mend it",
    MemoryError: "not enough memory for these data; expected what fits; "
    "compare fewer problems, models or budgets at a time",
}


class _Plain:
    """A stream of text on which control characters are written as their escapes.

    first: called before anything is written.
    """

    def __init__(self, stream: Any, obeyed: re.Pattern[str]) -> None:
        self._stream, self._obeyed = stream, obeyed
        self.first: Callable[[], None] = lambda: None

    def write(self, text: str) -> int:
        self.first()
        self._stream.write(self._obeyed.sub(escape, text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain() -> Iterator[None]:
    """Within, what is printed holds no control character but line ends, tabs and colours."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Plain(sys.stdout, _OUT), _Plain(sys.stderr, _ERR)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Within, until something is printed: a line on a terminal's stderr that tells for how long one has waited."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, _Plain)]
    if len(streams) < 2 or not sys.stderr.isatty():
        yield
        return
    err, done, begun = streams[1]._stream, Event(), monotonic()

    def tell() -> None:
        while not done.wait(_SAY_AFTER if monotonic() - begun < _SAY_AFTER else 0.5):
            err.write(f"\rscalinglab: {what}, {monotonic() - begun:.0f} s ")
            err.flush()

    teller = Thread(target=tell, daemon=True)

    def end() -> None:
        for stream in streams:
            stream.first = lambda: None
        done.set()
        teller.join()
        if monotonic() - begun > _SAY_AFTER:
            err.write("\r\x1b[K")

    for stream in streams:
        stream.first = end
    teller.start()
    try:
        yield
    finally:
        if not done.is_set():
            end()


@contextmanager
def one_line() -> Iterator[None]:
    """Every error within ends the process in one line on stderr, with exit code 1; Ctrl-C too."""
    try:
        yield
    except KeyboardInterrupt:
        stopped()
    except ScalingLabError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except tuple(_LIMITS) as error:
        _fail(next(said for kind, said in _LIMITS.items() if isinstance(error, kind)))
    except Exception as error:
        _fail(_unexpected(error, error.__traceback__))


def stopped() -> NoReturn:
    """End as Ctrl-C ends a verb that has nothing to go on with."""
    print("scalinglab: stopped; the same command begins anew", file=sys.stderr)
    sys.exit(1)


def _unexpected(error: Exception, trace: TracebackType | None) -> str:
    """What to say of an error that nobody foresaw; its details are in a file."""
    what = f"{type(error).__name__}: {error}"
    what = what if len(what) < 200 else f"{what[:200]}..."
    said = f"unexpected {what}; expected none, so this is a fault of scalinglab;"
    lines = [
        f"scalinglab {__version__}, Python {platform.python_version()}, {platform.platform()}",
        shlex.join(["scalinglab", *sys.argv[1:]]),
        *traceback.format_exception(type(error), error, trace),
    ]
    try:
        handle, name = tempfile.mkstemp(prefix="scalinglab-", suffix=".txt", text=True)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines))
    except OSError as full:
        return f"{said} its details could not be written ({full.strerror})"
    return f"{said} report it with {name}"


def _fail(message: str) -> NoReturn:
    print(f"scalinglab: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
