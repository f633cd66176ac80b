"""Trains a model on batches; stops at any moment, resumes, and writes what it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.files import save, whole
from scalinglab.specs import from_config
from scalinglab.testbed.muon import Muon
from scalinglab.testbed.vocabulary import BOS_ID, PAD_ID, tokenizer_of

NOTHING = -100
_CHECKPOINT = "checkpoint.pt"
_EVERY = 200
_CLIPPED = 1.0
"""The largest norm of a gradient: without a bound, the same recipe learned early or late by its seed."""
CONVENTIONS = ("paper", "exact")
Progress = Callable[[str, float, int, str], None]
"""Told the stage, the share of it that is done, its FLOPs so far (convention ``exact``) and a remark."""


Row = tuple[Sequence[int], Sequence[float]]
"""The tokens of a row, and the target at each of them: what the loss makes of it, negative where there is none."""
Loss = Callable[[LlamaForCausalLM, torch.Tensor, torch.Tensor], torch.Tensor]
"""The sum of the losses of tokens (rows, length) with targets of the same shape."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: training tokens, peak rates of Muon and AdamW, the share of the decay at the end, the
    tokens of the warm-up, so that a shorter training is the beginning of a longer one, the share of the peak that
    the decay ends at, and the rows a step of the optimiser."""

    tokens: int
    rates: tuple[float, float] = (0.02, 3e-3)
    decay: float = 0.0
    warm_up: int = 300_000
    floor: float = 0.02
    rows: int = 128

    def at(self, pace: float, decay: float | None = None) -> Recipe:
        """The same at ``pace`` times the rates, which fall over the last ``decay`` where it is given."""
        muon, adam = self.rates
        return replace(self, rates=(pace * muon, pace * adam), decay=self.decay if decay is None else decay)


@dataclass(frozen=True)
class Data:
    """What a model was trained on: a key that all trainings on the same data share, and FLOPs of making it by
    convention."""

    key: str
    flops: dict[str, int]


@dataclass(frozen=True)
class Trained:
    """What a training run was and cost: ``manifest.json`` beside the weights.

    ``flops``: charged FLOPs by convention, ``data_flops``: those of making its data (samples, rollouts).
    ``data``: the key of these, by which they are charged once for all that share them; None for fresh problems.
    ``loss``: the mean loss of every 20 optimiser steps.
    """

    scale: str
    parameters: int
    non_embedding: int
    tokens: int
    steps: int
    seed: int
    seconds: float
    flops: dict[str, int]
    data_flops: dict[str, int] = field(default_factory=dict)
    loss: list[float] = field(default_factory=list)
    data: str | None = None


def finished(folder: Path) -> Trained | None:
    """The manifest of a training that ended in this folder, if one did."""
    path = folder / "manifest.json"
    return Trained(**json.loads(path.read_text())) if path.is_file() else None


def trained_in(folder: Path) -> Trained:
    """The manifest of a training that ended in this folder. Raises DataError where none did."""
    if (done := finished(folder)) is None:
        raise DataError(f"no model in {folder}", "a folder of `scalinglab testbed train`", "train it first")
    return done


class Training:
    """A training run in memory and in its checkpoint."""

    def __init__(
        self,
        model: LlamaForCausalLM,
        folder: Path,
        *,
        recipe: Recipe,
        batch: Callable[[int], Sequence[Row]],
        loss: Loss,
    ) -> None:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.model, self.folder, self.recipe, self.batch, self.loss = model, folder, recipe, batch, loss
        self.tokens, self.steps, self.seconds = 0, 0, 0.0
        self.losses: list[float] = []
        self.flops = dict.fromkeys(CONVENTIONS, 0)
        self.spec = from_config(model.config.to_dict(), name=folder.name)
        hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
        rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
        self.optimisers = [
            Muon(hidden, lr=recipe.rates[0]),
            torch.optim.AdamW(rest, lr=recipe.rates[1], weight_decay=0.0),
        ]
        self.whole = True
        self._resume()

    def until(self, tokens: int, *, stage: str, progress: Progress | None = None) -> None:
        """Train up to this many tokens in all; Ctrl-C saves what is done."""
        try:
            while self.tokens < tokens:
                self._step()
                if progress is not None:
                    share = min(1.0, self.tokens / self.recipe.tokens)
                    progress(stage, share, self.flops["exact"], f"loss {self.losses[-1]:.3f}")
                if self.steps % _EVERY == 0:
                    self.save()
        except KeyboardInterrupt:
            if self.whole:  # else weights have moved and counts have not: the checkpoint before stays
                self.save()
            raise

    def save(self) -> None:
        """Write the checkpoint whole: a stop at any moment leaves the one before."""
        kept = {name: getattr(self, name) for name in ("tokens", "steps", "seconds", "losses", "flops")}
        state = {
            "run": kept,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        with explained(self.folder), whole(self.folder / _CHECKPOINT) as partial:
            torch.save(state, partial)

    def finish(self, *, scale: str, seed: int, data: Data | None = None) -> Trained:
        """Write the weights, then the manifest, which marks the run as done; drop the checkpoint."""
        done = Trained(
            scale=scale,
            parameters=self.spec.total,
            non_embedding=self.spec.non_embedding,
            tokens=self.tokens,
            steps=self.steps,
            seed=seed,
            seconds=round(self.seconds, 1),
            flops=self.flops,
            data_flops=data.flops if data else {},
            data=data.key if data else None,
            loss=[round(float(np.mean(self.losses[i : i + 20])), 5) for i in range(0, self.steps, 20)],
        )
        with explained(self.folder):
            self.model.bfloat16()  # as engines read them, at half the size
            self.model.save_pretrained(self.folder)
            tokenizer_of().save_pretrained(self.folder)
            save(self.folder / "manifest.json", json.dumps(asdict(done), indent=1) + "\n")
            (self.folder / _CHECKPOINT).unlink(missing_ok=True)
        return done

    def _resume(self) -> None:
        path = self.folder / _CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        for name, value in state["run"].items():
            setattr(self, name, value)

    def _step(self) -> None:
        started = time.monotonic()
        batch = self.batch(self.steps)
        pace = _pace(self.tokens, self.recipe)
        for optimiser, peak in zip(self.optimisers, self.recipe.rates, strict=True):
            optimiser.param_groups[0]["lr"] = peak * pace
        loss = mean_loss(self.loss, self.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIPPED)
        self.whole = False
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        lengths = np.array([len(tokens) for tokens, _ in batch], dtype=np.int64)
        self._charge(lengths)
        self.steps, self.tokens = self.steps + 1, self.tokens + int(lengths.sum())
        self.losses.append(loss.item())
        self.seconds += time.monotonic() - started
        self.whole = True

    def _charge(self, lengths: npt.NDArray[np.int64]) -> None:
        """Three forward passes of every row, all logits computed."""
        for name in self.flops:
            rule = flops.convention(name)
            self.flops[name] += 3 * int(flops.cost(self.spec, lengths, logits=lengths, convention=rule).sum())


def mean_loss(loss: Loss, model: LlamaForCausalLM, batch: Sequence[Row]) -> torch.Tensor:
    """The mean over the batch's targets, its rows filled up on the right in two halves of like lengths."""
    rows = sorted(batch, key=lambda row: len(row[0]))
    half = len(rows) // 2
    total = torch.zeros(())
    for part in filter(None, (rows[:half], rows[half:])):
        tokens = pad_sequence([torch.tensor(tokens) for tokens, _ in part], batch_first=True, padding_value=PAD_ID)
        targets = [torch.tensor(targets) for _, targets in part]
        total = total + loss(model, tokens, pad_sequence(targets, batch_first=True, padding_value=NOTHING))
    return total / max(1, sum(target >= 0 for _, targets in batch for target in targets))


def next_token_loss(model: LlamaForCausalLM, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the token ids in ``targets``, each aligned with the token itself, summed."""
    said = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
    return functional.cross_entropy(said, targets[:, 1:].flatten(), ignore_index=NOTHING, reduction="sum")


def solved(question: Sequence[int], answer: Sequence[int]) -> Row:
    """A row of a context and its continuation, the loss on the continuation only."""
    return [BOS_ID, *question, *answer], [*[NOTHING] * (1 + len(question)), *answer]


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a failed write into a DataError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise DataError(
            f"cannot write {folder} ({error})", "a writable folder with room", "choose another"
        ) from error


def _pace(tokens: int, recipe: Recipe) -> float:
    """Warm up, hold, then fall linearly to ``floor`` over the last ``decay`` of the tokens."""
    left = 1 - tokens / recipe.tokens
    falling = recipe.floor + (1 - recipe.floor) * max(0.0, left) / recipe.decay if recipe.decay else 1.0
    return min(1.0, (tokens + recipe.warm_up / 20) / recipe.warm_up, falling)
