"""The engine behind HTTP: one model on any OpenAI-compatible server (vLLM, SGLang, Ray Serve), or on several."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic, perf_counter
from typing import Any, TypeVar

import httpx

from scalinglab.collect.protocol import About, Generated, Rewarded, Scored, Thinking, single
from scalinglab.errors import EngineError
from scalinglab.samples import sound

_T = TypeVar("_T")
_AS_WRITTEN = {"add_special_tokens": False, "skip_special_tokens": False}
"""Prompts carry their own special tokens, and completions show theirs."""
_PLAIN = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""The model's own distribution: servers otherwise take other defaults from its generation_config.json."""
_TOP = 20
"""Log-probabilities asked for: as many as vLLM gives by default, should it not know ``logprob_token_ids``."""

_PATIENCE = 5.0
"""Seconds for a server to say what it is."""


@dataclass(frozen=True)
class HttpSettings:
    """How patient to be with servers, in seconds.

    timeout: for one request, and the longest rest that a server may ask for (Retry-After).
    attempts: how often a request is made, on all servers together, before it is given up.
    first_wait, longest_wait: how long a failed server is left alone, doubled at each failure in a row.
    in_flight: requests at a time to one server; set it to what a rate limit allows.
    """

    timeout: float = 600.0
    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    in_flight: int = 256


class HttpEngine:
    """One model behind one URL or several, the least busy first; see the Engine protocol.

    Any of them may fail for a while: its requests move to the others, or wait. Token counts are the server's
    (``usage``). Cached tokens are 0 where it does not report them: start vLLM with --enable-prompt-tokens-details,
    SGLang with --enable-cache-report. ``model`` is its name to the servers, ``name`` the one it is recorded under.
    Raises EngineError for what is no URL.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        name: str | None = None,
        settings: HttpSettings | None = None,
        key: str | None = None,
    ) -> None:
        self._model, self._name = model, name or model
        self._settings = settings or HttpSettings()
        self._servers = [_Server(_base(url), self._settings) for url in dict.fromkeys(urls)]
        if not self._servers:
            raise EngineError("no URL of a server", "one or more", "give the server's URL")
        self._ids: dict[str, int] = {}
        # Connections are bounded by the slots, and kept for less than the 5 s after which uvicorn drops them.
        self._client = httpx.AsyncClient(
            timeout=None,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0),
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
        )

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        return self._name

    @property
    def continues(self) -> bool:
        """It reads a prompt as it is, whoever began it."""
        return True

    async def generate(
        self,
        prompt: str,
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        thinking: Thinking | None = None,  # noqa: ARG002
        problem: str = "",  # noqa: ARG002
    ) -> Generated:
        """One completion. With ``stop``, the server must say which string ended it, as vLLM and SGLang do."""
        body = self._request(prompt, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=list(stop))

        def read(answer: Any) -> Generated:
            choice, usage = answer["choices"][0], answer["usage"]
            if choice["finish_reason"] not in ("stop", "length"):
                raise ValueError(f"finish_reason {choice['finish_reason']!r}")
            return Generated(
                text=sound(choice["text"]) + ((_ending(choice) or "") if stop else ""),
                stop_told=not stop or _ending(choice) is not None,
                prompt_tokens=int(usage["prompt_tokens"]),
                generated_tokens=int(usage["completion_tokens"]),
                cached_tokens=_cached(usage),
                finish_reason=choice["finish_reason"],
                seconds=perf_counter() - start,
            )

        start = perf_counter()
        return await self._ask("/v1/completions", body, read)

    async def score(self, prompt: str, tokens: Sequence[str], *, problem: str = "") -> Scored:  # noqa: ARG002
        """The log-probabilities of single tokens as the next one, over the whole vocabulary."""
        ids = [await self._id(token) for token in tokens]
        body = self._request(prompt, max_tokens=1, temperature=0, logprobs=_TOP, logprob_token_ids=ids)
        body["return_tokens_as_token_ids"] = True

        def read(answer: Any) -> Scored:
            top, usage = answer["choices"][0]["logprobs"]["top_logprobs"][0], answer["usage"]
            return Scored(
                logprobs=tuple(_logprob(top, *pair, self.model) for pair in zip(ids, tokens, strict=True)),
                prompt_tokens=int(usage["prompt_tokens"]),
                cached_tokens=_cached(usage),
                seconds=perf_counter() - start,
            )

        start = perf_counter()
        return await self._ask("/v1/completions", body, read)

    async def reward(self, prompt: str, *, problem: str = "") -> Rewarded:  # noqa: ARG002
        """The rewards of a pooling model (vLLM's /pooling); of several labels the last, the good one by custom."""

        def read(answer: Any) -> Rewarded:
            rows, usage = answer["data"][0]["data"], answer["usage"]
            rows = rows if isinstance(rows[0], list) else [rows]
            return Rewarded(
                rewards=tuple(float(row[-1]) for row in rows),
                prompt_tokens=int(usage["prompt_tokens"]),
                cached_tokens=_cached(usage),
                seconds=perf_counter() - start,
            )

        start = perf_counter()
        body = {"model": self._model, "input": prompt, "add_special_tokens": False}
        return await self._ask("/pooling", body, read)

    async def about(self) -> About:
        """What the servers say they are: only vLLM's tell their version."""
        return About(", ".join(dict.fromkeys([await self._version(server.url) for server in self._servers])))

    async def count(self, text: str) -> int:
        """The tokens of a text, by the server's own tokenizer, no special one added."""
        return len(await self._tokens(text))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _request(self, prompt: str, **options: Any) -> dict[str, Any]:
        return {"model": self._model, "prompt": prompt, **options, **_AS_WRITTEN, **_PLAIN}

    async def _id(self, token: str) -> int:
        if token not in self._ids:
            self._ids[token] = single(token, await self._tokens(token), self.model)
        return self._ids[token]

    async def _tokens(self, text: str) -> list[int]:
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        return await self._ask("/tokenize", body, lambda answer: [int(token) for token in answer["tokens"]])

    async def _ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], _T]) -> _T:
        """What ``read`` makes of the first sound answer. Raises EngineError after the last attempt."""
        failure = "no attempt"
        for _ in range(self._settings.attempts):
            async with self._slot() as server:
                try:
                    result = _read(await self._post(server.url + path, body), read)
                except _AttemptError as failed:
                    failure = f"{server.url}{path}: {failed}"
                    server.rest_for(failed.wait)
                else:
                    server.failures = 0
                    return result
        raise EngineError(
            f"{self.model} failed in {self._settings.attempts} attempts on {len(self._servers)} server(s), "
            f"last {failure}",
            "a server that answers",
            "see the server's log, lower in_flight or raise timeout; start the same command again to go on",
        )

    async def _version(self, url: str) -> str:
        with suppress(TimeoutError, httpx.RequestError, ValueError, KeyError, TypeError):
            async with asyncio.timeout(_PATIENCE):
                return f"vllm {(await self._client.get(url + '/version')).json()['version']}"
        return "an OpenAI-compatible server"

    async def _post(self, url: str, body: Mapping[str, Any]) -> httpx.Response:
        """The answer, where it is one. Raises _AttemptError where another attempt may help, else EngineError."""
        if self._client.is_closed:
            raise EngineError(f"{self.model} is closed", "an open engine", "open it again")
        try:
            async with asyncio.timeout(self._settings.timeout):
                response = await self._client.post(url, json=body)
        except TimeoutError as error:
            raise _AttemptError(f"no answer in {self._settings.timeout:g} s") from error
        except httpx.RequestError as error:
            raise _AttemptError(f"{type(error).__name__} {error}".strip()) from error
        if response.is_success:
            return response
        wait = _retry_after(response.headers.get("retry-after"))
        said = f"HTTP {response.status_code} {response.text:.200}".strip()
        if response.status_code in (408, 429) or response.is_server_error:
            if (wait or 0) <= self._settings.timeout:
                raise _AttemptError(said, wait)
            said = f"{said}, asking to wait {wait:.0f} s"
        raise EngineError(
            f"{url} refused a request to {self.model}: {said}",
            "a request the server can meet, within its limits",
            "mend what it names (model, key, prompt length, endpoint), or try again after its wait",
        )

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[_Server]:
        """Room on the least busy server that is not at rest; waits for it."""
        while True:
            server = min(self._servers, key=lambda one: (one.rest, one.load))
            if rest := server.rest:
                await asyncio.sleep(rest * random.uniform(1, 1.25))
                continue
            server.load += 1
            try:
                async with server.slots:
                    if not server.rest:  # it may have failed while this request waited
                        yield server
                        return
            finally:
                server.load -= 1


class _Server:
    """One URL: the requests it holds or that wait for it, and how long it is left alone."""

    def __init__(self, url: str, settings: HttpSettings) -> None:
        self.url = url
        self.load = 0
        self.failures = 0
        self.slots = asyncio.Semaphore(settings.in_flight)
        self._settings = settings
        self._awake_at = 0.0

    @property
    def rest(self) -> float:
        """Seconds that it is still to be left alone."""
        return max(0.0, self._awake_at - monotonic())

    def rest_for(self, wait: float | None) -> None:
        """Leave it alone for as long as it asks, or longer at each failure in a row, with jitter."""
        if wait is None:
            self.failures += not self.rest  # many requests that fail together are one failure
            doubled = self._settings.first_wait * 2.0 ** min(self.failures - 1, 30)
            wait = min(doubled, self._settings.longest_wait) * random.uniform(0.5, 1)
        self._awake_at = max(self._awake_at, monotonic() + wait)


class _AttemptError(Exception):
    """An attempt that came to nothing; ``wait``: the seconds of rest that the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def _read(response: httpx.Response, read: Callable[[Any], _T]) -> _T:
    """A parsed answer. Whatever a parser stumbles over is a failed attempt: proxies answer with anything."""
    try:
        return read(response.json())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _AttemptError(f"an unusable answer ({type(error).__name__} {error})") from error


def _ending(choice: Mapping[str, Any]) -> str | None:
    """The stop string that ended a text, which servers cut off; "" where an end token or the length ended it; None
    where the server does not say."""
    for reason in ("stop_reason", "matched_stop"):  # vLLM, SGLang
        if reason in choice:
            return choice[reason] if isinstance(choice[reason], str) else ""
    return "" if choice["finish_reason"] == "length" else None


def _logprob(top: Mapping[str, float], number: int, token: str, model: str) -> float:
    """Of a token by its number, as vLLM names it when asked to, or by its text."""
    for name in (f"token_id:{number}", token):
        if name in top:
            return float(top[name])
    raise EngineError(
        f"the server of {model} gives no log-probability of {token!r}",
        f"it for any token (vLLM's logprob_token_ids), or {token!r} among the {_TOP} likeliest",
        "update the server, or check that this model is a verifier with such a token",
    )


def _cached(usage: Mapping[str, Any]) -> int:
    return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)


def _retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date; None where it holds neither."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _base(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise EngineError(f"{url!r} as a server", "a URL", "write it as http://host:port")
    return url.rstrip("/").removesuffix("/v1")
