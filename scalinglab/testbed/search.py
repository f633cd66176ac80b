"""Which rate is best for a size: the same search for both, by validation loss alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from scalinglab.tasks import problems
from scalinglab.testbed.ladder import LOSS_ROWS, validation_loss
from scalinglab.testbed.policy import load_model, train_policy
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Progress

PACES = (1.0, 2.0, 4.0)
DECAYS = (0.5, 1.0)
SEEDS = (100, 101, 102)
"""Seeds that no study has."""


def search_rates(
    scale: Scale,
    folder: str | Path,
    *,
    paces: Sequence[float] = PACES,
    decays: Sequence[float] = DECAYS,
    seeds: Sequence[int] = SEEDS,
    share: float = 0.25,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """A row a size, pace (the rates as a multiple of the recipe's) and decay: model, parameters, pace, decay,
    tokens, loss (nats a solution token of 1,000 validation problems, the mean over the seeds), lowest and highest
    (of the seeds), best (the least loss of its model).

    Each is trained on ``share`` of the scale's tokens, into a folder of its own in ``folder``; a stopped call is
    gone on with. All paces are tried at the first of ``decays``; the best of them at the others. Raises DataError
    where the folder cannot be written.
    """
    held_out = list(islice(problems("validation", scale.practised, seed=seeds[0]), LOSS_ROWS))

    def tried(name: str, pace: float, decay: float) -> dict[str, Any]:
        recipe = replace(scale.policy, tokens=int(scale.policy.tokens * share))
        shape = replace(getattr(scale, name), pace=pace, decay=decay)
        places = {seed: Path(folder) / f"{name}-{pace}-{decay}-{seed}" for seed in seeds}
        runs = [
            train_policy(replace(scale, policy=recipe), shape, place, seed=seed, progress=progress)
            for seed, place in places.items()
        ]
        losses = [validation_loss(load_model(place), held_out) for place in places.values()]
        row = {
            "model": name,
            "parameters": runs[0].parameters,
            "pace": pace,
            "decay": decay,
            "tokens": runs[0].tokens,
        }
        return row | {"loss": fmean(losses), "lowest": min(losses), "highest": max(losses)}

    rows = []
    for name in ("small", "large"):
        first = [tried(name, pace, decays[0]) for pace in paces]
        best = min(first, key=lambda row: row["loss"])
        rows += [*first, *(tried(name, best["pace"], decay) for decay in decays[1:])]
    found = pd.DataFrame(rows)
    return found.assign(best=found["loss"] == found.groupby("model")["loss"].transform("min"))
