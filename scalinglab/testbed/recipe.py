"""A whole testbed: both policies, then the verifiers and the reviser, each from attempts of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from scalinglab.errors import DataError
from scalinglab.files import SHIPPED
from scalinglab.testbed.attempts import attempting, gathered
from scalinglab.testbed.policy import load_model, train_pair
from scalinglab.testbed.reviser import revising, train_reviser
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Progress, Trained
from scalinglab.testbed.verifiers import orm_rows, prm_rows, train_verifier


def train_testbed(
    scale: Scale, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """Train everything of a scale into ``folder``, a folder a model, or go on from where an earlier call stopped.

    Raises DataError where the folder cannot be written.
    """
    folder = Path(folder)
    pair = train_pair(scale, folder, seed=seed, progress=progress)
    return {**pair, **train_helpers(scale, folder, seed=seed, progress=progress)}


def train_helpers(
    scale: Scale, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """The process verifier, the reviser and, on the reviser's chains, the outcome verifier of the small policy."""
    folder = Path(folder)
    small = folder / "small"
    policy = load_model(small)
    gather = partial(gathered, scale.levels, seed=seed, progress=progress)
    verifier = partial(train_verifier, policy=small, scale=scale.name, seed=seed, progress=progress)
    steps, data = gather(scale.steps.questions, folder / "steps.jsonl", attempting(policy, scale.steps))
    prm = verifier(prm_rows(steps), scale.prm, folder=folder / "prm", data=data)
    tries, data = gather(scale.tries.questions, folder / "tries.jsonl", attempting(policy, scale.tries))
    reviser = train_reviser(
        tries, scale.reviser, small, folder / "reviser", data=data, scale=scale.name, seed=seed, progress=progress
    )
    revised = revising(load_model(folder / "reviser"), scale.chains.answers)
    chains, data = gather(scale.chains.questions, folder / "chains.jsonl", revised)
    orm = verifier(orm_rows(chains), scale.orm, folder=folder / "orm", data=data)
    return {"prm": prm, "reviser": reviser, "orm": orm}


def shipped(name: str) -> Path:
    """The folder of a scale whose models come with the package. Raises DataError for another."""
    if not (folder := SHIPPED / "testbed" / name).is_dir():
        raise DataError(f"no models of scale {name!r} in the package", "base", "train it, and name its folder")
    return folder
