"""Records of Every Eval Ever: each recorded trap with its right values, and runs written as records."""

import json
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec

import pandas as pd
import pytest
from commands import assert_refused
from importing import CASES, cases, graded, imported, known, refused, rows_of

from scalinglab.errors import DataError
from scalinglab.samples import Asked, read_logs, read_references, read_run
from scalinglab.study import RECORDED

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


# A run written as records


def exported(scalinglab, run, out):
    """The files of a run's records, and the rows that they are read back as."""
    done = scalinglab("export SOURCE --out OUT --as every-eval-ever --json", SOURCE=run, OUT=out)
    assert (done.code, done.err) == (0, "")
    back = out.with_name("back")
    done = scalinglab("import auto OUT --out BACK", OUT=out, BACK=back)
    assert done.code == 0, done.err
    return sorted(path for path in (out / "data").rglob("*") if path.is_file()), rows_of(back)


SAME = ["model", "task", "strategy", "effort", "problem", "sample", "grade", "value", "answer", "text"]


def same(rows, columns):
    return rows[columns].sort_values(columns[:6]).reset_index(drop=True).astype(object).fillna("nothing")


@pytest.mark.parametrize("case", ["epochs4.eval", "values.eval", "two_prompts", "errors.eval", "two_models"])
def test_what_was_imported_is_the_same_after_records_and_back(case, scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", f"inspect/{case}")
    _, back = exported(scalinglab, tmp_path / "run", tmp_path / "records")
    columns = [*SAME, "prompt_tokens", "generated_tokens", "cached_tokens", "thinking_tokens"]
    pd.testing.assert_frame_equal(same(back, columns), same(rows, columns))
    assert read_references(tmp_path / "back") == read_references(tmp_path / "run")


def test_what_was_collected_keeps_its_arms_and_the_tokens_of_single_samples(scalinglab, tmp_path):
    _, back = exported(scalinglab, RECORDED, tmp_path / "records")
    run = read_run(RECORDED)
    units = run.units.set_index("key")[["model", "strategy"]]
    calls = run.calls[run.calls["role"].isin(["policy", "large"])].drop(columns="model").join(units, on="unit")
    for (model, strategy), mine in run.solutions.join(units, on="unit").groupby(["model", "strategy"]):
        again = back[(back["model"] == model) & (back["strategy"] == strategy)]
        spent = calls.loc[(calls["model"] == model) & (calls["strategy"] == strategy), "generated_tokens"].sum()
        assert sorted(again["grade"]) == sorted(mine["grade"])
        single = strategy in ("parallel", "greedy")
        assert again["generated_tokens"].sum() == (spent if single else 0)
        assert again["generated_tokens"].isna().all() == (not single)  # a search's are no single answer's


def test_records_have_what_the_schema_asks_for_and_their_checksum(scalinglab, tmp_path):
    imported(scalinglab, tmp_path, "inspect", "inspect/epochs4.eval")
    (about, lines), _ = exported(scalinglab, tmp_path / "run", tmp_path / "records")
    aggregate, content = json.loads(about.read_text()), lines.read_bytes()
    details = aggregate["detailed_evaluation_results"]
    assert tmp_path / "records" / details["file_path"] == lines
    assert details["checksum"] == sha256(content).hexdigest()
    assert details["total_rows"] == len(content.splitlines()) == 12
    result = aggregate["evaluation_results"][0]
    assert result["score_details"]["score"] == pytest.approx(7 / 12)
    for line in map(json.loads, content.splitlines()):
        assert line["evaluation_id"] == aggregate["evaluation_id"]
        assert line["evaluation_result_id"] == result["evaluation_result_id"]
        assert line["token_usage"]["total_tokens"] == 11 + line["token_usage"]["output_tokens"]


@pytest.mark.skipif(find_spec("every_eval_ever") is None, reason="needs every-eval-ever (Python 3.12)")
def test_every_eval_ever_itself_finds_nothing_wrong(scalinglab, tmp_path):
    imported(scalinglab, tmp_path, "inspect", "inspect/values.eval")
    files, _ = exported(scalinglab, tmp_path / "run", tmp_path / "records")
    line = [sys.executable, "-m", "every_eval_ever", "validate", *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert "2 passed, 0 warning-only, 0 failed" in done.stdout, done.stdout


def test_a_folder_that_is_there_is_not_written_over(scalinglab, tmp_path):
    assert_refused(scalinglab("export RUN --out OUT --as every-eval-ever", OUT=tmp_path), "there already")
