"""The one comparison: every line of the small side against the large model, under every rule that can price it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from scalinglab.evidence import Evidence
from scalinglab.exchange.breakeven import breakeven
from scalinglab.exchange.matched import verdicts
from scalinglab.exchange.notes import notes_of
from scalinglab.exchange.paired import PAPER_R, sensitivity
from scalinglab.exchange.views import View, views
from scalinglab.exchange.weak import weakened
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.names import Shown


@dataclass(frozen=True)
class Comparison(Shown):
    """A small model with test-time compute against a large one on equal lifetime FLOPs.

    verdicts: see ``matched.verdicts``. breakeven: see ``breakeven.breakeven``. unpriced: conventions left out,
    each with its reason. notes: what every number here rests on. views: what was compared, one a convention.
    task: what was asked, "" where nothing names it. names: what models are called, where data name them by role.
    """

    small: str
    large: str
    verdicts: pd.DataFrame
    breakeven: pd.DataFrame
    unpriced: Mapping[str, str]
    notes: tuple[str, ...]
    views: tuple[View, ...] = field(repr=False)
    task: str = ""
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        head = self.verdicts[self.verdicts["interval"] == "simultaneous"]
        counts = ", ".join(f"{n} {verdict}" for verdict, n in head["verdict"].value_counts().items())
        rules = ", ".join(view.arms.convention for view in self.views)
        return (
            f"Comparison({self.small} against {self.large}: {counts};\n  {len(self.verdicts)} rows under {rules})"
        )

    def sensitivity(self) -> pd.DataFrame:
        """One row a strategy, bin and R: the verdict under each convention (see ``paired.sensitivity``)."""
        return sensitivity(self.verdicts)

    def called(self, model: str) -> str:
        """What a model of the data is called."""
        return self.names.get(model, model)

    def view(self, convention: str) -> View:
        """What was compared under one convention."""
        return next(view for view in self.views if view.arms.convention == convention)


def compare(
    evidence: Evidence,
    *,
    r: Sequence[float] = PAPER_R,
    rules: Sequence[Convention] = tuple(CONVENTIONS.values()),
    bins: int = 5,
    sunk: bool = False,
    thinking: bool = False,
    weak: str | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare every strategy of the small model with the large model, over all problems and in difficulty bins.

    ``sunk``: nobody pays pretraining, as with open weights. ``thinking``: the large model also at each of its own
    budgets. ``weak``: the weak-verifier study of this verifier (see ``weakened``) in place of the strategies.
    ``strict``: refuse evidence in which a problem is missing on one side. Raises DataError where no convention can
    price it, or it names no pair of models.
    """
    change = None if weak is None else weakened(evidence, weak, seed=seed)
    found, unpriced = views(evidence, rules, bins=bins, sunk=sunk, strict=strict, seed=seed, change=change)
    small, large = evidence.pair()
    return Comparison(
        small, large, verdicts(found, r, thinking=thinking, seed=seed), breakeven(found, seed=seed), unpriced,
        tuple(note.text for note in notes_of(evidence, found, sunk=sunk, weak=weak)), tuple(found),
        evidence.task(), evidence.names,
    )  # fmt: skip
