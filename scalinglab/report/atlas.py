"""An atlas as a report: its figure, every pair, every verdict; and a narrower table for a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scalinglab import plots
from scalinglab.exchange import OUTSIDE, Atlas, Forecast, atlas_sentences
from scalinglab.report.page import Report, Section

_PAIR = ["small", "small_arm", "large", "large_arm"]


def atlas_report(found: Sequence[Atlas], told: Forecast | None = None) -> Report:
    """Two sections a task: its pairs with their figure, and the verdicts on them; then the forecast's, if any."""
    tasks = ", ".join(dict.fromkeys(one.task for one in found))
    sections = [section for one in found for section in atlas_sections(one)]
    said = [sentence for one in found for sentence in atlas_sentences(one)]
    return Report(f"Every pair of models on {tasks}", [*sections, *forecast_sections(told)], said)


def atlas_sections(found: Atlas, name: str | None = None) -> list[Section]:
    """The pairs and the verdicts of one task; name: of their files."""
    name = name or re.sub(r"[^a-z0-9]+", "_", found.task.lower()).strip("_")
    where = f"{found.task} under {found.convention}"
    head = f"{where}: every pair, each model as it answered once"
    verdicts = f"{where}: verdicts, and break-even in the unknown"
    return [
        Section(f"{name}_pairs", head, [*found.notes, *atlas_left_out(found)], found.pairs, partial(_draw, found)),
        Section(f"{name}_verdicts", verdicts, [], found.verdicts),
    ]


def forecast_sections(found: Forecast | None) -> list[Section]:
    """Errors of each forecaster on pairs left out, with the sentence, and the mixed model's coefficients."""
    if found is None:
        return []
    head = "Forecasts of pairs left out: errors in accuracy points"
    terms = "The mixed model of the gain at equal lifetime FLOPs: points a unit"
    return [
        Section("forecast", head, [found.said, *found.notes], found.errors),
        Section("forecast_coefficients", terms, [], found.coefficients),
    ]


def atlas_rows(found: Atlas, verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Verdicts for a terminal, a row each: the verdict, the gain and the pair."""
    both = verdicts.merge(found.pairs, on=_PAIR, suffixes=("_at", ""))
    return [
        {"verdict": "outside" if row["verdict"] == OUTSIDE else row["verdict"], "at": at}
        | {
            "gain": f"{points(row['gain'])} ({ends(row['low'], row['high'])})",
            "FLOPs": f"{row['flops_ratio']:.3g}",
        }
        | {side: _arm(row, side) for side in ("small", "large")}
        | ({"in part": _part(row)} if both["share"].between(0, 1, inclusive="neither").any() else {})
        | ({"unknown": row["unknown"]} if (both["unknown"] != "").any() else {})
        for row, at in zip(both.to_dict("records"), _at(both), strict=True)
    ]


def points(share: float) -> str:
    """A difference in accuracy points, with its sign."""
    return f"{100 * share:+.1f}"


def ends(low: Any, high: Any) -> str:
    """An interval in accuracy points."""
    return "no interval" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"


def affordable(row: pd.Series) -> str:
    """Where the small arm costs no more over the lifetime, in words."""
    r = "" if pd.isna(row["affordable_r"]) else f" R = {row['affordable_r']:.3f}"
    return f"{row['affordable']}{r}" or "-"


def _arm(row: Mapping[Any, Any], side: str) -> str:
    arm = str(row[f"{side}_arm"])
    return f"{row[side]}" if arm == "one sample" else f"{row[side]}: {arm}"


def _at(verdicts: pd.DataFrame) -> list[str]:
    """Where each verdict stands."""
    return [
        f"R = {r:g}" if not np.isnan(r) else "equal FLOPs" if np.isnan(queries) else f"{queries:.3g} queries"
        for r, queries in zip(verdicts["R"], verdicts["queries"], strict=True)
    ]


def _part(row: Mapping[Any, Any]) -> str:
    """The difference where only a share of the queries can have the arm."""
    compared = 0 < row["share"] < 1 and row["difference"] == row["difference"]
    return f"{points(row['difference'])} with {100 * row['share']:.0f} %" if compared else ""


def atlas_left_out(found: Atlas) -> list[str]:
    """The models in no pair, by the reason."""
    reasons: dict[str, list[str]] = {}
    for name, why in found.left_out.items():
        reasons.setdefault(why, []).append(name)
    return [f"left out: {', '.join(names)}: {why}" for why, names in reasons.items()]


def _draw(found: Atlas) -> plots.Drawn:
    drawn, axes = plots.figure(width=10.5, height=5.2)
    plots.gain_by_cost(axes[0], found.pairs)
    axes[0].set_title(f"{found.task} ({found.convention})", fontsize=10)
    return drawn
