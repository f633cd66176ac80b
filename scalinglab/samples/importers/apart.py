"""What keeps several evaluations of one model and task apart: labels of the settings that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import cut

Layers = Sequence[Mapping[str, Any]]
"""Settings of one evaluation, those that a user sees as its strategy first."""


def kept_apart(
    keys: Sequence[tuple[str, ...]], settings: Sequence[Layers], names: Sequence[object]
) -> tuple[list[str], list[str]]:
    """A label an evaluation, empty where it alone has its key (model, task, effort), and notes on the others.

    names: what errors call each. Raises DataError naming two that nothing tells apart: their answers may be the
    same ones twice.
    """
    found, notes = [""] * len(keys), []
    alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, key in enumerate(keys):
        alike[key].append(at)
    for key, group in alike.items():
        if len(group) > 1:
            told = _labels([settings[at] for at in group], [names[at] for at in group])
            notes.append(
                f"{' on '.join(key[:2])}: {len(group)} evaluations, each an arm of its own: {'; '.join(told)}"
            )
            for at, label in zip(group, told, strict=True):
                found[at] = label
    return found, notes


def _labels(settings: Sequence[Layers], names: Sequence[object]) -> list[str]:
    """What differs in the first layer that tells all of them apart."""
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
