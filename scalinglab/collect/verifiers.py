"""Verifiers: the probability that the steps so far are right, read off models, the exact checker, or noise."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from scalinglab.collect.protocol import Engine
from scalinglab.collect.recording import SEEDS, Place, Prompt, Recorder, derived, together
from scalinglab.collect.task import Problem
from scalinglab.errors import DataError, EngineError, UnreadError
from scalinglab.samples import AGGREGATES

Ask = Callable[[Problem, Sequence[str]], Prompt]
"""How a verifier is asked: from the steps so far to its prompt. A ``Template`` or a task's ``verifier_prompt``."""


def aggregate(scores: Sequence[float], how: str = "last") -> float:
    """One score of a solution from those of its steps.

    Raises DataError for an unknown way or no scores.
    """
    if how not in AGGREGATES or not scores:
        raise DataError(
            f"aggregate {how!r} of {len(scores)} scores", f"{', '.join(AGGREGATES)} of one or more", "mend it"
        )
    return AGGREGATES[how](scores)


class Verifier(Protocol):
    """Scores the steps of a solution so far. Every engine call goes through the recorder, as role "verifier"."""

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        """The probability that the last of the steps (one or more) is right; of each in turn with ``every``.

        Before the last step's may come those of others that the verifier scores on its way.
        Raises EngineError where the model fails or gives no probability, UnreadError where that would be so again.
        """
        ...


@dataclass(frozen=True)
class Template:
    """A verifier's prompt from four strings; ``{question}`` and ``{step}`` stand for the texts, stripped.

    The prompt is ``question``, every step as ``step``, with ``between`` after each but the last, and ``end``.
    """

    question: str = "{question}"
    step: str = "{step}"
    between: str = ""
    end: str = ""

    def __call__(self, problem: Problem, steps: Sequence[str]) -> Prompt:
        # Not str.format: templates and steps hold braces of their own, as in \boxed{}.
        filled = [self.step.replace("{step}", step.strip()) for step in steps]
        question = self.question.replace("{question}", problem.question.strip())
        return Prompt(question, self.between.join(filled) + self.end)


MATH_SHEPHERD = Template("<s>{question} ", "{step} ки", "\n")
"""Wang et al. 2024 (arXiv 2312.08935): + or - is read after each tag ки."""
_TURN = "<|eot_id|><|start_header_id|>{}<|end_header_id|>\n\n"
RLHFLOW = Template(
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{question} ",
    "{step}" + _TURN.format("assistant"),
    "+" + _TURN.format("user"),
)
"""RLHFlow's Llama 3.1 process rewards: a step is a user's turn, and + or - the assistant's."""


@dataclass(frozen=True)
class TokenVerifier:
    """A language model read as the probability of a good token against a bad one at the end of the prompt.

    Serves process and outcome verifiers: the testbed's say <good> or <bad>, others + or -.
    """

    engine: Engine
    ask: Ask
    good: str = "<good>"
    bad: str = "<bad>"

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        async def one(prompt: Prompt) -> float:
            scored = await recorder.score(self.engine, prompt, (self.good, self.bad), place=place)
            good, bad = scored.logprobs
            return _probability(_sigmoid(good - bad), self.engine)

        return tuple(await together(one(self.ask(problem, part)) for part in parts_of(steps, every)))


@dataclass(frozen=True)
class RewardVerifier:
    """A pooling reward model. A process model gives each step's probability in one call.

    outcome: a scalar model, which gives one logit for all it reads. logits: a process model of logits. Both pass
    through the sigmoid, or the softmax of several labels. label: which of a row's values is the good
    label's, from 0; needed where it holds several, as models are published with either order.
    """

    engine: Engine
    ask: Ask
    outcome: bool = False
    logits: bool = False
    label: int | None = None

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        async def one(part: Sequence[str]) -> tuple[float, ...]:
            rewarded = await recorder.reward(self.engine, self.ask(problem, part), place=place)
            return self._read(rewarded.rows, 1 if self.outcome else len(part))

        if self.outcome:
            return sum(await together(one(part) for part in parts_of(steps, every)), ())
        return await one(steps)

    def _read(self, rows: Sequence[Sequence[float]], wanted: int) -> tuple[float, ...]:
        if len(rows) != wanted:
            raise UnreadError(
                f"{self.engine.model} gave {len(rows)} rewards",
                f"{wanted}: one {'in all' if self.outcome else 'a step'}",
                "set outcome, or mend the template's step separators",
            )
        read = self._of_logits if self.outcome or self.logits else self._good
        return tuple(
            _probability(read(row), self.engine, "set logits = true where it gives logits") for row in rows
        )

    def _of_logits(self, row: Sequence[float]) -> float:
        """The sigmoid of one logit; of several, the good label's share by the softmax."""
        good = self._good(row)
        rest = [logit - good for logit in row]
        return (
            _sigmoid(good) if len(row) == 1 else math.exp(-max(rest)) / sum(math.exp(r - max(rest)) for r in rest)
        )

    def _good(self, row: Sequence[float]) -> float:
        """The value of the good label."""
        if len(row) == 1 and not self.label:
            return row[0]
        if self.label is None or self.label >= len(row):
            given = "no label says which is the good one's" if self.label is None else f"label is {self.label}"
            raise EngineError(
                f"{self.engine.model} gives {len(row)} values a reward, and {given}",
                f"label, 0 to {len(row) - 1}",
                f"set label of its verifier ({len(row)} labels: see id2label in the model's config.json)",
            )
        return row[self.label]


@dataclass(frozen=True)
class ExactVerifier:
    """The exact checker, an oracle: 1 for right steps, 0 for others. It calls no engine, and costs nothing."""

    check: Callable[[Problem, Sequence[str]], Awaitable[bool]]

    async def score(
        self,
        problem: Problem,
        steps: Sequence[str],
        *,
        recorder: Recorder,  # noqa: ARG002
        place: Place,  # noqa: ARG002
        every: bool = False,
    ) -> tuple[float, ...]:
        return tuple([float(await self.check(problem, part)) for part in parts_of(steps, every)])


@dataclass(frozen=True)
class NoisyVerifier:
    """Another verifier whose every score p becomes 1 - p with probability ``flips`` (PAPER section 2, B).

    Which ones do follows from the unit and the candidate, so that a resumed run repeats it.
    """

    inner: Verifier
    flips: float

    def __post_init__(self) -> None:
        if not 0 <= self.flips <= 1:
            raise DataError(f"flips is {self.flips!r}", "a probability, 0 to 1", "mend flips")

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        scores = await self.inner.score(problem, steps, recorder=recorder, place=place, every=every)
        first = len(steps) - len(scores)
        return tuple(
            1 - p if derived("noise", recorder.key, place, i) < self.flips * SEEDS else p
            for i, p in enumerate(scores, start=first)
        )


def parts_of(steps: Sequence[str], every: bool) -> list[Sequence[str]]:
    """All the steps; with ``every`` the first one, the first two, ..., and all."""
    return [steps[: i + 1] for i in range(0 if every else len(steps) - 1, len(steps))]


def _sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return math.exp(min(logit, 0.0)) / (1.0 + math.exp(-abs(logit)))


def _probability(value: float, engine: Engine, do: str = "see what the engine gives") -> float:
    if not 0 <= value <= 1:  # NaN is refused too
        raise EngineError(f"verifier {engine.model} gave {value!r}", "a probability, 0 to 1", do)
    return value
