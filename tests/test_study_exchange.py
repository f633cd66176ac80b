"""Strategies against a large model: closed forms, planted crossings, intervals that cover, a recorded study."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted import BUDGETS, LIFE, PAPER, planted, view_of, way_of
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.curves import BELOW, BOUND, CANNOT, MEASURED, first_reach
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    CANNOT_PAY,
    FIXED,
    OPTIMAL,
    OUTSIDE,
    PRETRAINING,
    SIMULTANEOUS,
    TEST_TIME,
    UNDECIDED,
    breakeven,
    compare,
    difference,
    line_table,
    match_ratio,
    verdicts,
    views,
)
from scalinglab.flops import CONVENTIONS, convention

EXACT = CONVENTIONS["exact"]
LINE = "parallel, majority"
ABOVE = f"not crossed: {TEST_TIME} at every measured R"
UNDER = f"not crossed: {PRETRAINING} at every measured R"
R_STAR = 950 / (10 - 2) / 10
"""Of accuracies 0.1, 0.3, 0.5, 0.6 at 1, 4, 16, 64 against 0.4: half 4 and half 16, 10 FLOPs, reach it."""


def line_rows(frame):
    return frame[frame["strategy"] == LINE]


def test_accuracy_at_a_budget_is_a_mixture_and_nowhere_extrapolated():
    view = planted([0.1, 0.3, 0.2, 0.6], 0.5)
    (line,) = view.lines()
    found = view.read(line, view.groups[0], np.array([0.99, 1, 2.5, 10, 64, 65]))
    assert found.status == (CANNOT, MEASURED, MEASURED, MEASURED, MEASURED, BOUND)
    assert np.isnan(found.accuracy[:, 0]).all()
    assert found.accuracy[0, 1:] == pytest.approx([0.1, 0.2, 0.25, 0.6, 0.6])
    assert found.k[1:] == pytest.approx([1, 2.5, 10, 64, 64])


def test_beyond_the_dearest_budget_stands_the_best_within_it():
    view = planted([0.1, 0.3, 0.7, 0.6], 0.5)
    (line,) = view.lines()
    found = view.read(line, view.groups[0], np.array([100.0]))
    assert (found.accuracy[0, 0], found.k[0]) == (0.7, 16)


def test_the_best_of_equal_budgets_is_chosen_on_other_problems_and_looks_no_better():
    rng, seen = np.random.default_rng(0), []
    for _ in range(200):
        right = (rng.random((100, 4)) < 0.5).astype(float)
        ways = [way_of("policy", "small", right, BUDGETS), way_of("large", "large", right[:, :1], [2.0], (1,))]
        view = view_of(ways)
        seen.append(view.read(view.lines()[0], view.groups[0], np.array([100.0])).accuracy.mean())
    assert np.mean(seen) == pytest.approx(0.5, abs=4 * 0.05 / np.sqrt(200))  # the best of four: 0.55


def test_a_search_that_was_not_run_so_small_is_told_from_one_that_nobody_can_pay():
    right = np.full((20, 4), 0.5)
    ways = [
        way_of("policy", "small", right, BUDGETS),
        way_of("policy", "small", right[:, 1:], BUDGETS[1:], BUDGETS[1:], strategy="beam_search"),
        way_of("large", "large", right[:, :1], [2.0], (1,), strategy="greedy"),
    ]
    view = view_of(ways)
    search = next(line for line in view.lines() if line.strategy == "beam_search")
    assert view.read(search, view.groups[0], np.array([0.5, 2.0, 4.0])).status == (CANNOT, BELOW, MEASURED)


def test_lifetime_compute_is_equal_at_the_matched_budget():
    for row in verdicts([planted([0.1, 0.3, 0.5, 0.6], 0.4)], [2.0, 10.0]).to_dict("records"):
        queries = row["R"] * 10
        assert 150 + queries * row["flops"] == pytest.approx(1100 + queries * 2)
        if row["strategy"] == LINE:
            assert row["k"] == pytest.approx(row["flops"])


@pytest.mark.parametrize("r", [0.5, 2.0, 10.0])
def test_the_papers_budget_comes_out_of_the_whole_engine(r):
    """k = M + 3 (M - 1) / R (section 7), of a large model M times as dear to train and to sample."""
    m, life = 4.0, replace(LIFE, small=6.0, large=24.0, queries_per_r=1.0)
    view = planted([0.1, 0.3, 0.5, 0.6], 0.4, flops=[2.0 * k for k in BUDGETS], once=2 * m, life=life)
    (k,) = line_rows(verdicts([view], [r]))["k"]
    assert k == pytest.approx(m + 3 * (m - 1) / r)
    assert k == pytest.approx(match_ratio(m, PAPER).k(r))


def test_a_difference_at_a_mixture_is_the_mixture_of_differences():
    accuracy = np.random.default_rng(0).random((50, 4)) < [0.1, 0.3, 0.5, 0.9]
    view = planted(accuracy, 0.4, problems=50)
    r = [950 / (flops - 2) / 10 for flops in (16, 28, 64)]
    ends = line_rows(verdicts([view], r))["difference"].tolist()
    assert ends[1] == pytest.approx(0.75 * ends[0] + 0.25 * ends[2])


@pytest.mark.parametrize(
    ("change", "flops"), [({"small": 1200.0}, 2.0), ({}, 60.0)], ids=["training", "its cheapest answer"]
)
def test_a_small_side_that_costs_more_than_the_large_lifetime_cannot_pay(change, flops):
    view = planted([0.9] * 4, 0.1, life=replace(LIFE, **change), flops=[flops * k for k in BUDGETS])
    found = verdicts([view], [100.0])
    assert set(found["verdict"]) == {CANNOT_PAY}
    assert set(found["status"]) == {CANNOT}
    assert found[["k", "small", "difference", "low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(("large", "verdict"), [(0.2, TEST_TIME), (0.6, OUTSIDE), (0.9, OUTSIDE)])
def test_a_lower_bound_that_wins_decides_and_any_other_says_nothing(large, verdict):
    found = verdicts([planted([0.1, 0.3, 0.5, 0.6], large)], [0.16])
    assert set(found["status"]) == {BOUND}
    assert set(found["verdict"]) == {verdict}
    assert found["small"].notna().all() == (verdict == TEST_TIME)


def test_a_break_even_has_a_closed_form():
    view = planted([0.1, 0.3, 0.5, 0.6], 0.4)
    for row in breakeven([view]).to_dict("records"):
        assert row["status"] == "crossed"
        assert row["R"] == pytest.approx(R_STAR, rel=1e-5)
        assert row["queries"] == pytest.approx(row["R"] * 10)
        assert row["low"] <= row["R"] <= row["high"]
        assert row["measured_from"] == pytest.approx(950 / 62 / 10)
        assert row["share"] > 0.99
    below, above = line_rows(verdicts([view], [R_STAR * 0.99, R_STAR * 1.01]))["difference"]
    assert below > 0 > above


@pytest.mark.parametrize(
    ("accuracy", "large", "status"),
    [([0.8] * 4, 0.4, ABOVE), ([0.1, 0.1, 0.1, 0.1], 0.6, UNDER), ([0] * 4, 0, UNDECIDED)],
)
def test_what_is_not_crossed_is_said_only_where_the_draws_agree(accuracy, large, status):
    (row,) = line_rows(breakeven([planted(accuracy, large)])).to_dict("records")
    assert row["status"] == status
    assert np.isnan(row["R"])


def test_an_end_that_no_measured_budget_stands_for_is_open():
    """The large model is as good as the dearest budget: at less R it may or may not be passed."""
    rng, found = np.random.default_rng(1), []
    for _ in range(20):
        small = rng.random((60, 4)) < [0.1, 0.3, 0.5, 0.6]
        found += breakeven([planted(small, rng.random(60) < 0.6, problems=60)]).to_dict("records")
    assert not any("not crossed" in row["status"] for row in found), "which the draws do not agree on"
    assert any(np.isnan(row["low"]) for row in found)
    for row in found:
        least = row["measured_from"] * (1 - 1e-9)
        assert np.isnan(row["low"]) or least <= row["low"] < row["high"] or np.isnan(row["high"])
        assert np.isnan(row["low"]) == np.isnan(row["queries_low"])


def test_budgets_that_cost_less_than_one_large_answer_are_outside():
    found = breakeven([planted([0.1, 0.2, 0.3, 0.4], 0.3, once=65.0)])
    assert set(found["status"]) == {OUTSIDE}


def test_nothing_breaks_even_where_no_pretraining_is_saved():
    found = breakeven([planted([0.1, 0.2, 0.3, 0.4], 0.3, life=replace(LIFE, small=1100.0))])
    assert set(found["status"]) == {"none: training costs no less than the large model's"}


def test_the_first_crossing_counts_and_a_later_fall_does_not_hide_it():
    spent, target = np.array([[1.0, 11, 101, 1001]]), np.array([0.5])
    accuracy = np.array([[0.4, 0.6, 0.3, 0.9]])
    assert first_reach(spent, accuracy, target, np.array([0.1]))[0] == pytest.approx(6)
    # From 56 on, accuracy is below the target again and rises through it once more.
    assert first_reach(spent, accuracy, target, np.array([56.0]))[0] == pytest.approx(101 + 900 / 3)


def test_planted_crossings_are_covered_by_their_intervals():
    """Accuracy at k is p + 0.1 log2 k, p a problem's ease: half 4 and half 16 reach the large model's p + 0.3."""
    rng, hits = np.random.default_rng(0), {OPTIMAL: 0, LINE: 0}
    for _ in range(100):
        ease = rng.uniform(0, 0.3, 80)
        small = rng.random((80, 4)) < ease[:, None] + 0.1 * np.log2(BUDGETS)
        view = planted(small, rng.random(80) < ease + 0.3, problems=80)
        for row in breakeven([view]).fillna({"low": 0, "high": np.inf}).to_dict("records"):
            hits[row["strategy"]] += "not" not in row["status"] and row["low"] <= R_STAR <= row["high"]
    assert all(0.91 <= count / 100 <= 0.99 for count in hits.values()), hits


def test_equal_models_are_seldom_told_apart_by_the_headline():
    """All groups and R of it share 5 %: 60 studies of 3 budgets and 2 bins, of which 3 may be false."""
    rng, false = np.random.default_rng(2), 0
    for _ in range(60):
        ease = rng.beta(1, 1, 100)
        right = [(rng.random((100, n)) < ease[:, None]) for n in (4, 1)]
        labels = 1 + (rng.binomial(16, ease) < 8)
        found = verdicts([planted(right[0], right[1][:, 0], labels=labels)], [1.6, 3.0, 22.0])
        head = found[found["strategy"] == OPTIMAL]
        assert set(head["interval"]) == {SIMULTANEOUS}
        false += head["verdict"].isin([TEST_TIME, PRETRAINING]).any()
    assert false <= 6


# A recorded study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("study") / "run")


@pytest.fixture(scope="module")
def evidence(folder):
    return open_evidence(folder)


@pytest.fixture(scope="module")
def compared(evidence):
    return compare(evidence, rules=[PAPER, EXACT], bins=2)


def test_a_study_names_its_models_and_verifiers(evidence):
    assert (evidence.small, evidence.large) == ("small", "large")
    assert evidence.verifiers == {"prm": "prm", "orm": "orm"}
    assert {one.model for one in evidence.tuning} == {"reviser", "prm", "orm"}
    assert evidence.helpers() == ("small", "reviser", "orm", "prm")


def test_every_strategy_has_a_row_for_each_convention_group_and_r(compared):
    cells = compared.verdicts[["strategy", "bin", "R", "convention"]]
    assert len(cells) == len(cells.drop_duplicates()) == cells["strategy"].nunique() * 3 * 3 * 2
    assert set(cells["strategy"]) == {
        OPTIMAL,
        FIXED,
        "parallel, coverage",
        "parallel, majority",
        *(f"parallel, {selector} by {name}" for selector in ("weighted", "best-of-n") for name in ("prm", "orm")),
        "beam_search width=4, weighted by prm",
        *(f"revisions length=1, {how}" for how in ("coverage", "majority", "weighted by orm", "best-of-n by orm")),
        *(f"revisions length=4, {how}" for how in ("majority", "weighted by orm", "hierarchical by orm")),
    }
    assert compared.verdicts["strategy"].iloc[0] == OPTIMAL, "the headline first"


def test_no_number_lacks_its_interval(compared):
    rows = compared.verdicts
    empty = rows["verdict"].isin([OUTSIDE, CANNOT_PAY])
    assert rows.loc[empty, ["small", "difference", "low", "high"]].isna().all(axis=None)
    assert rows.loc[~empty, ["small", "difference", "low", "high"]].notna().all(axis=None)
    headline = rows["strategy"].isin([OPTIMAL, FIXED])  # its budget is in FLOPs, not in samples
    assert rows.loc[~empty & ~headline, "k"].notna().all()
    assert (rows["low"] < rows["difference"])[~empty].all()
    assert (rows["difference"] < rows["high"])[~empty].all(), "of no width from agreement alone"
    assert set(rows.loc[headline, "interval"]) == {SIMULTANEOUS}
    assert set(rows.loc[~headline, "interval"]) == {"pointwise, exploratory"}


def test_a_line_says_the_same_at_an_r_whatever_other_r_are_asked(evidence, compared):
    every = compared.verdicts
    rows = every[(every["bin"] == "all") & (every["convention"] == "paper") & (every["R"] == 0.16)]
    alone = compare(evidence, rules=[PAPER], bins=1, r=[0.16]).verdicts
    apart, among = (
        frame[~frame["strategy"].isin([OPTIMAL, FIXED])].sort_values("strategy", ignore_index=True)
        for frame in (alone, rows)
    )
    pd.testing.assert_frame_equal(apart, among)


def test_only_what_a_strategy_uses_is_charged_for_its_training_and_data(evidence):
    life = views(evidence, [EXACT], bins=1)[0][0].lifetime
    tuned = {one.model: one.flops["exact"] for one in evidence.tuning}
    data = {one.model: sum(spent["exact"] for spent in one.data.values()) for one in evidence.tuning}
    assert life.trained("policy", ["small"]) == life.small
    assert life.trained("policy", ["small", "prm"]) == life.small + tuned["prm"] + data["prm"]
    both = sum(tuned[name] + data[name] for name in ("reviser", "orm"))
    assert life.trained("reviser", ["reviser", "orm"]) == life.small + both
    free, charged = (
        views(evidence, [rule], bins=1)[0][0].lifetime for rule in (PAPER, convention("paper+tuning"))
    )
    assert free.trained("policy", ["small", "prm"]) == free.small
    assert charged.trained("policy", ["small", "prm"]) > charged.small
    assert views(evidence, [EXACT], bins=1, sunk=True)[0][0].lifetime.trained("policy", ["small"]) == 0


def test_bins_are_scored_on_samples_that_did_not_set_them_and_all_problems_on_every_sample(evidence):
    (view,), _ = views(evidence, [EXACT], bins=2)
    line = next(line for line in view.lines() if line.label == LINE)
    most = [int(line.budgets[np.isin(line.columns, view.columns(line, group))].max()) for group in view.groups]
    assert most == [16, 8, 8]
    weights = np.zeros(24)
    for group in view.groups[1:]:
        weights[group.members] += group.weights
    assert weights == pytest.approx(1), "in every split each problem is in one bin"


def test_the_choice_is_no_better_than_hindsight_and_pays_for_its_bins(evidence):
    (view,), _ = views(evidence, [EXACT], bins=2)
    arms = np.concatenate([view.columns(line, view.groups[1]) for line in view.menu()])
    best = sum(
        group.weights.sum() * view.scored(group)[:, arms].mean(axis=0).max() for group in view.groups[1:]
    ) / len(view.arms.problems)
    for optimal in view.menus[0].optimal:
        reached = optimal.chosen.accuracy[0]
        assert np.nanmax(reached) <= best + 0.05
        assert optimal.bins.charged
        assert optimal.bins.cost.mean() > 0


def test_the_curves_of_a_study_are_the_means_of_its_arms(compared):
    view = compared.view("paper")
    found = line_table([view])
    one = found[(found["bin"] == "all") & (found["strategy"] == LINE)]
    at = (view.arms.table["strategy"] == "parallel") & (view.arms.table["selector"] == "majority")
    at = (at & (view.arms.table["model"] == "small")).to_numpy()
    assert one["accuracy"].tolist() == pytest.approx(view.arms.accuracy[:, at].mean(axis=0).tolist())
    assert one["flops"].tolist() == pytest.approx(view.arms.flops[:, at].mean(axis=0).tolist())
    assert found[["low", "high"]].notna().all(axis=None)
    best = found[(found["bin"] == "all") & (found["strategy"] == OPTIMAL)]
    assert best["flops"].is_monotonic_increasing
    assert len(best) > 2


def test_two_revisers_have_lines_of_their_own_and_a_model_alone_no_name_in_its_label():
    right = {"small": np.full((20, 4), 0.3), "first": np.full((20, 4), 0.4), "second": np.full((20, 4), 0.6)}
    ways = [
        way_of("policy", "small", right["small"], BUDGETS),
        *(way_of("reviser", name, right[name], BUDGETS, strategy="revisions") for name in ("first", "second")),
        way_of("large", "large", right["small"], BUDGETS),
    ]
    view = view_of(ways)
    revised = {f"revisions, majority ({name})": name for name in ("first", "second")}
    assert {line.label: line.models[0] for line in view.lines()} == {LINE: "small"} | revised
    assert [line.label for line in view.lines(large=True)] == [LINE], "the other side has labels of its own"
    wanted = {LINE: "small", OPTIMAL: ""} | revised
    for found in (verdicts([view], [10.0]), line_table([view])):
        shown = found[found["strategy"] != FIXED]
        assert dict(zip(shown["strategy"], shown["model"], strict=True)) == wanted
    found = line_table([view]).groupby("strategy")["accuracy"].unique().map(list)
    assert [found[label] for label in revised] == [[pytest.approx(0.4)], [pytest.approx(0.6)]]


def test_a_verifier_without_a_spec_is_left_out_and_named(folder, compared, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    plan = json.loads((folder / "study.json").read_text())
    plan["models"]["orm"]["spec"] = None
    (tmp_path / "run" / "study.json").write_text(json.dumps(plan))
    evidence = open_evidence(tmp_path / "run")
    assert evidence.lacking == ("orm",)
    found = compare(evidence, rules=[PAPER], bins=1)
    assert any("left out: what orm answered or judged" in note for note in found.notes)
    assert not found.verdicts["strategy"].str.contains("by orm").any()
    every = compared.verdicts
    every = every[(every["convention"] == "paper") & (every["bin"] == "all")]
    kept, rest = (
        frame[~frame["strategy"].isin([OPTIMAL, FIXED]) & ~frame["strategy"].str.contains("by orm")]
        for frame in (every, found.verdicts)
    )
    key = ["strategy", "R"]
    pd.testing.assert_frame_equal(*(frame.sort_values(key, ignore_index=True) for frame in (rest, kept)))
    plan["models"]["large"]["spec"] = None
    (tmp_path / "run" / "study.json").write_text(json.dumps(plan))
    with pytest.raises(DataError, match=r"no convention can be priced \(no spec for model 'large'"):
        compare(open_evidence(tmp_path / "run"), rules=[PAPER])


def test_a_small_end_of_an_interval_keeps_its_sign(compared):
    row = compared.verdicts[compared.verdicts["low"].notna()].head(1).assign(difference=0.021, low=4e-5, high=0.2)
    assert difference(row.iloc[0]) == "+2.1 (0.004 to 20.0)"


def test_a_study_is_reported_with_a_figure_of_everything(folder, tmp_path):
    asked = ["report", str(folder), "--out", str(tmp_path / "out"), "--bins", "2", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    names = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert names >= {"verdicts", "breakeven", "sensitivity"}
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} >= names
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('src="data:image/svg+xml') == len(names)


def test_with_sunk_pretraining_r_plays_no_part_where_nothing_is_tuned(evidence):
    found = compare(evidence, rules=[PAPER], bins=1, sunk=True)
    assert found.verdicts.groupby("strategy")["flops"].std().to_numpy() == pytest.approx(0)
    assert any(note.startswith("sunk: nobody pays pretraining") for note in found.notes)


def test_a_large_model_that_was_sampled_once_cannot_think(evidence):
    rows = compare(evidence, rules=[PAPER], bins=1, thinking=True).verdicts
    assert set(rows["against"]) == {"greedy"}


def test_a_study_without_a_plan_is_priced_by_specs_and_a_model_that_is_not_there_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"no samples of model 'nobody'; expected one of large"):
        open_evidence(folder, small="nobody")
    (tmp_path / "study.json").write_text(json.dumps({"models": 3}))
    (tmp_path / "run.sqlite").write_bytes((folder / "run.sqlite").read_bytes())
    with pytest.raises(DataError, match="models is 3; expected a table"):
        open_evidence(tmp_path)
    (tmp_path / "study.json").unlink()
    with pytest.raises(DataError, match=r"no convention can be priced \(no spec for model"):
        compare(open_evidence(tmp_path))


def test_a_study_without_a_large_model_says_how_to_name_one(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as store, store:
        for table in ("calls", "solutions"):
            store.execute(f"DELETE FROM {table} WHERE unit IN (SELECT key FROM units WHERE role = 'large')")
        store.execute("DELETE FROM units WHERE role = 'large'")
    with pytest.raises(DataError, match=r"no large model named; expected one of reviser, small; .*--large"):
        compare(open_evidence(tmp_path / "run"))
