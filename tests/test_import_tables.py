"""Plain samples tables as people have them: the values of each case, or the line that refuses it."""

import json
import runpy
from pathlib import Path

import pandas as pd
import pytest
from commands import assert_refused

from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.samples import read_samples

CASES = Path(__file__).parent / "data" / "import"
EXPECTED = {
    name.removeprefix("tables/"): of
    for name, of in json.loads((CASES / "expected-b.json").read_text()).items()
    if of["kind"] == "table" and not name.endswith(".py")
}
FRAMES = runpy.run_path(str(CASES / "tables" / "frames.py"))["FRAMES"]
NAMED = {"names/passed.csv": "passed", "names/acc.csv": "acc", "names/exact_match.csv": "exact_match"}
"""Columns that may be grades, which are taken only when they are named."""
SAYS = {
    "correct_rate.csv": "has correct 0.75; expected true or false, 1 or 0 (a rate needs n",
    "correct_percent.csv": "has correct 100",
    "correct_negative.csv": "row 2 (and 2 more) has correct -1",
    "duplicate_rows.csv": "row 3 repeats a model, problem and sample (small / p1 / 0, as row 1)",
    "duplicate_conflict.csv": "(small / p1 / 0, as row 1)",
    "huge_ints_with_gap.csv": "row 3 has no problem",
    "empty.csv": "empty.csv",
    "empty.jsonl": "has no rows",
    "header_only.csv": "has no rows",
    "last_line_cut.jsonl": "line 4 is no JSON",
    "cached_over_prompt.csv": "row 1 (and 1 more) has more cached than prompt tokens",
    "thinking_over_output.csv": "row 1 (and 1 more) has more thinking than generated tokens",
}
"""What the line of each table that is refused holds."""
REFUSED = {
    "correct_words.csv": "has correct 'yes'",
    "correct_in_struct.parquet": "metrics.exact_match, metrics.f1",
}
"""Tables that may be refused, and are."""
OURS = {"output_tokens": "generated_tokens"}
READ = [name for name, of in EXPECTED.items() if of["must"] not in ("refuse", "ask") and name not in REFUSED]


def opened(name):
    path = CASES / "tables" / name
    mapping = {"correct": NAMED[name]} if name in NAMED else None
    return open_evidence(sorted(path.iterdir()) if path.is_dir() else path, mapping=mapping)


def answers(run):
    return run.solutions.join(run.units.set_index("key")[["model", "problem"]], on="unit").reset_index(drop=True)


def counts(found):
    return {problem: f"{(of['grade'] == 'right').sum()}/{len(of)}" for problem, of in found.groupby("problem")}


def as_counts(values):
    return {problem: value if isinstance(value, str) else f"{value}/1" for problem, value in values.items()}


def summed(run, model, names):
    calls = run.calls[run.calls["model"] == model]
    return {name: calls[OURS.get(name, name)].sum() for name in names}


@pytest.mark.parametrize("name", READ)
def test_a_table_has_exactly_its_values(name):
    of, found = EXPECTED[name], answers(opened(name).run)
    assert len(found) == of.get("rows", len(found))
    by = of.get("models", of.get("by", {}))
    if by and not isinstance(next(iter(by.values())), dict):
        by = {found["model"].iloc[0]: by}
    for model, values in by.items():
        assert counts(found[found["model"] == model]) == as_counts(values)
    right = found.loc[found["grade"] == "right", "problem"]
    if isinstance(of.get("right"), list):
        assert sorted(right) == sorted(of["right"])
    elif "right" in of:
        assert len(right) == of["right"]
    for grade in ("wrong", "ungraded"):
        if grade in of:
            assert (found["grade"] == grade).sum() == of[grade]
    for model, sums in of.get("sums", {}).items() if "by" in of else ():
        assert summed(opened(name).run, model, sums) == sums


def test_cached_tokens_are_part_of_the_prompt_and_thoughts_of_what_was_written():
    sums = EXPECTED["cached_inside.csv"]["sums"]
    assert summed(opened("cached_inside.csv").run, "small", sums) == sums


@pytest.mark.parametrize("name", SAYS)
def test_what_cannot_be_is_one_line(name, scalinglab):
    assert EXPECTED[name]["must"] == "refuse"
    done = scalinglab("exchange TABLE --small small --large large", TABLE=CASES / "tables" / name)
    assert_refused(done, SAYS[name])
    assert "9007199254740992.0" not in done.err


def test_every_table_that_must_be_refused_is():
    assert {name for name, of in EXPECTED.items() if of["must"] == "refuse"} == set(SAYS)


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_refused_is_refused_by_its_name(name, scalinglab):
    done = scalinglab("exchange TABLE --small small --large large", TABLE=CASES / "tables" / name)
    assert_refused(done, REFUSED[name])


@pytest.mark.parametrize("name", NAMED)
def test_a_column_that_may_be_a_grade_is_offered(name):
    with pytest.raises(DataError, match=f"--map correct={NAMED[name]}"):
        read_samples(CASES / "tables" / name)


@pytest.mark.parametrize("name", ["names/several_candidates.csv", "correct_in_struct.parquet"])
def test_of_several_columns_that_may_be_grades_each_is_named_and_has_its_values(name):
    choices = EXPECTED[name]["choices"]
    with pytest.raises(DataError) as refused:
        read_samples(CASES / "tables" / name)
    for column, values in choices.items():
        assert column in str(refused.value)
        if set(values) <= {0, 1}:
            run = read_samples(CASES / "tables" / name, mapping={"correct": column})
            assert (run.solutions["grade"] == "right").astype(int).tolist() == values
        else:
            with pytest.raises(DataError, match=r"has correct 0\.5"):
                read_samples(CASES / "tables" / name, mapping={"correct": column})


def test_problems_of_two_tables_are_shared_whatever_their_type():
    run = opened("ids_by_type").run
    shared = answers(run).groupby("problem")["model"].nunique()
    assert (shared == 2).sum() == EXPECTED["ids_by_type"]["common_problems"]


def test_a_score_is_the_verifiers_and_no_grade():
    found = answers(opened("names/score_and_correct.csv").run)
    assert [scores[0] for scores in found["scores"]] == EXPECTED["names/score_and_correct.csv"]["scores"]


def test_columns_within_columns_that_are_not_read_are_named():
    told = " ".join(opened("nested_struct.parquet").told)
    assert "usage." in told
    assert "metrics." in told


def test_unknown_tokens_are_counted_and_never_zero():
    known = EXPECTED["tokens_half_missing.csv"]["known"]
    calls = read_samples(CASES / "tables" / "tokens_half_missing.csv").calls
    for model, of in known.items():
        mine = calls[calls["model"] == model]
        assert mine["prompt_tokens"].notna().sum() == of["prompt"]
        assert mine["generated_tokens"].notna().sum() == of["output"]
    said = {(one.model, one.what): one.missing for one in opened("tokens_half_missing.csv").unreported}
    assert said["small", "prompt"] == 1
    assert said["small", "generated"] == 2


def test_answers_are_kept_to_the_letter():
    found = answers(opened("answers_with_newlines.csv").run)
    assert found["answer"].tolist() == EXPECTED["answers_with_newlines.csv"]["answers"]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_exactly_its_values(name):
    frame, must, rows, right, by = FRAMES[name]
    if must == "refuse":
        with pytest.raises(DataError):
            read_samples(frame)
        return
    before = frame.copy(deep=True)
    found = answers(read_samples(frame))
    assert (len(found), (found["grade"] == "right").sum()) == (rows, right)
    assert counts(found) == by
    pd.testing.assert_frame_equal(frame, before)
