"""What is to be run, in words: arms and shares of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Part:
    """A share of queries, and the row of the table of arms that answers those of each bin."""

    share: float
    arms: tuple[int, ...]


def arm_name(arm: pd.Series) -> str:
    """An arm in words: its model, strategy, setting, selector, verifier and samples."""
    setting = str(arm["setting"]).strip("{}").replace('"', "").replace(": ", "=")
    by = f" by {arm['verifier']}" if arm["verifier"] else ""
    what = f"{arm['strategy']}({setting})" if setting else arm["strategy"]
    return f"{arm['model']} {what} x{arm['budget']}, {arm['selector']}{by}"


def described(parts: Sequence[Part], bins: Sequence[object], arms: pd.DataFrame) -> str:
    """The mixture: "0.7 of queries: an arm; 0.3 of queries: bins 1, 2: another | bin 3: a third"."""
    if len(parts) == 1:
        return _configuration(parts[0], bins, arms)
    return "; ".join(f"{part.share:.3g} of queries: {_configuration(part, bins, arms)}" for part in parts)


def _configuration(part: Part, bins: Sequence[object], arms: pd.DataFrame) -> str:
    places: dict[int, list[str]] = {}
    for name, arm in zip(bins, part.arms, strict=True):
        places.setdefault(arm, []).append(str(name))
    names = {arm: arm_name(arms.iloc[arm]) for arm in places}
    if len(places) == 1:
        return next(iter(names.values()))
    return " | ".join(
        f"{'bins' if len(at) > 1 else 'bin'} {', '.join(at)}: {names[arm]}" for arm, at in places.items()
    )
