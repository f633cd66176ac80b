"""The compute-optimal choice: against leave-one-out by hand, planted arms, and the flattery it must not have."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.curves import ARM, Arms
from scalinglab.errors import DataError
from scalinglab.policy import ABOVE, BELOW, MEASURED, Bins, compute_optimal


def arms_over(accuracy, flops=None, budget=None):
    accuracy = np.asarray(accuracy, dtype=float)
    problems, count = accuracy.shape
    costs = np.broadcast_to(np.arange(1.0, count + 1) if flops is None else flops, accuracy.shape)
    rows = [
        ("policy", "m", f"s{j}", "{}", "prm", "weighted", 4 if budget is None else budget[j]) for j in range(count)
    ]
    names = tuple(f"p{i}" for i in range(problems))
    return Arms("paper", names, pd.DataFrame(rows, columns=list(ARM)), accuracy, costs.copy())


def bins_over(arms, labels=None, **more):
    labels = np.ones(len(arms.problems), dtype=int) if labels is None else np.asarray(labels)
    return Bins(arms.problems, labels, int(labels.max()), **more)


def test_two_problems_are_each_scored_by_the_arm_that_the_other_chose():
    arms = arms_over([[1, 0], [0, 1]])
    found = compute_optimal(arms, bins_over(arms))
    assert found.accuracy[:, 0].tolist() == [0, 0]
    assert found.in_sample[:, 0].mean() == 0.5


def test_as_many_folds_as_problems_leave_one_out():
    rng = np.random.default_rng(0)
    arms = arms_over(rng.random((9, 5)).round(1), flops=rng.permutation(5) + 1.0, budget=[1, 1, 2, 2, 2])
    labels = np.array([1, 2, 1, 2, 1, 2, 1, 1, 2])
    found = compute_optimal(arms, bins_over(arms, labels), folds=9)
    for i in range(9):
        others = [k for k in range(9) if k != i and labels[k] == labels[i]]
        for j, columns in enumerate(([0, 1], [2, 3, 4])):
            means = {c: (round(arms.accuracy[others, c].mean(), 12), -arms.flops[0, c]) for c in columns}
            assert found.accuracy[i, j] == pytest.approx(arms.accuracy[i, max(means, key=means.get)])


def test_planted_arms_are_found_in_each_bin_and_ties_go_to_the_cheaper():
    easy, hard = [0.9, 0.5, 0.9, 0.1], [0.1, 0.6, 0.2, 0.3]
    arms = arms_over([easy, hard] * 10, flops=[3.0, 2.0, 1.0, 1.0])
    found = compute_optimal(arms, bins_over(arms, [1, 2] * 10))
    assert found.chosen[:, 0].tolist() == [2, 1]
    rows = found.table.set_index("bin")
    assert rows.loc[1, ["accuracy", "in_sample", "flops", "kept"]].tolist() == pytest.approx([0.9, 0.9, 1.0, 1.0])
    assert rows.loc["all", "accuracy"] == pytest.approx(0.75)
    assert rows.loc["all", "flops"] == pytest.approx(1.5)
    assert rows.loc[2, "arm"] == "m s1 x4, weighted by prm"
    assert (rows["status"] == MEASURED).all()


def test_among_equal_arms_the_choice_gains_nothing_out_of_sample_and_flatters_within():
    rng = np.random.default_rng(1)
    gaps = []
    for seed in range(20):
        arms = arms_over(rng.binomial(1, 0.5, (100, 30)))
        found = compute_optimal(arms, bins_over(arms, np.arange(100) % 5 + 1), seed=seed)
        gaps.append([found.accuracy.mean() - 0.5, found.in_sample.mean() - 0.5])
    honest, flattered = np.mean(gaps, axis=0)
    assert abs(honest) < 0.01
    assert flattered > 0.15


def test_a_flops_budget_admits_what_it_pays_for():
    arms = arms_over([[0.2, 0.8, 0.5]] * 8, flops=[10.0, 40.0, 20.0])
    found = compute_optimal(arms, bins_over(arms), budget="flops", budgets=[5, 10, 39, 40, 100])
    whole = found.table[found.table["bin"] == "all"]
    assert whole["status"].tolist() == [BELOW, MEASURED, MEASURED, MEASURED, ABOVE]
    assert whole["accuracy"].tolist()[1:] == pytest.approx([0.2, 0.5, 0.8, 0.8])
    assert whole["flops"].tolist()[1:] == pytest.approx([10, 20, 40, 40])
    assert whole.iloc[0][["accuracy", "low", "high", "in_sample", "flops"]].isna().all()
    assert compute_optimal(arms, bins_over(arms), budget="flops").budgets.tolist() == [10, 20, 40]


def test_estimating_difficulty_is_charged_where_the_convention_says_so():
    arms = arms_over([[0.2, 0.8]] * 8, flops=[10.0, 40.0])
    told = {"samples": 3, "flops": np.full(8, 30.0)}
    free, charged = (
        compute_optimal(
            arms, bins_over(arms, **told, charged=charged), budget="flops", budgets=[30, 40, 70]
        ).flops[0]
        for charged in (False, True)
    )
    assert free.tolist() == [10, 40, 40]
    assert charged[1:].tolist() == [40, 70]
    assert np.isnan(charged[0])


def test_a_bin_of_one_problem_is_chosen_for_on_the_others_and_has_no_interval():
    arms = arms_over([[1, 0], [1, 0], [1, 0], [0, 1]])
    found = compute_optimal(arms, bins_over(arms, [1, 1, 1, 2]))
    assert found.accuracy[:, 0].tolist() == [1, 1, 1, 0]
    assert found.table.set_index("bin").loc[2, ["low", "high"]].isna().all()


def test_a_seed_decides_the_folds():
    rng = np.random.default_rng(2)
    arms = arms_over(rng.random((40, 12)))
    one, same, other = (compute_optimal(arms, bins_over(arms), seed=seed).accuracy for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"folds": 1}, "1 folds"),
        ({"budgets": [3]}, "some of 4"),
        ({"budget": "tokens"}, "samples or flops"),
    ],
)
def test_what_cannot_be_asked_is_refused(more, said):
    arms = arms_over([[0.5, 1.0]] * 4)
    with pytest.raises(DataError, match=said):
        compute_optimal(arms, bins_over(arms), **more)


def test_bins_of_other_problems_or_outside_their_count_are_refused():
    arms, fewer = arms_over([[0.5]] * 4), arms_over([[0.5]] * 3)
    with pytest.raises(DataError, match="bins of 3 problems for arms over 4"):
        compute_optimal(arms, bins_over(fewer))
    with pytest.raises(DataError, match="from 1 to 1"):
        compute_optimal(arms, Bins(arms.problems, np.array([0, 1, 1, 1]), 1))


def test_a_difference_is_paired_with_the_resamples_that_choose_anew():
    rng = np.random.default_rng(3)
    ease = rng.random(60)
    arms = arms_over(np.column_stack([ease, ease * 0.5]))
    found = compute_optimal(arms, bins_over(arms, [1] * 56 + [2] * 4))
    middle, low, high = found.difference(ease - 0.2)
    assert middle[:, 0] == pytest.approx([0.2] * 3)
    # What varies between problems cancels: only the two pseudo-problems' doubt is left.
    assert (high - low)[:2, 0] == pytest.approx(2 * 1.96 / np.array([62, 58]), rel=0.01)
    assert np.isnan([low[2, 0], high[2, 0]]).all()
    assert (found.table["high"] - found.table["low"]).iloc[0] > 0.1


def test_problems_that_all_agree_still_leave_doubt():
    arms = arms_over(np.ones((40, 2)))
    row = compute_optimal(arms, bins_over(arms)).table.iloc[0]
    assert row["accuracy"] == row["high"] == 1
    assert 0.93 < row["low"] < 0.97
