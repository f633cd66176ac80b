"""The reviser: the policy, tuned to answer rightly after wrong answers in its context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.tasks import Problem
from scalinglab.testbed.attempts import Attempts, limit
from scalinglab.testbed.policy import load_model, solved_rows
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Batch, Progress, Trained, Training, finished, next_token_loss
from scalinglab.testbed.verifiers import picks
from scalinglab.testbed.vocabulary import ANSWER_ID, EOS_ID, encode

CONTEXT = 4
"""Earlier answers in the context at most."""


def train_reviser(
    attempts: Sequence[Attempts],
    scale: Scale,
    policy: str | Path,
    folder: str | Path,
    *,
    data_flops: dict[str, int],
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Tune a copy of the policy into ``folder``; resumes. ``data_flops``: what the attempts cost."""
    folder = Path(folder)
    if (done := finished(folder)) is not None:
        return done
    useful = [a for a in attempts if any(a.right()) and not all(a.right())]
    if not useful:
        raise DataError(
            f"no problem of {len(attempts)} with a right and a wrong attempt",
            "one at least",
            "train the policy longer",
        )

    def batch(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        chosen = picks(len(useful), scale.rows, step, seed)
        return solved_rows([revision_row(useful[i], rng) for i in chosen])

    model = load_model(policy).train()
    training = Training(model, folder, recipe=scale.reviser, batch=batch, loss=next_token_loss)
    training.until(scale.reviser.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale.name, seed=seed, data_flops=data_flops)


def revision_row(attempts: Attempts, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """0 to 4 wrong answers, the last one the nearest of them in edit distance, then a right one (PAPER section 3).

    Were the nearest of all attempts always last, it would be wrong in its last digits alone, and the reviser would
    learn to copy all others, right or not.
    """
    right = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if good]
    wrong = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if not good]
    target = right[rng.integers(len(right))]
    shown = [wrong[i] for i in rng.integers(len(wrong), size=rng.integers(CONTEXT + 1))]
    shown.sort(key=lambda text: Levenshtein.distance(text, target), reverse=True)
    return context(attempts.problem.question, shown), [*encode(target), EOS_ID]


def context(question: str, answers: Sequence[str]) -> list[int]:
    """The question and the last four answers, each closed by the answer token."""
    tokens = encode(question)
    for answer in answers[-CONTEXT:]:
        tokens += [*encode(answer), ANSWER_ID]
    return tokens


def revise(
    model: LlamaForCausalLM, drawn: Sequence[Problem], *, chains: int, length: int, seed: int = 0
) -> list[list[list[str]]]:
    """``chains`` chains of ``length`` answers to each problem, each answer seeing the last four before it."""
    written: list[list[list[str]]] = [[[] for _ in range(chains)] for _ in drawn]
    limits = [limit(problem) for problem in drawn for _ in range(chains)]
    for i in range(length):
        prompts = [context(p.question, chain) for p, cs in zip(drawn, written, strict=True) for chain in cs]
        texts = sample(model, prompts, limits=limits, seed=seed * 1_000_003 + i)
        for chain, (text,) in zip((chain for cs in written for chain in cs), texts, strict=True):
            chain.append(text)
    return written
