"""A generative judge: a model that is asked for a judgement in words, as often as wanted, each charged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scalinglab.collect.protocol import Engine, Generated
from scalinglab.collect.recording import Place, Prompt, Recorder, together
from scalinglab.collect.task import Problem
from scalinglab.collect.thoughts import opens, split
from scalinglab.collect.verifiers import Ask, Template, parts_of
from scalinglab.errors import UnreadError

VERDICT, NUMBER = r"\b(yes|no)\b", r"(\d+(?:\.\d+)?)"
"""Where a verdict stands, unless a study says otherwise: the last such word, or of a scale the last number."""
JUDGE = Template(
    "Question:\n{question}\n\nProposed solution:\n",
    "{step}",
    "\n",
    '\n\nIs the solution right so far? Check it step by step. End with "Verdict: yes" or "Verdict: no".\n',
)
"""What a judge is asked, where a study gives no template."""
ROUNDS = 3
"""How often so many judgements are asked for while none can be read."""


@dataclass(frozen=True)
class JudgeVerifier:
    """A language model that writes its judgement (Zhang et al. 2024, arXiv 2408.15240, section 3: GenRM-CoT).

    The score of a solution is the share of ``votes`` judgements that say ``good``, or of numbers from 0 to
    ``scale`` their mean as a share of it. ``pattern``: of its last match in a judgement the first group, or all of
    it, is the verdict. What is neither good nor bad, lies beyond the scale, was cut by ``max_tokens`` or refused
    is unknown: it is charged and left out of the share. Where none can be read, as many are asked for
    again, twice; then the solution has no score: no number would be honest.
    """

    engine: Engine
    ask: Ask = JUDGE
    votes: int = 1
    temperature: float = 1.0
    max_tokens: int = 512
    pattern: str = VERDICT
    good: str = "yes"
    bad: str = "no"
    scale: float | None = None

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        """One part after the other, so that seeds follow from their order. Raises EngineError, UnreadError."""
        return tuple(
            [await self._one(self.ask(problem, part), recorder, place) for part in parts_of(steps, every)]
        )

    async def _one(self, prompt: Prompt, recorder: Recorder, place: Place) -> float:
        made: list[Generated] = []
        for _ in range(ROUNDS if self.temperature else 1):  # at 0 they are all the same
            made += await together(self._judgement(prompt, recorder, place) for _ in range(self.votes))
            read = [verdict for one in made if (verdict := self.verdict(one)) is not None]
            if read:
                return sum(read) / len(read)
        raise UnreadError(
            f"none of {len(made)} judgements of {self.engine.model} has a verdict: {made[-1].text[-80:]!r}",
            f"a match of {self.pattern!r} before its {self.max_tokens} tokens end",
            "mend pattern or template, or raise max_tokens",
        )

    async def _judgement(self, prompt: Prompt, recorder: Recorder, place: Place) -> Generated:
        """A judgement without the thoughts before it."""
        made = await recorder.generate(
            self.engine,
            prompt,
            place=place,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            role="verifier",
        )
        return replace(made, text=split(made.text, opens(prompt.text))[1])

    def verdict(self, judgement: Generated) -> float | None:
        """What a judgement says, from 0 to 1; None where it cannot be read."""
        found = list(re.finditer(self.pattern, judgement.text, re.IGNORECASE))
        if judgement.finish_reason != "stop" or not found:
            return None
        said = str(found[-1][1 if found[-1].re.groups else 0] or "").strip()
        if self.scale is not None:
            return _share(said, self.scale)
        return {self.good.casefold(): 1.0, self.bad.casefold(): 0.0}.get(said.casefold())


def _share(said: str, scale: float) -> float | None:
    try:
        share = float(said) / scale
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None
