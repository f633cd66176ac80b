"""The demonstration: a small study of the shipped models, and what it says about exchanging compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scalinglab.evidence import open_evidence
from scalinglab.exchange import OPTIMAL, Comparison, compare, line_table, what_if
from scalinglab.files import SHIPPED
from scalinglab.flops import CONVENTIONS
from scalinglab.report import Report, Section, comparison_report
from scalinglab.study.settings import Study, read_study

RECORDED = SHIPPED / "demo"
"""The demonstration as it was recorded once, for machines on which no engine runs."""
_RULE, _BINS = "paper", 3


def demo_study() -> Study:
    """The study of the demonstration."""
    return read_study(RECORDED / "study.toml")


def demo_report(folder: str | Path) -> Report:
    """What every strategy reached and took, and the verdicts. Raises DataError."""
    evidence = open_evidence(folder)
    found, asked = compare(evidence, bins=_BINS), what_if(evidence, CONVENTIONS[_RULE], bins=_BINS)
    made = comparison_report(found, _RULE, evidence=evidence, asked=asked)
    return replace(made, sections=[_strategies(found), *made.sections])


def _strategies(found: Comparison) -> Section:
    lines = line_table([found.view(_RULE)])
    shown = lines[(lines["bin"] == "all") & ~lines["selector"].isin(["coverage", OPTIMAL])]
    table = shown[["strategy", "k", "accuracy", "low", "high", "flops"]]
    notes = [
        f"{len(found.views[0].arms.problems)} problems; convention {_RULE}; training left out",
        "beam search answers by its verifier's weighted vote, as best-of-N weighted does",
    ]
    return Section("strategies", "What each strategy reached, and took", notes, table)
