"""Advice against a brute-force search, its refusals, and the roofline in closed form."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import record
from test_study_exchange import STUDY, planted
from typer.testing import CliRunner

from scalinglab.advise import (
    EXTRAPOLATED,
    GPUS,
    INTERPOLATED,
    MEASURED,
    advise,
    candidates,
    decode_seconds,
    find_gpu,
    prefill_seconds,
)
from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.specs import find

VIEW = planted([0.1, 0.3, 0.5, 0.6], 0.4)
"""Small costs 150 to train and 1, 4, 16 or 64 a query; large 1100 and 2, and is right in 40 %."""


def total(option, queries):
    return option.training + queries * option.flops.value


@pytest.mark.parametrize(
    ("queries", "model", "flops"), [(1, "small", 8), (100, "small", 8), (158, "small", 8), (159, "large", 2)]
)
def test_the_load_decides_who_is_cheapest(queries, model, flops):
    found = advise(VIEW, STUDY, queries=queries, target=0.4)
    assert (found.best.model, found.best.flops.value) == (model, pytest.approx(flops))
    assert found.best.accuracy.value == pytest.approx(0.4)
    assert found.best.accuracy.how == (MEASURED if model == "large" else INTERPOLATED)
    assert found.second is not None
    assert total(found.best, queries) < total(found.second, queries)


def test_the_flip_is_where_lifetimes_cost_the_same():
    below = advise(VIEW, STUDY, queries=10, target=0.4)
    assert below.above.queries == pytest.approx(950 / 6, rel=2e-3)
    assert (below.below, below.above.model) == (None, "large")
    above = advise(VIEW, STUDY, queries=1000, target=0.4)
    assert above.below.queries == pytest.approx(950 / 6, rel=2e-3)
    assert (above.above, above.below.model) == (None, "small")


rates = st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4)


@given(rates, st.floats(0.05, 0.95), st.floats(1, 1e4), st.floats(1200, 1e5))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_best_within_a_budget_is_that_of_a_brute_force_search(accuracy, large, queries, budget):
    grid = np.geomspace(1, 64, 4001)
    reached = np.interp(np.log(grid), np.log([1, 4, 16, 64]), accuracy)
    affordable = [a for a, c in zip(reached, grid, strict=True) if 150 + queries * c <= budget]
    affordable += [large] if 1100 + queries * 2 <= budget else []
    view = planted(accuracy, large)
    if not affordable:
        with pytest.raises(DataError, match="or more"):
            advise(view, STUDY, queries=queries, budget=budget)
        return
    found = advise(view, STUDY, queries=queries, budget=budget)
    assert found.best.accuracy.value == pytest.approx(max(affordable), abs=2e-3)
    assert total(found.best, queries) <= budget * (1 + 1e-6)


@given(rates, st.floats(0.05, 0.95), st.floats(1, 1e4), st.floats(0.06, 0.9))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_cheapest_for_a_target_is_that_of_a_brute_force_search(accuracy, large, queries, target):
    grid = np.geomspace(1, 64, 4001)
    reached = np.interp(np.log(grid), np.log([1, 4, 16, 64]), accuracy)
    costs = [150 + queries * c for a, c in zip(reached, grid, strict=True) if a >= target]
    costs += [1100 + queries * 2] if large >= target else []
    view = planted(accuracy, large)
    if not costs:
        with pytest.raises(DataError, match="beyond every measured budget"):
            advise(view, STUDY, queries=queries, target=target)
        return
    assert advise(view, STUDY, queries=queries, target=target).best.total.value == pytest.approx(
        min(costs), rel=3e-3
    )


def test_the_share_of_draws_says_how_sure_the_choice_is():
    rng = np.random.default_rng(0)
    even = planted((rng.random((100, 4)) < 0.5).astype(float), rng.random(100) < 0.5)
    sure = advise(planted([0.1, 0.3, 0.5, 0.9], 0.4), STUDY, queries=1, budget=1200)
    unsure = advise(even, STUDY, queries=1, budget=1200)
    assert sure.best.right == 1
    assert 0.2 < unsure.best.right < 1


def test_advice_is_scored_on_problems_that_it_was_not_chosen_on():
    alike = advise(VIEW, STUDY, queries=1, target=0.4).validated
    assert (alike.accuracy, alike.flops, alike.advised) == (pytest.approx(0.4), pytest.approx(8), 1)
    rng = np.random.default_rng(1)
    luck = [
        advise(
            planted((rng.random((30, 4)) < 0.5).astype(float), rng.random(30) < 0.5, problems=30),
            STUDY,
            queries=1,
            budget=1e5,
        )
        for _ in range(40)
    ]
    assert np.mean([found.best.accuracy.value for found in luck]) > 0.56, "the best of five coins looks better"
    assert np.mean([found.validated.accuracy for found in luck]) == pytest.approx(0.5, abs=0.03)
    assert all(found.validated.low < found.validated.accuracy < found.validated.high for found in luck)


def test_beyond_the_support_there_is_advice_only_where_asked_and_it_says_so():
    with pytest.raises(DataError, match=r"at most 0\.6, .*--extrapolate"):
        advise(VIEW, STUDY, queries=1, target=0.65)
    found = advise(VIEW, STUDY, queries=1, target=0.65, extrapolate=True)
    assert found.best.accuracy.how == found.best.flops.how == EXTRAPOLATED
    assert found.best.flops.value == pytest.approx(128, rel=2e-3)
    assert any("extrapolated" in note for note in found.notes)


def test_a_mix_weighs_the_bins():
    view = planted(np.repeat([[0.2, 0.4, 0.6, 0.8], [0.0, 0.0, 0.2, 0.4]], 50, axis=0), 0.1)
    groups = [("1", np.arange(50)), ("2", np.arange(50, 100))]
    mixed = type(view)(view.arms, groups, view.lifetime)
    small = candidates(mixed, STUDY, mix=[3, 1])[0]
    assert small.accuracy[0] == pytest.approx([0.15, 0.3, 0.5, 0.7])
    with pytest.raises(DataError, match="a mix of 3 shares"):
        candidates(mixed, STUDY, mix=[1, 1, 1])


@pytest.mark.parametrize(
    ("asked", "phrase"),
    [
        ({"queries": 0, "target": 0.5}, "queries = 0"),
        ({"queries": 1}, "neither or both"),
        ({"queries": 1, "target": 0.5, "budget": 1e9}, "neither or both"),
        ({"queries": 1, "target": 1.5}, "between 0 and 1"),
        ({"queries": 1, "budget": 10}, "a budget of 10 FLOPs"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, phrase):
    with pytest.raises(DataError, match=phrase):
        advise(VIEW, STUDY, **asked)


# Hardware


def test_a_small_batch_is_bound_by_memory_and_a_large_one_by_arithmetic():
    spec, gpu = find("Pythia-1B"), GPUS["H100 SXM"]
    one = decode_seconds(spec, gpu, context=100, tokens=1, batch=1)
    assert one == pytest.approx(2 * (spec.active + 100 * spec.cached_per_token) / gpu.bandwidth)
    assert decode_seconds(spec, gpu, context=100, tokens=1, batch=64) < one / 30
    long = prefill_seconds(spec, gpu, tokens=2048, length=2048, batch=1)
    assert long == pytest.approx(2 * spec.active * 2048 / gpu.peak, rel=0.3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="at most 24 GB"):
        decode_seconds(find("Pythia-12B"), GPUS["L4"], context=2048, tokens=1, batch=64)
    with pytest.raises(DataError, match="one of H100 SXM"):
        find_gpu("abacus")


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("advised") / "run", problems=16, samples=8)


def test_the_command_gives_every_number_with_its_interval_and_kind(folder):
    line = ["advise", "--study", str(folder), "--queries", "1e5", "--target", "0.3", "--price", "2", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    for option in (told["best"], told["second"]):
        for name in ("accuracy", "flops", "total"):
            assert option[name]["low"] <= option[name]["value"] <= option[name]["high"]
            assert option[name]["how"] in (MEASURED, INTERPOLATED)
    assert told["convention"] == "exact"
    assert all(cost["seconds"] > 0 and cost["dollars"] > 0 for cost in told["hardware"])
