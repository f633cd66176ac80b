"""Logs of Inspect AI: each recorded trap with its right values, and what Inspect itself writes."""

import json
import resource
import shutil
import subprocess
import sys
import zipfile
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import pytest
from importing import CASES, cases, graded, imported, known, refused, rows_of

from scalinglab.errors import DataError
from scalinglab.samples import Asked, read_logs

SUMS = ("prompt_tokens", "output_tokens")


def column(name):
    return name.replace("output", "generated")


def assert_right(rows, right):
    """All that a case's expectation says of the rows."""
    if "rows" in right:
        assert len(rows) == right["rows"]
    for grade in ("right", "wrong", "error", "ungraded", "partial"):
        if grade in right:
            found = graded(rows, grade)
            assert (
                (found == sorted(right[grade])) if isinstance(right[grade], list) else len(found) == right[grade]
            )
    for name in SUMS:
        if name in right:
            assert sum(known(rows, column(name))) == right[name]
    for _, row in rows.iterrows():
        for name, value in (right.get("each", {}) | right.get("each_by_id", {}).get(row["problem"], {})).items():
            if name.endswith("_tokens"):
                assert row[column(name)] == value


def shares(rows):
    """Right of all, by problem."""
    return {
        problem: f"{(group['grade'] == 'right').sum()}/{len(group)}" for problem, group in rows.groupby("problem")
    }


@pytest.mark.parametrize(("case", "right"), cases("inspect", "import", "flag", "either"))
def test_every_case_comes_in_with_its_values(case, right, scalinglab, tmp_path):
    rows, notes = imported(scalinglab, tmp_path, "inspect", case)
    assert_right(rows, right)
    if right["must"] == "flag":
        assert notes


@pytest.mark.parametrize("name", ["epochs4.eval", "epochs4.json"])
def test_epochs_are_samples_in_either_form(name, scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", f"inspect/{name}")
    assert shares(rows) == {"two": "3/4", "three": "0/4", "ten": "4/4"}
    assert set(zip(rows["sample"], rows["generated_tokens"], strict=True)) == {(1, 3), (2, 4), (3, 5), (4, 6)}
    assert set(rows["prompt_tokens"]) == {11}
    assert rows["cached_tokens"].isna().all()
    assert rows["thinking_tokens"].isna().all()


def test_the_tokens_of_a_failed_sample_are_unknown(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", "inspect/errors.eval")
    tokens = dict(zip(rows["problem"], known(rows, "generated_tokens"), strict=True))
    assert tokens == {"q1": 4, "q2": 4, "q3": None, "q4": 4, "q5": None, "q6": 4}


def test_partial_credit_is_right_from_the_threshold_that_was_asked_for(scalinglab, tmp_path):
    rows, notes = imported(scalinglab, tmp_path, "inspect", "inspect/values.eval", "--threshold 0.5")
    assert graded(rows, "right") == sorted(["c", "one", "true", "yes", "textone", "p", "half"])
    assert notes == ""


@pytest.mark.parametrize(("case", "right"), cases("inspect", "ask"))
def test_open_scores_are_asked_for_and_each_is_read(case, right, scalinglab, tmp_path):
    refused(scalinglab, tmp_path, "inspect", case, "--score", *right["choices"])
    for score, grades in right["choices"].items():
        (tmp_path / score).mkdir()
        rows, _ = imported(scalinglab, tmp_path / score, "inspect", case, f"--score {score}")
        assert {one.problem: int(one.grade == "right") for one in rows.itertuples()} == grades


def test_a_score_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="expected one of match"):
        read_logs(CASES / "inspect/epochs4.eval", "inspect", Asked(score="macth"))


def test_a_model_that_is_not_there_is_refused_and_one_of_two_is_taken():
    folder = CASES / "inspect/two_models"
    with pytest.raises(DataError, match="expected one of mockllm/large, mockllm/small"):
        read_logs(folder, "inspect", Asked(model="small"))
    assert set(read_logs(folder, "inspect", Asked(model="mockllm/small")).rows["model"]) == {"mockllm/small"}


def test_the_finish_reason_tells_what_cut_an_answer(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", "inspect/limit_token.eval")
    assert list(rows["finish_reason"]) == ["token limit (200)"]
    (tmp_path / "more").mkdir()
    case = "inspect/usage_grader_cache_thinking.eval"
    rows, _ = imported(scalinglab, tmp_path / "more", "inspect", case)
    assert set(rows["finish_reason"]) == {"length"}  # Inspect's max_tokens


def test_models_share_problems_whatever_type_their_ids_have(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", "inspect/two_models")
    right = dict(cases("inspect", "import"))["inspect/two_models"]["models"]
    for model, grades in right.items():
        mine = rows[rows["model"] == model]
        assert {one.problem: int(one.grade == "right") for one in mine.itertuples()} == grades


def test_a_retry_counts_each_sample_once(scalinglab, tmp_path):
    rows, notes = imported(scalinglab, tmp_path, "inspect", "inspect/retried")
    assert shares(rows) == {"s1": "1/1", "s2": "0/1", "s3": "1/1", "s4": "1/1"}
    assert known(rows, "generated_tokens") == [None] * 4
    assert "each sample counts once" in notes


def test_tasks_of_one_folder_are_kept_apart(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", "inspect/two_tasks")
    right = dict(cases("inspect", "import"))["inspect/two_tasks"]["by_task"]
    for task, grades in right.items():
        mine = rows[rows["task"] == task]
        assert {one.problem: int(one.grade == "right") for one in mine.itertuples()} == grades


def test_prompts_of_one_task_are_arms_of_their_own(scalinglab, tmp_path):
    rows, _ = imported(scalinglab, tmp_path, "inspect", "inspect/two_prompts")
    arms = dict(cases("inspect", "flag"))["inspect/two_prompts"]["arms"]
    for name, right in arms.items():
        mine = rows[rows["effort"] == f"prompt={name}"]
        assert graded(mine, "right") == [str(one) for one in right["right"]]
        assert len(mine) == right["n"]
        assert {*mine["prompt_tokens"]} == {right["prompt_tokens"]}
        assert {*mine["generated_tokens"]} == {right["output_tokens"]}


def test_the_same_evaluation_twice_is_refused(tmp_path):
    for name in "ab":
        shutil.copy(CASES / "inspect/epochs4.json", tmp_path / f"{name}.json")
    text = (tmp_path / "b.json").read_text().replace('"task_id"', '"task_id": "another", "was"', 1)
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json and .*b\.json are of one model and task with the same settings"):
        read_logs(tmp_path, "inspect")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("sample_retried.eval", ["q2 epoch 1", "last attempt alone"]),
        ("values.eval", ["2 answers have partial credit", "--threshold"]),
        ("usage_thinking_outside.json", ["p1 epoch 1, p2 epoch 1", "added"]),
        ("status_started.eval", ["status started, 5 of 8 samples"]),
        ("status_error.eval", ["status error, 5 of 8 samples"]),
        (
            "edited_invalidated.eval",
            ["e1 epoch 1: the score match was edited", "e3 epoch 1: invalidated by reviewer"],
        ),
        ("hostile_names.eval", ["1 members that are no samples"]),
    ],
)
def test_what_is_odd_is_said(case, words):
    notes = "\n".join(read_logs(CASES / "inspect" / case, "inspect").notes)
    assert all(word in notes for word in words), notes


@pytest.mark.parametrize(("case", "right"), cases("inspect", "refuse"))
def test_what_cannot_be_read_is_refused_in_a_line(case, right, scalinglab, tmp_path):
    assert right["must"] == "refuse"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(scalinglab, tmp_path, "inspect", case, Path(case).name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_names_in_an_archive_are_never_written_to(scalinglab, tmp_path):
    imported(scalinglab, tmp_path, "inspect", "inspect/hostile_names.eval")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert not list(Path("/tmp").glob("scalinglab_escaped*"))


def test_a_member_that_is_damaged_is_refused(tmp_path):
    whole = (CASES / "inspect/epochs4.eval").read_bytes()
    at = whole.index(b"samples/two_epoch_1.json") + 400
    (tmp_path / "bad.eval").write_bytes(whole[:at] + bytes(8) + whole[at + 8 :])
    with pytest.raises(DataError, match=r"bad\.eval: samples/two_epoch_1\.json (cannot be unpacked|is damaged)"):
        read_logs(tmp_path / "bad.eval", "inspect")


def test_an_archive_of_before_2026_is_deflated_and_reads_the_same(tmp_path):
    from scalinglab.samples.importers.archives import Archive

    path = CASES / "inspect/epochs4.eval"
    with Archive(path) as archive, zipfile.ZipFile(tmp_path / "old.eval", "w", zipfile.ZIP_DEFLATED) as old:
        for name in archive.names():
            old.writestr(name, archive.read(name))
    assert read_logs(tmp_path / "old.eval").rows.equals(read_logs(path).rows)


def sample(**usage):
    return {"id": 1, "epoch": 1, "scores": {"judge": {"value": "C"}}, **usage}


def logged(tmp_path, *samples, **header):
    about = {"task": "t", "model": "m", "dataset": {"samples": len(samples)}, "config": {}} | header
    log = {"version": 2, "status": "success", "eval": about, "samples": list(samples)}
    (tmp_path / "log.json").write_text(json.dumps(log))
    return read_logs(tmp_path / "log.json", "inspect")


@pytest.mark.parametrize(
    ("usage", "prompt", "output"),
    [
        ({"input_tokens": 120, "output_tokens": 9, "total_tokens": 129, "input_tokens_cache_read": 100}, 120, 9),
        ({"input_tokens": 20, "output_tokens": 9, "total_tokens": 129, "input_tokens_cache_read": 100}, 120, 9),
        ({"input_tokens": 20, "output_tokens": 9, "input_tokens_cache_read": 100}, 120, 9),
        ({"input_tokens": 20, "output_tokens": 9, "total_tokens": 29, "reasoning_tokens": 5}, 20, 9),
        ({"input_tokens": 20, "output_tokens": 9, "total_tokens": 34, "reasoning_tokens": 5}, 20, 14),
        ({"input_tokens": 20, "output_tokens": 9, "reasoning_tokens": 50}, 20, 59),
    ],
)
def test_the_total_tells_what_a_usage_holds(usage, prompt, output, tmp_path):
    row = logged(tmp_path, sample(model_usage={"m": usage})).rows.iloc[0]
    assert (row["prompt_tokens"], row["generated_tokens"]) == (prompt, output)


def test_a_model_that_graded_itself_in_no_role_and_without_events_has_unknown_tokens(tmp_path):
    usage = {"m": {"input_tokens": 325, "output_tokens": 49, "total_tokens": 374}}
    log = logged(tmp_path, sample(model_usage=usage), scorers=[{"name": "model_graded_qa"}])
    assert log.rows["generated_tokens"].isna().all()


def test_a_score_that_is_no_grade_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"sample 1, judge has the score 7; expected 0 to 1; .*--threshold"):
        logged(tmp_path, sample() | {"scores": {"judge": {"value": 7}}})
    with pytest.raises(DataError, match="has the score 'B'"):
        logged(tmp_path, sample() | {"scores": {"judge": {"value": "B"}}})


def test_a_log_that_nobody_scored_is_refused(tmp_path):
    with pytest.raises(DataError, match="0 scores in t"):
        logged(tmp_path, sample() | {"scores": {}})


def test_two_real_logs_of_headers_and_summaries(scalinglab, tmp_path):
    done = scalinglab("import auto LOGS --out OUT", LOGS=CASES / "inspect_real", OUT=tmp_path / "run")
    assert done.code == 0, done.err
    rows = rows_of(tmp_path / "run")
    told = {
        model: (Fraction(int((mine["grade"] == "right").sum()), len(mine)), int(mine["generated_tokens"].sum()))
        for model, mine in rows.groupby("model")
    }
    assert told == {
        "mistral/magistral-small-2506": (Fraction(108, 360), 1_851_297),  # .300; 5,142 a sample
        "mistral/mistral-large-2411": (Fraction(56, 720), 666_278),  # .0778; 925 a sample
    }


def test_what_came_in_is_graded_anew_by_its_own_right_answers(scalinglab, tmp_path):
    before, _ = imported(scalinglab, tmp_path, "inspect", "inspect/two_tasks")
    done = scalinglab("regrade OUT --answers text --json", OUT=tmp_path / "run")
    assert done.code == 0, done.err
    assert json.loads(done.out)["changed"] == 0
    assert list(rows_of(tmp_path / "run")["grade"]) == list(before["grade"])


WRITTEN = """
import sys, inspect_ai
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
outputs = [ModelOutput.from_content("mockllm/small", text) for text in ("4", "9", "4", "8")]
for one in outputs:
    one.usage = ModelUsage(input_tokens=11, output_tokens=3, total_tokens=14)
data = [Sample(input="2+2", target="4", id="two"), Sample(input="3+5", target="8", id="three")]
task = inspect_ai.Task(dataset=data, scorer=match(), epochs=2, name="sums")
model = get_model("mockllm/small", custom_outputs=outputs)
form, folder = sys.argv[1:]
inspect_ai.eval(task, model=model, log_dir=folder, log_format=form, max_samples=1, display="none")
"""
"""A log of scripted answers: three of four are right."""


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="needs inspect_ai")
@pytest.mark.parametrize("form", ["eval", "json"])
def test_inspect_itself_writes_what_is_read(form, tmp_path):
    line = [sys.executable, "-c", WRITTEN, form, str(tmp_path)]
    subprocess.run(line, check=True, capture_output=True, cwd=tmp_path)
    log = read_logs(tmp_path, "inspect")
    assert shares(log.rows) == {"two": "2/2", "three": "1/2"}
    assert set(log.rows["prompt_tokens"]) == {11}
    assert set(log.rows["generated_tokens"]) == {3}
    assert log.notes == ()
