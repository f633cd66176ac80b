"""Logs of lm-eval, LightEval, search-and-learn, Large Language Monkeys and EvalPlus: their cases' values."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused
from imports_read import CASES, EXPECTED, PLUS, SAL, answers, as_counts, counts, named, tokens

from scalinglab.samples import Asked, filled, read_logs

FILTERED = {"lm-eval/repeats_two_filters": "--filter strict-match", "lm-eval/rerun": "--filter strict-match"}
"""What these leave open, answered."""


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


def test_no_length_of_another_search_stands_for_one_that_tells_none(imported):
    run, _ = imported("sal", CASES / "sal")
    whole, unreported = filled(run, {"prompt": 10, "generated": 10})
    assert [one.arm for one in unreported if one.arm] == ["dvts"]
    assert sorted(whole.units["strategy"].unique()) == ["beam_search", "parallel"]
    assert np.isfinite(whole.calls["generated_tokens"]).all()
