import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import DataError
from scalinglab.samples import read_counts

QUICK = settings(max_examples=15, deadline=None, derandomize=True)
HEADER = "model,problem,n,correct\n"
GOOD = HEADER + "a,p1,10,3\n"
TABLE = pd.DataFrame(
    {"model": ["a", "a", "b"], "problem": ["p1", "p2", "p1"], "n": [10, 10, 4], "correct": [3, 0, 4]}
)
WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}
HUGE = st.sampled_from([2**53 + 1, 2**63 - 1])


def write(folder, frame, suffix):
    path = folder / f"counts{suffix}"
    WRITERS[suffix](frame, path)
    return path


def csv(folder, text):
    path = folder / "counts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path):
    """The message of the DataError, which is one line, in three parts, and names the file."""
    with pytest.raises(DataError) as caught:
        read_counts(path)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(caught.value.args) == 3
    assert all(caught.value.args)
    assert path.name in message
    return message


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_reads_as_the_same_table(tmp_path, suffix):
    counts = read_counts(write(tmp_path, TABLE, suffix))
    pd.testing.assert_frame_equal(counts, TABLE)
    assert [str(counts[column].dtype) for column in ("n", "correct")] == ["int64", "int64"]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "names",
    [
        {"model": "Model", "problem": "prompt_idx", "n": "samples", "correct": "c"},
        {"problem": "problem_id", "n": "num_samples", "correct": "num_correct"},
        {"problem": "question_id"},
    ],
    ids=str,
)
def test_other_names_of_the_columns_are_understood_and_extra_columns_ignored(tmp_path, suffix, names):
    published = TABLE.rename(columns=names).assign(temperature=0.7)
    pd.testing.assert_frame_equal(read_counts(write(tmp_path, published, suffix)), TABLE)


def test_rows_are_sorted_by_model_and_problem_and_columns_put_in_order(tmp_path):
    shuffled = TABLE.iloc[[2, 0, 1]][["correct", "problem", "n", "model"]]
    pd.testing.assert_frame_equal(read_counts(write(tmp_path, shuffled, ".csv")), TABLE)


def test_numeric_problems_become_strings(tmp_path):
    path = csv(tmp_path, HEADER + "7,2,10,3\n7,10,10,3\n")
    assert read_counts(path)[["model", "problem"]].to_numpy().tolist() == [["7", "10"], ["7", "2"]]


@pytest.mark.parametrize("column", ["task", "benchmark"])
def test_a_task_column_is_joined_to_the_problem_only_where_there_are_several(tmp_path, column):
    one, two = TABLE.assign(**{column: "math"}), TABLE.assign(**{column: ["math", "math", "gsm8k"]})
    assert read_counts(write(tmp_path, one, ".csv"))["problem"].tolist() == ["p1", "p2", "p1"]
    assert read_counts(write(tmp_path, two, ".csv"))["problem"].tolist() == ["math/p1", "math/p2", "gsm8k/p1"]


def test_the_same_problem_number_in_two_tasks_is_two_problems(tmp_path):
    counts = read_counts(csv(tmp_path, "task,model,problem,n,c\nmath,a,1,5,2\ngsm8k,a,1,5,4\n"))
    assert dict(zip(counts["problem"], counts["correct"], strict=True)) == {"gsm8k/1": 4, "math/1": 2}


def test_pythia_has_seven_models_on_128_problems_with_ten_thousand_samples_each(shared_data):
    counts = read_counts(shared_data("pythia_math") / "counts.csv")
    assert counts.groupby("model")["problem"].nunique().tolist() == [128] * 7
    assert len(counts) == 7 * 128
    assert (counts["n"] == 10_000).all()


def test_pythia_gives_the_published_pass_at_1_and_unsolved_problems(shared_data):
    counts = read_counts(shared_data("pythia_math") / "counts.csv")
    models = counts.groupby("model")["correct"]
    percent = models.mean() / 100
    unsolved = (counts["correct"] == 0).groupby(counts["model"]).sum()
    assert sorted(round(value, 4) for value in percent) == [
        0.0647,
        0.2673,
        0.6219,
        0.8334,
        1.856,
        2.0312,
        2.3191,
    ]
    assert sorted(unsolved, reverse=True) == [94, 55, 44, 33, 24, 21, 16]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("b,p1,10,11", "more correct than n"),
        ("b,p1,10,-1", "correct"),
        ("b,p1,-10,1", " n"),
        ("b,p1,10,", "no number in correct"),
        ("b,p1,,3", "no number in n"),
        ("b,p1,10,nan", "no number in correct"),
        ("b,p1,10,0.5", "correct"),
        ("b,p1,10.5,1", " n"),
        ("b,p1,10,three", "no number in correct"),
        ("b,p1,ten,3", "no number in n"),
        ("b,p1,inf,3", "no number in n"),
        ("b,p1,10,-inf", "no number in correct"),
        ("b,p1,0,0", "n = 0"),
        ("b,p1", "no number in n"),
        (",p1,10,3", "no model or problem"),
        ("b,,10,3", "no model or problem"),
        ("a,p1,10,3", "repeats a model and problem"),
        ("a,p1,20,4", "repeats a model and problem"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_by_its_number(tmp_path, row, says):
    message = refusal(csv(tmp_path, GOOD + row + "\nc,p9,10,3\n"))
    assert "row 2" in message
    assert says in message


def test_the_number_of_further_bad_rows_is_said(tmp_path):
    assert "row 2 (and 2 more)" in refusal(csv(tmp_path, GOOD + "b,p1,1,2\nb,p2,1,2\nc,p1,1,1\nb,p3,1,2\n"))


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_bad_row_is_refused_in_every_format(tmp_path, suffix):
    bad = TABLE.assign(correct=[3, 0, 5])
    assert "row 3 has more correct than n" in refusal(write(tmp_path, bad, suffix))


@pytest.mark.parametrize("missing", ["model", "problem", "n", "correct"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_a_missing_column_is_named(tmp_path, missing, suffix):
    assert f"no column {missing!r}" in refusal(write(tmp_path, TABLE.drop(columns=missing), suffix))


@pytest.mark.parametrize(
    ("one", "other"), [("model", "Model"), ("problem", "prompt_idx"), ("n", "samples"), ("correct", "c")]
)
def test_two_names_of_one_column_are_ambiguous(tmp_path, one, other):
    message = refusal(write(tmp_path, TABLE.assign(**{other: TABLE[one]}), ".csv"))
    assert f"both {one} and {other}" in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        HEADER.encode(),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200),
        bytes(range(256)) * 20,
        GOOD.encode() + b"a,p2,3,1,5,6\n",
    ],
    ids=["empty", "blank lines", "header only", "PNG", "all bytes", "ragged"],
)
def test_a_csv_file_that_holds_no_table_is_refused(tmp_path, content):
    path = tmp_path / "counts.csv"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"model": "a", "problem": "p", "n": 3, "correct": 1}\n{"model": "a", "prob',
        b"not json\n",
        b"3\n",
        b'{"model": "a", "problem": "p", "n": 123456789012345678901234567890, "correct": 1}\n',
        bytes(range(256)),
    ],
    ids=["empty", "cut off", "text", "a number", "too big", "all bytes"],
)
def test_a_malformed_jsonl_file_is_refused(tmp_path, content):
    path = tmp_path / "counts.jsonl"
    path.write_bytes(content)
    refusal(path)


def test_jsonl_lines_that_are_no_objects_are_refused(tmp_path):
    path = tmp_path / "counts.jsonl"
    path.write_text("[1, 2]\n3\n")
    refusal(path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(tmp_path, kept):
    path = write(tmp_path, TABLE, ".parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    refusal(path)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    assert "no rows" in refusal(write(tmp_path, TABLE.head(0), ".parquet"))


@pytest.mark.parametrize("name", ["counts", "counts.csv", "counts.jsonl", "counts.parquet"])
def test_a_directory_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    refusal(tmp_path / name)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_missing_file_is_named(tmp_path, suffix):
    assert "no file" in refusal(tmp_path / f"nothing{suffix}")


@pytest.mark.parametrize("name", ["counts.txt", "counts", "counts.xlsx", "counts.json"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_text(GOOD)
    message = refusal(tmp_path / name)
    assert all(suffix in message for suffix in WRITERS)


def test_the_message_stays_one_line_where_a_column_name_holds_a_newline(tmp_path):
    refusal(csv(tmp_path, '"mo\ndel",problem,n,correct\na,p,3,1\n'))


@pytest.mark.parametrize("count", ["1e30", str(2**63), "9" * 30])
def test_counts_beyond_int64_are_refused_rather_than_wrapped(tmp_path, count):
    message = refusal(csv(tmp_path, GOOD + f"b,p1,{count},{count}\n"))
    assert "row 2" in message


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_problem_names_that_look_like_numbers_stay_as_written(tmp_path, suffix):
    names = ["001", "1", "1.0", "1e5"]
    table = pd.DataFrame({"model": "a", "problem": names, "n": 5, "correct": [1, 2, 3, 4]})
    read = read_counts(write(tmp_path, table, suffix))
    assert dict(zip(read["problem"], read["correct"], strict=True)) == {
        "001": 1,
        "1": 2,
        "1.0": 3,
        "1e5": 4,
    }


def test_csv_rows_with_one_field_too_many_are_refused_rather_than_shifted(tmp_path):
    refusal(csv(tmp_path, HEADER + "x,a,7,3,1\nx,b,8,3,1\n"))


def test_a_row_without_a_task_among_several_tasks_is_refused(tmp_path):
    message = refusal(csv(tmp_path, "task,model,problem,n,c\nmath,a,1,5,2\n,a,1,5,4\n"))
    assert "row 2" in message


@pytest.mark.parametrize("suffix", WRITERS)
def test_truth_values_are_no_counts(tmp_path, suffix):
    table = pd.DataFrame({"model": ["a"], "problem": ["p"], "n": [True], "correct": [True]})
    assert "row 1" in refusal(write(tmp_path, table, suffix))


def test_dates_are_no_counts(tmp_path):
    table = TABLE.assign(n=pd.to_datetime("2024-01-01"))
    assert "row 1" in refusal(write(tmp_path, table, ".parquet"))


@st.composite
def tables(draw):
    names = st.text(st.characters(categories=["L"]), min_size=1, max_size=6).map("_".__add__)
    keys = draw(st.lists(st.tuples(names, names), min_size=1, max_size=6, unique=True))
    rows = []
    for model, problem in keys:
        n = draw(st.integers(1, 10_000) | HUGE)
        rows.append((model, problem, n, draw(st.integers(0, n))))
    return pd.DataFrame(rows, columns=["model", "problem", "n", "correct"])


@pytest.mark.parametrize("suffix", WRITERS)
@QUICK
@given(table=tables())
def test_any_table_of_counts_comes_back_as_it_was(tmp_path_factory, suffix, table):
    read = read_counts(write(tmp_path_factory.mktemp("counts"), table, suffix))
    expected = table.sort_values(["model", "problem"], ignore_index=True)
    pd.testing.assert_frame_equal(read, expected)
