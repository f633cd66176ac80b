"""Which model to train when it will also be used: the least training and inference FLOPs for a given loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalinglab.errors import DataError
from scalinglab.laws.law import Floats, Law
from scalinglab.laws.pretraining import CHINCHILLA, GADRE

_LARGEST = 600.0  # of a number's logarithm
_HALVINGS = 80  # of a range of log N of 20 or so, to the last digit


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
    log_n, log_d = allocate(
        known, above, training=6.0, answers=2 * inference_tokens, sizes=(smallest + 1e-9, smallest + 20)
    )
    if not (log_n < _LARGEST and log_d < _LARGEST):
        raise DataError(f"parameters {known}", "a law that a model of finite size meets", "mend the parameters")
    size, tokens = math.exp(log_n), math.exp(log_d)
    return Allocation(size, tokens, 6 * size * tokens + 2 * size * inference_tokens)


def allocate(
    known: Mapping[str, Any],
    above: Any,
    *,
    training: float,
    answers: Any,
    sizes: tuple[Any, Any],
    tokens: tuple[Any, Any] = (-math.inf, math.inf),
) -> tuple[Floats, Floats]:
    """Logs of N and D of least N (training D + answers) at which A / N^alpha + B / D^beta is at most ``above``.

    ``known``: A, B, alpha and beta; with ``above``, ``answers`` (inference FLOPs a parameter) and the ends of
    log N (``sizes``) and of log D (``tokens``) they broadcast. ``training``: FLOPs a parameter and token. NaN
    where no N and D between the ends get there.
    """
    with np.errstate(all="ignore"):
        low = np.maximum(sizes[0], _log_size(tokens[1], known, above))
        reached = (low <= sizes[1]) & (np.asarray(above) > 0)
        high = np.maximum(low, np.minimum(sizes[1], _log_size(tokens[0], known, above)))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            falls = _still_falls(middle, known, above, answers / training)
            low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        log_d = np.fmin(np.fmax(_log_tokens(low, known, above), tokens[0]), tokens[1])
    return np.where(reached, low, np.nan), np.where(reached, log_d, np.nan)


def _log_size(log_tokens: Any, known: Mapping[str, Any], above: Any) -> Floats:
    """Log N at which a model trained on so many tokens is so far above E; infinite where none is."""
    left = above - known["B"] * np.exp(-known["beta"] * log_tokens)
    return np.where(left > 0, np.log(known["A"] / left) / known["alpha"], np.inf)


def _log_tokens(log_size: Floats, known: Mapping[str, Any], above: Any) -> Floats:
    """Log D at which a model of this size is so far above E; infinite where it never is."""
    left = above - known["A"] * np.exp(-known["alpha"] * log_size)
    return np.where(left > 0, np.log(known["B"] / left) / known["beta"], np.inf)


def _still_falls(log_size: Floats, known: Mapping[str, Any], above: Any, answers: Any) -> Floats:
    """Whether a larger model would cost less: the sign of the derivative by log N, which changes once."""
    missed = known["A"] * np.exp(-known["alpha"] * log_size)
    tokens = np.exp(_log_tokens(log_size, known, above))
    saved = known["alpha"] * missed / (known["beta"] * (above - missed))  # % of D that 1 % more N saves
    return np.asarray(np.isinf(tokens) | (tokens * (saved - 1) > answers))


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
