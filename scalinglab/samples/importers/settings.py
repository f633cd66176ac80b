"""What tells several evaluations of one model and task apart: the labels of their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import cut

Layers = Sequence[Mapping[str, Any]]
"""Settings of one evaluation, those that a user sees as its strategy first."""


def labels(settings: Sequence[Layers], names: Sequence[object]) -> list[str]:
    """A label an evaluation, of what differs in the first layer that tells all of them apart; one needs none.

    Raises DataError naming two that nothing tells apart: their answers may be the same ones twice.
    """
    if len(settings) == 1:
        return [""]
    for layers in zip(*settings, strict=True):
        keys = sorted({key for layer in layers for key in layer})
        differing = [key for key in keys if any(layer.get(key) != layers[0].get(key) for layer in layers)]
        found = [", ".join(f"{key}={cut(layer.get(key))}" for key in differing) for layer in layers]
        if len(set(found)) == len(found):
            return found
    raise DataError(
        f"{names[0]} and {names[1]} are of one model and task with the same settings",
        "one evaluation of each",
        "import them one by one, or take one away",
    )
