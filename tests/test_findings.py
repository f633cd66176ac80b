"""The paper's findings, checked on the testbed's recorded study."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulated
from simulated import record

from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import findings, views
from scalinglab.exchange.findings import merged
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Run

PAPER = CONVENTIONS["paper"]
STUDY = Path(__file__).parent / "data" / "first-study"


@pytest.fixture(scope="module")
def study():
    return open_evidence(STUDY)


@pytest.fixture(scope="module")
def found(study):
    return findings(study, "prm", rule=PAPER)


def by_hand(run, strategy, budget):
    """The share of problems whose answer of most PRM weight is right, ties shared, from the records."""
    units = run.units[(run.units["strategy"] == strategy) & (run.units["budget"] == budget)]
    hits = []
    for key in units["key"]:
        votes, right = {}, {}
        for one in run.solutions[run.solutions["unit"] == key].itertuples():
            if one.answer is not None and one.grade != "unparsed":
                votes[one.answer] = votes.get(one.answer, 0.0) + (one.scores[-1] if len(one.scores) else 0.0)
                right[one.answer] = one.grade == "right"
        top = max(votes.values(), default=0.0)
        tied = [right[answer] for answer, weight in votes.items() if weight >= top * (1 - 1e-12)]
        hits.append(sum(tied) / len(tied) if tied else 0.0)
    return sum(hits) / len(hits)


def test_a_finding_compares_what_the_records_hold(study, found):
    large = found[found["finding"] == "beam search falls behind at large budgets"].iloc[0]
    assert large["first"] == pytest.approx(by_hand(study.run, "parallel", 64), abs=1e-9)
    assert large["second"] == pytest.approx(by_hand(study.run, "beam_search", 64), abs=1e-9)


def test_every_finding_has_its_numbers_and_its_verdict_follows_from_them(found):
    assert len(found) == 8
    for row in found.to_dict("records"):
        assert row["difference"] == pytest.approx(row["first"] - row["second"], abs=1e-12)
        assert row["low"] <= row["difference"] <= row["high"]
        above, below = row["low"] > 0, row["high"] < 0
        if row["finding"].startswith("hardest"):  # that nothing works is that the best is below the bound
            above, below = below, above
        assert row["verdict"] == ("holds" if above else "does not" if below else "undecided")


def test_a_strategy_that_was_not_run_is_not_measured(study):
    units = study.run.units[study.run.units["strategy"] != "lookahead"]
    frames = (frame[frame["unit"].isin(units["key"])] for frame in (study.run.calls, study.run.solutions))
    rows = findings(replace(study, run=Run(units, *frames)), "prm", rule=PAPER)
    assert set(rows.loc[rows["finding"].str.contains("lookahead"), "verdict"]) == {"not measured"}


def test_an_unknown_verifier_is_refused(study):
    with pytest.raises(DataError, match="verifier 'nobody'; expected one of prm, orm"):
        findings(study, "nobody", rule=PAPER)


def test_agreement_of_all_problems_leaves_doubt_and_rounding_decides_nothing(found):
    measured = found[found["low"].notna()]
    assert (measured["low"] < measured["high"]).all()
    alike = found[found["finding"] == "easy: beam search degrades with budget"].iloc[0]
    assert alike["first"] == alike["second"] == 1, "on all 39 problems, which searches answered once"
    assert alike["high"] == -alike["low"] == pytest.approx(1.96 / 41, rel=1e-3)
    ends = measured[["low", "high"]].to_numpy()
    assert ((ends == 0) | (np.abs(ends) > 1e-12)).all()


def test_a_problem_that_stands_in_two_bins_over_the_splits_counts_once(tmp_path):
    evidence = open_evidence(record(tmp_path / "run"))
    (view,), _ = views(evidence, [PAPER], bins=5)
    parts = [group for group in view.groups if group.name in ("3", "4")]
    whole = merged(parts)
    assert len(whole.members) < sum(len(part.members) for part in parts), "some stand in both"
    weights = np.zeros((2, len(view.arms.problems)))
    for part in parts:
        weights[0, part.members] += part.weights
    weights[1, whole.members] = whole.weights
    assert weights[1] == pytest.approx(weights[0])
    rows = findings(evidence, "prm", rule=PAPER)
    row = rows[rows["bin"] == "3, 4"].iloc[0]
    assert row["problems"] == whole.size == round(weights[0].sum()) < len(whole.members)
    assert row["budgets"] == "4", "of 16 samples 8 set the bins, and searches were run at 4 and 16"


def test_samples_are_read_where_a_search_was_run_though_that_is_no_power_of_two(tmp_path, monkeypatch):
    plain = simulated.cells

    def cells(samples):
        for (role, model, strategy, options, budget), count, judges in plain(samples):
            if (strategy, budget) == ("beam_search", 16):
                options, budget, count = options | {"beams": 12}, 12, 12
            yield (role, model, strategy, options, budget), count, judges

    monkeypatch.setattr(simulated, "cells", cells)
    rows = findings(open_evidence(record(tmp_path / "run")), "prm", rule=PAPER, bins=1)
    assert rows[rows["finding"] == "beam search falls behind at large budgets"].iloc[0]["budgets"] == "12"


def test_fewer_than_six_problems_decide_nothing(tmp_path):
    rows = findings(open_evidence(record(tmp_path / "run", problems=5)), "prm", rule=PAPER, bins=1)
    told = rows[rows["first"].notna()]
    assert len(told) > 1
    assert set(told["verdict"]) == {"undecided"}
    assert told[["low", "high"]].isna().all(axis=None)
