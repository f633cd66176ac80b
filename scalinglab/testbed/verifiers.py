"""The process and the outcome verifier: the policy itself, tuned to say good or bad after each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import LlamaForCausalLM

from scalinglab.errors import DataError
from scalinglab.testbed.attempts import Attempts, beginnings
from scalinglab.testbed.policy import load_model
from scalinglab.testbed.training import NOTHING, Data, Progress, Recipe, Row, Trained, Training, finished
from scalinglab.testbed.vocabulary import BAD_ID, BOS_ID, GOOD_ID, PAD_ID, STEP_IDS, encode

_SCORED = 2048


def prm_rows(attempts: Sequence[Attempts]) -> list[Row]:
    """Rows of a process verifier: each step's target is its Monte-Carlo value (PAPER section 3: soft labels)."""
    return [
        _judged(a.problem.question, text, values)
        for a in attempts
        for text, values in zip(a.texts, a.values, strict=True)
        if values
    ]


def orm_rows(attempts: Sequence[Attempts]) -> list[Row]:
    """Rows of an outcome verifier: the last step's target is whether the answer is right, the others have none."""
    return [
        _judged(a.problem.question, text, [NOTHING] * (len(steps) - 1) + [float(right)])
        for a in attempts
        for text, right in zip(a.texts, a.right(), strict=True)
        if (steps := beginnings(text))
    ]


def train_verifier(
    rows: Sequence[Row],
    recipe: Recipe,
    policy: str | Path,
    folder: str | Path,
    *,
    scale: str,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Tune a copy of the policy into ``folder``; resumes. ``data``: what the rows are of."""
    folder = Path(folder)
    if (done := finished(folder)) is not None:
        return done
    if not rows:
        raise DataError("attempts without a single step", "one at least", "train the policy longer")

    def batch(step: int) -> list[Row]:
        return [rows[i] for i in picks(len(rows), recipe.rows, step, seed)]

    training = Training(load_model(policy), folder, recipe=recipe, batch=batch, loss=verdict_loss)
    training.until(recipe.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale, seed=seed, data=data)


def verdict_loss(model: LlamaForCausalLM, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The binary cross-entropy of good against bad with the probabilities in ``targets``, summed."""
    logits = model(input_ids=tokens, use_cache=False).logits
    asked = targets >= 0
    said = (logits[..., GOOD_ID] - logits[..., BAD_ID])[asked]
    return functional.binary_cross_entropy_with_logits(said, targets[asked].float(), reduction="sum")


@torch.inference_mode()
def score(
    model: LlamaForCausalLM, questions: Sequence[str], texts: Sequence[Sequence[str]]
) -> list[list[list[float]]]:
    """The verifier's probability of good against bad after each step of each text of each question."""
    pairs = [(i, j) for i, ts in enumerate(texts) for j, text in enumerate(ts) if beginnings(text)]
    pairs.sort(key=lambda pair: len(_tokens(questions[pair[0]], texts[pair[0]][pair[1]])))
    scores: list[list[list[float]]] = [[[] for _ in ts] for ts in texts]
    marks = torch.tensor(STEP_IDS)
    for start in range(0, len(pairs), _SCORED):
        batch = pairs[start : start + _SCORED]
        rows = [_tokens(questions[i], texts[i][j]) for i, j in batch]
        tokens = torch.tensor([row + [PAD_ID] * (len(rows[-1]) - len(row)) for row in rows])
        logits = model(input_ids=tokens, attention_mask=(tokens != PAD_ID).long()).logits
        good = torch.sigmoid(logits[..., GOOD_ID] - logits[..., BAD_ID])
        for (i, j), row, at in zip(batch, good, torch.isin(tokens, marks), strict=True):
            scores[i][j] = row[at].tolist()
    return scores


def picks(rows: int, batch: int, step: int, seed: int) -> list[int]:
    """The rows of one step: a seeded shuffle an epoch, a function of the step alone."""
    taken = range(step * batch, (step + 1) * batch)
    orders = {e: np.random.default_rng([seed, e]).permutation(rows) for e in {i // rows for i in taken}}
    return [int(orders[i // rows][i % rows]) for i in taken]


def _judged(question: str, text: str, values: Sequence[float]) -> Row:
    """A row whose targets stand at the marks that end its steps."""
    tokens, left = _tokens(question, text), iter(values)
    return tokens, [next(left) if token in STEP_IDS else NOTHING for token in tokens]


def _tokens(question: str, text: str) -> list[int]:
    return [BOS_ID, *encode(question), *encode(beginnings(text)[-1])]
