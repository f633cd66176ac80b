"""What stands between a comparison and a claim: how answers failed, what the paper did, how many looks."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scalinglab.evidence import Evidence
from scalinglab.exchange import OPTIMAL, Comparison, View
from scalinglab.samples import GRADES

_PAPER_BINS, _PAPER_PROBLEMS, _PAPER_SAMPLES = 5, 500, 2048
_PAPER_M = 14


def grade_table(evidence: Evidence) -> pd.DataFrame:
    """Of every model that answered, the share of its answers by grade, in %.

    Columns: model, answers, and each grade that any answer has, right first (of counts: right, and not right, of
    which nobody recorded why); tokens unknown: the share of its calls of which a count is missing.
    """
    if evidence.run is None:
        sums = {model: counts[["n", "correct"]].sum() for model, counts in evidence.counted.items()}
        rows = [(name, int(one["n"]), 100 * one["correct"] / one["n"]) for name, one in sums.items()]
        return pd.DataFrame(
            [{"model": name, "answers": n, "right": right, "not right": 100 - right} for name, n, right in rows]
        )
    model = evidence.run.units.set_index("key")["model"]
    solved = evidence.run.solutions.assign(model=evidence.run.solutions["unit"].map(model))
    counts = pd.crosstab(solved["model"], solved["grade"])
    kept = [grade for grade in GRADES if grade in counts]
    table = 100 * counts[kept].div(counts.sum(axis=1), axis=0)
    table.insert(0, "answers", counts.sum(axis=1))
    missing = {one.model: 100 * one.missing / one.of for one in evidence.unreported if not one.arm}
    if missing:
        table["tokens unknown"] = [missing.get(str(name), 0.0) for name in table.index]
    return table.reset_index().rename_axis(columns=None)


def departures(evidence: Evidence, view: View) -> Iterator[str]:
    """How this comparison differs from the paper's, as far as the evidence tells."""
    problems, bins = len(view.arms.problems), len(view.groups) - 1
    task = ", ".join(filter(None, evidence.tasks())) or "a task without a name"
    yield f"task: {problems} problems of {task}; the paper: {_PAPER_PROBLEMS} of MATH"
    set_on = view.menus[0].optimal[0].bins.samples
    yield (
        f"difficulty: {bins or 'no'} bins, set on {set_on} samples a problem; the paper: {_PAPER_BINS}, on "
        f"{_PAPER_SAMPLES}"
    )
    small, large = (evidence.spec(name) for name in evidence.pair())
    yield f"sizes: {large.total / small.total:.3g} to 1; the paper: about {_PAPER_M}"
    if small.training_tokens and large.training_tokens and small.training_tokens != large.training_tokens:
        yield (
            f"training tokens: {large.training_tokens / small.training_tokens:.3g} times as many for the large "
            "model; the paper: as many"
        )
    if not any(judge for judge in view.judges.values()):
        yield "verifier: none that is a model; the paper: a process reward model"
    yield "training runs: one of each model is seen; another seed could decide otherwise"


def looks(found: Comparison, convention: str) -> Iterator[str]:
    """How many verdicts were looked at, and which intervals allow for that."""
    rows = found.verdicts[found.verdicts["convention"] == convention]
    head, rest = rows[rows["strategy"] == OPTIMAL], rows[rows["interval"] != "simultaneous"]
    yield f"the {len(head)} intervals of the compute-optimal strategy hold all at once (95 %)"
    if len(rest):
        yield (
            f"the {len(rest)} intervals of single arms stand alone: of so many, about {len(rest) / 20:.0f} miss "
            "by chance"
        )
    if len(found.views) > 1:
        yield f"{len(found.views)} rules were tried; each has its own 95 %"
