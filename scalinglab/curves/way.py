"""One way to answer: a model, strategy, setting, verifier and selector, with what reads and prices it."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.curves.prices import Price
from scalinglab.curves.readers import Reader


@dataclass(frozen=True)
class Way:
    """Arms that differ in budget alone: how they answer, what reads them, and their Price under each rule.

    judge: the model behind the verifier that chooses; None for none, or an exact checker.
    """

    role: str
    model: str
    strategy: str
    setting: str
    verifier: str
    selector: str
    judge: str | None
    reader: Reader
    prices: tuple[Price, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of ``arms.ARM`` without the budget."""
        return (self.role, self.model, self.strategy, self.setting, self.verifier, self.selector)
