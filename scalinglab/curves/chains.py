"""Choosing among revisions: within each chain, then across the chains."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.curves.pools import Floats, Pool
from scalinglab.samples import Run


def hierarchical(run: Run, pool: Pool) -> Floats:
    """Whether the answer is right that a verifier picks within chains, then across them; shape (problems,).

    Best-of-N weighted within a chain names its answer, whose weight across chains is its best score there; the
    answer with most weight is taken, ties shared evenly (PAPER section 3, Sequential vs parallel, where the
    weight across chains is left open).
    """
    units = run.units.loc[run.units["strategy"] == "revisions"].set_index("key")["problem"]
    rows = run.solutions[run.solutions["unit"].isin(units.index) & (run.solutions["grade"] != "error")]
    rows = rows.assign(
        problem=rows["unit"].map(units),
        score=[float(scores[-1]) if len(scores) else np.nan for scores in rows["scores"]],
        right=(rows["grade"] == "right").astype(float),
    )
    parsed = rows[rows["grade"] != "unparsed"]
    answers = parsed.groupby(["problem", "chain", "answer"], sort=False).agg(
        total=("score", "sum"), best=("score", "max"), right=("right", "mean")
    )
    named = _tops(answers, "total", ["problem", "chain"])
    weight = named["best"] * named["share"]
    across = named.assign(weight=weight).groupby(["problem", "answer"], sort=False)
    finals = across.agg(weight=("weight", "sum"), right=("right", "mean"))
    chosen = _tops(finals, "weight", ["problem"])
    found = (chosen["right"] * chosen["share"]).groupby(level="problem").sum()
    return np.asarray(found.reindex(list(pool.problems), fill_value=0.0).to_numpy(np.float64))


def _tops(answers: pd.DataFrame, by: str, group: list[str]) -> pd.DataFrame:
    """The answers with most of a column in their group, and the share each has of a tie."""
    most = answers.groupby(level=group)[by].transform("max")
    tied = answers[answers[by] >= most * (1 - 1e-12)]
    return tied.assign(share=1 / tied.groupby(level=group)[by].transform("size"))
