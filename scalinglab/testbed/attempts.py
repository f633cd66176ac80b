"""The data of verifiers and reviser: attempts of the small policy, each step with its Monte-Carlo value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.specs import from_config
from scalinglab.tasks import Level, Problem, grade, problems, solution, split_steps
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import CONVENTIONS, Progress, explained
from scalinglab.testbed.vocabulary import encode

_CHUNK = 50


@dataclass(frozen=True)
class Attempts:
    """The attempts at one problem. ``values``: of each attempt's steps, how often a rollout from it ends right."""

    problem: Problem
    texts: list[str]
    values: list[list[float]]

    def right(self) -> list[bool]:
        """Whether each attempt's final answer is right."""
        return [grade(self.problem, text) == "right" for text in self.texts]


def limit(problem: Problem) -> int:
    """The most tokens an attempt may take: one and a half right solutions."""
    return len(solution(problem)) * 3 // 2


def collect_attempts(
    scale: Scale, policy: LlamaForCausalLM, path: Path, *, seed: int = 0, progress: Progress | None = None
) -> tuple[list[Attempts], dict[str, int]]:
    """The attempts at ``scale.questions`` problems of the verifiers' split, and the FLOPs they took by convention.

    Written to ``path`` chunk by chunk: an earlier call that was stopped is gone on with, to the same attempts.
    """
    chunks = list(_read(path))
    drawn = list(islice(problems("verifier", scale.levels, seed=seed), scale.questions))
    for start in range(len(chunks) * _CHUNK, len(drawn), _CHUNK):
        chunk = _chunk(scale, policy, drawn[start : start + _CHUNK], seed * 1_000_003 + start)
        with explained(path.parent), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(chunk) + "\n")
        chunks.append(chunk)
        if progress is not None:
            spent = sum(chunk["flops"]["exact"] for chunk in chunks)
            share = min(1.0, (start + _CHUNK) / len(drawn))
            progress("attempts", share, spent, f"{scale.samples} attempts, {scale.rollouts} rollouts a step")
    totals = {name: sum(chunk["flops"][name] for chunk in chunks) for name in CONVENTIONS}
    return [_attempts(row) for chunk in chunks for row in chunk["rows"]], totals


def key_of(path: Path) -> str:
    """What names these attempts, whoever was trained on them: the hash of their file."""
    return f"attempts-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _chunk(scale: Scale, policy: LlamaForCausalLM, drawn: Sequence[Problem], seed: int) -> dict[str, Any]:
    questions, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
    texts = sample(policy, questions, limits=limits, samples=scale.samples, seed=seed)
    # Attempts share beginnings: each is rolled out from once.
    begun = sorted({(i, b) for i, ts in enumerate(texts) for text in ts for b in beginnings(text)})
    prompts = [questions[i] + encode(b) for i, b in begun]
    left = [max(1, limits[i] - len(encode(b))) for i, b in begun]
    rollouts = sample(policy, prompts, limits=left, samples=scale.rollouts, seed=seed + 1)
    value = {
        (i, b): float(np.mean([grade(drawn[i], b + end) == "right" for end in ends]))
        for (i, b), ends in zip(begun, rollouts, strict=True)
    }
    rows = [
        asdict(Attempts(p, ts, [[value[i, b] for b in beginnings(text)] for text in ts]))
        for i, (p, ts) in enumerate(zip(drawn, texts, strict=True))
    ]
    spent = _spent(policy, [*questions, *prompts], [*texts, *rollouts])
    return {"rows": rows, "flops": spent}


def beginnings(text: str) -> list[str]:
    """The text up to the end of its first step, its second, ..."""
    steps = split_steps(text)
    return ["".join(steps[: i + 1]) for i in range(len(steps))]


def _spent(policy: LlamaForCausalLM, prompts: Sequence[list[int]], texts: Sequence[list[str]]) -> dict[str, int]:
    """Each prompt read once, each text and its EOS written."""
    spec = from_config(policy.config.to_dict(), name="policy")
    read = np.array([1 + len(p) for p in prompts], dtype=np.int64)
    context = np.array([n for n, ts in zip(read, texts, strict=True) for _ in ts], dtype=np.int64)
    written = np.array([1 + len(encode(text)) for ts in texts for text in ts], dtype=np.int64)
    totals = {}
    for name in CONVENTIONS:
        rule = flops.convention(name)
        reading = flops.total(flops.prefill(spec, read, convention=rule)).sum()
        writing = flops.total(flops.decode(spec, context, written, convention=rule)).sum()
        totals[name] = int(writing if rule.prompts == "free" else reading + writing)
    return totals


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
