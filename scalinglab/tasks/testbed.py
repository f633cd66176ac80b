"""The testbed's task: chains of arithmetic, every step written out.

Digits are written least significant first and fixed in width, so that each character is one token and a carry
moves in writing order. A problem of width 2 with two steps, ((34 + 85) * 3) mod 100, reads ``43+58*3?``, and its
solution ``43+58=91;91*3=75;``: each step repeats its operands, so that it can be checked by itself.

Factors are 2 and 3. With factors up to 9 a small model learned sums and not the tables, and most of its mistakes
were products.

What is added or subtracted has any number of digits up to the width, filled up with zeros. Were all as long as the
width, a digit of the sum would say nothing about either operand alone, and models stay for long at guessing it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
_STEP = re.compile(r"(\d+)([-+*])(\d+)=(\d+)")


@dataclass(frozen=True)
class Level:
    """A difficulty: numbers of ``width`` digits (results modulo 10^width) and ``steps`` operations."""

    width: int
    steps: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.steps < 1:
            raise DataError(f"level {self.width} x {self.steps}", "a width and steps of 1 or more", "raise them")

    def __str__(self) -> str:
        return f"width {self.width}, {self.steps} steps" if self.steps > 1 else f"width {self.width}, 1 step"


@dataclass(frozen=True)
class Problem:
    """One problem: the question as the model reads it, and the final answer as it must write it."""

    question: str
    answer: str
    level: Level


def problems(split: Split, levels: Sequence[Level], *, seed: int = 0) -> Iterator[Problem]:
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


def solution(problem: Problem) -> str:
    """The right solution, step by step."""
    first, *operations = re.findall(r"[-+*]?\d+", problem.question)
    value, steps = first, []
    for operation in operations:
        result = _apply(value, operation[0], operation[1:])
        steps.append(f"{value}{operation}={result};")
        value = result
    return "".join(steps)


def slipped(problem: Problem, rng: random.Random) -> str:
    """A solution with one wrong digit, in a step at random; the steps after it go on from there."""
    first, *operations = re.findall(r"[-+*]?\d+", problem.question)
    value, steps, wrong = first, [], rng.randrange(len(operations))
    for i, operation in enumerate(operations):
        result = _apply(value, operation[0], operation[1:])
        if i == wrong:
            at = rng.randrange(len(result))
            result = f"{result[:at]}{(int(result[at]) + rng.randint(1, 9)) % 10}{result[at + 1 :]}"
        steps.append(f"{value}{operation}={result};")
        value = result
    return "".join(steps)


def marred(problem: Problem, rate: float, rng: random.Random) -> tuple[str, str]:
    """A solution each of whose digits was wrong with probability ``rate``, and what belongs at each place instead.

    What belongs somewhere follows from all that is written before it: a step goes on from wrong results and from
    operands miscopied. Both have the same length.
    """

    def mar(digits: str) -> str:
        return "".join(str((int(d) + rng.randint(1, 9)) % 10) if rng.random() < rate else d for d in digits)

    value, *operations = re.findall(r"[-+*]?\d+", problem.question)
    written, belongs = "", ""
    for operation in operations:
        sign, left, right = operation[0], mar(value), mar(operation[1:])
        result = _apply(left, sign, right)
        belongs += f"{value}{operation}={result};"
        value = mar(result)
        written += f"{left}{sign}{right}={value};"
    return written, belongs


def split_steps(text: str) -> list[str]:
    """The steps of a solution, each with its closing semicolon; what follows the last one is left out."""
    return re.findall(r"[^;]*;", text)


def step_is_right(problem: Problem, steps: Sequence[str], i: int) -> bool:
    """Whether the first i + 1 steps are those of the right solution: the exact checker of a process verifier."""
    return list(steps[: i + 1]) == split_steps(solution(problem))[: i + 1]


def extract(text: str) -> str | None:
    """The final answer of a solution: the result of its last step; None where there is no such step."""
    steps = split_steps(text)
    found = _STEP.fullmatch(steps[-1][:-1]) if steps else None
    return found[4] if found else None


def grade(problem: Problem, text: str) -> str:
    """right, wrong or unparsed (see ``samples.GRADES``): only the final answer counts."""
    answer = extract(text)
    if answer is None:
        return "unparsed"
    return "right" if answer == problem.answer else "wrong"


def _draw(rng: random.Random, level: Level) -> Problem:
    question, value = _digits(rng.randrange(10**level.width), level.width), ""
    value = question
    for _ in range(level.steps):
        sign = rng.choice("+-*")
        operand = (
            str(rng.randint(2, 3))
            if sign == "*"
            else _digits(rng.randrange(10 ** rng.randint(1, level.width)), level.width)
        )
        question, value = question + sign + operand, _apply(value, sign, operand)
    return Problem(question + "?", value, level)


def _apply(value: str, sign: str, operand: str) -> str:
    """The result of one step, modulo 10^width."""
    left, right = int(value[::-1]), int(operand[::-1])
    result = {"+": left + right, "-": left - right, "*": left * right}[sign]
    return _digits(result % 10 ** len(value), len(value))


def _digits(value: int, width: int) -> str:
    return str(value).zfill(width)[::-1]
