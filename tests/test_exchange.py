"""Budgets matched on equal lifetime FLOPs, verdicts from counts, their sensitivity, and the paper's figures."""

import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab import flops
from scalinglab.curves import MEASURED, QueryCost, pass_at_k
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    ALL,
    CANNOT_PAY,
    FIXED,
    OPTIMAL,
    OUTSIDE,
    PAPER_R,
    PRETRAINING,
    TEST_TIME,
    UNDECIDED,
    Match,
    compare,
    line_table,
    match_ratio,
    match_specs,
    published,
    published_bars,
    published_lines,
    sensitivity,
)
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import find, parse

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
PRESETS = list(CONVENTIONS.values())
PAPER, SMALL_PAYS, BOTH_PAY = (CONVENTIONS[name] for name in ("paper", "small-pays", "paper-verifier"))
PAIRS = [("Pythia-1B", "Pythia-12B"), ("Qwen3-0.6B", "Qwen3-8B")]
ANSWERS = ["small", "difference", "low", "high", "relative", "relative_low", "relative_high"]

each_preset = pytest.mark.parametrize("convention", PRESETS, ids=CONVENTIONS)
each_pair = pytest.mark.parametrize("pair", PAIRS, ids="-".join)


# Matched budgets


@pytest.mark.parametrize(("r", "k"), [(0.16, 257.75), (0.79, 63.37), (22, 15.77)])
def test_a_14x_larger_model_buys_the_papers_budgets(r, k):
    assert match_ratio(14, PAPER).k(r) == pytest.approx(k, abs=0.005)


@pytest.mark.parametrize(
    ("convention", "printed"),
    [
        (PAPER, ["0.16", "0.79", "22"]),
        (SMALL_PAYS, ["0.079", "0.347", "2.2"]),
        (BOTH_PAY, ["0.082", "0.40", "11"]),
    ],
    ids=["paper", "small-pays", "paper-verifier"],
)
def test_the_rule_for_the_verifier_moves_r_as_printed(convention, printed):
    match = match_ratio(14.18, convention)
    for k, r in zip((256, 64, 16), printed, strict=True):
        digits = len(r.partition(".")[2])
        assert f"{match.r(k):.{digits}f}" == r


RATIOS, RS = st.floats(1.01, 1000), st.floats(1e-3, 1e3)


@given(RATIOS, RS)
@QUICK
def test_a_ratio_has_a_closed_form_under_each_rule(m, r):
    assert match_ratio(m, PAPER).k(r) == pytest.approx(m + 3 * (m - 1) / r)
    assert match_ratio(m, SMALL_PAYS).k(r) == pytest.approx(m / 2 + 1.5 * (m - 1) / r)
    assert match_ratio(m, BOTH_PAY).k(r) == pytest.approx(m + 1.5 * (m - 1) / r)


@given(st.sampled_from(PRESETS), RATIOS, RS)
@QUICK
def test_k_and_r_are_inverse_at_a_ratio(convention, m, r):
    match = match_ratio(m, convention)
    assert match.r(match.k(r)) == pytest.approx(r, rel=1e-6)


@given(st.sampled_from(PRESETS), st.sampled_from(PAIRS), st.integers(0, 300), st.integers(2, 300), RS)
@QUICK
def test_k_and_r_are_inverse_for_specs(convention, pair, prompt, generated, r):
    small, large = map(find, pair)
    match = match_specs(small, large, prompt=prompt, generated=generated, convention=convention)
    assert match.r(match.k(r)) == pytest.approx(r, rel=1e-6)
    assert match.k(r) > match.k(2 * r)


def test_a_k_that_one_large_query_outspends_is_refused_with_the_least_k():
    with pytest.raises(DataError, match=r"k = 5 under paper; expected more than 14,") as refusal:
        match_ratio(14, PAPER).r(5)
    assert "\n" not in str(refusal.value)
    with pytest.raises(DataError, match="more than 7,"):
        match_ratio(14, SMALL_PAYS).r(7)
    assert match_ratio(14, SMALL_PAYS).r(7.1) > 0


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_r_and_k_must_be_positive_numbers(value):
    match = match_ratio(14, PAPER)
    with pytest.raises(DataError, match="R = "):
        match.k(value)
    with pytest.raises(DataError, match="k = "):
        match.r(value)


@pytest.mark.parametrize("ratio", [1, 0.5, -3, math.nan, math.inf])
def test_a_ratio_must_be_a_number_above_one(ratio):
    with pytest.raises(DataError, match="a number above 1"):
        match_ratio(ratio, PAPER)


def test_a_fixed_cost_is_paid_once_a_query():
    match = Match(PAPER, 100.0, 1000.0, QueryCost(5, 2), QueryCost(7, 30), 10.0)
    # 100 + 10 R (5 + 2 k) = 1000 + 10 R (7 + 30), at R = 3.
    assert match.k(3) == pytest.approx((900 / 30 + 37 - 5) / 2)


@given(RS)
@QUICK
def test_specs_trained_on_equal_tokens_match_as_their_ratio(r):
    small, large = find("Qwen3-0.6B"), find("Qwen3-8B")
    assert small.training_tokens == large.training_tokens
    by_specs = match_specs(small, large, prompt=100, generated=500, convention=PAPER)
    assert by_specs.k(r) == pytest.approx(match_ratio(large.total / small.total, PAPER).k(r), rel=1e-12)


@each_preset
@each_pair
@pytest.mark.parametrize("r", PAPER_R)
def test_lifetime_flops_balance(pair, convention, r):
    small, large = map(find, pair)
    match = match_specs(small, large, prompt=80, generated=400, convention=convention)
    trained = [
        flops.total(flops.training(spec, spec.training_tokens, convention=convention)) for spec in (small, large)
    ]
    queries = r * small.training_tokens / 400
    ours = trained[0] + queries * match.small.at(match.k(r))
    assert ours == pytest.approx(trained[1] + queries * match.large.at(1), rel=1e-12)


def test_a_larger_d_of_the_large_model_buys_more_samples():
    small, large = map(find, PAIRS[0])
    longer = replace(large, training_tokens=2 * large.training_tokens)
    equal, more = (match_specs(small, spec, prompt=0, generated=100, convention=PAPER) for spec in (large, longer))
    m = large.total / small.total
    assert equal.k(1) == pytest.approx(m + 3 * (m - 1))
    assert more.k(1) == pytest.approx(m + 3 * (2 * m - 1))


@each_pair
def test_a_majority_needs_no_verifier(pair):
    small, large = map(find, pair)
    options = {"prompt": 50, "generated": 100, "selector": "majority"}
    voted, free = (match_specs(small, large, convention=rule, **options) for rule in (SMALL_PAYS, PAPER))
    assert voted.k(1) == free.k(1)
    options["selector"] = "best-of-n"
    verified = match_specs(small, large, convention=SMALL_PAYS, **options)
    assert verified.k(1) == pytest.approx(voted.k(1) / 2)


def test_unknown_training_tokens_are_refused():
    small, large = find("Llama-3.2-1B"), find("Llama-3.1-8B")
    with pytest.raises(SpecError, match=r"Llama-3\.2-1B: training tokens unknown"):
        match_specs(small, large, prompt=10, generated=10, convention=PAPER)


def test_swapped_models_are_refused():
    large, small = map(find, PAIRS[0])
    with pytest.raises(SpecError, match="swap the two"):
        match_specs(small, large, prompt=10, generated=10, convention=PAPER)


def test_samples_that_write_nothing_are_refused():
    small, large = map(find, PAIRS[0])
    with pytest.raises(DataError, match="generated tokens = 0"):
        match_specs(small, large, prompt=10, generated=0, convention=PAPER)


# Verdicts

P = np.random.default_rng(0).beta(1, 4, 100)
SPECS = {"small": parse("1e9@20e9"), "large": parse("4e9@20e9")}
R_AT_16 = match_ratio(4, PAPER).r(16)
LINE = "parallel, coverage"


def counts(correct, n, model):
    names = [f"p{i:03d}" for i in range(len(correct))]
    return pd.DataFrame({"model": model, "problem": names, "n": n, "correct": np.asarray(correct, dtype=int)})


def drawn(p, n, model, seed):
    return counts(np.random.default_rng(seed).binomial(n, p), n, model)


SMALL = drawn(P, 128, "small", 1)


def compared(small, large, **options):
    evidence = open_evidence(pd.concat([small, large]), small="small", large="large", specs=SPECS)
    return compare(evidence, **{"r": [R_AT_16], "bins": 4, "rules": [PAPER], **options})


def verdicts_against(p_large, *, line=True, **options):
    """Verdicts on the parallel samples of the small model, of the line alone or of every strategy."""
    found = compared(SMALL, drawn(p_large, 1000, "large", 2), **options).verdicts
    return found[found["strategy"] == LINE].reset_index(drop=True) if line else found


def test_verdicts_are_right_where_the_gap_is_large():
    reached = 1 - (1 - P) ** 16
    for p_large, winner in ((0.3 * reached, TEST_TIME), (1 - 0.1 * (1 - reached), PRETRAINING)):
        found = verdicts_against(p_large, line=False)
        clear = found[found["difference"].abs() > 0.05]
        assert len(clear) >= 9
        assert set(clear["verdict"]) == {winner}


@pytest.mark.parametrize("samples", [1, 64])
def test_equal_models_are_told_apart_in_no_more_than_one_bin_in_twenty(samples):
    rng, decided = np.random.default_rng(3), []
    for seed in range(10):
        p = rng.beta(1, 4, 100)
        large = drawn(1 - (1 - p) ** 16, samples, "large", seed)
        found = compared(drawn(p, 128, "small", seed + 1), large, seed=seed, bins=5).verdicts
        lines = found[(found["strategy"] == LINE) & (found["bin"] != ALL)]
        decided += (lines["verdict"] != UNDECIDED).tolist()
    assert np.mean(decided) < 0.07


def test_verdicts_are_undecided_where_the_models_are_equal():
    found = verdicts_against(1 - (1 - P) ** 16)
    assert set(found["verdict"]) == {UNDECIDED}
    assert ((found["low"] <= 0) & (found["high"] >= 0)).all()
    assert (found["difference"].abs() < 0.05).all()


def test_a_model_that_wins_where_problems_are_easy_can_lose_where_they_are_hard():
    hard = np.arange(100) >= 50
    p_small, p_large = np.where(hard, 0.001, 0.4), np.where(hard, 0.5, 0.6)
    found = compared(drawn(p_small, 128, "small", 3), drawn(p_large, 500, "large", 4), bins=2).verdicts
    for _, rows in found.groupby("strategy"):
        by_bin = rows.set_index("bin")["verdict"]
        assert (by_bin["1"], by_bin["2"]) == (TEST_TIME, PRETRAINING)


def test_the_verdict_follows_the_interval():
    found = pd.concat([verdicts_against(1 - (1 - P) ** k, line=False) for k in (2, 14, 60)])
    expected = np.where(found["low"] > 0, TEST_TIME, np.where(found["high"] < 0, PRETRAINING, UNDECIDED))
    assert found["verdict"].tolist() == expected.tolist()
    assert ((found["low"] < found["difference"]) & (found["difference"] < found["high"])).all()
    relative = found["small"] / found["large"] - 1
    np.testing.assert_allclose(found["relative"], relative, rtol=1e-12)
    np.testing.assert_allclose(found["difference"], found["small"] - found["large"], atol=1e-15)
    assert ((found["relative_low"] <= relative) & (relative <= found["relative_high"])).all()


def test_accuracy_at_a_whole_budget_is_pass_at_k():
    found = verdicts_against(P, bins=1)
    assert found["k"].tolist() == [pytest.approx(16)]
    exact = pass_at_k(128, SMALL["correct"].to_numpy(), 16).mean()
    assert found["small"].tolist() == [pytest.approx(exact, rel=1e-12)]
    assert found["large"].tolist() == [pytest.approx(drawn(P, 1000, "large", 2)["correct"].mean() / 1000)]
    assert found["against"].tolist() == ["pass@1 of 1000 samples"], "a rate of samples is not greedy"


@pytest.mark.parametrize("k", [4.01, 7.5, 16.99, 127.5])
def test_between_whole_budgets_stands_their_mixture(k):
    found = verdicts_against(P, bins=1, r=[match_ratio(4, PAPER).r(k)])
    below, above = (pass_at_k(128, SMALL["correct"].to_numpy(), i).mean() for i in (math.floor(k), math.ceil(k)))
    assert found["k"][0] == pytest.approx(k)
    assert found["small"][0] == pytest.approx(below + (k - math.floor(k)) * (above - below), rel=1e-9)


def test_beyond_the_samples_only_a_win_is_told():
    """128 samples are a lower bound of what more would reach."""
    weak, strong = (verdicts_against(p, r=[1e-3, R_AT_16]).set_index("R") for p in (0.5 * P, np.full(100, 0.995)))
    assert set(weak.loc[1e-3, "status"]) == set(strong.loc[1e-3, "status"]) == {"lower bound"}
    assert set(weak.loc[1e-3, "verdict"]) == {TEST_TIME}
    assert weak.loc[1e-3, "k"].max() == 128
    assert set(strong.loc[1e-3, "verdict"]) == {OUTSIDE}
    assert strong.loc[1e-3, ANSWERS].isna().all(axis=None)
    assert strong["large"].notna().all()
    assert set(strong.loc[R_AT_16, "status"]) == {MEASURED}


def test_all_problems_are_scored_on_every_sample_and_bins_on_half():
    r = [match_ratio(4, PAPER).r(k) for k in (63.9, 65)]
    whole = verdicts_against(P, r=r, bins=1)
    split = verdicts_against(P, r=r, bins=2)
    assert split.loc[split["bin"] == ALL, "small"].tolist() == whole["small"].tolist()
    halves = split[split["bin"] != ALL]
    assert halves.groupby("R", sort=False)["status"].first().tolist() == [MEASURED, "lower bound"]


def test_a_budget_below_one_sample_cannot_be_paid():
    """The small model cost more to train than both the large one and all of its queries."""
    specs = {"small": parse("1e9@8e12"), "large": parse("4e9@20e9")}
    evidence = open_evidence(
        pd.concat([SMALL, drawn(P, 10, "large", 2)]), small="small", large="large", specs=specs
    )
    found = compare(evidence, r=[1e-3], bins=1, rules=[PAPER]).verdicts
    assert set(found["verdict"]) == {CANNOT_PAY}
    assert (found["flops"] < 0).all()


def test_one_bin_gives_only_all_problems():
    found = verdicts_against(P, bins=1)
    assert found["bin"].tolist() == [ALL]
    assert found["problems"].tolist() == [100]


def test_bins_part_the_problems_in_every_split():
    view = compared(SMALL, drawn(P, 100, "large", 2)).views[0]
    assert [group.name for group in view.groups] == [ALL, "1", "2", "3", "4"]
    inside = np.zeros((4, 100))
    for group in view.groups[1:]:
        inside[:, group.members] += group.inside
    assert (inside == 1).all()


def test_there_is_a_row_for_each_strategy_bin_convention_and_r():
    rules = [PAPER, SMALL_PAYS]
    found = compared(SMALL, drawn(P, 100, "large", 2), r=[0.5, 2.0], rules=rules).verdicts
    assert not found.duplicated(["strategy", "bin", "convention", "R"]).any()
    assert len(found) == 3 * 5 * 2 * 2
    assert set(found["strategy"]) == {OPTIMAL, FIXED, LINE}


def test_a_bin_of_few_problems_has_numbers_but_no_interval():
    small, large = counts([32, 20, 10, 0], 64, "small"), counts([40, 30, 20, 10], 64, "large")
    found = compared(small, large).verdicts
    assert set(found["verdict"]) == {UNDECIDED}
    assert found[["low", "high", "relative_low", "relative_high"]].isna().all(axis=None)
    assert found[["small", "large", "difference"]].notna().all(axis=None)


def test_nothing_is_relative_to_a_large_model_that_is_never_right():
    found = verdicts_against(np.zeros(100), bins=1, line=False)
    assert set(found["large"]) == {0}
    assert set(found["verdict"]) == {TEST_TIME}
    assert found[["relative", "relative_low", "relative_high"]].isna().all(axis=None)


def test_the_order_of_problems_does_not_matter():
    large, order = drawn(P, 500, "large", 5), np.random.default_rng(6).permutation(100)
    first, second = (compared(SMALL, rows).verdicts for rows in (large, large.iloc[order]))
    pd.testing.assert_frame_equal(first, second)


def test_a_comparison_is_seeded():
    large = drawn(P, 500, "large", 5)
    first, again, other = (compared(SMALL, large, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first.verdicts, again.verdicts)
    pd.testing.assert_frame_equal(first.breakeven, again.breakeven)
    assert not first.verdicts.equals(other.verdicts)


def test_there_is_a_curve_for_each_bin_on_the_scored_half():
    large = drawn(P, 500, "large", 5)
    found = line_table(compared(SMALL, large, bins=3).views)
    found = found[found["strategy"] == LINE]
    whole = found[found["bin"] == ALL]
    assert whole["k"].tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    exact = pass_at_k(128, SMALL["correct"].to_numpy()[:, None], whole["k"].to_numpy(int)).mean(axis=0)
    np.testing.assert_allclose(whole["accuracy"], exact, rtol=1e-12)
    assert found.loc[found["bin"] != ALL, "k"].max() == 64
    assert ((found["low"] <= found["accuracy"]) & (found["accuracy"] <= found["high"] + 1e-12)).all()
    easiest, hardest = (found[found["bin"] == name]["accuracy"].to_numpy() for name in ("1", "3"))
    assert (easiest > hardest).all()


@pytest.mark.parametrize("selector", ["majority", "best-of-n by verifier", "weighted by verifier"])
def test_every_selector_of_texts_gets_a_verdict(selector):
    rng, problems = np.random.default_rng(7), [f"p{i:03d}" for i in range(40)]
    right = rng.random(40 * 64) < 0.45
    rows = pd.DataFrame({"model": "small", "problem": np.repeat(problems, 64), "correct": right})
    rows["answer"] = np.where(right, 0, rng.integers(1, 9, right.shape)).astype(str)
    rows["score"] = 0.2 + 0.6 * right + 0.2 * rng.random(right.shape)
    theirs = pd.DataFrame({"model": "large", "problem": np.repeat(problems, 10), "correct": rng.random(400) < 0.3})
    found = compared(rows, theirs, bins=2).verdicts
    found = found[found["strategy"] == f"parallel, {selector}"]
    assert found["bin"].tolist() == [ALL, "1", "2"]
    assert set(found["verdict"]) == {TEST_TIME}


# Sensitivity


def verdict_table(rows):
    return pd.DataFrame(rows, columns=["bin", "R", "convention", "verdict"]).assign(strategy="coverage")


def test_sensitivity_has_one_row_a_bin_and_r_in_their_order():
    rules = [PAPER, SMALL_PAYS]
    verdicts = compared(SMALL, drawn(P, 100, "large", 2), rules=rules, r=[2.0, 0.5]).verdicts
    verdicts = verdicts[verdicts["strategy"] == LINE]
    found = sensitivity(verdicts)
    expected = verdicts[["bin", "R"]].drop_duplicates().to_numpy().tolist()
    assert found[["bin", "R"]].to_numpy().tolist() == expected
    assert list(found.columns) == ["strategy", "bin", "R", "paper", "small-pays", "flips"]
    for row in found.to_dict("records"):
        here = verdicts[(verdicts["bin"] == row["bin"]) & (verdicts["R"] == row["R"])]
        assert here["verdict"].tolist() == [row["paper"], row["small-pays"]]


@pytest.mark.parametrize(
    ("one", "other", "flips"),
    [
        (TEST_TIME, PRETRAINING, True),
        (PRETRAINING, TEST_TIME, True),
        (TEST_TIME, TEST_TIME, False),
        (TEST_TIME, UNDECIDED, False),
        (PRETRAINING, OUTSIDE, False),
        (UNDECIDED, OUTSIDE, False),
        (CANNOT_PAY, TEST_TIME, True),
        (CANNOT_PAY, PRETRAINING, False),
        (CANNOT_PAY, UNDECIDED, False),
    ],
)
def test_only_contradicting_verdicts_flip(one, other, flips):
    found = sensitivity(verdict_table([("all", 1.0, "a", one), ("all", 1.0, "b", other)]))
    assert found["flips"].tolist() == [flips]


def test_flips_are_told_apart_by_bin_and_r():
    rows = [("1", r, rule, v) for r, rule, v in [(1.0, "a", TEST_TIME), (2.0, "b", PRETRAINING)]]
    rows += [("2", 1.0, "a", TEST_TIME), ("2", 1.0, "b", PRETRAINING)]
    assert sensitivity(verdict_table(rows))["flips"].tolist() == [False, False, True]


# The paper's own figures

LINES = {
    "compute_optimal_bon_weighted": ("revisions", "compute-optimal, verifier"),
    "parallel_bon_weighted": ("revisions", "parallel, verifier"),
    "compute_optimal_majority": ("revisions", "compute-optimal, majority"),
    "parallel_majority": ("revisions", "parallel, majority"),
    "prm_compute_optimal": ("PRM search", "compute-optimal"),
    "prm_bon_weighted": ("PRM search", "PRM best-of-N weighted"),
    "orm_bon_weighted": ("PRM search", "ORM best-of-N weighted"),
    "majority": ("PRM search", "majority"),
}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_packaged_lines_are_the_digitised_ones(shared_data):
    theirs = {
        (*LINES[row["series"]], 2 ** int(row["log2_budget"])): float(row["accuracy_pct"])
        for row in rows_of(shared_data("snell") / "fig1_lines.csv")
    }
    ours = published_lines().set_index(["mechanism", "series", "k"])["accuracy_pct"].to_dict()
    # PAPER.md gives the ORM at one and two samples too, where its line lies on the PRM's.
    hidden = {("PRM search", "ORM best-of-N weighted", k) for k in (1, 2)}
    assert {key: value for key, value in ours.items() if key not in hidden} == theirs
    for mechanism, series, k in hidden:
        assert ours[mechanism, series, k] == ours[mechanism, series.replace("ORM", "PRM"), k]


def test_the_packaged_bars_are_the_printed_ones(shared_data):
    mechanisms = {"revisions": "revisions", "prm_search": "PRM search"}
    budgets = dict(zip(published()["printed_r"], published()["budgets"], strict=True))
    theirs = {
        (mechanisms[row["mechanism"]], budgets[float(row["R_value_v1"])], level): float(row[level])
        for row in rows_of(shared_data("snell") / "fig1_bars.csv")
        for level in ("easy", "medium", "hard")
    }
    ours = published_bars().set_index(["mechanism", "k", "difficulty"])["improvement_pct"].to_dict()
    assert ours == theirs


def test_the_winner_of_a_bar_is_its_sign():
    bars = published_bars()
    sign = np.sign(bars["improvement_pct"]).astype(int)
    assert bars["winner"].tolist() == [{1: TEST_TIME, -1: PRETRAINING, 0: "even"}[s] for s in sign]
    assert bars["winner"].value_counts().to_dict() == {TEST_TIME: 9, PRETRAINING: 8, "even": 1}


def test_bars_carry_r_under_each_rule():
    bars = published_bars().drop_duplicates("k").set_index("k")
    for rule in (PAPER, SMALL_PAYS, BOTH_PAY):
        match = match_ratio(14.18, rule)
        assert bars[f"R {rule.name}"].to_dict() == {k: match.r(k) for k in (256, 64, 16)}
    printed = dict(zip(published()["budgets"], published()["printed_r"], strict=True))
    for k, r in printed.items():
        assert float(f"{bars.loc[k, 'R paper']:.2g}") == r


def test_lines_carry_r_only_where_a_budget_can_be_matched():
    lines = published_lines()
    verified = lines[~lines["series"].str.contains("majority")]
    assert (verified["R paper"].notna() == (verified["k"] > 14.18)).all()
    assert (verified["R paper-verifier"].notna() == (verified["k"] > 14.18)).all()
    assert (verified["R small-pays"].notna() == (verified["k"] > 7.09)).all()


def test_prm_search_on_medium_problems_is_better_at_16_than_at_64():
    bars = published_bars().set_index(["mechanism", "difficulty", "k"])["improvement_pct"]
    assert bars["PRM search", "medium", 16] > bars["PRM search", "medium", 64]
