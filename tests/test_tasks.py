import re
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from scalinglab.errors import DataError
from scalinglab.tasks import (
    SPLITS,
    Level,
    Problem,
    complete,
    extract,
    grade,
    level_of,
    problems,
    rarest,
    solution,
    split_of,
    split_steps,
    step_is_right,
    tokens_of,
)
from scalinglab.tasks.testbed import ADDENDS, FACTS, NUMBERS

OPERATION = re.compile(r"[a-p]{2}|\+\d\d")
LEVELS = [Level(0, 1), Level(3, 0), Level(2, 2)]
SUMS = Problem("17+05+60?", "18", Level(0, 2))
SPLIT = st.sampled_from(list(SPLITS))
ANY = st.builds(
    lambda split, level, seed: next(problems(split, [Level(*level)], seed=seed)),
    SPLIT,
    st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any),
    st.integers(0, 10**6),
)


def size(level):
    return level.facts + level.sums


def table(name):
    """What a fact makes of each number, as solutions say it."""
    return [solution(Problem(f"{number}{name}?", "", Level(1, 0)))[4:6] for number in NUMBERS]


def test_sums_are_worked_out_modulo_64():
    assert solution(SUMS) == "17+0522;22+6018."
    assert [(17 + 5) % 64, (22 + 60) % 64] == [22, 18]


def test_facts_are_tables_of_64_numbers_each_that_no_seed_changes_and_no_rule_shortens():
    tables = {name: table(name) for name in FACTS}
    assert tables["aa"][:8] == ["49", "04", "28", "35", "24", "59", "48", "02"], (
        "those of every model ever trained"
    )
    assert len(FACTS) == len(set(map(tuple, tables.values()))) == 256
    entries = Counter(number for row in tables.values() for number in row)
    assert set(entries) == set(NUMBERS)
    assert chisquare([entries[number] for number in NUMBERS]).pvalue > 0.001
    steps = Counter((int(b) - int(a)) % 64 for row in tables.values() for a, b in zip(NUMBERS, row, strict=True))
    assert chisquare([steps[i] for i in range(64)]).pvalue > 0.001, "no fact is a sum"


@pytest.mark.parametrize(("level", "names"), [(Level(4, 0), FACTS), (Level(0, 4), ["+" + a for a in ADDENDS])])
def test_facts_and_addends_are_drawn_by_zipfs_law(level, names):
    """In questions so long that hardly one repeats, so that the hash that splits them favours no name."""
    drawn = Counter()
    for problem in islice(problems("train", [level]), 10_000):
        drawn.update(OPERATION.findall(problem.question))
    shares = [1 / rank for rank in range(1, 1 + len(names))]
    assert set(drawn) == set(names)
    assert (
        chisquare([drawn[name] for name in names], [40_000 * share / sum(shares) for share in shares]).pvalue
        > 0.001
    )


@given(ANY)
def test_every_step_of_a_solution_is_what_is_known_or_worked_out(problem):
    value, asked = problem.question[:2], OPERATION.findall(problem.question)
    steps = split_steps(solution(problem))
    assert problem.question == f"{value}{''.join(asked)}?"
    assert len(steps) == len(asked) == size(problem.level)
    for operation, step in zip(asked, steps, strict=True):
        fact = operation in FACTS
        result = table(operation)[int(value)] if fact else f"{(int(value) + int(operation)) % 64:02}"
        assert step[:-1] == value + operation + result
        value = result
    assert value == problem.answer
    assert [step[-1] for step in steps] == [*";" * (len(steps) - 1), "."]


@given(ANY)
def test_the_right_solution_is_graded_right_and_each_of_its_steps_too(problem):
    text = solution(problem)
    assert complete(text)
    assert grade(problem, text) == "right"
    assert extract(text) == problem.answer
    assert all(step_is_right(problem, split_steps(text), i) for i in range(size(problem.level)))


@given(ANY, st.integers(1, 63), st.data())
def test_another_result_is_wrong_from_its_step_on(problem, shift, data):
    steps = split_steps(solution(problem))
    at = data.draw(st.integers(0, len(steps) - 1))
    slipped = f"{steps[at][:-3]}{(int(steps[at][-3:-1]) + shift) % 64:02}{steps[at][-1]}"
    found = [*steps[:at], slipped, *steps[at + 1 :]]
    assert [step_is_right(problem, found, i) for i in range(len(found))] == [i < at for i in range(len(found))]
    assert grade(problem, "".join(found)) == ("wrong" if at == len(steps) - 1 else "right"), "the answer counts"


@given(ANY, st.data())
def test_a_solution_cut_anywhere_before_its_full_stop_has_no_answer(problem, data):
    text = solution(problem)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    assert not complete(cut)
    assert extract(cut) is None
    assert grade(problem, cut) == "unparsed"


@pytest.mark.parametrize(
    "text",
    ["", ".", "18.", "nonsense.", "17+0522;.", "17+0522;22+601.", "22+6018;", "22+60018.", "+6018.", "22zz18."],
)
def test_a_text_without_a_last_step_and_a_full_stop_is_unparsed(text):
    assert grade(SUMS, text) == "unparsed"


@given(st.text("abp0+;.? 9é", max_size=30))
def test_no_text_breaks_the_grader_and_steps_are_its_closed_parts(text):
    assert grade(SUMS, text) in ("right", "wrong", "unparsed")
    assert text.startswith("".join(split_steps(text)))
    assert all(step[-1] in ";." and len(re.findall("[;.]", step)) == 1 for step in split_steps(text))
    assert "".join(tokens_of(text)) == text


@given(ANY)
def test_tokens_are_numbers_names_and_marks(problem):
    facts, sums = problem.level.facts, problem.level.sums
    asked, said = tokens_of(problem.question), tokens_of(solution(problem))
    assert (len(asked), len(said)) == (2 + facts + 2 * sums, 4 * facts + 5 * sums)
    assert {*asked, *said} <= {*NUMBERS, *FACTS, *"+?;."}
    assert "".join(asked + said) == problem.question + solution(problem)


@given(ANY)
def test_the_level_and_the_rarest_fact_are_read_off_the_question(problem):
    assert level_of(problem.question) == problem.level
    ranks = [1 + FACTS.index(name) for name in re.findall("[a-p]{2}", problem.question)]
    assert rarest(problem.question) == max(ranks, default=0)
    assert (rarest(problem.question) == 0) == (problem.level.facts == 0)


@given(ANY)
def test_a_problem_lies_in_its_split_alone(problem):
    assert sum(split_of(problem.question) == split for split in SPLITS) == 1


def test_the_splits_share_no_problem_and_hold_their_shares():
    drawn = {split: {p.question for p in islice(problems(split, LEVELS), 500)} for split in SPLITS}
    assert all(split_of(question) == split for split in SPLITS for question in drawn[split])
    assert sum(len(share) for share in SPLITS.values()) == 100
    assert not set.intersection(*map(set, SPLITS.values()))
    splits = Counter(split_of(f"{i}?") for i in range(20_000))
    assert (
        chisquare(*zip(*((splits[name], 200 * len(share)) for name, share in SPLITS.items()), strict=True)).pvalue
        > 0.001
    )


def test_a_stream_is_seeded_and_another_seed_is_another_stream():
    first, again, other = (list(islice(problems("test", LEVELS, seed=s), 50)) for s in (3, 3, 4))
    assert first == again != other


def test_levels_are_drawn_evenly_where_each_has_problems_enough_in_the_split():
    drawn = [problem.level for problem in islice(problems("train", LEVELS), 3000)]
    assert all(850 < drawn.count(level) < 1150 for level in LEVELS)


@pytest.mark.parametrize("bad", [("else", LEVELS), ("train", [])])
def test_an_unknown_split_and_no_level_are_refused(bad):
    with pytest.raises(DataError, match="split"):
        next(problems(*bad))


@pytest.mark.parametrize("level", [(0, 0), (2, -1), (-1, 3)])
def test_a_level_of_nothing_is_refused(level):
    with pytest.raises(DataError, match="0 or more of each, and 1 in all"):
        Level(*level)


def test_a_level_says_what_it_asks():
    assert [str(Level(*level)) for level in ((1, 0), (0, 1), (2, 3))] == [
        "1 fact, 0 sums",
        "0 facts, 1 sum",
        "2 facts, 3 sums",
    ]
