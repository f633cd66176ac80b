"""A benchmark as a task for the strategies: its prompts as text, its steps, its answers graded."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scalinglab.collect.grading import Grader
from scalinglab.collect.recording import Prompt
from scalinglab.collect.task import CONTEXT, Problem
from scalinglab.errors import DataError
from scalinglab.tasks.benchmark import FORMATS, Format, Item, read_items
from scalinglab.tasks.boxes import boxed
from scalinglab.tasks.phrases import NUMBER
from scalinglab.tasks.text import USUAL_PLACES, check_places
from scalinglab.tasks.wording import STEPS, Wording, split_steps, word

_STEPS = {"gsm8k": "line"}
_END = "Problem:"
_HASHED = re.compile(rf"(?:.*\n)?####\s*\$?{NUMBER}\.?", re.DOTALL)


@dataclass(frozen=True)
class BenchmarkTask:
    """Problems of a file; see the Task protocol. Made by ``open_benchmark``; ``close`` stops its grader."""

    name: str
    problems: Mapping[str, Problem]
    wording: Wording
    steps: str
    places: Sequence[str]
    ends: Sequence[str]
    grader: Grader = field(repr=False)

    @property
    def asked(self) -> dict[str, Any]:
        """What answers depend on beside the wording, by its key in [task]: a run keeps to it."""
        longest = max(problem.max_tokens for problem in self.problems.values())
        return {"max_tokens": longest, "steps": self.steps, "ends": list(self.ends)}

    @property
    def delimiters(self) -> Sequence[str]:
        """The one string that ends a step."""
        return (STEPS[self.steps].delimiter,)

    def split_steps(self, text: str) -> list[str]:
        """The steps so far; the string that ended the solution is none of it."""
        return split_steps(self._body(text), self.steps)

    def complete(self, text: str) -> bool:
        """Whether its last step marks the answer: in a box, or as a number after ####, else a heading.

        Only where answers are looked for there. Never in numbered steps: what ends one begins the next.
        """
        if self.steps == "numbered":
            return False
        last = "".join(self.split_steps(text)[-1:])
        hashed = "hash" in self.places and _HASHED.fullmatch(last.strip()) is not None
        return hashed or ("boxed" in self.places and boxed(last) is not None)

    def revision_prompt(self, problem: Problem, answers: Sequence[str]) -> Prompt:
        """The problem's own prompt, with the last four answers after the question."""
        if not answers:
            return Prompt(problem.prompt)
        seen = [self._body(answer) for answer in answers[-CONTEXT:]]
        return Prompt(self.wording.asked(problem.question), self.wording.rest(seen))

    def verifier_prompt(self, problem: Problem, steps: Sequence[str]) -> Prompt:
        """The question, an empty line, and the steps as they were written."""
        return Prompt(f"{problem.question}\n\n", "".join(steps))

    def worded(self, wording: Wording) -> BenchmarkTask:
        """The same task, its problems asked in these words."""
        asked = {key: replace(p, prompt=_prompt(wording, p.question)) for key, p in self.problems.items()}
        return replace(self, wording=wording, problems=asked)

    async def grade(self, problem: Problem, text: str, *, cut: bool = False) -> tuple[str, str | None]:
        """One of ``samples.GRADES``, and the final answer, equal ones written alike."""
        return await self.grader.grade_text(problem.answer, text, self.places, cut=cut)

    def close(self) -> None:
        """Stop the worker processes of the grader."""
        self.grader.close()

    def _body(self, text: str) -> str:
        ending = next((end for end in self.ends if text.endswith(end)), "")
        return text.removesuffix(ending)


def open_benchmark(
    path: str | Path,
    *,
    kind: str = "jsonl",
    fields: Mapping[str, str] | None = None,
    name: str | None = None,
    count: int | None = None,
    seed: int = 0,
    template: str | None = None,
    chat: str | None = None,
    steps: str | None = None,
    answers: Sequence[str] = USUAL_PLACES,
    grading: str = "math",
    ends: Sequence[str] | None = None,
    max_tokens: int = 1024,
    workers: int = 2,
    limit: float = 10.0,
) -> BenchmarkTask:
    """The problems of a JSONL file as a task.

    kind: gsm8k, math (``tasks.FORMATS``), or jsonl with ``fields``, which names the question, the answer and
        perhaps the id, such as {"question": "prompt", "answer": "target"}.
    count: so many problems, drawn by ``seed``; all of them where not given.
    template: the prompt, with {question} in it; chat: one turn of a chat model, with {prompt} in it
        (``tasks.wording.CHATML``, or ``chat_template(model)``). What is not given is a plain instruction, and
        completion. A special token that the model wants first, such as <|begin_of_text|>, is part of them.
    steps: line, paragraph or numbered (``tasks.wording.STEPS``). answers: where a final answer is looked for, in
        order (``tasks.text.PLACES``). grading: the kind of answers (``tasks.kinds.KINDS``), or module:function.
    ends: strings that end a solution besides the model's end token.
    max_tokens: of one solution. workers, limit: see ``Grader``.

    Raises DataError for a file, a right answer in it or an option that cannot be read; EngineError where
    math-verify is needed and not installed.
    """
    items = _draw(read_items(path, _format(kind, fields)), count, seed)
    steps = steps or _STEPS.get(kind, "paragraph")
    wording = word(template, chat, steps)
    check_places(answers)
    if type(max_tokens) is not int or max_tokens < 1:
        raise DataError(f"max_tokens is {max_tokens!r}", "a whole number above 0", "mend max_tokens")
    problems = {item.id: _problem(item, wording, max_tokens) for item in items}
    # A model that was not trained to stop goes on with a problem of its own.
    ends = ends if ends is not None else () if template or chat else (_END,)
    named = name or (Path(path).stem if kind == "jsonl" else kind)
    grader = Grader(workers=workers, limit=limit, kind=grading)
    grader.refuse_unreadable({item.id: item.answer for item in items}, str(path))
    return BenchmarkTask(named, problems, wording, steps, tuple(answers), tuple(ends), grader)


def chat_template(model: str | Path) -> str:
    """A model's own chat template for one turn, as text with {prompt} in it, special tokens included.

    ``model``: a folder or a Hugging Face name. Needs transformers. Raises DataError where it is not installed,
    the tokenizer cannot be loaded, or it has no chat template.
    """
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(model))
        return str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": "{prompt}"}], tokenize=False, add_generation_prompt=True
            )
        )
    except Exception as error:  # a template is a program, and may raise what it likes
        raise DataError(
            f"the chat template of {model} cannot be read ({str(error).strip().partition(chr(10))[0]:.200})",
            "a tokenizer with a chat template, and transformers installed",
            "pip install transformers, or give the template as text with {prompt} in it",
        ) from error


def _format(kind: str, fields: Mapping[str, str] | None) -> Format:
    if kind in FORMATS and fields is None:
        return FORMATS[kind]
    given = dict(fields or {})
    known = {"question", "answer"} <= set(given) <= {"question", "answer", "id"}
    if kind != "jsonl" or not known or not all(isinstance(one, str) for one in given.values()):
        raise DataError(
            f"kind {kind!r} with fields {_list(given) or 'none'}",
            f"{_list(FORMATS)} without fields, or jsonl with fields question, answer and perhaps id",
            "mend kind or fields",
        )
    return Format(**given)


def _draw(items: Sequence[Item], count: int | None, seed: int) -> Sequence[Item]:
    """So many of the problems, in the order of the file."""
    if count is None:
        return items
    if type(count) is not int or not 1 <= count <= len(items):
        raise DataError(f"count is {count!r}", f"1 to {len(items)}, the problems there are", "mend count")
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), count))]


def _problem(item: Item, wording: Wording, max_tokens: int) -> Problem:
    return Problem(item.id, item.question, _prompt(wording, item.question), item.answer, max_tokens)


def _prompt(wording: Wording, question: str) -> str:
    return wording.asked(question) + wording.rest()


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)
