"""The engine this process runs itself: vLLM's AsyncLLM, on GPU and CPU by the same code.

vLLM is imported only when an engine is opened, so that settings can be read and written without it. It starts its
own process by running the main module again: a script that opens an engine needs ``if __name__ == "__main__":``.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from scalinglab.collect.prompts import Prompts, thought_tokens
from scalinglab.collect.protocol import REFUSED, About, Generated, Rewarded, Scored, Thinking, single
from scalinglab.collect.replicas import Replicas
from scalinglab.collect.vllm_settings import EngineSettings, device, distribution, settings_for
from scalinglab.collect.vllm_start import Guard, first_line, start
from scalinglab.errors import DeadEngineError, EngineError, UnreadError

if TYPE_CHECKING:  # ``make check-vllm`` looks up every name of these that is used
    from vllm import PoolingParams, SamplingParams
    from vllm.config import ModelConfig, VllmConfig
    from vllm.config.reasoning import ReasoningConfig
    from vllm.outputs import CompletionOutput, PoolingOutput, PoolingRequestOutput, RequestOutput
    from vllm.v1.engine.async_llm import AsyncLLM

__all__ = ["EngineSettings", "VllmEngine", "open_vllm", "settings_for"]
_KINDS = 1024
"""Kinds of request that are kept: a seed makes none of its own."""
_CLOSING = 15.0
"""Seconds for an engine's process to end before it is killed: vLLM's own 5 are too few on a busy machine."""


async def open_vllm(
    model_path: str | Path,
    *,
    name: str | None = None,
    settings: EngineSettings | None = None,
    pooling: bool = False,
) -> VllmEngine:
    """Load a model from a folder (or by its Hugging Face name) in 10 to 60 s; ``pooling`` for a reward model.

    ``settings`` are those for the device that vLLM was built for, where not given.
    Sets the environment variables in ``_ENVIRONMENT`` and ``_EAGER_CPU`` that are not set yet. The engine's
    processes do not hear Ctrl-C, which is this process's to act on; they end when it is killed or this cancelled.
    Raises EngineError where vLLM is not installed or does not start.
    """
    chosen = settings or settings_for(device())
    started, guard = await start(str(model_path), chosen, pooling)
    engine = VllmEngine(started, guard, name or Path(model_path).name, chosen)
    if pooling:
        await engine.find_task()
    return engine


class VllmEngine:
    """One model behind AsyncLLM; see the Engine protocol. Made by ``open_vllm``.

    Prompts begin with the special tokens that the model's tokenizer puts at the beginning, and hold no other that
    they do not spell out. Completions keep special tokens as text, except the one that ends them.
    """

    def __init__(self, engine: AsyncLLM, guard: Guard, model: str, settings: EngineSettings) -> None:
        self._engine: AsyncLLM | None = engine
        self._model = model
        self._settings = settings
        self._task: str | None = None
        self._prompts = Prompts(engine.get_tokenizer())
        self._replicas = Replicas(settings.data_parallel_size)
        self._requests = map(str, itertools.count())
        self._writing, self._judging = lru_cache(_KINDS)(_writing), lru_cache(_KINDS)(_judging)
        self._guard = guard

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        return self._model

    @property
    def continues(self) -> bool:
        """It reads a prompt as it is, whoever began it."""
        return True

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
        """One completion; the same seed gives the same one, up to rounding in batches of other sizes.

        A prompt that leaves no room for a token is refused.
        """
        budget, tokens = self._budget(thinking), self._prompts.tokens(prompt)
        if len(tokens) >= self._longest:
            return Generated("", 0, 0, 0, REFUSED, thinking_tokens=0)
        with self._explained():
            params = copy(self._writing(max_tokens, temperature, tuple(stop), budget))
            params.seed = seed
            output, seconds = await self._completed(tokens, params, problem)
        completion: CompletionOutput = output.outputs[0]
        # vLLM's include_stop_str_in_output would also spell out the end token, so the string is put back here.
        ending = completion.stop_reason if isinstance(completion.stop_reason, str) else ""
        return Generated(
            text=completion.text + ending,
            prompt_tokens=len(output.prompt_token_ids),
            generated_tokens=len(completion.token_ids),
            cached_tokens=output.num_cached_tokens,
            finish_reason=completion.finish_reason,
            seconds=seconds,
            thinking_tokens=self._thought(output.prompt_token_ids, completion.token_ids),
        )

    async def score(self, prompt: str, tokens: Sequence[str], *, problem: str = "") -> Scored:
        """The log-probabilities of single tokens as the next one, over the whole vocabulary."""
        ids = tuple(single(token, self._prompts.written(token), self.model) for token in tokens)
        with self._explained():
            params = copy(self._judging(ids))
            output, seconds = await self._completed(self._read(prompt, 1), params, problem)
        completion: CompletionOutput = output.outputs[0]
        if not completion.logprobs:  # as vLLM 0.32 answers where it drafts, without a word
            raise DeadEngineError(
                f"vLLM gives {self.model} no log-probability of a chosen token while it drafts speculatively",
                "an engine without speculative_config where a model is a verifier",
                "leave speculative_config out, or verify by another model",
            )
        said = completion.logprobs[0]
        return Scored(
            logprobs=tuple(float(said[token].logprob) for token in ids),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens,
            seconds=seconds,
        )

    async def reward(self, prompt: str, *, problem: str = "") -> Rewarded:  # noqa: ARG002
        """The rewards of a pooling model, as its vLLM pooler activates them: by default a sigmoid of one label."""
        from vllm.pooling_params import PoolingParams

        if self._task is None:
            raise EngineError(
                f"{self.model} was asked for a reward", "a reward model", "open it with pooling=True, or use score"
            )
        with self._explained():
            output, seconds = await self._pooled(self._read(prompt), PoolingParams(task=self._task))
        pooled: PoolingOutput = output.outputs
        data = pooled.data
        rows = data if data.ndim == 2 else data.reshape(1, -1)
        return Rewarded(
            rows=tuple(map(tuple, rows.tolist())),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens,
            seconds=seconds,
        )

    async def about(self) -> About:
        """The vLLM installed here, and the settings on which answers or counts may depend."""
        replicas, notes = self._settings.data_parallel_size, []
        if self._settings.speculative_config is not None and self._task is None:
            notes.append(
                f"{self.model} drafts tokens speculatively: those that are rejected, and the draft model's work, "
                "are in no count and not charged"
            )
        if replicas > 1 and self._task is not None:
            notes.append(
                f"{self.model} rewards on {replicas} replicas, of which vLLM chooses one for each request"
            )
        said = f"{distribution()} ({self._settings.said})"
        return About(said, replicas, self._prompts.beginning, tuple(notes), kind="vllm")

    async def count(self, text: str) -> int:
        """The tokens of a text that begins a prompt, those at its beginning included."""
        return len(self._prompts.tokens(text))

    async def close(self) -> None:
        """Stop the engine's process and free its memory. No call may be in flight."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown(timeout=_CLOSING)
        self._guard.close()

    async def find_task(self) -> None:
        """Ask a reward model whether it rewards each step or the whole."""
        engine = self._running()
        config: ModelConfig = engine.model_config
        self._task = config.get_pooling_task(await engine.get_supported_tasks())

    async def _completed(
        self, prompt: list[int], params: SamplingParams, problem: str
    ) -> tuple[RequestOutput, float]:
        """The engine's final output for a prompt, and its seconds. vLLM aborts a call that is cancelled."""
        from vllm.inputs import tokens_input

        engine, asked = self._running(), tokens_input(prompt)
        with self._replicas.serving(problem) as replica:
            rank = self._rank(replica)
            return await _last(engine.generate(asked, params, next(self._requests), data_parallel_rank=rank))

    async def _pooled(self, prompt: list[int], params: PoolingParams) -> tuple[PoolingRequestOutput, float]:
        """As ``_completed``, of a reward model; vLLM lets nobody choose the replica."""
        from vllm.inputs import tokens_input

        engine, asked = self._running(), tokens_input(prompt)
        return await _last(engine.encode(asked, params, next(self._requests)))

    def _rank(self, replica: int) -> int | None:
        """The replica as vLLM is told it: not at all where there is one."""
        return replica if self._settings.data_parallel_size > 1 else None

    def _read(self, prompt: str, written: int = 0) -> list[int]:
        """The tokens of what is judged, in so many written ones. Raises UnreadError where it is too long."""
        tokens, most = self._prompts.tokens(prompt), self._longest - written
        if len(tokens) > most:
            raise UnreadError(
                f"{self.model} judges {len(tokens)} tokens", f"at most {most}", "raise max_model_len"
            )
        return tokens

    @property
    def _longest(self) -> int:
        config: ModelConfig = self._running().model_config
        return int(config.max_model_len)

    def _budget(self, thinking: Thinking | None) -> int | None:
        """The most tokens of thought. Raises EngineError where vLLM cannot keep it."""
        if thinking is None:
            return None
        if thinking.budget is None or self._reasoning() is None:
            raise EngineError(
                f"{self.model} was asked to think with {thinking}",
                "a budget in tokens, of an engine that knows the marks around its model's thoughts",
                'set reasoning_parser of its engine to vLLM\'s name of them, such as "qwen3"',
            )
        return thinking.budget

    def _thought(self, prompt: Sequence[int], written: Sequence[int]) -> int | None:
        """The thoughts among the tokens of a completion; None where the engine does not know their marks."""
        known: ReasoningConfig | None = self._reasoning()
        if known is None:
            return None
        start, end = known.reasoning_start_token_ids, known.natural_reasoning_end_token_ids
        return thought_tokens(prompt, written, start, end)

    def _reasoning(self) -> ReasoningConfig | None:
        """What the engine knows of its model's thoughts, where it does."""
        config: VllmConfig = self._running().vllm_config
        known: ReasoningConfig | None = config.reasoning_config
        return known if known is not None and known.enabled else None

    def _running(self) -> AsyncLLM:
        if self._engine is None:
            raise EngineError(f"{self.model} is closed", "an open engine", "open it again")
        return self._engine

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from vllm.exceptions import VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            yield
        except EngineDeadError as error:
            raise DeadEngineError(
                f"vLLM's engine of {self.model} is dead ({first_line(error.__cause__ or error)})",
                "an engine that lives",
                "read vLLM's lines above; start the same command again to go on",
            ) from error
        except VLLMError as error:
            raise EngineError(
                f"vLLM failed with {self.model} ({first_line(error.__cause__ or error)})",
                "a request that fits the model",
                "shorten the prompt, or read vLLM's lines above; start the same command again to go on",
            ) from error


def _writing(max_tokens: int, temperature: float, stop: tuple[str, ...], budget: int | None) -> SamplingParams:
    """What a request for a text asks, but its seed, streaming nothing.

    vLLM checks one for as long as a small model takes for ten tokens, so that requests are copies of those that
    were checked, and vLLM may fill them in (``skip_clone``).
    """
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        max_tokens=max_tokens,
        temperature=temperature,
        stop=list(stop),
        skip_special_tokens=False,
        thinking_token_budget=budget,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _judging(ids: tuple[int, ...]) -> SamplingParams:
    """What a request for the log-probabilities of some tokens asks (see ``_writing``)."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        max_tokens=1,
        temperature=0,
        logprob_token_ids=list(ids),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


async def _last(outputs: AsyncIterator[Any]) -> tuple[Any, float]:
    """The one output of a request that streams nothing, and the seconds until it came."""
    start = perf_counter()
    (output,) = [output async for output in outputs]
    return output, perf_counter() - start
