"""Servers as they are reported to behave: a fake one for each report, with the values that are right by hand."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from scalinglab.collect import collect, open_benchmark
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.errors import EngineError
from scalinglab.samples import RunStore, Unit

HERE = Path(__file__).parent
ROWS = [json.loads(line) for line in (HERE / "data/chat/expected.jsonl").read_text().splitlines()]
FIELDS = {"question": "q", "answer": "a", "id": "id"}
COUNTS = {"prompt": "prompt_tokens", "cached": "cached_tokens", "generated": "generated_tokens"}
COUNTS["thinking"] = "thinking_tokens"


@contextmanager
def serving(mode):
    """The URL of a fake server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, HERE / "fake_chat_server.py", str(port), mode])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)
        yield url
    finally:
        server.kill()
        server.wait()


def task_of(study, api):
    cut = study == "study-cut"
    return open_benchmark(
        HERE / "data/chat" / ("problems-long.jsonl" if study == "study-long" else "problems.jsonl"),
        fields=FIELDS,
        max_tokens=6 if cut else 200,
        template="{question}",
        chat="<s>user {prompt} assistant <think> " if api == "completions" else None,
        answers=["boxed", "hash", "said"],
        workers=1,
    )


def collected(url, path, study="study", *, api="chat", extra=None, temperature=0.7):
    """What a study of four samples a problem records, how it ended, and the lines that were told."""
    task, told = task_of(study, api), []
    units = [
        Unit(
            "run", task.name, problem, "policy", "small", "parallel", {"samples": 4, "temperature": temperature}, 4
        )
        for problem in task.problems
    ]

    async def go(store):
        engine = HttpEngine(
            [url], "S", name="small", api=api, extra=extra, settings=HttpSettings(), tell=told.append
        )
        try:
            told.extend((await engine.about()).notes)
            await collect(units, {"small": engine}, {}, task, store)
        finally:
            await engine.close()

    error = None
    with task.grader, RunStore(path) as store:
        try:
            asyncio.run(go(store))
        except EngineError as failed:
            error = failed
        return store.read(), error, told


def sums(run):
    """Summed tokens by kind; None where no call reported any."""
    found = {}
    for name, column in COUNTS.items():
        values = run.calls[column]
        found[name] = None if values.isna().all() else int(values.sum())
    return found


def named(row):
    return "-".join(str(row[key]) for key in ("mode", "study", "n", "extra") if key in row)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_what_a_server_does_is_recorded_as_what_it_is(tmp_path, row):
    with serving(row["mode"]) as url:
        run, error, told = collected(url, tmp_path / "run.sqlite", row["study"], extra=row.get("extra"))
        with urllib.request.urlopen(f"{url}/stats", timeout=5) as answer:
            did = answer.read().decode()
    assert (error is not None) == (row["outcome"] == "stopped"), error
    said = "\n".join([*told, str(error), did])
    if row["mode"] != "same-text":  # said of the run as a whole, by whoever reads it
        assert all(words in said for words in row.get("says", []))
    if error is not None:
        assert len(str(error).splitlines()) == 1
        assert url in str(error)
        assert len(run.solutions) <= 6
        return
    # One sample a request, always: where a reader asked for 4 of them, the prompt is read 4 times.
    times = 4 if row.get("n") == 4 and row["prompt"] == 120 else 1
    asked = {name: row[name] for name in COUNTS} | {
        name: row[name] and row[name] * times for name in ("prompt", "cached")
    }
    assert Counter(run.solutions["grade"]) == Counter(row["grades"])
    assert sums(run) == asked
