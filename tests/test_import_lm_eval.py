"""Logs of lm-evaluation-harness: filters, metrics, repeats, votes, reruns, and whose they are."""

import json
import shutil

import pytest
from commands import assert_refused
from imports_read import CASES, answers, counts

from scalinglab.samples import Asked, read_logs


@pytest.mark.parametrize("path", sorted((CASES / "lm-eval").rglob("samples_*.jsonl")), ids=lambda path: path.name)
def test_accuracies_are_those_that_lm_eval_printed(path):
    task, date = path.stem.removeprefix("samples_").split("_")
    printed = json.loads(path.with_name(f"results_{date}.json").read_text())["results"][task]
    wanted = {name: value for name, value in printed.items() if isinstance(value, float) and "_stderr" not in name}
    assert wanted
    for name, value in wanted.items():
        log = read_logs(path, asked=Asked(score=name.removesuffix(",none")))
        assert (log.rows["grade"] == "right").mean() == value


def test_one_filter_of_two_by_its_name_alone(imported):
    run, notes = imported("lm-eval", CASES / "lm-eval/two_filters", "--filter flexible-extract")
    assert counts(run) == {"apples": "1/1", "coins": "1/1", "km": "0/1", "pens": "1/1"}
    assert set(answers(run)["model"]) == {"org/tiny-1B"}  # the folder says org__tiny-1B
    assert set(answers(run)["task"]) == {"tinygen"}
    assert run.calls.empty  # no tokens are in the log, and none are 0
    assert not notes


def test_a_text_in_which_a_filter_finds_nothing_is_unparsed_and_stays(imported):
    run, _ = imported("lm-eval", CASES / "lm-eval/two_filters", "--filter strict-match")
    found = answers(run).set_index("problem")
    assert found["grade"].to_dict() == {"apples": "right", "coins": "right", "km": "wrong", "pens": "unparsed"}
    assert found["answer"].dropna().to_dict() == {"apples": "7", "coins": "1", "km": "9"}
    assert found.loc["pens", "text"] == "5*6 is 30"


def test_one_grade_for_four_texts_is_one_sample_and_twelve_are_said_to_be_left_out(imported):
    run, notes = imported("lm-eval", CASES / "lm-eval/repeats_two_filters", "--filter strict-match")
    assert answers(run).set_index("problem")["text"]["apples"] == "3+4=7 #### 7"
    assert any("of 16 texts 12 have no grade" in note for note in notes)


def test_of_two_runs_of_one_task_the_fuller_is_read_and_both_are_named(imported):
    _, notes = imported("lm-eval", CASES / "lm-eval/rerun", "--filter strict-match")
    assert "157751.jsonl is read, not samples_tinygen_2026-11-25T08-22-48.285126.jsonl (2)" in notes[0]


def test_tasks_that_leave_different_things_open_are_answered_together(tmp_path, imported, scalinglab):
    folder = shutil.copytree(CASES / "lm-eval/two_filters", tmp_path / "log")
    shutil.copytree(CASES / "lm-eval/multiple_choice", folder, dirs_exist_ok=True)
    run, notes = imported("lm-eval", folder, "--filter strict-match --score acc")
    right = answers(run)["grade"].eq("right").groupby(answers(run)["task"]).sum()
    assert right.to_dict() == {"tinygen": 2, "tinymc": 1}
    assert notes == ["  - graded: tinygen by exact_match,strict-match, tinymc by acc"]
    shutil.rmtree(tmp_path / "out")
    run, _ = imported("lm-eval", folder, "--score acc_norm --task tinymc")
    assert set(answers(run)["task"]) == {"tinymc"}
    line = "import lm-eval LOG --out OUT --score acc --task other"
    assert_refused(scalinglab(line, LOG=folder, OUT=tmp_path / "none"), "one of tinygen, tinymc")


def test_a_vote_over_texts_is_the_outcome_of_its_arm(tmp_path, imported):
    folder = shutil.copytree(CASES / "lm-eval/repeats_two_filters", tmp_path / "log")
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text(path.read_text().replace("take_first", "majority_vote"))
    run, notes = imported("lm-eval", folder, "--filter strict-match")
    assert set(answers(run)["strategy"]) == {"majority"}
    assert set(answers(run)["budget"]) == {4}
    assert set(answers(run)["text"]) == {""}
    assert "one vote a problem" in notes[0]


def test_the_results_name_the_model_and_no_option_renames_it(scalinglab, tmp_path):
    done = scalinglab(
        "import lm-eval LOG --out OUT --filter strict-match --model mine",
        LOG=CASES / "lm-eval/two_filters",
        OUT=tmp_path / "out",
    )
    assert_refused(done, "is of org/tiny-1B")


def test_without_results_the_folder_names_the_model_and_that_is_said(tmp_path, imported):
    folder = shutil.copytree(CASES / "lm-eval/two_filters", tmp_path / "log")
    next(folder.rglob("results_*.json")).unlink()
    run, notes = imported("lm-eval", folder, "--filter strict-match")
    assert set(answers(run)["model"]) == {"org__tiny-1B"}
    assert "names the model" in notes[0]


def test_a_metric_of_which_less_is_better_is_no_grade(tmp_path, scalinglab):
    folder = shutil.copytree(CASES / "lm-eval/multiple_choice", tmp_path / "log")
    results = next(folder.rglob("results_*.json"))
    results.write_text(results.read_text().replace('"acc": true', '"acc": false'))
    done = scalinglab("import lm-eval LOG --out OUT --score acc", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done, "one of acc_norm")


def test_a_log_without_metrics_is_refused(tmp_path, scalinglab):
    folder = shutil.copytree(CASES / "lm-eval/two_filters", tmp_path / "log")
    samples = next(folder.rglob("samples_*.jsonl"))
    samples.write_text(samples.read_text().replace('"metrics": ["exact_match"]', '"metrics": []'))
    done = scalinglab("import lm-eval LOG --out OUT", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done, "no metrics")


def test_answers_that_nobody_graded_are_refused_and_partial_ones_are_never_right(tmp_path, scalinglab, imported):
    folder = shutil.copytree(CASES / "lm-eval/multiple_choice", tmp_path / "log")
    samples = next(folder.rglob("samples_*.jsonl"))
    whole = samples.read_text()
    samples.write_text(whole.replace('"acc": 1.0', '"acc": 0.5'))
    run, _ = imported("lm-eval", folder, "--score acc")
    assert answers(run)["grade"].tolist() == ["wrong", "partial", "wrong"]
    shutil.rmtree(tmp_path / "out")
    run, _ = imported("lm-eval", folder, "--score acc --threshold 0.5")
    assert answers(run)["grade"].tolist() == ["wrong", "right", "wrong"]
    for value in ("1.0", "0.0"):
        whole = whole.replace(f'"acc": {value}', '"acc": null')
    samples.write_text(whole)
    done = scalinglab("import lm-eval LOG --out OUT2 --score acc", LOG=folder, OUT2=tmp_path / "none")
    assert_refused(done, "no grades under acc")


def test_positions_in_data_that_changed_are_not_one_problem(tmp_path, scalinglab):
    folder = shutil.copytree(CASES / "lm-eval/multiple_choice", tmp_path / "log")
    other = shutil.copytree(folder / "org__tiny-1B", folder / "org__big")
    for path in other.iterdir():
        path.write_text(
            path.read_text().replace("org/tiny-1B", "org/big").replace('"doc_hash": "d', '"doc_hash": "e')
        )
    done = scalinglab("import lm-eval LOG --out OUT --score acc", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done, "problem 0 of tinymc")
