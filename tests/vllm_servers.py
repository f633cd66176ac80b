"""vLLM's own server on a CPU, started and stopped by a test."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

OPTIONS = "--dtype float32 --block-size 32 --no-enable-chunked-prefill --enforce-eager --host 127.0.0.1"
OPTIONS += " --enable-prompt-tokens-details"
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(folder, log, *options, name="tiny", cache=2**29, level="INFO"):
    """A model in a folder, served under a name; starts and gives its URL, which ``up`` waits for, and its process.

    cache: bytes for keys and values. level: of its log; at DEBUG, with --enable-log-requests, it holds prompts.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--served-model-name", name]
    command += ["--model", str(folder), *OPTIONS.split(), "--port", str(port)]
    environment = os.environ | ENVIRONMENT | {"VLLM_LOGGING_LEVEL": level}
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*command, "--kv-cache-memory-bytes", str(cache), *options], stdout=out, stderr=out, env=environment
        ) as server,
    ):
        try:
            yield f"http://127.0.0.1:{port}", server
        finally:
            server.terminate()


def up(url, server, log, *, patience=600):
    """Wait until it answers."""
    for _ in range(patience):
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            return urllib.request.urlopen(f"{url}/health", timeout=1).close()
        except OSError:
            time.sleep(1)
    pytest.fail(log.read_text()[-3000:])


def served_requests(url):
    """The completions of each replica so far, by its number: vLLM's own counters."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for engine, count in re.findall(
        r'^vllm:request_success_total\{.*?engine="(\d+)".*?\} ([\d.e+]+)$', text, re.M
    ):
        found[engine] = found.get(engine, 0) + int(float(count))
    return found
