"""A study's strategies against its large model: closed forms, planted crossings, intervals that cover."""

import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.curves import ARM, Arms
from scalinglab.errors import DataError, SpecError
from scalinglab.exchange import (
    OUTSIDE,
    PRETRAINING,
    TEST_TIME,
    Lifetime,
    StudyData,
    View,
    at_budget,
    breakeven,
    crossing,
    exchange_study,
    families,
    is_study,
    open_study,
    policy_views,
    study_curves,
    verdict_table,
    views,
)
from scalinglab.exchange.frontier import blend, verdicts
from scalinglab.flops import CONVENTIONS

EXACT, PAPER = CONVENTIONS["exact"], CONVENTIONS["paper"]
BUDGETS = (1, 4, 16, 64)


def planted(accuracy, large, *, flops=BUDGETS, once=2.0, problems=100):
    """A View of a small model whose parallel arms cost ``flops`` and a large one that costs ``once``, by rows."""
    table = [("policy", "small", "parallel", "{}", "prm", "weighted", k) for k in BUDGETS]
    table.append(("large", "large", "greedy", "{}", "", "majority", 1))
    right = np.column_stack(
        [np.broadcast_to(accuracy, (problems, len(BUDGETS))), np.broadcast_to(large, problems)]
    )
    spent = np.tile([*map(float, flops), once], (problems, 1))
    arms = Arms("paper", tuple(map(str, range(problems))), pd.DataFrame(table, columns=list(ARM)), right, spent)
    return View(arms, [("all", np.arange(problems))], Lifetime(PAPER, 100.0, 1100.0, 10.0, {"judge": 50.0}))


STUDY = StudyData(None, {}, {"prm": "judge"}, "small", "large", {})


def test_accuracy_at_a_budget_is_linear_in_log_flops_and_nowhere_extrapolated():
    view = planted([0.1, 0.3, 0.2, 0.6], 0.5)
    (family,) = families(view.arms, STUDY)
    values, k = at_budget(view.arms, family, np.arange(100), np.array([0.99, 1, 2, 8, 64, 65]))
    assert np.isnan(values[:, [0, 5]]).all()
    assert values[0, 1:5] == pytest.approx([0.1, 0.2, 0.25, 0.6])
    assert k[1:5] == pytest.approx([1, 2, 8, 64])


def test_lifetime_compute_is_equal_at_the_matched_budget():
    view = planted([0.1, 0.3, 0.5, 0.6], 0.4)
    for row in verdicts([view], STUDY, [2.0, 10.0]).to_dict("records"):
        queries = row["R"] * 10
        assert 100 + 50 + queries * row["flops"] == pytest.approx(1100 + queries * 2)
        assert row["k"] == pytest.approx(row["flops"])


def test_a_break_even_has_a_closed_form():
    view = planted([0.1, 0.3, 0.5, 0.6], 0.4)
    (row,) = breakeven([view], STUDY).to_dict("records")
    assert row["status"] == "crossed"
    assert row["queries"] == pytest.approx((1100 - 150) / (8 - 2))
    assert row["R"] == pytest.approx(row["queries"] / 10)
    assert row["low"] <= row["R"] <= row["high"]
    assert row["measured_from"] == pytest.approx(950 / 62 / 10)
    below, above = verdicts([view], STUDY, [row["R"] * 0.99, row["R"] * 1.01])["difference"]
    assert below > 0 > above


@pytest.mark.parametrize(
    ("accuracy", "large", "status"),
    [
        ([0.5] * 4, 0.4, f"not crossed: {TEST_TIME} at every measured R"),
        ([0.1, 0.2, 0.2, 0.2], 0.4, f"not crossed: {PRETRAINING} at every measured R"),
        ([0] * 4, 0, "not crossed: equal at every measured R"),
    ],
)
def test_what_is_not_crossed_is_said_so(accuracy, large, status):
    (row,) = breakeven([planted(accuracy, large)], STUDY).to_dict("records")
    assert row["status"] == status
    assert np.isnan(row["R"])


def test_budgets_that_cost_less_than_one_large_answer_are_outside():
    (row,) = breakeven([planted([0.1, 0.2, 0.3, 0.4], 0.3, once=65.0)], STUDY).to_dict("records")
    assert row["status"] == OUTSIDE


def test_the_first_crossing_counts_and_a_later_fall_does_not_hide_it():
    spent, target = np.array([[1.0, 10, 100, 1000]]), np.array([0.5])
    accuracy = np.array([[0.4, 0.6, 0.3, 0.9]])
    assert crossing(spent, accuracy, target, np.array([0.1]))[0] == pytest.approx(10**0.5)
    # From 10 ** 1.5 on, accuracy is below the target again and rises through it once more.
    assert crossing(spent, accuracy, target, np.array([10**1.5]))[0] == pytest.approx(10 ** (2 + 2 / 6))


def test_planted_crossings_are_covered_by_their_intervals():
    """Accuracy at k is p + 0.1 log2 k, p the ease of a problem: it reaches the large model's at k = 2 ** 3."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(100):
        ease = rng.uniform(0, 0.3, 80)
        chances = ease[:, None] + 0.1 * np.log2(BUDGETS)
        small = rng.random(chances.shape) < chances
        view = planted(small.astype(float), rng.random(80) < ease + 0.3, problems=80)
        (row,) = breakeven([view], STUDY).to_dict("records")
        high = row["high"] if np.isfinite(row["high"]) else np.inf
        hits += row["low"] <= 950 / 6 / 10 <= high
    assert 0.91 <= hits / 100 <= 0.99


# A recorded study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("study") / "run")


@pytest.fixture(scope="module")
def compared(folder):
    return exchange_study(open_study(folder), rules=[PAPER, EXACT], bins=2)


def test_a_study_names_its_models_and_verifiers(folder):
    study = open_study(folder)
    assert is_study(folder)
    assert (study.small, study.large) == ("small", "large")
    assert study.verifiers == {"prm": "prm", "orm": "orm"}
    assert set(study.tuning) == {"reviser", "prm", "orm"}


def test_every_strategy_has_a_row_for_each_convention_group_and_r(compared):
    cells = compared.verdicts[["strategy", "bin", "R", "convention"]]
    assert len(cells) == len(cells.drop_duplicates()) == 13 * 3 * 3 * 2
    assert set(cells["strategy"]) >= {
        "parallel, majority",
        "parallel, best-of-n by orm",
        "beam_search width=4, weighted by prm",
        "revisions length=4, hierarchical by orm",
        "policy, compute-optimal",
    }


def test_no_number_lacks_its_interval(compared):
    rows = compared.verdicts
    outside = rows["verdict"] == OUTSIDE
    assert rows.loc[outside, ["k", "small", "difference", "low", "high"]].isna().all(axis=None)
    assert rows.loc[~outside, ["small", "difference", "low", "high"]].notna().all(axis=None)
    policy = rows["selector"] == "compute-optimal"  # its budget is in FLOPs, not in samples
    assert rows.loc[~outside & ~policy, "k"].notna().all()
    assert (rows["low"] <= rows["difference"])[~outside].all()


def test_only_what_a_strategy_uses_is_charged_for_its_training(folder):
    study = open_study(folder)
    found, _ = views(study, [EXACT], bins=1)
    life = found[0].lifetime
    tuned = {name: spent["exact"] for name, spent in study.tuning.items()}
    assert life.trained("policy", ["small"]) == life.small
    assert life.trained("policy", ["small", "prm"]) == life.small + tuned["prm"]
    assert life.trained("reviser", ["reviser", "orm"]) == life.small + tuned["reviser"] + tuned["orm"]
    assert views(study, [PAPER], bins=1)[0][0].lifetime.trained("policy", ["small", "prm"]) > life.small * 0.5
    assert views(study, [EXACT], bins=1, sunk=True)[0][0].lifetime.trained("policy", ["small"]) == 0


def test_bins_are_scored_on_samples_that_did_not_set_them(folder):
    whole, binned = views(open_study(folder), [EXACT], bins=2)[0]
    parallel = [
        arms.table[arms.table["strategy"] == "parallel"]["budget"].max() for arms in (whole.arms, binned.arms)
    ]
    assert parallel == [16, 8]
    assert sorted(np.concatenate([members for _, members in binned.groups])) == list(range(24))


def test_the_policy_is_no_better_than_hindsight_and_pays_for_its_bins(folder):
    study = open_study(folder)
    (_, binned), _ = views(study, [EXACT], bins=2)
    policy = policy_views([binned], study)[0]
    (family,) = families(policy.arms, study)
    assert set(family.models) == {"small", "reviser", "prm", "orm"}
    assert policy.arms.flops[0, family.columns[0]] > binned.bins.cost.mean() > 0
    mine = binned.arms.table["model"] != "large"
    best = max(binned.arms.accuracy[members][:, mine].mean(axis=0).max() for _, members in binned.groups)
    assert np.nanmax(policy.arms.accuracy[:, family.columns].mean(axis=0)) <= best


def test_a_policys_interval_is_of_arms_chosen_anew_in_each_resample(folder, compared):
    (view,) = (view for view in compared.views if view.policy is not None and view.arms.convention == "paper")
    (family,), rows = families(view.arms, open_study(folder)), compared.verdicts
    rows = rows[(rows["convention"] == "paper") & (rows["selector"] == "compute-optimal") & rows["low"].notna()]
    greedy = int(np.flatnonzero(view.arms.table["strategy"] == "greedy")[0])
    assert len(rows) > 2
    for row in rows.to_dict("records"):
        g, members = next((g, rows) for g, (name, rows) in enumerate(view.groups) if name == row["bin"])
        shares = blend(view.arms, family, members, np.array([row["flops"]]))
        ends = view.policy.difference(view.arms.accuracy[:, greedy], blend=shares)
        assert [row[key] for key in ("difference", "low", "high")] == pytest.approx([end[g, 0] for end in ends])


def test_the_curves_of_a_study_are_the_means_of_its_arms(folder, compared):
    found = study_curves([view for view in compared.views if view.arms.convention == "paper"], open_study(folder))
    whole = compared.views[0].arms
    line = found[(found["bin"] == "all") & (found["strategy"] == "parallel, majority")]
    at = (whole.table["strategy"] == "parallel") & (whole.table["selector"] == "majority")
    at &= whole.table["model"] == "small"
    assert line["accuracy"].tolist() == pytest.approx(whole.accuracy[:, at].mean(axis=0).tolist())
    assert line["flops"].tolist() == pytest.approx(whole.flops[:, at].mean(axis=0).tolist())
    assert found[["low", "high"]].notna().all(axis=None)
    policy = found[found["kind"] == "policy"]
    assert (policy["in_sample"] >= policy["accuracy"] - 1e-9).all()
    assert found.loc[found["kind"] != "policy", "in_sample"].isna().all()


def test_a_verifier_without_a_spec_is_left_out_and_named(folder, compared, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    plan = json.loads((folder / "study.json").read_text())
    plan["models"]["orm"]["spec"] = None
    (tmp_path / "run" / "study.json").write_text(json.dumps(plan))
    study = open_study(tmp_path / "run")
    assert study.unpriced == ("orm",)
    found = exchange_study(study, rules=[PAPER], bins=1)
    assert any("left out: what orm answered or judged" in note for note in found.notes)
    assert not found.verdicts["strategy"].str.contains("by orm").any()
    every = compared.verdicts
    every = every[
        (every["convention"] == "paper") & (every["bin"] == "all") & (every["selector"] != "compute-optimal")
    ]
    kept = every[~every["strategy"].str.contains("by orm")].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.verdicts, kept)
    plan["models"]["large"]["spec"] = None
    (tmp_path / "run" / "study.json").write_text(json.dumps(plan))
    with pytest.raises(SpecError, match="no spec for model 'large'"):
        open_study(tmp_path / "run")


def test_a_small_end_of_an_interval_keeps_its_sign(compared):
    row = compared.verdicts[compared.verdicts["low"].notna()].head(1).assign(difference=0.021, low=4e-5, high=0.2)
    (shown,) = verdict_table(row, row["convention"].iloc[0]).filter(like="R = ").iloc[0]
    assert shown.startswith("+2.1 (+0.004 to +20.0)")


def test_a_study_is_reported_with_a_figure_of_everything(folder, tmp_path):
    asked = ["report", str(folder), "--out", str(tmp_path / "out"), "--bins", "2", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    names = {"verdicts", "by_bin", "frontier", "policy", "breakeven", "sensitivity"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == names
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == names
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png") == len(names)


def test_with_sunk_pretraining_r_plays_no_part_where_nothing_is_tuned(folder):
    rows = exchange_study(open_study(folder), rules=[PAPER], bins=1, sunk=True).verdicts
    assert (rows.groupby("strategy")["flops"].std() == 0).all()


def test_the_large_model_may_think_too(folder):
    study = open_study(folder, small="small", large="large")
    rows = exchange_study(study, rules=[PAPER], bins=1, thinking=True).verdicts
    assert set(rows["against"]) == {"greedy"}


def test_a_study_without_a_plan_or_a_model_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"no samples of model 'nobody'; expected one of large"):
        open_study(folder, small="nobody")
    with pytest.raises(DataError, match=r"no study\.json"):
        open_study(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"models": 3}))
    (tmp_path / "run.sqlite").write_bytes((folder / "run.sqlite").read_bytes())
    with pytest.raises(DataError, match="models is 3; expected a table"):
        open_study(tmp_path)


def test_a_study_without_a_large_model_says_how_to_get_one(folder, tmp_path):
    (tmp_path / "study.json").write_bytes((folder / "study.json").read_bytes())
    (tmp_path / "run.sqlite").write_bytes((folder / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as store, store:
        for table in ("calls", "solutions"):
            store.execute(f"DELETE FROM {table} WHERE unit IN (SELECT key FROM units WHERE role = 'large')")
        store.execute("DELETE FROM units WHERE role = 'large'")
    with pytest.raises(DataError, match=r"0 models of role large \(none\).*collect one as \[models.large\]"):
        open_study(tmp_path)
