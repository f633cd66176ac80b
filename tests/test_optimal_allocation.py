"""Samples shared out between questions, and how bins agree: published values, brute force, planted truth."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.curves import Graded, Pool, QueryCost
from scalinglab.errors import DataError
from scalinglab.optimal import Bins, agreement, allocate, allocation, marginal_gains, shrunk

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(1, 4), st.data())
def test_the_greedy_allocation_is_the_best_of_all(success, most, data):
    total = data.draw(st.integers(len(success), most * len(success)))
    gains = marginal_gains(np.array(success), most)
    given_ = allocate(gains, total)
    assert given_.sum() == total
    assert ((given_ >= 1) & (given_ <= most)).all()
    every = (b for b in itertools.product(range(1, most + 1), repeat=len(success)) if sum(b) == total)
    best = max(sum(gains[i, :k].sum() for i, k in enumerate(b)) for b in every)
    assert sum(gains[i, :k].sum() for i, k in enumerate(given_)) == pytest.approx(best, abs=1e-9)


def test_gains_add_up_to_coverage_and_hopeless_questions_get_the_least():
    gains = marginal_gains(np.array([0.0, 0.3, 1.0]), 5)
    assert gains.sum(axis=1) == pytest.approx([0, 1 - 0.7**5, 1])
    assert allocate(gains, 7).tolist() == [1, 5, 1]
    assert allocate(gains, 6, least=0).tolist() == [0, 5, 1]


@pytest.mark.parametrize(
    ("gains", "total", "said"),
    [([[0.1, 0.2]], 1, "rise"), ([[0.2, 0.1]], 3, "1 to 2"), ([[0.2, 0.1]], 0, "1 to 2")],
)
def test_what_cannot_be_allocated_is_refused(gains, total, said):
    with pytest.raises(DataError, match=said):
        allocate(np.array(gains), total)


def planted(p, n, seed):
    right = np.random.default_rng(seed).random((len(p), n)) < p[:, None]
    graded = Graded(right, np.where(right, 0, 1), right.astype(float))
    return Pool("m", tuple(f"p{i}" for i in range(len(p))), np.full(len(p), n), right.sum(axis=1), graded)


def test_the_allocator_takes_fewer_samples_where_questions_differ():
    p = np.random.default_rng(0).beta(0.3, 0.5, 400)
    first, scored = planted(p, 16, 1), planted(p, 64, 2)
    told = shrunk(first.correct / first.n, 16)
    found = allocation(
        scored, told, selector="coverage", convention="paper", cost=QueryCost(5, 2), budgets=[8, 10]
    )
    rows = found.table.set_index("budget")
    assert found.given.sum(axis=0).tolist() == [3200, 4000]
    assert (rows["low"] > 0).all()
    assert rows.loc[8, "adaptive"] > rows.loc[10, "uniform"]
    assert rows["flops"].tolist() == [21, 25]
    chosen, every = found.given[:, 0], np.arange(1, 65)
    assert rows.loc[8, "adaptive"] == pytest.approx((1 - (1 - p) ** chosen).mean(), abs=0.02)
    assert set(chosen) <= set(every)


def labelled(labels, source):
    labels = np.asarray(labels)
    return Bins(tuple(f"p{i}" for i in range(len(labels))), labels, int(labels.max()), source)


def test_the_papers_precisions_give_its_agreement():
    precision = [0.77, 0.48, 0.41, 0.38, 0.60]
    predicted = np.repeat([1, 2, 3, 4, 5], 100)
    oracle = predicted.copy()
    for b, share in enumerate(precision, start=1):
        moved = np.flatnonzero(predicted == b)[round(100 * share) :]
        oracle[moved] = b % 5 + 1
    found = agreement(labelled(oracle, "oracle"), labelled(predicted, "prm"))
    assert found.rate == pytest.approx(0.528)
    assert found.low < 0.528 < found.high
    assert found.chance == pytest.approx(0.2, abs=0.01)
    assert found.table["precision"].tolist() == pytest.approx(precision)


def test_an_empty_bin_has_no_precision():
    found = agreement(labelled([1, 1, 3, 2], "oracle"), labelled([1, 1, 3, 3], "prm")).table
    assert found["precision"].isna().tolist() == [False, True, False]
    assert found["recall"].tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="3 bins of 4 problems against 2 of 2"):
        agreement(labelled([1, 1, 3, 2], "oracle"), labelled([1, 2], "prm"))
