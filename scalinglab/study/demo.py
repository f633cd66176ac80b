"""The demonstration: a small study of the shipped models, and what it says about exchanging compute."""

from __future__ import annotations

from pathlib import Path

from scalinglab.curves import arms_of
from scalinglab.exchange import exchange_recorded, open_recorded, study_specs
from scalinglab.files import SHIPPED
from scalinglab.flops import convention
from scalinglab.ledger import price
from scalinglab.report import Report, Section, exchange_report
from scalinglab.samples import read_plan, read_run
from scalinglab.study.settings import Study, read_study

RECORDED = SHIPPED / "demo"
"""The demonstration as it was recorded once, for machines on which no engine runs."""
_RULE, _BINS = "exact", 3


def demo_study() -> Study:
    """The study of the demonstration."""
    return read_study(RECORDED / "study.toml")


def demo_report(folder: str | Path) -> Report:
    """What every strategy reached and took, and the verdicts of best-of-N weighted. Raises DataError."""
    found = exchange_recorded(open_recorded(folder), small="small", large="large", selector="weighted", bins=_BINS)
    verdicts = exchange_report(found, convention=_RULE)
    return Report(verdicts.title, [_strategies(folder), *verdicts.sections])


def _strategies(folder: str | Path) -> Section:
    run, plan = read_run(folder), read_plan(folder)
    ledger = price(run, study_specs(folder), convention=convention(_RULE))
    arms = arms_of(run, ledger, verifiers=plan.verifiers)
    table = arms.table[["model", "strategy", "selector", "budget"]].assign(
        accuracy=arms.accuracy.mean(axis=0).round(3), flops_per_query=arms.flops.mean(axis=0)
    )
    shown = table[table["selector"].isin(["majority", "weighted"]) | (table["strategy"] == "greedy")]
    shown = shown.assign(one=shown["strategy"] != "greedy").sort_values(
        ["one", "strategy", "selector", "budget"], kind="stable"
    )
    notes = [
        f"{len(arms.problems)} problems; convention {_RULE}, the verifier charged, training left out",
        "beam search answers by its verifier's weighted vote, as best-of-N weighted does",
    ]
    return Section("strategies", "What each strategy reached, and took", notes, shown.drop(columns="one"))
