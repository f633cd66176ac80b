"""Records of Every Eval Ever: each recorded trap with its right values."""

import json

import pytest
from importing import CASES, cases, graded, imported, known, refused

from scalinglab.errors import DataError
from scalinglab.samples import Asked, read_logs

KIND = "every-eval-ever"
ERRORS = CASES / KIND / "errors" / "errors_samples.jsonl"


@pytest.mark.parametrize(("case", "right"), cases("eee", "import", "flag"))
def test_every_case_comes_in_with_its_values(case, right, scalinglab, tmp_path):
    rows, notes = imported(scalinglab, tmp_path, KIND, case)
    assert len(rows) == right["rows"]
    assert len(graded(rows, "right")) == right["right"]
    assert len(graded(rows, "error")) == right.get("error", 0)
    assert graded(rows, "partial") == sorted(right.get("partial", []))
    assert bool(notes) == (right["must"] == "flag")


def test_the_tokens_of_an_error_are_unknown(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, KIND, f"{KIND}/errors")
    assert graded(rows, "error") == ["q3", "q5"]
    told = zip(rows["problem"], known(rows, "prompt_tokens"), known(rows, "generated_tokens"), strict=True)
    assert {one: (prompt, output) for one, prompt, output in told} == {
        **dict.fromkeys(("q1", "q2", "q4", "q6"), (10, 4)),
        **dict.fromkeys(("q3", "q5"), (None, None)),
    }


@pytest.mark.parametrize("option", ["--score", "--filter"])
@pytest.mark.parametrize(("case", "right"), cases("eee", "ask"))
def test_open_results_are_asked_for_and_each_is_read(case, right, option, scalinglab, tmp_path):
    refused(scalinglab, tmp_path, KIND, case, "--score", *right["choices"])
    for name, number in right["choices"].items():
        folder = tmp_path / name.replace("/", " ")
        folder.mkdir()
        rows, _ = imported(scalinglab, folder, KIND, case, f"{option} {name}")
        assert (len(rows), len(graded(rows, "right"))) == (right["rows"], number)
        assert set(rows["task"]) == {"tinygen"}
        assert known(rows, "generated_tokens") == [None] * 4


@pytest.mark.parametrize(("case", "right"), cases("eee", "refuse"))
def test_a_mean_that_poses_as_a_grade_is_refused(case, right, scalinglab, tmp_path):
    assert right["must"] == "refuse"
    refused(scalinglab, tmp_path, KIND, case, "0.25 in each of its 4 epochs", "no grade")


def changed(tmp_path, **change):
    lines = [json.loads(line) | change for line in ERRORS.read_text().splitlines()[:1]]
    path = tmp_path / "x_samples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"evaluation": {"score": 1.0, "is_correct": False}}, "has the score 1.0 and is_correct False"),
        ({"evaluation": {"score": 7, "is_correct": True}}, "--threshold"),
        ({"model_id": None}, "without model_id"),
    ],
)
def test_a_record_that_cannot_be_is_refused(change, words, tmp_path):
    with pytest.raises(DataError, match=words):
        read_logs(changed(tmp_path, **change), KIND)


def test_a_line_that_is_cut_is_named(tmp_path):
    (tmp_path / "x_samples.jsonl").write_bytes(ERRORS.read_bytes()[:-40])
    with pytest.raises(DataError, match="line 6 is no JSON"):
        read_logs(tmp_path, KIND)


def test_the_usage_of_several_turns_may_be_of_the_last_one(tmp_path):
    path = changed(tmp_path, evaluation={"score": 1.0, "is_correct": True, "num_turns": 3})
    log = read_logs(path, KIND)
    assert log.rows["generated_tokens"].isna().all()
    assert "several turns" in log.notes[0]


def test_a_model_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="expected one of org/tiny-1B"):
        read_logs(ERRORS, KIND, Asked(model="other"))
