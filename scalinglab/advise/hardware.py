"""Seconds and money beside FLOPs: a roofline of prefill and decode, since equal FLOPs are not equal cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import ModelSpec

_BYTES = 2
"""Of a weight and of an element of the KV cache in BF16."""


@dataclass(frozen=True)
class Gpu:
    """A GPU: dense BF16 FLOP/s (1 FLOP = one multiply or add), memory in bytes and its bandwidth in bytes/s."""

    name: str
    peak: float
    bandwidth: float
    memory: float
    source: str


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("H100 SXM", 989.5e12, 3.35e12, 80e9, "NVIDIA H100 datasheet: 1,979 TFLOPS with sparsity, 3.35 TB/s"),
        Gpu("H200", 989.5e12, 4.8e12, 141e9, "NVIDIA H200 datasheet: 1,979 TFLOPS with sparsity, 4.8 TB/s"),
        Gpu("A100 80GB", 312e12, 2.039e12, 80e9, "NVIDIA A100 datasheet: 312 TFLOPS dense, 2,039 GB/s (SXM)"),
        Gpu("L40S", 362.05e12, 0.864e12, 48e9, "NVIDIA L40S datasheet: 362.05 TFLOPS dense, 864 GB/s"),
        Gpu("L4", 121e12, 0.3e12, 24e9, "NVIDIA L4 datasheet: 242 TFLOPS with sparsity, 300 GB/s"),
    )
}


@dataclass(frozen=True)
class Work:
    """What one query asks of one model: tokens read (prompts, verified text) and written, and samples at once."""

    model: str
    read: float
    written: float


def find_gpu(name: str) -> Gpu:
    """The GPU of that name. Raises DataError listing the names."""
    if name not in GPUS:
        raise DataError(f"GPU {name!r}", f"one of {', '.join(GPUS)}", "choose one")
    return GPUS[name]


def decode_seconds(spec: ModelSpec, gpu: Gpu, *, context: float, tokens: float, batch: int) -> float:
    """Seconds of the GPU that ``tokens`` cost when ``batch`` sequences of ``context`` tokens decode together.

    A step reads the weights once and every sequence's KV cache, and multiplies for each; the slower of the two
    bounds it (Williams et al. 2009, the roofline). A lower bound: kernels reach less than the peak.
    Raises DataError where weights and caches do not fit in the memory.
    """
    sequences, length = _at_least_one(batch), math.ceil(context)
    moved = _BYTES * (spec.active + sequences * _cached(spec, length))
    if _BYTES * (spec.total + sequences * _cached(spec, length)) > gpu.memory:
        raise DataError(
            f"{spec.name} with {sequences} sequences of {length} tokens on one {gpu.name}",
            f"at most {gpu.memory / 1e9:.0f} GB",
            "lower the batch or choose a larger GPU",
        )
    work = flops.cost(spec, 1, context=length, logits=1, convention=CONVENTIONS["exact"])
    step = max(sequences * work / gpu.peak, moved / gpu.bandwidth)
    return float(step / sequences * tokens)


def prefill_seconds(spec: ModelSpec, gpu: Gpu, *, tokens: float, length: float, batch: int) -> float:
    """Seconds of the GPU to read ``tokens`` in sequences of ``length``, the weights read once a batch of them."""
    row = math.ceil(length)
    work = flops.cost(spec, row, logits=1, convention=CONVENTIONS["exact"])
    each = max(work / gpu.peak, _BYTES * spec.active / gpu.bandwidth / _at_least_one(batch))
    return float(each * tokens / row)


def query_seconds(spec: ModelSpec, gpu: Gpu, work: Work, *, context: float, batch: int) -> float:
    """Seconds of the GPU for one query's work on one model."""
    reading = prefill_seconds(spec, gpu, tokens=work.read, length=context, batch=batch)
    return reading + decode_seconds(spec, gpu, context=context, tokens=work.written, batch=batch)


def _cached(spec: ModelSpec, context: int) -> int:
    """Elements of cache of one sequence, windows of attention respected."""
    return sum(block.count * block.kept(context) for block in spec.blocks)


def _at_least_one(batch: int) -> int:
    if batch < 1:
        raise DataError(f"a batch of {batch}", "1 or more", "mend batch")
    return batch
