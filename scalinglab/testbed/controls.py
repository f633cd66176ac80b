"""What the small policy's compute might have bought instead: the controls of a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scalinglab.testbed.policy import train_policy
from scalinglab.testbed.scales import HELPERS, Scale
from scalinglab.testbed.training import Progress, Trained, trained_in

CONTROLS = ("more", "long")
LONGER = 4
"""How many times the tokens the straw man check gives the small shape."""


def train_controls(
    scale: Scale, folder: str | Path, *, longer: bool = False, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """Train the controls beside the testbed in ``folder``, or go on from where an earlier call stopped.

    more: the small shape, pretrained further by the FLOPs that the helpers and their data took. With ``longer``,
    long: at four times the tokens, which must gain less than the large shape does, or the pair is a straw man.
    Raises DataError where the folder holds no whole testbed or cannot be written.
    """
    times = {"more": 1 + sum(helper_costs(folder).values())} | ({"long": LONGER} if longer else {})
    return {
        name: train_policy(
            replace(scale, policy=replace(scale.policy, tokens=round(scale.policy.tokens * factor))),
            scale.small,
            Path(folder) / name,
            seed=seed,
            progress=progress,
        )
        for name, factor in times.items()
    }


def helper_costs(folder: str | Path) -> dict[str, float]:
    """What each helper and its data took, as a share of the small policy's pretraining (convention ``exact``)."""
    pretraining = trained_in(Path(folder) / "small").flops["exact"]
    runs = {name: trained_in(Path(folder) / name) for name in HELPERS}
    return {
        name: (run.flops["exact"] + run.data_flops.get("exact", 0)) / pretraining for name, run in runs.items()
    }
