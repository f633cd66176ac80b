"""Laws on a study's own numbers: accuracy by samples of each strategy, and a ladder's loss and pass@k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, Sampled, label_of, pool_from_counts, ways_of
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.fits import Counts, Estimate, Fit, Points, compare_all, document
from scalinglab.grids import doublings
from scalinglab.laws import (
    BETA,
    CHINCHILLA,
    COVERAGE,
    DRIFTING,
    KAPLAN,
    KUMARASWAMY,
    LOG_LOGISTIC,
    SATURATING,
    T2,
    Law,
)
from scalinglab.samples import read_counts, read_table

if TYPE_CHECKING:
    from scalinglab import plots
    from scalinglab.report import Report

_BUDGETS = (1, 4, 16, 64)
_NONE = {"-": Estimate(None)}
_PROBLEMS = ["intervals: 95 %, bootstrap over problems", "error: on the two largest budgets, left out, in points"]
_RUNS = ["intervals: 95 %, over training runs (loss) or problems (pass@k)", "error: in nats, or in points"]
_FEWEST = 8
"""Samples a problem from which ``fits.compare`` can leave some out."""


@dataclass(frozen=True)
class Fitted:
    """A law on the data that ``of`` names. error: where it was not fitted, as ``fits.compare`` measures it."""

    of: str
    fit: Fit
    data: Points | Counts
    error: float | None

    @property
    def points(self) -> Points:
        return self.data if isinstance(self.data, Points) else self.data.curve()

    def document(self) -> dict[str, Any]:
        """All of it as one JSON-ready record."""
        return {"of": self.of, **document(self.fit), "error": self.error}


def evidence_laws(evidence: Evidence, *, bootstrap: int = 1000, seed: int = 0) -> list[Fitted]:
    """Laws of accuracy in k for each strategy of each model compared, and of coverage from its samples.

    Strategies with one budget have none; with few, their status says so. Resampled: problems.
    """
    how = {"bootstrap": bootstrap, "seed": seed}
    curves: dict[str, Points] = {}
    found: dict[str, list[Fitted]] = {}
    named = [model for model in (evidence.small, evidence.large, *evidence.revisers()) if model]
    for model in named or evidence.models():
        for way in ways_of(evidence, [], models=[model], seed=seed):
            name = f"{way.model}, {label_of(way.strategy, way.setting, way.verifier, way.selector)}"
            if way.selector == "coverage" and isinstance(way.reader, Sampled) and way.strategy == "parallel":
                pool, name = way.reader.pool, f"{way.model}, coverage"
                if pool.n.min() >= _FEWEST:
                    own = Counts(pool.n, pool.correct)
                    found[name] = _fitted({name: own}, (BETA, KUMARASWAMY), **how)[name]
                    found[name] += _fitted({name: _between(own.curve())}, (COVERAGE,), **how)[name]
            elif way.selector != "coverage":
                budgets = (
                    way.reader.budgets if not way.reader.step else way.reader.step * doublings(way.reader.fewest)
                )
                if len(budgets) > 1:
                    values, _ = way.reader.at(budgets, np.arange(len(way.reader.problems)))
                    curves[name] = Points({"k": budgets.astype(float)}, values)
                    found[name] = []
    found |= _fitted(curves, (SATURATING, LOG_LOGISTIC, DRIFTING), **how)
    return [one for each in found.values() for one in each]


def ladder_laws(folder: str | Path, *, bootstrap: int = 1000, seed: int = 0) -> list[Fitted]:
    """Laws of a ladder's loss in N and D, and of its pass@k in N, D and k; N without embeddings.

    ``folder`` holds ladder.csv and ladder_counts.csv, as `scalinglab testbed evaluate` writes them. Of losses
    whole training runs are resampled, since checkpoints of one run are not independent; of pass@k, problems.
    Raises DataError where a file or a column is missing.
    """
    folder, how = Path(folder), {"bootstrap": bootstrap, "seed": seed}
    table = read_table(folder / "ladder.csv")
    missing = {"model", "non_embedding", "tokens", "loss"} - set(table.columns)
    if missing:
        raise DataError(f"{folder} / ladder.csv without {min(missing)}", "a ladder's table", "evaluate it again")
    inputs = {"N": table["non_embedding"].to_numpy(float), "D": table["tokens"].to_numpy(float)}
    losses = Points(inputs, table["loss"].to_numpy(float), table["model"].to_numpy(str))
    passes = _between(_passes(table, read_counts(folder / "ladder_counts.csv")))
    found = _fitted({"ladder, loss": losses}, (CHINCHILLA, KAPLAN), **how)
    found |= _fitted({"ladder, pass@k": passes}, (T2,), **how)
    return [one for each in found.values() for one in each]


def laws_report(strategies: Sequence[Fitted], ladder: Sequence[Fitted]) -> Report:
    """Every parameter with its interval and status, and the laws drawn against what they were fitted to."""
    from scalinglab.report import Report, Section

    sections = [
        Section(
            "strategies",
            "Accuracy by samples",
            _PROBLEMS,
            pd.DataFrame(rows_of(strategies)),
            partial(_by_k, strategies),
        )
    ]
    if ladder:
        sections.append(
            Section(
                "ladder", "Loss by size and tokens", _RUNS, pd.DataFrame(rows_of(ladder)), partial(_by_d, ladder)
            )
        )
    return Report("Laws on the study's own numbers", sections)


def _fitted(
    data: Mapping[str, Points | Counts], laws: Sequence[Law], *, bootstrap: int, seed: int
) -> dict[str, list[Fitted]]:
    """The laws on each of the named data, in their order."""
    ranked = compare_all(laws, list(data.values()), bootstrap=bootstrap, seed=seed)
    order = [law.name for law in laws]
    return {
        name: [
            Fitted(name, one.fit, data[name], one.error) for one in sorted(each, key=lambda r: order.index(r.law))
        ]
        for name, each in zip(data, ranked, strict=True)
    }


def _between(data: Points) -> Points:
    """Without the points at which all problems are solved, or none: their logarithm says nothing."""
    return data.where((data.mean > 0) & (data.mean < 1))


def _passes(table: pd.DataFrame, counts: pd.DataFrame) -> Points:
    """pass@k of every checkpoint at every budget, by problem."""
    columns, at = [], []
    for row in table.itertuples():
        pool = pool_from_counts(counts, f"{row.model} {row.tokens} tokens")
        columns.append(Counts(pool.n, pool.correct).curve(_BUDGETS).outcome)
        at += [(row.non_embedding, row.tokens, k) for k in _BUDGETS]
    size, tokens, k = np.array(at, dtype=float).T
    return Points({"N": size, "D": tokens, "k": k}, np.hstack(columns))


def notes_of(ladder: Sequence[Fitted]) -> list[str]:
    """What the intervals and errors are of."""
    return _PROBLEMS + (_RUNS if ladder else [])


def rows_of(found: Sequence[Fitted]) -> list[dict[str, Any]]:
    """One row a parameter; a fit that failed has none, and one row that says why."""
    return [
        {"of": one.of, "law": one.fit.law.name, "status": one.fit.status, "parameter": name}
        | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        | {"error": one.error, "why": one.fit.why}
        for one in found
        for name, estimate in (one.fit.parameters if one.fit.objective is not None else _NONE).items()
    ]


def _by_k(found: Sequence[Fitted]) -> plots.Drawn:
    """Each strategy's best law against its accuracies, where it was measured at enough budgets for one."""
    sampled = [one for one in found if isinstance(one.data, Points) and one.fit.law is not COVERAGE]
    shown = [_best([one for one in sampled if one.of == name]) for name in dict.fromkeys(s.of for s in sampled)]
    shown = [one for one in shown if one.fit.objective is not None][:7]
    top = max((one.points.inputs["k"].max() for one in shown), default=2.0)
    k = np.geomspace(1, top, 60)
    lines = [_line(one.fit, f"{one.of}: {one.fit.law.name}", {"k": k}, "k") for one in shown]
    data = [(one.points.inputs["k"], one.points.mean) for one in shown]
    labels = {
        "xlabel": "samples per query k",
        "ylabel": "accuracy",
        "title": "The laws that forecast best; bands: 95 %",
    }
    return _drawn(lines, data, labels, log="x")


def _by_d(found: Sequence[Fitted]) -> plots.Drawn:
    """The law of the loss that forecasts best against a ladder's losses, a line a size."""
    best = _best([one for one in found if one.fit.law.outcome == "loss"])
    size, tokens = best.points.inputs["N"], best.points.inputs["D"]
    d = np.geomspace(tokens.min(), tokens.max(), 60)
    lines = [_line(best.fit, f"N = {n:,.0f}", {"N": np.full(60, n), "D": d}, "D") for n in np.unique(size)]
    data = [(tokens[size == n], best.points.mean[size == n]) for n in np.unique(size)]
    title = f"{best.fit.law.name} ({best.fit.status}); bands: 95 % over runs, cut where there are no data"
    labels: dict[str, Any] = {
        "xlabel": "training tokens D",
        "ylabel": "loss (nats a solution token)",
        "title": title,
    }
    labels["ylim"] = (best.points.mean.min() / 2, best.points.mean.max() * 2)
    return _drawn(lines, data, labels, log="xy")


def _best(found: Sequence[Fitted]) -> Fitted:
    """The one that forecast best of those that converged; of all where none did."""
    converged = [one for one in found if one.fit.status == "converged"] or found
    return min(converged, key=lambda one: np.inf if one.error is None else one.error)


def _line(found: Fit, name: str, at: dict[str, Floats], x: str) -> pd.DataFrame:
    """The law's outcome and its interval; missing where the fit has none."""
    nothing = np.full(len(at[x]), np.nan)
    value = nothing if found.objective is None else found.predict(at)
    low, high = (nothing, nothing) if found.draws is None else found.band(at)
    return pd.DataFrame({"fitted to": name, "x": at[x], "y": value, "low": low, "high": high})


def _drawn(
    lines: list[pd.DataFrame], data: list[tuple[Floats, Floats]], labels: dict[str, Any], *, log: str
) -> plots.Drawn:
    from scalinglab import plots

    drawn, (ax,) = plots.figure(width=8.6)
    if lines:
        plots.lines_by(ax, pd.concat(lines), x="x", y="y", by="fitted to", log=log, low="low", high="high")
    for i, (x, y) in enumerate(data):
        style: dict[str, Any] = {"color": plots.COLOURS[i % 7], "markersize": 5, "markeredgecolor": "black"}
        ax.plot(x, y, plots.MARKERS[i % 7], linestyle="none", **style)
    ax.set(**labels)
    return drawn
