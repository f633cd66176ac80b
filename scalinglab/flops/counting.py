"""Closed-form FLOPs of a spec under a named accounting Convention. One FLOP is one multiply or one add.

A forward pass is linear in three amounts: tokens passed, query-key pairs attended, logits computed.
Everything here is a rate (from the spec) times an amount (from token counts), in exact integers.
A recurrence (Mamba, the gated delta rule) counts as its token-by-token form: writing to the state, reading from
it and, in the delta rule, recalling from it are one multiply-add an element of the state each. Training and
prefill kernels work in chunks, which costs more products of a size that the kernel chooses; that is not counted.
A depthwise convolution counts as its kernel, a multiply-add an element. Where attention picks its positions
(DeepSeek-V3.2) the index of all pairs is counted, and the attention to those picked.
Never counted, under any convention: norms, softmax, rotary embedding, activations, biases, embedding
look-up and sampling (well under 1 % of the total at usual shapes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from scalinglab.errors import DataError, SpecError
from scalinglab.flops.conventions import Convention
from scalinglab.specs import Block, ModelSpec, Shape

Breakdown = dict[str, Any]
"""FLOPs by component, each an int or an int64 array of the shape of the token counts given."""


class Pairs(NamedTuple):
    """Query-key pairs within a window (None: no window), or within the query's chunk of that size."""

    window: int | None = None
    chunked: bool = False


Unit = str | Pairs
"""What a rate multiplies: "token", "logit", or query-key pairs."""
Rate = tuple[str, Unit, int]

_INT64_MAX = 2**63 - 1
_CHUNK = 1 << 15  # temporaries of a chunk stay in the processor's cache


def forward(
    spec: ModelSpec, tokens: Any, *, context: Any = 0, logits: Any = 0, convention: Convention
) -> Breakdown:
    """FLOPs by component of one pass: ``tokens`` new ones after ``context`` cached ones, ``logits`` logits.

    Counts are ints or int64 arrays that broadcast. Under ``latent="decode"`` this is a prefill.
    Raises DataError for counts that are negative or not whole, SpecError where int64 would overflow.
    """
    new, old, outputs = whole(tokens, "tokens"), whole(context, "context"), whole(logits, "logits")
    _refuse_overflow(spec, new, old, outputs, convention)
    return by_part(spec, new, old, outputs, convention)


def cost(spec: ModelSpec, tokens: Any, *, context: Any = 0, logits: Any = 0, convention: Convention) -> Any:
    """total(forward(...)), several times faster: ten million calls take about a second."""
    amounts = (whole(tokens, "tokens"), whole(context, "context"), whole(logits, "logits"))
    _refuse_overflow(spec, *amounts, convention)
    rates = _by_unit(_rates(spec, convention))
    if all(isinstance(amount, int) for amount in amounts):
        return _dot(rates, *amounts, convention)
    new, old, outputs = (amount.ravel() for amount in np.broadcast_arrays(*amounts))
    flops = np.empty(new.size, dtype=np.int64)
    for start in range(0, new.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        flops[part] = _dot(rates, new[part], old[part], outputs[part], convention)
    return flops.reshape(np.broadcast_shapes(*(np.shape(amount) for amount in amounts)))


def prefill(spec: ModelSpec, prompt: Any, *, cached: Any = 0, convention: Convention) -> Breakdown:
    """FLOPs of reading a prompt with ``cached`` tokens in the cache, and of the first new token's logits."""
    new = whole(prompt, "prompt") - whole(cached, "cached")
    return forward(spec, new, context=cached, logits=first_logit(new), convention=convention)


def decode(spec: ModelSpec, prompt: Any, generated: Any, *, convention: Convention) -> Breakdown:
    """FLOPs of generating ``generated`` tokens after a prefilled ``prompt``.

    prefill(P) then decode(G) passes the tokens of prefill(P + G - 1): the last token is never read.
    """
    steps = decode_steps(whole(generated, "generated"), convention)
    convention = step_by_step(convention)
    return forward(spec, steps, context=prompt, logits=steps, convention=convention)


def step_by_step(convention: Convention) -> Convention:
    """The convention for tokens passed one at a time.

    Then even an eager kernel has nothing to mask, and an engine absorbs latent attention where the rule says so.
    """
    attention = "causal" if convention.attention == "full" else convention.attention
    latent = "absorbed" if convention.latent == "decode" else convention.latent
    if (attention, latent) == (convention.attention, convention.latent):
        return convention
    return replace(convention, attention=attention, latent=latent)


def first_logit(new: Any) -> Any:
    """Logits a prefill of ``new`` tokens must compute: one, or none where all was cached."""
    return np.minimum(new, 1) if isinstance(new, np.ndarray) else min(new, 1)


def decode_steps(generated: Any, convention: Convention) -> Any:
    """Tokens charged to decoding: all under a 2N rule; under "matmul" the prefill has emitted the first."""
    if convention.parameters != "matmul":
        return generated
    return np.maximum(generated, 1) - 1 if isinstance(generated, np.ndarray) else max(generated, 1) - 1


def total(breakdown: Breakdown) -> Any:
    """The sum over components: an int, or an int64 array."""
    return sum(breakdown.values())


def whole(value: Any, name: str) -> Any:
    """An int or int64 array of counts. Raises DataError where one is negative, missing or not whole."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    values = np.asarray(value)
    if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() <= _INT64_MAX):
        raise DataError(
            f"{name} is {' '.join(str(value).split()):.60}",
            "whole numbers >= 0 (below 2^63 in arrays)",
            f"mend {name}",
        )
    return values.astype(np.int64, copy=False) if values.ndim else int(values)


def _rates(spec: ModelSpec, convention: Convention) -> list[Rate]:
    """What one unit of each amount costs, component by component."""
    if convention.parameters == "total" and convention.attention == "none":
        return [("parameters", "token", 2 * spec.active)]
    shape = _shape(spec, convention)
    if convention.parameters == "total":
        rates: list[Rate] = [("parameters", "token", 2 * shape.active)]
    elif convention.parameters == "non-embedding":
        rates = [("parameters", "token", 2 * shape.active_non_embedding)]
    else:
        rates = [rate for block in shape.blocks for rate in _matmul_rates(block)]
        rates.append(("stem", "token", 2 * sum(matrix.weights for matrix in shape.stem)))
        rates.append(("head", "token" if convention.head == "all" else "logit", 2 * shape.head_weights))
    if convention.attention != "none":
        rates += [rate for block in shape.blocks for rate in _attention_rates(block, convention)]
    return [rate for rate in rates if rate[2]]


def _shape(spec: ModelSpec, convention: Convention) -> Shape:
    """The shape that a convention needs for all but 2N of every parameter."""
    if isinstance(spec.size, Shape):
        return spec.size
    counted = "matrix products" if convention.parameters == "matmul" else "parameters without embeddings"
    raise SpecError(
        f"{spec.name}: only its number of parameters is known, and {convention.name!r} counts "
        f"{'attention' if convention.parameters == 'total' else counted}",
        "a model with a shape, or a rule of 2N with every parameter",
        "give a config.json or a catalogue name",
    )


def _matmul_rates(block: Block) -> list[Rate]:
    parts = {
        "projections": block.projections,
        "mlp": block.mlp,
        "router": block.router,
        "experts": block.active_experts * block.expert,
    }
    return [(part, "token", 2 * block.count * sum(m.weights for m in ms)) for part, ms in parts.items()]


def _attention_rates(block: Block, convention: Convention) -> list[Rate]:
    qk_dim, v_dim = block.qk_dim, block.v_dim
    if convention.latent == "absorbed" and block.absorbed:
        qk_dim, v_dim = block.absorbed
    pairs, per_dim = Pairs(block.window, block.reach == "chunk"), 2 * block.count * block.heads
    return [
        ("scores", pairs, per_dim * qk_dim),
        ("values", pairs, per_dim * v_dim),
        ("index", Pairs(), 2 * block.count * block.index),
        ("mixing", "token", 2 * block.count * block.mixing),
    ]


def by_part(spec: ModelSpec, new: Any, old: Any, outputs: Any, convention: Convention) -> Breakdown:
    parts: dict[str, dict[Unit, int]] = {}
    for part, unit, rate in _rates(spec, convention):
        of_part = parts.setdefault(part, {})
        of_part[unit] = of_part.get(unit, 0) + rate
    return {part: _dot(rates, new, old, outputs, convention) for part, rates in parts.items()}


def _by_unit(rates: list[Rate]) -> dict[Unit, int]:
    units: dict[Unit, int] = {}
    for _, unit, rate in rates:
        units[unit] = units.get(unit, 0) + rate
    return units


def _dot(rates: dict[Unit, int], new: Any, old: Any, outputs: Any, convention: Convention) -> Any:
    amounts = (_amount(unit, new, old, outputs, convention) * rate for unit, rate in rates.items())
    return sum(amounts, start=next(amounts))


def _amount(unit: Unit, new: Any, old: Any, outputs: Any, convention: Convention) -> Any:
    """Tokens, logits, or pairs: the i-th new query sees min(old + i, window), or all of its chunk so far."""
    if isinstance(unit, str):
        return new if unit == "token" else outputs
    if convention.attention == "full":
        return new * (old + new)
    window = unit.window
    if window is None:
        return new * old + (new * (new + 1) >> 1)
    if unit.chunked:
        begun = old % window
        return _in_chunks(begun + new, window) - _in_chunks(begun, window)
    growing = np.clip(window - old, 0, new) if isinstance(new, np.ndarray) else min(max(window - old, 0), new)
    return growing * old + (growing * (growing + 1) >> 1) + (new - growing) * window


def _in_chunks(tokens: Any, size: int) -> Any:
    """Pairs of ``tokens`` from the start of a chunk on, each with those of its own chunk up to itself."""
    chunks, rest = tokens // size, tokens % size
    return chunks * (size * (size + 1) >> 1) + (rest * (rest + 1) >> 1)


def _refuse_overflow(spec: ModelSpec, new: Any, old: Any, outputs: Any, convention: Convention) -> None:
    if all(isinstance(amount, int) for amount in (new, old, outputs)):
        return
    worst = [int(np.max(amount, initial=0)) for amount in (new, old, outputs)]
    rates = [(part, unit if isinstance(unit, str) else Pairs(unit.window), rate)
             for part, unit, rate in _rates(spec, convention)]  # fmt: skip
    if _dot(_by_unit(rates), worst[0], worst[1], worst[2], convention) > _INT64_MAX:  # a chunk sees no more
        raise SpecError(
            f"{spec.name}: one of the calls costs more than 2^63 FLOPs",
            "calls that fit in int64",
            "pass Python integers, one call at a time",
        )
