"""Trains the policies from scratch on solved problems."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from scalinglab.errors import DataError
from scalinglab.tasks import Problem, problems, solution
from scalinglab.testbed.scales import HEAD_DIM, Scale, Shape
from scalinglab.testbed.training import Progress, Row, Trained, Training, finished, next_token_loss, solved
from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, PAD_ID, VOCABULARY, encode


def train_policy(
    scale: Scale, shape: Shape, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> Trained:
    """Train a policy into ``folder`` in Hugging Face format, or go on from where an earlier call was stopped.

    The loss is on the solution only; each row starts with a BOS token. Rows depend on the scale and seed alone,
    so that two shapes see the same data in the same order. Raises DataError where the folder cannot be written.
    """
    folder = Path(folder)
    if (done := finished(folder)) is not None:
        return done
    training = policy_training(scale, shape, folder, seed=seed)
    training.until(scale.policy.tokens, stage=folder.name, progress=progress)
    return training.finish(scale=scale.name, seed=seed)


def policy_training(scale: Scale, shape: Shape, folder: Path, *, seed: int) -> Training:
    """A policy's training, at its beginning or at its checkpoint."""
    torch.manual_seed(seed)

    recipe = scale.policy.at(shape.pace, shape.decay)

    def batch(step: int) -> list[Row]:
        drawn = islice(problems("train", scale.practised, seed=seed * 1_000_003 + step), recipe.rows)
        return solved_rows(drawn)

    return Training(untrained(shape), folder, recipe=recipe, batch=batch, loss=next_token_loss)


def train_pair(
    scale: Scale, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """Train the small and the large policy of a scale into ``folder``/small and /large (see ``train_policy``)."""
    pair = {"small": scale.small, "large": scale.large}
    return {
        name: train_policy(scale, shape, Path(folder) / name, seed=seed, progress=progress)
        for name, shape in pair.items()
    }


def load_model(folder: str | Path) -> LlamaForCausalLM:
    """A trained model, ready to be sampled. Raises DataError where the folder holds none."""
    if not (Path(folder) / "config.json").is_file():
        raise DataError(f"no model in {folder}", "a folder of `scalinglab testbed train`", "train it first")
    model: LlamaForCausalLM = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train(False)
    return model


def quiet() -> None:
    """Turn off the progress bars of transformers, which mean nothing beside a training's own."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def solved_rows(drawn: Iterable[Problem]) -> list[Row]:
    """Problems with their solutions, as a policy reads them."""
    return [solved(encode(p.question), [*encode(solution(p)), EOS_ID]) for p in drawn]


def untrained(shape: Shape) -> LlamaForCausalLM:
    """A policy of this shape before its training."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            head_dim=HEAD_DIM,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=PAD_ID,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
        )
    )
