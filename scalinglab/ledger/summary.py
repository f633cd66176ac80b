"""A ledger for reading: its phases from pretraining to difficulty, and what it left out in one sentence."""

from __future__ import annotations

import pandas as pd

from scalinglab.ledger.record import PHASES, Key, Ledger


def summary(ledger: Ledger, *keys: Key) -> pd.DataFrame:
    """What was charged by ``keys``, by default phase, role and model; phases in order of a model's life.

    Columns: the keys, tokens (missing where only FLOPs are known, as of helpers' training), flops (Python ints),
    share (of all FLOPs charged, 0..1).
    """
    by = list(keys or ("phase", "role", "model"))
    spent = ledger.by(*by)
    entries = ledger.entries.assign(tokens=ledger.entries["tokens"].mask(ledger.entries["phase"] == "tune"))
    tokens = entries.groupby(by, sort=False)["tokens"].sum(min_count=1)
    table = spent.to_frame().join(tokens.rename("tokens")).reset_index()
    table["share"] = [part / (ledger.total() or 1) for part in table["flops"]]
    if "phase" in by:
        order = table["phase"].map({phase: place for place, phase in enumerate(PHASES)})
        table = table.loc[order.sort_values(kind="stable").index].reset_index(drop=True)
    return table.astype({"tokens": "Int64"})[[*by, "tokens", "flops", "share"]]


def left_out(ledger: Ledger) -> str:
    """What the ledger did not count, and why, in one sentence to stand under a priced table."""
    rows = ledger.not_counted
    parts = [_part(str(why), group) for why, group in rows.groupby("why", sort=False)]
    return f"not counted under {ledger.convention.name}: {'; '.join(parts) or 'nothing'}"


def _part(why: str, rows: pd.DataFrame) -> str:
    models = ", ".join(dict.fromkeys(map(str, rows["model"])))
    kinds = rows["what"].unique()
    what = str(kinds[0]) if len(kinds) == 1 else "tokens"
    count = "" if rows["tokens"].isna().any() else f"{int(rows['tokens'].sum()):,} "
    return f"{count}{what} of {models} ({why})"
