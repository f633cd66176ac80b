"""A server that answers every completion at once, or after a while, with a canned body: python canned_server.py MS

One asyncio Protocol: some 20,000 calls a second, so that it is the client that is measured. Prints its port.
"""

import asyncio
import sys
from itertools import count

SERIAL = count()
TEXT = "12;34;56;78;90 " * 12
USAGE = '"usage": {"prompt_tokens": 40, "completion_tokens": 180, "total_tokens": 220}'


def answer():
    """A completion as vLLM writes it; no two have the same text."""
    choice = f'{{"index": 0, "text": "{TEXT}{next(SERIAL):09}", "logprobs": null, "finish_reason": "stop"}}'
    body = f'{{"id": "c", "object": "text_completion", "model": "canned", "choices": [{choice}], {USAGE}}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class Canned(asyncio.Protocol):
    """One connection, on which one request is made at a time."""

    def __init__(self, delay):
        self.delay, self.held = delay, bytearray()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.held += data
        head = self.held.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = self.held[:head].lower()
        _, _, rest = fields.partition(b"content-length:")
        if len(self.held) < head + 4 + int(rest.split(b"\r\n")[0] or 0):
            return
        self.held.clear()
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.send)
        else:
            self.send()

    def send(self):
        if not self.transport.is_closing():
            self.transport.write(answer())


async def main(delay):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(delay), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000))
