"""Difficulty bins of what is compared: set on samples that are not then scored, and charged where rules say so."""

import numpy as np
import pytest
from simulated import record

from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    FIXED,
    OPTIMAL,
    PRETRAINING,
    TEST_TIME,
    breakeven,
    line_table,
    verdicts,
    views,
)
from scalinglab.exchange.splits import SPLITS, divided
from scalinglab.flops import CONVENTIONS

PAPER, EXACT = CONVENTIONS["paper"], CONVENTIONS["exact"]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return open_evidence(record(tmp_path_factory.mktemp("study") / "run"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """So many samples that half of them cost more than one answer of the large model."""
    return open_evidence(record(tmp_path_factory.mktemp("wide") / "run", samples=64))


@pytest.fixture(scope="module")
def viewed(evidence):
    return views(evidence, [PAPER, EXACT], bins=2)[0]


def test_bins_and_scores_come_from_different_halves(evidence, viewed):
    view = viewed[0]
    (line,) = [line for line in view.lines() if line.label == "parallel, coverage"]
    rows, every = np.arange(len(view.arms.problems)), view.arms.readers[line.way]
    found = divided(evidence, [view.arms], [PAPER], "small", count=2, seed=0)
    assert len(view.halves[line.way]) == len(found.ease) == SPLITS
    for half, ease in zip(view.halves[line.way], found.ease, strict=True):
        one = np.array([1])
        scored, whole = half.at(one, rows)[0][:, 0], every.at(one, rows)[0][:, 0]
        assert half.budgets[-1] == 8
        assert (scored + ease) / 2 == pytest.approx(whole)  # 8 samples of 16 each


def test_all_problems_are_scored_on_all_samples_and_bins_on_half(viewed):
    view = viewed[0]
    (line,) = [line for line in view.lines() if line.label == "parallel, majority"]
    assert view.columns(line, view.groups[0]).tolist() == line.columns.tolist()
    assert view.columns(line, view.groups[1]).tolist() == line.columns[line.budgets <= 8].tolist()


def test_estimating_difficulty_costs_half_the_samples_where_it_is_charged(viewed):
    for view, charged in zip(viewed, (False, True), strict=True):
        bins = view.menus[0].optimal[0].bins
        (line,) = [line for line in view.lines() if line.label == "parallel, majority"]
        half = view.arms.prices[line.way].flops(np.array([8]))[:, 0]
        assert bins.charged == charged
        assert bins.cost == pytest.approx(half if charged else 0 * half)


def test_a_problem_counts_in_a_bin_as_often_as_it_is_there(viewed):
    bins = viewed[0].groups[1:]
    shares = np.zeros(len(viewed[0].arms.problems))
    for group in bins:
        shares[group.members] += group.weights
        assert group.effective <= len(group.members)
        values = np.random.default_rng(0).random(len(group.members))
        assert group.evened(values).mean() == pytest.approx(group.weights @ values / group.weights.sum())
    assert shares == pytest.approx(1)


def test_the_problems_of_a_bin_are_its_mean_over_splits_and_not_their_union(viewed):
    view = viewed[0]
    count, wanted = len(view.arms.problems), len(view.arms.problems) // 2
    assert any(len(group.members) > wanted for group in view.groups[1:])
    for found in (verdicts([view], [1.0]), line_table([view])):
        assert found.groupby("bin")["problems"].unique().map(list).to_dict() == {
            "all": [count], "1": [wanted], "2": [wanted],
        }  # fmt: skip


def test_a_bin_of_fewer_than_six_problems_a_split_has_no_interval(wide):
    """24 problems in 5 bins: a split holds 5 or fewer in some, whose union over splits is six or more."""
    view = views(wide, [PAPER], bins=5)[0][0]
    few = [group.name for group in view.groups if group.size < 6 <= len(group.members)]
    assert few
    found, even, lines = verdicts([view], [5.0]), breakeven([view]), line_table([view])
    assert "measured" in set(found.loc[found["bin"].isin(few), "status"])
    for table in (found, even, lines):
        assert table.loc[table["bin"].isin(few), ["low", "high"]].isna().all(axis=None)
        assert table.loc[table["bin"] == "all", ["low", "high"]].notna().any(axis=None)
    assert not set(found.loc[found["bin"].isin(few), "verdict"]) & {TEST_TIME, PRETRAINING}
    assert even.loc[even["bin"].isin(few), "share"].isna().all()


def test_more_bins_than_problems_are_refused(evidence):
    with pytest.raises(DataError, match="bins"):
        views(evidence, [PAPER], bins=25)


def test_over_all_problems_one_arm_for_all_knows_no_bins(evidence, viewed):
    r = [0.5, 5.0, 50.0]
    plain = views(evidence, [PAPER], bins=1)[0][0]
    rows = [
        found[(found["strategy"] == FIXED) & (found["bin"] == "all")].set_index("R")
        for found in (verdicts([view], r) for view in (viewed[0], plain))
    ]
    assert rows[0]["small"].tolist() == pytest.approx(rows[1]["small"].tolist(), nan_ok=True)
    assert rows[0]["status"].tolist() == rows[1]["status"].tolist()


def test_beyond_half_of_the_samples_the_headline_reads_all_of_them(wide):
    view = views(wide, [PAPER], bins=2)[0][0]
    found = verdicts([view], [3.0, 1.0, 0.3])
    best, fixed = (found[(found["strategy"] == name) & (found["bin"] == "all")] for name in (OPTIMAL, FIXED))
    half = max(float(one.dearest[0]) for one in view.menus[0].optimal)
    beyond = (best["flops"] > half * 1.01).to_numpy()
    assert best["small"][beyond].notna().any()
    assert best["small"].to_numpy()[beyond] == pytest.approx(fixed["small"].to_numpy()[beyond], nan_ok=True)
