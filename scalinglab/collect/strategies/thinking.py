"""Thinking before an answer, for so many tokens or at an effort: by the engine itself, or by budget forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scalinglab.collect.protocol import Thinking
from scalinglab.collect.recording import Place, Prompt, together
from scalinglab.collect.strategies.drafts import Draft, Policy, scored, settled_by
from scalinglab.collect.strategies.record import Entry, Parameters, Strategy, given, register, whole
from scalinglab.collect.strategies.sampling import most
from scalinglab.collect.task import Problem
from scalinglab.collect.verifiers import Verifier
from scalinglab.errors import DataError

TAGS = ("<think>", "</think>")
"""What opens and what closes a thought, where a study names no others; blanks around them are kept."""
WAIT = "Wait"


async def think(
    problem: Problem,
    policy: Policy,
    verifier: Verifier | None = None,
    *,
    samples: int,
    effort: int | str,
    forcing: bool = False,
    waits: int = 0,
    tags: Sequence[str] = TAGS,
    aggregate: str = "last",
) -> list[Draft]:
    """Independent samples, each of which thinks first: sequential and parallel compute at once.

    effort: a budget of thought in tokens, which is what was asked (what was used is in the calls), or a name that
    the server has for one. The engine keeps to it, or with ``forcing`` the budget is forced upon any engine that
    goes on with a text (see ``_forced``); ``waits`` and ``tags`` are for that alone. ``max_tokens`` of a solution
    count its thoughts; one that they end before its answer has none. Raises EngineError.
    """

    async def one(sample: int) -> Draft:
        place = Place(sample=sample)
        if forcing:
            draft = await _forced(problem, policy, int(effort), waits, tags, place)
        else:
            asked = Thinking(effort=effort) if isinstance(effort, str) else Thinking(budget=effort)
            draft = await policy.solve(problem, place=place, thinking=asked)
        return await scored(problem, draft, policy, verifier, aggregate)

    return await together(map(one, range(samples)))


async def _forced(
    problem: Problem, policy: Policy, budget: int, waits: int, tags: Sequence[str], place: Place
) -> Draft:
    """Budget forcing (Muennighoff et al. 2025, arXiv 2501.19393, section 3.1).

    At most: a thought that reaches its budget is cut, closed by the tag, and an answer asked for. At least: where
    the model would close it, "Wait" stands in place of the tag, ``waits`` times, within the same budget. Each part
    of the thought is a call whose round is its number; the answer is the last round.
    """
    thought, rest = await _thought(problem, policy, budget, waits, tags, place)
    if thought.settled is not None or thought.tokens >= problem.max_tokens:
        return replace(thought, ended=True, cut=thought.settled is None)
    last = replace(place, round=thought.place.round + (thought.tokens > 0))
    return await policy.solve(problem, place=last, prompt=Prompt(problem.prompt, rest), thought=thought)


async def _thought(
    problem: Problem, policy: Policy, budget: int, waits: int, tags: Sequence[str], place: Place
) -> tuple[Draft, str]:
    """What was thought, without a text yet; and all that stands after the question once it is closed."""
    opening, closing = tags
    stop = closing.strip()
    opened = problem.prompt.rstrip().endswith(opening.strip())  # many templates open the thought
    room, draft, begun = min(budget, problem.max_tokens), Draft(place=place), "" if opened else opening
    for part in range(waits + 1):
        if draft.tokens >= room:
            break
        here = replace(place, round=part)
        made = await policy.recorder.generate(
            policy.engine,
            Prompt(problem.prompt, begun + draft.thinking),
            place=here,
            max_tokens=room - draft.tokens,
            temperature=policy.temperature,
            stop=(stop,),
            thoughts=True,
            limit="budget" if budget < problem.max_tokens else "length",
        )
        tokens, written = draft.tokens + made.generated_tokens, (made.thinking + made.text).removesuffix(stop)
        draft = Draft("", tokens, place=here, thinking=draft.thinking + written, settled=settled_by(made))
        if made.finish_reason != "stop":
            break
        if part == waits or tokens >= room:
            closing = closing[closing.index(stop) :]  # the model wrote what stands before it
            break
        draft = replace(draft, thinking=draft.thinking + WAIT)
    return draft, begun + draft.thinking + closing


def _cells(entry: Entry) -> list[Parameters]:
    """A cell an effort, each with the most samples that are asked for: all smaller numbers are read from them."""
    forcing, names = entry.flag("forcing", False), entry.texts("efforts", ())
    budgets = entry.numbers("thinking", least=0) if not names else entry.numbers("thinking", (), least=0)
    waits, tags = entry.number("waits", None, least=0), entry.texts("tags", None)
    if names and (budgets or forcing):
        raise entry.wrong("efforts", names, "thinking in its place: budgets in tokens, which alone can be forced")
    if tags is not None and not _two(tags):
        raise entry.wrong("tags", tags, "two different ones: what opens a thought and what closes it")
    for key, value in (("waits", waits), ("tags", tags)):
        if value is not None and not forcing:
            raise entry.wrong(key, value, "none without forcing = true, or that beside it")
    own = given(forcing=forcing or None, waits=waits or None, tags=tags)
    return [{**cell, "effort": effort, **own} for effort in sorted({*budgets, *names}) for cell in most(entry)]


def _two(tags: Any) -> bool:
    two = isinstance(tags, (list, tuple)) and len(tags) == 2
    return two and len({str(tag).strip() for tag in tags} - {""}) == 2


def _size(parameters: Parameters) -> int:
    effort, forcing, waits = (parameters.get(key, 0) for key in ("effort", "forcing", "waits"))
    named = isinstance(effort, str) and effort != "" and not forcing
    if not (named or (type(effort) is int and effort >= 0)):
        raise DataError(
            f"think with effort {effort!r}{' forced' if forcing else ''}",
            "a budget in tokens, 0 or more, or without forcing a name",
            "mend effort",
        )
    if type(waits) is not int or waits < 0 or not _two(parameters.get("tags", TAGS)):
        raise DataError(
            f"think with waits {waits!r}, tags {parameters.get('tags', TAGS)!r}",
            "a number and two tags",
            "mend it",
        )
    return whole("think", parameters, "samples")


register(
    Strategy(
        "think",
        think,
        ("samples",),
        block=1,
        reading=_cells,
        size=_size,
        continues="forcing",
        read_as="parallel",
    )
)
