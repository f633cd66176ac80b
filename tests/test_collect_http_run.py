"""Whole runs over HTTP, on servers that fail in every way: they end as an unbroken run does, or in one line."""

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from scripted import study
from test_collect_http import FAILURES, Server, hangs, sends
from test_collect_run import assert_same, read

from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.errors import EngineError

PATIENT = HttpSettings(timeout=3, attempts=20, first_wait=0.001, longest_wait=0.01, in_flight=16)
FAILING = [*FAILURES.values(), hangs, sends(429, Retry_After="0.01")]


def serving(engine, *, moods=0.0, seed=0):
    """A reply that answers as a server of this engine; with probability ``moods`` it fails in some way."""
    luck = random.Random(seed)

    async def reply(server, reader, writer):
        path, body, _ = server.asked[-1]
        if luck.random() < moods:
            await luck.choice(FAILING)(server, reader, writer)
        elif path == "/tokenize":
            await sends(answer={"tokens": [*range(len(engine.tokens(body["prompt"])))]})(server, reader, writer)
        else:
            await sends(answer=await completion(engine, body))(server, reader, writer)

    return reply


async def completion(engine, body):
    options = {name: body[name] for name in ("max_tokens", "temperature", "seed")}
    stops = body.get("stop", [])
    made = await engine.generate(body["prompt"], **options, stop=stops)
    ending = next((stop for stop in stops if made.text.endswith(stop)), None)
    text = made.text.removesuffix(ending or "")
    usage = {"prompt_tokens": made.prompt_tokens, "completion_tokens": made.generated_tokens}
    choice = {"text": text, "finish_reason": made.finish_reason, "stop_reason": ending}
    return {"choices": [choice], "usage": usage}


async def over(replies, path):
    """The study with its policy behind a server for each reply."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server(reply)) for reply in replies]
        engine = HttpEngine([server.url for server in servers], "small", server="vllm", settings=PATIENT)
        stack.push_async_callback(engine.close)
        for server in engine._asking.servers.all:
            server.well()  # what was never sound is not asked again
        return await replace(study(), engines={"small": engine}).run(path, in_flight=8)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return asyncio.run(study().run(tmp_path_factory.mktemp("unbroken") / "run.sqlite"))


@pytest.mark.parametrize("moods", [0.0, 0.3])
def test_whatever_its_servers_do_now_and_then_the_run_is_the_unbroken_one(tmp_path, unbroken, moods):
    replies = [serving(study().engines["small"], moods=moods, seed=seed) for seed in range(2)]
    assert_same(asyncio.run(over(replies, tmp_path / "run.sqlite")), unbroken)


def test_a_server_that_dies_half_way_ends_the_run_in_one_line_and_it_goes_on_with_another(tmp_path, unbroken):
    path, well = tmp_path / "run.sqlite", serving(study().engines["small"])

    async def mortal(server, reader, writer):
        server.die() if len(server.asked) > 60 else await well(server, reader, writer)

    with pytest.raises(EngineError, match=r"^small failed (5|20) times in a row, last http") as failed:
        asyncio.run(over([mortal], path))
    assert len(str(failed.value).splitlines()) == 1
    assert 0 < len(read(path).units) < len(unbroken.units)
    assert_same(asyncio.run(over([well], path)), unbroken)
