"""A solution as it grows, and the policy that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scalinglab.collect.protocol import CUT_PROMPT, REFUSED, Engine, Generated, Thinking
from scalinglab.collect.recording import Place, Prompt, Recorder
from scalinglab.collect.task import Problem, Task
from scalinglab.collect.thoughts import opens, split
from scalinglab.collect.verifiers import Verifier
from scalinglab.errors import DeadEngineError, UnreadError

UNSCORED = "unscored"


@dataclass(frozen=True)
class Draft:
    """A solution, so far or complete.

    tokens: generated for it. ended: it is complete, as the model or the task says, or its tokens ran out.
    scores: the verifier's, a step. place: where it was last written to. cut: its tokens ran out
    before the model closed it. thinking: what was thought before the text. settled: its grade, where none need be
    found: of ``samples.GRADES``. parted: its text holds no thoughts any more.
    """

    text: str = ""
    tokens: int = 0
    ended: bool = False
    scores: tuple[float, ...] = ()
    place: Place = field(default_factory=Place)
    cut: bool = False
    thinking: str = ""
    settled: str | None = None
    parted: bool = False


@dataclass(frozen=True)
class Policy:
    """An LLM at work on one unit: writes solutions, each call recorded."""

    engine: Engine
    task: Task
    recorder: Recorder
    temperature: float = 1.0

    async def solve(
        self,
        problem: Problem,
        *,
        place: Place,
        prompt: Prompt | None = None,
        thinking: Thinking | None = None,
        thought: Draft | None = None,
    ) -> Draft:
        """A whole solution, in one call. ``prompt``: the problem's, where not given. Raises EngineError.

        thought: what was thought before it, in calls of its own, and is closed in the prompt.
        """
        asked, told = prompt or Prompt(problem.prompt), None if thought is None else False
        begun = thought or Draft()
        draft = await self._write(problem, asked, begun, self.temperature, (), place, thinking, thoughts=told)
        return apart(draft, asked.text)

    async def step(
        self, problem: Problem, draft: Draft, *, place: Place, temperature: float | None = None
    ) -> Draft:
        """The draft and one more step of it, in one call. Raises EngineError."""
        chosen = self.temperature if temperature is None else temperature
        prompt = Prompt(problem.prompt, draft.text)
        return await self._write(problem, prompt, draft, chosen, tuple(self.task.delimiters), place)

    async def _write(
        self,
        problem: Problem,
        prompt: Prompt,
        draft: Draft,
        temperature: float,
        delimiters: tuple[str, ...],
        place: Place,
        thinking: Thinking | None = None,
        thoughts: bool | None = None,
    ) -> Draft:
        made = await self.recorder.generate(
            self.engine,
            prompt,
            place=place,
            max_tokens=problem.max_tokens - draft.tokens,
            temperature=temperature,
            stop=(*delimiters, *self.task.ends),
            thinking=thinking,
            thoughts=thoughts,
        )
        if delimiters and not made.stop_told:
            raise DeadEngineError(
                f"the server of {self.engine.model} does not say which stop string ended a text",
                "stop_reason (vLLM) or matched_stop (SGLang) in its answer",
                "use such a server, or a strategy that writes whole solutions",
            )
        tokens = draft.tokens + made.generated_tokens
        text, goes_on = draft.text + made.text, made.text.endswith(delimiters)
        settled = settled_by(made)
        ended = not goes_on or tokens >= problem.max_tokens or self.task.complete(text) or settled is not None
        cut = made.finish_reason == "length"
        return Draft(text, tokens, ended, draft.scores, place, cut, draft.thinking + made.thinking, settled)


def settled_by(made: Generated) -> str | None:
    """The grade that a completion has whatever it says; None: it is graded."""
    return made.finish_reason if made.finish_reason in (REFUSED, CUT_PROMPT) else None


async def scored(
    problem: Problem, draft: Draft, policy: Policy, verifier: Verifier | None, aggregate: str
) -> Draft:
    """The draft with a verifier's scores of its last step, or of each where the aggregate asks for them."""
    if verifier is None:
        return draft
    every = aggregate != "last"
    try:
        scores = await judge(problem, draft, policy, verifier, place=draft.place, every=every)
    except UnreadError:
        return unscored(draft)
    return replace(draft, scores=scores)


def unscored(draft: Draft) -> Draft:
    """The draft that a verifier cannot read: it has no score, grows no further, and is named by its grade."""
    return replace(draft, scores=(), ended=True, settled=draft.settled or UNSCORED)


def apart(draft: Draft, prompt: str) -> Draft:
    """The draft, its thoughts apart from its answer, where it has written them into its text."""
    if draft.thinking or draft.parted:
        return draft
    thinking, answer = split(draft.text, opens(prompt))
    return replace(draft, text=answer, thinking=thinking, parted=True)


async def judge(
    problem: Problem, draft: Draft, policy: Policy, verifier: Verifier, *, place: Place, every: bool = False
) -> tuple[float, ...]:
    """The verifier's scores of the draft's last step, and those it made before on the way; or of ``every`` one.

    A draft without a single step scores 0: it holds no answer that could be right. Raises EngineError, and
    UnreadError where the verifier cannot read it.
    """
    steps: Sequence[str] = policy.task.split_steps(draft.text)
    if not steps:
        return (0.0,)
    return await verifier.score(problem, steps, recorder=policy.recorder, place=place, every=every)
