"""Which model to train when it will also be used: the least training and inference FLOPs for a given loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scalinglab.errors import DataError
from scalinglab.laws.law import Law
from scalinglab.laws.pretraining import CHINCHILLA, GADRE

_LARGEST = 600.0  # of a number's logarithm


@dataclass(frozen=True)
class Allocation:
    """N parameters trained on D tokens, and the FLOPs of training and inference together."""

    N: float
    D: float
    flops: float


def cheapest(
    values: Mapping[str, float], *, loss: float, inference_tokens: float = 0.0, law: Law = CHINCHILLA
) -> Allocation:
    """Sardana et al. 2024 (arXiv 2401.00448): min 6 N D + 2 N D_inf over N and D at a loss in nats a token.

    ``values`` are the parameters of Chinchilla's law (E, A, B, alpha, beta), or of Gadre's with one exponent.
    Without inference tokens it is the compute-optimal model. Raises DataError for parameters that are missing or
    not finite numbers above 0 (E may be 0), and for a loss that no model reaches.
    """
    known = _checked(values, law)
    above = loss - known["E"]
    if not (0 < above < math.inf and 0 <= inference_tokens < math.inf):
        raise DataError(
            f"a loss of {loss:g} nats and {inference_tokens:g} inference tokens",
            f"a finite loss above E = {known['E']:g} and no negative number of tokens",
            f"ask for what {law.name} can reach",
        )
    smallest = math.log(known["A"] / above) / known["alpha"]  # the log size that needs endless data
    low, high = smallest + 1e-9, smallest + 20
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _still_falls(middle, known, above, inference_tokens) else (low, middle)
    tokens = _tokens(low, known, above)
    if not (low < _LARGEST and math.isfinite(tokens)):
        raise DataError(f"parameters {known}", "a law that a model of finite size meets", "mend the parameters")
    size = math.exp(low)
    return Allocation(size, tokens, 6 * size * tokens + 2 * size * inference_tokens)


def _tokens(log_size: float, known: Mapping[str, float], above: float) -> float:
    """D at which a model of this size reaches the loss, so far above E."""
    left = above - known["A"] * math.exp(-known["alpha"] * log_size)
    exponent = math.log(known["B"] / left) / known["beta"] if left > 0 else math.inf
    return math.exp(exponent) if exponent < _LARGEST else math.inf


def _still_falls(log_size: float, known: Mapping[str, float], above: float, inference_tokens: float) -> bool:
    """Whether a larger model would cost less: the sign of the derivative by log N, which changes once."""
    missed = known["A"] * math.exp(-known["alpha"] * log_size)
    tokens = _tokens(log_size, known, above)
    if math.isinf(tokens):
        return True
    saved = known["alpha"] * missed / (known["beta"] * (above - missed))  # % of D that 1 % more N saves
    return 6 * tokens * (saved - 1) > 2 * inference_tokens


def _checked(values: Mapping[str, float], law: Law) -> dict[str, float]:
    """E, A, B, alpha and beta as numbers; the law with one exponent has it twice."""
    if law not in (CHINCHILLA, GADRE):
        raise DataError(f"law {law.name}", f"{CHINCHILLA.name} or {GADRE.name}", "choose one of these")
    wrong = [name for name in law.names if name not in values] + [name for name in values if name not in law.names]
    if wrong:
        given = f"parameters {', '.join(values) or 'none'} for law {law.name}"
        raise DataError(given, ", ".join(law.names), f"give all of these alone ({', '.join(wrong)})")
    for name, value in values.items():
        if not (0 < value < math.inf or (name == "E" and value == 0)):
            raise DataError(f"{name} = {value:g} for law {law.name}", "a finite number above 0", f"mend {name}")
    return {"beta": values["alpha"]} | {name: float(value) for name, value in values.items()}
