"""Every engine call of one unit of work, made once, recorded once, in an order that no race can change."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from scalinglab.collect.protocol import Engine, Generated, Rewarded, Scored, Thinking
from scalinglab.errors import EngineError
from scalinglab.samples import Call, Unit

_T = TypeVar("_T")
_Answer = Coroutine[Any, Any, Any]
SEEDS = 2**31
"""Seeds are below this: every engine and server known takes them."""


@dataclass(frozen=True)
class Prompt:
    """What a model reads: the part that states the problem, and all that follows it."""

    question: str
    rest: str = ""

    @property
    def text(self) -> str:
        return self.question + self.rest


@dataclass(frozen=True, order=True)
class Place:
    """Where a call belongs in the search of its unit; calls are recorded in this order, not as they end.

    round: the depth of the tree, or the position in a chain. chain: the subtree or chain. sample: the candidate.
    """

    round: int = 0
    chain: int = 0
    sample: int = 0


class Recorder:
    """Makes the engine calls of one unit, and keeps what is charged for each.

    Within a unit the same request is made once and recorded once: whoever asks again, for the greedy rollout of
    a duplicate or the score of a text scored before, shares the answer. Samples differ in their seeds, which
    depend on the unit and the call's place alone, so that a resumed run equals an unbroken one.
    """

    def __init__(self, unit: Unit) -> None:
        self.key, self.problem = unit.key, unit.problem
        self.role = unit.role
        self._asked: Counter[Place] = Counter()
        self._made: dict[tuple[object, ...], _Made] = {}

    async def generate(
        self,
        engine: Engine,
        prompt: Prompt,
        *,
        place: Place,
        max_tokens: int,
        temperature: float,
        stop: Sequence[str] = (),
        thinking: Thinking | None = None,
        role: str | None = None,
        thoughts: bool | None = None,
        limit: str = "length",
    ) -> Generated:
        """One completion, charged to ``role``, by default the unit's.

        thoughts: whether all of it is thought, or none, where whoever asks knows; None: as the engine says. limit:
        the finish reason that is recorded where ``max_tokens`` end it, such as "budget" of a thought before an
        answer. Raises EngineError, also where the engine gives it up.
        """
        order = self._next(place)
        seed = derived(self.key, *order) if temperature > 0 else 0
        ask = partial(
            engine.generate,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            stop=tuple(stop),
            thinking=thinking,
            problem=self.problem,
        )
        result: Generated = await self._once(
            engine, prompt, role or self.role, order, ask, thoughts=thoughts, limit=limit
        )
        if result.finish_reason == "abort":
            raise EngineError(
                f"{engine.model} aborted a completion", "one that stops or reaches its length", "resume the run"
            )
        return result

    async def score(self, engine: Engine, prompt: Prompt, tokens: Sequence[str], *, place: Place) -> Scored:
        """The log-probabilities of ``tokens`` after the prompt, charged to the verifier. Raises EngineError."""
        ask = partial(engine.score, tokens=tuple(tokens), problem=self.problem)
        result: Scored = await self._once(engine, prompt, "verifier", self._next(place), ask)
        return result

    async def reward(self, engine: Engine, prompt: Prompt, *, place: Place) -> Rewarded:
        """The rewards of a pooling model, charged to the verifier. Raises EngineError."""
        ask = partial(engine.reward, problem=self.problem)
        result: Rewarded = await self._once(engine, prompt, "verifier", self._next(place), ask)
        return result

    async def calls(self) -> list[Call]:
        """The calls made, by place. Counts texts with the engines' own tokenizers; raises EngineError.

        An ideal cache would hold the longest beginning that a prompt shares with what its model had read or
        written before in this unit; its tokens are exact up to the token within which two texts part.
        """
        made = sorted(self._made.values(), key=lambda one: one.order)
        held = _held(made)
        tokens = await _count(made, held)
        return [
            one.call(tokens[one.engine.model, one.prompt.question], tokens[one.engine.model, text])
            for one, text in zip(made, held, strict=True)
        ]

    def prompts(self) -> dict[str, str]:
        """The first prompt, by place, that each model was sent."""
        made = sorted(self._made.values(), key=lambda one: one.order, reverse=True)
        return {one.engine.model: one.prompt.text for one in made}

    def _next(self, place: Place) -> tuple[Place, int]:
        """The place of this request, and how many came before it there: one candidate asks in a fixed order."""
        self._asked[place] += 1
        return place, self._asked[place] - 1

    async def _once(
        self,
        engine: Engine,
        prompt: Prompt,
        role: str,
        order: tuple[Place, int],
        ask: partial[_Answer],
        **told: Any,
    ) -> Any:
        key = (engine.model, prompt.text, ask.func.__name__, *ask.keywords.values())
        if key not in self._made:
            self._made[key] = _Made(order, role, engine, prompt, asyncio.ensure_future(ask(prompt.text)), **told)
        made = self._made[key]
        made.order = min(made.order, order)  # whoever of two asked first is a matter of luck
        return await made.answer


@dataclass
class _Made:
    order: tuple[Place, int]
    role: str
    engine: Engine
    prompt: Prompt
    answer: asyncio.Future[Any]
    thoughts: bool | None = None
    limit: str = "length"

    def call(self, question: int | None, held: int | None) -> Call:
        """The record of this call: ``question`` tokens state the problem, ``held`` an ideal cache would hold."""
        place, result = self.order[0], self.answer.result()
        question = None if question is None else min(question, result.prompt_tokens)
        generated, scored, reason, thinking = 0, 1, "stop", None
        if isinstance(result, Generated):
            generated, scored, thinking = result.generated_tokens, 0, result.thinking_tokens
            reason = self.limit if result.finish_reason == "length" else result.finish_reason
            if self.thoughts is not None:
                thinking = generated if self.thoughts else 0
        elif isinstance(result, Rewarded):
            scored = len(result.rows)
        return Call(
            self.role,
            self.engine.model,
            prompt_tokens=result.prompt_tokens,
            generated_tokens=generated,
            question_tokens=question,
            cached_tokens=result.cached_tokens,
            reusable_tokens=_reusable(question, held, result.prompt_tokens),
            scored_tokens=scored,
            sample=place.sample,
            chain=place.chain,
            round=place.round,
            finish_reason=reason,
            seconds=result.seconds,
            thinking_tokens=thinking,
        )


def _reusable(question: int | None, held: int | None, prompt: int) -> int | None:
    """What an ideal cache would hold of a prompt after its question; None where nobody can count a text."""
    if question == prompt:
        return 0
    return None if question is None or held is None else max(0, min(held, prompt) - question)


def _held(made: Sequence[_Made]) -> list[str]:
    """The beginning of each prompt that its model had seen before, and no less than the question."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    held = []
    for one in made:
        text, texts = one.prompt.text, seen[one.engine.model]
        at = bisect_left(texts, text)
        # Of a sorted list, the neighbours of a text share the longest beginnings with it.
        shared = max((_shared(text, near) for near in texts[max(0, at - 1) : at + 1]), default=0)
        held.append(text[: max(shared, len(one.prompt.question))])
        written = one.answer.result()
        insort(texts, text + getattr(written, "thinking", "") + getattr(written, "text", ""))
    return held


def _shared(one: str, other: str) -> int:
    """The characters that two texts have in common from their beginning on."""
    most = range(min(len(one), len(other)))
    return bisect_left(most, True, key=lambda i: one[: i + 1] != other[: i + 1])


async def _count(made: Sequence[_Made], held: Sequence[str]) -> dict[tuple[str, str], int | None]:
    """The tokens of every question and held beginning, by model; those of whole prompts are known already."""
    known: dict[tuple[str, str], int | None] = {
        (one.engine.model, one.prompt.text): int(one.answer.result().prompt_tokens) for one in made
    }
    engines = {
        (one.engine.model, text): one.engine
        for one, beginning in zip(made, held, strict=True)
        for text in (one.prompt.question, beginning)
        if (one.engine.model, text) not in known
    }
    counted = await together(engine.count(text) for (_, text), engine in engines.items())
    return known | dict(zip(engines, counted, strict=True))


async def together(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """The results of coroutines in flight at the same time, in order. The first error stops all, and is raised."""
    coroutines = list(work)
    if len(coroutines) <= 1:  # a task more for each sample would cost a tenth of it
        return [await one for one in coroutines]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in coroutines]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def derived(*identity: object) -> int:
    """A number below 2^31 that depends on the identity (texts, numbers, places) and on nothing else."""
    return int.from_bytes(hashlib.sha256(repr(identity).encode()).digest()[:8]) % SEEDS
