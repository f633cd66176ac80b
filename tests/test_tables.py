from dataclasses import fields
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import pytest

from scalinglab.curves import pool_from_counts, pool_from_run
from scalinglab.errors import DataError
from scalinglab.flops import convention
from scalinglab.ledger import price
from scalinglab.samples import (
    Call,
    Solution,
    Unit,
    kind_of,
    read_counts,
    read_run,
    read_samples,
    write_jsonl,
    write_parquet,
)
from scalinglab.specs import find

CASES = Path(__file__).parents[2] / "shared" / "cases" / "import" / "tables"
PLAIN = pd.DataFrame(
    {"model": ["small"] * 4, "problem": ["p1", "p1", "p2", "p2"], "correct": [True, False, False, True]}
)
TOKENS = {"prompt_tokens": [20, 20, 25, 25], "output_tokens": [30, 35, 40, 41], "cached_tokens": [0, 16, 0, 24]}


def by_problem(run):
    """right/n of each model and problem."""
    of = run.solutions.join(run.units.set_index("key")[["model", "problem"]], on="unit")
    right = (of["grade"] == "right").groupby([of["model"], of["problem"]])
    return {key: f"{sum(part)}/{len(part)}" for key, part in right}


# What it becomes


def test_answers_become_a_run_of_parallel_samples_with_the_columns_of_any_run():
    run = read_samples(PLAIN)
    assert by_problem(run) == {("small", "p1"): "1/2", ("small", "p2"): "1/2"}
    assert run.units[["task", "role", "strategy", "budget", "seed"]].drop_duplicates().to_numpy().tolist() == [
        ["table", "policy", "parallel", 2, 0]
    ]
    assert run.units["options"].tolist() == [{"samples": 2}] * 2
    assert list(run.units)[:10] == ["key", *(field.name for field in fields(Unit))]
    assert list(run.calls) == ["unit", "position", *(field.name for field in fields(Call))]
    assert list(run.solutions) == ["unit", "position", *(field.name for field in fields(Solution))]
    assert run.calls.empty  # nobody said what was read or written: unknown, not 0


def test_tokens_that_are_there_are_priced_and_a_model_without_them_has_none():
    both = pd.concat([PLAIN.assign(**TOKENS), PLAIN.assign(model="large")], ignore_index=True)
    run = read_samples(both)
    assert run.calls["model"].unique().tolist() == ["small"]
    sums = run.calls[["prompt_tokens", "generated_tokens", "cached_tokens", "question_tokens"]].sum()
    assert sums.tolist() == [90, 146, 40, 90]
    spec = find("Qwen2.5-0.5B")
    entries = price(run, {"small": spec}, convention=convention("paper")).entries
    spent = entries.loc[entries["phase"].isin(["prefill", "decode"]), "flops"].sum()
    assert spent == 2 * spec.total * 146  # 2N a generated token; the question is free (PAPER section 2)


def test_answers_scores_and_strategies_are_kept():
    frame = PLAIN.assign(
        answer=["4", None, "5", "4"], score=[0.9, 0.2, 0.4, 0.6], verifier="prm", sample=[1, 0, 0, 1]
    )
    run = read_samples(frame)
    assert run.units["verifiers"].tolist() == [("prm",), ("prm",)]
    first = run.solutions[run.solutions["unit"] == run.units["key"].iloc[0]]
    assert first["sample"].tolist() == [0, 1] == first["position"].tolist()
    assert first["answer"].isna().tolist() == [True, False]
    assert first["answer"].iloc[1] == "4"
    assert first["scores"].tolist() == [[0.2], [0.9]]
    greedy = read_samples(PLAIN.iloc[[0, 2]].assign(strategy="greedy"))
    assert greedy.units[["strategy", "budget", "parameters"]].to_numpy().tolist() == [["greedy", 1, "{}"]] * 2


def test_the_same_samples_say_the_same_as_counts():
    rng = np.random.default_rng(0)
    long = pd.DataFrame(
        {
            "model": rng.choice(["a", "b"], 600),
            "task": rng.choice(["x", "y"], 600),
            "problem": rng.integers(7, size=600).astype(str),
            "correct": rng.random(600) < 0.4,
        }
    )
    sums = long.groupby(["model", "task", "problem"])["correct"].agg(n="size", correct="sum").reset_index()
    counts, run = read_counts(sums), read_samples(long)
    for model in ("a", "b"):
        one, other = pool_from_counts(counts, model), pool_from_run(run, model)
        assert one.problems == other.problems
        assert (one.n == other.n).all()
        assert (one.correct == other.correct).all()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_every_format_reads_as_the_frame_does(suffix, tmp_path):
    frame = PLAIN.assign(**TOKENS, answer=["4", "04", "5", "x"], problem=["007", "007", "7", "7"])
    path = tmp_path / f"samples{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    for table in ("units", "calls", "solutions"):
        pd.testing.assert_frame_equal(getattr(read_samples(path), table), getattr(read_samples(frame), table))


def test_it_can_be_written_and_read_as_any_run(tmp_path):
    run = read_samples(PLAIN.assign(**TOKENS, answer=["4", None, "5", "4"], score=[0.5] * 4))
    write_parquet(run, tmp_path / "samples")
    write_jsonl(run, tmp_path / "run.jsonl")
    for path in ("samples", "run.jsonl"):
        again = read_run(tmp_path / path)
        pd.testing.assert_frame_equal(again.units, run.units, check_dtype=False)
        pd.testing.assert_frame_equal(again.solutions, run.solutions, check_dtype=False)
        pd.testing.assert_frame_equal(again.calls, run.calls, check_dtype=False)


@pytest.mark.parametrize(
    "frame",
    [
        PLAIN.set_axis([7, 7, 0, 3]),
        PLAIN.assign(problem=pd.Categorical(PLAIN["problem"], categories=["p0", "p1", "p2", "p9"])),
        PLAIN.assign(correct=pd.Series([1.0, False, 0, np.True_], dtype=object)),
        PLAIN.assign(correct=["True", "false", "FALSE", "1"]),
        PLAIN.rename(columns={"problem": "question_id", "correct": "is_correct"}),
        PLAIN.assign(correct=pd.array([True, False, False, True], dtype="boolean")),
    ],
    ids=["odd index", "unused categories", "objects", "texts", "other names", "nullable"],
)
def test_frames_of_many_kinds_are_read(frame):
    assert by_problem(read_samples(frame)) == {("small", "p1"): "1/2", ("small", "p2"): "1/2"}


# What it refuses


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"correct": [1, 0.3, 0, 1]}, "row 2 has correct 0.3; expected true or false, 1 or 0 .a rate needs n"),
        ({"correct": [1, -1, 2, 0]}, r"row 2 \(and 1 more\) has correct -1"),
        ({"correct": [100, 0, 0, 0]}, "row 1 has correct 100"),
        ({"model": ["a", None, "a", "a"]}, "row 2 has no model; expected a name"),
        (
            TOKENS | {"output_tokens": [30, -5, 40, 41]},
            "row 2 has a bad generated_tokens; expected a whole number",
        ),
        (TOKENS | {"output_tokens": [30, 30.5, 40, 41]}, "row 2 has a bad generated_tokens"),
        (TOKENS | {"prompt_tokens": [10, 10, 25, 25]}, "row 2 has more cached than prompt tokens"),
        (
            {"strategy": ["parallel", "parallel", "beam_search", "greedy"]},
            "row 3 is an arm's outcome of unknown cost; expected a budget",
        ),
        ({"strategy": "greedy"}, r"row 1 \(and 3 more\) is one of several greedy answers"),
        ({"sample": [0, 0, 0, 1]}, "row 2 repeats a model, problem and sample"),
        ({"sample": [0, -1, 0, 1]}, "row 2 has a bad sample"),
        ({"score": [0.1, "x", 0.2, 0.3]}, "row 2 has score 'x'; expected a finite number"),
        ({"score": [0.1, np.inf, 0.2, 0.3]}, "row 2 has score inf"),
        ({"budget": 1}, r"row 1 \(and 3 more\) is one of more answers than its budget"),
        ({"task": ["x", "y", None, "x"]}, "row 3 has no task"),
    ],
)
def test_what_cannot_be_is_refused_by_its_row(changed, says):
    with pytest.raises(DataError, match=says) as refused:
        read_samples(PLAIN.assign(**changed))
    assert len(refused.value.args) == 3


def test_a_row_of_the_wrong_kind_of_table_is_told_where_to_go():
    counts = pd.DataFrame({"model": ["a"], "problem": ["p"], "n": [4], "correct": [2]})
    assert (kind_of(counts), kind_of(PLAIN)) == ("counts", "samples")
    with pytest.raises(DataError, match=r"the table has no column 'n'.*read it with samples.read_samples"):
        read_counts(PLAIN)
    with pytest.raises(DataError, match="row 1 has correct 2; expected true or false, 1 or 0"):
        read_samples(counts)
    with pytest.raises(DataError, match="two columns 'correct'"):
        read_samples(pd.concat([PLAIN, PLAIN[["correct"]]], axis=1))
    with pytest.raises(DataError, match="no rows"):
        read_samples(PLAIN.head(0))


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "basic.csv",
            {("small", "p1"): "1/2", ("small", "p2"): "0/2", ("large", "p1"): "1/1", ("large", "p2"): "1/1"},
        ),
        ("correct_strings.jsonl", {("small", "p1"): "1/3", ("small", "p2"): "1/3"}),
        (
            "no_sample_column.csv",
            {("small", "p1"): "2/3", ("small", "p2"): "0/2", ("large", "p1"): "1/1", ("large", "p2"): "0/1"},
        ),
    ],
)
def test_shared_tables_read_as_they_must(name, found):
    assert by_problem(read_samples(CASES / name)) == found


REFUSED = (
    "correct_rate correct_percent correct_negative duplicate_rows duplicate_conflict huge_ints_with_gap empty "
    "header_only cached_over_prompt"
)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize(
    "name", [*(f"{name}.csv" for name in REFUSED.split()), "empty.jsonl", "last_line_cut.jsonl"]
)
def test_shared_tables_that_cannot_be_are_refused(name):
    with pytest.raises(DataError):
        read_samples(CASES / name)


def test_hundreds_of_thousands_of_answers_take_seconds():
    rows, problems = 300_000, 3_000
    problem = np.repeat([f"p{i}" for i in range(problems)], rows // problems)
    frame = pd.DataFrame({"model": "small", "problem": problem, "correct": np.arange(rows) % 3 == 0})
    start = process_time()
    run = read_samples(frame.assign(prompt_tokens=9, output_tokens=8))
    assert process_time() - start < 6
    assert len(run.units) == problems
    assert len(run.solutions) == len(run.calls) == rows
