"""Samples of a policy, in batches of equal question length so that no row is padded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from scalinglab.tasks import Problem, solution
from scalinglab.testbed.policy import BOS_ID, EOS_ID, encode

_BATCH = 1024


def sample(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    drawn: Sequence[Problem],
    *,
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[list[str]]:
    """``samples`` solutions of each problem; temperature 0 is greedy. Cut off at one and a half right lengths."""
    torch.manual_seed(seed)
    texts: list[list[str]] = [[] for _ in drawn]
    groups: dict[int, list[int]] = defaultdict(list)
    for i, problem in enumerate(drawn):
        groups[len(problem.question)] += [i] * samples
    for rows in groups.values():
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            for i, text in zip(
                batch, _generate(model, tokenizer, [drawn[i] for i in batch], temperature), strict=True
            ):
                texts[i].append(text)
    return texts


@torch.inference_mode()
def _generate(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, drawn: Sequence[Problem], temperature: float
) -> list[str]:
    prompts = torch.tensor([[BOS_ID, *encode(problem.question)] for problem in drawn])
    longest = max(len(solution(problem)) for problem in drawn)
    choice = (
        {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature > 0 else {"do_sample": False}
    )
    output = model.generate(  # type: ignore[misc]
        input_ids=prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=longest * 3 // 2,
        pad_token_id=EOS_ID,
        eos_token_id=EOS_ID,
        **choice,
    )
    return [_text(tokenizer, row) for row in output[:, prompts.shape[1] :].tolist()]


def _text(tokenizer: PreTrainedTokenizerFast, row: list[int]) -> str:
    end = row.index(EOS_ID) if EOS_ID in row else len(row)
    return "".join(tokenizer.convert_ids_to_tokens(row[:end]))
