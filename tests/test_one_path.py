"""One path: the same question of counts, a samples table, a run and a run with its plan has the same answer."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.evidence import open_evidence
from scalinglab.exchange import compare
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Call, RunStore, Solution, Unit
from scalinglab.specs import parse

PROBLEMS, SAMPLES, TOKENS = 40, {"SMALL": 32, "LARGE": 8}, 256
PRICES = ["--spec", "SMALL=1e9@20e9", "--spec", "LARGE=14e9@20e9", "--small", "SMALL", "--large", "LARGE"]
LINE = "parallel, coverage"
FORMS = ("counts", "samples", "run", "run with a plan")


def drawn():
    """Which samples of each model are right: (problems, samples) of bools by model."""
    rng = np.random.default_rng(0)
    ease = rng.beta(1, 3, PROBLEMS)
    chance = {"SMALL": ease, "LARGE": ease**0.6}
    return {name: rng.random((PROBLEMS, n)) < chance[name][:, None] for name, n in SAMPLES.items()}


def name_of(i):
    return f"p{i:02d}"


def write_counts(right, path):
    rows = [
        {"model": model, "problem": name_of(i), "n": len(one), "correct": int(one.sum())}
        for model, every in right.items()
        for i, one in enumerate(every)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)


def write_samples(right, path):
    rows = [
        {"model": model, "problem": name_of(i), "sample": j, "correct": bool(hit), "answer": str(int(hit))}
        for model, every in right.items()
        for i, one in enumerate(every)
        for j, hit in enumerate(one)
    ]
    pd.DataFrame(rows).assign(prompt_tokens=TOKENS, generated_tokens=TOKENS).to_csv(path, index=False)


def write_run(right, folder):
    folder.mkdir()
    with RunStore(folder / "run.sqlite") as store:
        for model, every in right.items():
            role = "large" if model == "LARGE" else "policy"
            for i, one in enumerate(every):
                unit = Unit("r", "t", name_of(i), role, model, "parallel", {"samples": len(one)}, len(one))
                calls = [
                    Call(role, model, TOKENS, TOKENS, TOKENS, sample=j, cached_tokens=0) for j in range(len(one))
                ]
                found = [
                    Solution("", str(int(hit)), "right" if hit else "wrong", [], sample=j)
                    for j, hit in enumerate(one)
                ]
                store.append(unit, calls, found)


def write_plan(folder):
    models = {name: {"model": f"somewhere/{name}", "url": [], "spec": None} for name in SAMPLES}
    plan = {"run": "r", "task": "t", "problems": [name_of(i) for i in range(PROBLEMS)], "cells": []}
    (folder / "study.json").write_text(json.dumps(plan | {"models": models, "verifiers": {}}))


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    folder, right = tmp_path_factory.mktemp("forms"), drawn()
    paths = dict(
        zip(FORMS, (folder / name for name in ("counts.csv", "samples.csv", "run", "planned")), strict=True)
    )
    write_counts(right, paths["counts"])
    write_samples(right, paths["samples"])
    for name in FORMS[2:]:
        write_run(right, paths[name])
    write_plan(paths["run with a plan"])
    return paths


def asked(verb, path, *options):
    done = CliRunner().invoke(app, [verb, str(path), *PRICES, *options, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def compared(path, *options, table="rows"):
    """The rows of the line that all forms hold, over all problems."""
    rows = [row for row in asked("exchange", path, *options)[table] if row["strategy"] == LINE]
    return pd.DataFrame([row for row in rows if row["bin"] == "all"])


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize(
    "options",
    [("--bins", "1"), ("--bins", "2"), ("--bins", "1", "--sunk"), ("--bins", "1", "--r", "0.01,1,400")],
    ids=" ".join,
)
def test_the_same_question_has_the_same_verdict_k_and_difference(forms, form, options):
    expected, found = (compared(forms[name], *options) for name in ("counts", form))
    assert expected["difference"].notna().any()
    columns = ["R", "convention", "against", "status", "k", "flops", "small", "large", "difference"]
    columns += ["low", "high", "relative", "verdict", "problems"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=1e-9)


@pytest.mark.parametrize("form", FORMS[1:])
def test_so_have_break_evens_thinking_and_curves(forms, form):
    for options, table in ((("--bins", "1"), "breakeven"), (("--bins", "1", "--thinking"), "rows")):
        expected, found = (compared(forms[name], *options, table=table) for name in ("counts", form))
        if table == "rows":  # votes of the large model are lines that counts cannot have
            found = found[found["against"].isin(expected["against"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
    expected, found = (pd.DataFrame(asked("curve", forms[name])["rows"]) for name in ("counts", form))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_a_selector_is_a_row_of_the_study(forms):
    every, one = (
        asked("exchange", forms["run"], "--bins", "1", *more) for more in ((), ("--selector", "majority"))
    )
    assert one["rows"] == [row for row in every["rows"] if row["selector"] == "majority"]
    assert {row["strategy"] for row in one["rows"]} == {"parallel, majority"}


@pytest.mark.parametrize("form", FORMS)
def test_a_model_that_is_not_in_the_data_is_refused_in_every_form(forms, form):
    line = ["exchange", str(forms[form]), *PRICES, "--spec", "SMAL=1e9@20e9"]
    refused = str(CliRunner().invoke(app, line).exception)
    assert refused.startswith("--spec SMAL, which is not in the data; expected one of LARGE, SMALL")


@pytest.mark.parametrize("form", FORMS)
def test_advice_can_be_asked_of_every_form(forms, form):
    found = asked("advise", forms[form], "--queries", "1e5", "--target", "0.2")
    for cost in found["hardware"]:
        assert (cost["seconds"], cost["latency"], cost["days"]) == (None, None, None)
        assert cost["why"].startswith("seconds unknown: "), "of a bare number of parameters, and the row says so"
    for option in (found["best"], found["second"]):
        assert sum(part["share"] for part in option["parts"]) == pytest.approx(1)
        assert all(part["k"] == int(part["k"]) for part in option["parts"]), "an arm that anyone can run"


def test_a_large_answer_is_checked_once_however_the_data_come():
    """Graded without answers, what the large model says once is checked once by a perfect verifier."""
    rng = np.random.default_rng(3)
    rows = [
        {"model": model, "problem": f"p{i}", "correct": bool(rng.random() < 0.5)}
        for model in ("a", "b")
        for i in range(20)
        for _ in range(8)
    ]
    samples = pd.DataFrame(rows)
    counts = samples.groupby(["model", "problem"])["correct"].agg(n="size", correct="sum").reset_index()
    specs = {"a": parse("1e9@20e9"), "b": parse("14e9@20e9")}
    found = [
        compare(
            open_evidence(frame, small="a", large="b", specs=specs), rules=[CONVENTIONS["paper-verifier"]], bins=1
        )
        for frame in (samples, counts)
    ]
    lines = [one.verdicts[one.verdicts["strategy"] == "parallel, coverage"] for one in found]
    assert lines[0]["flops"].tolist() == pytest.approx(lines[1]["flops"].tolist())
    assert lines[0]["k"].tolist() == pytest.approx(lines[1]["k"].tolist(), nan_ok=True)
