"""The sample record: a unit of work, the engine calls it made, the solutions it found."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.options import verifiers_of, with_options
from scalinglab.samples.reported import REPORTED, with_later

_SIDES = {"prompt": "prompt", "generated": "completion"}
ROLES = ("policy", "large", "verifier", "reviser")
SETTLED = ("refused", "cut prompt", "unscored")
"""Grades that samples have whatever their texts say."""
GRADES = ("right", "partial", "wrong", "unparsed", "truncated", *SETTLED, "error", "ungraded")
ANSWERED = ("right", "partial", "wrong", "ungraded")
"""Grades of samples whose answer was read: these vote."""


@dataclass(frozen=True)
class Unit:
    """One piece of work that is done whole or not at all: one model, one problem, one strategy and budget.

    A unit is one query: under ``prompts="once"`` its question is charged once to each model that reads it.
    The strategy "parallel" holds independent samples; "greedy" holds one; "difficulty" holds samples drawn
    only to estimate difficulty. ``budget`` is in samples.
    """

    run: str
    task: str
    problem: str
    role: str
    model: str
    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of(self.role, ROLES, "role")
        _counts(self, ("budget", "seed"))
        try:
            canonical(self.parameters)
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(
                f"parameters are {self.parameters!r:.80}", "what JSON can hold", "mend parameters"
            ) from error

    @cached_property
    def key(self) -> str:
        """A digest of every field: the same unit has the same key in every process."""
        told = {name: getattr(self, name) for name in UNIT}
        return hashlib.sha256(canonical(told).encode()).hexdigest()[:32]

    @property
    def verifiers(self) -> tuple[str, ...]:
        """Those its parameters name, the one whose scores are its solutions' own first."""
        return verifiers_of(self.parameters)


@dataclass(frozen=True)
class Call:
    """One call to an engine, in tokens; None where nobody reported them.

    question_tokens: the part of the prompt that states the problem.
    cached_tokens: the prompt tokens that the engine's cache held, as the engine reported.
    thinking_tokens: of the generated ones, those before the answer that were meant as thoughts.
    reusable_tokens: the prompt tokens after the question that this model had read or written before in this
        unit, so that an ideal cache would hold them; None where no tokenizer could count them.
    scored_tokens: positions whose logits a verifier reads.
    finish_reason: as the engine says; "budget" of a thought that its budget ended, before an answer.
    seconds: wall time, not part of a run's identity; None where it was not kept.
    """

    role: str
    model: str
    prompt_tokens: int | None
    generated_tokens: int | None
    question_tokens: int | None
    cached_tokens: int | None = None
    reusable_tokens: int | None = 0
    scored_tokens: int = 0
    sample: int = 0
    chain: int = 0
    round: int = 0
    finish_reason: str = "stop"
    seconds: float | None = None
    thinking_tokens: int | None = None

    def __post_init__(self) -> None:
        _one_of(self.role, ROLES, "role")
        _counts(self, _COUNTED)
        _counts(self, [name for name in REPORTED if getattr(self, name) is not None])
        if self.seconds is not None and not (_finite(self.seconds) and self.seconds >= 0):
            raise DataError(f"seconds is {self.seconds!r}", "a finite number >= 0", "mend seconds")
        known = (self.question_tokens or 0) + (self.reusable_tokens or 0)
        if self.prompt_tokens is not None and known > self.prompt_tokens:
            raise DataError(
                f"a call has {self.question_tokens} question + {self.reusable_tokens} reusable tokens "
                f"in a prompt of {self.prompt_tokens}",
                "at most the prompt",
                "mend the token counts",
            )
        for part, whole in (("cached", "prompt"), ("thinking", "generated")):
            some, every = getattr(self, f"{part}_tokens"), getattr(self, f"{whole}_tokens")
            if some is not None and every is not None and some > every:
                raise DataError(
                    f"a call has {some} {part} tokens in a {_SIDES[whole]} of {every}",
                    f"at most the {_SIDES[whole]}, which counts them",
                    f"mend {part}_tokens",
                )


@dataclass(frozen=True)
class Solution:
    """One complete answer. ``grade`` keeps apart from a wrong one: partial credit (``value``, between 0 and 1), an
    answer that cannot be read, one that the token limit cut before it was given, a refusal (by the model, or by
    its server of a prompt that is too long), one to a prompt of which its server dropped a part, one that a
    verifier could not read, a failed grader, and one that nobody graded; all of them count as not right.

    ``scores`` are the verifier's step scores in order; empty where none ran, or it could not read the solution.
    ``other_scores`` are those of further verifiers of the same unit, by name (see ``scored_by``). ``text`` is the
    answer; ``thinking``, what was thought before it, is never graded.
    """

    text: str
    answer: str | None
    grade: str
    scores: Sequence[float] = ()
    sample: int = 0
    chain: int = 0
    round: int = 0
    other_scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    value: float | None = None
    thinking: str = ""

    def __post_init__(self) -> None:
        _one_of(self.grade, GRADES, "grade")
        if (self.grade == "partial") != (self.value is not None and 0 < self.value < 1):
            raise DataError(
                f"grade {self.grade} of value {self.value!r}", "partial, and a value between 0 and 1", "give both"
            )
        _counts(self, ("sample", "chain", "round"))
        for scores in (self.scores, *self.other_scores.values()):
            if not isinstance(scores, Sequence) or not all(_finite(score) for score in scores):
                raise DataError(
                    f"verifier scores {scores!r:.80}", "finite numbers", "drop the verifier call that failed"
                )


@dataclass(frozen=True)
class Run:
    """A recorded run as three frames: a row is a unit, a call or a solution, which name their ``unit``.

    units: key, the fields of ``Unit`` (parameters as JSON text, as they are stored), and what is made of the
        parameters once, here: options (a mapping, shared by units of the same parameters: not to be changed),
        setting (JSON text of all but verifiers and number of samples: what tells arms of a strategy apart) and
        verifiers (a tuple of names, the one whose scores are the solutions' own first).
    calls: unit, position, and the fields of ``Call``; no rows where nobody recorded tokens. Where some were not
        reported, the counts of ``REPORTED`` are Int64 with NA.
    solutions: unit, position, and the fields of ``Solution`` (scores a list, other_scores JSON text).

    Raises DataError where parameters cannot be read.
    """

    units: pd.DataFrame
    calls: pd.DataFrame
    solutions: pd.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", with_options(self.units))
        for table in ("calls", "solutions"):
            object.__setattr__(self, table, with_later(getattr(self, table), table))


UNIT, CALL, SOLUTION = (tuple(f.name for f in fields(kind)) for kind in (Unit, Call, Solution))
"""The fields of each record, in the order in which they are stored."""
COLUMNS = {
    "units": ("key", *UNIT),
    "calls": ("unit", "position", *CALL),
    "solutions": ("unit", "position", *SOLUTION),
}
"""The tables of a run as they are stored, with their columns."""
FORMAT = 4
"""The version of what is stored; see ``RunStore`` for what each one added."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_COUNTED = tuple(f.name for f in fields(Call) if f.type == "int")


def sound(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair: a server may cut one, and UTF-8 cannot hold it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return _CANONICAL.encode(value)


def _one_of(value: str, allowed: Sequence[str], name: str) -> None:
    if value not in allowed:
        raise DataError(f"{name} is {value!r}", f"one of {', '.join(allowed)}", f"mend {name}")


def _finite(value: object) -> bool:
    """Whether it is a number (a truth value is none) that a float can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _counts(record: object, names: Sequence[str]) -> None:
    for name in names:
        value = getattr(record, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            raise DataError(f"{name} is {value!r}", "a whole number >= 0 (below 2^63)", f"mend {name}")
