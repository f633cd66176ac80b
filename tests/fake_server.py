"""A small OpenAI-compatible server on loopback that adds two numbers, and misbehaves as MODE says.

python fake_server.py PORT MODE
modes: ok; zero-large: usage all 0 for model "L"; err200: HTTP 200 with {"error"}; toolong-small: HTTP 400 for
a prompt with LONG by model "S"; good-first: pooling rows are [good, bad]; logits: pooling rows are one logit each;
llamacpp: /tokenize reads "content", else no tokens; clock: one question's answer is a time, 10:00 in 2 of 8;
sets: x=0,1 in 2 of 5 samples, x=2,3 in the others; same: every sample is the same; slow: an answer takes 2 s;
mute: what is no answer to a prompt takes a minute.
"""

import itertools
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, MODE = int(sys.argv[1]), sys.argv[2]
COUNT = itertools.count()


def tokens(text):
    return re.findall(r"<[^<>]*>|\w+|\s|[^\w\s]", text)


def solution(prompt, body):
    asked, i = re.search(r"What is (\d+) \+ (\d+)", prompt), next(COUNT)
    if "o'clock" in prompt:
        return "10:00" if body["temperature"] == 0 or i % 4 == 0 else "9:30"
    if "roots" in prompt:
        return "x=0,1" if i % 5 < 2 else "x=2,3"
    total = int(asked[1]) + int(asked[2])
    return str(total if body["temperature"] == 0 or MODE == "same" or i % 3 else total + 1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, document):
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if MODE == "mute":
            time.sleep(60)
        self.answer(404, {"error": {"message": "Not Found"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            text = body.get("content", "") if MODE == "llamacpp" else body["prompt"]
            return self.answer(200, {"tokens": list(range(len(tokens(text))))})
        if self.path == "/pooling":
            steps, used = body["input"].count("ки"), len(tokens(body["input"]))
            row = [0.9, 0.1] if MODE == "good-first" else [2.3] if MODE == "logits" else [0.1, 0.9]
            return self.answer(200, {"data": [{"data": [row] * steps}], "usage": {"prompt_tokens": used}})
        prompt = body["prompt"]
        if MODE == "err200":
            return self.answer(
                200, {"error": {"message": f"model {body['model']!r} is not loaded; load it first"}}
            )
        if MODE == "toolong-small" and "LONG" in prompt and body["model"] == "S":
            return self.answer(
                400, {"error": {"message": "maximum context length is 64 tokens; 1100 were requested"}}
            )
        text = f" We look.\n\nThe answer is $\\boxed{{{solution(prompt, body)}}}$."
        read, written = len(tokens(prompt)), len(tokens(text)) + 1
        if MODE == "zero-large" and body["model"] == "L":
            read = written = 0
        choice = {"index": 0, "text": text, "finish_reason": "stop", "stop_reason": None}
        if MODE == "llamacpp":
            del choice["stop_reason"]
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        if MODE == "slow":
            time.sleep(2)
        return self.answer(200, {"choices": [choice], "usage": usage})


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("127.0.0.1", PORT), Handler).serve_forever()
