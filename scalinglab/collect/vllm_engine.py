"""The engine this process runs itself: vLLM's AsyncLLM, on GPU and CPU by the same code.

vLLM is imported only when an engine is opened, so that settings can be read and written without it. It starts its
own process by running the main module again: a script that opens an engine needs ``if __name__ == "__main__":``.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from scalinglab.collect.protocol import About, Generated, Rewarded, Scored, Thinking, single
from scalinglab.collect.vllm_start import EngineSettings, Guard, distribution, first_line, settings_for, start
from scalinglab.errors import EngineError

if TYPE_CHECKING:
    from vllm import PoolingParams, SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM


__all__ = ["EngineSettings", "VllmEngine", "open_vllm", "settings_for"]
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

    ``settings`` are those for the device vLLM finds, where not given.
    Sets the environment variables in ``_ENVIRONMENT`` and ``_EAGER_CPU`` that are not set yet. The engine's
    processes do not hear Ctrl-C, which is this process's to act on; they end when it is killed or this cancelled.
    Raises EngineError where vLLM is not installed or does not start.
    """
    engine = VllmEngine(*await start(str(model_path), settings, pooling), name or Path(model_path).name)
    if pooling:
        await engine.find_task()
    return engine


class VllmEngine:
    """One model behind AsyncLLM; see the Engine protocol. Made by ``open_vllm``.

    Prompts are read as they are: no special token is added. Completions keep special tokens as text, except the
    one that ends them.
    """

    def __init__(self, engine: AsyncLLM, guard: Guard, model: str) -> None:
        self._engine: AsyncLLM | None = engine
        self._model = model
        self._task: str | None = None
        self._tokenizer = engine.get_tokenizer()
        self._requests = itertools.count()
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
        thinking: Thinking | None = None,  # noqa: ARG002
        problem: str = "",  # noqa: ARG002
    ) -> Generated:
        """One completion; the same seed gives the same one, up to rounding in batches of other sizes."""
        from vllm.sampling_params import SamplingParams

        with self._explained():
            params = SamplingParams(
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                stop=list(stop),
                skip_special_tokens=False,
            )
            output, seconds = await self._run(prompt, params)
        completion = output.outputs[0]
        # vLLM's include_stop_str_in_output would also spell out the end token, so the string is put back here.
        ending = completion.stop_reason if isinstance(completion.stop_reason, str) else ""
        return Generated(
            text=completion.text + ending,
            prompt_tokens=len(output.prompt_token_ids),
            generated_tokens=len(completion.token_ids),
            cached_tokens=output.num_cached_tokens,
            finish_reason=completion.finish_reason,
            seconds=seconds,
        )

    async def score(self, prompt: str, tokens: Sequence[str], *, problem: str = "") -> Scored:  # noqa: ARG002
        """The log-probabilities of single tokens as the next one, over the whole vocabulary."""
        from vllm.sampling_params import SamplingParams

        ids = [single(token, self._tokens(token), self.model) for token in tokens]
        with self._explained():
            params = SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=ids, detokenize=False)
            output, seconds = await self._run(prompt, params)
        said = output.outputs[0].logprobs[0]
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
            output, seconds = await self._run(prompt, PoolingParams(task=self._task))
        data = output.outputs.data
        rows = data if data.ndim == 2 else data.reshape(1, -1)
        return Rewarded(
            rows=tuple(map(tuple, rows.tolist())),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens,
            seconds=seconds,
        )

    async def about(self) -> About:
        """The vLLM installed here."""
        return About(distribution())

    async def count(self, text: str) -> int:
        """The tokens of a text, by the engine's own tokenizer, no special one added."""
        return len(self._tokens(text))

    async def close(self) -> None:
        """Stop the engine's process and free its memory. No call may be in flight."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown(timeout=_CLOSING)
        self._guard.close()

    async def find_task(self) -> None:
        """Ask a reward model whether it rewards each step or the whole."""
        engine = self._running()
        self._task = engine.model_config.get_pooling_task(await engine.get_supported_tasks())

    async def _run(self, prompt: str, params: SamplingParams | PoolingParams) -> tuple[Any, float]:
        """The engine's final output for a prompt, and its seconds. vLLM aborts a call that is cancelled."""
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params.output_kind = RequestOutputKind.FINAL_ONLY
        engine = self._running()
        run = engine.generate if isinstance(params, SamplingParams) else engine.encode
        start = perf_counter()
        outputs = run(tokens_input(self._tokens(prompt)), params, str(next(self._requests)))
        (output,) = [output async for output in outputs]
        return output, perf_counter() - start

    def _running(self) -> AsyncLLM:
        if self._engine is None:
            raise EngineError(f"{self.model} is closed", "an open engine", "open it again")
        return self._engine

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from vllm.exceptions import VLLMError

        try:
            yield
        except VLLMError as error:
            raise EngineError(
                f"vLLM failed with {self.model} ({first_line(error.__cause__ or error)})",
                "a request that fits the model, and an engine that lives",
                "shorten the prompt, or read vLLM's lines above; start the same command again to go on",
            ) from error
