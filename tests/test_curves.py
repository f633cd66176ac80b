import json
import math
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scalinglab import flops
from scalinglab.curves import (
    CHAINS,
    FINALS,
    INDEPENDENT,
    SELECTORS,
    Graded,
    Pool,
    QueryCost,
    Selector,
    accuracy,
    best_of_k,
    doubt,
    interval,
    intervals,
    pass_at_k,
    pool_from_counts,
    pool_from_run,
    pools_from_counts,
    ratio_interval,
    resampled,
    simultaneous,
    spec_cost,
    tails,
    vote_at_k,
    ways_of,
    weights,
)
from scalinglab.curves.intervals import pointwise
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.samples import AGGREGATES, Call, RunStore, Solution, Unit, read_counts, read_run, scored_by
from scalinglab.specs import find

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
FEW = settings(max_examples=25, deadline=None, derandomize=True)
PRESETS = st.sampled_from(list(CONVENTIONS.values()))
each_preset = pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
SPEC = find("Pythia-160M")
PYTHIA = ("70M", "160M", "410M", "1B", "2.8B", "6.9B", "12B")


def graded_pool(right, answers=None, scores=None, n=None, model="m"):
    """A pool of texts; the answers are right (0) and wrong (1) unless given."""
    right = np.asarray(right, dtype=bool)
    answers = np.where(right, 0, 1) if answers is None else np.asarray(answers, dtype=np.int64)
    scores = np.full(right.shape, np.nan) if scores is None else np.asarray(scores, dtype=np.float64)
    n = np.full(len(right), right.shape[1]) if n is None else np.asarray(n)
    correct = (right & (np.arange(right.shape[1]) < n[:, None])).sum(axis=1)
    names = tuple(f"p{i}" for i in range(len(right)))
    return Pool(model, names, n, correct, Graded(right, answers, scores))


def recorded(path, solutions, *, task="t", calls=None, model="m", strategy="parallel", role="policy"):
    """A run of one unit for each problem: its solutions, and one call each unless calls are given."""
    with RunStore(path / "run.sqlite") as store:
        for problem, found in solutions.items():
            unit = Unit("r", task, problem, role, model, strategy, budget=len(found))
            made = [Call(role, model, 10, 5, 10, sample=i, cached_tokens=0) for i in range(len(found))]
            store.append(unit, made if calls is None else calls, found)
        return store.read()


def solution(grade, answer="a", scores=()):
    return Solution("text", answer, grade, scores)


# pass@k


def exact_pass_at_k(n, c, k):
    """In whole numbers: C(n - c, k) / C(n, k) = C(n - k, c) / C(n, c), whichever has fewer factors."""
    few, many = sorted((c, k))
    ways = math.perm(n, few)
    return (ways - math.perm(n - many, few)) / ways


def test_pass_at_k_is_the_exact_fraction_for_every_small_count():
    rows = [(n, c, k) for n in range(1, 13) for c in range(n + 1) for k in range(1, n + 1)]
    exact = [1 - Fraction(math.comb(n - c, k), math.comb(n, k)) for n, c, k in rows]
    found = pass_at_k(*np.array(rows).T)
    np.testing.assert_allclose(found, [float(value) for value in exact], rtol=1e-14)


@given(st.data())
@QUICK
def test_pass_at_k_is_exact_to_a_million_samples(data):
    n = data.draw(st.integers(1, 10**6))
    few, many = data.draw(st.integers(0, min(n, 1500))), data.draw(st.integers(1, n))
    c, k = (few, many) if few == 0 or data.draw(st.booleans()) else (many, few)
    assert float(pass_at_k(n, c, k)) == pytest.approx(exact_pass_at_k(n, c, k), rel=1e-10, abs=0)


def test_pass_at_k_keeps_its_digits_where_almost_nothing_is_right():
    assert float(pass_at_k(10**6, 1, 1)) == pytest.approx(1e-6, rel=1e-14)
    assert float(pass_at_k(10**6, 1, 10**6 - 1)) == pytest.approx(1 - 1e-6, rel=1e-14)


@given(st.integers(1, 400), st.data())
@FEW
def test_pass_at_k_rises_with_k_and_with_c(n, data):
    c = data.draw(st.integers(0, n - 1))
    k = np.arange(1, n + 1)
    fewer, more = pass_at_k(n, c, k), pass_at_k(n, c + 1, k)
    assert (np.diff(fewer) >= 0).all()
    assert (fewer <= more).all()
    assert ((fewer >= 0) & (more <= 1)).all()


def test_pass_at_k_at_the_ends():
    n, k = 50, np.arange(1, 51)
    assert (pass_at_k(n, 0, k) == 0).all()
    assert (pass_at_k(n, n, k) == 1).all()
    assert (pass_at_k(n, np.arange(1, 51), n) == 1).all()
    np.testing.assert_allclose(pass_at_k(n, np.arange(51), 1), np.arange(51) / 50, rtol=1e-14)


def test_pass_at_k_is_exact_where_many_of_many_are_right():
    rng = np.random.default_rng(49)
    n = rng.integers(200, 3000, 200)
    c, k = (np.maximum(1, (n * 10 ** rng.uniform(-3, 0, 200)).astype(int)) for _ in range(2))
    rows = zip(n.tolist(), c.tolist(), k.tolist(), strict=True)
    exact = [float(1 - Fraction(math.comb(n - c, k), math.comb(n, k))) for n, c, k in rows]
    np.testing.assert_allclose(pass_at_k(n, c, k), exact, rtol=1e-12)


def test_pass_at_k_broadcasts():
    found = pass_at_k(np.array([[4], [9]]), np.array([[1], [2]]), np.array([1, 2, 4]))
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(exact_pass_at_k(9, 2, 4), rel=1e-14)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 2, 5), (4, 5, 2), (4, 2, 0), (4, -1, 2), (0, 0, 1)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(DataError):
        pass_at_k(n, c, k)


# Best of k


def enumerated_best_of_k(right, scores, k):
    """The mean over all subsets of the accuracy of the best-scored sample; tied samples share it."""
    found = []
    for subset in combinations(range(len(right)), k):
        best = max(scores[i] for i in subset)
        tied = [right[i] for i in subset if scores[i] == best]
        found.append(Fraction(sum(tied), len(tied)))
    return float(sum(found) / len(found))


SAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=7)


@given(SAMPLES)
@QUICK
def test_best_of_k_is_the_mean_over_all_subsets(samples):
    right, scores = zip(*samples, strict=True)
    k = np.arange(1, len(samples) + 1)
    found = best_of_k(np.array([right]), np.array([scores], dtype=float), k)[0]
    np.testing.assert_allclose(found, [enumerated_best_of_k(right, scores, i) for i in k], atol=1e-12)


@given(st.integers(1, 60), st.integers(0, 10**6))
@FEW
def test_best_of_k_with_a_perfect_verifier_is_pass_at_k(n, seed):
    right = np.random.default_rng(seed).random((3, n)) < 0.3
    k = np.arange(1, n + 1)
    exact = pass_at_k(n, right.sum(axis=1)[:, None], k)
    np.testing.assert_allclose(best_of_k(right, right.astype(float), k), exact, atol=1e-12)


def test_best_of_k_is_the_mean_accuracy_when_all_scores_tie():
    right = np.random.default_rng(0).random((5, 40)) < 0.4
    found = best_of_k(right, np.full(right.shape, 0.7), np.array([1, 2, 39, 40]))
    np.testing.assert_allclose(found, np.broadcast_to(right.mean(axis=1)[:, None], (5, 4)), rtol=1e-12)


def test_best_of_k_of_all_samples_is_the_top_one():
    right, scores = np.array([[True, False, False]]), np.array([[0.1, 0.9, 0.5]])
    assert best_of_k(right, scores, np.array([1, 3])).tolist() == [[pytest.approx(1 / 3), 0.0]]


def test_best_of_k_takes_negative_scores():
    right = np.random.default_rng(1).random((2, 9)) < 0.5
    scores, k = np.random.default_rng(2).normal(size=(2, 9)), np.array([1, 4, 9])
    np.testing.assert_allclose(best_of_k(right, scores, k), best_of_k(right, scores - 10, k), rtol=1e-12)


def test_best_of_k_stays_exact_for_ten_thousand_samples():
    right = np.random.default_rng(3).random((2, 10_000)) < 0.001
    k = np.array([1, 1024, 10_000])
    found = best_of_k(right, right.astype(float), k)
    np.testing.assert_allclose(found, pass_at_k(10_000, right.sum(axis=1)[:, None], k), rtol=1e-9)


# Votes

VOTES = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 4)), min_size=1, max_size=7)


def enumerated_vote_at_k(answers, votes, k):
    """The mean over all subsets of how often the answer with most votes is 0, the right one."""
    found = []
    for subset in combinations(range(len(answers)), k):
        tally = Counter()
        for i in subset:
            if answers[i] >= 0:
                tally[answers[i]] += votes[i]
        first = [answer for answer, cast in tally.items() if cast == max(tally.values())]
        found.append(Fraction(first.count(0), max(len(first), 1)))
    return float(sum(found) / len(found))


def votes_of(answers, votes, k, *, rows=1, draws=None, seed=0):
    answers = np.tile(np.asarray(answers, dtype=np.int64), (rows, 1))
    votes = np.tile(np.asarray(votes, dtype=np.float64), (rows, 1))
    return vote_at_k(answers, answers == 0, votes, np.asarray(k), draws=draws, seed=seed)


@given(VOTES)
@QUICK
def test_votes_of_few_samples_are_exactly_the_mean_over_all_subsets(samples):
    answers, votes = zip(*samples, strict=True)
    k = np.arange(1, len(samples) + 1)
    values, noise = votes_of(answers, votes, k)
    np.testing.assert_allclose(values[0], [enumerated_vote_at_k(answers, votes, i) for i in k], atol=1e-12)
    assert (noise == 0).all()


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 4)), min_size=6, max_size=9))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_votes_of_random_subsets_are_the_mean_over_all_within_their_reported_error(samples):
    answers, votes = zip(*samples, strict=True)
    k = np.arange(3, len(samples) - 1)
    values, noise = votes_of(answers, votes, k, rows=300, draws=2)
    exact = np.array([enumerated_vote_at_k(answers, votes, i) for i in k])
    assert (np.abs(values.mean(axis=0) - exact) <= 5 * np.sqrt(noise.sum(axis=0)) / 300 + 1e-12).all()


@given(VOTES)
@QUICK
def test_votes_of_one_sample_of_two_and_of_all_are_exact_however_few_the_draws(samples):
    answers, votes = zip(*samples, strict=True)
    k = [1, min(2, len(samples)), len(samples)]
    values, noise = votes_of(answers, votes, k, draws=2)
    assert (noise == 0).all()
    np.testing.assert_allclose(values[0], [enumerated_vote_at_k(answers, votes, i) for i in k], atol=1e-12)


def test_two_of_many_votes_are_exact():
    rng = np.random.default_rng(3)
    answers, votes = rng.integers(-1, 5, 60), rng.integers(0, 4, 60)
    values, noise = votes_of(answers, votes, [2], draws=2)
    assert values[0, 0] == pytest.approx(enumerated_vote_at_k(answers.tolist(), votes.tolist(), 2), rel=1e-12)
    assert noise[0, 0] == 0


def test_the_noise_of_votes_is_the_variance_that_seeds_show():
    """Of one row, whose orders share their shuffles, and of the mean over rows of the same and other answers."""
    rng = np.random.default_rng(4)
    answers, votes = rng.integers(-1, 4, (8, 30)), rng.random((8, 30))
    answers[4:], votes[4:] = answers[:4], votes[:4]
    found = [
        vote_at_k(answers, answers == 0, votes, np.array([5, 9]), draws=12, seed=seed) for seed in range(1500)
    ]
    values, noise = (np.array(part) for part in zip(*found, strict=True))
    np.testing.assert_allclose(noise.mean(axis=0), values.var(axis=0, ddof=1), rtol=0.2)
    of_mean = noise.sum(axis=1).mean(axis=0) / 8**2
    np.testing.assert_allclose(of_mean, values.mean(axis=1).var(axis=0, ddof=1), rtol=0.15)


def test_random_subsets_agree_with_all_of_them():
    rng = np.random.default_rng(5)
    answers, votes = rng.integers(-1, 3, 16), rng.random(16)
    (exact, none), (drawn, noise) = (votes_of(answers, votes, [6], rows=50, draws=d) for d in (8008, 64))
    assert (none == 0).all()
    assert abs(drawn.mean() - exact[0, 0]) < 4 * np.sqrt(noise.sum()) / 50


def test_unparsed_answers_never_vote():
    values, _ = votes_of([-1, -1, -1, 0], [1, 1, 1, 1], [1, 4])
    assert values.tolist() == [[0.25, 1.0]]
    values, _ = votes_of([-1, -1], [1, 1], [1, 2])
    assert values.tolist() == [[0.0, 0.0]]


def test_answers_without_a_vote_win_only_where_there_are_no_others():
    assert votes_of([0, 1, -1], [0, 0, 9], [3])[0].tolist() == [[0.5]]
    assert votes_of([0, 0, 1], [0, 0, 1], [3])[0].tolist() == [[0.0]]


def test_tied_answers_share_the_vote():
    values, _ = votes_of([0, 1, 2, 0, 1], [1, 1, 1, 1, 1], [5])
    assert values.tolist() == [[0.5]]


def test_a_heavy_vote_outweighs_two_light_ones():
    assert votes_of([0, 1, 1], [5, 1, 1], [3])[0].tolist() == [[1.0]]
    assert votes_of([0, 1, 1], [1, 1, 1], [3])[0].tolist() == [[0.0]]


def test_votes_tie_whatever_the_order_in_which_floats_were_added():
    values, _ = votes_of([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.6], [4])
    assert values.tolist() == [[0.5]]


def test_the_same_seed_gives_the_same_votes():
    answers, k = np.random.default_rng(4).integers(-1, 3, 30), [5, 9]
    first, again, other = (votes_of(answers, np.ones(30), k, draws=20, seed=seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_budgets_may_come_in_any_order_and_twice():
    answers = np.random.default_rng(5).integers(-1, 3, 12)
    values, noise = votes_of(answers, np.ones(12), [7, 1, 12, 3, 7], draws=9)
    ordered, _ = votes_of(answers, np.ones(12), [1, 3, 7, 12], draws=9)
    assert values[0, [1, 3, 0, 2]].tolist() == ordered[0].tolist()
    assert values[0, 0] == values[0, 4]
    assert noise[0, 0] == noise[0, 4] > 0


def test_more_draws_shrink_the_noise():
    answers = np.random.default_rng(6).integers(0, 3, 50)
    noise = [votes_of(answers, np.ones(50), [5], rows=40, draws=draws)[1].mean() for draws in (80, 2000)]
    assert noise[0] / noise[1] == pytest.approx(25, rel=0.4)


def test_fewer_than_two_draws_know_no_error():
    with pytest.raises(DataError, match="2 or more"):
        votes_of([0, 1, 1], [1, 1, 1], [1], draws=1)


def test_pairs_of_the_large_model_of_the_first_study_weigh_0_7730():
    """Over all pairs by hand; 64 random orders printed 0.7661."""
    run = scored_by(read_run(Path(__file__).parent / "data" / "first-study"), "prm", model="prm")
    values, noise = accuracy(pool_from_run(run, "large"), "weighted", [2])
    assert values.mean() == pytest.approx(0.7730416666666661, rel=1e-9)
    assert (noise == 0).all()


# Chains of revisions


def enumerated_chains(chains, k, choose):
    """The mean over all subsets of k chains, each a list of (answer, right, score), of what ``choose`` gets."""
    found = [choose(subset) for subset in combinations(chains, k)]
    return float(sum(found) / len(found))


def top(tally):
    return [answer for answer, cast in tally.items() if cast >= max(tally.values()) * (1 - 1e-12)]


def by_hand(chains):
    """PAPER section 3: best-of-N weighted within each chain, then across the chains."""
    across = Counter()
    for chain in chains:
        total, best = Counter(), {}
        for answer, score in chain:
            if answer >= 0:
                total[answer] += score
                best[answer] = max(best.get(answer, 0), score)
        named = top(total) if total else []
        for answer in named:
            across[answer] += best[answer] / len(named)
    first = top(across) if across else []
    return first.count(0) / max(len(first), 1)


def flat(chains):
    tally = Counter()
    for answer, _ in (sample for chain in chains for sample in chain):
        if answer >= 0:
            tally[answer] += 1
    return top(tally).count(0) / len(top(tally)) if tally else 0.0


def chained_pool(problems):
    """A pool of chains of (answer, score), of which answer 0 is right; chains interleave as they were sampled."""
    longest = max(sum(map(len, chains)) for chains in problems)
    answers, chain = (np.full((len(problems), longest), -1) for _ in range(2))
    scores = np.full(answers.shape, np.nan)
    for i, chains in enumerate(problems):
        steps = [(at, j, *sample) for j, one in enumerate(chains) for at, sample in enumerate(one)]
        for place, (_, j, answer, score) in enumerate(sorted(steps, key=lambda step: step[:2])):
            answers[i, place], scores[i, place], chain[i, place] = answer, score, j
    n = np.array([sum(map(len, chains)) for chains in problems])
    right = answers == 0
    names = tuple(f"p{i}" for i in range(len(problems)))
    return Pool("m", names, n, right.sum(axis=1), Graded(right, answers, scores, chain))


SAMPLE = st.tuples(st.integers(-1, 2), st.integers(0, 3))
CHAINED = st.lists(st.lists(SAMPLE, min_size=1, max_size=4), min_size=2, max_size=4)


@given(st.lists(CHAINED, min_size=1, max_size=3))
@FEW
def test_chains_are_chosen_among_at_every_number_of_chains(problems):
    pool = chained_pool(problems)
    k = list(range(1, min(map(len, problems)) + 1))
    expected = {"hierarchical": by_hand, "majority": flat, "coverage": lambda chains: any(
        answer == 0 for chain in chains for answer, _ in chain)}  # fmt: skip
    for selector, choose in expected.items():
        values, noise = accuracy(pool, selector, k)
        exact = [[enumerated_chains(chains, i, choose) for i in k] for chains in problems]
        np.testing.assert_allclose(values, exact, atol=1e-12, err_msg=selector)
        assert (noise == 0).all()
        every, _ = accuracy(pool, selector, None)
        np.testing.assert_allclose(every[:, 0], [choose(chains) for chains in problems], atol=1e-12)


def test_the_best_of_chains_is_their_best_revision():
    pool = chained_pool([[[(1, 0.2), (0, 0.9)], [(1, 0.5)]], [[(0, 0.1)], [(1, 0.3), (0, 0.2)]]])
    values, _ = accuracy(pool, "best-of-n", [1, 2])
    assert values.tolist() == [[0.5, 1.0], [0.5, 0.0]]


def test_budgets_of_chains_count_chains():
    pool = chained_pool([[[(0, 1.0)] * 4, [(1, 1.0)] * 2], [[(0, 1.0)], [(0, 1.0)], [(0, 1.0)]]])
    assert pool.sizes.tolist() == [2, 3]
    with pytest.raises(DataError, match="from 1 to n = 2"):
        accuracy(pool, "majority", [3])


def test_chains_of_one_are_independent_samples_under_every_selector():
    rng = np.random.default_rng(30)
    answers, scores = rng.integers(-1, 3, (6, 9)), rng.random((6, 9))
    alone = graded_pool(answers == 0, answers, scores)
    chained = chained_pool(
        [[[(a, s)] for a, s in zip(*row, strict=True)] for row in zip(answers, scores, strict=True)]
    )
    for selector in SELECTORS:
        found = [accuracy(pool, selector, [1, 2, 4, 9])[0] for pool in (alone, chained)]
        np.testing.assert_allclose(*found, atol=1e-12, err_msg=selector)


def test_a_run_of_chains_knows_them(tmp_path):
    found = [
        solution("right", "a", [0.5]),
        solution("wrong", "b", [0.1]),
        solution("error"),
        solution("wrong", "b", [0.3]),
    ]
    found = [replace(each, sample=i, chain=i // 2) for i, each in enumerate(found)]
    run = recorded(tmp_path, {"p": found}, strategy="revisions")
    pool = pool_from_run(run, "m", strategy="revisions", chained=True)
    assert pool.graded.chains.tolist() == [[0, 0, 1, 1]]
    assert pool.sizes.tolist() == [2]
    assert pool_from_run(run, "m", strategy="revisions").sizes.tolist() == [4]


# Accuracy of a pool


def ragged(selector):
    """Four problems of unlike n (no two alike), padded on the right with samples that must not count."""
    rng, n = np.random.default_rng(7), np.array([5, 8, 12, 20])
    padding = np.arange(20) >= n[:, None]
    answers = rng.integers(-1, 3, (4, 20))
    right = (answers == 0) | padding
    scores = np.where(padding, np.nan, rng.random((4, 20)))
    return graded_pool(right, answers, None if selector == "majority" else scores, n)


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_ragged_pool_gives_each_problem_what_it_gives_alone(selector):
    pool, k = ragged(selector), [1, 2, 5]
    together, _ = accuracy(pool, selector, k)
    for i, n in enumerate(pool.n):
        part = pool.graded.rows(np.array([i]), int(n))
        alone, _ = accuracy(graded_pool(part.right, part.answers, part.scores), selector, k)
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-12)


def test_one_sample_is_as_good_under_every_selector():
    right = np.random.default_rng(8).random((6, 10)) < 0.5
    pool = graded_pool(right, scores=np.random.default_rng(9).random((6, 10)) + 0.1)
    for selector in SELECTORS:
        found, error = accuracy(pool, selector, [1])
        np.testing.assert_allclose(found[:, 0], right.mean(axis=1), rtol=1e-12)
        assert (error == 0).all()


def test_only_votes_carry_noise():
    rng = np.random.default_rng(10)
    pool = graded_pool(rng.random((6, 10)) < 0.5, scores=rng.random((6, 10)))
    noise = {selector: accuracy(pool, selector, [4], draws=8)[1].sum() for selector in SELECTORS}
    assert noise["coverage"] == noise["best-of-n"] == 0
    assert noise["majority"] > 0
    assert noise["weighted"] > 0


def test_the_noise_of_a_ragged_pool_gives_that_of_its_mean():
    rng, n = np.random.default_rng(11), np.repeat([9, 15], 10)
    answers = rng.integers(0, 3, (20, 15))
    pool = graded_pool(answers == 0, answers, n=n)
    found = [accuracy(pool, "majority", [5], draws=8, seed=seed) for seed in range(300)]
    means = [values.mean() for values, _ in found]
    errors = [np.sqrt(noise.sum()) / 20 for _, noise in found]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means, ddof=1), rel=0.15)


@pytest.mark.parametrize("k", [[6], [0], [-1], [1, 99], [], [1.5], [[1]]])
def test_budgets_outside_the_samples_are_refused(k):
    with pytest.raises(DataError):
        accuracy(ragged("coverage"), "coverage", k)


def test_a_budget_above_n_is_refused_in_one_line_that_names_the_model_and_n():
    with pytest.raises(DataError) as refusal:
        accuracy(ragged("coverage"), "coverage", [6])
    assert "\n" not in str(refusal.value)
    assert "k = 6 of model m" in str(refusal.value)
    assert "n = 5" in str(refusal.value)


@pytest.mark.parametrize("selector", ["majority", "best-of-n", "weighted"])
def test_counts_know_only_coverage(selector):
    pool = Pool("m", ("a",), np.array([4]), np.array([2]))
    with pytest.raises(DataError, match="counts hold no answers or scores"):
        accuracy(pool, selector, [1])


@pytest.mark.parametrize("selector", ["best-of-n", "weighted"])
def test_a_missing_score_is_refused(selector):
    pool = graded_pool([[True, False]], scores=[[0.5, np.nan]])
    with pytest.raises(DataError, match="1 samples of m have no score"):
        accuracy(pool, selector, [1])
    assert accuracy(pool, "majority", [1])[0].tolist() == [[0.5]]


def test_negative_weights_are_refused_but_rank():
    pool = graded_pool([[True, False]], scores=[[0.5, -0.1]])
    with pytest.raises(DataError, match="negative scores"):
        accuracy(pool, "weighted", [1])
    assert accuracy(pool, "best-of-n", [2])[0].tolist() == [[1.0]]


def test_an_unknown_selector_is_refused():
    with pytest.raises(DataError, match="coverage, majority, best-of-n, weighted"):
        accuracy(graded_pool([[True]]), "oracle", [1])


# Samples without answers


def test_votes_of_samples_without_answers_are_refused_in_three_parts():
    right = np.random.default_rng(31).random((60, 16)) < 0.5
    pool = graded_pool(right, np.full(right.shape, -1), np.ones(right.shape))
    for selector in ("majority", "weighted", "hierarchical"):
        with pytest.raises(DataError, match="votes need answers; 0 of 960 samples have one") as refusal:
            accuracy(pool, selector, [4])
        assert len(refusal.value.args) == 3
    for selector in ("coverage", "best-of-n"):
        assert accuracy(pool, selector, [4])[0].mean() > 0.4


def test_a_run_graded_without_answers_cannot_vote(tmp_path):
    run = recorded(tmp_path, {"a": [solution("right", None)] * 2, "b": [solution("wrong", None)] * 2})
    with pytest.raises(DataError, match="0 of 4 samples have one"):
        accuracy(pool_from_run(run, "m"), "majority", [1])


def test_a_problem_whose_every_sample_is_unparsed_is_no_missing_answer():
    pool = graded_pool([[True, True], [False, False]], [[0, 0], [-1, -1]])
    assert accuracy(pool, "majority", [1, 2])[0].tolist() == [[1, 1], [0, 0]]


# The registry


def test_a_selector_from_outside_is_a_record_like_any_other(monkeypatch):
    def first(pool, budgets, **_):
        values = np.repeat(pool.graded.right[:, :1].astype(float), budgets.shape[1], axis=1)
        return values, np.zeros(values.shape)

    monkeypatch.setitem(SELECTORS, "first", Selector("first", first, "the first answer", needs_answers=True))
    assert accuracy(graded_pool([[True, False], [False, True]]), "first", [1, 2])[0].tolist() == [[1, 1], [0, 0]]
    with pytest.raises(DataError, match="counts hold no answers"):
        accuracy(Pool("m", ("a",), np.array([4]), np.array([2])), "first", [1])


def test_every_selector_says_what_it_needs_and_among_which_samples_it_chooses():
    assert {name: (s.needs_answers, s.needs_verifier) for name, s in SELECTORS.items()} == {
        "coverage": (False, False),
        "majority": (True, False),
        "best-of-n": (False, True),
        "weighted": (True, True),
        "hierarchical": (True, True),
        "recorded": (False, False),
    }
    assert all(name == s.name and s.text for name, s in SELECTORS.items())
    assert SELECTORS["coverage"].kinds == ()
    assert SELECTORS["weighted"].kinds == (INDEPENDENT, FINALS, CHAINS)


# Pools


def test_a_pool_from_counts_is_sorted_by_problem():
    counts = pd.DataFrame({"model": "m", "problem": ["b", "a"], "n": [4, 5], "correct": [1, 2]})
    pool = pool_from_counts(counts, "m")
    assert pool.problems == ("a", "b")
    assert pool.n.tolist() == [5, 4]
    assert pool.correct.tolist() == [2, 1]
    assert pool.graded is None


def test_the_pools_of_a_table_are_those_of_its_models():
    rng = np.random.default_rng(48)
    models, problems = np.repeat(["x", "y", "z"], 40), np.tile([f"p{i}" for i in range(40)], 3)
    counts = pd.DataFrame({"model": models, "problem": problems, "n": 9, "correct": rng.integers(0, 10, 120)})
    counts = counts.sample(frac=0.9, random_state=0)
    pools = pools_from_counts(counts)
    assert list(pools) == ["x", "y", "z"]
    for model, pool in pools.items():
        rows = counts[counts["model"] == model].sort_values("problem")
        assert pool.model == model
        assert pool.problems == tuple(rows["problem"])
        assert pool.correct.tolist() == rows["correct"].tolist()
        alone = pool_from_counts(counts, model)
        assert (alone.problems, alone.n.tolist()) == (pool.problems, pool.n.tolist())
    assert pools_from_counts(counts[:0]) == {}


def test_a_pool_of_an_unknown_model_names_the_known_ones():
    counts = pd.DataFrame({"model": ["x", "y"], "problem": "a", "n": 4, "correct": 1})
    with pytest.raises(DataError, match="one of x, y"):
        pool_from_counts(counts, "m")


@pytest.mark.parametrize("grade", ["unparsed", "refused", "error"])
def test_a_sample_stays_in_n_however_it_was_graded(tmp_path, grade):
    run = recorded(
        tmp_path, {"a": [solution("right"), solution(grade), solution("wrong", "b")], "b": [solution(grade)]}
    )
    pool = pool_from_run(run, "m")
    assert (pool.n.tolist(), pool.correct.tolist()) == ([3, 1], [1, 0])
    assert (pool.graded.answers[0, 1], pool.graded.answers[1, 0]) == (-1, -1)


def test_an_unparsed_answer_is_wrong_but_does_not_vote(tmp_path):
    found = [solution("right", "a"), solution("unparsed", "b"), solution("unparsed", None)]
    pool = pool_from_run(recorded(tmp_path, {"a": found}), "m")
    assert pool.n.tolist() == [3]
    assert pool.graded.answers.tolist() == [[0, -1, -1]]
    assert accuracy(pool, "coverage", [1])[0].tolist() == [[pytest.approx(1 / 3)]]
    assert accuracy(pool, "majority", [3])[0].tolist() == [[1.0]]


def test_equal_answers_share_a_code_within_a_problem(tmp_path):
    found = [solution("wrong", "7"), solution("right", "8"), solution("wrong", "7")]
    pool = pool_from_run(recorded(tmp_path, {"a": found, "b": [solution("right", "8")]}), "m")
    assert pool.graded.answers.tolist() == [[0, 1, 0], [0, -1, -1]]
    assert pool.graded.right.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize(("aggregate", "score"), [("last", 0.5), ("min", 0.2), ("product", 0.08)])
def test_a_solution_aggregates_its_step_scores(tmp_path, aggregate, score):
    run = recorded(tmp_path, {"a": [solution("right", "a", [0.8, 0.2, 0.5]), solution("wrong", "b")]})
    scores = pool_from_run(run, "m", aggregate=aggregate).graded.scores[0]
    assert scores[0] == pytest.approx(score)
    assert np.isnan(scores[1])


def test_an_unknown_aggregate_is_refused(tmp_path):
    run = recorded(tmp_path, {"a": [solution("right")]})
    with pytest.raises(DataError, match=", ".join(AGGREGATES)):
        pool_from_run(run, "m", aggregate="mean")


def test_problems_of_several_tasks_keep_apart(tmp_path):
    recorded(tmp_path, {"a": [solution("right")]}, task="one")
    run = recorded(tmp_path, {"a": [solution("wrong")]}, task="two")
    pool = pool_from_run(run, "m")
    assert pool.problems == ("one/a", "two/a")
    assert pool.correct.tolist() == [1, 0]


def test_a_pool_holds_one_model_and_one_strategy(tmp_path):
    recorded(tmp_path, {"a": [solution("wrong")]}, strategy="greedy")
    recorded(tmp_path, {"a": [solution("wrong")]}, model="other")
    run = recorded(tmp_path, {"a": [solution("right")] * 3})
    assert pool_from_run(run, "m").n.tolist() == [3]
    assert pool_from_run(run, "m", strategy="greedy").n.tolist() == [1]
    with pytest.raises(DataError, match="m / greedy, m / parallel, other / parallel"):
        pool_from_run(run, "m", strategy="beam")


def test_units_of_one_problem_are_pooled(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        for seed in range(3):
            unit = Unit("r", "t", "a", "policy", "m", "parallel", seed=seed)
            store.append(unit, [], [solution("right" if seed else "wrong")])
        pool = pool_from_run(store.read(), "m")
    assert (pool.n.tolist(), pool.correct.tolist()) == ([3], [2])


# Intervals


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(12), 0
    for repeat in range(300):
        p = rng.beta(0.5, 1.5, 30)
        low, high = interval(rng.binomial(8, p) / 8, draws=400, seed=repeat)
        covered += low <= 0.25 <= high
    assert 0.91 <= covered / 300 <= 0.98


def test_an_interval_of_ten_problems_is_wider_than_plain_percentiles():
    values = np.random.default_rng(13).random(10)
    low, high = interval(values, draws=5000)
    picks = np.random.default_rng(14).integers(0, 10, (5000, 10))
    plain = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    assert high - low > 1.1 * (plain[1] - plain[0])
    assert high - low < 1.4 * (plain[1] - plain[0])


def test_an_interval_of_many_problems_is_the_normal_one():
    values = np.random.default_rng(15).random(600)
    low, high = interval(values, draws=4000)
    assert high - low == pytest.approx(2 * 1.96 * stats.sem(values), rel=0.05)


def test_a_higher_level_is_wider():
    values = np.random.default_rng(16).random(20)
    low, high = interval(values, level=0.8)
    lower, higher = interval(values, level=0.99)
    assert lower < low < values.mean() < high < higher


def test_differences_are_paired():
    values = np.random.default_rng(17).random((12, 3))
    assert np.array(interval(values - values)).tolist() == [[0] * 3, [0] * 3]
    together, shifted = interval(values), interval(values + 1)
    np.testing.assert_allclose(shifted, np.array(together) + 1, rtol=1e-12)


def test_an_interval_keeps_the_shape_of_its_values():
    values = np.random.default_rng(18).random((7, 2, 3))
    low, high = interval(values)
    assert low.shape == high.shape == (2, 3)
    assert interval(values[:, 1, 2])[0] == low[1, 2]


def test_an_interval_is_seeded():
    values = np.random.default_rng(19).random(9)
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)


def test_one_problem_has_no_interval():
    with pytest.raises(DataError, match="2 problems or more"):
        interval(np.array([0.5]))
    with pytest.raises(DataError, match="2 problems or more"):
        ratio_interval(np.ones((1, 2)), np.ones((1, 2)))


def test_a_ratio_interval_is_that_of_resampled_ratios():
    rng = np.random.default_rng(20)
    above, below = rng.random((500, 1)), rng.random((500, 1)) + 0.5
    low, high = ratio_interval(above, below, draws=3000)
    picks = rng.integers(0, 500, (3000, 500))
    ends = np.quantile(above[picks].mean(axis=1) / below[picks].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose([low[0], high[0]], ends, rtol=0.01)


def test_a_ratio_interval_is_paired_and_infinite_over_nothing():
    values = np.random.default_rng(21).random((8, 2)) + 0.1
    assert np.array(ratio_interval(values, values)).tolist() == [[1, 1], [1, 1]]
    low, high = ratio_interval(values, np.zeros((8, 2)))
    assert np.isinf(low).all()
    assert np.isinf(high).all()


def test_the_interval_agrees_with_a_cluster_robust_regression():
    rng = np.random.default_rng(22)
    right = rng.random((120, 16)) < rng.beta(0.7, 1.0, 120)[:, None]
    problem = np.repeat(np.arange(120), 16)
    model = sm.OLS(right.ravel().astype(float), np.ones(right.size))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": problem}, use_t=True)
    low, high = interval(right.mean(axis=1), draws=8000)
    assert high - low == pytest.approx(float(np.diff(fit.conf_int()[0])[0]), rel=0.1)
    independent = model.fit().conf_int()[0]
    assert high - low > 2 * (independent[1] - independent[0])


VALUES = np.random.default_rng(40).random((30, 3))


def test_resamples_are_the_same_whatever_is_drawn_at_once(monkeypatch):
    whole, means = intervals._weights(30, 500, 7), resampled(VALUES, 500, 7)
    monkeypatch.setattr(intervals, "_KEPT", 0)
    for block in (1, 30, 97, 10**6):
        monkeypatch.setattr(intervals, "_BLOCK", block)
        intervals._drawn.cache_clear()
        assert (intervals._weights(30, 500, 7) == whole).all()
        np.testing.assert_allclose(resampled(VALUES, 500, 7), means, rtol=1e-13)


@pytest.mark.parametrize("problems", [30, 40_000])
def test_weights_are_the_resamples_of_every_user_of_a_seed(problems):
    values = np.random.default_rng(41).random((problems, 2))
    share = weights(problems, 50, 3)
    assert share.shape == (50, problems)
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(share @ values, resampled(values, 50, 3), rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        share[0, 0] = 1


def test_a_resample_draws_as_many_problems_as_there_are():
    times = weights(20, 4000, 1) * 20
    assert (times == times.round()).all()
    assert times.mean() == 1
    assert times.var() == pytest.approx(1 - 1 / 20, rel=0.02)
    assert np.corrcoef(times.T)[0, 1:].mean() == pytest.approx(-1 / 19, abs=0.01)


def test_resamples_of_very_many_problems_take_little_memory_and_are_as_wide_as_they_should_be():
    values = np.random.default_rng(42).random((200_000, 2))
    tracemalloc.start()
    low, high = interval(values)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 64e6
    np.testing.assert_allclose(high - low, 2 * 1.96 * stats.sem(values), rtol=0.05)
    assert np.array(interval(values - values)).tolist() == [[0, 0], [0, 0]]


def test_tails_are_those_of_scipy_stats():
    for problems in (2, 7, 400):
        widened = stats.t.ppf(0.025, problems - 1) * np.sqrt(problems / (problems - 1))
        np.testing.assert_allclose(tails(problems)[0], stats.norm.cdf(widened), rtol=1e-10)


def test_curves_do_not_import_scipy_stats():
    code = "import sys, scalinglab.curves; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Many rows at once


def null_rows(rng, problems, rows=12):
    """Differences whose truth is 0, (problems, rows): arms that share half their answers, against one answer."""
    ease = rng.beta(0.5, 1, problems)[:, None]
    shared, own = rng.random((problems, 1)) < ease, rng.random((problems, rows)) < ease
    small = np.where(rng.random((problems, rows)) < 0.5, shared, own)
    return small.astype(float) - (rng.random((problems, 1)) < ease)


def test_simultaneous_intervals_of_null_rows_are_all_right_as_often_as_they_say():
    rng, wrong = np.random.default_rng(43), np.zeros(2)
    for repeat in range(400):
        values = null_rows(rng, 100)
        draws, means = resampled(values, 1000, repeat), values.mean(axis=0)
        ends = (rule(draws, means, problems=100) for rule in (simultaneous, pointwise))
        wrong += [((low > 0) | (high < 0)).any() for low, high in ends]
    assert 0.015 <= wrong[0] / 400 <= 0.075
    assert wrong[1] / 400 > 0.15


def test_noise_of_its_own_in_each_row_counts_in_the_simultaneous_intervals():
    """Rows of one truth and the same problems differ by their own noise, so that one critical value is too few."""
    rng, wrong = np.random.default_rng(44), 0
    for repeat in range(400):
        values = np.repeat(rng.normal(0, 1, (400, 1)), 12, axis=1)
        point = values.mean(axis=0) + rng.normal(0, 0.2, 12)
        low, high = simultaneous(resampled(values, 500, repeat), point, problems=400, extra=0.2)
        wrong += ((low > 0) | (high < 0)).any()
    assert 0.02 <= wrong / 400 <= 0.085


@pytest.mark.parametrize("problems", [6, 60])
def test_simultaneous_intervals_hold_the_pointwise_ones(problems):
    values = np.random.default_rng(45).exponential(1, (problems, 9)) ** 2
    draws, means = resampled(values, 2000, 0), values.mean(axis=0)
    (low, high), (lower, higher) = (rule(draws, means, problems=problems) for rule in (pointwise, simultaneous))
    assert ((lower <= low) & (low < means) & (means < high) & (high <= higher)).all()


def test_of_one_row_both_are_the_same_but_for_the_lack_of_draws():
    values = np.random.default_rng(51).random((80, 1))
    draws, means = resampled(values, 4000, 0), values.mean(axis=0)
    widths = [np.subtract(*rule(draws, means, problems=80))[0] for rule in (pointwise, simultaneous)]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_a_pointwise_interval_is_that_of_its_resamples_where_there_is_no_doubt():
    values = np.random.default_rng(46).random((500, 2))
    low, high = pointwise(resampled(values, 4000, 0), values.mean(axis=0), problems=500, fewest=10**9)
    np.testing.assert_allclose([low, high], interval(values, draws=4000), atol=5e-4)


def test_rows_of_fewer_problems_are_wider_and_unmeasured_rows_stay_so():
    draws = np.random.default_rng(47).normal(0, 0.1, (2000, 3))
    draws[:, 2] = np.nan
    point = np.array([0.5, 0.5, np.nan])
    for rule in (pointwise, simultaneous):
        low, high = rule(draws, point, problems=[8, 500, 8])
        assert high[0] - low[0] > 1.15 * (high[1] - low[1])
        assert np.isnan([low[2], high[2]]).all()
        alone = rule(draws[:, :2], point[:2], problems=[8, 500])
        np.testing.assert_allclose(alone, [low[:2], high[:2]], rtol=1e-12)


def test_agreement_alone_never_gives_an_interval_of_no_width():
    draws, point = np.full((2000, 2), 1.0), np.ones(2)
    low, high = simultaneous(draws, point, problems=4)
    assert (high - low > 0.3).all()
    with pytest.raises(DataError, match="2 problems or more"):
        simultaneous(draws, point, problems=1)


def test_doubt_is_one_pseudo_problem_in_all_and_less_with_more_samples():
    assert doubt(198) == 1 / 200
    np.testing.assert_allclose(doubt([8, 98], [1, 4]), [1 / 10, 1 / 200])


# Costs


@pytest.mark.parametrize("name", ["paper", "small-pays", "paper-verifier"])
def test_free_prompts_leave_2n_a_generated_token(name):
    cost = spec_cost(SPEC, 100, 500, convention=CONVENTIONS[name])
    assert cost == QueryCost(0, 2 * SPEC.total * 500)


def test_kaplan_pays_the_prompt_once():
    cost = spec_cost(SPEC, 100, 500, convention=CONVENTIONS["kaplan"])
    each = 2 * SPEC.non_embedding
    assert cost == QueryCost(each * 100, each * 500)
    assert cost.at(64) == each * (100 + 64 * 500)


def test_exact_shares_the_prefill_and_exact_measured_repeats_it():
    shared, repeated = (CONVENTIONS[name] for name in ("exact", "exact-measured"))
    reading = flops.total(flops.prefill(SPEC, 100, convention=shared))
    writing = flops.total(flops.decode(SPEC, 100, 500, convention=shared))
    assert spec_cost(SPEC, 100, 500, convention=shared) == QueryCost(reading, writing)
    assert spec_cost(SPEC, 100, 500, convention=repeated) == QueryCost(0, reading + writing)


@given(PRESETS, st.integers(1, 50), st.integers(1, 50), st.integers(1, 9))
@FEW
def test_a_spec_cost_is_the_query_of_flops(convention, prompt, generated, samples):
    phases = flops.query(SPEC, prompt, generated, samples=samples, convention=convention)
    expected = sum(flops.total(phase) for phase in phases.values())
    assert spec_cost(SPEC, prompt, generated, convention=convention).at(samples) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["paper", "paper-verifier", "small-pays", "kaplan"])
def test_a_verifier_doubles_the_cost_under_2n(name):
    convention = CONVENTIONS[name]
    plain = spec_cost(SPEC, 100, 500, convention=convention)
    checked = spec_cost(SPEC, 100, 500, convention=convention, verified=True)
    assert checked == QueryCost(2 * plain.fixed, 2 * plain.per_sample)


def test_an_exact_verifier_reads_every_token_once():
    rule = CONVENTIONS["exact"]
    plain = spec_cost(SPEC, 100, 500, convention=rule)
    checked = spec_cost(SPEC, 100, 500, convention=rule, verified=True)
    reading = flops.cost(SPEC, 500, context=100, logits=1, convention=rule)
    assert checked.per_sample - plain.per_sample == pytest.approx(reading, rel=1e-12)
    assert plain.fixed < checked.fixed <= 2 * plain.fixed


def verified_run(path, *, samples=4):
    """Two queries of two lengths: each sample is one call of the model and one of its verifier."""
    with RunStore(path / "run.sqlite") as store:
        for problem, question in (("a", 60), ("b", 90)):
            calls = []
            for i in range(samples):
                written = 100 + 10 * i
                read = question + written
                calls.append(Call("policy", "m", question, written, question, sample=i, cached_tokens=0))
                calls.append(
                    Call("verifier", "judge", read, 0, question, scored_tokens=1, sample=i, cached_tokens=0)
                )
            unit = Unit("r", "t", problem, "policy", "m", "parallel", {"verifier": "judge"}, budget=samples)
            store.append(unit, calls, [solution("right", "a", [0.5])] * samples)
        greedy = Unit("r", "t", "a", "policy", "m", "greedy")
        store.append(greedy, [Call("policy", "m", 60, 999, 60, cached_tokens=0)], [solution("right")])
        return store.read()


def ways(run, rules, specs):
    """The ways of a run's model m, by selector and verifier."""
    judges = {"judge": "judge"} if "judge" in specs else {}
    evidence = Evidence("run", run, None, small="m", verifiers=judges, specs=specs)
    found = ways_of(evidence, rules, models=["m"])
    return {(way.selector, way.verifier): way for way in found if way.strategy == "parallel"}


@each_preset
def test_a_run_costs_what_its_ledger_charged(tmp_path, convention):
    run, specs = verified_run(tmp_path), {"m": SPEC, "judge": find("Pythia-70M")}
    spent = price(run, specs, convention=convention).entries.query("strategy == 'parallel'")
    found = {how: way.prices[0].flops(np.array([4])).sum() for how, way in ways(run, [convention], specs).items()}
    assert found["weighted", "judge"] == pytest.approx(spent["flops"].sum(), rel=1e-12)
    unverified = spent.loc[spent["phase"] != "verifier", "flops"].sum()
    assert found["majority", ""] == pytest.approx(unverified, rel=1e-12)


def test_only_a_shared_prefill_is_fixed(tmp_path):
    run, rules = verified_run(tmp_path), list(CONVENTIONS.values())
    way = ways(run, rules, {"m": SPEC, "judge": find("Pythia-70M")})["majority", ""]
    for convention, cost in zip(rules, way.prices, strict=True):
        reading = [flops.cost(SPEC, n, logits=1, convention=convention) for n in (60, 90)]
        assert cost.fixed.tolist() == pytest.approx(reading if convention.prompts == "once" else [0, 0], rel=1e-12)


@each_preset
def test_an_even_run_costs_what_its_token_counts_say(tmp_path, convention):
    calls = [Call("policy", "m", 60, 200, 60, sample=i, cached_tokens=0) for i in range(8)]
    solved = {name: [solution("right", "7")] * 8 for name in "ab"}
    measured = ways(recorded(tmp_path, solved, calls=calls), [convention], {"m": SPEC})["majority", ""].prices[0]
    counted = spec_cost(SPEC, 60, 200, convention=convention)
    assert measured.fixed.tolist() == pytest.approx([counted.fixed] * 2, rel=1e-12)
    assert measured.each.tolist() == pytest.approx([counted.per_sample] * 2, rel=1e-12)


def test_a_model_that_never_ran_has_no_ways(tmp_path):
    evidence = Evidence("run", verified_run(tmp_path), None, verifiers={"judge": "judge"})
    with pytest.raises(DataError, match="no samples of model 'other'; expected one of m"):
        ways_of(evidence, [], models=["other"])


def test_single_answers_need_no_text_and_votes_do(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        for problem, grade in (("a", "right"), ("b", "wrong")):
            for strategy, count in (("greedy", 1), ("parallel", 3)):
                unit = Unit("r", "t", problem, "policy", "m", strategy, budget=count)
                store.append(unit, [], [Solution("", None, grade, sample=i) for i in range(count)])
        evidence = Evidence("run", store.read(), None)
    found = {(way.strategy, way.selector): way for way in ways_of(evidence, [], models=["m"])}
    assert set(found) == {("greedy", "majority"), ("parallel", "coverage")}
    once = found["greedy", "majority"].reader
    assert once.at(np.array([1]), np.arange(2))[0].tolist() == [[1], [0]]


# Published data


@pytest.fixture(scope="module")
def pythia(shared_data):
    counts = read_counts(shared_data("pythia_math") / "counts.csv")
    return {size: pool_from_counts(counts, f"Pythia {size}") for size in PYTHIA}


def mean_coverage(pool, k):
    return accuracy(pool, "coverage", k)[0].mean(axis=0)


@pytest.mark.parametrize(
    ("size", "percent"),
    [
        ("70M", [0.0647, 0.5974, 3.6101, 12.4136, 26.5625]),
        ("160M", [0.2673, 2.5089, 16.1908, 41.016, 57.0312]),
        ("410M", [0.6219, 5.1716, 22.7182, 48.1804, 65.625]),
        ("1B", [0.8334, 6.6464, 27.4516, 54.6192, 74.2188]),
        ("2.8B", [2.0312, 13.4751, 42.2042, 67.7789, 81.25]),
        ("6.9B", [1.856, 13.1402, 43.1649, 68.7733, 83.5938]),
        ("12B", [2.3191, 15.6819, 48.3429, 72.3253, 87.5]),
    ],
)
def test_pythia_coverage_is_the_published_one(pythia, size, percent):
    found = 100 * mean_coverage(pythia[size], [1, 10, 100, 1000, 10_000])
    np.testing.assert_allclose(found, percent, rtol=0, atol=5.01e-5)


@pytest.mark.parametrize(("large_k", "small_k"), [(1, 3), (10, 35), (100, 544), (1000, 8123)])
def test_pythia_1b_needs_the_published_samples_to_match_the_12b(pythia, large_k, small_k):
    target = mean_coverage(pythia["12B"], [large_k])[0]
    before, reached = mean_coverage(pythia["1B"], [small_k - 1, small_k])
    assert before < target <= reached


def test_pythia_never_solves_the_published_number_of_problems(pythia):
    unsolved = [int((pythia[size].correct == 0).sum()) for size in PYTHIA]
    assert unsolved == [94, 55, 44, 33, 24, 21, 16]


@pytest.fixture(scope="module")
def crucible(shared_data, tmp_path_factory):
    """GSM8K by others: 20 problems, 8 samples each with a PRM score, through the run store."""
    path = shared_data("crucible") / "gsm8k-bestofn.json"
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    with RunStore(tmp_path_factory.mktemp("crucible") / "run.sqlite") as store:
        for record in records:
            unit = Unit("crucible", "gsm8k", record["problem_id"], "policy", "qwen", "parallel", budget=8)
            traces = record["traces"]
            found = [
                Solution(t["text"], None, "right" if t["correct"] else "wrong", [t["prm_score"]]) for t in traces
            ]
            calls = [
                Call("policy", "qwen", 50, t["tokens"], 50, sample=i, cached_tokens=0)
                for i, t in enumerate(traces)
            ]
            store.append(unit, calls, found)
        return pool_from_run(store.read(), "qwen")


def test_crucible_gives_unbiased_curves_that_end_at_the_published_ones(crucible):
    k = [1, 2, 4, 8]
    coverage, best = (accuracy(crucible, s, k)[0].mean(axis=0) for s in ("coverage", "best-of-n"))
    assert coverage[-1] == pytest.approx(18 / 20)
    assert best[-1] == pytest.approx(12 / 20)
    assert coverage[0] == pytest.approx(best[0])
    assert (np.diff(coverage) > 0).all()
    assert (best <= coverage + 1e-12).all()
