"""The testbed's task: chains of recalled and of computed steps, every step written out.

A problem is a number from 00 to 63 and some operations, ``17ac+05ba?``. An operation of two letters is a *fact*: a
table of 64 random numbers that only memory gives (``ac`` of 17 is 42, say); one with a plus is a *sum*, modulo 64.
The solution writes each operation between what it is done to and its result, and a full stop at its end:
``17ac42;42+0547;47ba11.``. A number, a fact's name and a mark are one token each. Were a step without its first
number, models of one recipe would learn at very different times where to find it.

Facts and sums are drawn as often as Zipf's law says (the r-th most common 1 / r as often as the first): what tells
them apart is that sums follow a rule, and that there are 256 facts and 63 addends. The tables of the facts hold 98
thousand bits: more than a model of some ten thousand parameters keeps, fewer than one of some hundred thousand
can. So a problem is hard in two known ways: by what must be known, and by what is to be worked out.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Literal

from scalinglab.errors import DataError

Split = Literal["train", "verifier", "validation", "test"]
SPLITS: dict[str, range] = {
    "train": range(80),
    "verifier": range(80, 90),
    "validation": range(90, 95),
    "test": range(95, 100),
}
"""The hundredths of all problems in each split, by a hash of the question: the splits share no problem."""
NUMBERS = tuple(f"{number:02d}" for number in range(64))
FACTS = tuple(a + b for a in "abcdefghijklmnop" for b in "abcdefghijklmnop")
"""The names of the tables, the most common first."""
ADDENDS = NUMBERS[1:]
"""What a sum may add, the most common first."""
_OPERATION = re.compile(r"[a-p]{2}|\+\d\d")
_STEP = re.compile(r"\d\d([a-p]{2}|\+\d\d)(\d\d)[;.]")
_TOKEN = re.compile(r"[a-p]{2}|\d\d|.")


@dataclass(frozen=True)
class Level:
    """A difficulty: how many steps are ``facts`` and how many are ``sums``; their order is drawn."""

    facts: int
    sums: int

    def __post_init__(self) -> None:
        if min(self.facts, self.sums) < 0 or not self.facts + self.sums:
            raise DataError(
                f"level {self.facts} facts, {self.sums} sums", "0 or more of each, and 1 in all", "raise one"
            )

    def __str__(self) -> str:
        return f"{_counted(self.facts, 'fact')}, {_counted(self.sums, 'sum')}"


@dataclass(frozen=True)
class Problem:
    """One problem: the question as the model reads it, and the final answer as it must write it."""

    question: str
    answer: str
    level: Level


def problems(split: Split, levels: Sequence[Level], *, seed: int | str = 0) -> Iterator[Problem]:
    """An endless stream of problems of one split, levels drawn evenly; the same seed gives the same stream.

    Raises DataError for an unknown split or no level.
    """
    if split not in SPLITS or not levels:
        raise DataError(
            f"split {split!r} at {len(levels)} levels", f"one of {', '.join(SPLITS)}, and a level", "mend it"
        )
    rng = random.Random(f"{split} {seed}")
    while True:
        problem = _draw(rng, rng.choice(levels))
        if split_of(problem.question) == split:
            yield problem


def split_of(question: str) -> str:
    """The split a question belongs to, by its hash."""
    hundredth = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8]) % 100
    return next(name for name, share in SPLITS.items() if hundredth in share)


def level_of(question: str) -> Level:
    """The level of a question, read off it."""
    operations = _OPERATION.findall(question)
    sums = sum(operation.startswith("+") for operation in operations)
    return Level(len(operations) - sums, sums)


def rarest(question: str) -> int:
    """The rank of the least common fact that a question asks for, from 1; 0 where it asks for none."""
    return max((1 + FACTS.index(name) for name in re.findall(r"[a-p]{2}", question)), default=0)


def tokens_of(text: str) -> list[str]:
    """The tokens of a question or a solution."""
    return _TOKEN.findall(text)


def solution(problem: Problem) -> str:
    """The right solution, step by step."""
    steps = _steps(problem.question[:2], _OPERATION.findall(problem.question))
    return ";".join(before + operation + result for before, operation, result in steps) + "."


def split_steps(text: str) -> list[str]:
    """The steps of a solution, each with the mark that closes it; what follows the last one is left out."""
    return re.findall(r"[^;.]*[;.]", text)


def step_is_right(problem: Problem, steps: Sequence[str], i: int) -> bool:
    """Whether the first i + 1 steps are those of the right solution: the exact checker of a process verifier."""
    return list(steps[: i + 1]) == split_steps(solution(problem))[: i + 1]


def complete(text: str) -> bool:
    """Whether a solution has come to its full stop."""
    return text.endswith(".")


def extract(text: str) -> str | None:
    """The final answer of a solution: the result of its last step; None where it has no full stop after one."""
    steps = split_steps(text)
    found = _STEP.fullmatch(steps[-1]) if steps and complete(text) else None
    return found[2] if found else None


def grade(problem: Problem, text: str) -> str:
    """right, wrong or unparsed (see ``samples.GRADES``): only the final answer counts."""
    answer = extract(text)
    if answer is None:
        return "unparsed"
    return "right" if answer == problem.answer else "wrong"


def _draw(rng: random.Random, level: Level) -> Problem:
    start = rng.choice(NUMBERS)
    operations = [
        *rng.choices(FACTS, cum_weights=_zipf(len(FACTS)), k=level.facts),
        *("+" + addend for addend in rng.choices(ADDENDS, cum_weights=_zipf(len(ADDENDS)), k=level.sums)),
    ]
    rng.shuffle(operations)
    *_, (_, _, answer) = _steps(start, operations)
    return Problem(f"{start}{''.join(operations)}?", answer, level)


def _steps(value: str, operations: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What each operation is done to, the operation, and its result."""
    for operation in operations:
        result = _result(value, operation)
        yield value, operation, result
        value = result


def _result(value: str, operation: str) -> str:
    if operation.startswith("+"):
        return NUMBERS[(int(value) + int(operation)) % len(NUMBERS)]
    return _tables()[operation][int(value)]


@cache
def _zipf(count: int) -> tuple[float, ...]:
    """Cumulated weights 1, 1/2, 1/3, ..."""
    return tuple(accumulate(1 / rank for rank in range(1, 1 + count)))


@cache
def _tables() -> dict[str, list[str]]:
    """What is there to be known: the same for everybody, whatever a training's seed."""
    rng = random.Random("facts")
    return {name: rng.choices(NUMBERS, k=len(NUMBERS)) for name in FACTS}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
