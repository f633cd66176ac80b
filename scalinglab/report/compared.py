"""A comparison as a report: of two models' parallel samples, or of a whole study."""

from __future__ import annotations

from functools import partial

import pandas as pd

from scalinglab import plots
from scalinglab.errors import DataError
from scalinglab.exchange import POLICY, Compared, Exchange, StudyData, sensitivity, study_curves
from scalinglab.flops import CONVENTIONS
from scalinglab.policy import REACHED, Gain
from scalinglab.report.page import Report, Section, draw, draw_sensitivity

_UNMEASURED = (
    "outside measured budgets (not measured): also where training small and its helpers takes more than "
    "pretraining large, so that less is left a query than any measured budget; the policy pays for every helper"
)


def exchange_report(result: Exchange, *, convention: str) -> Report:
    """A matched comparison: verdicts under one convention, curves and stars, sensitivity over conventions."""
    verdicts = result.verdicts[result.verdicts["convention"] == convention]
    if verdicts.empty:
        known = ", ".join(result.verdicts["convention"].unique())
        reason = result.unpriced.get(convention, "it was not asked for")
        raise DataError(f"no verdict under {convention!r} ({reason})", f"one of {known}", "choose another")
    table = sensitivity(result.verdicts)
    left_out = [f"{name} left out: {reason}" for name, reason in result.unpriced.items()]
    rule = f"convention: {CONVENTIONS[convention]}"
    interval = "intervals: 95 %, paired bootstrap over problems"
    return Report(
        f"{result.small} with test-time compute against {result.large}",
        [
            Section(
                "verdicts",
                "Who wins, by difficulty bin and R",
                [rule, interval, *result.notes],
                verdicts,
                partial(draw, plots.relative_bars, result, convention),
            ),
            Section(
                "curves",
                "Accuracy against budget",
                [interval],
                result.curves,
                partial(draw, plots.accuracy_by_bin, result, convention),
            ),
            Section(
                "sensitivity",
                "Does the accounting rule decide?",
                left_out,
                table,
                partial(draw_sensitivity, table),
            ),
        ],
    )


def study_report(
    found: Compared, study: StudyData, convention: str, *, policy: pd.DataFrame | None, gain: Gain | None
) -> Report:
    """A whole study: verdicts on the policy, every strategy's line, the policy's gain, break-evens, sensitivity.

    policy, gain: of ``Policies`` under the same convention; None where the study has no verifier to rank by.
    Raises DataError for a convention that was not compared, or a study without bins.
    """
    verdicts = found.verdicts[found.verdicts["convention"] == convention]
    if verdicts.empty:
        known = ", ".join(found.verdicts["convention"].unique())
        raise DataError(f"no verdict under {convention!r}", f"one of {known}", "choose another")
    curves = study_curves([view for view in found.views if view.arms.convention == convention], study)
    best = [frame[frame["strategy"].str.startswith(POLICY)] for frame in (verdicts, curves)]
    if best[0].empty:
        raise DataError(
            "a report of a study without a policy", "two bins or more, and two budgets", "raise --bins"
        )
    even = found.breakeven[found.breakeven["convention"] == convention]
    flips = sensitivity(found.verdicts)
    rule = f"convention: {CONVENTIONS[convention]}"
    left_out = [f"{name} left out: {reason}" for name, reason in found.unpriced.items()]
    pair = f"{found.small} with test-time compute against {found.large}"
    sections = [
        Section("verdicts", f"The compute-optimal policy of {pair}", [rule, *found.notes], verdicts,
                partial(_draw_bars, best[0], f"Compute-optimal policy of {pair}", convention)),
        Section("by_bin", "The policy by difficulty bin, and the large model at each R", [rule], best[1],
                partial(draw, plots.policy_by_bin, best[1], best[0], found.large)),
        Section("frontier", "Every strategy: accuracy against FLOPs a query", [rule], curves,
                partial(_draw_frontier, curves, best[0], found.large)),
        Section("breakeven", "Break-even R", [rule, "drawn: of each kind the strategy most accurate at its most"],
                even, partial(_draw_even, even[even["strategy"].isin(_foremost(curves))])),
        Section("sensitivity", "Does the accounting rule decide?", [_UNMEASURED, *left_out], flips,
                partial(draw_sensitivity, flips[flips["strategy"].str.startswith(POLICY)])),
    ]  # fmt: skip
    if policy is not None and gain is not None:
        sections.insert(3, _policy_section(policy, gain, curves, rule))
    return Report(f"{pair}: every strategy", sections)


def _policy_section(policy: pd.DataFrame, gain: Gain, curves: pd.DataFrame, rule: str) -> Section:
    names = [gain.baseline, "parallel, majority"]
    base = curves[(curves["bin"] == "all") & curves["strategy"].isin(names)]
    notes = [rule, "arms chosen on other problems than they are scored on, and anew in each resample"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in gain.table["verdict"].value_counts().items())
    notes.append(f"the accuracy of {gain.baseline} at its budgets, in samples and in FLOPs: {verdicts}")
    heading = "The compute-optimal policy against best-of-N"
    return Section("policy", heading, notes, policy, partial(_draw_policy, policy, base, gain))


def _draw_policy(policy: pd.DataFrame, base: pd.DataFrame, gain: Gain) -> plots.Drawn:
    reached = bool((gain.table["verdict"] == REACHED).any())
    drawn, axes = plots.figure(1 + reached, width=6.8, height=3.8)
    plots.policy_curves(axes[0], policy, base)
    if reached:
        plots.gains(axes[1], gain.table, gain.baseline)
    return drawn


def _draw_bars(verdicts: pd.DataFrame, pair: str, convention: str) -> plots.Drawn:
    drawn = draw(plots.grouped_bars, plots.relative_frame(verdicts))
    drawn.axes[0].set_title(f"{pair}\n({convention}; bars: 95 %; cross: outside measured budgets)", fontsize=10)
    return drawn


def _draw_even(table: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(width=9, height=4.8)
    plots.break_even(axes[0], table)
    return drawn


def _draw_frontier(curves: pd.DataFrame, verdicts: pd.DataFrame, large: str) -> plots.Drawn:
    groups = len(verdicts["bin"].unique())
    drawn, axes = plots.figure(min(3, groups), rows=-(-groups // 3), width=3.9, height=3.2)
    plots.frontier(axes[:groups], curves, verdicts, large)
    for ax in axes[groups:]:
        ax.remove()
    drawn.supxlabel("FLOPs a query", fontsize=10)
    drawn.supylabel("accuracy (%)", fontsize=10)
    return drawn


def _foremost(curves: pd.DataFrame) -> list[str]:
    """Of each kind of strategy the one most accurate at its largest budget over all problems."""
    last = curves[curves["bin"] == "all"].groupby(["kind", "strategy"], sort=False)["accuracy"].last()
    return [str(strategy) for _, strategy in last.groupby(level="kind", sort=False).idxmax()]
