"""A server's own tokenizer, where it has one to ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalinglab.collect.http.answers import UnsoundError
from scalinglab.collect.http.asking import Asking, Question
from scalinglab.collect.http.profiles import Profile
from scalinglab.collect.protocol import single


class Tokenizer:
    """What the servers of a model make of a text. A router may hide it: then every answer is None.

    begins: the text of the special tokens that it puts before a prompt; None: nobody said. begun: their number.
    """

    def __init__(self, asking: Asking, served: str) -> None:
        self._asking, self._served, self._numbers = asking, served, dict[str, int]()
        self.begins: str | None = None
        self.begun = 0

    async def look(self) -> None:
        """Find out what it puts before a text (vLLM's says)."""
        bare, whole = await self._strings(special=False), await self._strings(special=True)
        if bare is not None and whole is not None:
            self.begun = len(whole) - len(bare) if bare and whole[-len(bare) :] == bare else 0
            self.begins = "".join(whole[: self.begun])

    def bare(self, prompt: str) -> bool:
        """Whether what it puts before a text is to be put before this prompt, which does not begin with it."""
        return bool(self.begins) and not prompt.startswith(str(self.begins))

    async def numbers(self, tokens: Sequence[str], profile: Profile) -> list[int]:
        """The number of each token, asked for once; none where there is nobody to ask. Raises EngineError."""
        for token in tokens:
            if token not in self._numbers:
                found = await self.tokens(token, profile)
                if found is None:
                    return []
                self._numbers[token] = single(token, found, self._asking.name)
        return [self._numbers[token] for token in tokens]

    async def tokens(self, text: str, profile: Profile) -> list[int] | None:
        """The tokens of a text, no special one added. Raises DeadEngineError where it reads another key."""
        if profile.tokenize is None:
            return None
        special = "add_special" if profile.tokenize == "content" else "add_special_tokens"
        body = {"model": self._served, profile.tokenize: text, special: False}

        def read(answer: Any) -> list[int]:
            found = [int(token) for token in answer["tokens"]]
            if text and not found:
                raise UnsoundError(f"0 tokens for {text!r:.60}: it reads another key", lie=True)
            return found

        return await self._asking.post("/tokenize", Question(lambda: body, read))

    async def _strings(self, *, special: bool) -> list[str] | None:
        body = {"model": self._served, "prompt": "a", "add_special_tokens": special, "return_token_strs": True}

        def read(answer: Any) -> list[str] | None:
            told = answer.get("token_strs")
            return None if told is None else [str(one) for one in told]

        return await self._asking.post("/tokenize", Question(lambda: body, read))
