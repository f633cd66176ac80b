"""The process and the outcome verifier: the policy, deepened and tuned to say good or bad after each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.testbed.attempts import Attempts, beginnings
from scalinglab.testbed.policy import load_model
from scalinglab.testbed.proofreading import (
    Lesson,
    add_head,
    deepened,
    drill,
    judged_row,
    lesson,
    lesson_loss,
    without_head,
)
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Data, Progress, Trained, Training, finished
from scalinglab.testbed.vocabulary import BAD_ID, BOS_ID, GOOD_ID, PAD_ID, STEP_ID, encode

IGNORED = -1.0
_SCORED = 2048
Row = tuple[list[int], list[float]]
"""The tokens of a question and an attempt up to its last step, and the target after each step."""


def prm_rows(attempts: Sequence[Attempts]) -> list[Row]:
    """Rows of a process verifier: each step's target is its Monte-Carlo value (PAPER: soft labels)."""
    return [
        (_tokens(a.problem.question, text), values)
        for a in attempts
        for text, values in zip(a.texts, a.values, strict=True)
        if values
    ]


def orm_rows(attempts: Sequence[Attempts]) -> list[Row]:
    """Rows of an outcome verifier: the last step's target is whether the answer is right, the others have none."""
    return [
        (_tokens(a.problem.question, text), [IGNORED] * (len(values) - 1) + [float(right)])
        for a in attempts
        for text, values, right in zip(a.texts, a.values, a.right(), strict=True)
        if values
    ]


def train_verifier(
    rows: Sequence[Row],
    scale: Scale,
    policy: str | Path,
    folder: str | Path,
    *,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Tune a deepened copy of the policy into ``folder``; resumes. ``data``: what the rows are of.

    The first ``scale.drill`` steps are proofreading alone, which goes on beside the rows after that.
    """
    folder = Path(folder)
    if (done := finished(folder)) is not None:
        return done
    if not rows:
        raise DataError("attempts without a single step", "one at least", "train the policy longer")

    def batch(step: int) -> Lesson:
        drilled = drill(scale, step, seed=seed, count=scale.rows, verdicts=step < scale.drill)
        if step < scale.drill:
            return lesson(drilled)
        chosen = picks(len(rows), scale.rows, step - scale.drill, seed)
        return lesson([*(judged_row(*rows[i]) for i in chosen), *drilled[: scale.rows // 2]])

    torch.manual_seed(seed)
    model = deepened(load_model(policy))
    add_head(model)
    training = Training(model, folder, recipe=scale.verifier, batch=batch, loss=lesson_loss)
    training.until(scale.verifier.tokens, stage=folder.name, progress=progress)
    without_head(training.model)
    return training.finish(scale=scale.name, seed=seed, data=data)


@torch.inference_mode()
def score(
    model: LlamaForCausalLM, questions: Sequence[str], texts: Sequence[Sequence[str]]
) -> list[list[list[float]]]:
    """The verifier's probability of good against bad after each step of each text of each question."""
    pairs = [(i, j) for i, ts in enumerate(texts) for j, text in enumerate(ts) if beginnings(text)]
    pairs.sort(key=lambda pair: len(_tokens(questions[pair[0]], texts[pair[0]][pair[1]])))
    scores: list[list[list[float]]] = [[[] for _ in ts] for ts in texts]
    for start in range(0, len(pairs), _SCORED):
        batch = pairs[start : start + _SCORED]
        rows = [_tokens(questions[i], texts[i][j]) for i, j in batch]
        tokens = torch.tensor([row + [PAD_ID] * (len(rows[-1]) - len(row)) for row in rows])
        logits = model(input_ids=tokens, attention_mask=(tokens != PAD_ID).long()).logits
        good = torch.sigmoid(logits[..., GOOD_ID] - logits[..., BAD_ID])
        for (i, j), row, at in zip(batch, good, tokens == STEP_ID, strict=True):
            scores[i][j] = row[at].tolist()
    return scores


def picks(rows: int, batch: int, step: int, seed: int) -> list[int]:
    """The rows of one step: a seeded shuffle an epoch, a function of the step alone."""
    taken = range(step * batch, (step + 1) * batch)
    orders = {e: np.random.default_rng([seed, e]).permutation(rows) for e in {i // rows for i in taken}}
    return [int(orders[i // rows][i % rows]) for i in taken]


def _tokens(question: str, text: str) -> list[int]:
    return [BOS_ID, *encode(question), *encode(beginnings(text)[-1])]
