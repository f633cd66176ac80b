"""Trains one policy from scratch on solved problems; stops at any moment, resumes, and writes what it cost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.specs import from_config
from scalinglab.tasks import problems, solution
from scalinglab.testbed.muon import Muon
from scalinglab.testbed.scales import Scale, Shape

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
_VOCABULARY = [PAD, BOS, EOS, *"0123456789+-*=;?", "<good>", "<bad>", "<answer>", "<unused>"]
_IDS = {token: i for i, token in enumerate(_VOCABULARY)}
BOS_ID, EOS_ID = _IDS[BOS], _IDS[EOS]
_IGNORED = -100
_CHECKPOINT = "checkpoint.pt"
_EVERY = 200
Progress = Callable[[int, int, float], None]
"""Told the tokens so far, the FLOPs so far (convention ``exact``) and the loss, after every step."""


@dataclass(frozen=True)
class Trained:
    """What a training run was and cost: ``manifest.json`` beside the weights.

    ``flops``: charged FLOPs by convention. ``loss``: the mean loss of every 20 optimiser steps.
    """

    scale: str
    shape: dict[str, int]
    parameters: int
    non_embedding: int
    tokens: int
    steps: int
    seed: int
    seconds: float
    flops: dict[str, int]
    loss: list[float]


def train_policy(
    scale: Scale,
    shape: Shape,
    folder: str | Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy into ``folder`` in Hugging Face format, or go on from where an earlier call was stopped.

    The loss is on the solution only; each row starts with a BOS token. Rows depend on the scale and seed alone,
    so that two shapes see the same data in the same order. Raises DataError where the folder cannot be written.
    """
    folder = Path(folder)
    if (folder / "manifest.json").is_file():
        return Trained(**json.loads((folder / "manifest.json").read_text()))
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model, tokenizer = _model(shape), tokenizer_of()
    state = _Run(model, folder, scale, seed)
    state.resume()
    try:
        while state.tokens < scale.tokens:
            state.step()
            if progress is not None:
                progress(state.tokens, state.flops["exact"], state.losses[-1])
            if state.steps % _EVERY == 0:
                state.save()
    except KeyboardInterrupt:
        state.save()
        raise
    return state.finish(tokenizer, shape)


def train_pair(
    scale: Scale, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """Train the small and the large policy of a scale into ``folder``/small and /large (see ``train_policy``)."""
    pair = {"small": scale.small, "large": scale.large}
    return {
        name: train_policy(scale, shape, Path(folder) / name, seed=seed, progress=progress)
        for name, shape in pair.items()
    }


def load_policy(folder: str | Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A trained policy and its tokenizer. Raises DataError where the folder holds none."""
    if not (Path(folder) / "config.json").is_file():
        raise DataError(f"no policy in {folder}", "a folder that train_policy wrote", "train it first")
    model = LlamaForCausalLM.from_pretrained(folder)
    model.train(False)
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


def quiet() -> None:
    """Turn off the progress bars of transformers, which mean nothing beside a training's own."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def tokenizer_of() -> PreTrainedTokenizerFast:
    """One token a character; special tokens for the row's ends and for the verifiers to come."""
    inner = Tokenizer(models.WordLevel({token: i for i, token in enumerate(_VOCABULARY)}, unk_token="<unused>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner, pad_token=PAD, bos_token=BOS, eos_token=EOS
    )


class _Run:
    """A training run in memory and in its checkpoint."""

    def __init__(self, model: LlamaForCausalLM, folder: Path, scale: Scale, seed: int) -> None:
        self.model, self.folder, self.scale, self.seed = model, folder, scale, seed
        self.tokens, self.steps, self.seconds = 0, 0, 0.0
        self.losses: list[float] = []
        self.flops = {"paper": 0, "exact": 0}
        self.spec = from_config(model.config.to_dict(), name=scale.name)
        hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
        rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
        self.optimisers = [
            Muon(hidden, lr=0.02),
            torch.optim.AdamW(rest, lr=3e-3, weight_decay=0.0),
        ]
        self.peaks = [optimiser.param_groups[0]["lr"] for optimiser in self.optimisers]

    def step(self) -> None:
        started = time.monotonic()
        tokens, labels, lengths = _rows(self.scale, self.steps, self.seed)
        share = self.tokens / self.scale.tokens
        for optimiser, peak in zip(self.optimisers, self.peaks, strict=True):
            optimiser.param_groups[0]["lr"] = peak * _schedule(share)
        loss = self.model(input_ids=tokens, attention_mask=(tokens > 0).long(), labels=labels).loss
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self._charge(lengths)
        self.steps, self.tokens = self.steps + 1, self.tokens + int(lengths.sum())
        self.losses.append(loss.item())
        self.seconds += time.monotonic() - started

    def save(self) -> None:
        """Write the checkpoint whole: a stop at any moment leaves the one before."""
        kept = {name: getattr(self, name) for name in ("tokens", "steps", "seconds", "losses", "flops")}
        state = {
            "run": kept,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        with _explained(self.folder):
            torch.save(state, self.folder / f"{_CHECKPOINT}.partial")
            os.replace(self.folder / f"{_CHECKPOINT}.partial", self.folder / _CHECKPOINT)

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        path = self.folder / _CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        for name, value in state["run"].items():
            setattr(self, name, value)

    def finish(self, tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Trained:
        """Write the weights, then the manifest, which marks the run as done; drop the checkpoint."""
        means = [float(np.mean(self.losses[i : i + 20])) for i in range(0, len(self.losses), 20)]
        done = Trained(
            scale=self.scale.name,
            shape=asdict(shape),
            parameters=self.spec.total,
            non_embedding=self.spec.non_embedding,
            tokens=self.tokens,
            steps=self.steps,
            seed=self.seed,
            seconds=self.seconds,
            flops=self.flops,
            loss=means,
        )
        partial = self.folder / "manifest.json.partial"
        with _explained(self.folder):
            self.model.save_pretrained(self.folder)
            tokenizer.save_pretrained(self.folder)
            partial.write_text(json.dumps(asdict(done), indent=1) + "\n")
            os.replace(partial, self.folder / "manifest.json")
            (self.folder / _CHECKPOINT).unlink(missing_ok=True)
        return done

    def _charge(self, lengths: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Three forward passes of every row, padding left out, all logits computed."""
        for name in self.flops:
            rule = flops.convention(name)
            self.flops[name] += 3 * int(flops.cost(self.spec, lengths, logits=lengths, convention=rule).sum())


def encode(text: str) -> list[int]:
    """What the tokenizer makes of a text, without its detour: one token a character."""
    return [_IDS[character] for character in text]


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise DataError(
            f"cannot write {folder} ({error})", "a writable folder with room", "choose another"
        ) from error


def _rows(
    scale: Scale, step: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray[Any, np.dtype[np.int64]]]:
    """The padded rows of one step and their labels: a function of the scale, the seed and the step alone."""
    drawn = islice(problems("train", scale.levels, seed=seed * 1_000_003 + step), scale.rows)
    pairs = [(encode(p.question), [*encode(solution(p)), EOS_ID]) for p in drawn]
    lengths = np.array([1 + len(question) + len(answer) for question, answer in pairs], dtype=np.int64)
    tokens = torch.zeros(len(pairs), int(lengths.max()), dtype=torch.long)
    labels = torch.full_like(tokens, _IGNORED)
    for i, (question, answer) in enumerate(pairs):
        tokens[i, : lengths[i]] = torch.tensor([BOS_ID, *question, *answer])
        labels[i, 1 + len(question) : lengths[i]] = torch.tensor(answer)
    return tokens, labels, lengths


def _model(shape: Shape) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(_VOCABULARY),
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
        )
    )


def _schedule(share: float) -> float:
    """Warm up for 2 % of the tokens, hold, then fall linearly over the last 40 %."""
    return min(1.0, (share + 1e-3) / 0.02) * min(1.0, max(0.02, (1 - share) / 0.4))
