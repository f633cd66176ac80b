"""Samples of a model in large batches of like lengths, filled up on the left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlamaForCausalLM

from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, PAD_ID, decode

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

    A text ends before its EOS, or after ``limits`` tokens of its prompt.
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
    width = 1 + max(map(len, prompts))
    rows = torch.full((len(prompts), width), PAD_ID)
    for row, prompt in zip(rows, prompts, strict=True):
        row[width - 1 - len(prompt) :] = torch.tensor([BOS_ID, *prompt])
    choice = (
        {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature > 0 else {"do_sample": False}
    )
    output: torch.Tensor = model.generate(  # type: ignore[misc,assignment]
        input_ids=rows,
        attention_mask=(rows != PAD_ID).long(),
        max_new_tokens=longest,
        pad_token_id=EOS_ID,
        eos_token_id=EOS_ID,
        **choice,
    )
    return [row[width:] for row in output.tolist()]


def _text(row: list[int], limit: int) -> str:
    end = row.index(EOS_ID) if EOS_ID in row else len(row)
    return decode(row[: min(end, limit)])
