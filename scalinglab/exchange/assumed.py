"""A pilot that nobody ran: problems whose difficulty is as assumed for a small and a large model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special
from scipy.stats import qmc

from scalinglab.curves import Floats
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence, Tokens
from scalinglab.exchange.redrawn import SPREAD
from scalinglab.specs import ModelSpec

PAIRING = 0.7
"""How alike two models find a problem hard: the correlation of normal scores of their chances."""
PROBLEMS = 512
_TOKENS = Tokens()
_KNOWN = 10**6  # samples, which leave nothing of a chance open


def assumed(
    small: float,
    large: float,
    *,
    specs: Mapping[str, ModelSpec],
    names: tuple[str, str] = ("small", "large"),
    spread: float = SPREAD,
    pairing: float = PAIRING,
    tokens: Tokens = _TOKENS,
    problems: int = PROBLEMS,
) -> Evidence:
    """Counts of problems with these mean chances of one sample of the small model and of the large one's answer.

    spread: the correlation of two samples of one problem, 0 (all alike) to 1 (each always right or never): chances
    are Beta with a + b = 1 / spread - 1. pairing: of the two models' difficulties. Raises DataError for numbers
    out of range.
    """
    for what, value in (("small accuracy", small), ("large accuracy", large), ("spread", spread)):
        if not 0 < value < 1:
            raise DataError(f"{what} {value:g}", "a number between 0 and 1", f"mend the {what}")
    if not -1 < pairing < 1:
        raise DataError(f"pairing {pairing:g}", "a correlation between -1 and 1", "mend the pairing")
    chances, answered = planted(small, large, spread=spread, pairing=pairing, problems=problems)
    correct = np.concatenate([np.rint(chances * _KNOWN), answered]).astype(np.int64)
    frame = pd.DataFrame(
        {
            "model": np.repeat(names, problems),
            "problem": [f"{i:05d}" for i in range(problems)] * 2,
            "n": np.repeat([_KNOWN, 1], problems),
            "correct": correct,
        }
    )
    return Evidence(
        "assumed accuracies", None, frame, names[0], names[1], specs=specs, tokens=tokens,
        lacking=tuple(name for name in names if name not in specs),
    )  # fmt: skip


def planted(
    small: float, large: float, *, spread: float, pairing: float, problems: int, seed: int = 0
) -> tuple[Floats, Floats]:
    """Chances of the small model's samples, and the large model's right answers (0 or 1), (problems,) both.

    Scrambled Sobol points: as few problems as these stand for all.
    """
    points = qmc.Sobol(3, seed=seed).random(problems)
    points = np.clip(points, 1e-9, 1 - 1e-9)
    one, two = special.ndtri(points[:, 0]), special.ndtri(points[:, 1])
    ranks = points[:, 0], special.ndtr(pairing * one + np.sqrt(1 - pairing**2) * two)
    weight = 1 / spread - 1
    chances = [
        special.betaincinv(weight * mean, weight * (1 - mean), rank)
        for mean, rank in zip((small, large), ranks, strict=True)
    ]
    return chances[0], (points[:, 2] < chances[1]).astype(np.float64)
