"""A server in this process that answers as each test tells it to."""

import asyncio
import json
from contextlib import suppress

CHOICE = {"text": "4;", "finish_reason": "stop", "stop_reason": None}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}
ANSWER = {"choices": [CHOICE], "usage": USAGE}


class Server:
    """Answers its requests with the given replies in turn, the last one for ever; counts what it sees."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.asked = []
        self.serving = self.busiest = 0
        self.hung_up = asyncio.Event()
        self._writers, self._tasks = set(), set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.die()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def die(self):
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        self._tasks.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                _, _, length = head.partition("content-length: ")
                body = await reader.readexactly(int(length.split("\r\n")[0] or 0))
                self.asked.append((head.split()[1], json.loads(body or "null"), head))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                self.serving += 1
                self.busiest = max(self.busiest, self.serving)
                await reply(self, reader, writer)
                self.serving -= 1
        writer.close()


def sends(status=200, answer=ANSWER, *, after=0.0, claims=None, **headers):
    """A reply; ``claims`` is a length that the body does not have."""

    async def reply(_server, _reader, writer):
        await asyncio.sleep(after)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {claims or len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        if claims:
            writer.close()

    return reply
