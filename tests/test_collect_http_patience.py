"""Servers that are busy, half dead, far away or behind a router: how long the engine is patient, and with what."""

import asyncio
import socket
import sys
import zlib
from contextlib import ExitStack, suppress

import pytest
from answering import ANSWER, CHOICE, USAGE, Server, sends
from test_collect_http import FAST, MODELS, VERSION, generate, run

from scalinglab.collect.http import asking, client
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.errors import DeadEngineError, EngineError

MISSING = sends(404, {"detail": "Not Found"})


async def never(server, _reader, _writer):
    server.die()


def test_a_server_that_is_dead_from_the_start_is_left_out_while_another_is_well():
    told = []

    async def ask(engine, *_):
        about = await engine.about()
        return about.replicas, [(await generate(engine)).text for _ in range(3)]

    replicas, texts = run([[never], [MODELS, VERSION, MISSING, sends()]], ask, tell=told.append, server=None)
    assert (replicas, texts) == (1, ["4;"] * 3)
    assert "given up, the others go on" in told[-1]


def test_a_server_behind_a_router_that_has_no_tokenizer_serves_all_the_same():
    async def ask(engine, server):
        about = await engine.about()
        found = await generate(engine)
        body = server.asked[-1][1]
        server.replies[:] = [MISSING]
        return about.begins, found.text, body["add_special_tokens"], await engine.count("one")

    found = run([[MODELS, MISSING, MISSING, MISSING, sends()]], ask, server=None)
    assert found == (None, "4;", False, None)


def test_being_too_busy_is_no_failure_until_it_lasts():
    busy = [sends(429, b"busy")] * 20
    settings = HttpSettings(timeout=30, attempts=2, first_wait=0.001, longest_wait=0.002)
    told = []
    assert run([[*busy, sends()]], lambda engine, _: generate(engine), settings, tell=told.append).text == "4;"
    assert len(told) == 1
    with pytest.raises(DeadEngineError, match="HTTP 429 busy"):
        run([busy], lambda engine, _: generate(engine), HttpSettings(timeout=0.1, first_wait=0.01))


LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


@pytest.mark.parametrize("words", [LOADING, {"error": "Model org/m is currently loading", "estimated_time": 20}])
def test_a_server_that_loads_its_model_is_waited_for_and_that_is_said(words):
    slow = [sends(503, words)] * 20
    settings = HttpSettings(timeout=30, attempts=2, first_wait=0.001, longest_wait=0.002)
    told = []

    async def ask(engine, *_):
        return (await engine.about()).software, (await generate(engine)).text

    replies = [*slow, MODELS, VERSION, MISSING, *slow, sends()]
    assert run([replies], ask, settings, tell=told.append, server=None) == ("vllm 0.11.0", "4;")
    assert "oading" in told[0]
    with pytest.raises(DeadEngineError, match="oading"):
        run([slow], lambda engine, _: generate(engine), HttpSettings(timeout=0.1, first_wait=0.01))


def test_a_wait_of_no_seconds_is_no_invitation_to_hammer():
    settings = HttpSettings(timeout=0.3, first_wait=0.1, longest_wait=0.1)

    async def ask(engine, server):
        with suppress(DeadEngineError):
            await generate(engine)
        return len(server.asked)

    assert run([[sends(429, Retry_After=0)]], ask, settings) < 10


def test_a_request_that_a_server_took_and_dropped_is_one_attempt():
    async def drops(_server, _reader, writer):
        writer.close()

    async def ask(engine, server):
        with pytest.raises(EngineError):
            await generate(engine)
        return len(server.asked)

    assert run([[drops]], ask) == FAST.attempts


TOO_LONG = sends(400, b"maximum context length is 8 tokens; max_tokens is too large")


def test_where_every_prompt_is_refused_the_first_ends_the_study_and_none_is_recorded_as_refused():
    async def ask(engine, server):
        with pytest.raises(DeadEngineError, match="m, whatever its prompt: HTTP 400") as failed:
            await generate(engine)
        return str(failed.value), len(server.asked)

    line, asked = run([[TOO_LONG]], ask)
    assert "max_tokens is too large" in line
    assert asked == 2


def test_a_tokenizer_that_answers_does_not_make_the_server_sound():
    counted = sends(answer={"tokens": [1], "token_strs": ["a"]})

    async def ask(engine, _server):
        await engine.about()
        await generate(engine)

    with pytest.raises(DeadEngineError, match="whatever its prompt"):
        run([[MODELS, VERSION, counted, counted, TOO_LONG]], ask, server=None)


def test_prompts_that_are_refused_together_are_tried_by_one_other():
    async def picky(server, reader, writer):
        await (TOO_LONG if server.asked[-1][1]["prompt"] != asking.TRIAL else sends())(server, reader, writer)

    async def ask(engine, server):
        reasons = [one.finish_reason for one in await asyncio.gather(*(generate(engine) for _ in range(9)))]
        return set(reasons), [body["prompt"] for _, body, _ in server.asked].count(asking.TRIAL)

    assert run([[picky]], ask) == ({"refused"}, 1)


def test_a_trial_that_comes_at_a_bad_moment_is_made_again():
    async def ask(engine, server):
        return (await generate(engine)).finish_reason, len(server.asked)

    assert run([[TOO_LONG, sends(503, b"busy"), TOO_LONG, sends()]], ask) == ("refused", 4)


@pytest.mark.parametrize("call", ["score", "reward"])
def test_arguments_that_a_verifiers_server_refuses_end_the_study_at_the_first(call):
    async def ask(engine, _server):
        options = {"tokens": ("a", "b")} if call == "score" else {}
        with pytest.raises(DeadEngineError, match="whatever its prompt"):
            await getattr(engine, call)("2+2", **options)

    run([[sends(400, b"logprobs is not for you")]], ask, server="other")


def test_what_a_server_is_is_asked_again_behind_a_gateway_that_is_not_up_yet():
    async def ask(engine, *_):
        return (await engine.about()).software

    gateway = sends(502, b"bad gateway")
    assert run([[gateway, MODELS, VERSION, MISSING]], ask, server=None).startswith("vllm ")


def test_a_server_that_wants_an_hour_before_it_says_what_it_is_ends_the_study():
    async def ask(engine, *_):
        await engine.about()

    with pytest.raises(DeadEngineError, match="HTTP 429 busy, asking to wait 3600 s"):
        run([[sends(429, b"busy", Retry_After=3600)]], ask, server=None)


def test_a_server_that_takes_the_first_question_and_says_nothing_is_told_of(monkeypatch):
    monkeypatch.setattr(asking, "_SILENT", 0.05)
    told = []

    async def slow(server, reader, writer):
        await asyncio.sleep(0.2)
        await MODELS(server, reader, writer)

    async def ask(engine, *_):
        await engine.about()

    run([[slow, VERSION, MISSING]], ask, tell=told.append, server=None)
    assert any("has not answered /v1/models in 0.05 s" in line for line in told)


@pytest.mark.parametrize("says", ["m-mini", "m-4b-instruct", "m:30b", "m-2"])
def test_a_model_of_another_size_is_another_model(says):
    with pytest.raises(DeadEngineError, match=f"asked for model 'm', it answers as '{says}'"):
        run([[sends(answer={**ANSWER, "model": says})]], lambda engine, _: generate(engine))


def test_several_choices_for_one_question_are_not_one_answer():
    with pytest.raises(DeadEngineError, match="4 choices where one was asked for"):
        run([[sends(answer={"choices": [CHOICE] * 4, "usage": USAGE})]], lambda engine, _: generate(engine))


@pytest.mark.parametrize("key", ["n", "seed", "model", "stream", "max_tokens"])
def test_extra_says_nothing_that_a_request_says_itself(key):
    with pytest.raises(EngineError, match=f"extra sets {key}; expected what a request does not say by itself"):
        HttpEngine(["http://127.0.0.1:1"], "m", extra={key: 2})


@pytest.mark.parametrize("at", range(160, 215, 6))
def test_a_key_that_a_server_echoes_is_struck_out_wherever_the_quote_ends(at):
    key = "sk-0123456789abcdef"
    page = {"choices": [], "echo": "x" * at + f"Bearer {key}", "usage": USAGE}
    with pytest.raises(DeadEngineError) as failed:
        run([[sends(answer=page)]], lambda engine, _: generate(engine), key=key)
    assert "sk-0" not in str(failed.value)


def test_a_firewall_that_drops_all_is_no_connection_and_not_a_slow_answer(monkeypatch):
    monkeypatch.setattr(client, "_CONNECT", 0.05)

    async def ask(url):
        engine = HttpEngine([url], "m", settings=FAST)
        try:
            await generate(engine)
        finally:
            await engine.close()

    with ExitStack() as stack:
        full, *others = (stack.enter_context(socket.socket()) for _ in range(9))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in others:  # the queue is full: what else wants to connect is dropped
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        with pytest.raises(DeadEngineError, match=r"no connection in 0\.05 s"):
            asyncio.run(ask(f"http://127.0.0.1:{full.getsockname()[1]}"))


PACKED = """
import asyncio, resource, sys
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
async def go():
    engine = HttpEngine([sys.argv[1]], "m", settings=HttpSettings(timeout=60, attempts=1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        await engine.generate("2+2", max_tokens=9, temperature=1, seed=1)
    except Exception as error:
        print(error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
asyncio.run(go())
"""


def endless(pieces, head):
    async def reply(_server, _reader, writer):
        with suppress(ConnectionError):
            writer.write(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{head}\r\n".encode())
            for piece in pieces():
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
        writer.close()

    return reply


def spaces():
    while True:
        yield b" " * 2**20


def bomb():
    pack = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    while True:
        if piece := pack.compress(b" " * 2**24):
            yield piece


@pytest.mark.parametrize(("pieces", "head"), [(spaces, ""), (bomb, "Content-Encoding: gzip\r\n")])
def test_an_endless_body_costs_no_more_memory_than_its_limit(pieces, head):
    async def go():
        async with Server(endless(pieces, head)) as server:
            asked = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PACKED, server.url, stdout=asyncio.subprocess.PIPE
            )
            return (await asked.communicate())[0].decode().splitlines()

    line, grown = asyncio.run(go())
    assert "an answer of more than 64 MB" in line
    assert int(grown) < 3 * 64
