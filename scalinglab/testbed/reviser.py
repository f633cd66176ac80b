"""The reviser: the policy, deepened and tuned to answer rightly after earlier answers in its context.

The paper tunes a language model, which can read its context and mostly leaves a right answer alone; a policy that
has only ever seen single solutions can do neither. Tuned on the paper's rows alone it got worse on a chain, from
0.60 to 0.55. Hence four departures: the question is repeated before every answer, so that each is read as the
policy reads its own; two more layers, as a verifier has; a first part of the training in which some rows teach to
copy; and right answers among the earlier ones, because a chain holds them too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.tasks import Problem, marred, problems, slipped, solution
from scalinglab.testbed.attempts import Attempts, limit
from scalinglab.testbed.policy import IGNORED, load_model
from scalinglab.testbed.proofreading import deepened
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Batch, Data, Progress, Trained, Training, batch_of, finished
from scalinglab.testbed.verifiers import picks
from scalinglab.testbed.vocabulary import ANSWER_ID, BOS_ID, EOS_ID, encode

CONTEXT = 4
"""Earlier answers in the context at most."""
COPIES = 0.3
"""The share of rows in the first part that can only be answered by copying."""
PRACTICE = 0.5
"""The share of the other rows whose earlier answers are made."""
ALONE, WANDERING = 0.3, 0.5
"""Of the rows from attempts: the share without an earlier answer, and with right and wrong ones in any order."""
AGAIN = 0.6
"""How often an earlier answer repeats the one before it: that two agree must not tell that they are right."""
Row = tuple[list[int], list[int]]
"""Tokens and targets: at a token that is to be learned itself, else ``IGNORED``."""


def train_reviser(
    attempts: Sequence[Attempts],
    scale: Scale,
    policy: str | Path,
    folder: str | Path,
    *,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Tune a deepened copy of the policy into ``folder``; resumes. ``data``: the attempts, as data."""
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
        rng = random.Random(f"revising {seed} {step}")
        fresh = problems("train", scale.levels, seed=rng.getrandbits(31))
        chosen = picks(len(useful), scale.rows, step, seed)
        return batch_of([_row(useful[i], fresh, rng, reading=training.in_first_part) for i in chosen])

    torch.manual_seed(seed)
    model = deepened(load_model(policy))
    model.config.max_position_embeddings *= 2  # five answers, each half as long again as it should be
    training = Training(model, folder, recipe=scale.reviser, batch=batch, loss=chain_loss)
    training.until(scale.reviser.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale.name, seed=seed, data=data)


def _row(attempts: Attempts, fresh: Iterator[Problem], rng: random.Random, *, reading: bool) -> Row:
    """A row of one kind. While ``reading``, first answers count too, or what the policy knows would be lost."""
    if reading and rng.random() < COPIES:
        return copy_row(next(fresh), rng)
    first = 0 if reading else 1
    if rng.random() < PRACTICE:
        return practice_row(next(fresh), rng, first=first)
    return revision_row(attempts, rng, first=first)


def revision_row(attempts: Attempts, rng: random.Random, *, first: int) -> Row:
    """A right answer alone, or after earlier answers: right and wrong ones in any order, or as in the paper
    (section 3): 1 to 4 wrong ones, the last one the nearest of them in edit distance; then it stays.

    Were the nearest of all attempts always last, it would be wrong in its last digits alone, and the reviser would
    learn to copy all others, right or not.
    """
    right = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if good]
    wrong = [text for text, good in zip(attempts.texts, attempts.right(), strict=True) if not good]
    question, target, kind = attempts.problem.question, rng.choice(right), rng.random()
    if kind < ALONE:
        return chain_row(question, [target], target, first=0)
    if kind < ALONE + WANDERING:
        earlier = _wandering(target, lambda: rng.choice(wrong), rng)
    else:
        earlier = rng.choices(wrong, k=rng.randint(1, CONTEXT))
        earlier.sort(key=lambda text: Levenshtein.distance(text, target), reverse=True)
    answers = [*earlier, *[target] * (CONTEXT + 1 - len(earlier))]
    return chain_row(question, answers, target, first=first)


def practice_row(problem: Problem, rng: random.Random, *, first: int) -> Row:
    """Four solutions, each with a slip or without, then the right one."""
    right = solution(problem)
    earlier = _wandering(right, lambda: slipped(problem, rng), rng)
    return chain_row(problem.question, [*earlier, right], right, first=first)


def copy_row(problem: Problem, rng: random.Random) -> Row:
    """A solution so marred that nobody can work it out, among near copies of it: it is to be written once more."""
    text, _ = marred(problem, 0.4, rng)
    earlier = [text if rng.random() < 0.5 else _changed(text, rng) for _ in range(CONTEXT - 1)]
    earlier.insert(rng.randrange(CONTEXT), text)
    return chain_row(problem.question, [*earlier, text], text, first=earlier.index(text) + 1)


def chain_row(question: str, answers: Sequence[str], right: str, *, first: int) -> Row:
    """A chain of answers in which the right ones are learned, from number ``first`` (counted from 0) on."""
    tokens, targets = [BOS_ID], [IGNORED]
    for i, answer in enumerate(answers):
        asked, text = encode(question), encode(answer)
        learned = answer == right and i >= first
        tokens += [*asked, *text, ANSWER_ID]
        targets += [*[IGNORED] * len(asked), *([*text, EOS_ID] if learned else [IGNORED] * (len(text) + 1))]
    return tokens, targets


def chain_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """The mean cross-entropy of ``targets``, where there are any.

    Rows this long are cheaper filled up than packed, where each attends over all: in two halves of like lengths.
    """
    lengths = batch.lengths.tolist()
    tokens, targets = (torch.split(part[0], lengths) for part in (batch.tokens, batch.targets))
    order, half = np.argsort(lengths), (len(lengths) + 1) // 2
    total = torch.zeros(())
    for rows in filter(len, (order[:half], order[half:])):
        read = pad_sequence([tokens[i] for i in rows], batch_first=True)
        aims = pad_sequence([targets[i] for i in rows], batch_first=True, padding_value=IGNORED)[:, 1:].flatten()
        said = model(input_ids=read, use_cache=False).logits[:, :-1].flatten(0, 1)
        total = total + functional.cross_entropy(said, aims, ignore_index=IGNORED, reduction="sum")
    return total / max(1, int((batch.targets != IGNORED).sum()))


def context(question: str, answers: Sequence[str]) -> list[int]:
    """The last four of the earlier answers, each after the question and closed; then the question once more."""
    tokens: list[int] = []
    for answer in answers[-CONTEXT:]:
        tokens += [*encode(question), *encode(answer), ANSWER_ID]
    return tokens + encode(question)


def _wandering(right: str, wrong: Callable[[], str], rng: random.Random) -> list[str]:
    """Four earlier answers as a chain may hold them, half of them right, many like the one before."""
    answers: list[str] = []
    for _ in range(CONTEXT):
        again = answers and rng.random() < AGAIN
        answers.append(answers[-1] if again else right if rng.random() < 0.5 else wrong())
    return answers


def _changed(text: str, rng: random.Random) -> str:
    """The text with one other digit."""
    at = rng.choice([i for i, c in enumerate(text) if c.isdigit()])
    return f"{text[:at]}{(int(text[at]) + rng.randint(1, 9)) % 10}{text[at + 1 :]}"


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
