"""The verdicts of an atlas in words: counted over its pairs, or of one pair under several rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.exchange.atlas import Atlas
from scalinglab.exchange.clauses import Row, listed, paying, sentence, short, verdict_clause, where
from scalinglab.exchange.paired import OUTSIDE
from scalinglab.exchange.pairs import SUNK

PAIR = ("small", "small_arm", "large", "large_arm")
"""What names a pair of arms in an atlas."""
_RATIO = 14
"""Of the sizes of the paper's two models (PAPER section 5)."""
_ALONE = "each interval stands alone: of many pairs some decide by chance"


def atlas_sentences(found: Atlas, *, r: float | None = None) -> tuple[str, ...]:
    """How often which verdict over the pairs whose small side has fewer active parameters, at the middle R."""
    fewer = found.pairs.loc[found.pairs["n_ratio"] > 1, list(PAIR)]
    rows = found.verdicts.merge(fewer, on=list(PAIR))
    asked = sorted(rows["R"].dropna().unique())
    if not asked:
        return (f"No two models of {found.task} are compared at equal lifetime FLOPs.",)
    at = asked[len(asked) // 2] if r is None else r
    here = rows[rows["R"] == at]
    counts = here["verdict"].replace(OUTSIDE, "outside").value_counts()
    told = listed([f"{verdict} in {n}" for verdict, n in counts.items()])
    first = (
        f"At R = {at:g}, of {len(here)} pairs of arms on {found.task} whose small side has fewer active "
        f"parameters, under {paying(found.convention)}: {told}"
    )
    sunk = int((here["basis"] == SUNK).sum())
    second = f"pretraining is sunk in {sunk} of them; {_ALONE}" if sunk else _ALONE
    return sentence(first), sentence(second)


def foremost_pairs(found: Atlas, count: int) -> pd.DataFrame:
    """The verdicts at the middle R on pairs whose small side has fewer active parameters, else on all pairs.

    Those whose sizes differ most like the paper's models (a ratio of 14) first, whoever wins.
    """
    rows = found.verdicts.merge(found.pairs[[*PAIR, "n_ratio"]], on=list(PAIR))
    asked = sorted(rows["R"].dropna().unique())
    rows = rows[rows["R"] == asked[len(asked) // 2]] if asked else rows
    rows = rows[rows["n_ratio"] > 1] if (rows["n_ratio"] > 1).any() else rows
    unlike = pd.Series(np.abs(np.log(rows["n_ratio"].astype("float64") / _RATIO)), rows.index)
    rows = rows.loc[unlike.sort_values(kind="stable").index]
    return pd.DataFrame(rows.head(count)[found.verdicts.columns])


def pair_sentences(
    found: Sequence[Atlas], key: tuple[str, str, str, str], *, r: float | None = None
) -> tuple[str, ...]:
    """One pair of arms: key is small, small_arm, large, large_arm; found: of the same body, one a rule."""
    one, row = found[0], _of_pair(found[0], key, r)
    pair = one.pairs[(one.pairs[list(PAIR)] == list(key)).all(axis=1)].iloc[0]
    small, large = (f"{model} ({arm})" for model, arm in (key[:2], key[2:]))
    part = f" for {_percent(row)} of queries and its cheapest answer to the others" if 0 < row["share"] < 1 else ""
    at = "At equal FLOPs" if row["R"] != row["R"] else f"At R = {row['R']:g}"
    told = verdict_clause(row, small=f"{small}{part}", large=large)
    first = f"{at} {where(one.task, int(pair['problems']))}, {told}, under {paying(one.convention)}"
    others = [(each, _of_pair(each, key, r)) for each in found[1:]]
    rest = [f"under {paying(each.convention)} {_affords(other)}{short(other)}" for each, other in others]
    second = f"pretraining is sunk; {row['unknown']}" if row["basis"] == SUNK else ""
    third = f"charged to nobody: {pair['uncharged']}" if pair["uncharged"] else ""
    return tuple(sentence(text) for text in ("; ".join([first, *rest]), second, third) if text)


def _of_pair(found: Atlas, key: tuple[str, str, str, str], r: float | None) -> Row:
    rows = found.verdicts[(found.verdicts[list(PAIR)] == list(key)).all(axis=1)]
    if rows.empty:
        raise ValueError(f"no pair {key} in {found.task}")
    asked = rows[rows["R"].notna()].sort_values("R")
    rows = rows if asked.empty else asked if r is None else asked[asked["R"] == r]
    return dict(rows.iloc[len(rows) // 2])


def _affords(row: Row) -> str:
    return f"it affords this for {_percent(row)} of queries: " if 0 < row["share"] < 1 else ""


def _percent(row: Row) -> str:
    return f"{100 * row['share']:.0f} %"
