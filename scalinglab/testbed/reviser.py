"""The reviser: the policy, tuned to answer rightly after wrong answers in its context.

As in the paper (section 3), on chains of 0 to 4 wrong answers and a right one, the last wrong one the nearest to
it in edit distance. One departure: the question is repeated before every answer, so that a policy that has only
ever read single solutions reads each as one of its own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from rapidfuzz.distance import Levenshtein
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.tasks import Problem
from scalinglab.testbed.attempts import Attempt, Attempts, Spent, limit, spent_on
from scalinglab.testbed.policy import load_model
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.training import (
    Data,
    Progress,
    Recipe,
    Row,
    Trained,
    Training,
    finished,
    next_token_loss,
    solved,
)
from scalinglab.testbed.verifiers import picks
from scalinglab.testbed.vocabulary import ANSWER_ID, EOS_ID, encode

CONTEXT = 4
"""Earlier answers in the context at most."""


def train_reviser(
    attempts: Sequence[Attempts],
    recipe: Recipe,
    policy: str | Path,
    folder: str | Path,
    *,
    scale: str,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Tune a copy of the policy into ``folder``; resumes. ``data``: the attempts, as data."""
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

    def batch(step: int) -> list[Row]:
        rng = random.Random(f"revising {seed} {step}")
        return [chain_row(useful[i], rng) for i in picks(len(useful), recipe.rows, step, seed)]

    model = load_model(policy)
    model.config.max_position_embeddings *= 2  # five answers, each half as long again as it should be
    training = Training(model, folder, recipe=recipe, batch=batch, loss=next_token_loss)
    training.until(recipe.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale, seed=seed, data=data)


def chain_row(attempts: Attempts, rng: random.Random) -> Row:
    """A right answer, which is learned, after 0 to 4 wrong ones, the last of them the nearest to it."""
    graded = list(zip(attempts.texts, attempts.right(), strict=True))
    target = rng.choice([text for text, right in graded if right])
    wrong = rng.choices([text for text, right in graded if not right], k=rng.randint(0, CONTEXT))
    wrong.sort(key=lambda text: Levenshtein.distance(text, target), reverse=True)
    return solved(context(attempts.problem.question, wrong), [*encode(target), EOS_ID])


def context(question: str, answers: Sequence[str]) -> list[int]:
    """The last four of the earlier answers, each after the question and closed; then the question once more."""
    tokens: list[int] = []
    for answer in answers[-CONTEXT:]:
        tokens += [*encode(question), *encode(answer), ANSWER_ID]
    return tokens + encode(question)


def revising(model: LlamaForCausalLM, length: int) -> Attempt:
    """One chain of ``length`` answers a problem."""

    def attempt(drawn: Sequence[Problem], seed: int) -> tuple[list[Attempts], Spent]:
        written = [chain for (chain,) in revise(model, drawn, chains=1, length=length, seed=seed)]
        prompts = [
            context(p.question, chain[:i]) for p, chain in zip(drawn, written, strict=True) for i in range(length)
        ]
        spent = spent_on(model, prompts, [[text] for chain in written for text in chain])
        return [Attempts(p, chain, []) for p, chain in zip(drawn, written, strict=True)], spent

    return attempt


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
