"""The record of a ledger: what was charged, entry by entry, and what was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.flops import Convention

Key = Literal["phase", "role", "model", "problem", "strategy", "unit"]
KEYS: tuple[Key, ...] = ("phase", "role", "model", "problem", "strategy", "unit")
PHASES = ("pretrain", "tune", "prefill", "decode", "verifier", "difficulty")
SHARED = "(shared)"
"""The problem, strategy and unit of an entry that serves all of them, such as pretraining; the role and model of
data that several helpers were trained on."""
ENTRY = [*KEYS, "part"]


@dataclass(frozen=True)
class Ledger:
    """FLOPs charged under one convention.

    ``entries``: phase, role, model, problem, strategy, unit, part (what the tokens were: the question, the
    context after it, or generated; of helpers' training, the data's key), tokens, flops (Python ints: sums stay
    exact).
    ``not_counted``: what, role, model, tokens (missing where unknown), why.
    """

    convention: Convention
    entries: pd.DataFrame
    not_counted: pd.DataFrame

    def total(self) -> int:
        """All FLOPs charged."""
        return int(self.entries["flops"].sum())

    def by(self, *keys: Key) -> pd.Series:
        """FLOPs by phase, role, model, problem, strategy or unit, or several; the parts add up to ``total()``."""
        unknown = [key for key in keys if key not in KEYS]
        if unknown or not keys:
            given = repr(unknown[0]) if unknown else "missing"
            raise DataError(f"ledger key {given}", f"one of {', '.join(KEYS)}", "choose a key")
        return self.entries.groupby(keys[0] if len(keys) == 1 else list(keys), sort=False)["flops"].sum()
