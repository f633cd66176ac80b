"""Which rate is best for a size: the same search for both, by validation loss alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.tasks import problems
from scalinglab.testbed.ladder import LOSS_ROWS, validation_loss
from scalinglab.testbed.policy import load_model, train_policy
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Progress

PACES = (0.5, 1.0, 2.0, 4.0, 8.0)
DECAYS = (0.5, 1.0)


def search_rates(
    scale: Scale,
    folder: str | Path,
    *,
    paces: Sequence[float] = PACES,
    decays: Sequence[float] = DECAYS,
    share: float = 0.25,
    seed: int = 100,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """A row a size, pace (the rates as a multiple of the recipe's) and decay: model, parameters, pace, decay,
    tokens, loss (nats a solution token of 1,000 validation problems), best (the least loss of its model).

    Each is trained on ``share`` of the scale's tokens, at a seed that no study has, into a folder of its own in
    ``folder``; a stopped call is gone on with. All paces are tried at the first of ``decays``; the best of them at
    the others. Raises DataError where the folder cannot be written.
    """
    held_out = list(islice(problems("validation", scale.levels, seed=seed), LOSS_ROWS))

    def tried(name: str, pace: float, decay: float) -> dict[str, Any]:
        tokens = int(scale.policy.tokens * share)
        shape = replace(getattr(scale, name), pace=pace)
        at = Path(folder) / f"{name}-{pace}-{decay}"
        recipe = replace(scale.policy, tokens=tokens, decay=decay)
        done = train_policy(replace(scale, policy=recipe), shape, at, seed=seed, progress=progress)
        loss = validation_loss(load_model(at), held_out)
        row = {"model": name, "parameters": done.parameters, "pace": pace, "decay": decay}
        return {**row, "tokens": done.tokens, "loss": loss}

    rows = []
    for name in ("small", "large"):
        first = [tried(name, pace, decays[0]) for pace in paces]
        best = min(first, key=lambda row: row["loss"])
        rows += [*first, *(tried(name, best["pace"], decay) for decay in decays[1:])]
    found = pd.DataFrame(rows)
    return found.assign(best=found["loss"] == found.groupby("model")["loss"].transform("min"))
