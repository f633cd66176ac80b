"""How large a testbed is: the two shapes, what they practise, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.tasks import Level
from scalinglab.testbed.training import Recipe

HEAD_DIM = 32
"""The smallest attention head that vLLM's CPU backend computes."""


@dataclass(frozen=True)
class Shape:
    """A Llama of this width and depth, its heads ``HEAD_DIM`` wide."""

    hidden: int
    intermediate: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Scale:
    """Two shapes 13.5 to 14.5 times apart in non-embedding parameters, trained on the same rows in the same order.

    ``levels`` are tested; training also sees ``practice``, which teaches the digits. ``policy``, ``verifier``,
    ``reviser``: how long and how fast each is trained (a policy's rates are those of a width of 64).
    ``questions``, ``samples``, ``rollouts``: problems attempted for the verifiers and the reviser, attempts at
    each, and rollouts from each step. ``rows``: rows a step of the optimiser.
    """

    name: str
    small: Shape
    large: Shape
    levels: tuple[Level, ...]
    practice: tuple[Level, ...]
    policy: Recipe
    verifier: Recipe
    reviser: Recipe
    questions: int
    samples: int = 16
    rollouts: int = 16
    rows: int = 16


@dataclass(frozen=True)
class Ladder:
    """Shapes trained alike at a constant rate, measured after each of ``marks`` tokens."""

    scale: Scale
    shapes: tuple[Shape, ...]
    marks: tuple[int, ...]
    problems: int = 200
    samples: int = 64


def _levels(*pairs: tuple[int, int]) -> tuple[Level, ...]:
    return tuple(Level(width, steps) for width, steps in pairs)


_TUNED = (0.005, 1e-3)
SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            "tiny",
            Shape(32, 84, 2, 2),
            Shape(128, 336, 2, 6),
            levels=_levels((1, 1), (1, 2), (1, 3), (2, 1), (2, 2)),
            practice=(),
            policy=Recipe(600_000),
            verifier=Recipe(200_000, _TUNED),
            reviser=Recipe(200_000, _TUNED),
            questions=200,
            rollouts=8,
        ),
        Scale(
            "base",
            Shape(64, 128, 2, 4),
            Shape(256, 704, 2, 8),
            levels=_levels((2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2)),
            practice=_levels((1, 1), (1, 2), (1, 3)),
            policy=Recipe(2_000_000, decay=0.0),
            verifier=Recipe(1_000_000, _TUNED),
            reviser=Recipe(1_000_000, _TUNED),
            questions=1000,
        ),
    )
}
LADDER = Ladder(
    SCALES["base"],
    shapes=(
        Shape(32, 64, 2, 2),
        Shape(48, 96, 2, 3),
        SCALES["base"].small,
        Shape(96, 256, 2, 6),
        Shape(128, 352, 2, 8),
        Shape(192, 512, 2, 8),
        SCALES["base"].large,
    ),
    marks=(250_000, 500_000, 1_000_000, 2_000_000),
)
"""The sizes of the family between and below base's pair, by base's recipe."""
