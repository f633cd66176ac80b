"""A process that grades answers by math-verify: a JSON line in, a JSON line out. Run as a script, not imported.

It is run on its own, not forked, so that it holds nothing of the run that asks. Should it compute without end
(10^(10^10) is easily written), whoever asked kills it, and should nobody be left to do so, an alarm of the kernel.
"""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any, TextIO

_MEMORY = 4 * 2**30
"""Bytes that one grade may take before it fails."""
_WORDS = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]+)*")
"""Read as words: to math-verify letters in a row are a product, by which "listen" would equal "silent"."""


def grade(gold: str, given: str) -> tuple[str, str]:
    """One of ``samples.GRADES`` for an answer against the right one, and the answer written in one way.

    ``unparsed`` is what math-verify can read as nothing mathematical, and is not the right answer to the letter.
    Both are read as the inside of a \\boxed{}. An exception is an "error": it says nothing about the answer.
    """
    try:
        said = _compare(gold, given)
    except Exception:
        return "error", given
    with suppress(Exception):  # what cannot be written in another way stays as it is
        return said, _written(given)
    return said, given


def _compare(gold: str, given: str) -> str:
    from math_verify import verify

    if given == gold:
        return "right"
    known, read = _parse(gold), _parse(given)
    if not _mathematical(known):
        raise ValueError(f"the reference {gold!r} cannot be read")
    if not _mathematical(read):
        return "unparsed"
    # Not symmetric: the right answer comes first.
    return "right" if verify(known, read, timeout_seconds=None, raise_on_error=True) else "wrong"


@lru_cache(maxsize=4096)
def _parse(text: str) -> list[Any]:
    """What math-verify reads: an expression and the text itself; the text alone; or nothing."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    inner = f"\\text{{{text}}}" if _WORDS.fullmatch(text) else text
    form = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
    found: list[Any] = parse(
        f"\\boxed{{{inner}}}", extraction_config=form, parsing_timeout=None, raise_on_error=True
    )
    return found


def _mathematical(found: list[Any]) -> bool:
    return bool(found) and not isinstance(found[0], str)


def _written(text: str) -> str:
    """Equal answers in one way wherever that is simple, so that 0.5 and \\frac{1}{2} vote together."""
    import sympy

    read = _parse(text)
    if not _mathematical(read):
        return text
    value = read[0].doit()
    if isinstance(value, sympy.Eq) and value.lhs.is_Symbol:
        value = value.rhs
    return str(value.xreplace({x: sympy.nsimplify(x, rational=True) for x in value.atoms(sympy.Float)}))


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer lines [gold, given, seconds] with [grade, answer] until they end; the first line says "ready".

    Raises whatever math-verify does where it cannot be used at all.
    """
    logging.disable()
    _compare("1", "\\frac{2}{2}")  # the first takes long, or fails where the installation is broken
    print(json.dumps("ready"), file=answers, flush=True)
    for line in requests:
        gold, given, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = grade(gold, given)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve on stdin and stdout. Where it cannot, the first line says why."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(ValueError, OSError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        serve(sys.stdin, answers)
    except Exception as error:
        print(json.dumps(str(error)), file=answers, flush=True)


if __name__ == "__main__":
    main()
