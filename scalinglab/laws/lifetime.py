"""Which model to train when it will also be used: the least training and inference FLOPs for a given loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from scalinglab.errors import DataError
from scalinglab.laws.pretraining import CHINCHILLA


@dataclass(frozen=True)
class Allocation:
    """N parameters trained on D tokens, and the FLOPs of training and inference together."""

    N: float
    D: float
    flops: float


def cheapest(values: Mapping[str, float], *, loss: float, inference_tokens: float = 0.0) -> Allocation:
    """Sardana et al. 2024 (arXiv 2401.00448): min 6 N D + 2 N D_inf over N and D at a loss in nats a token.

    ``values`` are Chinchilla's E, A, B, alpha and beta. Without inference tokens it is the compute-optimal model.
    Raises DataError for a loss that no model reaches.
    """
    above = loss - values["E"]
    if not above > 0 or inference_tokens < 0:
        raise DataError(
            f"a loss of {loss:g} nats and {inference_tokens:g} inference tokens",
            f"a loss above E = {values['E']:g} and no negative number of tokens",
            f"ask for what {CHINCHILLA.name} can reach",
        )
    least = np.log(values["A"] / above) / values["alpha"]  # the size that needs endless data

    def tokens(size: float) -> float:
        left = above - values["A"] * np.exp(-values["alpha"] * size)
        return float(np.exp(np.log(values["B"] / left) / values["beta"]))

    def spent(size: float) -> float:
        return float(size + np.log(6 * tokens(size) + 2 * inference_tokens))

    best = minimize_scalar(spent, bounds=(least + 1e-6, least + 20), method="bounded", options={"xatol": 1e-10}).x
    return Allocation(float(np.exp(best)), tokens(best), float(np.exp(spent(best))))
