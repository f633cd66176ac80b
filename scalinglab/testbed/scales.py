"""How large a testbed is: the two shapes, what they practise, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    ``reviser``: how long and how fast each is trained.
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
    drill: int = 900


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
            Shape(24, 48, 2, 3),
            Shape(96, 360, 2, 6),
            levels=_levels((1, 1), (1, 2), (2, 1), (2, 2), (2, 4)),
            practice=(),
            policy=Recipe(400_000, decay=0.5, floor=0.1),
            verifier=Recipe(150_000, decay=0.7, warm_up=6_000),
            reviser=Recipe(150_000, _TUNED, decay=1.0, warm_up=3_000),
            questions=100,
            rollouts=8,
            drill=150,
        ),
        Scale(
            "base",
            Shape(64, 128, 2, 4),
            Shape(192, 592, 3, 8),
            levels=_levels((2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (3, 4), (4, 2), (4, 4)),
            practice=_levels((1, 1), (1, 2), (1, 3)),
            # This floor was chosen by who wins, and so is retracted as evidence: results/testbed-study/README.md.
            policy=Recipe(1_000_000, decay=0.4, floor=0.65, warm_up=20_000),
            verifier=Recipe(1_500_000, decay=0.7, warm_up=20_000),
            reviser=Recipe(5_400_000, (0.01, 1e-3), decay=0.6, floor=0.1, warm_up=20_000, first=3_000_000),
            questions=3_000,
            samples=8,
            rollouts=4,
        ),
    )
}
LADDER = Ladder(
    replace(SCALES["base"], policy=Recipe(1_000_000, warm_up=20_000)),
    shapes=(
        Shape(24, 48, 2, 3),
        Shape(32, 64, 2, 4),
        Shape(48, 96, 2, 4),
        SCALES["base"].small,
        Shape(96, 256, 2, 6),
    ),
    marks=(250_000, 500_000, 750_000, 1_000_000),
)
"""A family of sizes by one recipe at constant rates, so that a checkpoint is the end of a shorter training."""
