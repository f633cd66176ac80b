"""Proofreading, which a verifier learns first: to see that a digit is not the one that belongs where it stands.

Whether a step is good is one bit, and tells a model of this size nothing until it compares the digit that it reads
with the digit that it would write. Tuned on attempts alone, verifiers judged hardly better than chance within a
problem. Hence two layers on top of the policy, which change nothing at first, and a drill: solutions of the
training split, half of them marred, where every digit says what belongs there and whether it stands there. Like
replaced-token detection (Clark et al. 2020, "ELECTRA"), it takes no more than the policy's own training text.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM

from scalinglab.tasks import Problem, marred, problems, solution
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Batch, batch_of
from scalinglab.testbed.vocabulary import BAD_ID, BOS_ID, EOS_ID, GOOD_ID, STEP_ID, VOCABULARY, encode

LAYERS = 2
"""Layers on top of the policy: of a verifier, one to see wrong digits, one to say so at the end of a step."""
RATES = (0.0, 0.05, 0.15, 0.4)
"""How often a digit of a marred solution is wrong; without any, a step is as likely good as bad."""
_NOTHING = -100


@dataclass(frozen=True)
class Row:
    """A row's tokens, and what is to be said after each of them; negative where nothing is.

    verdicts: the probability that all is good so far. following: the next token. belongs: the token that should
    stand where this one stands.
    """

    tokens: list[int]
    verdicts: list[float]
    following: list[int]
    belongs: list[int]


@dataclass(frozen=True)
class Lesson(Batch):
    """A batch whose ``targets`` are verdicts; ``following`` and ``belongs``: shape (tokens,)."""

    following: torch.Tensor
    belongs: torch.Tensor


def deepened(policy: LlamaForCausalLM) -> LlamaForCausalLM:
    """A copy of the policy with ``LAYERS`` more layers, which pass on what they read."""
    config = copy.deepcopy(policy.config)
    config.num_hidden_layers += LAYERS
    model = LlamaForCausalLM(config)
    model.load_state_dict(policy.state_dict(), strict=False)
    for layer in model.model.layers[-LAYERS:]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    model.train()
    return model


def add_head(model: LlamaForCausalLM) -> None:
    """A head for proofreading, which reads what the first of the new layers writes; training ends without it."""
    model.proofs = torch.nn.Linear(model.config.hidden_size, len(VOCABULARY), bias=False)


def without_head(model: LlamaForCausalLM) -> None:
    """Drop the head that only training needs."""
    del model.proofs


def drill(scale: Scale, step: int, *, seed: int, count: int, verdicts: bool) -> list[Row]:
    """``count`` rows of the training split, every other one marred; a function of the scale, seed and step alone.

    verdicts: whether the ends of steps in marred solutions say if all is right so far.
    """
    rng = random.Random(f"proofreading {seed} {step}")
    drawn = islice(problems("train", scale.levels, seed=rng.getrandbits(48)), count)
    return [clean_row(p) if i % 2 else marred_row(p, rng, verdicts=verdicts) for i, p in enumerate(drawn)]


def clean_row(problem: Problem) -> Row:
    """A right solution as a policy reads it; only what follows the end of a step is left to the verdicts."""
    question, text = [BOS_ID, *encode(problem.question)], encode(solution(problem))
    tokens = [*question, *text, EOS_ID]
    following = [*[_NOTHING] * (len(question) - 1), *text, EOS_ID, _NOTHING]
    said = [_NOTHING if token == STEP_ID else next_ for token, next_ in zip(tokens, following, strict=True)]
    return Row(tokens, [-1.0] * len(tokens), said, [_NOTHING] * len(tokens))


def marred_row(problem: Problem, rng: random.Random, *, verdicts: bool) -> Row:
    """A marred solution: what belongs at each digit and, with ``verdicts``, whether all is right after a step."""
    written, right = marred(problem, rng.choice(RATES), rng)
    question = [BOS_ID, *encode(problem.question)]
    tokens, none = [*question, *encode(written)], [_NOTHING] * len(question)
    belongs = [there if c.isdigit() else _NOTHING for c, there in zip(right, encode(right), strict=True)]
    good = [
        float(written[: i + 1] == right[: i + 1]) if verdicts and c == ";" else -1.0 for i, c in enumerate(written)
    ]
    return Row(tokens, [*[-1.0] * len(question), *good], [_NOTHING] * len(tokens), none + belongs)


def judged_row(tokens: Sequence[int], values: Sequence[float]) -> Row:
    """An attempt at a problem with the value of each step, at the token that ends it."""
    each, none = iter(values), [_NOTHING] * len(tokens)
    return Row(list(tokens), [next(each) if token == STEP_ID else -1.0 for token in tokens], none, none)


def lesson(rows: Sequence[Row]) -> Lesson:
    """The batch of these rows."""
    batch = batch_of([(row.tokens, row.verdicts) for row in rows])
    following, belongs = (
        torch.tensor([token for row in rows for token in getattr(row, name)]) for name in ("following", "belongs")
    )
    return Lesson(batch.tokens, batch.positions, batch.targets, batch.lengths, following, belongs)


def lesson_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """The sum of four cross-entropies, each a mean over the tokens it is known at.

    Of the verdicts, over the whole vocabulary, so that all mass goes to good and bad; of the next token; and, from
    the layer in between, of the token that belongs and of whether it is the one that stands there.
    """
    assert isinstance(batch, Lesson)
    read = model.model(
        input_ids=batch.tokens, position_ids=batch.positions, use_cache=False, output_hidden_states=True
    )
    said = model.lm_head(read.last_hidden_state)[0]
    between = read.hidden_states[-LAYERS][0]
    proofs = cast(torch.nn.Linear, model.proofs)(functional.rms_norm(between, between.shape[-1:]))
    return (
        _verdicts(said, batch.targets[0])
        + _tokens(said, batch.following)
        + _tokens(proofs, batch.belongs)
        + _flags(proofs, batch.tokens[0], batch.belongs)
    )


def _verdicts(said: torch.Tensor, verdicts: torch.Tensor) -> torch.Tensor:
    known = verdicts >= 0
    target, log = verdicts[known], said[known].log_softmax(-1)
    return _mean(-(target * log[:, GOOD_ID] + (1 - target) * log[:, BAD_ID]))


def _tokens(said: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    known = tokens >= 0
    return _mean(functional.cross_entropy(said[known], tokens[known], reduction="none"))


def _flags(said: torch.Tensor, tokens: torch.Tensor, belongs: torch.Tensor) -> torch.Tensor:
    known = belongs >= 0
    right = (tokens == belongs)[known].float()
    good = (said[:, GOOD_ID] - said[:, BAD_ID])[known]
    return _mean(functional.binary_cross_entropy_with_logits(good, right, reduction="none"))


def _mean(losses: torch.Tensor) -> torch.Tensor:
    """The mean, 0 of nothing."""
    return losses.sum() / max(1, len(losses))
