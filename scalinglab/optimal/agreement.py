"""How well predicted difficulty bins agree with oracle ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, interval
from scalinglab.errors import DataError
from scalinglab.optimal.bins import Bins


@dataclass(frozen=True)
class Agreement:
    """Predicted against oracle bins of the same problems.

    rate: the share of problems in the same bin, with its 95 % interval over problems; chance: what two unrelated
    divisions of these sizes would share. table: one row a bin: problems in the oracle's and in the predicted one,
    in both, precision (of the predicted) and recall (of the oracle's), None for an empty bin.
    """

    oracle: str
    predicted: str
    rate: float
    low: float
    high: float
    chance: float
    table: pd.DataFrame


def agreement(oracle: Bins, predicted: Bins) -> Agreement:
    """The agreement of two divisions into equally many bins (PAPER section 2: 52.8 %, chance about 20 %).

    Where both were set on the same few samples, luck they share makes them agree more than two would that were
    set on different ones. Raises DataError for bins of other problems, other counts, or one problem.
    """
    if oracle.problems != predicted.problems or oracle.count != predicted.count:
        raise DataError(
            f"{oracle.count} bins of {len(oracle.problems)} problems against {predicted.count} of "
            f"{len(predicted.problems)}",
            "as many bins of the same problems",
            "set both on the same run",
        )
    same = (oracle.labels == predicted.labels).astype(np.float64)
    low, high = interval(same)
    sizes, found = (_sizes(bins) for bins in (oracle, predicted))
    both = np.bincount(oracle.labels[same == 1], minlength=oracle.count + 1)[1:].astype(np.float64)
    rows = [
        {
            "bin": b + 1,
            "oracle": int(sizes[b]),
            "predicted": int(found[b]),
            "both": int(both[b]),
            "precision": float(both[b] / found[b]) if found[b] else None,
            "recall": float(both[b] / sizes[b]) if sizes[b] else None,
        }
        for b in range(oracle.count)
    ]
    chance = float((sizes * found).sum() / len(same) ** 2)
    table = pd.DataFrame(rows)
    rate = float(same.mean())
    return Agreement(oracle.source, predicted.source, rate, float(low), float(high), chance, table)


def _sizes(bins: Bins) -> Floats:
    return np.bincount(bins.labels, minlength=bins.count + 1)[1:].astype(np.float64)
