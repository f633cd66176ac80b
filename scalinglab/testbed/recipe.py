"""A whole testbed: both policies, the attempts, the two verifiers and the reviser."""

from __future__ import annotations

from pathlib import Path

from scalinglab.errors import DataError
from scalinglab.files import SHIPPED
from scalinglab.testbed.attempts import collect_attempts, key_of
from scalinglab.testbed.policy import load_model, train_pair
from scalinglab.testbed.reviser import train_reviser
from scalinglab.testbed.scales import Scale
from scalinglab.testbed.training import Data, Progress, Trained
from scalinglab.testbed.verifiers import orm_rows, prm_rows, train_verifier


def train_testbed(
    scale: Scale, folder: str | Path, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Trained]:
    """Train everything of a scale into ``folder``, a folder a model, or go on from where an earlier call stopped.

    Raises DataError where the folder cannot be written.
    """
    folder = Path(folder)
    pair = train_pair(scale, folder, seed=seed, progress=progress)
    small = folder / "small"
    tried = folder / "attempts.jsonl"
    attempts, spent = collect_attempts(scale, load_model(small), tried, seed=seed, progress=progress)
    data = Data(key_of(tried), spent)  # one file for all three
    verifiers = {
        name: train_verifier(rows, scale, small, folder / name, data=data, seed=seed, progress=progress)
        for name, rows in (("prm", prm_rows(attempts)), ("orm", orm_rows(attempts)))
    }
    reviser = train_reviser(attempts, scale, small, folder / "reviser", data=data, seed=seed, progress=progress)
    return {**pair, **verifiers, "reviser": reviser}


def shipped(name: str) -> Path:
    """The folder of a scale whose models come with the package. Raises DataError for another."""
    if not (folder := SHIPPED / "testbed" / name).is_dir():
        raise DataError(f"no models of scale {name!r} in the package", "base", "train it, and name its folder")
    return folder
