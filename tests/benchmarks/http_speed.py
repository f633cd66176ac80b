"""What collecting over HTTP costs, beside a bare aiohttp client and the openai client, measured in one run:

python tests/benchmarks/http_speed.py --out results/benchmarks/http.json

Against canned_server.py in another process. Every ratio is the median over repeats, each of which runs all sides
one after another. CPU is this process's alone (time.process_time), the store's share of it apart. Some minutes.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import aiohttp

from scalinglab.collect import Problem, collect
from scalinglab.collect.http.engine import HttpEngine, HttpSettings
from scalinglab.collect.recording import together
from scalinglab.samples import RunStore, Unit

SERVER = Path(__file__).with_name("canned_server.py")
PROMPT = "Question: what is 12 + 34 + 56 + 78 + 90? Think step by step, then give the answer after ####.\n"
BODY = {"model": "canned", "prompt": PROMPT, "max_tokens": 256, "temperature": 1.0, "seed": 1}
LATENCIES = [  # ms of the server, requests in flight, requests in all
    (20, 16, 1600),
    (20, 256, 5120),
    (20, 1024, 5120),
    (200, 16, 160),
    (200, 256, 2560),
    (200, 1024, 5120),
    (2000, 16, 32),
    (2000, 256, 512),
    (2000, 1024, 2048),
]


class Ungraded:
    """A task whose problems are all alike, and whose answers nobody grades."""

    name, delimiters, ends = "speed", (), ()

    def __init__(self, problems):
        self.problems = {str(i): Problem(str(i), PROMPT, PROMPT, "270", 256) for i in range(problems)}

    async def grade(self, problem, text, *, cut=False):  # noqa: ARG002
        return "ungraded", None


class TimedStore(RunStore):
    """A store that counts the CPU seconds spent in it."""

    cpu = 0.0

    def extend(self, units):
        begun = time.process_time()
        try:
            return super().extend(units)
        finally:
            self.cpu += time.process_time() - begun


@contextmanager
def served(delay=0, servers=1):
    """The URLs of so many servers, each a process of its own, which answer after ``delay`` ms."""
    command = [sys.executable, str(SERVER), str(delay)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(servers)]
    try:
        yield [f"http://127.0.0.1:{int(one.stdout.readline())}" for one in running]
    finally:
        for one in running:
            one.kill()
            one.communicate()


# The sides: each makes n requests, so many in flight, and says how long it took


async def ours(urls, n, in_flight, *, samples=1, seen=None):
    """``collect`` over HttpEngine: units of so many samples, in a store on disk."""
    task = Ungraded(n // samples)
    options = {"samples": samples}
    units = [Unit("speed", "speed", p, "policy", "canned", "parallel", options, samples) for p in task.problems]
    engine = HttpEngine(urls, "canned", server="other", settings=HttpSettings(in_flight=in_flight))
    with tempfile.TemporaryDirectory() as folder, TimedStore(Path(folder) / "speed.sqlite") as store:
        at_once = max(1, len(urls) * in_flight // samples)
        with timed() as took:
            await collect(units, {"canned": engine}, {}, task, store, in_flight=at_once, progress=seen)
    await engine.close()
    return {**vars(took), "store cpu": store.cpu}


async def bare(urls, n, in_flight):
    """aiohttp alone: a body written and an answer read, nothing checked or kept."""
    serial, connector = iter(range(n)), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work():
            for _ in serial:
                async with session.post(f"{urls[0]}/v1/completions", json=BODY) as answer:
                    json.loads(await answer.read())

        with timed() as took:
            await together(work() for _ in range(in_flight))
    return vars(took)


async def openai(urls, n, in_flight):
    """The openai client, which must be installed, with as many connections as it is given work for."""
    from openai import AsyncOpenAI

    serial = iter(range(n))
    async with AsyncOpenAI(base_url=f"{urls[0]}/v1", api_key="none") as client:

        async def work():
            for _ in serial:
                await client.completions.create(**BODY)

        with timed() as took:
            await together(work() for _ in range(in_flight))
    return vars(took)


@contextmanager
def timed():
    """Wall and CPU seconds of a block."""
    took = SimpleNamespace()
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took.wall, took.cpu = time.perf_counter() - wall, time.process_time() - cpu


# The questions


def cpu(n, repeats):
    """ms of CPU a sample, without grading, with 64 requests in flight."""
    sides = {
        "collect, 1 sample a unit": lambda urls: ours(urls, n, 64),
        "collect, 64 samples a unit": lambda urls: ours(urls, n // 64 * 64, 64, samples=64),
        "aiohttp": lambda urls: bare(urls, n, 64),
    }
    found = {name: [] for name in sides}
    with served() as urls:
        for _ in range(repeats + 1):
            for name, side in sides.items():
                found[name].append(asyncio.run(side(urls)))
        peer = openai_cpu(urls, min(n, 1000))
    rows = {
        name: {
            "ms of CPU": per(runs[1:], "cpu", n),
            **(
                {"of them the store's": per(runs[1:], "store cpu", n), "at most": 0.5} if "collect" in name else {}
            ),
            "of each repeat": [round(1000 * run["cpu"] / n, 3) for run in runs[1:]],
            "samples a second": round(n / median(run["wall"] for run in runs[1:])),
        }
        for name, runs in found.items()  # the first one warms up
    }
    return rows | {"openai": peer}


def openai_cpu(urls, n):
    try:
        took = asyncio.run(openai(urls, n, 64))
    except ImportError:
        return "not installed"
    return {"ms of CPU": per([took], "cpu", n), "samples a second": round(n / took["wall"])}


def per(runs, name, n):
    return round(1000 * median(run[name] for run in runs) / n, 3)


def latency(repeats):
    """Wall seconds beside the slower of the ideal and bare aiohttp."""
    rows = []
    for delay, in_flight, n in LATENCIES:
        with served(delay) as urls:
            runs = [
                {
                    "collect": asyncio.run(ours(urls, n, in_flight)),
                    "aiohttp": asyncio.run(bare(urls, n, in_flight)),
                }
                for _ in range(repeats)
            ]
        ideal = n * delay / 1000 / in_flight
        ratios = [run["collect"]["wall"] / max(ideal, run["aiohttp"]["wall"]) for run in runs]
        rows.append(
            {
                "ms": delay,
                "in flight": in_flight,
                "n": n,
                "ideal": round(ideal, 2),
                **{side: round(median(run[side]["wall"] for run in runs), 2) for side in ("aiohttp", "collect")},
                **{f"{side}, CPU": round(median(run[side]["cpu"] for run in runs), 2) for side in runs[0]},
                "collect / the slower": round(median(ratios), 3),
                "of each repeat": [round(one, 3) for one in ratios],
                "at most": 1.2,
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def two_servers(repeats, n=2048, in_flight=64, delay=200):
    """Samples a second of two servers behind URLs beside twice those of one."""
    with served(delay, servers=2) as urls:
        runs = [
            [asyncio.run(ours(some, n * len(some), in_flight))["wall"] for some in (urls[:1], urls)]
            for _ in range(repeats)
        ]
    ratios = [two / one for one, two in runs]
    return {
        "ms": delay,
        "in flight a server": in_flight,
        "n a server": n,
        "one": round(median(one for one, _ in runs), 2),
        "two": round(median(two for _, two in runs), 2),
        "twice one's rate / two's": round(median(ratios), 3),
        "at most": 1.1,
    }


def memory(n):
    """Resident MB of this process while it collects, 64 samples a unit."""
    done, marks, sizes = count(64, 64), iter((0, n // 10, n // 2, n)), {}
    mark = next(marks)

    def seen(_):
        nonlocal mark
        if (now := next(done)) >= mark:
            sizes[str(now)] = round(resident())
            mark = next(marks, 10**9)

    with served() as urls:
        asyncio.run(ours(urls, -(-n // 64) * 64, 64 * 4, samples=64, seen=seen))
    return {"MB at so many samples": sizes}


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def manifest(begun, load):
    versions = {"python": platform.python_version()}
    for name in ("scalinglab", "aiohttp", "openai", "httpx"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - begun),
        "versions": versions,
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "load before, after": load},
    }


def main(options):
    begun, load = time.perf_counter(), [os.getloadavg()[0]]
    parts = {
        "memory": lambda: memory(options.most),
        "CPU a sample": lambda: cpu(options.samples, options.repeats),
        "two servers": lambda: two_servers(options.repeats),
        "latency": lambda: latency(options.repeats),
    }
    found = {name: part() for name, part in parts.items() if options.only in name}
    load.append(os.getloadavg()[0])
    text = json.dumps(found | {"manifest": manifest(begun, load)}, indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="a part of a question's name")
    parser.add_argument("--samples", type=int, default=6400)
    parser.add_argument("--most", type=int, default=100_000, help="samples collected while memory is looked at")
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args())
