"""Closed-form FLOPs of a spec under a named accounting Convention. One FLOP is one multiply or one add.

A forward pass is linear in three amounts: tokens passed, query-key pairs attended, logits computed.
Everything here is a rate (from the spec) times an amount (from token counts), in exact integers.
Never counted, under any convention: norms, softmax, rotary embedding, activations, biases, embedding
look-up and sampling (well under 1 % of the total at usual shapes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

import numpy as np

from scalinglab.errors import DataError, SpecError
from scalinglab.specs import Block, ModelSpec

Breakdown = dict[str, Any]
"""FLOPs by component, each an int or an int64 array of the shape of the token counts given."""
Unit = str | int | None
"""What a rate multiplies: "token", "logit", or query-key pairs within a window (None: no window)."""
Rate = tuple[str, Unit, int]

AXES: dict[str, tuple[object, ...]] = {
    "parameters": ("total", "non-embedding", "matmul"),
    "attention": ("none", "causal", "full"),
    "head": ("all", "needed"),
    "prompts": ("free", "once", "per-sample"),
    "reuse": ("none", "ideal", "measured"),
    "verifier": ("nobody", "small", "both"),
    "difficulty": (False, True),
    "tuning": (False, True),
    "recompute": (False, True),
}
_INT64_MAX = 2**63 - 1
_CHUNK = 1 << 15  # temporaries of a chunk stay in the processor's cache


@dataclass(frozen=True)
class Convention:
    """One published way to count FLOPs: what is charged, and to whom. The default axes are the paper's.

    parameters: 2N a token with N total or non-embedding (active ones, for experts), or every matrix product
        ("matmul"). Under 2N each generated token is charged once; under "matmul" the prefill emits the first.
    attention: the query-key-value products: none, causal (only pairs the mask and window keep) or full
        (every pair, as an eager kernel computes before masking).
    head: the LM head on all tokens or only where a logit is needed. Acts under "matmul"; 2N includes it.
    prompts: question tokens are free, paid once a problem, or paid by every sample.
    reuse: whether context a model has read or written before is read again at full price (none), free
        (ideal), or billed as the engine's cache measured (measured).
    verifier: nobody, the small model, or both models pay for verification.
    difficulty, tuning: whether estimating difficulty and training verifiers or revisers are charged.
    recompute: training repeats the forward pass in the backward pass (activation checkpointing).
    """

    name: str
    source: str = field(default="", compare=False)
    parameters: Literal["total", "non-embedding", "matmul"] = "total"
    attention: Literal["none", "causal", "full"] = "none"
    head: Literal["all", "needed"] = "all"
    prompts: Literal["free", "once", "per-sample"] = "free"
    reuse: Literal["none", "ideal", "measured"] = "ideal"
    verifier: Literal["nobody", "small", "both"] = "nobody"
    difficulty: bool = False
    tuning: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        for axis, allowed in AXES.items():
            if getattr(self, axis) not in allowed:
                options = ", ".join(map(str, allowed))
                raise SpecError(f"convention axis {axis} is {getattr(self, axis)!r}", options, f"set {axis}")

    def __str__(self) -> str:
        axes = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name in AXES)
        return f"{self.name} ({', '.join(axes)})"


_PRESETS = (
    Convention("paper", "Snell et al. 2024 (arXiv 2408.03314 v1), section 7: 6ND and 2ND, verifier free"),
    Convention("paper-verifier", "its camera-ready form: Y = 4 N D_inference for both models", verifier="both"),
    Convention("small-pays", "2N a token, and only the small model needs a verifier", verifier="small"),
    Convention(
        "kaplan",
        "Kaplan et al. 2020 (arXiv 2001.08361), section 2.1: 2N a token, N without embeddings",
        parameters="non-embedding",
        prompts="once",
    ),
    Convention(
        "exact",
        "every matrix product, causal attention, each prompt and prefix read once",
        parameters="matmul",
        attention="causal",
        head="needed",
        prompts="once",
        verifier="small",
        difficulty=True,
        tuning=True,
    ),
    Convention(
        "exact-measured",
        "every matrix product, causal attention, prefixes billed as the engine's cache measured",
        parameters="matmul",
        attention="causal",
        head="needed",
        prompts="per-sample",
        reuse="measured",
        verifier="small",
        difficulty=True,
        tuning=True,
    ),
)
CONVENTIONS: Mapping[str, Convention] = {convention.name: convention for convention in _PRESETS}


def convention(name: str) -> Convention:
    """The preset of that name. Raises SpecError listing the names."""
    if name not in CONVENTIONS:
        raise SpecError(f"convention {name!r}", f"one of {', '.join(CONVENTIONS)}", "choose a preset")
    return CONVENTIONS[name]


def forward(
    spec: ModelSpec, tokens: Any, *, context: Any = 0, logits: Any = 0, convention: Convention
) -> Breakdown:
    """FLOPs by component of one pass: ``tokens`` new ones after ``context`` cached ones, ``logits`` logits.

    Counts are ints or int64 arrays that broadcast. Latent attention (DeepSeek) is priced in its expanded
    form, each key and value built once. Raises DataError for counts that are negative or not whole,
    SpecError where int64 would overflow.
    """
    new, old, outputs = whole(tokens, "tokens"), whole(context, "context"), whole(logits, "logits")
    _refuse_overflow(spec, new, old, outputs, convention)
    return _by_part(spec, new, old, outputs, convention)


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
    """The convention for tokens passed one at a time: then even an eager kernel has nothing to mask."""
    return replace(convention, attention="causal") if convention.attention == "full" else convention


def first_logit(new: Any) -> Any:
    """Logits a prefill of ``new`` tokens must compute: one, or none where all was cached."""
    return np.minimum(new, 1) if isinstance(new, np.ndarray) else min(new, 1)


def decode_steps(generated: Any, convention: Convention) -> Any:
    """Tokens charged to decoding: all under a 2N rule; under "matmul" the prefill has emitted the first."""
    if convention.parameters != "matmul":
        return generated
    return np.maximum(generated, 1) - 1 if isinstance(generated, np.ndarray) else max(generated, 1) - 1


def training(spec: ModelSpec, tokens: int, *, sequence: int | None = None, convention: Convention) -> Breakdown:
    """FLOPs of training on ``tokens`` tokens in rows of ``sequence``: 3 forward passes, 4 with recompute.

    Raises SpecError where attention is counted and no sequence length is known.
    """
    tokens = _one(tokens, "tokens")
    row = spec.training_sequence if sequence is None else _one(sequence, "sequence", least=1)
    if row is None and convention.attention != "none":
        raise SpecError(
            f"{spec.name}: training sequence length unknown",
            f"a length under {convention.name!r}, which counts attention",
            "give the sequence length",
        )
    length = row or max(tokens, 1)
    rows, rest = divmod(tokens, length)
    full_row, last_row = (_by_part(spec, n, 0, n, convention) for n in (length, rest))
    passes = 4 if convention.recompute else 3
    return {part: passes * (rows * full_row[part] + last_row[part]) for part in full_row}


def query(
    spec: ModelSpec, prompt: int, generated: int, *, samples: int = 1, convention: Convention
) -> dict[str, Breakdown]:
    """FLOPs of answering one question with ``samples`` parallel samples, by phase and component.

    Without a recorded run no cache was measured: every sample then reads its own prompt in full.
    """
    prompt, generated = _one(prompt, "prompt"), _one(generated, "generated")
    samples = _one(samples, "samples")
    reads = {"free": 0, "once": min(samples, 1), "per-sample": samples}[convention.prompts]
    reading = prefill(spec, prompt, convention=convention)
    writing = decode(spec, prompt, generated, convention=convention)
    return {
        "prefill": {part: reads * flops for part, flops in reading.items()},
        "decode": {part: samples * flops for part, flops in writing.items()},
    }


def components(
    spec: ModelSpec, prompt: int, generated: int, *, samples: int = 1, convention: Convention
) -> dict[str, int]:
    """``query`` with its two phases added, by component."""
    phases = query(spec, prompt, generated, samples=samples, convention=convention).values()
    parts = dict.fromkeys(part for phase in phases for part in phase)
    return {part: sum(phase[part] for phase in phases) for part in parts}


def compare_conventions(
    spec: ModelSpec, prompt: int, generated: int, *, samples: int = 1
) -> dict[str, dict[str, Any]]:
    """``query`` under every preset: prefill, decode, total, components, and bias = total / exact - 1.

    bias is None where nothing is charged under exact.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, rule in CONVENTIONS.items():
        phases = query(spec, prompt, generated, samples=samples, convention=rule)
        row: dict[str, Any] = {phase: total(parts) for phase, parts in phases.items()}
        parts = components(spec, prompt, generated, samples=samples, convention=rule)
        rows[name] = row | {"total": total(parts), "components": parts}
    exact = rows["exact"]["total"]
    return {name: row | {"bias": row["total"] / exact - 1 if exact else None} for name, row in rows.items()}


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


def _one(value: Any, name: str, *, least: int = 0) -> int:
    """One count. Raises DataError for a column, or for less than ``least``."""
    count = whole(value, name)
    if not isinstance(count, int) or count < least:
        raise DataError(f"{name} is {count}", f"one whole number >= {least}", f"mend {name}")
    return count


def _rates(spec: ModelSpec, convention: Convention) -> list[Rate]:
    """What one unit of each amount costs, component by component."""
    if convention.parameters == "total":
        rates: list[Rate] = [("parameters", "token", 2 * spec.active)]
    elif convention.parameters == "non-embedding":
        rates = [("parameters", "token", 2 * spec.active_non_embedding)]
    else:
        rates = [rate for block in spec.blocks for rate in _matmul_rates(block)]
        rates.append(("head", "token" if convention.head == "all" else "logit", 2 * spec.hidden * spec.vocab))
    if convention.attention != "none":
        for block in spec.blocks:
            per_dim = 2 * block.count * block.heads
            rates += [
                ("scores", block.window, per_dim * block.qk_dim),
                ("values", block.window, per_dim * block.v_dim),
            ]
    return [rate for rate in rates if rate[2]]


def _matmul_rates(block: Block) -> list[Rate]:
    parts = {
        "projections": block.projections,
        "mlp": block.mlp,
        "router": block.router,
        "experts": block.active_experts * block.expert,
    }
    return [(part, "token", 2 * block.count * sum(m.weights for m in ms)) for part, ms in parts.items()]


def _by_part(spec: ModelSpec, new: Any, old: Any, outputs: Any, convention: Convention) -> Breakdown:
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
    """Tokens, logits, or query-key pairs within a window: the i-th new query sees min(old + i, window)."""
    if unit in ("token", "logit"):
        return new if unit == "token" else outputs
    if convention.attention == "full":
        return new * (old + new)
    if unit is None:
        return new * old + (new * (new + 1) >> 1)
    window = cast("int", unit)
    growing = np.clip(window - old, 0, new) if isinstance(new, np.ndarray) else min(max(window - old, 0), new)
    return growing * old + (growing * (growing + 1) >> 1) + (new - growing) * window


def _refuse_overflow(spec: ModelSpec, new: Any, old: Any, outputs: Any, convention: Convention) -> None:
    if all(isinstance(amount, int) for amount in (new, old, outputs)):
        return
    worst = [int(np.max(amount, initial=0)) for amount in (new, old, outputs)]
    if total(_by_part(spec, worst[0], worst[1], worst[2], convention)) > _INT64_MAX:
        raise SpecError(
            f"{spec.name}: one of the calls costs more than 2^63 FLOPs",
            "calls that fit in int64",
            "pass Python integers, one call at a time",
        )
