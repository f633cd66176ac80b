"""The gain over parallel sampling of the same proposer: published values, planted strategies, the first study."""

import json

import numpy as np
import pandas as pd
import pytest

from scalinglab.curves import ARM, Arms
from scalinglab.errors import DataError
from scalinglab.exchange import published_lines
from scalinglab.optimal import (
    MIXTURE,
    NOT_REACHED,
    OUTSIDE,
    REACHED,
    STEP,
    Bins,
    first_reach,
    gains,
    mechanisms,
)
from scalinglab.optimal.gain import first_step


def line(mechanism, series):
    lines = published_lines()
    found = lines[(lines["mechanism"] == mechanism) & (lines["series"] == series)].sort_values("k")
    assert len(found) > 3, sorted(set(zip(lines["mechanism"], lines["series"], strict=True)))
    return found["k"].to_numpy(float), found["accuracy_pct"].to_numpy(float)


@pytest.mark.parametrize(
    ("mechanism", "optimal", "baseline", "n", "gain"),
    [
        # The paper's "4x": at 256 samples for revisions; by 64 samples it is 1.8, and 1.7 for search.
        ("revisions", "compute-optimal, verifier", "parallel, verifier", 256, 256 / (32 + 32 * 1.1 / 2.0)),
        ("revisions", "compute-optimal, verifier", "parallel, verifier", 64, 64 / (32 + 32 * 0.2 / 2.0)),
        ("revisions", "compute-optimal, majority", "parallel, majority", 256, 256 / (32 + 32 * 1.9 / 2.0)),
        ("PRM search", "compute-optimal", "PRM best-of-N weighted", 64, 64 / (16 + 48 * 0.4 / 0.9)),
    ],
)
def test_the_gains_in_the_papers_figure_by_mixtures(mechanism, optimal, baseline, n, gain):
    budgets, curve = line(mechanism, optimal)
    at, theirs = line(mechanism, baseline)
    found = n / first_reach(budgets, curve[None], theirs[at == n])
    assert found == pytest.approx([gain])
    assert (gain > 4) == (n == 256)


def test_a_curve_that_falls_is_read_where_it_first_gets_there():
    budgets, curve = np.array([1.0, 4, 16, 64]), np.array([0.1, 0.5, 0.3, 0.9])
    goals = np.array([0.05, 0.1, 0.3, 0.5, 0.95])
    assert first_reach(budgets, np.tile(curve, (5, 1)), goals) == pytest.approx([0, 1, 2.5, 4, np.inf])
    assert first_step(budgets, np.tile(curve, (5, 1)), goals) == pytest.approx([0, 1, 4, 4, np.inf])


def arm(strategy, budget, *, model="m", verifier="prm", selector="weighted", **setting):
    role = "reviser" if model == "r" else "policy"
    return role, model, strategy, json.dumps(setting), verifier, selector, budget


def study(rows, problems=10):
    """Arms of the same accuracy on every problem; a sample of the small model costs 3 FLOPs, of the reviser 6."""
    table = pd.DataFrame([row for row, _ in rows], columns=list(ARM))
    accuracy = np.tile([accuracy for _, accuracy in rows], (problems, 1))
    flops = np.tile(table["budget"] * np.where(table["model"] == "r", 6.0, 3.0), (problems, 1))
    names = tuple(f"p{i}" for i in range(problems))
    return Arms("paper", names, table, accuracy, flops)


def bins_over(arms, **more):
    return Bins(arms.problems, np.ones(len(arms.problems), dtype=int), 1, **more)


PARALLEL = [(arm("parallel", k), accuracy) for k, accuracy in zip([1, 2, 4, 8], [0.1, 0.2, 0.3, 0.4], strict=True)]
LATER = [(arm("beam_search", k), accuracy) for k, accuracy in zip([2, 4, 8], [0.4, 0.5, 0.6], strict=True)]


def rows_of(table, unit, by):
    return table[(table["unit"] == unit) & (table["by"] == by)].set_index("n")


@pytest.mark.parametrize("unit", ["samples", "flops"])
def test_a_search_four_times_as_efficient_gains_four(unit):
    arms = study(PARALLEL + LATER)
    (found,) = gains(arms, bins_over(arms), small="m", draws=50)
    step, mixture = (rows_of(found.table, unit, by) for by in (STEP, MIXTURE))
    assert (found.table["verdict"] == REACHED).all()
    assert step["gain"].tolist() == pytest.approx([1, 1, 2, 4])
    assert step.loc[8, ["low", "high"]].tolist() == pytest.approx([4, 4])
    # 0.2 and 0.3 are a third and two thirds of the way from 0.1 at one sample to 0.4 at two.
    assert mixture["gain"].tolist() == pytest.approx([1, 2 / (1 + 1 / 3), 4 / (1 + 2 / 3), 4], rel=1e-4)


def test_each_mechanism_is_measured_against_its_own_proposer_and_verifier():
    revised = [
        (arm("revisions", k, model="r", verifier="orm", selector=s, chains=k // length, length=length), accuracy)
        for k, length, accuracy in ((4, 1, 0.5), (4, 4, 0.8), (8, 1, 0.6))
        for s in ("hierarchical", "weighted", "majority")
    ]
    others = [
        (arm("greedy", 1, verifier="", selector="majority"), 0.9),
        (arm("parallel", 8, verifier="orm"), 0.99),
    ]
    arms = study(PARALLEL + LATER + revised + others)
    search, revisions = mechanisms(arms, small="m")
    assert (search.name, search.against) == ("search", "parallel samples of the small model, weighted by prm")
    assert search.arms.table["strategy"].unique().tolist() == ["parallel", "beam_search"]
    assert search.baseline.table["budget"].tolist() == [1, 2, 4, 8]
    assert revisions.against == "parallel samples of the reviser, weighted by orm"
    assert revisions.baseline.table["budget"].tolist() == [4, 8]
    assert set(revisions.arms.table["model"]) == {"r"}
    _, found = gains(arms, bins_over(arms), small="m", draws=50)
    rows = rows_of(found.table, "flops", MIXTURE)
    assert rows["verdict"].tolist() == [OUTSIDE, OUTSIDE]  # four revisions are better than eight parallel samples
    assert set(found.table["against"]) == {revisions.against}


def test_a_baseline_that_luck_put_ahead_is_not_reached():
    """Among equal arms the baseline's best is read on the problems that made it so, the choice on others."""
    rng = np.random.default_rng(3)
    arms = study(PARALLEL + LATER, problems=40)
    lucky = rng.random(arms.accuracy.shape) < 0.5
    lucky[:, 3] |= rng.random(40) < 0.1
    arms = Arms("paper", arms.problems, arms.table, lucky.astype(float), arms.flops)
    (found,) = gains(arms, bins_over(arms), small="m", units=["flops"], draws=200)
    last = rows_of(found.table, "flops", MIXTURE).loc[8]
    assert last["accuracy"] > found.strategy["flops"].chosen.accuracy[0].max()
    assert last["verdict"] == NOT_REACHED
    assert last[["gain", "low"]].isna().all()


def test_a_study_without_a_mechanism_and_its_baseline_is_refused():
    arms = study(PARALLEL)
    with pytest.raises(DataError, match="no search or revisions beside parallel samples, weighted"):
        gains(arms, bins_over(arms), small="m")
