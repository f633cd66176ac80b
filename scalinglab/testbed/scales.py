"""How large a testbed is: the two shapes, what they practise, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.tasks import Level


@dataclass(frozen=True)
class Shape:
    """A Llama of this width and depth."""

    hidden: int
    intermediate: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Scale:
    """Two shapes 13.5 to 14.5 times apart in non-embedding parameters, trained on the same rows in the same order.

    ``tokens``: training tokens D of each model, padding left out. ``rows``: problems a step of the optimiser.
    """

    name: str
    small: Shape
    large: Shape
    levels: tuple[Level, ...]
    tokens: int
    rows: int = 64


_TINY_LEVELS = tuple(Level(width, steps) for width, steps in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2)))
_BASE_LEVELS = tuple(
    Level(width, steps) for width, steps in ((2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2), (3, 3))
)
SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", Shape(32, 84, 2, 4), Shape(120, 316, 2, 4), _TINY_LEVELS, 750_000),
        Scale("base", Shape(64, 170, 4, 4), Shape(240, 640, 4, 4), _BASE_LEVELS, 4_000_000),
    )
}
