"""How fast each model of a study does its work here: some seconds of the calls that the study would make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from scalinglab.collect import Engine, Place, Recorder, Task, Verifier
from scalinglab.collect.recording import together
from scalinglab.samples import Unit

_TOKENS = 128
"""The longest completion of a probe: long ones would not end within it."""
_PATIENCE = 6
"""Calls in flight when the time is up may take so many times as long to end."""


@dataclass(frozen=True)
class Rate:
    """What one model did: calls, tokens read and written, and seconds, with so many calls in flight.

    work: "generate", or what a verifier asks: "score" (the probability of a token), "reward", "judge", or the
        "module:function" of one from outside.
    """

    model: str
    work: str
    calls: int = 0
    read: int = 0
    written: int = 0
    seconds: float = 0.0
    in_flight: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Of what the work is made of: tokens written, or where it writes none, those that a verifier reads.

        None: no call ended.
        """
        tokens = self.written if self.work == "generate" else self.written or self.read
        return tokens / self.seconds if self.seconds and tokens else None


Work = Callable[[int], Awaitable[tuple[int, int]]]
"""One call by its number; the tokens that it read and wrote."""


async def generating(engine: Engine, task: Task, texts: list[str], *, seconds: float, in_flight: int) -> Rate:
    """How fast a policy writes, the task's problems in turn; its texts are kept for the verifiers to read."""
    problems = list(task.problems.values())

    async def one(i: int) -> tuple[int, int]:
        problem = problems[i % len(problems)]
        most = min(_TOKENS, problem.max_tokens)
        made = await engine.generate(problem.prompt, max_tokens=most, temperature=1.0, seed=i, problem=problem.id)
        texts.append(made.text)
        return made.prompt_tokens, made.generated_tokens

    return await _measured(Rate(engine.model, "generate"), one, seconds=seconds, in_flight=in_flight)


async def verifying(
    verifier: Verifier, work: str, model: str, task: Task, texts: list[str], *, seconds: float, in_flight: int
) -> Rate:
    """How fast a verifier judges the last step of such texts, or of the reference answers where there are none."""
    problems = list(task.problems.values())

    async def one(i: int) -> tuple[int, int]:
        problem = problems[i % len(problems)]
        steps = task.split_steps(texts[i % len(texts)] if texts else problem.answer) or [problem.answer]
        recorder = Recorder(Unit("doctor", task.name, problem.id, "policy", model, "probe", {"i": i}, 1))
        await verifier.score(problem, steps, recorder=recorder, place=Place())
        calls = await recorder.calls()
        return sum(call.prompt_tokens or 0 for call in calls), sum(call.generated_tokens or 0 for call in calls)

    return await _measured(Rate(model, work), one, seconds=seconds, in_flight=in_flight)


async def _measured(rate: Rate, work: Work, *, seconds: float, in_flight: int) -> Rate:
    """The rate of a work that is begun again and again for some seconds. Raises as the work does."""
    numbers, done = count(), list[tuple[int, int]]()
    start = perf_counter()

    async def worker() -> None:
        while perf_counter() < start + seconds:
            done.append(await work(next(numbers)))

    try:
        async with asyncio.timeout(seconds * _PATIENCE):
            await together(worker() for _ in range(in_flight))
    except TimeoutError:
        pass
    read, written = (sum(one[i] for one in done) for i in range(2))
    return Rate(rate.model, rate.work, len(done), read, written, perf_counter() - start, in_flight)
