"""What verifiers said: one score of a sample from those of its steps, and a run as one verifier saw it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.samples.records import Run

AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "product": math.prod,
}
"""A sample's score from those of its steps, one or more; the last is best (PAPER section 3, Selection)."""


def scored_by(run: Run, verifier: str, *, model: str | None) -> Run:
    """The run as if this verifier alone had judged the samples that several verifiers judged.

    Its scores become the solutions' scores; of those units' verifier calls its ``model``'s are left (None: it
    calls none, as the exact checker does), so that the run is priced, pooled and voted on as any other.
    Units of one verifier or none, searches among them, stay as they are.
    Raises DataError where no unit was judged by it.
    """
    names = run.units.set_index("key")["verifiers"]
    if not names.map(lambda known: verifier in known).any():
        allowed = ", ".join(sorted(set().union(*names))) or "none: no verifier judged it"
        raise DataError(f"verifier {verifier!r}", f"one of {allowed}", "name a verifier of the run")
    several = names[names.map(len) > 1]
    missing = several[~several.map(lambda known: verifier in known)]
    if len(missing):
        raise DataError(
            f"verifier {verifier!r} did not judge unit {missing.index[0]}",
            f"one of {', '.join(missing.iloc[0])} there",
            "leave those units out",
        )
    calls, solutions = run.calls, run.solutions.copy()
    foreign = calls["unit"].isin(several.index) & (calls["role"] == "verifier") & (calls["model"] != model)
    others = solutions["unit"].isin(several[several.map(lambda known: known[0] != verifier)].index)
    chosen = solutions.loc[others, "other_scores"].map(lambda text: json.loads(text)[verifier])
    solutions["scores"] = pd.concat([solutions.loc[~others, "scores"], chosen]).reindex(solutions.index)
    return replace(run, calls=calls[~foreign], solutions=solutions)
