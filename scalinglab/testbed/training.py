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
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.files import save, whole
from scalinglab.specs import from_config
from scalinglab.testbed.muon import Muon
from scalinglab.testbed.vocabulary import tokenizer_of

_CHECKPOINT = "checkpoint.pt"
_EVERY = 200
CONVENTIONS = ("paper", "exact")
Progress = Callable[[str, float, int, str], None]
"""Told the stage, the share of it that is done, its FLOPs so far (convention ``exact``) and a remark."""


@dataclass(frozen=True)
class Batch:
    """Rows of tokens one after the other, with no padding between them; attention stays within a row.

    tokens, positions: shape (1, tokens); positions begin at 0 in each row, which is how transformers tells rows
    apart. targets: the same shape, what the loss makes of them; negative where there is nothing to learn.
    lengths: the tokens of each row.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    lengths: npt.NDArray[np.int64]


def batch_of(rows: Sequence[tuple[Sequence[int], Sequence[float]]]) -> Batch:
    """The batch of rows of (tokens, targets)."""
    return Batch(
        torch.tensor([[token for tokens, _ in rows for token in tokens]]),
        torch.tensor([[i for tokens, _ in rows for i in range(len(tokens))]]),
        torch.tensor([[target for _, targets in rows for target in targets]]),
        np.array([len(tokens) for tokens, _ in rows], dtype=np.int64),
    )


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: training tokens, peak rates of Muon and AdamW, the share of the decay at the end, the
    tokens of the warm-up, so that a shorter training is the beginning of a longer one, and the share of the peak
    that the decay ends at. ``first``: tokens of a first part, with a warm-up and a decay of its own."""

    tokens: int
    rates: tuple[float, float] = (0.02, 3e-3)
    decay: float = 0.0
    warm_up: int = 34_000
    floor: float = 0.02
    first: int = 0


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


class Training:
    """A training run in memory and in its checkpoint."""

    def __init__(
        self,
        model: LlamaForCausalLM,
        folder: Path,
        *,
        recipe: Recipe,
        batch: Callable[[int], Batch],
        loss: Callable[[LlamaForCausalLM, Batch], torch.Tensor],
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

    @property
    def in_first_part(self) -> bool:
        """Whether the next step belongs to the recipe's first part."""
        return self.tokens < self.recipe.first

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
        loss = self.loss(self.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.whole = False
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self._charge(batch.lengths)
        self.steps, self.tokens = self.steps + 1, self.tokens + int(batch.lengths.sum())
        self.losses.append(loss.item())
        self.seconds += time.monotonic() - started
        self.whole = True

    def _charge(self, lengths: npt.NDArray[np.int64]) -> None:
        """Three forward passes of every row, all logits computed."""
        for name in self.flops:
            rule = flops.convention(name)
            self.flops[name] += 3 * int(flops.cost(self.spec, lengths, logits=lengths, convention=rule).sum())


def next_token_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the token ids in ``targets``, each aligned with the token itself."""
    loss: torch.Tensor = model(
        input_ids=batch.tokens, position_ids=batch.positions, labels=batch.targets, use_cache=False
    ).loss
    return loss


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
    """Warm up, hold, then fall linearly to ``floor`` over the last ``decay`` of the tokens, of either part."""
    if tokens < recipe.first:
        return _pace(tokens, replace(recipe, tokens=recipe.first, first=0))
    if recipe.first:
        return _pace(tokens - recipe.first, replace(recipe, tokens=recipe.tokens - recipe.first, first=0))
    left = 1 - tokens / recipe.tokens
    falling = recipe.floor + (1 - recipe.floor) * max(0.0, left) / recipe.decay if recipe.decay else 1.0
    return min(1.0, (tokens + recipe.warm_up / 20) / recipe.warm_up, falling)
