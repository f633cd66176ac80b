"""Which model to train when it will also be used: the least training and inference FLOPs for a given loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from scalinglab.errors import DataError
from scalinglab.laws.law import Law
from scalinglab.laws.pretraining import CHINCHILLA, GADRE


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
    if not (0 < above < np.inf and 0 <= inference_tokens < np.inf):
        raise DataError(
            f"a loss of {loss:g} nats and {inference_tokens:g} inference tokens",
            f"a finite loss above E = {known['E']:g} and no negative number of tokens",
            f"ask for what {law.name} can reach",
        )
    least = np.log(known["A"] / above) / known["alpha"]  # the size that needs endless data

    def tokens(size: float) -> float:
        left = above - known["A"] * np.exp(-known["alpha"] * size)
        return float(np.exp(np.log(known["B"] / left) / known["beta"]))

    def spent(size: float) -> float:
        return float(size + np.log(6 * tokens(size) + 2 * inference_tokens))

    best = minimize_scalar(spent, bounds=(least + 1e-6, least + 20), method="bounded", options={"xatol": 1e-10}).x
    return Allocation(float(np.exp(best)), tokens(best), float(np.exp(spent(best))))


def _checked(values: Mapping[str, float], law: Law) -> dict[str, float]:
    """E, A, B, alpha and beta as numbers; the law with one exponent has it twice."""
    if law not in (CHINCHILLA, GADRE):
        raise DataError(f"law {law.name}", f"{CHINCHILLA.name} or {GADRE.name}", "choose one of these")
    wrong = [name for name in law.names if name not in values] + [name for name in values if name not in law.names]
    if wrong:
        given = f"parameters {', '.join(values) or 'none'} for law {law.name}"
        raise DataError(given, ", ".join(law.names), f"give all of these alone ({', '.join(wrong)})")
    for name, value in values.items():
        if not (0 < value < np.inf or (name == "E" and value == 0)):
            raise DataError(f"{name} = {value:g} for law {law.name}", "a finite number above 0", f"mend {name}")
    return {"beta": values["alpha"]} | {name: float(value) for name, value in values.items()}
