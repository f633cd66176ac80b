"""FLOPs of whole pieces of work: training a model, answering one question; under one convention or under all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scalinglab.errors import DataError, SpecError
from scalinglab.flops.conventions import CONVENTIONS, Convention
from scalinglab.flops.counting import Breakdown, by_part, decode, prefill, total, whole
from scalinglab.specs import ModelSpec


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
    full_row, last_row = (by_part(spec, n, 0, n, convention) for n in (length, rest))
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

    bias is None where exact charges nothing or is unpriced. A preset that cannot price the model has but one key,
    unpriced: why.
    """

    def priced(rule: Convention) -> dict[str, Any]:
        phases = query(spec, prompt, generated, samples=samples, convention=rule)
        parts = components(spec, prompt, generated, samples=samples, convention=rule)
        return {phase: total(of) for phase, of in phases.items()} | {"total": total(parts), "components": parts}

    return _under_every_preset(priced)


def compare_training(spec: ModelSpec, tokens: int, *, sequence: int | None = None) -> dict[str, dict[str, Any]]:
    """``training`` under every preset: total, components and bias, or unpriced, as ``compare_conventions``."""

    def priced(rule: Convention) -> dict[str, Any]:
        parts = training(spec, tokens, sequence=sequence, convention=rule)
        return {"total": total(parts), "components": parts}

    return _under_every_preset(priced)


def _under_every_preset(priced: Callable[[Convention], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name, rule in CONVENTIONS.items():
        try:
            rows[name] = priced(rule)
        except SpecError as error:
            rows[name] = {"unpriced": str(error)}
    exact = rows["exact"].get("total")
    for row in rows.values():
        if "total" in row:
            row["bias"] = row["total"] / exact - 1 if exact else None
    return rows


def _one(value: Any, name: str, *, least: int = 0) -> int:
    """One count. Raises DataError for a column, or for less than ``least``."""
    count = whole(value, name)
    if not isinstance(count, int) or count < least:
        raise DataError(f"{name} is {count}", f"one whole number >= {least}", f"mend {name}")
    return count
