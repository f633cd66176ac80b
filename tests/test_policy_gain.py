"""Efficiency gain, allocation and agreement: published values, brute force, planted truth."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.curves import ARM, Arms
from scalinglab.errors import DataError
from scalinglab.exchange import published_lines
from scalinglab.policy import (
    NOT_REACHED,
    OUTSIDE,
    REACHED,
    Bins,
    compute_optimal,
    efficiency_gain,
    first_reach,
)


def line(mechanism, series):
    lines = published_lines()
    found = lines[(lines["mechanism"] == mechanism) & (lines["series"] == series)].sort_values("k")
    assert len(found) > 3, sorted(set(zip(lines["mechanism"], lines["series"], strict=True)))
    return found["k"].to_numpy(float), found["accuracy_pct"].to_numpy(float)


@pytest.mark.parametrize(
    ("mechanism", "optimal", "baseline", "n", "gain"),
    [
        # The paper's "4x": at 256 samples for revisions; by 64 samples it is 1.9, and 2.2 for search.
        ("revisions", "compute-optimal, verifier", "parallel, verifier", 256, 256 / 2 ** (5 + 1.1 / 2.0)),
        ("revisions", "compute-optimal, verifier", "parallel, verifier", 64, 64 / 2 ** (5 + 0.2 / 2.0)),
        ("revisions", "compute-optimal, majority", "parallel, majority", 256, 256 / 2 ** (5 + 1.9 / 2.0)),
        ("PRM search", "compute-optimal", "PRM best-of-N weighted", 64, 64 / 4 ** (2 + 0.4 / 0.9)),
    ],
)
def test_the_gains_in_the_papers_figure(mechanism, optimal, baseline, n, gain):
    budgets, curve = line(mechanism, optimal)
    at, theirs = line(mechanism, baseline)
    found = n / first_reach(budgets, curve, theirs[at == n])
    assert found == pytest.approx([gain])
    assert (gain > 4) == (n == 256)


def test_a_curve_that_falls_is_read_where_it_first_gets_there():
    budgets, curve = np.array([1.0, 4, 16, 64]), np.array([0.1, 0.5, 0.3, 0.9])
    found = first_reach(budgets, np.tile(curve, (5, 1)), np.array([0.05, 0.1, 0.3, 0.5, 0.95]))
    assert found == pytest.approx([0, 1, 2, 4, np.inf])


def strategies(curves, budgets):
    """Arms of the same accuracy on every one of ten problems, by strategy; a sample costs 3 FLOPs."""
    rows = [("policy", "m", name, "{}", "prm", "weighted", k) for name in curves for k in budgets]
    accuracy = np.tile(np.concatenate(list(curves.values())), (10, 1))
    flops = np.tile([3.0 * k for _ in curves for k in budgets], (10, 1))
    names = tuple(f"p{i}" for i in range(10))
    return Arms("paper", names, pd.DataFrame(rows, columns=list(ARM)), accuracy, flops)


def bins_over(arms, **more):
    return Bins(arms.problems, np.ones(len(arms.problems), dtype=int), 1, **more)


@pytest.mark.parametrize("budget", ["samples", "flops"])
def test_a_strategy_four_times_as_efficient_gains_four(budget):
    arms = strategies({"parallel": [0.1, 0.2, 0.3, 0.4], "better": [0.3, 0.4, 0.5, 0.6]}, [1, 2, 4, 8])
    table = efficiency_gain(compute_optimal(arms, bins_over(arms), budget=budget), arms, verifier="prm").table
    for _, rows in table.groupby("unit"):
        assert rows["verdict"].tolist() == [OUTSIDE, OUTSIDE, REACHED, REACHED]
        assert rows[["gain", "low", "high"]].iloc[2:].to_numpy().tolist() == [pytest.approx([4] * 3)] * 2
        assert rows[["gain", "low", "high", "reaches"]].iloc[:2].isna().all().all()
    assert set(table["unit"]) == ({"samples", "flops"} if budget == "samples" else {"flops"})


def test_what_is_not_reached_is_said_and_difficulty_is_paid_for():
    arms = strategies({"parallel": [0.1, 0.2, 0.3], "other": [0.1, 0.15, 0.2]}, [1, 2, 4])
    bins = bins_over(arms, samples=2, flops=np.full(10, 6.0), charged=True)
    other = arms.where((arms.table["strategy"] == "other").to_numpy())
    table = efficiency_gain(compute_optimal(other, bins), arms, verifier="prm").table
    assert table["verdict"].tolist() == [REACHED, REACHED, NOT_REACHED] * 2
    assert table["gain"].tolist()[:2] == pytest.approx([1 / 3, 2 / 6])
    assert table["gain"].tolist()[3:5] == pytest.approx([1 / 3, 2 / 6])


def test_an_end_that_no_budget_bounds_is_left_open():
    rng = np.random.default_rng(0)
    arms = strategies({"parallel": [0.1, 0.2, 0.3], "better": [0.2, 0.3, 0.31]}, [1, 2, 4])
    noisy = arms.accuracy + rng.normal(0, 0.05, arms.accuracy.shape) * np.array([1, 1, 1, 0, 0, 0])
    arms = Arms("paper", arms.problems, arms.table, noisy, arms.flops)
    other = arms.where((arms.table["strategy"] == "better").to_numpy())
    row = efficiency_gain(compute_optimal(other, bins_over(arms)), arms, verifier="prm").table.iloc[2]
    assert row["verdict"] == REACHED
    assert row["low"] is None or np.isnan(row["low"])
    assert row["high"] > row["gain"]


def test_a_baseline_that_was_not_collected_is_refused():
    arms = strategies({"parallel": [0.1, 0.2]}, [1, 2])
    with pytest.raises(DataError, match="0 arms of parallel samples, majority by orm"):
        efficiency_gain(compute_optimal(arms, bins_over(arms)), arms, selector="majority", verifier="orm")
