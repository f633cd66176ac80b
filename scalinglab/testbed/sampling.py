"""Samples of a model in large batches of like lengths, filled up on the left."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature

import torch
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedModel

from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, PAD_ID, STOP_ID, decode

_BATCH = 1024


def sample(
    model: LlamaForCausalLM,
    prompts: Sequence[Sequence[int]],
    *,
    limits: Sequence[int],
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[list[str]]:
    """``samples`` texts after each prompt of tokens (without BOS); temperature 0 is greedy.

    A text ends with its full stop, before an EOS, or after ``limits`` tokens of its prompt.
    """
    torch.manual_seed(seed)
    texts: list[list[str]] = [[] for _ in prompts]
    rows = [i for i in sorted(range(len(prompts)), key=lambda i: len(prompts[i])) for _ in range(samples)]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        longest = max(limits[i] for i in batch)
        written = _generate(model, [prompts[i] for i in batch], longest, temperature)
        for i, row in zip(batch, written, strict=True):
            texts[i].append(_text(row, limits[i]))
    return texts


@torch.inference_mode()
def _generate(
    model: LlamaForCausalLM, prompts: Sequence[Sequence[int]], longest: int, temperature: float
) -> list[list[int]]:
    """Rows that have ended leave the batch and its cache at once: most are shorter than the longest."""
    width = 1 + max(map(len, prompts))
    tokens = torch.tensor([[PAD_ID] * (width - 1 - len(prompt)) + [BOS_ID, *prompt] for prompt in prompts])
    mask = (tokens != PAD_ID).long()
    written = torch.full((len(prompts), longest), EOS_ID)
    rows, cache = torch.arange(len(prompts)), DynamicCache()
    kept = {cache_argument(model): cache}
    for i in range(longest):
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        logits = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            logits_to_keep=1,
            **kept,
        ).logits[:, -1]
        chosen = _choose(logits, temperature)
        written[rows, i] = chosen
        going = ((chosen != EOS_ID) & (chosen != STOP_ID)).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) < len(rows):
            cache.batch_select_indices(going)
            rows, mask, chosen = rows[going], mask[going], chosen[going]
        tokens, mask = chosen[:, None], torch.nn.functional.pad(mask, (0, 1), value=1)
    ended: list[list[int]] = written.tolist()
    return ended


def cache_argument(model: PreTrainedModel) -> str:
    """What ``forward`` and its output call the cache; from transformers 5.24 on the older name warns."""
    return "cache" if "cache" in signature(model.forward).parameters else "past_key_values"


def _choose(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(torch.softmax(logits / temperature, -1), 1)[:, 0]


def _text(row: list[int], limit: int) -> str:
    end = row.index(EOS_ID) if EOS_ID in row else len(row)
    return decode(row[: min(end, limit)])
