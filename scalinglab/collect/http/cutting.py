"""Whether a server has read a prompt to its end, or dropped a part without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from scalinglab.collect.http.asking import TRIAL

_TWICE = f"{TRIAL}\n{TRIAL}"
_APART = 2
"""Tokens that a text has more in two parts than in one, at most: one may span words."""


class Cutting:
    """Looks at prompts of which fewer tokens were read than they have words.

    A token may span words, so it is found out, once a prompt: by the server's own tokenizer, or where it has none
    by its halves, which have as many tokens as the whole, and what stands around a prompt once more, unless the
    whole was cut. count: the tokens of a text; None: nobody says. read: how many are read of a prompt.
    """

    def __init__(
        self, count: Callable[[str], Awaitable[int | None]], read: Callable[[str, str], Awaitable[int | None]]
    ) -> None:
        self._count, self._read = count, read
        self._known, self._looking = dict[tuple[str, int], bool](), asyncio.Lock()

    async def cut(self, prompt: str, tokens: int, problem: str) -> bool:
        """Whether a prompt was cut of which so many tokens were read. Raises EngineError."""
        if tokens >= len(prompt.split()):
            return False
        key = (prompt, tokens)
        async with self._looking:
            if key not in self._known:
                self._known[key] = await self._look(prompt, tokens, problem)
        return self._known[key]

    async def _look(self, prompt: str, tokens: int, problem: str) -> bool:
        counted = await self._count(prompt)
        if counted is not None:
            return tokens < counted
        middle = prompt.find(" ", len(prompt) // 2)
        parts = (prompt[:middle], prompt[middle:], TRIAL, _TWICE)
        first, second, once, twice = [await self._read(part, problem) or 0 for part in parts]
        around = 2 * once - twice
        return not (first and second and once and twice) or first + second - around - tokens > _APART
