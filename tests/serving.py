"""A fake server in a process of its own."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parent


@contextmanager
def serving(mode, *, script="fake_server.py"):
    """A server on a free port of loopback, misbehaving as the mode says; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, TESTS / script, str(port), mode], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until, "the fake server does not start"
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
