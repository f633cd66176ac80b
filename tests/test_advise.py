"""Advice against a brute-force search, its refusals, and the roofline in closed form."""

import json
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted
from simulated import record
from typer.testing import CliRunner

from scalinglab.advise import (
    EXTRAPOLATED,
    GPUS,
    MEASURED,
    MIXED,
    Rates,
    Work,
    advise,
    asked,
    candidates,
    decode_seconds,
    dollars,
    find_gpu,
    longest,
    prefill_seconds,
    query_seconds,
    read_gpus,
    read_prices,
    split_of,
)
from scalinglab.advise.candidates import resampled
from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import find

VIEW = planted([0.1, 0.3, 0.5, 0.6], 0.4)
"""Small costs 150 to train and 1, 4, 16 or 64 a query; large 1100 and 2, and is right in 40 %."""


def total(option, queries):
    return option.training + queries * option.flops.value


@pytest.mark.parametrize(
    ("queries", "model", "flops"), [(1, "small", 10), (100, "small", 10), (118, "small", 10), (119, "large", 2)]
)
def test_the_load_decides_who_is_cheapest(queries, model, flops):
    found = advise(VIEW, queries=queries, target=0.4)
    assert (found.best.model, found.best.flops.value) == (model, pytest.approx(flops))
    assert found.best.accuracy.value == pytest.approx(0.4)
    assert found.best.accuracy.how == (MEASURED if model == "large" else MIXED)
    assert found.second is not None
    assert total(found.best, queries) < total(found.second, queries)


def test_the_flip_is_where_lifetimes_cost_the_same():
    below = advise(VIEW, queries=10, target=0.4)
    assert below.above.queries == pytest.approx(950 / 8, rel=2e-3)
    assert (below.below, below.above.model) == (None, "large")
    above = advise(VIEW, queries=1000, target=0.4)
    assert above.below.queries == pytest.approx(950 / 8, rel=2e-3)
    assert (above.above, above.below.model) == (None, "small")


rates = st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4)


@given(rates, st.floats(0.05, 0.95), st.floats(1, 1e4), st.floats(1200, 1e5))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_best_within_a_budget_is_that_of_a_brute_force_search(accuracy, large, queries, budget):
    grid = np.linspace(1, 64, 6301)
    reached = np.interp(grid, [1, 4, 16, 64], accuracy)
    affordable = [a for a, c in zip(reached, grid, strict=True) if 150 + queries * c <= budget]
    affordable += [large] if 1100 + queries * 2 <= budget else []
    view = planted(accuracy, large)
    if not affordable:
        with pytest.raises(DataError, match="or more"):
            advise(view, queries=queries, budget=budget)
        return
    found = advise(view, queries=queries, budget=budget)
    assert found.best.accuracy.value == pytest.approx(max(affordable), abs=2e-3)
    assert total(found.best, queries) <= budget * (1 + 1e-6)


@given(rates, st.floats(0.05, 0.95), st.floats(1, 1e4), st.floats(0.06, 0.9))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_cheapest_for_a_target_is_that_of_a_brute_force_search(accuracy, large, queries, target):
    grid = np.linspace(1, 64, 6301)
    reached = np.interp(grid, [1, 4, 16, 64], accuracy)
    costs = [150 + queries * c for a, c in zip(reached, grid, strict=True) if a >= target]
    costs += [1100 + queries * 2] if large >= target else []
    view = planted(accuracy, large)
    if not costs:
        with pytest.raises(DataError, match="beyond every measured budget"):
            advise(view, queries=queries, target=target)
        return
    assert advise(view, queries=queries, target=target).best.total.value == pytest.approx(min(costs), rel=3e-3)


def test_the_share_of_draws_says_how_sure_the_choice_is():
    rng = np.random.default_rng(0)
    even = planted((rng.random((100, 4)) < 0.5).astype(float), rng.random(100) < 0.5)
    sure = advise(planted([0.1, 0.3, 0.5, 0.9], 0.4), queries=1, budget=1200)
    unsure = advise(even, queries=1, budget=1200)
    assert sure.best.right == 1
    assert 0.2 < unsure.best.right < 1


def test_advice_is_scored_on_problems_that_it_was_not_chosen_on():
    alike = advise(VIEW, queries=1, target=0.4).validated
    assert (alike.accuracy, alike.flops, alike.advised) == (pytest.approx(0.4), pytest.approx(10), 1)
    rng = np.random.default_rng(1)
    luck = [
        advise(
            planted((rng.random((30, 4)) < 0.5).astype(float), rng.random(30) < 0.5, problems=30),
            queries=1,
            budget=1e5,
        )
        for _ in range(40)
    ]
    assert np.mean([found.best.accuracy.value for found in luck]) > 0.56, "the best of five coins looks better"
    assert np.mean([found.validated.accuracy for found in luck]) == pytest.approx(0.5, abs=0.03)
    assert all(found.validated.low < found.validated.accuracy < found.validated.high for found in luck)


def test_agreement_of_all_problems_leaves_doubt_of_accuracies_and_none_of_flops():
    found = advise(VIEW, queries=1, target=0.5)
    for number in (found.best.accuracy, found.validated):
        assert (number.high - 0.5, 0.5 - number.low) == (pytest.approx(1.96 / 102, rel=1e-3),) * 2
    assert found.best.flops.low == found.best.flops.high == 16
    sure = advise(planted([0.1, 0.3, 0.5, 1.0], 0.4), queries=1, target=0.9999).best.accuracy
    assert sure.low < sure.high <= 1
    half = planted(np.repeat([0.5, 0.3], 50)[:, None] * np.ones(4), 0.1, labels=np.repeat([1, 2], 50))
    mixed = advise(half, queries=1, target=0.3, mix=[3, 1]).best.accuracy
    wide = 1.96 * np.hypot(0.75, 0.25) / 52
    assert (mixed.low, mixed.high) == (pytest.approx(0.45 - wide, rel=1e-3), pytest.approx(0.45 + wide, rel=1e-3))


def test_beyond_the_support_there_is_advice_only_where_asked_and_it_says_so():
    with pytest.raises(DataError, match=r"at most 0\.6, .*--extrapolate"):
        advise(VIEW, queries=1, target=0.65)
    found = advise(VIEW, queries=1, target=0.65, extrapolate=True)
    assert found.best.accuracy.how == found.best.flops.how == EXTRAPOLATED
    assert found.best.flops.value == pytest.approx(128, rel=2e-3)
    assert found.best.plan() == "k = 128", "a whole number of samples"
    assert any("extrapolated" in note for note in found.notes)


def test_what_is_advised_can_be_run():
    """Half of the queries at 4 samples and half at 16 reach 0.4: no query gets 8.69 of them."""
    found = advise(VIEW, queries=1, target=0.4).best
    assert [(part.share, part.k) for part in found.parts] == [(pytest.approx(0.5), 4), (pytest.approx(0.5), 16)]
    assert {VIEW.arms.table["model"][VIEW.arms.table["way"] == part.way].iloc[0] for part in found.parts} == {
        "small"
    }
    assert found.plan() == "k = 4 for 50% of queries, k = 16 for 50%"
    assert sum(part.share * part.k for part in found.parts) == pytest.approx(found.flops.value)
    whole = advise(VIEW, queries=1, target=0.5).best
    assert (whole.plan(), whole.accuracy.how) == ("k = 16", MEASURED)


def test_a_mix_weighs_the_bins():
    right = np.repeat([[0.2, 0.4, 0.6, 0.8], [0.0, 0.0, 0.2, 0.4]], 50, axis=0)
    view = planted(right, 0.1, labels=np.repeat([1, 2], 50))
    small = candidates(data := asked(view, [3, 1]), resampled(data, 0))[0]
    assert small.accuracy[0] == pytest.approx([0.15, 0.3, 0.5, 0.7])
    found = advise(view, queries=1, target=0.5, mix=[3, 1]).best
    assert found.flops.value == pytest.approx(16)
    with pytest.raises(DataError, match="a mix of 3 shares"):
        advise(view, queries=1, target=0.5, mix=[1, 1, 1])


@pytest.mark.parametrize(
    ("wanted", "phrase"),
    [
        ({"queries": 0, "target": 0.5}, "queries = 0"),
        ({"queries": 1}, "neither or both"),
        ({"queries": 1, "target": 0.5, "budget": 1e9}, "neither or both"),
        ({"queries": 1, "target": 1.5}, "between 0 and 1"),
        ({"queries": 1, "budget": 10}, "a budget of 10 FLOPs"),
    ],
)
def test_what_makes_no_sense_is_refused(wanted, phrase):
    with pytest.raises(DataError, match=phrase):
        advise(VIEW, **wanted)


# Hardware


ONE = find("Pythia-1B")
WORK = Work("m", read=200, written=1200, depth=300, width=4, context=350, prompts=800, cached=600, thinking=900)


def test_a_small_batch_is_bound_by_memory_and_a_large_one_by_arithmetic():
    gpu = find_gpu("H100")
    one = decode_seconds(ONE, gpu, context=100, tokens=1, batch=1)
    assert one == pytest.approx(2 * (ONE.active + 100 * ONE.cached_per_token) / gpu.bandwidth)
    assert decode_seconds(ONE, gpu, context=100, tokens=1, batch=64) < one / 30
    long = prefill_seconds(ONE, gpu, tokens=2048, length=2048, batch=1)
    assert long == pytest.approx(2 * ONE.active * 2048 / gpu.peak, rel=0.3)


def test_an_answer_waits_for_its_longest_chain_and_for_the_samples_before_it():
    gpus = read_gpus("8xH100")
    step = 2 * (ONE.active + 8 * 350 * ONE.cached_per_token) / gpus.gpu.bandwidth
    alone = prefill_seconds(ONE, gpus.gpu, tokens=200, length=350, batch=1)
    found = query_seconds(ONE, gpus, WORK, batch=8)
    assert (found.waited, found.split) == (pytest.approx(alone + 300 * step), 1)
    assert found.gpu == pytest.approx(prefill_seconds(ONE, gpus.gpu, tokens=200, length=350, batch=8) + 150 * step)
    crowd = query_seconds(ONE, gpus, replace(WORK, width=20), batch=8)
    assert crowd.waited == pytest.approx(alone + 3 * 300 * step), "20 samples are three batches of 8"
    assert query_seconds(ONE, gpus, replace(WORK, depth=None), batch=8).waited is None


def test_a_model_is_split_over_the_fewest_gpus_that_hold_it():
    large = find("Qwen2.5-72B")
    assert 2 * large.total == pytest.approx(145.4e9, rel=1e-3)
    splits = {name: split_of(large, read_gpus(name), context=512, batch=8) for name in ("8xH100", "B200", "16xL4")}
    assert splits == {"8xH100": 2, "B200": 1, "16xL4": 8}
    assert split_of(ONE, read_gpus("8xH100"), context=512, batch=8) == 1
    two, one = (query_seconds(large, read_gpus(name), WORK, batch=8) for name in ("2xH100", "4xMI300X"))
    assert (two.split, one.split) == (2, 1)
    slow = query_seconds(large, read_gpus("2xH200"), replace(WORK, context=1), batch=1)
    assert slow.split == 2, "145 GB of weights and 141 GB of memory"
    with pytest.raises(DataError, match=r"takes 1\d\d GB; expected at most 80 GB on 1xH100 SXM"):
        split_of(large, read_gpus("H100"), context=512, batch=8)


def test_gpus_are_read_by_number_and_name():
    assert str(read_gpus("8xH100")) == "8xH100 SXM"
    assert read_gpus("6 x a100").splits == (1, 2, 4)
    assert find_gpu("h100-sxm") is find_gpu("H100")
    for wrong, phrase in (("abacus", "one of H100 SXM"), ("0xH100", "such as 8xH100"), ("MI3", "one of H100 SXM")):
        with pytest.raises(DataError, match=phrase):
            read_gpus(wrong)


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_the_figures_of_a_card_are_those_of_its_source_and_dense(gpu):
    number, unit, how = re.search(r"([\d.,]+) ([TP])FLOPS (dense|with sparsity)", gpu.source).groups()
    said = float(number.replace(",", "")) * {"T": 1e12, "P": 1e15}[unit] / (2 if how == "with sparsity" else 1)
    assert gpu.peak == pytest.approx(said)
    speed, unit = re.search(r"([\d.,]+) ([TG])B/s", gpu.source).groups()
    assert gpu.bandwidth == pytest.approx(float(speed.replace(",", "")) * {"T": 1e12, "G": 1e9}[unit])
    assert 100 < gpu.peak / gpu.bandwidth < 500, "FLOPs a byte, of every card since 2020"


@given(st.lists(st.integers(0, 40), min_size=1, max_size=7), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_longest_of_some_samples_is_that_of_every_subset(lengths, data):
    drawn = data.draw(st.integers(1, len(lengths)))
    every = [max(some) for some in combinations(lengths, drawn)]
    chances = longest(len(lengths), drawn)
    assert chances.sum() == pytest.approx(1)
    assert chances @ np.sort(lengths) == pytest.approx(np.mean(every))


# Prices


def test_a_server_bills_each_kind_of_token():
    prices = read_prices(["m=0.5/0.1/2/4"])
    bill, said = dollars([WORK], prices)
    assert bill == pytest.approx((200 * 0.5 + 600 * 0.1 + 300 * 2 + 900 * 4) / 1e6)
    assert said == ""
    silent, said = dollars([replace(WORK, cached=None, thinking=None)], prices)
    assert silent == pytest.approx((800 * 0.5 + 1200 * 2) / 1e6)
    assert said.startswith("cached tokens of m were not reported")
    assert dollars([WORK, replace(WORK, model="n")], prices) == (None, "no price of n (--prices)")


def test_prices_are_read_from_options_and_files(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text('["Pythia 1B"]\ninput = 0.5\noutput = 2\ncached = 0.1\n')
    assert read_prices([str(path), "a=b=1/1/3"]) == {"Pythia 1B": Rates(0.5, 0.1, 2, 2), "a=b": Rates(1, 1, 3, 3)}
    path.write_text("[m]\ninput = 1\nouput = 2\n")
    for given_, phrase in (
        (["m=1/2"], "MODEL=INPUT/CACHED/OUTPUT"),
        (["m=1/2/-3"], "0 or more"),
        (["m=1/1/1", "m=1/1/1"], "two prices of m"),
        ([str(path)], "input and output"),
    ):
        with pytest.raises(DataError, match=phrase):
            read_prices(given_)


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("advised") / "run", problems=16, samples=8)


def test_the_command_gives_every_number_with_its_interval_and_kind(folder):
    line = ["advise", str(folder), "--queries", "1e5", "--target", "0.3", "--price", "2", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    for option in (told["best"], told["second"]):
        for name in ("accuracy", "flops", "total"):
            assert option[name]["low"] <= option[name]["value"] <= option[name]["high"]
            assert option[name]["how"] in (MEASURED, MIXED)
        assert all(part["k"] == int(part["k"]) for part in option["parts"])
        assert sum(part["share"] for part in option["parts"]) == pytest.approx(1)
    assert told["convention"] == "paper"
    assert list(told["others"]) == list(CONVENTIONS)[1:]
    assert all(cost["seconds"] > 0 and cost["dollars"] > 0 for cost in told["hardware"])


def test_advice_says_what_it_rests_on(tmp_path):
    rows = [f"s,p{i},8,{1 + i % 4}" for i in range(12)] + [f"l,p{i},8,{4 + i % 4}" for i in range(10)]
    path = tmp_path / "counts.csv"
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    line = ["advise", path, "--small", "s", "--large", "l", "--spec", "s=1e9@20e9", "--spec", "l=4e9@20e9"]
    line = [*map(str, line), "--queries", "1e5", "--target", "0.4"]
    notes = json.loads(CliRunner().invoke(app, [*line, "--json"]).stdout)["notes"]
    shown = " ".join(CliRunner().invoke(app, line).stdout.split())
    assert shown.startswith("For 40.0 % accuracy over 1e+05 queries use ")
    for start in (
        "tokens: none recorded",
        "coverage: a perfect verifier",
        "missing: l / parallel",
        "the choice was",
    ):
        (note,) = [note for note in notes if note.startswith(start)]
        assert shown.count(note) == 1
    assert not any(note.startswith(("compute-optimal", "R:")) for note in notes)
