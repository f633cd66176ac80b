"""How large a testbed is: the two shapes, what they practise, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalinglab.tasks import Level
from scalinglab.testbed.training import Recipe

HEAD_DIM = 32
"""The smallest attention head that vLLM's CPU backend computes."""


HELPERS = ("prm", "orm", "reviser")


@dataclass(frozen=True)
class Shape:
    """A Llama of this width and depth, its heads ``HEAD_DIM`` wide.

    pace: the rate of its training as a multiple of the recipe's. decay: the share of the training over which the
    rate falls; None: the recipe's. Both are the best for its size by validation loss.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    pace: float = 1.0
    decay: float | None = None


@dataclass(frozen=True)
class Attempted:
    """How much is attempted to make a helper's data: problems, answers to each (or revisions in a chain), and
    rollouts from each step."""

    questions: int
    answers: int
    rollouts: int = 0


@dataclass(frozen=True)
class Scale:
    """Two shapes about 14 times apart in parameters, trained on the same rows in the same order.

    ``policy``, ``prm``, ``orm``, ``reviser``: how long and how fast each is trained. ``steps``: what the process
    verifier learns of, attempts with rollouts; ``tries``: what the reviser is made of, attempts; ``chains``: what
    the outcome verifier judges, the reviser's. ``levels`` are tested, and helpers' data are of them; policies are
    trained on ``practice`` too.
    """

    name: str
    small: Shape
    large: Shape
    levels: tuple[Level, ...]
    policy: Recipe
    prm: Recipe
    orm: Recipe
    reviser: Recipe
    steps: Attempted
    tries: Attempted
    chains: Attempted
    practice: tuple[Level, ...] = ()

    @property
    def practised(self) -> tuple[Level, ...]:
        """All levels that policies are trained on."""
        return self.levels + self.practice


@dataclass(frozen=True)
class Ladder:
    """Shapes trained by one recipe, once for each of ``marks`` tokens, and measured.

    repeated: the widths of those that are trained from further seeds too, ``seeds`` in all.
    """

    scale: Scale
    shapes: tuple[Shape, ...]
    marks: tuple[int, ...]
    repeated: tuple[int, ...] = ()
    seeds: int = 3
    problems: int = 200
    samples: int = 64


SMALL, LARGE = Shape(32, 43, 2, 2, pace=2.0), Shape(128, 411, 2, 4, pace=2.0, decay=1.0)
_TUNED = Recipe(150_000, rates=(0.01, 1.5e-3), decay=1.0, warm_up=10_000, rows=32)
_BASE = Scale(
    "base",
    SMALL,
    LARGE,
    levels=tuple(Level(facts, sums) for facts in range(3) for sums in range(5) if facts + sums),
    policy=Recipe(6_000_000, decay=0.5),
    prm=_TUNED,
    orm=_TUNED,
    reviser=replace(_TUNED, tokens=190_000),
    steps=Attempted(160, 8, rollouts=8),
    tries=Attempted(1_000, 8),
    chains=Attempted(400, 6),
    practice=tuple(Level(facts, sums) for facts in (3, 4) for sums in range(5)),
)
SCALES = {
    "tiny": replace(
        _BASE,
        name="tiny",
        levels=tuple(Level(*level) for level in ((0, 1), (1, 0), (0, 2), (1, 1), (2, 0))),
        practice=(),
        policy=Recipe(400_000, decay=0.5, warm_up=20_000, rows=32),
        prm=replace(_TUNED, tokens=20_000, warm_up=2_000),
        orm=replace(_TUNED, tokens=20_000, warm_up=2_000),
        reviser=replace(_TUNED, tokens=40_000, warm_up=2_000),
        steps=Attempted(50, 4, rollouts=4),
        tries=Attempted(100, 8),
        chains=Attempted(100, 4),
    ),
    "base": _BASE,
}
LADDER = Ladder(
    _BASE,
    shapes=(
        Shape(16, 20, 2, 1, pace=2.0),
        Shape(24, 30, 2, 1, pace=2.0),
        SMALL,
        Shape(48, 96, 2, 2, pace=2.0),
        Shape(72, 200, 2, 3, pace=2.0),
    ),
    marks=(750_000, 1_500_000, 3_000_000, 6_000_000),
    repeated=(24, 48),
)
"""A family of sizes; their pace and decay are the small model's."""
