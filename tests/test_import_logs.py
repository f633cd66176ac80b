"""Logs of lm-eval, LightEval, search-and-learn, Large Language Monkeys and EvalPlus: their cases' values."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused

from scalinglab.errors import DataError
from scalinglab.samples import Asked, filled, read_logs, read_run

CASES = Path(__file__).parent / "data" / "import"
EXPECTED = json.loads((CASES / "expected-b.json").read_text())
SAL = "sal/data/org/tiny-1B/{}_completions.jsonl"
PLUS = "evalplus/org--tiny-1B_vllm_temp_0.8_eval_results.json"
FILTERED = {"lm-eval/repeats_two_filters": "--filter strict-match", "lm-eval/rerun": "--filter strict-match"}
"""What these leave open, answered."""


def named(*musts):
    return [name for name, of in EXPECTED.items() if of["kind"] != "table" and of["must"] in musts]


@pytest.fixture
def imported(scalinglab, tmp_path):
    """Imports a path by name of its kind, and reads the run back; notes are what the command printed below."""

    def run(kind, path, options=""):
        done = scalinglab(f"import {kind} LOG --out OUT {options}", LOG=path, OUT=tmp_path / "out")
        assert (done.code, done.err) == (0, "")
        return read_run(tmp_path / "out"), [line for line in done.out.splitlines() if line.startswith("  - ")]

    return run


def answers(run):
    units = run.units.set_index("key")[["model", "problem", "task", "strategy", "parameters", "budget"]]
    return run.solutions.join(units, on="unit").reset_index(drop=True)


def counts(run):
    return {
        problem: f"{(of['grade'] == 'right').sum()}/{len(of)}" for problem, of in answers(run).groupby("problem")
    }


def as_counts(values):
    """Expected values by problem, as a count, one grade, or a list of grades."""

    def count(value):
        if isinstance(value, list):
            return f"{sum(value)}/{len(value)}"
        return value if isinstance(value, str) else f"{value}/1"

    return {problem: count(value) for problem, value in values.items()}


def tokens(run, name):
    return dict(zip(run.calls["position"], run.calls[name], strict=True))


@pytest.mark.parametrize("name", named("ask"))
def test_what_a_log_leaves_open_is_asked_and_each_choice_has_its_values(name, scalinglab, imported, tmp_path):
    of = EXPECTED[name]
    asked = scalinglab(f"import {of['kind']} LOG --out OUT", LOG=CASES / name, OUT=tmp_path / "out")
    for choice in of["choices"]:
        assert_refused(asked, choice)
    assert not (tmp_path / "out").exists()
    for choice, values in of["choices"].items():
        run, _ = imported(of["kind"], CASES / name, f"--score {choice}")
        assert counts(run) == as_counts(values)
        assert len(run.solutions) == of["rows"]
        shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("name", named("import", "flag"))
def test_a_log_has_exactly_its_values(name, imported):
    of = EXPECTED[name]
    run, notes = imported(of["kind"], CASES / name, FILTERED.get(name, ""))
    first_only = of.get("first_only", {}).get("strict-match")
    by = next((of[key] for key in ("by", "counts", "latest") if key in of), first_only)
    if by:
        assert counts(run) == as_counts(by)
    if isinstance(of.get("right"), dict):
        rights = answers(run).groupby("problem")["grade"].agg(lambda grades: [int(g == "right") for g in grades])
        assert rights.to_dict() == of["right"]
    elif "right" in of:
        assert (run.solutions["grade"] == "right").sum() == of["right"]
    assert len(run.solutions) == of.get("rows", of.get("rows_graded", len(run.solutions)))
    assert notes or of["must"] == "import"


@pytest.mark.parametrize("name", named("refuse"))
def test_what_has_no_grades_or_too_few_is_refused_by_name(name, scalinglab, tmp_path):
    done = scalinglab("import monkeys LOG --out OUT", LOG=CASES / name, OUT=tmp_path / "out")
    assert_refused(done, "3.yaml has")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", named("import", "flag", "ask"))
def test_the_kind_is_guessed(name):
    of = EXPECTED[name]
    asked = Asked(score=next(iter(of["choices"]))) if of["must"] == "ask" else Asked()
    asked = Asked(filter="strict-match") if name in FILTERED else asked
    pd.testing.assert_frame_equal(
        read_logs(CASES / name, asked=asked).rows, read_logs(CASES / name, of["kind"], asked).rows
    )


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


def test_lighteval_tokens_are_the_lengths_of_its_lists(imported):
    of = EXPECTED["lighteval/two_metrics"]
    run, _ = imported("lighteval", CASES / "lighteval/two_metrics", "--score em")
    called = run.calls.merge(answers(run)[["unit", "problem", "model", "task"]], on="unit", suffixes=("", "_"))
    each = called.set_index("problem")[["prompt_tokens", "generated_tokens"]]
    assert {problem: list(row) for problem, row in each.T.items()} == of["tokens"]
    assert set(answers(run)["model"]) == {"org/tiny-1B"}
    assert set(answers(run)["task"]) == {"tiny_math|0"}


def test_a_rate_is_counts_and_says_that_it_tells_no_text(imported, tmp_path, scalinglab):
    run, notes = imported("lighteval", CASES / "lighteval/pass_at_k")
    assert set(answers(run)["text"]) == {""}
    assert tokens(run, "generated_tokens") == {0: 3, 1: 4, 2: 5, 3: 6}
    assert "which of them are right, it does not say" in notes[0]
    done = scalinglab(
        "import lighteval LOG --out OUT2 --score pass@k:k=4&n=4",
        LOG=CASES / "lighteval/pass_at_k",
        OUT2=tmp_path / "k4",
    )
    assert_refused(done, "no grade of a sample")


def test_of_two_runs_as_full_the_later_is_read(imported):
    _, notes = imported("lighteval", CASES / "lighteval/rerun")
    assert "2026-11-21T09-00-00.000000.parquet is read, not details_tiny_math|0_2026-11-20" in notes[0]


def test_best_of_n_is_independent_samples_graded_here(imported):
    name = SAL.format("best_of_n")
    of = EXPECTED[name]
    run, notes = imported("sal", CASES / name)
    found = answers(run)
    first = found[found["problem"] == "test/algebra/11.json"]
    assert [scores[0] for scores in first["scores"]] == of["last_scores"]["test/algebra/11.json"]
    assert first["grade"].tolist() == ["right", "right", "wrong", "unparsed"]
    assert first["answer"].dropna().tolist() == ["3/4", "3/4", "1/6"]  # what is equal votes together
    called = run.calls[run.calls["unit"] == first["unit"].iloc[0]]
    assert called["generated_tokens"].tolist() == of["output_tokens"]["test/algebra/11.json"]
    assert called["prompt_tokens"].isna().all()
    assert set(found["strategy"]) == {"parallel"}
    assert set(found["model"]) == {"org/tiny-1B"}
    assert "graded here" in notes[0]


def test_right_answers_are_kept_with_the_run(imported, tmp_path):
    imported("sal", CASES / SAL.format("best_of_n"))
    lines = [json.loads(line) for line in (tmp_path / "out" / "references.jsonl").read_text().splitlines()]
    assert lines[0] == {"task": "table", "problem": "test/algebra/11.json", "answer": "\\frac{3}{4}"}
    shutil.rmtree(tmp_path / "out")
    imported("monkeys", CASES / "monkeys/eval_results")
    lines = [json.loads(line) for line in (tmp_path / "out" / "references.jsonl").read_text().splitlines()]
    assert {line["problem"]: line["answer"] for line in lines} == {"0": "4", "7": "9", "10": "9"}


def test_an_imported_run_is_graded_anew_from_what_it_keeps(imported, tmp_path, document):
    imported("sal", CASES / SAL.format("best_of_n"))
    again = document("regrade OUT", OUT=tmp_path / "out")
    assert (again["solutions"], again["changed"], again["rewritten"]) == (12, 0, 0)


def test_a_right_answer_that_cannot_be_read_is_refused_before_anything_is_graded(scalinglab, tmp_path):
    path = tmp_path / "best_of_n_completions.jsonl"
    path.write_text((CASES / SAL.format("best_of_n")).read_text().replace('"answer":"7"', '"answer":"\\\\frac{"'))
    done = scalinglab("import sal LOG --out OUT --model m", LOG=path, OUT=tmp_path / "out")
    assert_refused(done, "test/number_theory/5.json")


def test_two_right_answers_to_one_problem_are_refused(scalinglab, tmp_path):
    folder = shutil.copytree(CASES / "sal", tmp_path / "log")
    path = next(folder.rglob("dvts_*"))
    path.write_text(path.read_text().replace('"answer":"7"', '"answer":"8"'))
    done = scalinglab("import sal LOG --out OUT", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done, "two right answers to table/test/number_theory/5.json")


def test_finals_of_a_search_are_no_samples_and_their_tokens_are_unknown(imported):
    run, notes = imported("sal", CASES / SAL.format("dvts"), "--model mine")
    assert set(answers(run)["strategy"]) == {"dvts"}
    assert run.calls.empty
    assert "lower bound" in notes[0]
    assert set(answers(run)["model"]) == {"mine"}


def test_copies_of_beams_are_charged_once(imported):
    run, notes = imported("sal", CASES / SAL.format("beam_search"))
    by = run.calls.merge(run.units[["key", "problem"]], left_on="unit", right_on="key")
    written = by.groupby("problem")["generated_tokens"].agg(list).to_dict()
    assert written == {"test/algebra/2.json": [30, 28, 0, 0], "test/number_theory/5.json": [25, 0, 0, 0]}
    assert "5 completions are copies" in notes[1]


def test_problems_of_a_folder_are_in_the_order_of_their_numbers():
    log = read_logs(CASES / "monkeys/eval_results", "monkeys", Asked(model="org/tiny-1B"))
    assert list(dict.fromkeys(log.rows["problem"])) == ["0", "7", "10"]
    assert set(log.rows["model"]) == {"org/tiny-1B"}
    assert log.notes == ()


def test_one_name_for_the_folders_of_several_models_is_refused(scalinglab, tmp_path):
    shutil.copytree(CASES / "monkeys/eval_results/MATH_tiny-1B", tmp_path / "log" / "a")
    shutil.copytree(CASES / "monkeys/eval_results/MATH_tiny-1B", tmp_path / "log" / "b")
    done = scalinglab("import monkeys LOG --out OUT --model m", LOG=tmp_path / "log", OUT=tmp_path / "out")
    assert_refused(done, "for the logs of 2 models")


def test_plus_tests_that_were_not_run_are_not_all_failed(scalinglab, tmp_path):
    name = PLUS.replace("_eval", "_base_only_eval")
    done = scalinglab("import evalplus LOG --out OUT --score plus", LOG=CASES / name, OUT=tmp_path / "out")
    assert_refused(done, "one of base")


def test_the_layout_of_2023_is_read(tmp_path, imported):
    each = {"nfiles": 2, "base": [["success", []], ["failed", []]], "plus": [["failed", []], ["timeout", []]]}
    path = tmp_path / "org--m_temp_0.8_eval_results.json"
    path.write_text(json.dumps({"date": "2023-06-01", "eval": {"HumanEval/0": each}}))
    run, _ = imported("evalplus", path, "--score base --model org/m")
    assert counts(run) == {"HumanEval/0": "1/2"}


def test_two_files_of_one_model_are_refused_by_name(scalinglab, tmp_path):
    done = scalinglab("import evalplus LOG --out OUT --score base", LOG=CASES / "evalplus", OUT=tmp_path / "out")
    assert_refused(done, "base_only_eval_results.json and org--tiny-1B_vllm_temp_0.8_eval_results.json")


DAMAGE = {
    "cut": lambda content: content[: len(content) * 2 // 3],
    "empty": lambda _: b"",
    "binary": lambda content: content[:40] + bytes(range(256)),
    "deep": lambda content: content[:30] + b"[" * 200_000,
}
ONE_OF_EACH = {
    "lm-eval": ("lm-eval/two_filters", "samples_*.jsonl", "--filter strict-match"),
    "lighteval": ("lighteval/two_metrics", "*.parquet", "--score em"),
    "sal": ("sal", "best_of_n_*.jsonl", ""),
    "monkeys": ("monkeys/eval_results", "7.yaml", ""),
    "evalplus": ("evalplus", "*0.8_eval_results.json", "--score base"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_damaged_log_is_one_line_and_nothing_is_written(kind, damage, scalinglab, tmp_path):
    name, pattern, options = ONE_OF_EACH[kind]
    folder = shutil.copytree(CASES / name, tmp_path / "log")
    path = next(folder.rglob(pattern))
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    done = scalinglab(f"import {kind} LOG --out OUT {options}", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log"]


@pytest.mark.parametrize(
    "hostile",
    [
        "samples: !!python/object/apply:os.system ['touch /tmp/pwned']\nis_corrects: [true]\n",
        "samples: &a [x]\nis_corrects: [*a]\n",
        "samples: &a [*a]\nis_corrects: [true]\n",
        "samples: [1, 2]\nis_corrects: [true, false]\n",
        "samples: ['a']\nis_corrects: ['yes please']\n",
        "samples: ['a']\nis_corrects: [true]\nis_correct: [false]\n",
        "samples:\n" + "".join(f"{' ' * (i + 1)}- \n" for i in range(3000)),
    ],
    ids=["object", "alias", "loop", "numbers", "words", "both", "deep"],
)
def test_hostile_yaml_is_one_line(hostile, scalinglab, tmp_path):
    path = tmp_path / "3.yaml"
    path.write_text(hostile)
    assert_refused(scalinglab("import monkeys LOG --out OUT", LOG=path, OUT=tmp_path / "out"), "3.yaml")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("completions", []),
        ("completions", "text"),
        ("scores", [[0.1]]),
        ("scores", [["a"], [0.1], [0.2], [0.3]]),
        ("completion_tokens", [1, 2]),
        ("completion_tokens", -2),
        ("answer", None),
        ("answer", {}),
    ],
)
def test_a_line_of_sal_that_cannot_be_is_named(part, value, tmp_path):
    lines = (CASES / SAL.format("best_of_n")).read_text().splitlines()
    path = tmp_path / "best_of_n_completions.jsonl"
    path.write_text("\n".join([lines[0], json.dumps(json.loads(lines[1]) | {part: value})]))
    with pytest.raises(DataError, match="line 2"):
        read_logs(path, "sal", Asked(model="m"))


@pytest.mark.parametrize("kind", ["sal", "lighteval"])
def test_a_log_that_names_no_model_asks_for_it(kind, scalinglab, tmp_path):
    name, pattern, options = ONE_OF_EACH[kind]
    found = next((CASES / name).rglob(pattern))
    path = shutil.copy(found, tmp_path / found.name)
    assert_refused(scalinglab(f"import {kind} LOG --out OUT {options}", LOG=path, OUT=tmp_path / "o"), "--model")
    done = scalinglab(f"import {kind} LOG --out OUT {options} --model m", LOG=path, OUT=tmp_path / "o")
    assert done.code == 0


TWINS = {
    "lm-eval": ("lm-eval/multiple_choice", "org__tiny-1B", "org__big", "--score acc"),
    "lighteval": ("lighteval/pass_at_k", "details/org/tiny-1B", "details/org/big", ""),
    "sal": ("sal", "data/org/tiny-1B", "data/org/big", ""),
    "monkeys": ("monkeys/eval_results", "MATH_tiny-1B", "big", ""),
}


@pytest.mark.parametrize("kind", TWINS)
def test_from_a_folder_of_two_models_to_a_verdict_in_two_commands(kind, scalinglab, imported, tmp_path):
    name, small, large, options = TWINS[kind]
    folder = shutil.copytree(CASES / name, tmp_path / "log")
    other = shutil.copytree(folder / small, folder / large)
    for path in other.glob("results_*.json"):
        path.write_text(path.read_text().replace("org/tiny-1B", "org/big"))
    run, _ = imported("auto", folder, options)
    models = sorted(set(answers(run)["model"]), key=lambda model: "big" in model)
    assert len(models) == 2
    specs = " ".join(f"--spec {one}={of}" for one, of in zip(models, ("Pythia-2.8B", "Pythia-6.9B"), strict=True))
    done = scalinglab(
        f"exchange OUT --small {models[0]} --large {models[1]} {specs} --bins 1 --json", OUT=tmp_path / "out"
    )
    assert done.code == 0, done.err
    verdicts = {row["verdict"] for row in json.loads(done.out)["rows"]}
    assert verdicts <= {"test-time", "pretraining", "undecided", "cannot pay", "outside measured budgets"}
    assert verdicts


def test_a_mean_length_leaves_copies_out(imported):
    run, _ = imported("sal", CASES / "sal")
    whole, unreported = filled(run, {"prompt": 10, "generated": 10})
    written = run.calls["generated_tokens"].astype("Float64")
    assert next(one.taken for one in unreported if one.what == "generated") == pytest.approx(
        round(float(written[written > 0].mean()))
    )
    assert np.isfinite(whole.calls["generated_tokens"]).all()
