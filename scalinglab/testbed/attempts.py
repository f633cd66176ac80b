"""The data of verifiers and reviser: attempts, each step with its Monte-Carlo value, and what they cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.specs import from_config
from scalinglab.tasks import Level, Problem, complete, grade, problems, solution, split_steps, tokens_of
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Attempted
from scalinglab.testbed.training import CONVENTIONS, Data, Progress, explained
from scalinglab.testbed.vocabulary import encode

_CHUNK = 50


@dataclass(frozen=True)
class Attempts:
    """The attempts at one problem. ``values``: of each attempt's steps, how often a rollout from it ends right;
    empty without rollouts."""

    problem: Problem
    texts: list[str]
    values: list[list[float]]

    def right(self) -> list[bool]:
        """Whether each attempt's final answer is right."""
        return [grade(self.problem, text) == "right" for text in self.texts]


Spent = dict[str, int]
"""FLOPs by convention."""
Attempt = Callable[[Sequence[Problem], int], tuple[list[Attempts], Spent]]
"""Attempts at some problems, by a seed, and what they took."""


def limit(problem: Problem) -> int:
    """The most tokens an attempt may take: one and a half right solutions."""
    return len(tokens_of(solution(problem))) * 3 // 2


def gathered(
    levels: Sequence[Level],
    questions: int,
    path: Path,
    attempt: Attempt,
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[list[Attempts], Data]:
    """The attempts at so many problems of the verifiers' split, and what they cost.

    Written to ``path`` chunk by chunk: an earlier call that was stopped is gone on with, to the same attempts.
    """
    chunks = list(_read(path))
    drawn = list(islice(problems("verifier", levels, seed=f"{seed} {path.stem}"), questions))
    for start in range(len(chunks) * _CHUNK, len(drawn), _CHUNK):
        made, spent = attempt(drawn[start : start + _CHUNK], seed * 1_000_003 + start)
        chunk = {"rows": [asdict(one) for one in made], "flops": spent}
        with explained(path.parent), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(chunk) + "\n")
        chunks.append(chunk)
        if progress is not None:
            so_far = sum(chunk["flops"]["exact"] for chunk in chunks)
            progress(path.stem, min(1.0, (start + _CHUNK) / len(drawn)), so_far, f"{questions} problems")
    totals = {name: sum(chunk["flops"][name] for chunk in chunks) for name in CONVENTIONS}
    return [_attempts(row) for chunk in chunks for row in chunk["rows"]], Data(_key(path), totals)


def attempting(policy: LlamaForCausalLM, how: Attempted) -> Attempt:
    """Independent attempts of a policy; with ``rollouts``, each step's value (PAPER section 3: soft labels)."""

    def attempt(drawn: Sequence[Problem], seed: int) -> tuple[list[Attempts], Spent]:
        questions, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
        texts = sample(policy, questions, limits=limits, samples=how.answers, seed=seed)
        spent = spent_on(policy, questions, texts)
        if not how.rollouts:
            return [Attempts(p, ts, []) for p, ts in zip(drawn, texts, strict=True)], spent
        # Attempts share beginnings: each is rolled out from once, and what is complete not at all.
        begun = sorted({(i, b) for i, ts in enumerate(texts) for text in ts for b in beginnings(text)})
        open_ = [(i, b) for i, b in begun if not complete(b)]
        prompts = [questions[i] + encode(b) for i, b in open_]
        left = [max(1, limits[i] - len(encode(b))) for i, b in open_]
        rollouts = sample(policy, prompts, limits=left, samples=how.rollouts, seed=seed + 1)
        ends: dict[tuple[int, str], list[str]] = dict(zip(open_, rollouts, strict=True))
        value = {
            (i, b): float(np.mean([grade(drawn[i], b + end) == "right" for end in ends.get((i, b), [""])]))
            for i, b in begun
        }
        made = [
            Attempts(p, ts, [[value[i, b] for b in beginnings(text)] for text in ts])
            for i, (p, ts) in enumerate(zip(drawn, texts, strict=True))
        ]
        more = spent_on(policy, prompts, rollouts)
        return made, {name: spent[name] + more[name] for name in spent}

    return attempt


def beginnings(text: str) -> list[str]:
    """The text up to the end of its first step, its second, ..."""
    steps = split_steps(text)
    return ["".join(steps[: i + 1]) for i in range(len(steps))]


def spent_on(policy: LlamaForCausalLM, prompts: Sequence[list[int]], texts: Sequence[list[str]]) -> Spent:
    """FLOPs by convention: each prompt read once, with its BOS, and each text written."""
    spec = from_config(policy.config.to_dict(), name="policy")
    read = np.array([1 + len(p) for p in prompts], dtype=np.int64)
    context = np.array([n for n, ts in zip(read, texts, strict=True) for _ in ts], dtype=np.int64)
    written = np.array([max(1, len(encode(text))) for ts in texts for text in ts], dtype=np.int64)
    totals = {}
    for name in CONVENTIONS:
        rule = flops.convention(name)
        reading = flops.total(flops.prefill(spec, read, convention=rule)).sum()
        writing = flops.total(flops.decode(spec, context, written, convention=rule)).sum()
        totals[name] = int(writing if rule.prompts == "free" else reading + writing)
    return totals


def _key(path: Path) -> str:
    """What names these attempts, whoever was trained on them: the hash of their file."""
    return f"attempts-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole chunks of an earlier call; a line cut off by a stop is dropped from the file."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        path.write_text("".join(whole), encoding="utf-8")
    yield from map(json.loads, whole)


def _attempts(row: dict[str, Any]) -> Attempts:
    p = row["problem"]
    return Attempts(Problem(p["question"], p["answer"], Level(**p["level"])), row["texts"], row["values"])
