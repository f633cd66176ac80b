import itertools
import random
import re
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.errors import DataError
from scalinglab.tasks import (
    SPLITS,
    Level,
    Problem,
    extract,
    grade,
    marred,
    problems,
    slipped,
    solution,
    split_of,
    split_steps,
    step_is_right,
)

LEVELS = [Level(1, 1), Level(2, 3), Level(3, 2)]
EXAMPLE = Problem("43+58*3?", "75", Level(2, 2))
ANY = st.builds(
    lambda split, width, steps, seed: next(problems(split, [Level(width, steps)], seed=seed)),
    st.sampled_from(list(SPLITS)),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 10**6),
)


def number(digits):
    return int(digits[::-1])


def test_the_example_of_the_module_is_right():
    assert (34 + 85) % 100 == 19
    assert solution(EXAMPLE) == "43+58=91;91*3=75;"
    assert number("75") == (19 * 3) % 100


@given(ANY)
def test_every_step_of_a_solution_is_right_arithmetic(problem):
    modulus, value = 10**problem.level.width, None
    steps = split_steps(solution(problem))
    assert len(steps) == problem.level.steps
    for step in steps:
        left, result = step[:-1].split("=")
        sign = next(sign for sign in "+-*" if sign in left)
        a, b = (number(part) for part in left.split(sign))
        assert value in (None, a)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign] % modulus
        assert value == number(result)
    assert value == number(problem.answer)


@given(ANY)
def test_the_right_solution_is_graded_right_and_each_of_its_steps_too(problem):
    text = solution(problem)
    assert grade(problem, text) == "right"
    assert extract(text) == problem.answer
    assert all(step_is_right(problem, split_steps(text), i) for i in range(problem.level.steps))


@given(ANY, st.integers(1, 9))
def test_another_last_result_is_wrong_and_so_is_its_step(problem, shift):
    text = solution(problem)
    other = text[:-2] + str((int(text[-2]) + shift) % 10) + ";"
    assert grade(problem, other) == "wrong"
    assert not step_is_right(problem, split_steps(other), problem.level.steps - 1)


@pytest.mark.parametrize("text", ["", "43+58=91", "43+58;", ";", "nonsense;", "43+58=;", "a=b;"])
def test_a_solution_without_a_last_step_is_unparsed(text):
    assert grade(EXAMPLE, text) == "unparsed"


def test_a_cut_off_tail_does_not_hide_the_answer_before_it():
    assert grade(EXAMPLE, "43+58=91;91*3=75;33+") == "right"


def test_a_later_step_cannot_be_right_after_a_wrong_one():
    steps = ["43+58=81;", "91*3=75;"]
    assert [step_is_right(EXAMPLE, steps, i) for i in (0, 1)] == [False, False]


@given(ANY)
def test_a_problem_lies_in_its_split_alone(problem):
    assert sum(split_of(problem.question) == split for split in SPLITS) == 1


def test_the_splits_share_no_problem_and_hold_their_shares():
    drawn = {split: {p.question for p in islice(problems(split, LEVELS), 500)} for split in SPLITS}
    assert all(split_of(question) == split for split in SPLITS for question in drawn[split])
    assert sum(len(share) for share in SPLITS.values()) == 100
    assert not set.intersection(*map(set, SPLITS.values()))


def test_a_stream_is_seeded_and_another_seed_is_another_stream():
    first, again, other = (list(islice(problems("test", LEVELS, seed=s), 50)) for s in (3, 3, 4))
    assert first == again != other


def test_levels_are_drawn_evenly():
    drawn = [problem.level for problem in islice(problems("train", LEVELS), 3000)]
    assert all(900 < drawn.count(level) < 1100 for level in LEVELS)


@pytest.mark.parametrize("bad", [("else", LEVELS), ("train", [])])
def test_an_unknown_split_and_no_level_are_refused(bad):
    with pytest.raises(DataError, match="split"):
        next(problems(*bad))


@pytest.mark.parametrize("level", [(0, 1), (2, 0), (-1, 3)])
def test_a_level_of_nothing_is_refused(level):
    with pytest.raises(DataError, match="1 or more"):
        Level(*level)


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4))
def test_a_slip_is_one_wrong_digit_from_which_the_rest_follows(seed, width, steps):
    problem = next(problems("train", [Level(width, steps)], seed=seed))
    right, found = split_steps(solution(problem)), split_steps(slipped(problem, random.Random(seed)))
    first = next(i for i, (a, b) in enumerate(zip(found, right, strict=True)) if a != b)
    assert sum(a != b for a, b in zip(found[first], right[first], strict=True)) == 1
    for i in range(first + 1, steps):
        start, value = found[i].partition("=")[0], found[i - 1].partition("=")[2][:-1]
        assert start.startswith(value)
        assert found[i] == solution(Problem(start + "?", "", Level(width, 1)))


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_what_belongs_in_a_marred_solution_follows_from_what_is_written_before_it(seed, width, steps, rate):
    problem = next(problems("train", [Level(width, steps)], seed=seed))
    written, belongs = marred(problem, rate, random.Random(seed))
    assert [c.isdigit() for c in written] == [c.isdigit() for c in belongs]
    value = re.match(r"\d+", problem.question)[0]
    for step, right in zip(split_steps(written), split_steps(belongs), strict=True):
        assert right.startswith(value)
        start, _, value = step[:-1].partition("=")
        assert right.partition("=")[2] == solution(Problem(start + "?", "", Level(width, 1))).partition("=")[2]
    wrong = [a != b for a, b in zip(written, belongs, strict=True) if a.isdigit()]
    assert any(wrong) <= (rate > 0)
    assert all(wrong) >= (rate == 1)
    assert rate > 0 or written == solution(problem)


def test_digits_are_marred_as_often_as_asked():
    drawn = itertools.islice(problems("train", [Level(3, 4)], seed=5), 300)
    pairs = [marred(problem, 0.2, random.Random(i)) for i, problem in enumerate(drawn)]
    wrong = [a != b for pair in pairs for a, b in zip(*pair, strict=True) if a.isdigit()]
    assert np.mean(wrong) == pytest.approx(0.2, abs=4 * (0.16 / len(wrong)) ** 0.5)
