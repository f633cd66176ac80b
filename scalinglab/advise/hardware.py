"""Seconds beside FLOPs: a roofline of prefill and decode, since equal FLOPs are not equal cost or equal waiting.

Models are split over the fewest GPUs that hold them (tensor parallelism), which divides each step's time and
leaves seconds of GPU as they are: what the GPUs tell each other is not counted. All seconds are lower bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scalinglab import flops
from scalinglab.advise.gpus import Gpu, Gpus
from scalinglab.errors import DataError
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import ModelSpec

_BYTES = 2
"""Of a weight and of an element of the KV cache in BF16."""


@dataclass(frozen=True)
class Work:
    """What one query asks of one model, in tokens; None where it is unknown.

    read: prompts and verified text, each prefix once. written: by all samples. context: the mean length at a step.
    prompts: of every call in full, as a server bills them; cached: of them, what its cache held; thinking: of what
    was written, the thoughts. depth: of what was written, what follows one another; width: the samples at once.
    """

    model: str
    read: float
    written: float
    context: float
    prompts: float
    cached: float | None = None
    thinking: float | None = None
    depth: float | None = None
    width: float = 1.0


@dataclass(frozen=True)
class Seconds:
    """What the work of one query takes of one model: seconds of GPU, seconds until it is done, GPUs a replica."""

    gpu: float
    waited: float | None
    split: int


def query_seconds(spec: ModelSpec, gpus: Gpus, work: Work, *, batch: int) -> Seconds:
    """One query's work on one model, with ``batch`` sequences decoding together on each replica.

    Until it is done: its prompts are read at the whole replica's speed, then each token of ``depth`` takes a step
    of a full batch; of more samples than the batch some wait for others. Raises DataError where weights and caches
    do not fit on all the GPUs, SpecError for a model of unknown shape.
    """
    split = split_of(spec, gpus, context=work.context, batch=batch)
    reading = prefill_seconds(spec, gpus.gpu, tokens=work.read, length=work.context, batch=batch)
    writing = decode_seconds(spec, gpus.gpu, context=work.context, tokens=1, batch=batch)
    alone = prefill_seconds(spec, gpus.gpu, tokens=work.read, length=work.context, batch=1)
    waves = max(1, math.ceil(work.width / batch - 1e-9))
    waited = None if work.depth is None else (alone + work.depth * waves * batch * writing) / split
    return Seconds(reading + work.written * writing, waited, split)


def split_of(spec: ModelSpec, gpus: Gpus, *, context: float, batch: int) -> int:
    """The fewest GPUs, a power of two, that hold the weights and ``batch`` sequences' caches in BF16.

    Raises DataError where all of them are too few.
    """
    needed = _bytes(spec, context, batch, weights=spec.total)
    for split in gpus.splits:
        if needed <= split * gpus.gpu.memory:
            return split
    raise DataError(
        f"{spec.name} with {batch} sequences of {math.ceil(context)} tokens takes {needed / 1e9:.0f} GB",
        f"at most {gpus.splits[-1] * gpus.gpu.memory / 1e9:.0f} GB on {gpus}",
        "lower --batch, or name more or larger GPUs",
    )


def decode_seconds(spec: ModelSpec, gpu: Gpu, *, context: float, tokens: float, batch: int) -> float:
    """Seconds of GPU that ``tokens`` cost when ``batch`` sequences of ``context`` tokens decode together.

    A step reads the weights once and every sequence's KV cache, and multiplies for each; the slower of the two
    bounds it (Williams et al. 2009, the roofline). A lower bound: kernels reach less than the peak.
    """
    moved = _bytes(spec, context, batch, weights=spec.active)
    work = flops.cost(spec, 1, context=math.ceil(context), logits=1, convention=CONVENTIONS["exact"])
    return float(max(work / gpu.peak, moved / gpu.bandwidth / batch) * tokens)


def prefill_seconds(spec: ModelSpec, gpu: Gpu, *, tokens: float, length: float, batch: int) -> float:
    """Seconds of GPU to read ``tokens`` in sequences of ``length``, the weights read once a batch of them."""
    row = max(1, math.ceil(length))
    work = flops.cost(spec, row, logits=1, convention=CONVENTIONS["exact"])
    each = max(work / gpu.peak, _BYTES * spec.active / gpu.bandwidth / _at_least_one(batch))
    return float(each * tokens / row)


def _bytes(spec: ModelSpec, context: float, batch: int, *, weights: int) -> float:
    """Of so many weights and the caches of a batch, windows of attention respected."""
    kept = sum(block.count * block.kept(math.ceil(context)) for block in spec.blocks)
    return _BYTES * (weights + _at_least_one(batch) * kept)


def _at_least_one(batch: int) -> int:
    if batch < 1:
        raise DataError(f"a batch of {batch}", "1 or more", "mend batch")
    return batch
