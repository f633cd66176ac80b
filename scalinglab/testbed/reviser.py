"""The reviser: the policy, tuned to answer rightly after earlier answers in its context.

The paper tunes a language model, which can read its context and mostly leaves a right answer alone; a policy that
has only ever seen single solutions can do neither. Tuned on wrong answers alone it got worse along a chain (0.60
to 0.55): it read its question from ever further away, and nothing taught it to keep what is right. Hence three
departures: the question is repeated after the earlier answers, some rows are practice on slips, and in half of
the others the last answer shown is right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.tasks import Problem, problems, slipped, solution
from scalinglab.testbed.attempts import Attempts, limit
from scalinglab.testbed.policy import load_model, solved_rows
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Batch, Progress, Trained, Training, finished, next_token_loss
from scalinglab.testbed.verifiers import picks
from scalinglab.testbed.vocabulary import ANSWER_ID, EOS_ID, encode

CONTEXT = 4
"""Earlier answers in the context at most."""
PRACTICE = 0.35
"""The share of rows whose earlier answers are made: solutions, half of them with a slip."""
KEPT = 0.5
"""The share of the other rows whose last earlier answer, where there is one, is right."""


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
        fresh = problems("train", scale.levels, seed=int(rng.integers(2**31)))
        chosen = picks(len(useful), scale.rows, step, seed)
        return solved_rows(
            [
                practice_row(next(fresh), rng) if rng.random() < PRACTICE else revision_row(useful[i], rng)
                for i in chosen
            ]
        )

    model = load_model(policy).train()
    training = Training(model, folder, recipe=scale.reviser, batch=batch, loss=next_token_loss)
    training.until(scale.reviser.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale.name, seed=seed, data_flops=data_flops)


def revision_row(attempts: Attempts, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """0 to 4 wrong answers, the last one the nearest of them in edit distance, then a right one (PAPER section 3).

    In a share ``KEPT`` of the rows the last one is the right one itself. Were the nearest of all attempts always
    last, it would be wrong in its last digits alone, and the reviser would learn to copy all others, right or not.
    """
    right = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if good]
    wrong = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if not good]
    target = right[rng.integers(len(right))]
    shown = [wrong[i] for i in rng.integers(len(wrong), size=rng.integers(CONTEXT + 1))]
    shown.sort(key=lambda text: Levenshtein.distance(text, target), reverse=True)
    if shown and rng.random() < KEPT:
        shown[-1] = target
    return context(attempts.problem.question, shown), [*encode(target), EOS_ID]


def practice_row(problem: Problem, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """2 to 4 solutions, each with a slip or without, then the right one: what they share can be read off them."""
    slips = random.Random(int(rng.integers(2**31)))
    shown = [
        solution(problem) if slips.random() < 0.5 else slipped(problem, slips)
        for _ in range(slips.randint(2, CONTEXT))
    ]
    return context(problem.question, shown), [*encode(solution(problem)), EOS_ID]


def context(question: str, answers: Sequence[str]) -> list[int]:
    """The question; then, where there are earlier answers, the last four, each closed, and the question again."""
    tokens = encode(question)
    for answer in answers[-CONTEXT:]:
        tokens += [*encode(answer), ANSWER_ID]
    return tokens + encode(question) if answers else tokens


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
