"""A small study on real vLLM engines, to be stopped: python tests/real.py PROBLEMS STORE..."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import scalinglab
from scalinglab.collect import STRATEGIES, TokenVerifier, collect, draw_testbed
from scalinglab.collect.vllm_engine import open_vllm, settings_for
from scalinglab.samples import RunStore, Unit
from scalinglab.tasks import Level

MODELS = Path(scalinglab.__file__).parent / "data" / "testbed" / "base"
SETTINGS = replace(settings_for("cpu"), kv_cache_gib=0.5, dtype="float32")
PARAMETERS = {
    "parallel": {"samples": 8, "verifier": "prm"},
    "beam_search": {"beams": 8, "width": 4, "verifier": "prm"},
}


def units(task):
    return [
        Unit(
            "real", task.name, problem, "policy", "small", strategy, options, STRATEGIES[strategy].budget(options)
        )
        for problem in task.problems
        for strategy, options in PARAMETERS.items()
    ]


async def run(problems, *paths, in_flight=8):
    """Collect to each store; says "open", then a dot a unit, and "closed" however it ends in good order."""
    task = draw_testbed([Level(2, 2), Level(1, 3)], problems)
    async with AsyncExitStack() as stack:
        small, prm = [await open_vllm(MODELS / name, settings=SETTINGS) for name in ("small", "prm")]
        stack.callback(print, "closed", flush=True)
        for engine in (small, prm):
            stack.push_async_callback(closed_in_order, engine)
        print("open", flush=True)
        verifiers = {"prm": TokenVerifier(prm, task.verifier_prompt)}
        told = {"in_flight": in_flight, "progress": lambda _: print(".", flush=True)}
        for path in paths:
            with RunStore(path) as store:
                await collect(units(task), {"small": small}, verifiers, task, store, **told)


async def closed_in_order(engine):
    """Closed, after a last answer: whatever stopped this process has not stopped the engine."""
    assert (await engine.generate("<bos>01+01?", max_tokens=1, temperature=0, seed=0)).generated_tokens == 1
    await engine.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it
    try:
        asyncio.run(run(int(sys.argv[1]), *sys.argv[2:]))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
