"""The machine that a study would run on, and what its models take of its memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.collect.vllm_settings import EngineSettings
from scalinglab.errors import SpecError
from scalinglab.specs import ModelSpec

GIB = 2**30
_BYTES = {"float32": 4.0, "float": 4.0, "bfloat16": 2.0, "float16": 2.0, "half": 2.0, "auto": 2.0}
"""Of a scalar. vLLM's "auto" is 2 but for checkpoints of other types."""
_PACKED = {"fp8": 1.0, "int8": 1.0, "awq": 0.5, "awq_marlin": 0.5, "gptq": 0.5, "gptq_marlin": 0.5, "mxfp4": 0.5}
"""Of a weight under vLLM's quantizations whose size their name tells; scales and what stays whole are left out."""
_ASK = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Machine:
    """gpus: names and memory in GiB, as nvidia-smi tells; cores, memory_gib: of the host, for this process."""

    gpus: tuple[tuple[str, float], ...]
    cores: int
    memory_gib: float


def this_machine() -> Machine:
    """What is here. No library of a GPU is imported."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return Machine(tuple(_gpus()), len(os.sched_getaffinity(0)), round(memory, 1))


def _gpus() -> list[tuple[str, float]]:
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.rpartition(",") for line in told.splitlines() if line.strip())
    return [(name.strip(), round(float(mib) / 1024, 1)) for name, _, mib in rows]


def memory_of(spec: ModelSpec | None, settings: EngineSettings, machine: Machine) -> Mapping[str, Any]:
    """What one model takes of each device that holds it, in GiB; None where nobody can know.

    weights_gib: in the dtype or quantization. cache_kib: of a token's keys and values. context: the longest
    sequence. free_gib: for keys and values. sequences: how many of the longest fit, 0 where the weights do not.
    devices: of all copies. Activations and a GPU's own overhead are left out: what fits here barely, does not.
    """
    split = settings.tensor_parallel_size * settings.pipeline_parallel_size
    row: dict[str, Any] = dict.fromkeys(("weights_gib", "cache_kib", "context", "free_gib", "sequences"))
    row["devices"] = split * settings.data_parallel_size
    size, packed = _BYTES.get(settings.dtype), settings.quantization
    each = size if packed is None else _PACKED.get(packed)
    if spec is None or size is None or each is None:
        return row
    weights = spec.total * each / split / GIB
    free = _free(weights, settings, machine)
    row |= {"weights_gib": weights, "free_gib": free}
    try:
        row["cache_kib"] = spec.cached_per_token * size / split / 1024
        row["context"] = settings.max_model_len or spec.max_context
    except SpecError:  # only its number of parameters is known
        return row
    if row["context"] is not None and free is not None:
        kept = sum(block.count * block.kept(row["context"]) for block in spec.blocks) * size / split / GIB
        row["sequences"] = max(0, int(free / kept)) if kept else settings.max_num_seqs
    return row


def _free(weights: float, settings: EngineSettings, machine: Machine) -> float | None:
    """GiB that a device has for keys and values."""
    if settings.kv_cache_gib is not None:
        return settings.kv_cache_gib
    room = min((gib for _, gib in machine.gpus), default=machine.memory_gib)
    return room * settings.memory_share - weights
