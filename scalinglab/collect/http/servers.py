"""The servers of one model: which is asked next, which is left alone, and when one is given up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from scalinglab.collect.http.client import AttemptError, dead
from scalinglab.collect.replicas import Replicas
from scalinglab.errors import DeadEngineError, EngineError

Tell = Callable[[str], None]
"""Told one line where something is to be said while requests wait."""
_UNREACHED = 5
"""Attempts in a row at most on a server that has never answered: half a minute is enough for a wrong address."""
_QUIET = 10.0
"""Seconds at least between two lines about one server."""


@dataclass(frozen=True)
class HttpSettings:
    """How patient to be with servers, in seconds.

    timeout: for one answer, for the longest rest that a server may ask for (Retry-After), and for one that is too
        busy for any request to be met, or loads its model.
    attempts: failures in a row, of a server or of one request on it, before it is given up; "too busy" is none.
    first_wait, longest_wait: how long a failed server is left alone, doubled at each failure in a row.
    in_flight: requests at a time to one server; set it to what a rate limit allows.
    """

    timeout: float = 600.0
    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    in_flight: int = 256


class Server:
    """One URL: the requests on it, and how it has fared.

    sound: whether it has ever answered as it should. load: requests in flight or waiting. failures: in a row.
    replicas: the copies of the model behind it. trying: held by whoever finds out what it answers at all.
    """

    def __init__(self, url: str, settings: HttpSettings, replicas: int = 1) -> None:
        self.replicas = Replicas(replicas)
        self.url, self._settings = base_of(url), settings
        self.room, self.trying = asyncio.Semaphore(settings.in_flight), asyncio.Lock()
        self.sound = self.reached = self.gone = False
        self.load = self.failures = self._busy = 0
        self._awake_at = self._failing_since = 0.0
        self._told_at = -_QUIET

    @property
    def rest(self) -> float:
        """Seconds for which it is to be left alone."""
        return max(0.0, self._awake_at - monotonic())

    def well(self) -> None:
        """It has answered as it should."""
        self.sound = True
        self.answered()

    def answered(self) -> None:
        """It has answered, if not to the end that was asked for."""
        self.reached = True
        self.failures = self._busy = 0

    def failed(self, failure: AttemptError) -> float | None:
        """Leave it alone for as long as it asks, or longer at each failure in a row, with jitter.

        The seconds, where this is news: many requests that fail together are one failure.
        """
        news, self.reached = not self.rest, self.reached or failure.reached
        if not self.failures:
            self._failing_since = monotonic()
        self.failures += news
        self._busy += news and failure.busy
        wait = failure.wait
        if wait is None:
            doubled = self._settings.first_wait * 2.0 ** min(self.failures - 1, 30)
            wait = min(doubled, self._settings.longest_wait) * random.uniform(0.5, 1)
        self._awake_at = max(self._awake_at, monotonic() + wait)
        self.gone = self.gone or self._hopeless(failure.busy)
        return wait if news else None

    def newsworthy(self) -> bool:
        """Whether it is time for a line about it; then it is taken for told."""
        due = self.gone or monotonic() - self._told_at >= _QUIET
        self._told_at = monotonic() if due else self._told_at
        return due

    def _hopeless(self, busy: bool) -> bool:
        if busy:
            return monotonic() - self._failing_since > self._settings.timeout
        attempts = self._settings.attempts if self.reached else min(_UNREACHED, self._settings.attempts)
        return self.failures - self._busy >= attempts


class Servers:
    """The servers of one model. A problem stays with the one that was least busy when it came: its prompt is in
    that one's prefix cache. Where that one fails, it moves."""

    def __init__(
        self, urls: list[str], settings: HttpSettings, *, name: str, replicas: int = 1, tell: Tell | None = None
    ) -> None:
        self.settings, self._name, self._tell = settings, name, tell or (lambda _: None)
        self.all = [Server(url, settings, replicas) for url in dict.fromkeys(urls)]
        if not self.all:
            raise EngineError("no URL of a server", "one or more", "give the server's URL")
        self._homes: dict[str, Server] = {}
        self._said = set[str]()
        self._dead: DeadEngineError | None = None

    @asynccontextmanager
    async def one(self, problem: str) -> AsyncIterator[Server]:
        """Room on the server of a problem, or on the least busy one; waits for it. Raises DeadEngineError."""
        while True:
            if self._dead is not None:
                raise self._dead
            server = self._chosen(problem)
            if rest := server.rest:
                await asyncio.sleep(rest * random.uniform(1, 1.1))
                continue
            server.load += 1
            try:
                async with server.room:
                    if not server.rest and not server.gone:  # it may have failed while this request waited
                        yield server
                        return
            finally:
                server.load -= 1

    def failed(self, server: Server, failure: AttemptError) -> None:
        """Note a failed attempt. Raises DeadEngineError where no server is left."""
        wait = server.failed(failure)
        what = f"{self._name}: {server.url}: {failure}"
        if server.gone and all(one.gone for one in self.all):
            self._dead = dead(
                f"{self._name} failed {server.failures} times in a row, last {server.url}: {failure}",
                "a server that answers",
                "see the server's log, lower requests or raise timeout; start the same command again to go on",
            )
            raise self._dead
        if wait is None or not server.newsworthy():
            return
        then = "given up, the others go on" if server.gone else f"asked again in {wait:.0f} s"
        self._tell(f"{what}; {then if server.gone or wait >= 1 else 'asked again'}")

    def say(self, line: str) -> None:
        """Tell a line, under the model's name; no line twice."""
        if line not in self._said:
            self._said.add(line)
            self._tell(f"{self._name}: {line}")

    def _chosen(self, problem: str) -> Server:
        home = self._homes.get(problem)
        if home is not None and not home.gone and not home.rest:
            return home
        left = [one for one in self.all if not one.gone] or self.all
        found = min(left, key=lambda one: (one.rest, one.load))
        if problem and not found.rest:
            self._homes[problem] = found
        return found


def base_of(url: str) -> str:
    """A server's address, without /v1. Raises EngineError for what is none, or would carry a secret."""
    given, allowed = f"{url.partition('@')[2] or url!r} as a server", "http://host:port, perhaps with a path"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or " " in url:
        raise EngineError(given, f"a URL: {allowed}", "mend the URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise EngineError(
            f"a URL of {parts.hostname} with a user, a password, a query or a fragment",
            f"{allowed}",
            "name the environment variable that holds the key: key_env",
        )
    return url.rstrip("/").removesuffix("/v1")
