"""FLOPs of one query as a function of its samples, from token counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab import flops
from scalinglab.flops import Convention
from scalinglab.specs import ModelSpec


@dataclass(frozen=True)
class QueryCost:
    """FLOPs of one query answered with k samples: ``fixed + k * per_sample``."""

    fixed: float
    per_sample: float

    def at(self, k: Any) -> Any:
        return self.fixed + k * self.per_sample


def spec_cost(
    spec: ModelSpec, prompt: int, generated: int, *, convention: Convention, verified: bool = False
) -> QueryCost:
    """QueryCost of parallel samples from token counts.

    With ``verified``, a verifier of the model's own size checks every sample: it reads the question by the
    convention's rule for prompts and every generated token once.
    """
    reading = flops.total(flops.prefill(spec, prompt, convention=convention))
    writing = flops.total(flops.decode(spec, prompt, generated, convention=convention))
    if verified:
        reading += flops.cost(spec, prompt, convention=convention)
        writing += flops.cost(spec, generated, context=prompt, logits=1, convention=convention)
    fixed, each = {"free": (0, 0), "once": (1, 0), "per-sample": (0, 1)}[convention.prompts]
    return QueryCost(float(fixed * reading), float(each * reading + writing))
