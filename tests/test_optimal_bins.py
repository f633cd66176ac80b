from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.curves import Graded, Pool, accuracy
from scalinglab.errors import DataError
from scalinglab.optimal import difficulty_bins, halves

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def counts_pool(correct, n):
    correct, n = np.broadcast_arrays(np.asarray(correct), np.asarray(n))
    return Pool("m", tuple(f"p{i}" for i in range(len(correct))), n.copy(), correct.copy())


def texts_pool(n, seed):
    """Random texts, with rows padded to the longest n by samples that must never be picked."""
    rng, n = np.random.default_rng(seed), np.asarray(n)
    shape = (len(n), n.max())
    padding = np.arange(n.max()) >= n[:, None]
    answers = rng.integers(-1, 3, shape)
    right = ((rng.random(shape) < 0.4) & (answers >= 0)) | padding
    scores = np.where(padding, np.nan, rng.random(shape).round(1))
    correct = (right & ~padding).sum(axis=1)
    return Pool("m", tuple(f"p{i}" for i in range(len(n))), n, correct, Graded(right, answers, scores))


def samples_of(pool, row):
    """Each sample of one problem as right, answer and score."""
    graded = pool.graded
    columns = (array[row, : pool.n[row]].tolist() for array in (graded.right, graded.answers, graded.scores))
    return Counter(zip(*columns, strict=True))


# Halves


@given(st.lists(st.integers(2, 9), min_size=1, max_size=6), st.integers(0, 1000))
@QUICK
def test_halves_of_texts_are_disjoint_and_hold_every_sample(n, seed):
    pool = texts_pool(n, seed)
    first, second = halves(pool, seed=seed)
    assert first.n.tolist() == [size // 2 for size in n]
    assert (first.n + second.n).tolist() == n
    assert (first.correct + second.correct).tolist() == pool.correct.tolist()
    for row in range(len(n)):
        assert samples_of(first, row) + samples_of(second, row) == samples_of(pool, row)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=6), st.integers(0, 1000))
@QUICK
def test_halves_of_texts_count_their_own_right_samples(n, seed):
    for half in halves(texts_pool(n, seed), seed=seed):
        for row, correct in enumerate(half.correct):
            assert half.graded.right[row, : half.n[row]].sum() == correct


@given(st.lists(st.tuples(st.integers(2, 50), st.floats(0, 1)), min_size=1, max_size=6), st.integers(0, 1000))
@QUICK
def test_halves_of_counts_add_up(problems, seed):
    n = np.array([size for size, _ in problems])
    pool = counts_pool((n * [share for _, share in problems]).astype(int), n)
    first, second = halves(pool, seed=seed)
    assert (first.n + second.n).tolist() == n.tolist()
    assert (first.correct + second.correct).tolist() == pool.correct.tolist()
    for half in (first, second):
        assert ((half.correct >= 0) & (half.correct <= half.n)).all()


def test_counts_split_as_texts_do():
    right = np.zeros((4000, 10), dtype=bool)
    right[:, :4] = True
    names = tuple(map(str, range(4000)))
    n, correct = np.full(4000, 10), np.full(4000, 4)
    texts = Pool("m", names, n, correct, Graded(right, np.zeros((4000, 10), int), np.ones((4000, 10))))
    # Of 10 samples with 4 right, a half of 5 holds 2 right ones on average, with variance 2/3.
    for pool in (texts, Pool("m", names, n, correct)):
        for half in halves(pool):
            assert half.correct.mean() == pytest.approx(2, abs=0.06)
            assert half.correct.var() == pytest.approx(2 / 3, abs=0.06)


@pytest.mark.parametrize("pool", [counts_pool([5] * 20, 10), texts_pool([10] * 20, 0)])
def test_halves_are_seeded(pool):
    first, again, other = (halves(pool, seed=seed)[0].correct.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_problem_with_one_sample_cannot_be_halved():
    with pytest.raises(DataError, match="two or more"):
        halves(counts_pool([1, 3], [1, 9]))


def test_halving_leaves_the_pool_alone():
    pool = texts_pool([5, 8], 3)
    before = [samples_of(pool, row) for row in range(2)]
    halves(pool)
    assert [samples_of(pool, row) for row in range(2)] == before


@pytest.mark.parametrize("selector", ["coverage", "majority", "best-of-n", "weighted"])
def test_every_selector_scores_a_half(selector):
    for half in halves(texts_pool([6, 9, 7], 4)):
        values, _ = accuracy(half, selector, [1, 3])
        assert ((values >= 0) & (values <= 1)).all()


# Bins


def sizes(labels, bins=5):
    return np.bincount(labels, minlength=bins + 1)[1:].tolist()


@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 1000))
@QUICK
def test_bins_without_ties_are_equal(each, bins, seed):
    ease = np.random.default_rng(seed).permutation(each * bins) / 7
    assert sizes(difficulty_bins(ease, bins), bins) == [each] * bins


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 8))
@QUICK
def test_tied_problems_share_a_bin_and_harder_ones_never_get_an_easier_bin(ease, bins):
    bins = min(bins, len(ease))
    labels = difficulty_bins(np.array(ease, dtype=float), bins)
    assert labels.min() >= 1
    assert labels.max() <= bins
    order = np.argsort(ease)[::-1]
    assert (np.diff(labels[order]) >= 0).all()
    assert len({*zip(ease, labels.tolist(), strict=True)}) == len(set(ease))


def test_the_first_bin_is_the_easiest():
    assert difficulty_bins(np.array([0.9, 0.1, 0.5]), 3).tolist() == [1, 3, 2]


def test_a_tie_across_the_last_edge_gives_the_papers_bins():
    ease = np.arange(500, 0, -1) / 500
    ease[390:405] = ease[390]
    assert sizes(difficulty_bins(ease)) == [100, 100, 100, 105, 95]


def test_problems_that_all_tie_fill_one_bin():
    assert sizes(difficulty_bins(np.full(20, 0.5))) == [0, 0, 20, 0, 0]


def test_the_hardest_bin_holds_all_that_were_never_solved():
    ease = np.concatenate([np.zeros(25), np.linspace(0.1, 0.9, 75)])
    labels = difficulty_bins(ease)
    assert (labels[:25] == 5).all()
    assert sizes(labels) == [20, 20, 20, 15, 25]


@pytest.mark.parametrize("bins", [0, 4])
def test_more_bins_than_problems_are_refused(bins):
    with pytest.raises(DataError, match="1 to 3 bins"):
        difficulty_bins(np.array([0.1, 0.2, 0.3]), bins)


def test_bins_set_on_the_scored_samples_select_noise_and_halves_do_not():
    pool = counts_pool(np.random.default_rng(0).binomial(32, 0.3, 400), 32)
    easy, scored = halves(pool, seed=1)
    split, own = difficulty_bins(easy.correct / easy.n), difficulty_bins(scored.correct / scored.n)
    rates = scored.correct / scored.n
    honest, flattered = ([rates[labels == i].mean() for i in (1, 5)] for labels in (split, own))
    assert flattered[0] - flattered[1] > 0.25
    assert abs(honest[0] - honest[1]) < 0.05
