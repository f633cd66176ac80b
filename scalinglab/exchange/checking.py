"""What it takes to verify the large model's one answer, where a rule charges verifiers on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.curves import Arms, Floats, checking
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention


def checks_of(arms: Arms, evidence: Evidence, rule: Convention, large: str) -> dict[str, Floats]:
    """What verifying the large model's one answer takes, (problems,), by verifier; "" stands for a perfect one.

    As its own samples recorded it, else by the tokens of its answer.
    """
    if rule.verifier != "both" or evidence.run is None:
        return {}
    own = arms.table[(arms.table["model"] == large) & (arms.table["budget"] == 1)]
    tokens, found = evidence.tokens_of(large), {}
    for verifier, judge in ({"": large} | dict(evidence.verifiers)).items():
        if judge is None or judge not in evidence.specs:
            continue
        recorded = own[(own["verifier"] == verifier) & (own["verifier"] != "")]
        plain = own[(own["verifier"] == "") & (own["selector"] == "majority")]
        pair = (
            recorded.merge(plain, on=["strategy", "setting"], suffixes=("", "_plain"))
            if len(recorded)
            else recorded
        )
        if len(pair):
            at = [_column(own, pair[f"way{end}"].iloc[0]) for end in ("", "_plain")]
            found[verifier] = arms.flops[:, at[0]] - arms.flops[:, at[1]]
        else:
            once, each = checking(evidence.spec(judge), tokens, rule)
            found[verifier] = np.full(len(arms.problems), once + each)
    return found


def _column(table: pd.DataFrame, way: int) -> int:
    return int(table.index[table["way"] == way][0])
