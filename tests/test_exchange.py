import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab import flops
from scalinglab.curves import Graded, Pool, QueryCost, pass_at_k, pool_from_counts, run_cost
from scalinglab.errors import DataError, SpecError
from scalinglab.exchange import (
    ALL,
    OUTSIDE,
    PAPER_R,
    PRETRAINING,
    TEST_TIME,
    UNDECIDED,
    Match,
    exchange,
    match_ratio,
    match_run,
    match_specs,
    published,
    published_bars,
    published_lines,
    reference_strategy,
    sensitivity,
)
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.samples import Call, RunStore, Solution, Unit, read_counts
from scalinglab.specs import find

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


# A recorded run

SPECS = {"small": find("Pythia-1B"), "large": find("Pythia-12B"), "judge": find("Pythia-160M")}


def record(path, *, greedy=True):
    """Two problems: four verified samples of the small model of two lengths, one answer of the large."""
    with RunStore(path / "run.sqlite") as store:
        for problem, question in (("a", 40), ("b", 70)):
            calls = []
            for i in range(4):
                written = 100 if i % 2 else 160
                calls.append(Call("policy", "small", question, written, question, sample=i))
                read = question + written
                calls.append(Call("verifier", "judge", read, 0, question, scored_tokens=3, sample=i))
            unit = Unit("r", "t", problem, "policy", "small", "parallel", budget=4)
            store.append(unit, calls, [Solution("", "a", "right", [0.5])] * 4)
            unit = Unit("r", "t", problem, "large", "large", "greedy" if greedy else "parallel")
            calls = [
                Call("large", "large", question, 90, question),
                Call("verifier", "judge", question + 90, 0, question, scored_tokens=3),
            ]
            store.append(unit, calls, [Solution("", "a", "right", [0.5])])
        return store.read()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record(tmp_path_factory.mktemp("run"))


@each_preset
@pytest.mark.parametrize("selector", ["best-of-n", "majority"])
def test_a_run_balances_at_the_costs_its_ledger_charged(run, convention, selector):
    verified = selector != "majority"
    options = {"small": "small", "large": "large", "convention": convention, "selector": selector}
    match = match_run(run, SPECS, **options)
    ledger = price(run, SPECS, convention=convention)
    trained = ledger.entries[ledger.entries["phase"] == "pretrain"].set_index("model")["flops"]
    ours = run_cost(ledger, run, "small", verified=verified)
    theirs = run_cost(ledger, run, "large", strategy="greedy", verified=verified)
    for r in PAPER_R:
        queries = r * SPECS["small"].training_tokens / 130
        spent = trained["small"] + queries * ours.at(match.k(r))
        assert spent == pytest.approx(trained["large"] + queries * theirs.at(1), rel=1e-12)


@each_preset
def test_the_measured_cost_of_a_query_is_its_share_of_the_ledger(run, convention):
    match = match_run(run, SPECS, small="small", large="large", convention=convention)
    entries = price(run, SPECS, convention=convention).entries
    spent = entries.groupby("strategy")["flops"].sum()
    assert match.small.at(4) == pytest.approx(spent["parallel"] / 2, rel=1e-12)
    assert match.large.at(1) == pytest.approx(spent["greedy"] / 2, rel=1e-12)


def test_a_run_without_a_greedy_answer_uses_the_mean_sample_of_the_large_model(tmp_path):
    run = record(tmp_path, greedy=False)
    assert reference_strategy(run, "large") == "parallel"
    match = match_run(run, SPECS, small="small", large="large", convention=PAPER)
    assert match.large == QueryCost(0, 2 * SPECS["large"].total * 90)


def test_a_run_with_a_greedy_answer_uses_it(run):
    assert reference_strategy(run, "large") == "greedy"


def test_a_run_matched_the_wrong_way_round_is_refused(tmp_path):
    run = record(tmp_path, greedy=False)
    with pytest.raises(SpecError, match="swap the two"):
        match_run(run, SPECS, small="large", large="small", convention=PAPER)


# Verdicts


def pool_of(correct, n, model):
    correct = np.asarray(correct)
    names = tuple(f"p{i:03d}" for i in range(len(correct)))
    return Pool(model, names, np.full(len(correct), n), correct)


def drawn(p, n, model, seed):
    return pool_of(np.random.default_rng(seed).binomial(n, p), n, model)


P = np.random.default_rng(0).beta(1, 4, 100)
SMALL = drawn(P, 128, "small", 1)
R_AT_16 = match_ratio(4, PAPER).r(16)


def verdicts_against(p_large, **options):
    large = drawn(p_large, 1000, "large", 2)
    options = {"r": [R_AT_16], "bins": 4, **options}
    return exchange(SMALL, large, [match_ratio(4, PAPER)], **options).verdicts


def test_verdicts_are_right_where_the_gap_is_large():
    reached = 1 - (1 - P) ** 16
    for p_large, winner in ((0.3 * reached, TEST_TIME), (1 - 0.1 * (1 - reached), PRETRAINING)):
        found = verdicts_against(p_large)
        clear = found[found["difference"].abs() > 0.05]
        assert len(clear) >= 3
        assert set(clear["verdict"]) == {winner}


@pytest.mark.parametrize("samples", [1, 64])
def test_equal_models_are_told_apart_in_no_more_than_one_bin_in_twenty(samples):
    rng, decided = np.random.default_rng(3), []
    for seed in range(20):
        p = rng.beta(1, 4, 100)
        large = drawn(1 - (1 - p) ** 16, samples, "large", seed)
        matches = [match_ratio(4, PAPER)]
        found = exchange(drawn(p, 128, "small", seed + 1), large, matches, r=[R_AT_16], seed=seed).verdicts
        decided += (found.loc[found["bin"] != "all", "verdict"] != UNDECIDED).tolist()
    assert np.mean(decided) < 0.07


def test_verdicts_are_undecided_where_the_models_are_equal():
    found = verdicts_against(1 - (1 - P) ** 16)
    assert set(found["verdict"]) == {UNDECIDED}
    assert ((found["low"] <= 0) & (found["high"] >= 0)).all()
    assert (found["difference"].abs() < 0.05).all()


def test_a_model_that_wins_where_problems_are_easy_can_lose_where_they_are_hard():
    hard = np.arange(100) >= 50
    p_small, p_large = np.where(hard, 0.001, 0.4), np.where(hard, 0.5, 0.6)
    small, large = drawn(p_small, 128, "small", 3), drawn(p_large, 500, "large", 4)
    found = exchange(small, large, [match_ratio(4, PAPER)], r=[R_AT_16], bins=2).verdicts
    by_bin = found.set_index("bin")["verdict"]
    assert by_bin["1"] == TEST_TIME
    assert by_bin["2"] == PRETRAINING


def test_the_verdict_follows_the_interval():
    found = pd.concat([verdicts_against(1 - (1 - P) ** k) for k in (2, 14, 60)])
    expected = np.where(found["low"] > 0, TEST_TIME, np.where(found["high"] < 0, PRETRAINING, UNDECIDED))
    assert found["verdict"].tolist() == expected.tolist()
    assert ((found["low"] <= found["difference"]) & (found["difference"] <= found["high"])).all()
    relative = found["small"] / found["large"] - 1
    np.testing.assert_allclose(found["relative"], relative, rtol=1e-12)
    np.testing.assert_allclose(found["difference"], found["small"] - found["large"], atol=1e-15)
    assert ((found["relative_low"] <= relative) & (relative <= found["relative_high"])).all()


def test_accuracy_at_a_whole_budget_is_pass_at_k():
    found = verdicts_against(P, bins=1)
    assert found["k"].tolist() == [pytest.approx(16)]
    exact = pass_at_k(128, SMALL.correct, 16).mean()
    assert found["small"].tolist() == [pytest.approx(exact, rel=1e-12)]
    assert found["large"].tolist() == [drawn(P, 1000, "large", 2).correct.mean() / 1000]


@pytest.mark.parametrize("k", [4.01, 7.5, 16.99, 127.5])
def test_accuracy_between_whole_budgets_lies_between_its_neighbours(k):
    found = verdicts_against(P, bins=1, r=[match_ratio(4, PAPER).r(k)])
    below, above = (pass_at_k(128, SMALL.correct, i).mean() for i in (math.floor(k), math.ceil(k)))
    assert below < found["small"][0] < above
    share = math.log(k / math.floor(k)) / math.log(math.ceil(k) / math.floor(k))
    assert found["small"][0] == pytest.approx(below + share * (above - below), rel=1e-9)


def test_budgets_beyond_the_samples_get_a_verdict_but_no_number():
    found = verdicts_against(P, r=[1e-3, R_AT_16]).set_index("R")
    beyond, within = found.loc[1e-3], found.loc[R_AT_16]
    assert set(beyond["verdict"]) == {OUTSIDE}
    assert (beyond["k"] > 128).all()
    assert beyond[ANSWERS].isna().all(axis=None)
    assert OUTSIDE not in set(within["verdict"])
    assert within.notna().all(axis=None)
    assert found["large"].notna().all()


def test_halving_halves_the_budgets_that_are_measured():
    r = [match_ratio(4, PAPER).r(k) for k in (63.9, 65)]
    assert verdicts_against(P, r=r, bins=1)["verdict"].ne(OUTSIDE).all()
    split = verdicts_against(P, r=r, bins=2).set_index("bin").loc[ALL]
    assert (split["verdict"] == OUTSIDE).tolist() == [False, True]


def test_every_budget_may_lie_beyond_the_samples():
    found = verdicts_against(P, r=[1e-3])
    assert set(found["verdict"]) == {OUTSIDE}
    assert found[ANSWERS].isna().all(axis=None)


def test_a_budget_below_one_sample_is_not_extrapolated():
    match = Match(PAPER, 1.0, 2.0, QueryCost(0, 10), QueryCost(0, 2), 1.0)
    found = exchange(SMALL, drawn(P, 10, "large", 2), [match], r=[1.0], bins=1).verdicts
    assert found["k"].tolist() == [pytest.approx(0.3)]
    assert found["verdict"].tolist() == [OUTSIDE]


def test_one_bin_gives_only_all_problems():
    found = verdicts_against(P, bins=1)
    assert found["bin"].tolist() == [ALL]
    assert found["problems"].tolist() == [100]


def test_bins_part_the_problems():
    found = verdicts_against(P).set_index("bin")["problems"]
    assert found.index[0] == ALL
    assert set(found.index[1:]) <= {"1", "2", "3", "4"}
    assert found[ALL] == found.drop(ALL).sum() == 100


def test_there_is_a_row_for_each_bin_convention_and_r():
    matches = [match_ratio(4, rule) for rule in (PAPER, SMALL_PAYS)]
    found = exchange(SMALL, drawn(P, 100, "large", 2), matches, r=[0.5, 2.0], bins=4).verdicts
    assert not found.duplicated(["bin", "convention", "R"]).any()
    assert len(found) == found["bin"].nunique() * 2 * 2
    assert set(found["strategy"]) == {"coverage"}


def test_a_bin_of_one_problem_has_numbers_but_no_interval():
    small, large = pool_of([32, 20, 10, 0], 64, "small"), pool_of([40, 30, 20, 10], 64, "large")
    found = exchange(small, large, [match_ratio(4, PAPER)], r=[R_AT_16], bins=4).verdicts
    single = found[found["problems"] == 1]
    assert set(single["verdict"]) == {UNDECIDED}
    assert single[["low", "high", "relative_low", "relative_high"]].isna().all(axis=None)
    assert single[["small", "large", "difference"]].notna().all(axis=None)


def test_nothing_is_relative_to_a_large_model_that_is_never_right():
    found = verdicts_against(np.zeros(100), bins=1)
    assert found["large"].tolist() == [0]
    assert found["verdict"].tolist() == [TEST_TIME]
    assert found[["relative", "relative_low", "relative_high"]].isna().all(axis=None)


def test_the_order_of_the_large_models_problems_does_not_matter():
    large, order = drawn(P, 500, "large", 5), np.random.default_rng(6).permutation(100)
    names = tuple(large.problems[i] for i in order)
    shuffled = replace(large, problems=names, n=large.n[order], correct=large.correct[order])
    matches = [match_ratio(4, PAPER)]
    first, second = (exchange(SMALL, pool, matches).verdicts for pool in (large, shuffled))
    pd.testing.assert_frame_equal(first, second)


def test_different_problems_are_refused():
    large = drawn(P[:99], 500, "large", 5)
    with pytest.raises(DataError, match="share 99 of 100 and 99 problems"):
        exchange(SMALL, large, [match_ratio(4, PAPER)])


def test_an_exchange_is_seeded():
    large = drawn(P, 500, "large", 5)
    first, again, other = (exchange(SMALL, large, [match_ratio(4, PAPER)], seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first.verdicts, again.verdicts)
    pd.testing.assert_frame_equal(first.curves, again.curves)
    assert not first.verdicts.equals(other.verdicts)


def test_an_exchange_has_a_curve_for_each_bin_on_the_scored_half():
    large = drawn(P, 500, "large", 5)
    found = exchange(SMALL, large, [match_ratio(4, PAPER)], bins=1).curves
    assert found["k"].tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    exact = pass_at_k(128, SMALL.correct[:, None], found["k"].to_numpy()).mean(axis=0)
    np.testing.assert_allclose(found["accuracy"], exact, rtol=1e-12)
    split = exchange(SMALL, large, [match_ratio(4, PAPER)], bins=3).curves
    assert set(split["bin"]) == {ALL, "1", "2", "3"}
    assert split["k"].max() == 64
    assert ((split["low"] <= split["accuracy"]) & (split["accuracy"] <= split["high"])).all()
    easiest, hardest = (split[split["bin"] == name]["accuracy"].to_numpy() for name in ("1", "3"))
    assert (easiest > hardest).all()


def test_an_exchange_says_what_its_numbers_rest_on():
    large, matches = drawn(P, 500, "large", 5), [match_ratio(4, PAPER)]
    found = exchange(SMALL, large, matches, unpriced={"kaplan": "why"}, notes=["one more"])
    assert [note.split(":")[0] for note in found.notes[:3]] == ["coverage", "large", "bins"]
    assert found.notes[3:] == ("one more",)
    assert found.unpriced == {"kaplan": "why"}
    assert (found.small, found.large, found.selector) == ("small", "large", "coverage")
    assert exchange(SMALL, pool_of(P > 0.2, 1, "large"), matches, bins=1).notes[1:] == ()


@pytest.mark.parametrize("selector", ["majority", "best-of-n", "weighted"])
def test_every_selector_of_texts_gets_a_verdict(selector):
    rng = np.random.default_rng(7)
    right = rng.random((40, 64)) < 0.45
    scores = 0.2 + 0.6 * right + 0.2 * rng.random(right.shape)
    names = tuple(f"p{i:03d}" for i in range(40))
    graded = Graded(right, np.where(right, 0, rng.integers(1, 9, right.shape)), scores)
    small = Pool("small", names, np.full(40, 64), right.sum(axis=1), graded)
    large = drawn(np.full(40, 0.3), 100, "large", 8)
    found = exchange(small, large, [match_ratio(4, PAPER)], selector=selector, r=[R_AT_16], bins=2)
    assert set(found.verdicts["verdict"]) == {TEST_TIME}
    assert set(found.verdicts["strategy"]) == {selector}


# Sensitivity


def verdict_table(rows):
    return pd.DataFrame(rows, columns=["bin", "R", "convention", "verdict"]).assign(strategy="coverage")


def test_sensitivity_has_one_row_a_bin_and_r_in_their_order():
    matches = [match_ratio(4, rule) for rule in (PAPER, SMALL_PAYS)]
    verdicts = exchange(SMALL, drawn(P, 100, "large", 2), matches, r=[2.0, 0.5], bins=4).verdicts
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


# Pythia on MATH, by others


@pytest.fixture(scope="module")
def pythia(shared_data):
    counts = read_counts(shared_data("pythia_math") / "counts.csv")
    return [pool_from_counts(counts, f"Pythia {size}") for size in ("1B", "12B")]


def test_pythia_1b_beats_12b_with_a_perfect_verifier_at_low_r(pythia):
    found = exchange(*pythia, [match_ratio(14.06, rule) for rule in (PAPER, SMALL_PAYS, BOTH_PAY)])
    low_r = found.verdicts[(found.verdicts["R"] == 0.16) & (found.verdicts["bin"] == ALL)]
    assert low_r["verdict"].tolist() == [TEST_TIME] * 3
    assert low_r["problems"].tolist() == [128] * 3
    assert OUTSIDE not in set(found.verdicts["verdict"])
    assert "perfect verifier" in found.notes[0]
    assert not sensitivity(found.verdicts)["flips"].any()


def test_a_pythia_exchange_is_the_same_for_the_same_seed(pythia):
    first, again = (exchange(*pythia, [match_ratio(14.06, PAPER)], seed=3).verdicts for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_the_pythia_pair_is_14_times_apart():
    small, large = find("Pythia-1B"), find("Pythia-12B")
    assert large.non_embedding / small.non_embedding == pytest.approx(14.06, abs=0.005)
