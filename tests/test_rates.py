"""The fitted exchange rate against planted rates, a published data set, and what the data cannot identify."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.rate_calibration import logit, summary, table
from commands import assert_refused
from scipy import special
from simulated import record

from scalinglab.errors import DataError, FitError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import rates
from scalinglab.exchange.paths import grid_of
from scalinglab.exchange.smaller import BORNE_OUT, CONTRADICTED, OPEN, pairs_of, said_by
from scalinglab.fits import Answered, fit_rate
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

PAPER = CONVENTIONS["paper"]
NOMINAL = {"70M": 70e6, "160M": 160e6, "410M": 410e6, "1B": 1e9, "2.8B": 2.8e9, "6.9B": 6.9e9, "12B": 12e9}
KS = [1, 4, 16, 64, 256]


@pytest.fixture(scope="module")
def pythia(shared_data):
    specs = {f"Pythia {name}": parse(f"{size:.0f}@300e9") for name, size in NOMINAL.items()}
    return open_evidence(shared_data("pythia_math") / "counts.csv", specs=specs)


@pytest.fixture(scope="module")
def found(pythia):
    return rates(pythia, rule=PAPER, k=KS)


def row(found, of, group, unit):
    return found.table.set_index(["of", "group", "unit"]).loc[(of, group, unit)].to_dict()


def counts(accuracy, sizes, *, problems=60, n=64, seed=0):
    """Counts of models m0, m1, ... of these sizes: one sample is right with about these chances."""
    rng, rows = np.random.default_rng(seed), []
    ease = rng.normal(size=problems)
    for i, share in enumerate(accuracy):
        right = rng.binomial(n, special.expit(special.logit(share) + ease))
        rows += [{"model": f"m{i}", "problem": f"p{j:03d}", "n": n, "correct": c} for j, c in enumerate(right)]
    specs = {f"m{i}": parse(size) for i, size in enumerate(sizes)}
    return pd.DataFrame(rows), specs


def rated(accuracy, sizes, *, k=(1, 4, 16), bins=1, **options):
    frame, specs = counts(accuracy, sizes, **options)
    return rates(open_evidence(frame, specs=specs), rule=PAPER, k=list(k), bins=bins, draws=200)


# Pythia on MATH


def test_a_doubling_of_pythia_is_worth_so_many_doublings_of_samples(pythia, found):
    one = fit_rate(grid_of(pythia, rule=PAPER, k=KS).cells())
    assert one.slopes == pytest.approx((0.3146, 0.4920), abs=5e-5)
    assert (one.rate, one.error) == pytest.approx((0.639, 0.043), abs=5e-4)
    assert one.drawn[0] == pytest.approx(0.044, abs=1e-3)
    assert one.changes < 1e-6
    shown = row(found, "all", "all", "samples")
    assert (shown["rate"], shown["low"], shown["high"]) == (one.rate, one.low, one.high)
    assert shown["bootstrap_low"] == pytest.approx(0.555, abs=0.01)
    assert shown["bootstrap_high"] == pytest.approx(0.743, abs=0.02)


def test_single_pairs_contradict_that_smaller_is_better(found):
    flops = row(found, "all", "all", "FLOPs")
    assert flops["rate"] == pytest.approx((0.3146 - 0.4920) / 0.4920, abs=1e-4)
    assert (flops["smaller"], flops["status"]) == (CONTRADICTED, "a mean: lack of fit")
    pair = found.pairs.set_index(["small", "large", "level"]).loc[("Pythia 70M", "Pythia 410M", "64")].to_dict()
    points = [100 * float(pair[name]) for name in ("difference", "low", "high")]
    assert points == pytest.approx([-10.4, -15.9, -5.2], abs=0.35)  # ours are widened for few problems
    assert any("say the reverse" in note for note in found.notes)
    assert "pairs contradict" in found.said


def test_samples_are_worth_less_at_larger_budgets_and_sizes_differ(found):
    steps = found.table[(found.table["of"] == "budget") & (found.table["unit"] == "samples")]
    assert steps["rate"].is_monotonic_increasing
    sizes = found.table[(found.table["of"] == "size") & (found.table["unit"] == "FLOPs")].set_index("group")
    assert sizes.loc["Pythia 70M to Pythia 160M", "low"] > 0
    assert sizes.loc["Pythia 410M to Pythia 1B", "smaller"] == BORNE_OUT
    assert sizes["lack_of_fit"].notna().all()


# Planted rates


def test_intervals_hold_a_planted_rate_about_as_often_as_they_say():
    for kind in ("samples", "FLOPs", "coverage"):
        made = summary(kind, 80, 60, draws=0)
        assert made["covered"] >= 88, kind  # 52 of 60 or fewer have a chance of 1 in 100 at a rate of 95 %


def test_the_recorded_calibration_holds():
    path = Path(__file__).parents[1] / "results" / "benchmarks" / "rate_calibration.json"
    rows = json.loads(path.read_text())["rows"]
    assert {(one["of"], one["studies"]) for one in rows} == {(of, 2000) for of in ("samples", "FLOPs", "coverage")}
    assert min(one["covered"] for one in rows) >= 93


def test_the_delta_method_agrees_with_the_bootstrap_on_the_same_data():
    one = fit_rate(logit("samples", 300, np.random.default_rng(0)))
    assert one.drawn == pytest.approx((one.error, one.low, one.high), rel=0.1)


def test_a_rate_that_differs_by_step_is_a_mean_and_the_steps_are_right():
    """The first step of size is worth twice the second."""
    cells = logit("samples", 2000, np.random.default_rng(1))
    chosen = cells.table["model"].isin(["0.0", "1.5", "3.0"])
    own = table()[chosen].reset_index(drop=True)
    gain = own["model"].map({"0.0": 0.0, "1.5": 1.2, "3.0": 1.8}) + 0.5 * own["budget"] - 3
    right = np.random.default_rng(2).random((2000, len(own))) < special.expit(gain.to_numpy())
    bent = Answered(own, right.astype(float))
    assert fit_rate(bent, draws=0).lack_of_fit < 1e-3
    assert fit_rate(cells, draws=0).lack_of_fit > 0.01
    for step, rate in ((["0.0", "1.5"], 1.2 / 1.5 / 0.5), (["1.5", "3.0"], 0.6 / 1.5 / 0.5)):
        one = fit_rate(bent.where(own["model"].isin(step)), draws=0)
        assert one.low < rate < one.high
        assert one.lack_of_fit > 0.01


# Evidence


def test_efforts_are_budgets_in_tokens():
    rng, rows = np.random.default_rng(0), []
    for i, size in enumerate((0, 2, 4)):
        for j, effort in enumerate(("low", "medium", "high")):
            for p in range(150):
                right = rng.binomial(8, special.expit(-3 + 0.4 * size + 0.8 * 2 * j))
                one = {"model": f"m{i}", "problem": f"p{p}", "effort": effort, "n": 8, "correct": right}
                rows.append(one | {"mean_output_tokens": 500 * 4**j})
    specs = {f"m{i}": parse(f"{n}e9@1e12") for i, n in enumerate((1, 4, 16))}
    evidence = open_evidence(pd.DataFrame(rows), specs=specs)
    found = rates(evidence, rule=PAPER, draws=0)
    one = row(found, "all", "all", "tokens")
    assert found.unit == "tokens"
    assert one["low"] < 0.5 < one["high"]
    assert row(found, "all", "all", "FLOPs")["rate"] == pytest.approx(one["rate"] - 1)
    assert set(found.table.loc[found.table["of"] == "budget", "group"]) == {"low to medium", "medium to high"}
    with pytest.raises(DataError, match="the efforts are the budgets"):
        rates(evidence, rule=PAPER, k=[1, 2])
    assert not any("perfect verifier" in note for note in found.notes)


def test_ways_that_know_the_answers_stand_apart(document, tmp_path):
    told = document("rate STUDY --bins 1", STUDY=record(tmp_path / "run"))
    groups = {one["group"] for one in told["rows"] if one["of"] == "strategy"}
    assert {"parallel, coverage", "beam_search width=4, weighted by prm"} < groups
    assert "large: its greedy answer stands for one sample" in told["notes"]
    assert not any("perfect verifier" in note for note in told["notes"])


def test_a_model_of_unknown_tokens_has_no_part_in_the_rate_in_flops():
    found = rated((0.02, 0.06, 0.15), ("1e9@1e12", "4e9@1e12", "16e9"))
    assert any(note.startswith("m2 has no rate in FLOPs") for note in found.notes)
    assert row(found, "all", "all", "FLOPs")["rate"] == pytest.approx(
        row(found, "size", "m0 to m1", "samples")["rate"] - 1
    )


def test_without_training_tokens_there_is_a_rate_in_samples_alone():
    found = rated((0.02, 0.06), ("1e9", "4e9"))
    assert row(found, "all", "all", "samples")["low"] > 0
    assert row(found, "all", "all", "FLOPs")["why"] == "pretraining FLOPs unknown"
    assert "no rate (pretraining FLOPs unknown)" in found.said


def test_difficulty_has_its_rates_on_samples_that_did_not_set_it():
    found = rated((0.02, 0.06, 0.15), ("1e9@1e12", "4e9@1e12", "16e9@1e12"), bins=2, problems=100)
    assert {"equal difficulty", "difficulty"} < set(found.table["of"])
    assert any("the other half scores" in note for note in found.notes)
    assert row(found, "difficulty", "bin 1", "samples")["problems"] == 50


def test_pairs_are_read_at_equal_flops():
    frame, specs = counts((0.05, 0.05), ("1e9@1e12", "4e9@1e12"))
    grid = grid_of(open_evidence(frame, specs=specs), rule=PAPER, k=[1, 4, 16])
    pairs = pairs_of(grid)
    assert pairs["level"].tolist() == ["1", "4", "16"]
    reader = grid.paths[0].reader
    ours, theirs = (path.reader.at(np.array(k), np.arange(60))[0].mean(axis=0) for path, k in zip(
        grid.paths, ([4, 16, 64], [1, 4, 16]), strict=True
    ))  # fmt: skip
    assert reader.fewest == 64
    assert pairs["difference"].tolist() == pytest.approx((ours - theirs).tolist())
    assert said_by(pairs) == BORNE_OUT
    assert said_by(pairs[:0]) == OPEN
    assert said_by(pairs.assign(high=[-0.1, 1, 1])) == CONTRADICTED


# What is not identified


@pytest.mark.parametrize(
    ("accuracy", "k", "error", "said"),
    [
        ((0.1,), (1, 4), DataError, "two or more sizes"),
        ((0.1, 0.3), (1,), FitError, "budget of one value only; expected two or more budgets"),
        ((1 - 1e-15, 1 - 1e-15), (1, 4), FitError, "every answer right; expected some right and some wrong"),
        ((1e-15, 1e-15), (1, 4), FitError, "every answer wrong"),
        ((1e-15, 1 - 1e-15), (1, 4), FitError, "separation"),
        ((0.1, 0.3), (1, 65), DataError, "budgets from 1 to n = 64"),
    ],
)
def test_what_the_data_do_not_identify_is_refused_in_three_parts(accuracy, k, error, said):
    with pytest.raises(error, match=said) as caught:
        rated(accuracy, ("1e9@1e12", "4e9@1e12")[: len(accuracy)], k=k)
    assert len(caught.value.args) == 3


def test_a_budget_that_does_not_help_replaces_nothing():
    cells = logit("samples", 100, np.random.default_rng(0))
    flat = Answered(
        cells.table, np.tile(cells.right[:, ::5], 5)[:, np.argsort(np.tile(np.arange(5), 5), kind="stable")]
    )
    with pytest.raises(FitError, match=r"a slope of .* expected one that is above 0"):
        fit_rate(flat, draws=0)


def test_the_command_refuses_in_one_line(scalinglab):
    assert_refused(scalinglab("rate COUNTS --k 1"), "two or more budgets")
    assert_refused(scalinglab("rate COUNTS --k one"), "whole numbers separated by commas")


def test_the_command_prints_a_sentence_a_table_and_one_document(scalinglab, document):
    done = scalinglab("rate COUNTS --k 1,2,4,8 --bins 2")
    assert done.code == 0
    assert done.out.startswith("One doubling of the model is worth ")
    told = document("rate COUNTS --k 1,2,4,8 --bins 2")
    assert {"rate", "low", "high", "group", "unit", "lack_of_fit", "surface"} <= set(told["rows"][0])
    assert any(note.startswith("mine left out") for note in told["notes"])
