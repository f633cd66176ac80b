"""One request and its answer, within limits of time and size; what went wrong, in words that hold no key."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from scalinglab.errors import DeadEngineError, EngineError

MOST = 64 * 2**20
"""Bytes of an unpacked answer at most: logprobs and long thoughts stay far below."""
_QUOTED = 200
_KEPT = 4.0
"""Seconds that an idle connection is kept: uvicorn drops one after 5."""
_CONNECT = 20.0
"""Seconds for a connection to be made: where a firewall drops what is sent, nobody says no."""
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Reply:
    """status, the body's text, and the seconds that the server asks to be left alone (None: it does not ask)."""

    status: int
    text: str
    wait: float | None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def document(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.text)


class AttemptError(Exception):
    """An attempt that came to nothing, where another may not.

    wait: seconds that the server asks to be left alone. reached: whether it answered at all. busy: whether it is
    well, and has too much to do.
    """

    def __init__(
        self, reason: str, *, wait: float | None = None, reached: bool = True, busy: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait, self.reached, self.busy = wait, reached, busy


class Client:
    """The connections of one engine. No redirect is followed, every certificate is verified.

    timeout: seconds for one answer, its last byte included. key: sent as a Bearer token, and never quoted.
    """

    def __init__(self, *, timeout: float, key: str | None = None) -> None:
        self.timeout, self._key = timeout, key
        self._headers = _HEADERS | ({} if key is None else {"Authorization": f"Bearer {key}"})
        self._proxies = getproxies()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The answer, whatever its status. Raises AttemptError, or DeadEngineError for what no retry mends."""
        data = None if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(self.timeout):
                return await self._sent(method, url, data, headers)
        except aiohttp.ConnectionTimeoutError as error:
            raise AttemptError(f"no connection in {_CONNECT:g} s", reached=False) from error
        except TimeoutError as error:
            raise AttemptError(f"no answer in {self.timeout:g} s") from error
        except aiohttp.InvalidURL:
            given = f"{url} cannot be asked through {self._proxy(url)}"
            raise dead(given, "a proxy as http://host:port") from None
        except aiohttp.ClientSSLError as error:
            raise dead(
                f"{url}: TLS failed ({self.quoted(str(error))})", "a certificate that can be verified"
            ) from None
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error)
            raise AttemptError(self.quoted(f"no connection ({reason})"), reached=False) from error
        except (aiohttp.ClientError, zlib.error, UnicodeDecodeError) as error:
            raise AttemptError(self.quoted(f"{type(error).__name__} {error}")) from error
        except ValueError:  # a header that cannot be sent; what it holds is not for the eye
            raise dead(f"{url} cannot be asked with this key", "a key of printable ASCII characters") from None

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def quoted(self, text: str) -> str:
        """A server's words on one line, not too many, the key struck out."""
        shown = " ".join(text.split())
        shown = shown if self._key is None else shown.replace(self._key, "***")
        return shown if len(shown) <= _QUOTED else f"{shown[:_QUOTED]}..."

    async def _sent(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        session = self._opened()
        for last in (False, True):
            kept: set[str] = set()
            try:
                async with session.request(
                    method,
                    URL(url, encoded=True),
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._proxy(url),
                    trace_request_ctx=kept,
                ) as response:
                    body = await _read(response)
                    wait = _wait(response.headers) if response.status >= 400 else None
                    return Reply(response.status, body.decode("utf-8"), wait)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A connection that was kept may have been dropped since: asked once more at once, on another.
                # On a new one the server has had the request: it is not made twice.
                if last or not kept:
                    raise
        raise AssertionError

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise EngineError("the engine is closed", "an open engine", "open it again")
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_reused)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
                trace_configs=[tracing],
                headers=self._headers,
                auto_decompress=False,
            )
        return self._session

    def _proxy(self, url: str) -> str | None:
        if not self._proxies:
            return None
        parts = urlsplit(url)
        found = self._proxies.get(parts.scheme) or self._proxies.get("all")
        return None if found is None or proxy_bypass(parts.netloc) else found


def dead(
    given: str, allowed: str, do: str = "mend it, then start the same command again to go on"
) -> DeadEngineError:
    """The error that no retry mends."""
    return DeadEngineError(given, allowed, do)


async def _reused(_session: object, context: SimpleNamespace, _: object) -> None:
    """Note in a request's own set that it goes over a connection that was kept."""
    context.trace_request_ctx.add("reused")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked as it comes, and no more of it than ``MOST``."""
    packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    length = response.content_length
    if not packed and length is not None and length <= MOST:
        return await response.read()
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed else None
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece if unpack is None else unpack.decompress(piece, MOST + 1 - len(body))
        if len(body) > MOST or (unpack is not None and unpack.unconsumed_tail):
            response.close()
            raise AttemptError(f"an answer of more than {MOST // 2**20} MB")
    return bytes(body)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to leave a server alone: Retry-After (seconds or a date), or until a limit used up is reset."""
    after = headers.get("Retry-After")
    if after is not None:
        return _seconds(after) or None  # 0 asks for no wait in particular
    used = [
        _duration(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    return max((wait for wait in used if wait is not None), default=None)


def _seconds(header: str) -> float | None:
    with suppress(ValueError):
        return max(0.0, float(header))
    with suppress(ValueError):
        date = parsedate_to_datetime(header)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None


def _duration(text: str) -> float | None:
    """Seconds in a text such as "1.97s", "6m0s" or "120ms"; None where it holds none."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    total, number, left = 0.0, "", text.strip()
    while left:
        digits = len(left) - len(left.lstrip("0123456789."))
        number, left = left[:digits], left[digits:]
        unit = next((one for one in ("ms", "s", "m", "h", "d") if left.startswith(one)), None)
        if not number or unit is None:
            return None
        try:
            total += float(number) * units[unit]
        except ValueError:
            return None
        left = left[len(unit) :]
    return total if number else None
