"""What a task offers the strategies, and the testbed's task as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from scalinglab import tasks
from scalinglab.collect.recording import Prompt
from scalinglab.errors import DataError

CONTEXT = 4
"""Earlier answers that a reviser sees at most (PAPER section 3)."""
_TRIES = 500


@dataclass(frozen=True)
class Problem:
    """One problem as strategies see it.

    id: its name in the records, unique in the task. question: its bare statement. prompt: what a policy reads
    before it writes, templates and special tokens included. answer: the reference. max_tokens: of one solution.
    """

    id: str
    question: str
    prompt: str
    answer: str
    max_tokens: int


class Task(Protocol):
    """A benchmark: its problems, where steps end, the prompts of revisers and verifiers, the grader."""

    @property
    def name(self) -> str:
        """The task's name, as it is recorded."""
        ...

    @property
    def problems(self) -> Mapping[str, Problem]:
        """The problems by id."""
        ...

    @property
    def delimiters(self) -> Sequence[str]:
        """The strings that end a step; they stay in the text.

        Where the last step ends with one too, best with what begins the next step, such as ";1": then a solution
        that ends there has ended, without one more call that would write the end token alone. What has begun is
        shared by all continuations.
        """
        ...

    def complete(self, text: str) -> bool:
        """Whether a solution is complete although it ends with a delimiter: no step need be asked for after it."""
        ...

    @property
    def ends(self) -> Sequence[str]:
        """The strings that end a solution, besides the model's end token; they stay in its text."""
        ...

    def split_steps(self, text: str) -> list[str]:
        """The steps of a solution so far, as a verifier shall read them."""
        ...

    def revision_prompt(self, problem: Problem, answers: Sequence[str]) -> Prompt:
        """The prompt of a reviser after the earlier answers of its chain, of which it sees the last four."""
        ...

    def verifier_prompt(self, problem: Problem, steps: Sequence[str]) -> Prompt:
        """The prompt after which a verifier of this task's own kind judges the last step."""
        ...

    async def grade(self, problem: Problem, text: str, *, cut: bool = False) -> tuple[str, str | None]:
        """One of ``samples.GRADES``, and the final answer. A grader that fails says "error" and raises nothing.

        cut: the text was ended by its token limit.
        """
        ...

    def close(self) -> None:
        """Free what grading holds."""
        ...


@dataclass(frozen=True)
class TestbedTask:
    """The testbed's chains of facts and sums (``scalinglab.tasks``); a full stop ends a solution in every call."""

    __test__ = False  # pytest takes every class Test* for a test
    drawn: tuple[tasks.Problem, ...]
    name: str = "testbed"
    delimiters: Sequence[str] = (";",)
    ends: Sequence[str] = (".",)

    @cached_property
    def problems(self) -> Mapping[str, Problem]:
        return {p.question: _problem(p) for p in self.drawn}

    def complete(self, text: str) -> bool:
        return tasks.complete(text)

    def split_steps(self, text: str) -> list[str]:
        return tasks.split_steps(text)

    def revision_prompt(self, problem: Problem, answers: Sequence[str]) -> Prompt:
        """The question; after earlier answers, the last four of them, each after the question and closed."""
        asked = problem.question
        shown = [f"{answer}<answer>{asked}" for answer in answers[-CONTEXT:]]
        return Prompt(problem.prompt, "".join(shown))

    def verifier_prompt(self, problem: Problem, steps: Sequence[str]) -> Prompt:
        return Prompt(problem.prompt, "".join(steps))

    async def grade(self, problem: Problem, text: str, *, cut: bool = False) -> tuple[str, str | None]:
        """Only the last step of a text that came to its full stop counts."""
        grade, answer = tasks.grade(self._known[problem.id], text), tasks.extract(text)
        return ("truncated" if cut and grade == "unparsed" else grade), answer

    def close(self) -> None:
        """Nothing is held."""

    async def check(self, problem: Problem, steps: Sequence[str]) -> bool:
        """Whether the steps so far are those of the right solution."""
        return tasks.step_is_right(self._known[problem.id], steps, len(steps) - 1)

    @cached_property
    def _known(self) -> dict[str, tasks.Problem]:
        return {p.question: p for p in self.drawn}


def draw_testbed(
    levels: Sequence[tasks.Level], count: int, *, split: tasks.Split = "test", seed: int = 0
) -> TestbedTask:
    """The testbed's task with ``count`` different problems of a split.

    Raises DataError where the levels do not hold as many.
    """
    found: dict[str, tasks.Problem] = {}
    known = 0
    for problem in tasks.problems(split, levels, seed=seed):
        if len(found) == count or known == _TRIES:
            break
        known = known + 1 if problem.question in found else 0
        found.setdefault(problem.question, problem)
    if len(found) < count:
        raise DataError(
            f"{count} {split} problems of levels {', '.join(map(str, levels))}",
            f"about {len(found)} at most: there are no more different ones",
            "ask for fewer problems or add harder levels",
        )
    return TestbedTask(tuple(found.values()))


def _problem(problem: tasks.Problem) -> Problem:
    """A solution may take one and a half times the tokens of the right one, as in the testbed's training."""
    longest = len(tasks.tokens_of(tasks.solution(problem))) * 3 // 2
    return Problem(problem.question, problem.question, f"<bos>{problem.question}", problem.answer, longest)
