"""A process that grades answers of one kind: a JSON line in, a JSON line out. Run as a script, not imported.

It is run on its own, not forked, so that it holds nothing of the run that asks. Should it compute without end
(10^(10^10) is easily written), whoever asked kills it, and should nobody be left to do so, an alarm of the kernel.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import TextIO

from scalinglab.tasks.kinds import kind_of

_MEMORY = 4 * 2**30
"""Bytes that one grade may take before it fails."""


def serve(name: str, requests: TextIO, answers: TextIO) -> None:
    """Answer lines [gold, given, seconds] with [grade, answer] until they end; the first line says "ready".

    Without an answer given, the grade is "right" where the right answer can be read, else "error".
    Raises whatever a kind does where it cannot be used at all.
    """
    logging.disable()
    kind = kind_of(name)
    if name == "math":
        import math_verify  # noqa: F401  # the import takes long, or fails where the installation is broken
    print(json.dumps("ready"), file=answers, flush=True)
    for line in requests:
        gold, given, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = ("right" if kind.readable(gold) else "error", gold) if given is None else kind.grade(gold, given)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve on stdin and stdout. Where it cannot, the first line says why."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(ValueError, OSError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        serve(sys.argv[1], sys.stdin, answers)
    except Exception as error:
        print(json.dumps(str(error)), file=answers, flush=True)


if __name__ == "__main__":
    main()
