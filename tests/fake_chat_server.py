# ruff: noqa: E501, ARG002
"""A small OpenAI-like server on loopback that adds two numbers, thinks aloud, and misbehaves as MODE says.

python fake_chat_server.py PORT MODE        MODE: a key of MODES; README.md says after which report, and what is right
POST /v1/chat/completions, /v1/completions (stream or not); GET /v1/models, /health; GET /stats: what it truly did.

Tokens can be counted by hand: a word (as str.split gives them) is one, so is a tag, so is the end of an answer.
  prompt     its words + 24 ("What is 17 + 39 ?" is 30), of which the cache held 16
  plain      "Well , the answer is \\boxed{56} ." and the end: 8 generated
  thinking   14 words ("Well , is it \\boxed{56} or \\boxed{57} ? Count : 17 and 39 ."), the closing tag, then
             "So the answer is 56 ." and the end: 14 + 1 + 6 + 1 = 22 generated, 14 of them thinking
At temperature 0 each answer is right. Otherwise of every 4 draws of a question in a row exactly one is wrong (one more),
and the 4 begin with different words. max_tokens and max_completion_tokens cut, with finish_reason "length".
"""

import gzip
import json
import math
import re
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPENERS, TEMPLATE, CACHED, START = ("Well", "Now", "Hmm", "Right"), 24, 16, time.time()
LOCK, DRAWS, STATS, STATE = threading.Lock(), defaultdict(int), Counter(), {}


class Reply:
    """One sample, cut at ``limit`` tokens."""

    def __init__(self, asked, draw, limit, *, thinks, opens=False, thoughts=1, budget=None, mark=""):
        a, b = asked
        said = a + b + (draw % 4 == 3)
        first = OPENERS[draw % 4]
        thought = (
            f"{first} , is it \\boxed{{{a + b}}} or \\boxed{{{a + b + 1}}} ? Count : {a} and {b} .".split()
            * thoughts
        )
        if thinks:
            words = (
                [("tag", "<think>")] * opens
                + [("think", word) for word in thought[:budget]]
                + [("tag", "</think>")]
            )
            words += [("say", word) for word in f"So the answer is {said} .".split()]
        else:
            words = [("say", word) for word in f"{first} , the answer is \\boxed{{{said}}} .".split()]
        words = [*words, *[("say", word) for word in mark.split()], ("end", "")]
        kept = words[:limit]
        self.asked, self.draw, self.thinks, self.opens = asked, draw, thinks, opens
        self.finish = "stop" if len(kept) == len(words) else "length"
        self.closed = ("tag", "</think>") in kept
        self.thinking = " ".join(word for kind, word in kept if kind == "think")
        self.answer = " ".join(word for kind, word in kept if kind == "say")
        self.generated, self.thought = len(kept), sum(kind == "think" for kind, _ in kept)

    @property
    def raw(self):
        """As the model wrote it: the template opened the tag, unless ``opens``."""
        if not self.thinks:
            return self.answer
        return "<think>" * self.opens + self.thinking + ("\n</think>\n\n" if self.closed else "") + self.answer


class Mode:
    """What a sound server does. Modes are subclasses that change one thing."""

    thinks = opens = streams_usage_only = False
    mark = ""

    def refuse(self, handler, body, text):
        """Whether the request was answered with an error."""
        return False

    def reply(self, body, asked, draw):
        return Reply(asked, draw, limit(body), thinks=self.thinks, opens=self.opens, mark=self.mark)

    def message(self, reply):
        return {"role": "assistant", "content": reply.answer or None} | (
            {"reasoning_content": reply.thinking} if reply.thinks else {}
        )

    def finish(self, reply):
        return reply.finish

    def choices(self, replies):
        return replies

    def usage(self, prompt, replies):
        generated = sum(one.generated for one in replies)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": generated,
            "total_tokens": prompt + generated,
            "prompt_tokens_details": {"cached_tokens": CACHED},
            "completion_tokens_details": {"reasoning_tokens": sum(one.thought for one in replies)},
        }

    def document(self, document, replies):
        return document

    def send(self, handler, code, document):
        handler.say(code, json.dumps(document).encode())

    def models(self):
        return ["S", "L"]


def limit(body):
    return (
        min(body.get(key) or math.inf for key in ("max_tokens", "max_completion_tokens"))
        if body.get("max_tokens") or body.get("max_completion_tokens")
        else None
    )


def error(message, kind="invalid_request_error", **more):
    return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}


class ReasoningContent(Mode):
    thinks = True


class Reasoning(Mode):
    thinks = True

    def message(self, reply):
        return {"role": "assistant", "content": reply.answer, "reasoning": reply.thinking}

    def usage(self, prompt, replies):
        return {key: value for key, value in super().usage(prompt, replies).items() if not key.endswith("details")}


class Tags(Reasoning):
    opens = True

    def message(self, reply):
        return {"role": "assistant", "content": reply.raw}


class ClosingTag(Tags):
    opens = False


class Parts(ReasoningContent):
    def message(self, reply):
        parts = [{"type": "thinking", "thinking": [{"type": "text", "text": reply.thinking}]}]
        return {
            "role": "assistant",
            "content": parts + [{"type": "text", "text": reply.answer}] * bool(reply.answer),
        }


class UsageWithoutThinking(ReasoningContent):
    def usage(self, prompt, replies):
        thought = sum(one.thought + one.closed for one in replies)
        usage = super().usage(prompt, replies)
        return usage | {
            "completion_tokens": usage["completion_tokens"] - thought,
            "completion_tokens_details": {"reasoning_tokens": thought},
        }


class DetailsNull(ReasoningContent):
    def usage(self, prompt, replies):
        return super().usage(prompt, replies) | {"prompt_tokens_details": None, "completion_tokens_details": None}


class CachedImpossible(Mode):
    def usage(self, prompt, replies):
        return super().usage(prompt, replies) | {"prompt_tokens_details": {"cached_tokens": 77}}


class CacheHitFields(ReasoningContent):
    def usage(self, prompt, replies):
        usage = super().usage(prompt, replies)
        del usage["prompt_tokens_details"]
        return usage | {"prompt_cache_hit_tokens": CACHED, "prompt_cache_miss_tokens": prompt - CACHED}


class NoUsage(Mode):
    def usage(self, prompt, replies):
        return None


class UsageInStream(Mode):
    streams_usage_only = True


class NIgnored(Mode):
    def choices(self, replies):
        return replies[:1]


class SameText(ReasoningContent):
    def reply(self, body, asked, draw):
        return Reply(asked, 0, limit(body), thinks=True)


class FinishNames(Mode):
    def finish(self, reply):
        return reply.finish if reply.finish == "length" else ("stop", "end_turn", "eos", "end")[reply.draw % 4]


class Filtered(Mode):
    def finish(self, reply):
        return "content_filter" if reply.asked == (40, 32) else reply.finish

    def message(self, reply):
        return super().message(reply) | ({"content": None} if reply.asked == (40, 32) else {})


class Refusal(Mode):
    def message(self, reply):
        if reply.asked != (40, 32):
            return super().message(reply) | {"refusal": None}
        return {"role": "assistant", "content": None, "refusal": "I'm sorry, I can't help with that."}


class NullContent(Mode):
    def message(self, reply):
        return super().message(reply) | ({"content": None} if reply.draw % 4 == 1 else {})


class RateSeconds(Mode):
    """The first request opens a window of 2 s in which everybody is turned away."""

    def wait(self, left):
        return {"retry-after": str(math.ceil(left))}

    def refuse(self, handler, body, text):
        with LOCK:
            begin = STATE.setdefault("window", time.time())
            left = begin + 2 - time.time()
            if left > 0:
                STATS["early"] += STATE.get("told", 0) and time.time() > STATE["told"] + 0.3
                STATE.setdefault("told", time.time())
        if left > 0:
            handler.say(
                429,
                json.dumps(
                    error("Rate limit reached; slow down", "requests", code="rate_limit_exceeded")
                ).encode(),
                headers=self.wait(left),
            )
        return left > 0


class RateDate(RateSeconds):
    def wait(self, left):
        return {"retry-after": formatdate(math.ceil(time.time() + left), usegmt=True)}


class RateReset(RateSeconds):
    def wait(self, left):
        return {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{left:.2f}s",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        }


class Loading(Mode):
    def refuse(self, handler, body, text):
        if loading := time.time() < STATE.setdefault("loading", time.time()) + 4:
            handler.say(
                503,
                json.dumps(
                    {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
                ).encode(),
            )
        return loading


class MaxCompletionTokens(Mode):
    def refuse(self, handler, body, text):
        if refused := "max_tokens" in body:
            handler.document(
                400,
                error(
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                    "'max_completion_tokens' instead.",
                    param="max_tokens",
                    code="unsupported_parameter",
                ),
            )
        return refused


class TemperatureFixed(Mode):
    def refuse(self, handler, body, text):
        if refused := body.get("temperature", 1) != 1:
            handler.document(
                400,
                error(
                    f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
                    "Only the default (1) value is supported.",
                    param="temperature",
                    code="unsupported_value",
                ),
            )
        return refused


class TemperatureOrTopP(Mode):
    def refuse(self, handler, body, text):
        if refused := "temperature" in body and "top_p" in body:
            handler.document(
                400,
                error("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
            )
        return refused


class Context(Mode):
    """Room for 1,000 tokens, of which the request's max_tokens are part."""

    def refuse(self, handler, body, text):
        read, asked = len(text.split()) + TEMPLATE, limit(body) or 0
        if refused := read + asked > 1000:
            handler.document(
                400,
                error(
                    f"This model's maximum context length is 1000 tokens. However, you requested {read + asked} "
                    f"tokens ({read} in the messages, {asked} in the completion).",
                    param="messages",
                    code="context_length_exceeded",
                ),
            )
        return refused


class CutPrompt(Mode):
    """A window of 600 tokens; what does not fit is dropped from the front half, and only prompt_tokens tells."""

    def refuse(self, handler, body, text):
        body["cut"] = len(text.split()) + TEMPLATE > 600
        return False

    def reply(self, body, asked, draw):
        reply = super().reply(body, asked, draw)
        if body["cut"]:
            reply.answer = "Here is a list of words ; shall I sort it ?"
            reply.generated = len(reply.answer.split()) + 1
        return reply

    def usage(self, prompt, replies):
        return super().usage(302 if prompt > 600 else prompt, replies)


class OtherModel(Mode):
    def document(self, document, replies):
        return document | {"model": "gemma-3-1b-it-qat"}


class ModelSwap(Mode):
    """After 6 answers the process is gone for a second, and back with another model, whose sums are 10 too high."""

    def refuse(self, handler, body, text):
        with LOCK:
            STATE["accepted"] = STATE.get("accepted", 0) + 1
            body["late"] = STATE["accepted"] > 6
            gone = body["late"] and time.time() < STATE.setdefault("gone", time.time()) + 1
        if gone:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        return gone

    def reply(self, body, asked, draw):
        reply = super().reply(body, asked, draw)
        reply.late = body["late"]
        if reply.late:
            reply.answer = re.sub(r"\{(\d+)\}", lambda m: f"{{{int(m[1]) + 10}}}", reply.answer)
        return reply

    def document(self, document, replies):
        late = any(one.late for one in replies)
        return document | {
            "model": "T" if late else document["model"],
            "system_fingerprint": "fp_b2" if late else "fp_a1",
        }

    def models(self):
        return ["T"] if "gone" in STATE else ["S", "L"]


class Whitespace(Mode):
    def message(self, reply):
        return {"role": "assistant", "content": f"\n\n {reply.answer} \n"}


class Html(Mode):
    def send(self, handler, code, document):
        page = "<!DOCTYPE html>\n<html><head><title>Sign in - example gateway</title></head><body>Your session has expired.</body></html>"
        handler.say(200, page.encode(), kind="text/html; charset=utf-8")


class SlowFirst(Mode):
    def refuse(self, handler, body, text):
        with LOCK:
            first = STATE.setdefault("first", True)
            STATE["first"] = False
        if first:
            time.sleep(6)
        return False


class Close(Mode):
    """Each connection is dropped after its answer, without a word about it in the headers."""

    def send(self, handler, code, document):
        super().send(handler, code, document)
        handler.close_connection = True


class Chunked(ReasoningContent):
    """A chunk is 7 bytes: its borders cut letters of several bytes."""

    mark = "≈ naïve 🙂 数"

    def send(self, handler, code, document):
        handler.chunks(json.dumps(document, ensure_ascii=False).encode(), 7)


class Gzip(Mode):
    def send(self, handler, code, document):
        handler.say(code, gzip.compress(json.dumps(document).encode()), headers={"content-encoding": "gzip"})


class Surrogate(Mode):
    """Half a letter: the text was cut inside a pair."""

    def message(self, reply):
        return {"role": "assistant", "content": reply.answer + " \ud83d"}


class Nan(Mode):
    def document(self, document, replies):
        for choice in document["choices"]:
            tops = [{"token": "No", "logprob": -math.inf}, {"token": "?", "logprob": math.nan}]
            choice["logprobs"] = {"content": [{"token": "Well", "logprob": 0.0, "top_logprobs": tops}]}
        return document


class Effort(ReasoningContent):
    """reasoning_effort low, medium (the default), high: the 14 words once, twice, four times."""

    def refuse(self, handler, body, text):
        if refused := body.get("reasoning_effort", "medium") not in ("low", "medium", "high"):
            handler.document(
                400,
                error(
                    f"Invalid value: '{body['reasoning_effort']}'. Supported values are: 'low', 'medium', and "
                    "'high'.",
                    param="reasoning_effort",
                    code="invalid_value",
                ),
            )
        return refused

    def reply(self, body, asked, draw):
        thoughts = {"low": 1, "medium": 2, "high": 4}[body.get("reasoning_effort", "medium")]
        return Reply(asked, draw, limit(body), thinks=True, thoughts=thoughts)


class Budget(ReasoningContent):
    """thinking_token_budget (vLLM): the thought is closed after so many tokens."""

    def reply(self, body, asked, draw):
        return Reply(asked, draw, limit(body), thinks=True, thoughts=4, budget=body.get("thinking_token_budget"))


def name(kind):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


MODES = {"plain": Mode} | {
    name(kind): kind
    for kind in (
        ReasoningContent,
        Reasoning,
        Tags,
        ClosingTag,
        Parts,
        UsageWithoutThinking,
        DetailsNull,
        CachedImpossible,
        CacheHitFields,
        NoUsage,
        UsageInStream,
        NIgnored,
        SameText,
        FinishNames,
        Filtered,
        Refusal,
        NullContent,
        RateSeconds,
        RateDate,
        RateReset,
        Loading,
        MaxCompletionTokens,
        TemperatureFixed,
        TemperatureOrTopP,
        Context,
        CutPrompt,
        OtherModel,
        ModelSwap,
        Whitespace,
        Html,
        SlowFirst,
        Close,
        Chunked,
        Gzip,
        Surrogate,
        Nan,
        Effort,
        Budget,
    )
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = Mode()

    def log_message(self, *_):
        pass

    def say(self, code, data, kind="application/json", headers=()):
        STATS[f"http {code}"] += 1
        self.send_response(code)
        for key, value in {"content-type": kind, "content-length": str(len(data)), **dict(headers)}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def document(self, code, document):
        self.say(code, json.dumps(document).encode())

    def chunks(self, data, size, kind="application/json", pause=0.0):
        STATS["http 200"] += 1
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(pause)
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self):
        if self.path == "/v1/models":
            return self.document(
                200, {"object": "list", "data": [{"id": one, "object": "model"} for one in self.mode.models()]}
            )
        if self.path in ("/stats", "/health"):
            return self.document(200, dict(STATS))
        return self.document(404, error("Not Found", "not_found_error"))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        chat = self.path == "/v1/chat/completions"
        if not chat and self.path != "/v1/completions":
            return self.document(404, error(f"no route {self.path}", "not_found_error"))
        STATS["requests"] += 1
        text = " ".join(flat(one["content"]) for one in body["messages"]) if chat else body["prompt"]
        if self.mode.refuse(self, body, text):
            return None
        asked = tuple(int(one) for one in (re.findall(r"What is (\d+) \+ (\d+)", text) or [(1, 1)])[-1])
        replies = self.mode.choices(
            [self.mode.reply(body, asked, self.draw(body, asked)) for _ in range(body.get("n") or 1)]
        )
        prompt = len(text.split()) + TEMPLATE
        for key, value in {
            "choices": len(replies),
            "prompt": prompt,
            "cached": CACHED,
            "generated": sum(one.generated for one in replies),
            "thinking": sum(one.thought for one in replies),
        }.items():
            STATS[key] += value
        document = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{STATS['requests']}",
            "created": int(time.time()),
            "model": body["model"],
            "object": "chat.completion" if chat else "text_completion",
            "usage": self.mode.usage(prompt, replies),
            "choices": [
                {"index": i, "logprobs": None, "finish_reason": self.mode.finish(one)}
                | ({"message": self.mode.message(one)} if chat else {"text": one.raw})
                for i, one in enumerate(replies)
            ],
        }
        document = self.mode.document(document, replies)
        if body.get("stream"):
            return self.stream(document, (body.get("stream_options") or {}).get("include_usage"))
        if self.mode.streams_usage_only:
            document["usage"] = None
        return self.mode.send(self, 200, document)

    def draw(self, body, asked):
        if body.get("temperature", 1) == 0:
            return 0
        with LOCK:
            DRAWS[asked] += 1
            return DRAWS[asked] - 1

    def stream(self, document, include_usage):
        usage = document.pop("usage")
        base = {key: value for key, value in document.items() if key != "choices"}
        events = []
        for choice in document["choices"]:
            delta = choice.pop("message", None)
            part = {"delta": delta} if delta else {"text": choice.pop("text")}
            events += [
                {"index": choice["index"], **part, "finish_reason": None},
                {
                    "index": choice["index"],
                    **({"delta": {}} if delta else {"text": ""}),
                    "finish_reason": choice["finish_reason"],
                },
            ]
        lines = [base | {"choices": [one]} for one in events] + (
            [base | {"choices": [], "usage": usage}] if include_usage else []
        )
        data = "".join(f"data: {json.dumps(one)}\n\n" for one in lines) + "data: [DONE]\n\n"
        self.chunks(data.encode(), 64, "text/event-stream")


def flat(content):
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def main(modes):
    Handler.mode = modes[sys.argv[2]]()
    ThreadingHTTPServer.request_queue_size = 1024
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(MODES)
