"""Differences between rows of a study over seeds: a mechanism and its controls, and trends along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalinglab.curves import MEASURED
from scalinglab.exchange.seeds import Cell


def beside(own: Sequence[Cell], control: Sequence[Cell], name: str) -> list[Cell]:
    """Each cell less the control's of the same group and R, or of the same group where it has no R.

    Both were compared with the same answer of the large model under the same resamples, so that it drops out.
    Where a cheapest answer costs more than may be spent there is none; beyond the dearest arm that was measured
    a side counts as the best of what was.
    """
    theirs = {(cell.row["bin"], cell.row["R"]): cell for cell in control}
    alone = {cell.row["bin"]: cell for cell in control if np.isnan(cell.row["R"])}
    found = []
    for cell in own:
        group = cell.row["bin"]
        other = theirs.get((group, cell.row["R"]), alone.get(group))
        if other is None or not (cell.known and other.known):
            continue
        found.append(
            replace(
                cell,
                row=cell.row | {"against": name},
                large=other.small,
                draws=cell.draws - other.draws,
                status=(MEASURED,) * len(cell.status),
                noise=cell.noise + other.noise,
                fewest=min(cell.fewest, other.fewest),
            )
        )
    return found


def trend(cells: Sequence[Cell], at: Sequence[float]) -> Cell | None:
    """The least-squares slope of the differences of groups at these places along an axis; None of fewer than two.

    Cells of one R and several groups, which have an accuracy in every seed.
    """
    kept = [(cell, x) for cell, x in zip(cells, at, strict=True) if cell.known]
    if len(kept) < 2:
        return None
    places = np.array([x for _, x in kept]) - np.mean([x for _, x in kept])
    share, parts = places / (places**2).sum(), [cell for cell, _ in kept]
    small, large = (
        np.tensordot(share, [getattr(one, side) for one in parts], axes=1) for side in ("small", "large")
    )
    return replace(
        parts[0],
        small=small,
        large=large,
        draws=np.tensordot(share, [one.draws for one in parts], axes=1),
        status=(MEASURED,) * len(small),
        size=sum(one.size for one in parts),
        problems=sum(one.problems for one in parts),
        noise=float(share**2 @ np.array([one.noise for one in parts])),
    )
