"""The verbs of models without any samples: specs, flops, budget."""

import json
import re

import pytest
from commands import CONFIG, assert_refused

from scalinglab.exchange import match_ratio, runnable
from scalinglab.flops import CONVENTIONS, total, training
from scalinglab.specs import catalogue, find, from_config

# specs


def test_the_list_of_specs_is_the_catalogue(scalinglab, document):
    listed = document("specs")["models"]
    assert [row["name"] for row in listed] == [spec.name for spec in catalogue()]
    shown = scalinglab("specs").out
    assert all(row["name"] in shown for row in listed)


@pytest.mark.parametrize("name", ["Pythia-1B", "pythia 1b", "Mixtral-8x7B", "Qwen3-0.6B"])
def test_a_spec_shows_its_exact_counts(document, name):
    shown, spec = document(f"specs '{name}'"), find(name)
    for key in ("name", "series", "family", "total", "active", "embedding", "non_embedding", "training_tokens"):
        assert shown[key] == getattr(spec, key)
    assert (shown["layers"], shown["hidden"]) == (spec.shape.layers, spec.shape.hidden)
    assert shown["embedding"] + shown["non_embedding"] == shown["total"]


def test_the_counts_of_pythia_1b_are_the_published_ones(document):
    shown = document("specs Pythia-1B")
    assert (shown["total"], shown["non_embedding"]) == (1_011_781_632, 805_736_448)


def test_a_config_file_is_a_spec(document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert document("specs HERE", HERE=path)["total"] == from_config(CONFIG).total
    assert document("specs HERE", HERE=tmp_path) == document("specs HERE", HERE=path)


def test_pairs_near_14_hold_pythia_1b_and_12b(document, scalinglab):
    found = {(row["small"], row["large"]): row for row in document("specs --ratio 14")["pairs"]}
    pair = found["Pythia-1B", "Pythia-12B"]
    tokens = {"small_tokens", "large_tokens", "pretraining", "remark"}
    assert set(pair) == {"small", "large", "total", "active", "non_embedding", *tokens}
    assert pair["non_embedding"] == pytest.approx(14.06, abs=0.005)
    assert "Pythia-12B" in scalinglab("specs --ratio 14").out


def test_pairs_of_different_series_are_found_on_demand(document):
    one, across = (document(f"specs --ratio 14 {option}")["pairs"] for option in ("", "--across"))
    assert len(across) > len(one) > 0


def test_a_pair_says_the_tokens_of_both_and_the_ratio_of_their_pretraining(document, scalinglab):
    found = {(row["small"], row["large"]): row for row in document("specs --ratio 12 --across")["pairs"]}
    same, apart = found["Pythia-1B", "Pythia-12B"], found["Gemma-2-2B", "Gemma-2-27B"]
    assert (same["remark"], same["pretraining"]) == ("", same["total"])
    assert (apart["small_tokens"], apart["large_tokens"]) == (2 * 10**12, 13 * 10**12)
    assert apart["remark"] == "D differs"
    assert apart["pretraining"] == pytest.approx(6.5 * apart["total"])
    unknown = next(row for row in found.values() if "GPT-2" in row["small"])
    assert unknown["pretraining"] is None
    assert unknown["remark"].startswith(f"D of {unknown['small']}")
    assert unknown["remark"].endswith("unknown")
    assert "D differs" in scalinglab("specs --ratio 12").out


def test_a_spec_may_be_a_number_and_say_its_training_tokens(document):
    shown = document("specs 37e9/671e9@14.8T")
    assert (shown["active"], shown["total"]) == (37 * 10**9, 671 * 10**9)
    assert shown["training_tokens"] == 14_800 * 10**9
    assert shown["non_embedding"] is shown["layers"] is shown["cached_per_token"] is None
    assert document("specs Pythia-1B@20B")["training_tokens"] == 20 * 10**9


def test_no_pair_is_an_empty_list_and_no_broken_table(document, scalinglab):
    assert document("specs --ratio 1000000") == {"pairs": []}
    assert "DataFrame" not in scalinglab("specs --ratio 1000000").out


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("specs nonsense", "no model or file named 'nonsense'"),
        ("specs ''", "no model or file"),
        ("specs /no/such/config.json", "no model or file named '/no/such/config.json'"),
        ("specs COUNTS", "is not JSON"),
        (f"specs {'x' * 5000}", "no model or file"),
        ("specs --ratio 1", "a number above 1"),
        ("specs --ratio nan", "a number above 1"),
        ("specs --ratio 14 --tolerance -0.1", "tolerance is -0.1"),
    ],
)
def test_a_spec_that_is_not_there_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


# flops


@pytest.mark.parametrize("name", ["Pythia-1B", "Qwen3-8B", "Mixtral-8x7B", "DeepSeek-V2-Lite"])
@pytest.mark.parametrize("samples", [1, 16])
def test_flops_add_up_in_integers_under_every_preset(document, name, samples):
    shown = document(f"flops {name} --prompt 500 --generate 100 --samples {samples}")
    assert shown["model"] == name
    assert list(shown["conventions"]) == list(CONVENTIONS)
    for row in shown["conventions"].values():
        assert {"prefill", "decode", "total", "components"} <= set(row)
        parts = row["components"].values()
        assert row["prefill"] + row["decode"] == row["total"] == sum(parts) > 0
        assert all(type(value) is int for value in (row["prefill"], row["decode"], row["total"], *parts))


def test_flops_under_the_papers_rule_are_2n_a_generated_token(document):
    rows = document("flops Pythia-1B --prompt 500 --generate 1000 --samples 16")["conventions"]
    assert rows["paper"]["total"] == 2 * 1_011_781_632 * 1000 * 16
    assert rows["kaplan"]["total"] == 2 * 805_736_448 * (500 + 1000 * 16)
    assert rows["exact"]["bias"] == 0
    assert rows["paper"]["bias"] == rows["paper"]["total"] / rows["exact"]["total"] - 1


def test_a_query_of_nothing_costs_nothing_and_has_no_bias(document, scalinglab):
    rows = document("flops Pythia-1B --prompt 0 --generate 0")["conventions"]
    assert {row["total"] for row in rows.values()} == {0}
    assert {row["bias"] for row in rows.values()} == {None}
    assert scalinglab("flops Pythia-1B --prompt 0 --generate 0").code == 0


def test_the_table_of_flops_names_every_preset_and_its_bias(scalinglab):
    lines = scalinglab("flops Pythia-1B --prompt 5 --generate 6").out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(CONVENTIONS)]] == list(CONVENTIONS)
    assert sum("%" in line for line in lines) == len(CONVENTIONS)


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("flops nonsense --prompt 1 --generate 1", "no model or file"),
        ("flops Pythia-1B --train many", "training tokens 'many'"),
        ("flops Pythia-1B --train 5 --sequence 0", "sequence is 0"),
        ("flops Pythia-1B@many --prompt 1 --generate 1", "training tokens 'many'"),
        ("flops Pythia-1B --prompt -1 --generate 1", "prompt is -1"),
        ("flops Pythia-1B --prompt 1 --generate -1", "generated is -1"),
        ("flops Pythia-1B --prompt 1 --generate 1 --samples -1", "samples is -1"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


def test_training_is_priced_under_every_preset(document, scalinglab):
    shown = document("flops Pythia-1B --train 20B")
    spec = find("Pythia-1B")
    assert (shown["tokens"], shown["sequence"]) == (20 * 10**9, 2048)
    assert {name: row["total"] for name, row in shown["conventions"].items()} == {
        name: total(training(spec, 20 * 10**9, convention=rule)) for name, rule in CONVENTIONS.items()
    }
    assert shown["conventions"]["paper"]["total"] == 6 * spec.total * 20 * 10**9
    assert shown["conventions"]["paper"]["bias"] > 0 == shown["conventions"]["exact"]["bias"]
    assert "projections" in scalinglab("flops Pythia-1B --train 20B").out


def test_training_is_unpriced_by_name_where_attention_counts_and_no_length_is_known(document, scalinglab):
    rows = document("flops Mixtral-8x22B --train 1e12")["conventions"]
    assert {name for name, row in rows.items() if "unpriced" in row} == {"exact", "exact-measured"}
    assert rows["paper"]["bias"] is None
    assert (
        "exact unpriced: Mixtral-8x22B: training sequence length unknown"
        in scalinglab("flops Mixtral-8x22B --train 1e12").out
    )
    known = document("flops Mixtral-8x22B --train 1e12 --sequence 4096")["conventions"]
    assert all(row["total"] > 0 for row in known.values())


def test_a_bare_number_is_priced_under_2n_alone(document, scalinglab):
    rows = document("flops 2e9/6e9 --prompt 7 --generate 10 --samples 3")["conventions"]
    assert rows["paper"]["total"] == 2 * 2 * 10**9 * 10 * 3
    assert {name for name, row in rows.items() if "unpriced" in row} == {"kaplan", "exact", "exact-measured"}
    out = scalinglab("flops 6e9 --prompt 7 --generate 10").out
    assert all(f"{name} unpriced" in out for name in ("kaplan", "exact", "exact-measured"))
    assert document("flops 6e9 --train 2T")["conventions"]["paper"]["total"] == 72 * 10**21


# budget


def test_the_papers_budget_at_r_016(document):
    shown = document("budget --ratio 14 --r 0.16 --convention paper")
    run = "257 samples for 25% of queries, 258 for 75%"
    assert shown == {"k": pytest.approx(257.75), "run": run, "R": 0.16, "convention": "paper"}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_k_is_the_inverse_of_r(document, convention):
    k = document(f"budget --ratio 14 --r 0.79 --convention {convention}")["k"]
    assert k == match_ratio(14, CONVENTIONS[convention]).k(0.79)
    back = document(f"budget --ratio 14 --k {k!r} --convention {convention}")
    assert (back["k"], back["R"], back["convention"]) == (k, pytest.approx(0.79), convention)


def test_the_table_of_a_budget_holds_k_r_and_the_rule(scalinglab):
    header, values = scalinglab("budget --ratio 14 --r 0.5").out.splitlines()
    assert header.split() == ["k", "run", "R", "convention"]
    assert values.split() == ["92", "92", "samples", "0.5", "paper"]


def test_a_budget_of_two_models_by_name_at_a_number_of_queries(document):
    line = "budget Pythia-1B Pythia-12B --prompt 100 --generate 200"
    shown = document(f"{line} --queries 2e9")
    small, large = find("Pythia-1B"), find("Pythia-12B")
    spare = 6 * (large.active * large.training_tokens - small.active * small.training_tokens) / 2e9
    k = (spare + 2 * large.active * 200) / (2 * small.active * 200)  # the paper's rule reads prompts for nothing
    assert shown["k"] == pytest.approx(k, rel=0.01)
    assert shown["queries"] == pytest.approx(2e9)
    assert shown["R"] == pytest.approx(2e9 * 200 / small.training_tokens)
    assert document(f"{line} --r {shown['R']!r}")["k"] == pytest.approx(shown["k"])
    assert document(f"{line} --k {shown['k']!r}")["queries"] == pytest.approx(2e9)


@pytest.mark.parametrize("k", [1, 1.5, 3.06, 12.999999, 44.004])
def test_a_budget_is_run_in_whole_samples_by_shares_that_add_up(k):
    parts = re.findall(r"(\d+) (?:samples? )?for ([\d.]+)%", runnable(k)) or [(runnable(k).split()[0], "100")]
    assert sum(float(share) for _, share in parts) == pytest.approx(100, abs=1e-9)
    assert sum(int(n) * float(share) for n, share in parts) / 100 == pytest.approx(k, rel=2e-3)


def test_of_less_than_a_sample_there_is_nothing_to_run():
    assert runnable(0.4) == "none: one sample takes more"


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("--ratio 14", "neither or several of --r, --queries and --k"),
        ("--ratio 14 --r 1 --k 50", "neither or several of --r, --queries and --k"),
        ("--ratio 14 --r 0", "R = 0.0"),
        ("--ratio 14 --r -1", "R = -1.0"),
        ("--ratio 14 --r nan", "R = nan"),
        ("--ratio 14 --r inf", "R = inf"),
        ("--ratio 14 --r 1e-320", "R = "),
        ("--ratio 1e308 --r 1e-3", "R = 0.001"),
        ("--ratio 14 --k 0", "k = 0.0"),
        ("--ratio 14 --k 14", "more than 14"),
        ("--ratio 1 --r 1", "a number above 1"),
        ("--ratio nan --r 1", "a number above 1"),
        ("--ratio 14 --r 1 --convention nonsense", "one of paper, paper-verifier"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(f"budget {line} --json"), phrase)
