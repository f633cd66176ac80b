"""Everything that advice chooses among at a load, as a table: what can be run, what it reaches and takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.advise.candidates import Within, asked, candidates
from scalinglab.advise.choice import run_of
from scalinglab.exchange import View
from scalinglab.exchange.matching import positive


def offers(
    view: View, *, queries: float, mix: Sequence[float] | None = None, within: Within | None = None
) -> pd.DataFrame:
    """One row a line and budget, by line and rising cost.

    model, strategy, verifier; k and run, the same in words; accuracy; flops of a query, training FLOPs, and total:
    of the training and all queries. See ``advise`` for mix and within.
    """
    queries = positive(queries, "queries")
    data = asked(view, mix, within)
    weights = np.zeros((1, data.rows))
    for rows, share in data.strata:
        weights[0, rows] = share / len(rows)

    def each() -> Iterator[dict[str, Any]]:
        for one in candidates(data, weights):
            for k, accuracy, flops in zip(one.budgets, one.accuracy[0], one.flops[0], strict=True):
                yield {
                    "model": one.line.models[0], "strategy": one.line.label, "verifier": one.line.verifier,
                    "k": float(k), "run": run_of(view, one, float(k)), "accuracy": float(accuracy),
                    "flops": float(flops), "training": one.training,
                    "total": one.training + queries * float(flops),
                }  # fmt: skip

    columns = ["model", "strategy", "verifier", "k", "run", "accuracy", "flops", "training", "total"]
    return pd.DataFrame(each(), columns=columns)
