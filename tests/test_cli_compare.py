"""curve and exchange on tables of counts."""

import json
import re

import pytest
from commands import CONFIG, EXCHANGE, HEAD, LARGE, SMALL, assert_refused

from scalinglab.exchange import (
    CANNOT_PAY,
    OPTIMAL,
    OUTSIDE,
    PRETRAINING,
    TEST_TIME,
    UNDECIDED,
    match_ratio,
    match_specs,
)
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import find, from_config

COVERAGE = "parallel, coverage"
VERDICT_KEYS = {
    "strategy", "model", "verifier", "selector", "bin", "R", "k", "flops", "against", "convention", "status",
    "interval", "small", "large", "difference", "low", "high", "relative", "relative_low", "relative_high",
    "problems", "verdict",
}  # fmt: skip
CURVE_KEYS = {
    "model", "selector", "verifier", "k", "accuracy", "low", "high", "flops_per_query", "convention", "problems",
    "sampling_error",
}  # fmt: skip


@pytest.fixture(scope="session")
def exchanged(document):
    """The exchange of the counts with every default."""
    return document(EXCHANGE)


def lines(shown):
    """The rows of the one line that counts have, parallel samples by coverage."""
    return [row for row in shown["rows"] if row["strategy"] == COVERAGE]


# curve on counts


def test_a_curve_has_a_row_for_each_model_and_budget(document):
    shown = document(f"curve COUNTS --k 1,10 --model {SMALL} --model mine")
    assert set(shown) == {"rows", "notes"}
    assert [(row["model"], row["k"]) for row in shown["rows"]] == [
        (model, k) for model in (SMALL, "mine") for k in (1, 10)
    ]
    for row in shown["rows"]:
        assert set(row) >= CURVE_KEYS
        assert row["low"] <= row["accuracy"] <= row["high"]
    assert shown["rows"][0]["accuracy"] == pytest.approx(sum(range(40)) / 40 / 80)


def test_a_query_is_priced_by_the_catalogue_and_a_model_without_spec_is_left_open(document):
    shown = document("curve COUNTS --k 3 --generate 100")
    prices = {row["model"]: row["flops_per_query"] for row in shown["rows"]}
    assert prices[SMALL] == 2 * find(SMALL).total * 100 * 3
    assert prices["mine"] is None
    assert any("mine is not priced" in note for note in shown["notes"])


def test_a_spec_prices_a_model_that_the_catalogue_does_not_name(document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    line = f"curve COUNTS --model mine --k 2 --generate 10 --spec mine={path}"
    assert document(line)["rows"][0]["flops_per_query"] == 2 * from_config(CONFIG).total * 10 * 2


def test_budgets_default_to_the_powers_of_two_within_the_samples(document):
    rows = document("curve COUNTS --model mine")["rows"]
    assert [row["k"] for row in rows] == [1, 2, 4, 8, 16, 32, 64]


def test_the_table_of_a_curve_ends_with_its_notes(scalinglab):
    done = scalinglab("curve COUNTS --k 1")
    assert done.out.split()[:4] == ["model", "selector", "verifier", "k"]
    assert "  - mine is not priced: no spec for model 'mine'" in done.out


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_counts_in_another_form_give_the_same_curve(document, counts, tmp_path, form):
    import pandas as pd

    frame, path = pd.read_csv(counts), tmp_path / f"counts.{form}"
    frame.to_parquet(path) if form == "parquet" else frame.to_json(path, orient="records", lines=True)
    assert document("curve COUNTS --k 1,8", COUNTS=path) == document("curve COUNTS --k 1,8")


PUBLISHED = {
    "Pythia 70M": (0.0647, 0.5974, 3.6101, 12.4136, 26.5625),
    "Pythia 160M": (0.2673, 2.5089, 16.1908, 41.016, 57.0312),
    "Pythia 410M": (0.6219, 5.1716, 22.7182, 48.1804, 65.625),
    "Pythia 1B": (0.8334, 6.6464, 27.4516, 54.6192, 74.2188),
    "Pythia 2.8B": (2.0312, 13.4751, 42.2042, 67.7789, 81.25),
    "Pythia 6.9B": (1.856, 13.1402, 43.1649, 68.7733, 83.5938),
    "Pythia 12B": (2.3191, 15.6819, 48.3429, 72.3253, 87.5),
}


def test_curves_of_pythia_have_the_published_values(document, shared_data):
    shown = document("curve HERE --k 1,10,100,1000,10000", HERE=shared_data("pythia_math") / "counts.csv")
    found = {(row["model"], row["k"]): 100 * row["accuracy"] for row in shown["rows"]}
    ks = (1, 10, 100, 1000, 10000)
    wanted = {(name, k): at for name, values in PUBLISHED.items() for k, at in zip(ks, values, strict=True)}
    assert found == pytest.approx(wanted, abs=6e-5)
    assert all(row["flops_per_query"] > 0 for row in shown["rows"])


# exchange on counts


def test_an_exchange_has_a_verdict_for_each_preset_bin_and_r(exchanged):
    keys = {"small", "large", "convention", "rows", "breakeven", "sensitivity", "unpriced", "notes"}
    assert set(exchanged) == keys
    assert (exchanged["small"], exchanged["large"]) == (SMALL, LARGE)
    rows = exchanged["rows"]
    assert all(set(row) == VERDICT_KEYS for row in rows)
    assert {row["verdict"] for row in rows} <= {TEST_TIME, PRETRAINING, UNDECIDED, CANNOT_PAY, OUTSIDE}
    cells = [(row["strategy"], row["convention"], row["bin"], row["R"]) for row in rows]
    strategies, bins = (OPTIMAL, "one arm for all", COVERAGE), ("all", "1", "2", "3", "4", "5")
    assert len(cells) == len(set(cells))
    assert set(cells) == {
        (s, name, b, r) for s in strategies for name in CONVENTIONS for b in bins for r in (0.16, 0.79, 22)
    }
    assert exchanged["unpriced"] == {}


def test_headline_rows_have_simultaneous_intervals_and_single_lines_are_exploratory(exchanged):
    for row in exchanged["rows"]:
        wanted = "pointwise, exploratory" if row["strategy"] == COVERAGE else "simultaneous"
        assert row["interval"] == wanted


@pytest.fixture
def hopeless(tmp_path):
    """A small model that all its four samples leave at the large one's accuracy: no budget stands for low R."""
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "\n".join(f"A,p{i},4,{2 * (i % 2)}\nB,p{i},4,{4 * (i % 2)}" for i in range(20)))
    return path


def test_a_verdict_outside_the_samples_has_no_numbers(document, scalinglab, hopeless):
    line = "exchange C --small A --large B --ratio 14 --bins 1 --r 0.001"
    outside = document(line, C=hopeless)["rows"]
    assert {row["verdict"] for row in outside} == {OUTSIDE}
    assert {row[key] for row in outside for key in ("small", "difference", "low", "high")} == {None}
    done = scalinglab(f"{line} --all", C=hopeless)
    assert (done.code, done.err) == (0, "")
    assert "is outside what was measured" in " ".join(done.out.split())
    assert "(nothing)" in done.out  # no break-even either


def test_more_flops_than_the_dearest_budget_are_a_lower_bound_that_wins(document):
    rows = document(f"{EXCHANGE} --bins 1 --r 0.001")["rows"]
    assert {(row["verdict"], row["status"]) for row in rows} == {(TEST_TIME, "lower bound")}
    assert {row["k"] for row in rows if row["strategy"] == COVERAGE} == {80}


def test_a_small_side_whose_cheapest_answer_costs_too_much_cannot_pay(document, scalinglab):
    line = f"exchange COUNTS --small {LARGE} --large {SMALL} --bins 1 --r 0.16"
    shown = document(line)
    assert {row["verdict"] for row in shown["rows"]} == {CANNOT_PAY}
    assert f"{LARGE} is larger and cost more to pretrain than {SMALL}" in shown["notes"]
    assert CANNOT_PAY in scalinglab(line).out


def test_budgets_of_an_exchange_are_those_of_the_specs(document):
    rows = document(f"{EXCHANGE} --bins 1 --r 22 --prompt 100 --generate 200")["rows"]
    for row in (row for row in rows if row["strategy"] == COVERAGE):
        rule = CONVENTIONS[row["convention"]]
        match = match_specs(find(SMALL), find(LARGE), prompt=100, generated=200, convention=rule)
        assert row["k"] == pytest.approx(match.k(22))


def test_the_convention_that_is_shown_changes_no_row_and_no_flip(document, exchanged):
    one = document(f"{EXCHANGE} --convention kaplan")
    assert one["convention"].startswith("kaplan (")

    def in_order(rows):
        return sorted(rows, key=lambda row: (row["strategy"], row["bin"], row["R"], row["convention"]))

    ours, theirs = (in_order(lines(shown)) for shown in (one, exchanged))
    assert ours == theirs
    assert {row["convention"] for row in one["rows"]} == set(CONVENTIONS)


def test_the_sensitivity_repeats_the_verdicts_and_says_whether_they_contradict(exchanged):
    table = {(row["strategy"], row["bin"], row["R"]): row for row in exchanged["sensitivity"]}
    for row in exchanged["rows"]:
        assert table[row["strategy"], row["bin"], row["R"]][row["convention"]] == row["verdict"]
    for row in table.values():
        told = {PRETRAINING if row[name] == CANNOT_PAY else row[name] for name in CONVENTIONS}
        assert row["flips"] is (told >= {TEST_TIME, PRETRAINING})


def test_a_rule_that_decides_the_verdict_is_said_to_flip(document, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "\n".join(f"A,p{i},400,50\nB,p{i},400,220" for i in range(20)))
    line = "exchange C --small A --large B --ratio 8 --bins 1 --r 22 --selector coverage"
    (row,) = document(line, C=path)["sensitivity"]
    assert (row["paper"], row["small-pays"], row["flips"]) == (TEST_TIME, PRETRAINING, True)


def test_one_bin_is_all_the_problems(document):
    shown = document(f"{EXCHANGE} --bins 1")
    assert {row["bin"] for row in shown["rows"]} == {"all"}
    assert not any(note.startswith("bins") for note in shown["notes"])


def test_a_ratio_needs_no_spec(document):
    shown = document("exchange COUNTS --small mine --large Pythia-6.9B --ratio 14 --bins 1 --r 0.79")
    assert {row["convention"] for row in lines(shown)} == {"paper", "paper-verifier", "small-pays"}
    for row in lines(shown):
        assert row["k"] == pytest.approx(match_ratio(14, CONVENTIONS[row["convention"]]).k(0.79))
    assert set(shown["unpriced"]) == {"kaplan", "exact", "exact-measured"}
    assert any("M = 14" in note for note in shown["notes"])
    assert {row["queries"] for row in shown["breakeven"]} == {None}  # D is not known


@pytest.mark.parametrize("form", ["", " --json"])
def test_a_rule_that_cannot_price_the_data_shows_nothing(scalinglab, form):
    line = "exchange COUNTS --small mine --large Pythia-6.9B --ratio 14 --bins 1 --convention exact"
    assert_refused(scalinglab(line + form), "no verdict under 'exact'")


def test_a_spec_may_be_a_name_of_the_catalogue(document):
    line = "exchange COUNTS --small mine --large Pythia-6.9B --bins 1 --r 22"
    rows = lines(document(f"{line} --spec mine=Pythia-1B"))
    m = find("Pythia-6.9B").total / find("Pythia-1B").total
    assert rows[0]["k"] == pytest.approx(m + 3 * (m - 1) / 22)


def test_the_same_seed_gives_the_same_document_and_another_seed_another(document):
    line = f"{EXCHANGE} --bins 2 --r 22"  # the seed splits the samples
    once, again, other = (document(f"{line} --seed {seed}") for seed in (1, 1, 2))
    assert once == again != other


def test_an_exchange_for_people_says_who_wins_under_which_rule(scalinglab):
    done = scalinglab(f"{EXCHANGE} --bins 1 --convention exact")
    assert (done.code, done.err) == (0, "")
    told = " ".join(done.out.split())
    assert re.match(
        rf"At R = 0.79 on 40 problems, {SMALL} with test-time compute and a perfect verifier .*{LARGE}", told
    )
    assert "under exact" in told
    assert "Break-even R" not in told
    every = " ".join(scalinglab(f"{EXCHANGE} --bins 1 --convention exact --all").out.split())
    assert "convention: exact (parameters=matmul" in every
    assert "Break-even R (95 %)" in every


def test_pythia_12b_answers_once_as_published(document, shared_data):
    path = shared_data("pythia_math") / "counts.csv"
    shown = document("exchange HERE --small 'Pythia 1B' --large 'Pythia 12B' --bins 1", HERE=path)
    assert {row["convention"] for row in shown["rows"]} == set(CONVENTIONS)
    assert all(row["large"] == pytest.approx(0.023191, abs=5e-7) for row in shown["rows"])
    m = find("Pythia-12B").total / find("Pythia-1B").total
    paper = {row["R"]: row for row in lines(shown) if row["convention"] == "paper"}
    assert paper[22]["k"] == pytest.approx(m + 3 * (m - 1) / 22)
    assert {row["verdict"] for row in paper.values()} == {TEST_TIME}


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ("--r 0", "R = 0.0"),
        ("--r -1", "R = -1.0"),
        ("--r nan", "R = nan"),
        ("--r inf", "R = inf"),
        ("--r much", "--r much; expected numbers separated by commas"),
        ("--r ''", "expected numbers separated by commas"),
        ("--r 1,,2", "--r 1,,2"),
        ("--bins 0", "0 bins"),
        ("--bins -1", "-1 bins"),
        ("--bins 1000", "expected 1 to 40 bins"),
        ("--selector nonsense", "one of coverage, majority, best-of-n, weighted, hierarchical"),
        ("--selector majority", "counts hold no answers"),
        ("--convention nonsense", "one of paper, paper-verifier"),
        ("--ratio 1", "a number above 1"),
        ("--ratio nan", "a number above 1"),
        ("--spec nonsense", "--spec nonsense; expected MODEL=WHAT[@TOKENS]"),
        ("--spec =config.json", "--spec =config.json; expected MODEL=WHAT[@TOKENS]"),
        ("--spec mine=", "--spec mine=; expected MODEL=WHAT[@TOKENS]"),
        ("--spec nobody=7e9@1T", f"nobody, which is not in the data; expected one of {SMALL}, {LARGE}, mine"),
        ("--with nonsense", "axis 'nonsense'; expected one of parameters=total"),
        ("--with verifier=all", "expected one of verifier=nobody, verifier=small, verifier=both"),
        (f"--spec {SMALL}=/no/such.json", "no model or file named '/no/such.json'"),
        ("--prompt -1", "prompt tokens of a sample = -1; expected 0 or more"),
        ("--generate 0", "generated tokens of a sample = 0; expected 1 or more"),
        ("--small nobody", "no samples of model 'nobody'; expected one of"),
        ("--large nobody", "no samples of model 'nobody'; expected one of"),
        ("--small mine", "give --ratio M"),
        (f"--large {SMALL}", f"{SMALL} as the small and the large model; expected two models"),
        (f"--ratio 14 --spec {SMALL}=7e9", "--ratio without both models, or with --spec"),
    ],
)
def test_an_exchange_that_makes_no_sense_is_refused(scalinglab, options, phrase):
    assert_refused(scalinglab(f"{EXCHANGE} {options}"), phrase)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ("--k 81", "budgets from 1 to n = 80"),
        ("--k 1,81", "budgets from 1 to n = 80"),
        ("--k 0", "budgets from 1 to n = 80"),
        ("--k -1", "budgets from 1 to n = 80"),
        ("--k 1.5", "--k 1.5; expected whole numbers separated by commas"),
        ("--k few", "--k few"),
        ("--k ''", "whole numbers separated by commas"),
        ("--model nobody", "no samples of model 'nobody'"),
        ("--selector nonsense", "one of coverage"),
        ("--selector weighted", "counts hold no answers"),
        ("--convention nonsense", "one of paper"),
        ("--spec nonsense", "MODEL=WHAT[@TOKENS]"),
        ("--prompt -1", "prompt tokens of a sample = -1"),
    ],
)
def test_a_curve_that_makes_no_sense_is_refused(scalinglab, options, phrase):
    assert_refused(scalinglab(f"curve COUNTS {options}"), phrase)


@pytest.mark.parametrize("models", ["", f"--small {SMALL}", f"--large {LARGE}"])
def test_a_ratio_without_both_models_is_refused(scalinglab, models):
    assert_refused(scalinglab(f"exchange COUNTS --ratio 14 {models}"), "--small A --large B --ratio M")


def test_an_axis_over_a_preset_is_in_the_json_and_under_the_table(document, scalinglab):
    line = f"{EXCHANGE} --bins 1 --r 22 --with verifier=both,difficulty"
    name = "paper+verifier=both+difficulty"
    shown = document(line)
    assert shown["convention"].startswith(f"{name} (")
    assert "verifier=both" in shown["convention"]
    assert "difficulty=True" in shown["convention"]
    assert {row["convention"] for row in shown["rows"]} == {name, *CONVENTIONS}
    assert all(name in row for row in shown["sensitivity"])
    k = {row["convention"]: row["k"] for row in lines(shown)}
    assert k[name] == k["paper-verifier"] != k["paper"]
    out = " ".join(scalinglab(f"{line} --all").out.split())
    assert f"under {name}" in out
    assert f"convention: {name} (" in out
    assert f"against {name} differ: paper " in out


def test_a_load_may_be_given_in_queries_in_place_of_r(document):
    """A query counts as one sample's tokens, taken to be 256: R = queries x 256 / D of the small model."""
    of = "exchange COUNTS --small Pythia-2.8B --large Pythia-6.9B --bins 1"
    trained = find("Pythia-2.8B").training_tokens
    shown = document(f"{of} --queries 1e9,2e9")
    assert sorted({row["R"] for row in shown["rows"]}) == pytest.approx([256e9 / trained, 512e9 / trained])
    assert shown["rows"] == document(f"{of} --r {256e9 / trained!r},{512e9 / trained!r}")["rows"]
    halved = document(f"{of} --queries 1e9 --generate 128")
    assert {row["R"] for row in halved["rows"]} == {128e9 / trained}


def test_queries_of_models_of_unknown_training_are_refused(scalinglab):
    of = "exchange COUNTS --small Pythia-2.8B --large Pythia-6.9B"
    assert_refused(
        scalinglab(f"{of} --ratio 14 --queries 1e9 --json"), "training tokens of Pythia-2.8B are not known"
    )
    assert_refused(scalinglab(f"{of} --queries many --json"), "--queries many")


@pytest.mark.parametrize("verb", ["exchange", "advise --queries 1e9 --target 0.5"])
def test_what_other_rules_would_say_stands_under_the_verdict(scalinglab, verb):
    name, *options = verb.split()
    out = scalinglab(f"{name} COUNTS --small {SMALL} --large {LARGE} --bins 1 {' '.join(options)}").out
    _, _, told = " ".join(out.split()).lower().partition("other rules: ")
    assert all(rule in told for rule in CONVENTIONS if rule != "paper")


def test_counts_have_a_compute_optimal_strategy_too(document, scalinglab):
    line = f"optimal COUNTS --small {SMALL} --large {LARGE} --bins 2"
    shown = document(line)
    assert {row["bins"] for row in shown["rows"]} == {"oracle"}
    assert shown["gain"] == []
    assert shown["agreement"] is shown["allocation"] is shown["verifier"] is None
    assert any(note.startswith("gain: no search or revisions") for note in shown["notes"])
    assert "Gain" not in scalinglab(line).out


def test_a_bin_that_is_empty_in_one_split_of_the_samples_is_compared_in_the_others(document, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "\n".join(f"{model},p{i},8,{i}" for model in (SMALL, LARGE) for i in range(8)))
    shown = document(f"exchange C --small {SMALL} --large {LARGE} --r 22", C=path)
    assert {row["bin"] for row in shown["rows"]} == {"all", "1", "2", "3", "4", "5"}


def test_advice_by_a_ratio_is_refused(scalinglab):
    line = f"advise COUNTS --small {SMALL} --large {LARGE} --ratio 14 --queries 1e9 --target 0.5"
    assert_refused(scalinglab(line), "--ratio for advice; expected sizes and training tokens")
