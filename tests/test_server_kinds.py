"""Kinds of servers, each as it is reported to be: what it is taken for, what it is sent, what is recorded of it.

One class each, after SERVERS.md of the cases and the servers' sources; a token is a word, and one is the end.
"""

import asyncio
import json
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import cache
from types import MappingProxyType

import pytest
from answering import Server, sends

from scalinglab.collect import collect, open_benchmark
from scalinglab.collect.http.cutting import Cutting
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.collect.protocol import CUT_PROMPT, REFUSED
from scalinglab.errors import DeadEngineError
from scalinglab.samples import RunStore, Unit

OPENAI = {"model", "messages", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "n", "logprobs"}
OPENAI |= {"frequency_penalty", "presence_penalty", "reasoning_effort", "stream", "user"}
THOUGHT, ANSWER = "9 and 4 , \\boxed{12} or 13 ?", "It is \\boxed{13} ."


class Kind:
    """What all have in common.

    owner: of its models. takes: the arguments that its source or manual lists. stays: whether a stop string stays.
    """

    server = None
    owner = "nobody"
    model = "m"
    takes = frozenset(OPENAI)
    strict = False
    stays = False
    finish = MappingProxyType({"stop": "stop", "string": "stop"})

    def __init__(self):
        self.bodies = []

    def get(self, path):
        if path == "/v1/models":
            return 200, {"data": [{"id": self.model, "object": "model", "owned_by": self.owner}]}
        return 404, {"detail": "Not Found"}

    def post(self, path, body):
        self.bodies.append(body)
        if self.strict and (unknown := set(body) - self.takes):
            return 400, {"error": {"message": f"Unrecognized request argument supplied: {min(unknown)}"}}
        prompt = body["prompt"] if "prompt" in body else body["messages"][0]["content"]
        text, why, stop = ANSWER, "stop", None
        for string in body.get("stop", []):
            if string in text:
                at = text.index(string) + (len(string) if self.stays else 0)
                text, why, stop = text[:at], "string", string
        words = len(prompt.split())
        return 200, self.document(path, body, words, text, why, stop)

    def document(self, path, body, words, text, why, stop):
        said = {"message": self.message(text)} if path.endswith("/chat/completions") else {"text": text}
        choice = {"index": 0, **said, "finish_reason": self.finish[why], **self.told(stop)}
        return {"model": self.says(body["model"]), "choices": [choice], "usage": self.usage(words, text, said)}

    def usage(self, words, text, said):
        wrote = len(text.split()) + 1 + (len(THOUGHT.split()) + 2 if self.thought(said) else 0)
        return {"prompt_tokens": words, "completion_tokens": wrote, "total_tokens": words + wrote}

    def thought(self, said):
        return "message" in said and said["message"] != {
            "role": "assistant",
            "content": said["message"]["content"],
        }

    def message(self, text):
        return {"role": "assistant", "content": text}

    def told(self, _stop):
        return {}

    def says(self, asked):
        return asked


class SGLang(Kind):
    """Echoes the model's name, says which stop string it was, and counts 0 thoughts without a parser."""

    owner = "sglang"
    takes = frozenset(OPENAI | {"top_k", "min_p", "repetition_penalty", "skip_special_tokens"})

    def get(self, path):
        return (200, {"version": "0.5.23"}) if path == "/get_server_info" else super().get(path)

    def post(self, path, body):
        if path == "/tokenize":
            return 200, {"tokens": list(range(len(body["prompt"].split()))), "count": 0}
        return super().post(path, body)

    def message(self, text):
        return {"role": "assistant", "content": text, "reasoning_content": THOUGHT, "tool_calls": None}

    def told(self, stop):
        return {"matched_stop": stop or 2}

    def usage(self, words, text, said):
        thought = len(THOUGHT.split()) + 2 if self.thought(said) else 0
        return {**super().usage(words, text, said), "prompt_tokens_details": None, "reasoning_tokens": thought}


class Ollama(Kind):
    """Knows no n, top_k or min_p; cuts a long prompt silently; thinks in ``reasoning``."""

    owner = "library"
    model = "m:latest"
    takes = frozenset(OPENAI - {"n", "logprobs", "user"})
    window = 12

    def get(self, path):
        return (200, {"version": "0.12.3"}) if path == "/api/version" else super().get(path)

    def message(self, text):
        return {"role": "assistant", "content": text, "reasoning": THOUGHT}

    def usage(self, words, text, said):
        return super().usage(min(words, self.window), text, said)


class LiteLLM(Kind):
    """Strict; overwrites the model's name with the one asked for, and finish reasons that it does not know."""

    server = "litellm"
    owner = "openai"
    strict = True

    def message(self, text):
        return {"role": "assistant", "content": text, "reasoning_content": THOUGHT}

    def usage(self, words, text, said):
        return {
            **super().usage(words, text, said),
            "completion_tokens_details": None,
            "prompt_tokens_details": None,
        }


class TGI(Kind):
    """Refuses top_p 1 and top_k 0; leaves the stop string in; answers under its own name, by its own reasons."""

    model = "org/real"
    owner = "org/real"
    takes = frozenset(OPENAI)
    stays = True
    finish = MappingProxyType({"stop": "eos_token", "string": "stop_sequence"})
    room = 3
    limit = 12

    def __init__(self):
        super().__init__()
        self.serving = self.refused = 0

    def get(self, path):
        return (200, {"model_id": self.model, "version": "3.3.4"}) if path == "/info" else super().get(path)

    def says(self, _):
        return self.model

    def post(self, path, body):
        if not 0 < body.get("top_p", 0.5) < 1 or body.get("top_k", 1) < 1:
            return 422, {
                "error": "Input validation error: `top_p` must be > 0.0 and < 1.0",
                "error_type": "validation",
            }
        status, answer = super().post(path, body)
        if status == 200 and (words := answer["usage"]["prompt_tokens"]) > self.limit:
            line = f"Input validation error: `inputs` must have less than {self.limit} tokens. Given: {words}"
            return 422, {"error": line, "error_type": "validation"}
        return status, answer


class LMStudio(Kind):
    """Takes what its page lists, answers with the name of what is loaded, and says errors under status 200."""

    owner = "organization_owner"
    takes = frozenset(OPENAI - {"n", "logprobs", "user"} | {"top_k", "repeat_penalty", "logit_bias"})
    loaded = True

    def post(self, path, body):
        if not self.loaded:
            return 200, {"error": "Model unloaded. Please load a model first"}
        return super().post(path, body)

    def message(self, text):
        return {"role": "assistant", "content": text, "reasoning_content": THOUGHT, "tool_calls": []}

    def usage(self, words, text, said):
        thought = {"reasoning_tokens": len(THOUGHT.split()) if self.thought(said) else 0}
        return {**super().usage(words, text, said), "completion_tokens_details": thought}


class LlamaCpp(Kind):
    """Samples by min_p 0.05 unless told; says what its cache held, not which stop string it was."""

    owner = "llamacpp"
    takes = frozenset(OPENAI | {"top_k", "min_p", "repeat_penalty"})

    def post(self, path, body):
        if path == "/tokenize":
            return 200, {"tokens": list(range(len(body.get("content", "").split())))}
        return super().post(path, body)

    def usage(self, words, text, said):
        return {**super().usage(words, text, said), "prompt_tokens_details": {"cached_tokens": words - 1}}


class OpenAIs(Kind):
    """Strict; wants max_completion_tokens; answers with the model's version; counts thoughts, hides them."""

    owner = "system"
    strict = True
    takes = frozenset(OPENAI - {"max_tokens"} | {"max_completion_tokens"})

    def post(self, path, body):
        if "max_tokens" in body:
            line = "Unsupported parameter: 'max_tokens' is not supported with this model. "
            return 400, {"error": {"message": f"{line}Use 'max_completion_tokens' instead."}}
        return super().post(path, body)

    def says(self, asked):
        return f"{asked}-2025-04-14"

    def usage(self, words, text, _said):
        details = {
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 64},
        }
        wrote = len(text.split()) + 1 + 64
        return {"prompt_tokens": words, "completion_tokens": wrote, "total_tokens": words + wrote, **details}


KINDS = (SGLang, Ollama, LiteLLM, TGI, LMStudio, LlamaCpp, OpenAIs)


def talking(kind):
    """A reply of the server by what its kind says."""

    async def reply(server, reader, writer):
        path, body, _ = server.asked[-1]
        status, document = kind.get(path) if body is None else kind.post(path, body)
        await sends(status, document)(server, reader, writer)

    return reply


async def asked(kind, ask, **options):
    """What ``ask(engine)`` makes of an engine on a server of this kind."""
    async with Server(talking(kind)) as server:
        engine = HttpEngine([server.url], "m", server=kind.server, **options)
        try:
            return await ask(engine)
        finally:
            await engine.close()


def generate(engine, prompt="What is 9 + 4 ?", stop=()):
    return engine.generate(prompt, max_tokens=40, temperature=0.7, seed=5, stop=stop)


@pytest.fixture(scope="module")
def task_of(tmp_path_factory):
    """The two problems, of which the second is so many words longer; graders are started once."""
    with ExitStack() as stack:
        yield cache(lambda words: stack.enter_context(opened(tmp_path_factory.mktemp("problems"), words)))


@contextmanager
def opened(folder, words):
    lines = [{"q": "What is 9 + 4 ?", "a": "13"}, {"q": "What is 4 + 9 ?" + " so" * words, "a": "14"}]
    file = folder / "problems.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    fields = {"question": "q", "answer": "a"}
    task = open_benchmark(file, fields=fields, max_tokens=40, template="{question}", workers=1)
    with task.grader:
        yield task


def study(kind, task, folder, api):
    """The notes, lines and rows of a study of two problems, two samples each."""
    settings = {"samples": 2, "temperature": 0.7}
    units = [Unit("run", task.name, one, "policy", "m", "parallel", settings, 2) for one in task.problems]
    told = []

    async def go(engine):
        about = await engine.about()
        await collect(units, {"m": engine}, {}, task, store)
        return about

    with RunStore(folder / "run.sqlite") as store:
        about = asyncio.run(asked(kind, go, api=api, tell=told.append))
        return about, told, store.read()


def sums(run):
    names = ("prompt_tokens", "cached_tokens", "generated_tokens", "thinking_tokens")
    return [None if run.calls[name].isna().all() else int(run.calls[name].sum()) for name in names]


# Two problems of 6 words, two samples each; an answer of 4 words and its end, a thought of 8 and its two tags.
EXPECTED = {
    (SGLang, "completions"): ("sglang 0.5.23", [24, None, 20, None]),
    (SGLang, "chat"): ("sglang 0.5.23", [24, None, 60, 40]),
    (Ollama, "completions"): ("ollama 0.12.3", [24, None, 20, None]),
    (Ollama, "chat"): ("ollama 0.12.3", [24, None, 60, None]),
    (LiteLLM, "completions"): ("litellm", [24, None, 20, None]),
    (LiteLLM, "chat"): ("litellm", [24, None, 60, None]),
    (TGI, "completions"): ("tgi 3.3.4", [24, None, 20, None]),
    (TGI, "chat"): ("tgi 3.3.4", [24, None, 20, None]),
    (LMStudio, "completions"): ("lmstudio", [24, None, 20, 0]),
    (LMStudio, "chat"): ("lmstudio", [24, None, 60, 32]),
    (LlamaCpp, "completions"): ("llama.cpp", [24, 20, 20, None]),
    (LlamaCpp, "chat"): ("llama.cpp", [24, 20, 20, None]),
    (OpenAIs, "chat"): ("openai", [24, 0, 276, 256]),
}
NOTES = {
    SGLang: "--enable-cache-report",
    Ollama: "top_k 40 and repeat_penalty 1.1",
    LiteLLM: '"stop" may stand for any',
    TGI: "sampling that is not sent",
    LMStudio: "min_p is what the app's settings",
    LlamaCpp: "the tokenizer's first token",
    OpenAIs: "",
}


@pytest.mark.parametrize(("kind", "api"), EXPECTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_study_on_each_kind_of_server(tmp_path, task_of, kind, api):
    server = kind()
    about, told, run = study(server, task_of(0), tmp_path, api)
    assert (about.software, sums(run)) == EXPECTED[kind, api]
    assert NOTES[kind] in " ".join(about.notes)
    assert Counter(run.solutions["grade"]) == {"right": 2, "wrong": 2}
    assert set(run.solutions["answer"]) == {"13"}
    thinks = api == "chat" and kind in (SGLang, Ollama, LiteLLM, LMStudio)
    assert set(run.solutions["thinking"]) == {THOUGHT if thinks else ""}
    assert len(server.bodies) == 4
    assert len({body["seed"] for body in server.bodies}) == 4
    assert all(set(body) <= server.takes - {"n"} for body in server.bodies)
    assert told == (
        ["m: max_tokens is refused: max_completion_tokens is sent in its place"] if kind is OpenAIs else []
    )


NEUTRAL = {
    SGLang: {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    Ollama: {"top_p": 1.0},
    LMStudio: {"top_p": 1.0, "top_k": 0, "repeat_penalty": 1.0},
    LlamaCpp: {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_takes_is_sent_so_that_samples_are_the_models_own(kind):
    async def ask(engine):
        await engine.about()
        await generate(engine)

    server = kind()
    asyncio.run(asked(server, ask, api="chat"))
    base = {"model", "messages", "temperature", "seed", "max_tokens", "max_completion_tokens"}
    assert {key: value for key, value in server.bodies[-1].items() if key not in base} == NEUTRAL.get(kind, {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stop", "cut"), [(" \\boxed", "It is"), ("never", ANSWER)])
def test_a_stop_string_is_in_the_text_where_a_server_says_which_it_was(kind, stop, cut):
    async def ask(engine):
        await engine.about()
        return await generate(engine, stop=[stop])

    found = asyncio.run(asked(kind(), ask, api="chat"))
    told = kind in (SGLang, TGI)
    assert found.stop_told == told
    assert found.text == cut + (stop if told and cut != ANSWER else "")


def test_a_prompt_that_ollama_cuts_without_a_word_is_not_right_whatever_it_answers(tmp_path, task_of):
    _, told, run = study(Ollama(), task_of(9), tmp_path, "chat")
    assert Counter(run.solutions["grade"]) == {"right": 2, "cut prompt": 2}
    assert set(run.calls["finish_reason"]) == {"stop", CUT_PROMPT}
    assert [line for line in told if "read 12 tokens of 15 words: the prompt was cut" in line] == told
    assert len(told) == 1


class Spanning(Ollama):
    """A tokenizer with two words in a token, in a chat template of five tokens."""

    window = 10**6

    def usage(self, words, text, said):
        return super().usage(min(5 + (words + 1) // 2, self.window), text, said)


@pytest.mark.parametrize(("window", "cut"), [(10**6, 0), (9, 2)])
def test_tokens_that_span_words_are_no_sign_of_a_cut_and_hide_none(window, cut, tmp_path, task_of):
    kind = Spanning()
    kind.window = window
    _, told, run = study(kind, task_of(9), tmp_path, "chat")
    assert Counter(run.solutions["grade"])["cut prompt"] == cut
    assert len(told) == (cut > 0)


def test_a_server_with_a_tokenizer_is_asked_what_it_makes_of_a_prompt_with_few_tokens():
    looked = []

    async def count(_):
        return 6

    async def read(prompt, _):
        looked.append(prompt)

    cutting = Cutting(count, read)
    prompt = "What is 9 + 4 and one more ?"
    assert [asyncio.run(cutting.cut(prompt, tokens, "p")) for tokens in (6, 5)] == [False, True]
    assert looked == []


def test_a_prompt_that_tgi_refuses_is_recorded_and_said_once(tmp_path, task_of):
    _, told, run = study(TGI(), task_of(9), tmp_path, "chat")
    assert Counter(run.solutions["grade"]) == {"right": 2, "refused": 2}
    assert set(run.calls["finish_reason"]) == {"stop", REFUSED}
    assert len(told) == 1
    assert "refused a prompt: HTTP 422" in told[0]
    assert "`inputs` must have less than 12 tokens" in told[0]


def test_a_busy_tgi_refuses_many_requests_and_loses_none():
    kind, told = TGI(), []

    async def reply(server, reader, writer):
        path, body, _ = server.asked[-1]
        if body is None:
            return await talking(kind)(server, reader, writer)
        if kind.serving >= kind.room:
            kind.refused += 1
            overloaded = {"error": "Model is overloaded", "error_type": "overloaded"}
            return await sends(429, overloaded)(server, reader, writer)
        kind.serving += 1
        await asyncio.sleep(0.02)
        kind.serving -= 1
        return await sends(answer=kind.post(path, body)[1])(server, reader, writer)

    async def go():
        async with Server(reply) as server:
            settings = HttpSettings(timeout=60, attempts=2, first_wait=0.02, longest_wait=0.05, in_flight=30)
            engine = HttpEngine([server.url], "m", api="chat", settings=settings, tell=told.append)
            await engine.about()
            found = await asyncio.gather(*(generate(engine) for _ in range(60)))
            await engine.close()
            return found

    found = asyncio.run(go())
    assert {one.text for one in found} == {ANSWER}
    assert kind.refused > 10
    assert len(told) == 1
    assert "HTTP 429" in told[0]
    assert "Model is overloaded" in told[0]


def test_an_error_of_lm_studio_under_status_200_ends_the_study_in_its_words():
    kind = LMStudio()
    kind.loaded = False
    with pytest.raises(DeadEngineError, match="gave an error under status 200: Model unloaded"):
        asyncio.run(asked(kind, generate, api="chat"))


def test_thoughts_that_sglang_does_not_part_are_not_counted_as_none():
    class Unparsed(SGLang):
        def message(self, text):
            return {"role": "assistant", "content": f"{THOUGHT}</think>{text}", "reasoning_content": None}

        def usage(self, words, text, said):
            return {**Kind.usage(self, words, text, said), "reasoning_tokens": 0}

    found = asyncio.run(asked(Unparsed(), generate, api="chat"))
    assert found.thinking_tokens is None


@pytest.mark.parametrize(
    ("kind", "count"), [(SGLang, 3), (LlamaCpp, 3), (Ollama, None), (TGI, None), (LMStudio, None), (OpenAIs, None)]
)
def test_tokens_are_counted_where_a_server_has_a_tokenizer_to_ask(kind, count):
    async def ask(engine):
        await engine.about()
        return await engine.count("one two three")

    assert asyncio.run(asked(kind(), ask)) == count
