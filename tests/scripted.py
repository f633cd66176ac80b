"""Engines and a task without models: they write a script, or a function of the seed; a character is a token.

On the testbed's task tokens are its own.
"""

import asyncio
import math
import os
import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

from scalinglab.collect import (
    STRATEGIES,
    About,
    ExactVerifier,
    Generated,
    NoisyVerifier,
    Problem,
    Prompt,
    Rewarded,
    Scored,
    TestbedTask,
    TokenVerifier,
    collect,
    draw_testbed,
)
from scalinglab.errors import EngineError
from scalinglab.samples import RunStore, Unit
from scalinglab.tasks import Level, solution, tokens_of

QUESTION = "Q?"


class ScriptedEngine:
    """Writes what ``writes`` holds for a prompt, in the order asked, or what it returns for (prompt, seed).

    greedy: what it writes at temperature 0. good: the probability of the good token after a prompt, and rewards:
    a pooling model's answers; mappings or functions. remembers: its cache holds all that was ever read or
    written. waits: seconds at most before it answers. breaks_at: the number of the first call that fails.
    """

    tokens = staticmethod(list)
    """Of a text."""

    def __init__(self, writes=None, *, model="small", remembers=False, waits=0, breaks_at=None, **answers):
        self.model, self.continues = model, True
        self.writes, self.greedy = writes, answers.get("greedy")
        self.good, self.rewards = answers.get("good"), answers.get("rewards")
        self.remembers, self.waits, self.breaks_at = remembers, waits, breaks_at
        self.luck = random.Random()
        self.requests, self.seeds, self.seen, self.counted = [], [], [], []
        self.drawn, self.open, self.generated = Counter(), 0, 0

    async def generate(self, prompt, *, max_tokens, temperature, seed, stop=(), thinking=None, problem=""):  # noqa: ARG002
        assert max_tokens > 0
        self.seeds.append(seed)
        asked = self.greedy if temperature == 0 and self.greedy is not None else self.writes
        continuation = asked(prompt, seed) if callable(asked) else asked[prompt][self.drawn[prompt]]
        self.drawn[prompt] += not callable(asked)
        cached = await self._serve("generate", prompt)
        text, tokens, reason = cut(continuation, stop, max_tokens, self.tokens)
        self.seen.append(prompt + text)
        self.generated += tokens
        return Generated(text, len(self.tokens(prompt)), tokens, cached, reason, seconds=random.random())

    async def score(self, prompt, tokens, *, problem=""):  # noqa: ARG002
        assert len(tokens) == 2
        good = self.good(prompt) if callable(self.good) else self.good[prompt]
        cached = await self._serve("score", prompt)
        said = tuple(math.log(p) if p else -1e9 for p in (good, 1 - good))
        return Scored(said, len(self.tokens(prompt)), cached, seconds=random.random())

    async def reward(self, prompt, *, problem=""):  # noqa: ARG002
        rewards = self.rewards(prompt) if callable(self.rewards) else self.rewards[prompt]
        rows = tuple(one if isinstance(one, tuple) else (one,) for one in rewards)
        return Rewarded(rows, len(self.tokens(prompt)), await self._serve("reward", prompt))

    async def count(self, text):
        self.counted.append(text)
        return len(self.tokens(text))

    async def about(self):
        return About("a script 1.0")

    async def close(self):
        assert self.open == 0

    def prompts(self, method):
        return [prompt for name, prompt in self.requests if name == method]

    async def _serve(self, method, prompt):
        """Take the request; after a wait, the prompt tokens that the cache held when it came."""
        self.requests.append((method, prompt))
        number, held = len(self.requests), self.seen if self.remembers else []
        cached = max((shared(self.tokens(prompt), self.tokens(text)) for text in held), default=0)
        self.seen.append(prompt)
        self.open += 1
        try:
            await asyncio.sleep(self.luck.uniform(0, self.waits))
        finally:
            self.open -= 1
        if self.breaks_at is not None and number >= self.breaks_at:
            raise EngineError(f"call {number} failed", "a living engine", "start it again")
        return cached


class ScriptedTestbed(ScriptedEngine):
    """A model of the testbed: its tokens are those of the testbed's vocabulary."""

    tokens = staticmethod(lambda text: [token for part in re.split(r"(<[a-z]+>)", text) for token in
                                        ([part] if part.startswith("<") else tokens_of(part))])  # fmt: skip


def cut(text, stop, most, tokens=list):
    """What comes out of a continuation: its text, tokens (the end token is one) and finish reason."""
    ends = [text.index(s) + len(s) for s in stop if s in text]
    written = tokens(text[: min(ends)] if ends else text)
    count = len(written) + (not ends)
    return ("".join(written), count, "stop") if count <= most else ("".join(written[:most]), most, "length")


def shared(one, other):
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@dataclass(frozen=True)
class ScriptedTask:
    """One problem, "Q?", whose right answer is 4; steps end in a semicolon, and the last one is the answer."""

    __test__ = False
    max_tokens: int = 1000
    name: str = "scripted"
    delimiters: tuple = (";",)
    ends: tuple = ()
    closing: tuple = ()  # steps that complete a solution

    @property
    def problems(self):
        return {"p": Problem("p", QUESTION, QUESTION, "4", self.max_tokens)}

    def complete(self, text):
        return text.endswith(tuple(f";{step}" for step in self.closing)) or text in self.closing

    def split_steps(self, text):
        return re.findall(r"[^;]*;", text)

    def revision_prompt(self, problem, answers):
        return Prompt(problem.prompt, "".join(f"{answer}|" for answer in answers[-4:]))

    def verifier_prompt(self, problem, steps):
        return Prompt(problem.prompt, "".join(steps))

    async def grade(self, problem, text, *, cut=False):  # noqa: ARG002
        steps = self.split_steps(text)
        if not steps:
            return "unparsed", None
        return ("right" if steps[-1] == f"{problem.answer};" else "wrong"), steps[-1][:-1]


def solving(task, *, wrong=0.3):
    """A writer of the testbed's steps, wrong ones now and then: a function of the prompt and the seed alone."""

    def write(prompt, seed):
        begun = prompt.removeprefix("<bos>").split("<answer>")[-1]
        question = prompt.removeprefix("<bos>").partition("?")[0] + "?"
        known = next(p for p in task.drawn if p.question == question)
        left = solution(known)[len(begun.removeprefix(question)) :]
        luck = random.Random(f"{prompt} {seed}")
        slip = lambda result: f"{luck.randrange(64):02}" if luck.random() < wrong else result[0]  # noqa: E731
        return re.sub(r"\d\d(?=[;.])", slip, left)

    return write


def opinion(prompt):
    """Some probability that depends on the prompt alone."""
    return random.Random(prompt).uniform(0.01, 0.99)


@dataclass(frozen=True)
class Study:
    """Every strategy on a few problems of the testbed, over scripted engines."""

    task: TestbedTask
    units: list
    engines: dict
    verifiers: dict

    async def run(self, path, **options):
        """Collect to the store at a path; everything recorded in it."""
        with RunStore(path) as store:
            await collect(self.units, self.engines, self.verifiers, self.task, store, **options)
            return store.read()


PARAMETERS = {
    "greedy": {},
    "parallel": {"samples": 8, "verifier": "prm", "temperature": 0.8},
    "difficulty": {"samples": 4},
    "revisions": {"chains": 2, "length": 3, "verifier": "noisy"},
    "beam_search": {"beams": 4, "width": 2, "verifier": "prm"},
    "lookahead": {"beams": 2, "width": 2, "steps": 1, "verifier": "prm", "aggregate": "min"},
    "dvts": {"beams": 4, "width": 2, "verifier": "exact"},
    "rebase": {"beams": 4, "verifier": "noisy"},
}


def study(*, problems=3, seed=0, **options):
    task = draw_testbed([Level(2, 2), Level(2, 3)], problems)
    small = ScriptedTestbed(solving(task), **options)
    prm = ScriptedTestbed(good=opinion, model="prm", waits=options.get("waits", 0))
    process = TokenVerifier(prm, task.verifier_prompt)
    verifiers = {"prm": process, "noisy": NoisyVerifier(process, 0.2), "exact": ExactVerifier(task.check)}
    units = [
        Unit(
            "run",
            "testbed",
            problem,
            "policy",
            "small",
            strategy,
            parameters,
            STRATEGIES[strategy].budget(parameters),
            seed,
        )
        for problem in task.problems
        for strategy, parameters in PARAMETERS.items()
    ]
    return Study(task, units, {"small": small}, verifiers)


def kill_again_and_again(path, problems, times):
    """Collect in a child process that is killed at a random moment; prints how many units are done each time."""
    for _ in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            one, tell = study(problems=problems, waits=0.01), partial(os.write, writing)
            asyncio.run(one.run(path, in_flight=3, progress=lambda _, tell=tell: tell(b".")))
            os._exit(0)
        os.close(writing)
        os.read(reading, 1) and os.read(reading, 1)  # until it has done one or two units
        time.sleep(random.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        with RunStore(path) as store:
            print(len(store.done()), flush=True)


def singles(problems):
    """A study whose units are quick: single samples, by an engine that answers within 20 ms."""
    whole = study(problems=problems, waits=0.02)
    return replace(whole, units=[unit for unit in whole.units if unit.strategy in ("greedy", "difficulty")])


def kill_at_any_moment(path, problems, times):
    """Collect quick units in a child that is killed 0 to 200 ms after it begins, whatever it does then.

    Prints each time how many units the child had said were done, and how many there are on disk.
    """
    one = singles(problems)
    with RunStore(path) as store:
        before = len(store.done())
    for _ in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            tell = partial(os.write, writing)
            asyncio.run(one.run(path, in_flight=4, progress=lambda _, tell=tell: tell(b".")))
            os._exit(0)
        os.close(writing)
        time.sleep(random.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = len(os.read(reading, 2**16))
        os.close(reading)
        with RunStore(path) as store:
            done = len(store.done())
        print(before + told, done, flush=True)
        before = done
