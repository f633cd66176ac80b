"""A testbed's criteria, losses, accuracies and calibration as one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab import plots
from scalinglab.curves import Floats, interval
from scalinglab.report import Report, Section
from scalinglab.testbed.controls import CONTROLS
from scalinglab.testbed.criteria import Criterion
from scalinglab.testbed.measure import PARTS, Measured
from scalinglab.testbed.training import Trained, finished

_BANDS = 10


def report_of(
    found: Measured, judged: Sequence[Criterion], folder: str | Path, *, ladder: pd.DataFrame | None = None
) -> Report:
    """Everything about the testbed in ``folder``: ``found`` and ``judged`` on it, its manifests, a ladder's rows.

    Raises DataError where the folder lacks a model.
    """
    runs = {name: finished(Path(folder) / name) for name in (*PARTS, *CONTROLS)}
    trained = {name: run for name, run in runs.items() if run is not None}
    sections = [_criteria(judged, len(found.drawn)), _costs(trained, found.losses), _losses(trained)]
    sections += [_levels(found), _calibration(found), _chain(found)]
    return Report(
        "A testbed trained from scratch", [*sections, *([_ladder(ladder)] if ladder is not None else [])]
    )


def _criteria(judged: Sequence[Criterion], count: int) -> Section:
    rows = [{"name": c.name, "value": c.value, "wanted": c.wanted, "pass": c.passed} for c in judged]
    notes = [f"{count} fresh test problems; intervals: 95 %, bootstrap over problems"]
    return Section("criteria", "What makes the testbed useful", notes, pd.DataFrame(rows))


def _costs(trained: dict[str, Trained], losses: Mapping[str, float]) -> Section:
    rows = [
        {"model": name, "parameters": t.parameters, "non-embedding": t.non_embedding, "tokens": t.tokens}
        | {"steps": t.steps, "seconds": t.seconds, "validation loss": losses.get(name, np.nan)}
        | {f"FLOPs ({rule})": spent for rule, spent in t.flops.items()}
        | {f"FLOPs of data ({rule})": t.data_flops.get(rule, 0) for rule in t.flops}
        for name, t in trained.items()
    ]
    notes = [
        "training FLOPs: three forward passes of every row",
        "data: attempts, rollouts and chains, of each helper its own",
        "more: the small shape, pretrained further by what the helpers took",
    ]
    return Section("training", "What training cost", [*notes, *_straw_man(trained, losses)], pd.DataFrame(rows))


def _straw_man(trained: dict[str, Trained], losses: Mapping[str, float]) -> list[str]:
    """Whether more tokens would have gained the small policy more than the larger size does."""
    if "long" not in losses:
        return []
    small, large, long = (losses[name] for name in ("small", "large", "long"))
    times = trained["long"].tokens / trained["small"].tokens
    said = "no straw man" if long > large else "A STRAW MAN: tokens gain more than size"
    return [
        f"long: the small shape at {times:.0f} times the tokens has a validation loss of {long:.3f} nats a token "
        f"of the solution, from {small:.3f}; the larger size has {large:.3f} ({said})"
    ]


def _losses(trained: dict[str, Trained]) -> Section:
    curves = [
        pd.DataFrame({"model": name, "tokens": np.linspace(0, t.tokens, len(t.loss) + 1)[1:], "loss": t.loss})
        for name, t in trained.items()
    ]
    table = pd.concat(curves, ignore_index=True)
    notes = ["mean of every 20 steps, nats a token that is learned"]
    labels = {"xlabel": "training tokens", "ylabel": "loss (nats)"}
    draw = partial(_lines, table, labels, x="tokens", y="loss", by="model", log="y")
    return Section("loss", "Losses", notes, table, draw)


def _levels(found: Measured) -> Section:
    levels = [str(problem.level) for problem in found.drawn]
    shown = {
        "small, temperature 1": found.prm.correct / found.prm.n,
        "small, greedy": found.small,
        "large, greedy": found.large,
        "reviser, 8th answer": found.chains[:, :, -1].mean(axis=1),
    }
    rows = [
        {"level": level, "answers": name, **_mean(values[[x == level for x in levels]])}
        for level in sorted(set(levels))
        for name, values in shown.items()
    ]
    table = pd.DataFrame(rows)
    notes = ["accuracy on fresh test problems; bands: 95 %, bootstrap over problems"]
    labels = {"xlabel": "", "ylabel": "accuracy", "ylim": (0, 1.03)}
    draw = partial(_lines, table, labels, x="level", y="accuracy", by="answers", low="low", high="high")
    return Section("levels", "Accuracy by level", notes, table, draw)


def _calibration(found: Measured) -> Section:
    """Steps and answers by score: how often the checker agrees."""
    steps = (np.concatenate(found.step_scores), np.concatenate(found.step_right).astype(float))
    graded = [
        (p.graded.scores.ravel(), p.graded.right.ravel().astype(float)) for p in (found.prm, found.orm) if p.graded
    ]
    rows = [
        {"verifier": name, **band}
        for name, (scores, right) in zip(
            ("PRM, steps", "PRM, answers", "ORM, answers"), [steps, *graded], strict=True
        )
        for band in _bands(scores, right)
    ]
    table = pd.DataFrame(rows)
    notes = [
        "small policy's samples, in tenths of the score; share right by the exact checker",
        "a right step early in a hard problem has a low value: the PRM says how likely the end is right",
    ]
    labels = {"xlabel": "verifier's score", "ylabel": "share right", "xlim": (0, 1), "ylim": (0, 1.03)}
    draw = partial(_lines, table, labels, x="score", y="right", by="verifier")
    return Section("calibration", "Verifier calibration", notes, table, draw)


def _chain(found: Measured) -> Section:
    rates = found.chains.mean(axis=1)
    low, high = interval(rates)
    at = np.arange(1, rates.shape[1] + 1)
    table = pd.DataFrame(
        {"chain": "reviser", "answer": at, "pass@1": rates.mean(axis=0), "low": low, "high": high}
    )
    labels = {"xlabel": "answer of the chain", "ylabel": "pass@1"}
    draw = partial(_lines, table, labels, x="answer", y="pass@1", by="chain", low="low", high="high")
    notes = ["each answer sees the last four before it; bands: 95 %, bootstrap over problems"]
    return Section("revisions", "pass@1 along a chain of revisions", notes, table, draw)


def _ladder(table: pd.DataFrame) -> Section:
    labels = {"xlabel": "training tokens D", "ylabel": "validation loss (nats a solution token)"}
    runs = [f"{n:,}, seed {seed}" for n, seed in zip(table["non_embedding"], table["seed"], strict=True)]
    drawn = table.assign(**{"N (non-embedding)": runs})
    draw = partial(_lines, drawn, labels, x="tokens", y="loss", by="N (non-embedding)", log="xy")
    notes = ["one recipe, each point a training of its own", "lines: non-embedding parameters N, a line a seed"]
    return Section("ladder", "Loss by size and tokens", notes, table, draw)


def _mean(values: Floats) -> dict[str, Any]:
    low, high = interval(values) if len(values) > 1 else (np.nan, np.nan)
    return {"n": len(values), "accuracy": float(values.mean()), "low": float(low), "high": float(high)}


def _bands(scores: Floats, right: Floats) -> list[dict[str, Any]]:
    band = np.minimum((scores * _BANDS).astype(int), _BANDS - 1)
    return [
        {
            "score": float(scores[band == b].mean()),
            "right": float(right[band == b].mean()),
            "n": int((band == b).sum()),
        }
        for b in np.unique(band)
    ]


def _lines(table: pd.DataFrame, labels: dict[str, Any], **how: Any) -> plots.Drawn:
    drawn, (ax,) = plots.figure(width=7.4)
    plots.lines_by(ax, table, **how)
    ax.set(**labels)
    if how["x"] == "level":
        for label in ax.get_xticklabels():
            label.set(rotation=25, fontsize=8, horizontalalignment="right", rotation_mode="anchor")
    if how["x"] == "score":
        ax.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    return drawn
