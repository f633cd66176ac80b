"""The engine behind HTTP: one model on any server that is asked as OpenAI's are, or on several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from scalinglab.collect.http.answers import Said, UnsoundError, Usage, chat_of, checked, completion_of, usage_of
from scalinglab.collect.http.asking import TRIAL, Asking, Question
from scalinglab.collect.http.cutting import Cutting
from scalinglab.collect.http.looking import look, named, replicas_of
from scalinglab.collect.http.profiles import OURS, PROFILES
from scalinglab.collect.http.scores import rewards_of, scores_of
from scalinglab.collect.http.servers import HttpSettings, Tell
from scalinglab.collect.http.tokenizer import Tokenizer
from scalinglab.collect.protocol import (
    CUT_PROMPT,
    REFUSED,
    About,
    Api,
    Generated,
    Rewarded,
    Scored,
    Thinking,
)
from scalinglab.errors import EngineError, UnreadError
from scalinglab.samples import sound

__all__ = ["HttpEngine", "HttpSettings"]
_T = TypeVar("_T")
_TOP = 20
"""Log-probabilities asked for: as many as vLLM gives by default, should it not know ``logprob_token_ids``."""
_FEW = 16
"""Tokens to write where only what was read is of interest: some servers want as many."""


class HttpEngine:
    """One model behind one URL or several; see the Engine protocol. One sample a request, a seed in each.

    A problem stays with one server. Any may fail for a while: its requests move to the others, or wait; ``tell``
    is told. Token counts are the server's (``usage``); what it does not report is None.

    model: its name to the servers; name: the one it is recorded under. api: "completions", which go on with any
    text, or "chat", by the server's own template. server: a name of ``profiles.PROFILES``; where not given,
    ``about`` finds out, and before that nothing is taken for granted. replicas: copies of the model at each URL.
    answers_as: the name under which it answers, where that is another. extra: what else is put into each request.
    Raises EngineError for what is no URL, or no server that is known.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        name: str | None = None,
        key: str | None = None,
        api: Api = "completions",
        server: str | None = None,
        replicas: int = 1,
        answers_as: str | None = None,
        extra: Mapping[str, Any] | None = None,
        settings: HttpSettings | None = None,
        tell: Tell | None = None,
    ) -> None:
        if server is not None and server not in PROFILES:
            raise EngineError(f"server {server!r}", f"one of {', '.join(PROFILES)}", "name one, or leave it out")
        if taken := [key for key in OURS if key in (extra or {})]:
            raise EngineError(
                f"extra sets {', '.join(taken)}", "what a request does not say by itself", "take it out of extra"
            )
        self._served, self._name, self._chat = model, name or model, api == "chat"
        self._asking = Asking(
            urls, name=self._name, key=key, settings=settings or HttpSettings(), tell=tell, replicas=replicas
        )
        self._known, self._replicas, self._ranked = server is not None, replicas, False
        self._profile = PROFILES[server or "other"]
        self._answers_as = answers_as or (None if self._profile.renames else model)
        self._extra = dict(extra or {})
        self._tokenizer = Tokenizer(self._asking, model)
        self._limit = "max_tokens"
        self._cutting = Cutting(self.count, self._read)

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        return self._name

    @property
    def continues(self) -> bool:
        """By completions only: a chat server begins a turn of its own."""
        return not self._chat

    async def generate(
        self,
        prompt: str,
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        thinking: Thinking | None = None,
        problem: str = "",
    ) -> Generated:
        """One completion, or one answer by chat. Where the server refuses the prompt, so does the completion.

        Raises EngineError, also where this server cannot be told how long to think.
        """
        options = {"temperature": temperature, "seed": seed, **({"stop": list(stop)} if stop else {})}
        options |= self._thinking(thinking)
        start = perf_counter()

        def asking(text: str) -> Question[Generated]:
            return Question(lambda: self._request(text, {self._limit: max_tokens, **options}), read)

        def read(document: Any) -> Generated:
            usage = self._usage(document)
            said = chat_of(document, usage) if self._chat else completion_of(document)
            return self._generated(stop, said, usage, perf_counter() - start)

        def renamed() -> None:
            self._limit = "max_completion_tokens"
            self._asking.servers.say("max_tokens is refused: max_completion_tokens is sent in its place")

        found = await self._asking.post(
            self._path, asking(prompt), trial=asking(TRIAL), problem=problem, renamed=renamed, rank=self._rank()
        )
        if found is None:
            return Generated("", 0, 0, 0, REFUSED, perf_counter() - start, thinking_tokens=0)
        tokens = found.prompt_tokens
        if found.finish_reason != REFUSED and await self._cutting.cut(prompt, tokens, problem):
            self._asking.servers.say(f"read {tokens} tokens of {len(prompt.split())} words: the prompt was cut")
            return replace(found, finish_reason=CUT_PROMPT)
        return found

    async def score(self, prompt: str, tokens: Sequence[str], *, problem: str = "") -> Scored:
        """The log-probabilities of single tokens as the next one, over the whole vocabulary."""
        ids = await self._tokenizer.numbers(tokens, self._profile) if self._profile.scores else []
        named = {"logprob_token_ids": ids, "return_tokens_as_token_ids": True} if ids else {}
        options = {"max_tokens": 1, "temperature": 0, "logprobs": _TOP, **named}
        start = perf_counter()

        def read(document: Any) -> Scored:
            usage = self._usage(document)
            found = scores_of(document, tokens, ids, model=self.model, most=_TOP)
            return Scored(found, usage.prompt, usage.cached, perf_counter() - start)

        asked, trial = (Question(partial(self._completion, text, options), read) for text in (prompt, TRIAL))
        path, rank = "/v1/completions", self._rank()
        found = await self._asking.post(path, asked, trial=trial, problem=problem, rank=rank)
        return self._wanted(found, prompt)

    async def reward(self, prompt: str, *, problem: str = "") -> Rewarded:
        """The rewards of a pooling model (vLLM's /pooling)."""
        start = perf_counter()

        def body(text: str) -> dict[str, Any]:
            return {"model": self._served, "input": text, "add_special_tokens": self._tokenizer.bare(text)}

        def read(document: Any) -> Rewarded:
            usage = self._usage(document)
            return Rewarded(rewards_of(document), usage.prompt, usage.cached, perf_counter() - start)

        asked = Question(partial(body, prompt), read)
        trial = Question(partial(body, TRIAL), lambda document: self._usage(document))  # it may hold no step
        found = await self._asking.post("/pooling", asked, trial=trial, problem=problem)
        return self._wanted(found, prompt)

    async def about(self) -> About:
        """Ask every server what it is and whether it serves the model. Raises EngineError where one does not."""
        found = await look(self._asking, self._served, None if not self._known else self._profile)
        self._profile = found.profile
        if self._profile.renames and self._answers_as == self._served:
            self._answers_as = None
        if self._profile.begins and not self._chat:
            await self._tokenizer.look()
        if self._replicas > 1 and self._profile.rank is not None:
            self._ranked = await replicas_of(self._asking) == {self._replicas}
        notes = [*self._profile.left, *found.notes]
        if self._replicas > 1 and not self._ranked:
            notes.append(f"which of its {self._replicas} replicas answers is the server's to choose")
        if self._profile.cached:
            notes.append(
                f"cached tokens are unknown where the server is not told to report them: {self._profile.cached}"
            )
        servers = sum(not server.gone for server in self._asking.servers.all)
        said, begins = tuple(dict.fromkeys(notes)), self._tokenizer.begins
        return About(found.software, self._replicas * servers, begins, said, kind=self._profile.name)

    async def count(self, text: str) -> int | None:
        """The tokens of a text that begins a prompt, by the server's own tokenizer; None where it has none."""
        found = await self._tokenizer.tokens(text, self._profile)
        begun = self._tokenizer.begun if self._tokenizer.bare(text) else 0
        return None if found is None else len(found) + begun

    async def close(self) -> None:
        """Close the connections."""
        await self._asking.client.close()

    async def _read(self, prompt: str, problem: str) -> int | None:
        """How many tokens a server reads of a prompt; None where it refuses it. Raises EngineError."""

        def body() -> dict[str, Any]:
            return self._request(prompt, {self._limit: _FEW, "temperature": 0, "seed": 0})

        asked = Question(body, lambda document: self._usage(document).prompt)
        return await self._asking.post(self._path, asked, problem=problem, rank=self._rank())

    @property
    def _path(self) -> str:
        return "/v1/chat/completions" if self._chat else "/v1/completions"

    def _request(self, prompt: str, options: Mapping[str, Any]) -> dict[str, Any]:
        if not self._chat:
            return self._completion(prompt, options)
        messages = [{"role": "user", "content": prompt}]
        return {"model": self._served, "messages": messages, **options, **self._profile.sampling, **self._extra}

    def _completion(self, prompt: str, options: Mapping[str, Any]) -> dict[str, Any]:
        body = {"model": self._served, "prompt": prompt, **options, **self._profile.sampling}
        if self._profile.begins:
            body["add_special_tokens"] = self._tokenizer.bare(prompt)
        return {**body, **self._profile.verbatim, **self._extra}

    def _rank(self) -> str | None:
        """The header by which a problem keeps one of several replicas behind a URL, where there is one."""
        return self._profile.rank if self._ranked else None

    def _thinking(self, thinking: Thinking | None) -> dict[str, Any]:
        if thinking is None:
            return {}
        if thinking.effort is not None:
            return {"reasoning_effort": thinking.effort}
        if self._profile.budget is None:
            raise EngineError(
                f"a thinking budget of {thinking.budget} tokens for {self.model} on {self._profile.name}",
                "a server with one (vLLM), or efforts",
                "force the budget (forcing = true), or ask for efforts",
            )
        return {self._profile.budget: thinking.budget}

    def _generated(self, stop: Sequence[str], said: Said, usage: Usage, seconds: float) -> Generated:
        written = bool(said.text or said.thinking)
        if written and usage.generated == 0:
            raise UnsoundError(f"usage: 0 completion tokens for a text ({said.text or said.thinking!r})", lie=True)
        if said.unknown is not None:
            self._asking.servers.say(f"finish_reason {said.unknown!r} is taken for a complete answer")
        finish, ending = said.finish, said.ending or ""
        told = not stop or self._profile.keeps_stop or said.ending is not None or finish != "stop"
        text = "" if finish == REFUSED else sound(said.text) + (ending if stop else "")
        return Generated(
            text,
            usage.prompt,
            usage.generated,
            usage.cached,
            finish,
            seconds,
            sound(said.thinking),
            usage.thinking,
            told,
        )

    def _usage(self, document: Any) -> Usage:
        """The tokens of an answer by the model that was asked. Raises UnsoundError where another answered."""
        says = checked(document).get("model")
        if isinstance(says, str) and says:
            self._answers_as = asked = self._answers_as or says
            if not named(asked, says):
                raise UnsoundError(
                    f"asked for model {asked!r}, it answers as {says!r} (answers_as allows it)", lie=True
                )
        return usage_of(document)

    def _wanted(self, found: _T | None, prompt: str) -> _T:
        if found is None:
            raise UnreadError(
                f"{self.model} refuses a prompt of {len(prompt)} characters", "one within its limits", "shorten it"
            )
        return found
