"""The HTTP engine against a real server that answers as each test tells it to."""

import asyncio
import gzip
import json
import re
import socket
import time
from contextlib import AsyncExitStack
from email.utils import formatdate

import pytest
from answering import ANSWER, CHOICE, USAGE, Server, sends

from scalinglab.collect.http.asking import TRIAL
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.collect.protocol import Generated, Rewarded, Scored
from scalinglab.errors import DeadEngineError, EngineError

FAST = HttpSettings(timeout=5, attempts=5, first_wait=0.01, longest_wait=0.05, in_flight=8)


async def hangs(server, reader, _writer):
    await reader.read()
    server.hung_up.set()
    raise ConnectionError


async def dies(server, _reader, _writer):
    server.die()


def run(replies, ask, settings=FAST, **options):
    """What ``ask(engine, servers)`` makes of an engine on servers with these lists of replies."""
    options = {"server": "vllm", "key": "secret", **options}

    async def go():
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(Server(*each)) for each in replies]
            engine = HttpEngine([server.url for server in servers], "m", settings=settings, **options)
            stack.push_async_callback(engine.close)
            return await ask(engine, *servers)

    return asyncio.run(go())


def generate(engine, stop=(), prompt="<bos>2+2=?"):
    return engine.generate(prompt, max_tokens=9, temperature=0.7, seed=5, stop=stop)


def same(found, expected):
    assert found == type(expected)(**{**vars(expected), "seconds": found.seconds})
    assert found.seconds > 0


MODELS = sends(answer={"data": [{"id": "m", "owned_by": "vllm"}]})
VERSION = sends(answer={"version": "0.11.0"})
BARE, WHOLE = (sends(answer={"tokens": [1], "token_strs": strs}) for strs in (["a"], ["<s>", "a"]))


def test_a_server_says_what_it_is_and_what_it_puts_before_a_prompt():
    async def ask(engine, server):
        about = await engine.about()
        for prompt in ("2+2=?", "<s>2+2=?"):
            await generate(engine, prompt=prompt)
        asked = list(server.asked)
        server.replies = [BARE]
        counted = [await engine.count(text) for text in ("2+2=?", "<s>2+2=?")]
        return about, [path for path, *_ in asked], [body for _, body, _ in asked[-2:]], counted

    about, paths, bodies, counted = run([[MODELS, VERSION, BARE, WHOLE, sends()]], ask, server=None)
    assert counted == [2, 1]  # the server of this test finds one token in every text
    assert (about.software, about.begins, about.replicas) == ("vllm 0.11.0", "<s>", 1)
    assert paths[:4] == ["/v1/models", "/version", "/tokenize", "/tokenize"]
    assert [body["add_special_tokens"] for body in bodies] == [True, False]  # added, and never twice


@pytest.mark.parametrize("page", [sends(404, b"no such page"), sends(answer=b"<html>"), sends(answer=[1])])
def test_a_server_that_does_not_say_what_it_is_is_sent_what_every_server_takes(page):
    async def ask(engine, server):
        about = await engine.about()
        await generate(engine)
        return about, server.asked[-1][1]

    about, body = run([[page, sends()]], ask, server=None)
    assert about.software == "an OpenAI-compatible server"
    assert any("server's own" in note for note in about.notes)
    assert set(body) == {"model", "prompt", "max_tokens", "temperature", "seed"}


def test_a_server_without_the_model_is_named_with_those_it_has():
    with pytest.raises(DeadEngineError, match="serves no model 'm'; expected one of n; mend served"):
        run([[sends(answer={"data": [{"id": "n", "owned_by": "vllm"}]})]], lambda e, _: e.about(), server=None)


def test_an_engine_counts_its_replicas():
    async def ask(engine, *_):
        return (await engine.about()).replicas

    assert run([[MODELS, VERSION, BARE, WHOLE]] * 2, ask, server=None, replicas=3) == 6


@pytest.mark.parametrize(("engines", "replicas"), [(2, 2), (3, 2), (2, 1)])
def test_a_problem_stays_with_one_replica_of_a_server_that_has_them_itself(engines, replicas):
    metrics = "".join(f'vllm:num_requests_running{{engine="{i}",model_name="m"}} 0.0\n' for i in range(engines))
    told = [] if replicas == 1 else [sends(answer=metrics.encode())]

    async def ask(engine, server):
        about = await engine.about()
        calls = [engine.generate("1", max_tokens=1, temperature=1, seed=i, problem=str(i % 8)) for i in range(64)]
        await asyncio.gather(*calls)
        found = [
            (body["seed"] % 8, re.findall(r"x-data-parallel-rank: (\d)", head))
            for _, body, head in server.asked
            if "seed" in (body or {})
        ]
        return about, found[-64:]

    about, found = run([[MODELS, VERSION, BARE, WHOLE, *told, sends()]], ask, server=None, replicas=replicas)
    assert about.replicas == replicas
    homes = {problem: {rank for one, ranks in found for rank in ranks if one == problem} for problem in range(8)}
    if engines == replicas:
        assert sorted(rank for (rank,) in homes.values()) == ["0"] * 4 + ["1"] * 4
    else:
        assert not any(homes.values())
        assert replicas == 1 or "which of its 2 replicas answers is the server's to choose" in about.notes


def test_a_problem_stays_with_one_server():
    async def ask(engine, *servers):
        for _ in range(3):
            calls = [
                engine.generate("1", max_tokens=1, temperature=1, seed=i, problem=str(i % 8)) for i in range(64)
            ]
            await asyncio.gather(*calls)
        return [{body["seed"] % 8 for _, body, _ in server.asked} for server in servers]

    one, other = run([[sends()], [sends()]], ask, HttpSettings(in_flight=64))
    assert not one & other
    assert len(one) == len(other) == 4


def test_a_completion_is_asked_for_in_full_and_its_usage_recorded():
    async def ask(engine, server):
        return await generate(engine, stop=["\n"]), server.asked

    found, [(path, body, head)] = run([[sends()]], ask)
    same(found, Generated("4;", prompt_tokens=7, generated_tokens=2, cached_tokens=3))
    assert path == "/v1/completions"
    assert "authorization: bearer secret" in head
    assert body == {
        "model": "m",
        "prompt": "<bos>2+2=?",
        "max_tokens": 9,
        "temperature": 0.7,
        "seed": 5,
        "stop": ["\n"],
        "add_special_tokens": False,
        "skip_special_tokens": False,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def test_half_a_surrogate_pair_is_replaced_so_that_the_text_can_be_sent_again():
    async def ask(engine, server):
        first = await generate(engine)
        await generate(engine, prompt=first.text)
        return first.text, server.asked[1][1]["prompt"]

    broken = sends(answer={"choices": [{**CHOICE, "text": "4\ud83d"}], "usage": USAGE})
    assert run([[broken]], ask) == ("4\ufffd", "4\ufffd")


@pytest.mark.parametrize("details", [{}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {}}])
def test_cached_tokens_are_unknown_where_the_server_reports_none(details):
    usage = {"prompt_tokens": 7, "completion_tokens": 2, **details}
    found = run([[sends(answer={"choices": [CHOICE], "usage": usage})]], lambda engine, _: generate(engine))
    assert found.cached_tokens is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ({"stop_reason": ";"}, "4;"),
        ({"matched_stop": ";"}, "4;"),
        ({"stop_reason": None}, "4"),
        ({"stop_reason": 128009}, "4"),
        ({"finish_reason": "length"}, "4"),
    ],
)
def test_the_stop_string_that_the_server_cut_off_is_put_back(reason, text):
    answer = {"choices": [{"text": "4", "finish_reason": "stop", **reason}], "usage": USAGE}
    assert run([[sends(answer=answer)]], lambda engine, _: generate(engine, stop=[";"])).text == text


def test_a_server_that_hides_its_stop_string_is_known_for_it_only_where_it_matters():
    answer = {"choices": [{"text": "4", "finish_reason": "stop"}], "usage": USAGE}
    for stop in ([], [";"]):
        found = run([[sends(answer=answer)]], lambda engine, _, stop=stop: generate(engine, stop=stop))
        assert (found.text, found.stop_told) == ("4", not stop)


FAILURES = {
    "500": sends(500, b"oops"),
    "502 page": sends(502, b"<html>bad gateway</html>"),
    "429": sends(429),
    "408": sends(408),
    "garbage": sends(answer=b"\x00\xff!"),
    "page": sends(answer=b"<html>hello</html>"),
    "truncated JSON": sends(answer=b'{"choices": [{"te'),
    "list": sends(answer=[1, 2]),
    "null": sends(answer=None),
    "no usage": sends(answer={"choices": [CHOICE]}),
    "empty usage": sends(answer={"choices": [CHOICE], "usage": {}}),
    "no choice": sends(answer={"choices": [], "usage": USAGE}),
    "no text": sends(answer={"choices": [{**CHOICE, "text": None}], "usage": USAGE}),
    "aborted": sends(answer={"choices": [{**CHOICE, "finish_reason": "abort"}], "usage": USAGE}),
    "half an answer": sends(answer=b"{", claims=99),
    "bad encoding": sends(answer=b"not gzip", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failed_attempt_is_made_again(failure):
    async def ask(engine, server):
        await generate(engine)
        return await generate(engine, stop=[";"]), len(server.asked)

    found, asked = run([[sends(), failure, failure, sends()]], ask)
    assert (found.text, asked) == ("4;", 4)


UNSOUND = {
    name: FAILURES[name]
    for name in ("page", "truncated JSON", "list", "null", "no usage", "empty usage", "no choice", "no text")
} | {
    "an error": sends(answer={"error": {"message": "load it first"}}),
    "0 tokens": sends(answer={"choices": [CHOICE], "usage": {"prompt_tokens": 7, "completion_tokens": 0}}),
}


@pytest.mark.parametrize("failure", UNSOUND.values(), ids=UNSOUND)
def test_a_server_that_never_answered_soundly_is_not_asked_again(failure):
    async def ask(engine, server):
        with pytest.raises(DeadEngineError) as failed:
            await generate(engine)
        return str(failed.value), server

    line, server = run([[failure]], ask)
    assert len(server.asked) == 1
    assert line.startswith(f"m: {server.url}/v1/completions gave ")


LIES = {
    "negative": {"prompt_tokens": 7, "completion_tokens": -2},
    "a text": {"prompt_tokens": "7", "completion_tokens": 2},
    "no prompt": {"prompt_tokens": 0, "completion_tokens": 2},
    "nothing written": {"prompt_tokens": 7, "completion_tokens": 0},
    "a half": {"prompt_tokens": 7, "completion_tokens": 2.5},
    "cached": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}},
    "thinking": {"prompt_tokens": 7, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
    "total": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 8},
}


@pytest.mark.parametrize("usage", LIES.values(), ids=LIES)
def test_counts_that_cannot_be_end_the_study_at_once_however_well_it_went_before(usage):
    async def ask(engine, server):
        await generate(engine)
        with pytest.raises(DeadEngineError, match="usage"):
            await generate(engine)
        return len(server.asked)

    assert run([[sends(), sends(answer={"choices": [CHOICE], "usage": usage})]], ask) == 2


@pytest.mark.parametrize("says", ["n", "models/n", "m2"])
def test_another_model_than_the_one_asked_ends_the_study(says):
    with pytest.raises(DeadEngineError, match=f"asked for model 'm', it answers as '{says}'"):
        run([[sends(answer={**ANSWER, "model": says})]], lambda engine, _: generate(engine))
    allowed = run([[sends(answer={**ANSWER, "model": says})]], lambda e, _: generate(e), answers_as=says)
    assert allowed.text == "4"[:1] + ";"


@pytest.mark.parametrize("says", ["m", "m-2024-08-06", "m:latest"])
def test_a_model_may_answer_with_its_version(says):
    assert run([[sends(answer={**ANSWER, "model": says})]], lambda engine, _: generate(engine)).text == "4;"


def test_a_server_that_hangs_is_left_and_asked_again():
    async def ask(engine, server):
        found = await generate(engine)
        await server.hung_up.wait()
        return found

    assert run([[hangs, sends()]], ask, HttpSettings(timeout=0.1, first_wait=0.01)).text == "4;"


def test_attempts_are_bounded_and_end_in_one_line_of_three_parts():
    async def ask(engine, server):
        with pytest.raises(DeadEngineError) as failed:
            await generate(engine)
        return str(failed.value), len(server.asked)

    told = []
    line, asked = run([[sends(503, b"loading\nthe model secret")]], ask, tell=told.append)
    assert asked == FAST.attempts
    assert line.startswith("m failed 5 times in a row, last http://127.0.0.1:")
    assert ": HTTP 503 loading the model ***; expected a server that answers; see the server's log" in line
    assert "\n" not in line
    assert len(told) == 1
    assert told[0].endswith("HTTP 503 loading the model ***; asked again")


def test_a_refused_connection_says_so():
    with socket.socket() as taken:  # bound and not listening: nobody else can answer
        taken.bind(("127.0.0.1", 0))
        engine = HttpEngine([f"http://127.0.0.1:{taken.getsockname()[1]}/v1/"], "m", settings=FAST)

        async def ask():
            try:
                await generate(engine)
            finally:
                await engine.close()

        with pytest.raises(DeadEngineError, match=r"5 times in a row, last http://[^ ]* no connection \(Conn"):
            asyncio.run(ask())


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_request_the_server_refuses_is_not_made_again(status):
    async def ask(engine, server):
        with pytest.raises(
            EngineError, match=rf"request to m(, whatever its prompt)?: HTTP {status} no such thing; exp"
        ):
            await generate(engine)
        return len(server.asked)

    assert run([[sends(status, b"no such thing")]], ask) == (2 if status in (400, 422) else 1)


def test_a_request_of_which_a_server_likes_nothing_but_this_prompt_fails_alone():
    async def ask(engine, server):
        with pytest.raises(EngineError, match="HTTP 400 no such token; expected") as failed:
            await generate(engine)
        return type(failed.value), (await generate(engine)).text, server.asked[1][1]["prompt"]

    assert run([[sends(400, b"no such token"), sends()]], ask) == (EngineError, "4;", TRIAL)


@pytest.mark.parametrize(
    "words", [b"This model's maximum context length is 8 tokens", b"exceed_context_size_error"]
)
def test_a_prompt_that_is_too_long_is_refused_and_the_next_one_is_not(words):
    async def ask(engine, server):
        return [await generate(engine) for _ in range(2)], len(server.asked)

    (first, second), asked = run([[sends(400, words), sends()]], ask)  # the second request is the trial
    assert (first.finish_reason, first.text, first.prompt_tokens, first.generated_tokens) == ("refused", "", 0, 0)
    assert (second.text, asked) == ("4;", 3)


def test_no_redirect_is_followed():
    with pytest.raises(DeadEngineError, match="HTTP 302"):
        run([[sends(302, b"", Location="http://127.0.0.1:1/v1")]], lambda engine, _: generate(engine))


def test_an_answer_is_read_within_a_limit(monkeypatch):
    monkeypatch.setattr("scalinglab.collect.http.client.MOST", 1000)
    bomb = gzip.compress(json.dumps(ANSWER | {"more": "x" * 10**6}).encode())

    async def ask(engine, _server):
        await generate(engine)
        return await generate(engine)

    for reply in (sends(answer=bomb, Content_Encoding="gzip"), sends(answer=ANSWER | {"more": "x" * 2000})):
        told = []
        assert run([[sends(), reply, sends()]], ask, tell=told.append).text == "4;"
        assert "more than" in told[0]


def test_a_packed_answer_is_unpacked():
    packed = sends(answer=gzip.compress(json.dumps(ANSWER).encode()), Content_Encoding="gzip")
    assert run([[packed]], lambda engine, _: generate(engine)).text == "4;"


@pytest.mark.parametrize("key", ["a\r\nb", "a\nb", "a\0b"])
def test_a_key_that_cannot_be_sent_is_not_shown(key):
    with pytest.raises(DeadEngineError, match="cannot be asked with this key") as failed:
        run([[sends()]], lambda engine, _: generate(engine), key=key)
    assert key not in str(failed.value)


@pytest.mark.parametrize(
    ("header", "meanwhile"), [(lambda: "0.2", 0.1), (lambda: formatdate(time.time() + 2, usegmt=True), 0.5)]
)
def test_nothing_is_asked_of_a_server_before_the_time_it_names(header, meanwhile):
    events = []

    async def says(server, reader, writer):
        events.append("asked")
        first = len(events) == 1
        await (sends(429, Retry_After=header()) if first else sends())(server, reader, writer)

    async def ask(engine, server):
        first = asyncio.create_task(generate(engine))
        while not server.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        asyncio.get_running_loop().call_later(meanwhile, events.append, "time passes")
        await asyncio.gather(first, generate(engine))

    run([[says]], ask)
    assert events == ["asked", "time passes", "asked", "asked"]


def test_a_retry_after_that_says_nothing_is_an_ordinary_failure():
    assert run([[sends(429, Retry_After="soon"), sends()]], lambda engine, _: generate(engine)).text == "4;"


def test_a_rest_longer_than_the_timeout_stops_the_run():
    with pytest.raises(DeadEngineError, match="asking to wait 3600 s"):
        run([[sends(429, Retry_After=3600)]], lambda engine, _: generate(engine))


def test_servers_share_the_load_within_their_limits():
    async def ask(engine, *servers):
        await asyncio.gather(*(generate(engine) for _ in range(12)))
        return [(len(server.asked), server.busiest) for server in servers]

    slow = [sends(after=0.03)]
    assert run([slow, slow], ask, HttpSettings(in_flight=3)) == [(6, 3), (6, 3)]


def test_the_others_take_over_from_a_server_that_dies():
    async def ask(engine, dying, well):
        found = await asyncio.gather(*(generate(engine) for _ in range(40)))
        return {one.text for one in found}, len(found), len(dying.asked), len(well.asked)

    texts, found, before, after = run([[sends(), sends(), dies], [sends(after=0.005)]], ask)
    assert (texts, found) == ({"4;"}, 40)
    assert before >= 3
    assert after >= 30


def test_a_server_at_rest_leaves_its_requests_to_the_other():
    async def ask(engine, resting, well):
        await asyncio.gather(*(generate(engine) for _ in range(30)))
        return len(resting.asked), len(well.asked)

    resting, well = run([[sends(429, Retry_After=2)], [sends()]], ask)
    assert resting <= FAST.in_flight
    assert well == 30


def test_cancelling_closes_the_connection_and_frees_its_slot():
    async def ask(engine, server):
        call = asyncio.create_task(generate(engine))
        while not server.asked:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.hung_up.wait()
        return await generate(engine)

    assert run([[hangs, sends()]], ask, HttpSettings(in_flight=1)).text == "4;"


def test_tokens_are_counted_by_the_server():
    async def ask(engine, server):
        return await engine.count("12+3"), server.asked[0][:2]

    count, asked = run([[sends(answer={"count": 4, "tokens": [4, 5, 13, 6]})]], ask)
    assert count == 4
    assert asked == ("/tokenize", {"model": "m", "prompt": "12+3", "add_special_tokens": False})


def scored(top):
    return {"choices": [{**CHOICE, "logprobs": {"top_logprobs": [top]}}], "usage": USAGE}


@pytest.mark.parametrize(
    "top", [{"token_id:18": -0.1, "token_id:19": -2.5, "token_id:4": 0.0}, {"-": -2.5, "+": -0.1}]
)
def test_scores_name_their_tokens_by_number_and_look_the_numbers_up_once(top):
    async def ask(engine, server):
        found = [await engine.score("1+1=2;", ["+", "-"]) for _ in range(2)]
        return found, [path for path, *_ in server.asked], server.asked[2][1]

    numbers = [sends(answer={"tokens": [18]}), sends(answer={"tokens": [19]})]
    found, paths, body = run([[*numbers, sends(answer=scored(top))]], ask)
    for one in found:
        same(one, Scored((-0.1, -2.5), prompt_tokens=7, cached_tokens=3))
    assert paths == ["/tokenize", "/tokenize", "/v1/completions", "/v1/completions"]
    assert body["logprob_token_ids"] == [18, 19]
    assert body["max_tokens"] == 1
    assert body["return_tokens_as_token_ids"]


def test_a_score_the_server_does_not_give_is_an_error():
    replies = [sends(answer={"tokens": [18]}), sends(answer=scored({"token_id:4": -0.1}))]
    with pytest.raises(EngineError, match=r"gives no log-probability of '\+'; expected it for any token"):
        run([replies], lambda engine, _: engine.score("1+1=2;", ["+"]))


def test_only_single_tokens_are_scored():
    with pytest.raises(EngineError, match="'good' is 2 tokens to m; expected a single token"):
        run([[sends(answer={"tokens": [1, 2]})]], lambda engine, _: engine.score("1+1=2;", ["good"]))


@pytest.mark.parametrize(
    ("data", "rows"), [([[0.1, 0.9], [0.8, 0.2]], ((0.1, 0.9), (0.8, 0.2))), ([0.7], ((0.7,),))]
)
def test_rewards_are_read_by_step_or_in_all(data, rows):
    async def ask(engine, server):
        return await engine.reward("1+1=2;"), server.asked[0][:2]

    found, asked = run([[sends(answer={"data": [{"data": data}], "usage": USAGE})]], ask)
    same(found, Rewarded(rows, prompt_tokens=7, cached_tokens=3))
    assert asked == ("/pooling", {"model": "m", "input": "1+1=2;", "add_special_tokens": False})


def test_a_closed_engine_says_so():
    async def ask(engine, _server):
        await engine.close()
        await generate(engine)

    with pytest.raises(EngineError, match="is closed; expected an open engine"):
        run([[sends()]], ask)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "http://[::1", "http://h:99999", "http://", "ftp://h", "http://h o", "http://h\n", "", "x"],
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(EngineError, match="as a server; expected a URL"):
        HttpEngine([url], "m")


def test_no_url_at_all_is_refused():
    with pytest.raises(EngineError, match="no URL of a server"):
        HttpEngine([], "m")


@pytest.mark.parametrize("url", ["http://me:pass@h", "http://me@h", "http://h?key=pass", "http://h/v1#pass"])
def test_a_url_with_a_secret_is_refused_in_a_line_that_says_where_keys_belong(url):
    with pytest.raises(EngineError, match="key_env") as failed:
        HttpEngine([url], "m")
    assert "pass" not in str(failed.value).replace("password", "")
