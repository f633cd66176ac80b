"""One question, asked of one server after another until there is a sound answer, or none can be had."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scalinglab.collect.http.answers import UnsoundError
from scalinglab.collect.http.client import AttemptError, Client, Reply, dead
from scalinglab.collect.http.refusals import Refusal, loading, refusal
from scalinglab.collect.http.servers import HttpSettings, Server, Servers, Tell
from scalinglab.errors import EngineError

_T = TypeVar("_T")
TRIAL = "1 + 1 ="
"""A prompt that is not too long for any server, nor of a kind that one filters."""
_AGAIN = (408, 425, 429, 502, 503, 504)
_ABSENT = (404, 405, 501)
_SILENT = 10.0
"""Seconds after which a server that takes the first question and says nothing is told of."""


@dataclass(frozen=True)
class Question(Generic[_T]):
    """A request and its answer. body: made for each attempt. read: what is made of the document that answers."""

    body: Callable[[], Mapping[str, Any]]
    read: Callable[[Any], _T]


class Asking:
    """The servers of one model, and how they are asked."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        name: str,
        key: str | None,
        settings: HttpSettings,
        tell: Tell | None,
        replicas: int = 1,
    ) -> None:
        self.name = name
        self.servers = Servers(list(urls), settings, name=name, replicas=replicas, tell=tell)
        self.client = Client(timeout=settings.timeout, key=key)
        self._settings = settings

    async def post(
        self,
        path: str,
        question: Question[_T],
        *,
        trial: Question[Any] | None = None,
        problem: str = "",
        renamed: Callable[[], None] | None = None,
        rank: str | None = None,
    ) -> _T | None:
        """What is read from the first sound answer; None where the prompt itself is refused.

        trial: the same question of another prompt, ``TRIAL``: a server that refuses it too means no prompt.
        Without one the answer is optional: None, too, where the server has no such path; and no sign that it is
        sound. renamed: called where max_tokens goes by its other name. rank: the header that tells a server which
        of its replicas to ask.
        Raises EngineError where this request has failed too often, DeadEngineError where any would.
        """
        tried: Counter[str] = Counter()
        while True:
            async with self.servers.one(problem) as server:
                try:
                    with server.replicas.serving(problem) as replica:
                        chosen = None if rank is None else {rank: str(replica)}
                        reply, meaning = await self._reply(server, path, question, renamed, chosen)
                    if meaning is None:
                        result = self._sound(server, path, reply, question.read)
                        # To count tokens is not yet to answer.
                        server.answered() if trial is None else server.well()
                        return result
                    if trial is None and reply.status in _ABSENT:
                        return None
                    if meaning is Refusal.NEVER:
                        raise self._never(server, path, reply)
                    if trial is not None:
                        await self._tried(server, path, trial, renamed, reply, meaning)
                    server.answered()
                    if meaning is not Refusal.PROMPT:
                        raise EngineError(*self._refusing(server, path, reply))
                    self.servers.say(f"{server.url} refused a prompt: {self._quoted(reply)}")
                    return None
                except AttemptError as failed:
                    tried[server.url] += not failed.busy
                    self.servers.failed(server, failed)
                    if tried[server.url] >= self._settings.attempts:
                        raise self._given_up(server, failed) from failed

    async def get(self, server: Server, path: str) -> Any | None:
        """A document that one server may have; None where it has none, or is given up while others are left.

        Raises DeadEngineError.
        """
        while not server.gone:
            await asyncio.sleep(server.rest)
            silence = f"{server.url} has not answered {path} in {_SILENT:g} s: waiting for it"
            waiting = asyncio.get_running_loop().call_later(_SILENT, self.servers.say, silence)
            try:
                reply = await self.client.ask("GET", server.url + path)
            except AttemptError as failed:
                self.servers.failed(server, failed)
                continue
            finally:
                waiting.cancel()
            server.reached = True
            if reply.status in (401, 403):
                raise self._never(server, path, reply)
            if reply.status in _AGAIN:
                self.servers.failed(server, self._put_off(server, path, reply))
                continue
            try:
                return reply.document() if reply.good else None
            except ValueError:
                return None
        return None

    def _sound(self, server: Server, path: str, reply: Reply, read: Callable[[Any], _T]) -> _T:
        """What is read from an answer. What no parser can read may be a proxy's, and is asked for again where the
        server has answered soundly before."""
        try:
            return read(reply.document())
        except UnsoundError as error:
            reason, lie = str(error), error.lie
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            reason, lie = f"an unusable answer ({type(error).__name__} {error}): {reply.text}", False
        reason = self.client.quoted(reason)
        if server.sound and not lie:
            raise AttemptError(reason)
        raise dead(
            f"{self.name}: {server.url}{path} gave {reason}",
            "an answer as OpenAI's API describes it",
            "mend the server or what the study says of it; start the same command again to go on",
        )

    async def _reply(
        self,
        server: Server,
        path: str,
        question: Question[Any],
        renamed: Callable[[], None] | None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Reply, Refusal | None]:
        """The reply, and what it means where it refuses the request. Raises AttemptError, DeadEngineError."""
        while True:
            sent = question.body()
            reply = await self.client.ask("POST", server.url + path, sent, headers)
            server.reached = True
            if reply.good:
                return reply, None
            if reply.status in _AGAIN or reply.status >= 500:
                raise self._put_off(server, path, reply)
            meaning = refusal(reply.status, reply.text)
            if meaning is not Refusal.RENAMED:
                return reply, meaning
            if renamed is None or "max_tokens" not in sent:
                return reply, Refusal.NEVER
            renamed()

    async def _tried(
        self,
        server: Server,
        path: str,
        trial: Question[Any],
        renamed: Callable[[], None] | None,
        refused: Reply,
        meaning: Refusal,
    ) -> None:
        """Ask another prompt of a server that has refused one: where it never answered soundly, or names no fault
        of the prompt, it may mean the arguments. Raises DeadEngineError where it refuses that one too."""
        async with server.trying:
            if server.sound and meaning is Refusal.PROMPT:
                return
            reply, again = await self._reply(server, path, trial, renamed)
            if again is not None:
                raise dead(*self._refusing(server, path, refused, ", whatever its prompt"))
            self._sound(server, path, reply, trial.read)
            server.well()

    def _refusing(self, server: Server, path: str, reply: Reply, told: str = "") -> tuple[str, str, str]:
        return (
            f"{server.url}{path} refused a request to {self.name}{told}: {self._quoted(reply)}",
            "a request that the server can meet",
            "mend what it names, then start the same command again",
        )

    def _put_off(self, server: Server, path: str, reply: Reply) -> AttemptError:
        """The failure of a server that may answer later. Raises DeadEngineError where that is too late."""
        if (wait := reply.wait or 0) > self._settings.timeout:
            raise dead(
                f"{self.name}: {server.url}{path}: {self._quoted(reply)}, asking to wait {wait:.0f} s",
                f"a wait of at most {self._settings.timeout:g} s",
                "try again after it, or raise timeout",
            )
        busy = reply.status == 429 or reply.wait is not None or loading(reply.status, reply.text)
        return AttemptError(self._quoted(reply), wait=reply.wait, busy=busy)

    def _never(self, server: Server, path: str, reply: Reply) -> EngineError:
        return dead(
            f"{server.url}{path} refused a request to {self.name}: {self._quoted(reply)}",
            "a server that takes this key, this model and this path",
            "mend what it names (key_env, served, url, api), then start the same command again",
        )

    def _given_up(self, server: Server, failed: AttemptError) -> EngineError:
        return EngineError(
            f"{self.name} failed {self._settings.attempts} times on one request, last on {server.url}: {failed}",
            "a server that answers it",
            "see the server's log, lower requests or raise timeout; start the same command again to go on",
        )

    def _quoted(self, reply: Reply) -> str:
        return self.client.quoted(f"HTTP {reply.status} {reply.text}").strip()
