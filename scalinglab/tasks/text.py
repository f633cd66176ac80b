"""The texts of a benchmark: the prompt before a solution, the steps within it, the answer at its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scalinglab.errors import DataError

_T = TypeVar("_T")
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
    steps = re.findall(_named(STEPS, how, "steps").pattern, text, flags=re.DOTALL)
    return steps[:-1] if how == "numbered" and steps[-1:] == ["\nStep "] else steps


def extract(text: str, places: Sequence[str]) -> str | None:
    """The final answer as it is written, from the first of the places that holds one; None where none does.

    boxed: in the last \\boxed{} (MATH, Hendrycks et al. 2021). hash: after the last #### (GSM8K, Cobbe et al.
    2021). said: after the last "answer is" or "answer:", what follows in that sentence (Wei et al. 2022),
    but no three words on end. number: the last number in the text, whatever it is.

    Raises DataError for an unknown place.
    """
    for place in places:
        found = _named(PLACES, place, "answer place")(text)
        if found is not None and found.strip():
            return found.strip()
    return None


def _boxed(text: str) -> str | None:
    """What is in the last \\boxed{}, braces within it balanced, or the one word after a \\boxed without braces."""
    start = text.rfind("\\boxed")
    inner = text[start + len("\\boxed") :].lstrip()
    if start < 0 or not inner:
        return None
    if not inner.startswith("{"):
        return re.split(r"[\s$.]", inner, maxsplit=1)[0]
    depth = 0
    for i, letter in enumerate(inner):
        depth += (letter == "{") - (letter == "}") if inner[i - 1] != "\\" or i == 0 else 0
        if depth == 0:
            return inner[1:i]
    return None


def _hash(text: str) -> str | None:
    """The line after the last ####."""
    _, mark, after = text.rpartition("####")
    return _alone(after.strip().partition("\n")[0].strip()) if mark else None


def _said(text: str) -> str | None:
    """The sentence after the last "answer is" or "answer:", without what marks it as bold; no prose."""
    *earlier, after = re.split(r"\banswer(?:\s+is\b\s*:?|\s*:)", text, flags=re.IGNORECASE)
    sentence = re.split(r"\.?\**(?:\n|$)|\.\s", after.strip("* \n"), maxsplit=1)[0].strip("* ")
    prose = re.search(r"(?:\b[A-Za-z']+\s+){3}", sentence)
    return _alone(sentence) if earlier and not prose else None


def _alone(line: str) -> str:
    """A number without the words after it, as in "18 eggs"; any other line as it is."""
    number = re.fullmatch(rf"\$?\s*({_NUMBER})(?:\s+[A-Za-z ]+)?\.?", line)
    return number[1] if number else line


def _last_number(text: str) -> str | None:
    return next(reversed(re.findall(_NUMBER, text)), None)


_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
PLACES: Mapping[str, Callable[[str], str | None]] = {
    "boxed": _boxed,
    "hash": _hash,
    "said": _said,
    "number": _last_number,
}
"""Where an answer may stand, by name."""
USUAL_PLACES = ("boxed", "hash", "said")
"""Where one is looked for unless told otherwise: the last number of a text may be any."""


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
            f"Solve the problem step by step. {_named(STEPS, steps, 'steps').instruction} "
            "Put the final answer in \\boxed{}.\n\n"
        )
        template = instruction + ("Problem:\n{question}\n\nSolution:\n" if chat is None else "{question}")
    before, after = _around(template, "{question}")
    opening, closing = _around(chat or "{prompt}", "{prompt}")
    return Wording(opening + before, after + closing)


def _named(known: Mapping[str, _T], name: str, what: str) -> _T:
    if name not in known:
        raise DataError(f"{what} {name!r}", f"one of {', '.join(known)}", f"mend {what}")
    return known[name]


def _around(template: str, placeholder: str) -> tuple[str, str]:
    if template.count(placeholder) != 1:
        raise DataError(
            f"a template with {template.count(placeholder)} times {placeholder} ({template!r:.60})",
            f"{placeholder} once",
            f"write {placeholder} where the text shall stand",
        )
    before, _, after = template.partition(placeholder)
    return before, after
