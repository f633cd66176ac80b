"""Bins of a run: set on samples that no arm is scored on, and charged what those cost."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.curves import arms_of, pool_from_run
from scalinglab.errors import DataError
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.optimal import ORACLE, apart, bins_of, compute_optimal
from scalinglab.samples import Call, RunStore, Solution, Unit
from scalinglab.specs import find

SPECS = {"m": find("Pythia-160M"), "p": find("Pythia-70M"), "o": find("Pythia-70M")}
JUDGES = {"prm": "p", "orm": "o"}
PROBLEMS = [f"p{i}" for i in range(10)]


def unit(problem, strategy, samples=8):
    parameters = {"samples": samples, "verifier": ["prm", "orm"]}
    return Unit("r", "t", problem, "policy", "m", strategy, parameters, samples)


def sampled(store, problem, strategy, right):
    """Eight samples, of which ``right`` are right; the PRM scores by luck, the ORM by the problem's number."""
    calls, found = [], []
    for i in range(8):
        calls.append(Call("policy", "m", 20, 30 + i, 20, sample=i))
        calls += [Call("verifier", judge, 50 + i, 0, 20, scored_tokens=1, sample=i) for judge in ("p", "o")]
        good = i < right
        ease = 1 - PROBLEMS.index(problem) / 20
        found.append(
            Solution("t", str(i), "right" if good else "wrong", [0.5], sample=i, other_scores={"orm": [ease]})
        )
    store.append(unit(problem, strategy), calls, found)


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("halved") / "run.sqlite") as store:
        for i, problem in enumerate(PROBLEMS):
            sampled(store, problem, "parallel", min(i, 8))
        return store.read()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("recorded") / "run.sqlite") as store:
        for i, problem in enumerate(PROBLEMS):
            sampled(store, problem, "parallel", 4)
            sampled(store, problem, "difficulty", min(i, 8))
        return store.read()


def priced(run, name="exact"):
    return price(run, SPECS, convention=CONVENTIONS[name])


def samples_of(run, strategy):
    units = run.units[run.units["strategy"] == strategy].set_index("key")["problem"]
    rows = run.solutions.join(units, on="unit", how="inner")
    return set(zip(rows["problem"], rows["sample"], strict=True))


def test_half_the_parallel_samples_are_set_apart_with_their_calls(halved):
    run = apart(halved, "m", seed=3)
    first, second = samples_of(run, "difficulty"), samples_of(run, "parallel")
    assert len(first) == len(second) == 40
    assert first | second == samples_of(halved, "parallel")
    calls = run.calls.merge(run.solutions[["unit", "sample"]], on=["unit", "sample"])
    assert len(calls) == len(run.calls) == len(halved.calls)
    assert samples_of(apart(halved, "m", seed=3), "difficulty") == first
    assert samples_of(apart(halved, "m", seed=4), "difficulty") != first


def test_a_run_that_recorded_difficulty_is_left_as_it_is(recorded):
    assert apart(recorded, "m") is recorded
    bins = bins_of(recorded, priced(recorded), "m", count=5)
    assert bins.labels.tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert (bins.source, bins.samples, bins.charged) == (ORACLE, 8, True)


def test_a_verifier_predicts_bins_without_answers(recorded):
    ledger = priced(recorded)
    by_orm = bins_of(recorded, ledger, "m", verifier="orm", verifiers=JUDGES)
    assert by_orm.labels.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert by_orm.source == "orm"
    flat = bins_of(recorded, ledger, "m", verifier="prm", verifiers=JUDGES)
    assert flat.labels.tolist() == [3] * 10


@pytest.mark.parametrize("name", CONVENTIONS)
def test_estimating_difficulty_costs_what_the_ledger_says(recorded, name):
    ledger = priced(recorded, name)
    entries = ledger.entries[ledger.entries["strategy"] == "difficulty"]
    for verifier, paid in ((None, []), ("prm", ["p"]), ("orm", ["o"])):
        bins = bins_of(recorded, ledger, "m", verifier=verifier, verifiers=JUDGES)
        wanted = entries[entries["model"].isin(["m", *paid])]["flops"].sum()
        assert bins.cost.sum() == pytest.approx(float(wanted))
        assert (bins.cost.sum() > 0) == CONVENTIONS[name].difficulty


def test_arms_are_scored_on_the_other_half_and_who_chooses_by_bin_pays_for_both(halved):
    run = apart(halved, "m")
    ledger = priced(run)
    arms = arms_of(run, ledger, verifiers=JUDGES)
    assert arms.table["budget"].max() == 4
    left = pool_from_run(run, "m")
    one = arms.where((arms.table["budget"] == 1) & (arms.table["selector"] == "majority"))
    assert one.accuracy[:, 0] == pytest.approx(left.correct / left.n)
    bins = bins_of(run, ledger, "m", count=2)
    found = compute_optimal([(one, bins)], draws=10)[0]
    assert found.chosen.spent[:, 0] == pytest.approx(one.flops[:, 0])  # one arm for all needs no bins
    both = ledger.entries["strategy"].isin(["parallel", "difficulty"]) & (ledger.entries["role"] == "policy")
    four = arms.where((arms.table["budget"] == 4) & (arms.table["selector"] == "majority"))
    assert four.flops.sum() + bins.cost.sum() == pytest.approx(float(ledger.entries[both]["flops"].sum()))


def test_one_sample_or_a_missing_score_is_refused(halved, recorded):
    alone = halved.solutions[halved.solutions["sample"] == 0]
    with pytest.raises(DataError, match="two parallel samples"):
        apart(type(halved)(halved.units, halved.calls, alone), "m")
    with pytest.raises(DataError, match="model 'x' lacks"):
        apart(halved, "x")
    unscored = recorded.solutions.assign(scores=pd.Series([[]] * len(recorded.solutions), dtype=object))
    run = type(recorded)(recorded.units, recorded.calls, unscored)
    with pytest.raises(DataError, match="without a verifier's score"):
        bins_of(run, priced(recorded), "m", verifier="prm", verifiers=JUDGES)
    assert np.all(bins_of(run, priced(recorded), "m").labels)
