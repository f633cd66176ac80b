"""What is around a solution and within it: the prompt before it, the steps of which it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalinglab.errors import DataError

ATTEMPT = "\n\nAn earlier attempt, which may be wrong:\n{attempt}"
"""How an earlier answer is shown to a reviser, after the question."""
CHATML = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
"""One turn as Qwen, SmolLM2 and others are trained on it, without the system message that their templates add."""


@dataclass(frozen=True)
class Steps:
    """A way to tell steps apart.

    delimiter: the string that ends a step as it is written. pattern: one step within a text. instruction: what
    asks a model to write so.
    """

    delimiter: str
    pattern: str
    instruction: str


STEPS: Mapping[str, Steps] = {
    "line": Steps("\n", r"\s*\S.*?(?:\n\s*|\Z)", "Write each step on a line of its own."),
    "paragraph": Steps("\n\n", r"\s*\S.*?(?:\n\n\s*|\Z)", "Leave an empty line after each step."),
    "numbered": Steps(
        "\nStep ",
        r"\s*\S.*?(?=\nStep \d|\nStep \Z|\Z)",
        'Begin each step on a new line with "Step" and its number.',
    ),
}


def split_steps(text: str, how: str) -> list[str]:
    """The steps of a solution; joined they are the text again.

    Two things are left out: a text or an end of nothing but space, and the word Step that announces the next one.
    Raises DataError for an unknown way.
    """
    steps = re.findall(_steps(how).pattern, text, flags=re.DOTALL)
    return steps[:-1] if how == "numbered" and steps[-1:] == ["\nStep "] else steps


@dataclass(frozen=True)
class Wording:
    """What stands around a question: ``before`` it, and ``after`` it (or after earlier attempts at it)."""

    before: str
    after: str
    attempt: str = ATTEMPT

    def asked(self, question: str) -> str:
        """The prompt up to the end of the question."""
        return self.before + question

    def rest(self, attempts: Sequence[str] = ()) -> str:
        """The prompt from there on, earlier attempts at a solution included."""
        return "".join(self.attempt.replace("{attempt}", one.strip()) for one in attempts) + self.after


def word(template: str | None, chat: str | None, steps: str) -> Wording:
    """The wording of a template that holds ``{question}``, within the turn of a ``chat`` that holds ``{prompt}``.

    Both are plain text, special tokens included: nothing else is added to what a model reads. Without a template,
    a plain instruction. Raises DataError where a placeholder is not there exactly once.
    """
    if template is None:
        instruction = (
            f"Solve the problem step by step. {_steps(steps).instruction} Put the final answer in \\boxed{{}}.\n\n"
        )
        template = instruction + ("Problem:\n{question}\n\nSolution:\n" if chat is None else "{question}")
    before, after = _around(template, "{question}")
    opening, closing = _around(chat or "{prompt}", "{prompt}")
    return Wording(opening + before, after + closing)


def _steps(how: str) -> Steps:
    if how not in STEPS:
        raise DataError(f"steps {how!r}", f"one of {', '.join(STEPS)}", "mend steps")
    return STEPS[how]


def _around(template: str, placeholder: str) -> tuple[str, str]:
    if template.count(placeholder) != 1:
        raise DataError(
            f"a template with {template.count(placeholder)} times {placeholder} ({template!r:.60})",
            f"{placeholder} once",
            f"write {placeholder} where the text shall stand",
        )
    before, _, after = template.partition(placeholder)
    return before, after
