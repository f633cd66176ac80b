"""A recorded run graded anew from its texts: what changes is said, and it is written whole or not at all."""

import asyncio
import json
import sqlite3
from dataclasses import replace

import pytest
from commands import assert_refused
from scripted import ScriptedEngine, ScriptedTestbed, opinion, solving, study

from scalinglab.collect import TestbedTask, TokenVerifier, collect, open_benchmark
from scalinglab.errors import DataError
from scalinglab.samples import (
    Call,
    RunStore,
    Solution,
    Unit,
    cut_solutions,
    read_references,
    read_run,
    write_jsonl,
    write_parquet,
    write_references,
)
from scalinglab.study import regrade_run

pytest.importorskip("math_verify")
TEXTS = [  # text, cut, the grade and the answer that an earlier grader gave it
    ("The answer is 1 1/4.", False, "wrong", "1/2"),
    ("So $\\boxed{\\frac54}$.", False, "right", "5/4"),
    ("If the answer is 38 then", True, "wrong", "38"),
    ("So $\\boxed{1.25}$. Let me", True, "right", "5/4"),
    ("It comes to 1.25", False, "unparsed", None),
    ("", True, "unparsed", None),
    ("", False, "refused", None),
    ("", False, "right", "5/4"),
]
AFTER = ["right", "right", "truncated", "right", "unparsed", "truncated", "refused", "right"]


def recorded(folder, *, references=True):
    """A run's store as an earlier grader left it."""
    with RunStore(folder / "run.sqlite") as store:
        for problem in ("a", "b"):
            unit = Unit("run", "mine", problem, "policy", "small", "parallel", {"samples": len(TEXTS)}, len(TEXTS))
            calls = [
                Call("policy", "small", 9, 9, 9, sample=i, finish_reason="length" if cut else "stop")
                for i, (_, cut, _, _) in enumerate(TEXTS)
            ]
            store.append(
                unit,
                calls,
                [Solution(text, answer, grade, sample=i) for i, (text, _, grade, answer) in enumerate(TEXTS)],
            )
    if references:
        write_references(folder, {("mine", problem): "\\frac{5}{4}" for problem in ("a", "b", "c")})
    return folder


def regraded(folder, **options):
    return asyncio.run(regrade_run(folder, **options))


def grades(path):
    return read_run(path).solutions.sort_values(["unit", "position"])["grade"].tolist()


def test_a_run_is_graded_anew_and_what_changed_is_said(tmp_path):
    found = regraded(recorded(tmp_path))
    assert grades(tmp_path) == AFTER * 2
    assert (found.solutions, found.left, found.changed, found.rewritten, found.written) == (16, 4, 6, 0, True)
    assert {(row["before"], row["after"]): row["count"] for row in found.grades} == {
        ("right", "right"): 4,
        ("unparsed", "truncated"): 2,
        ("unparsed", "unparsed"): 2,
        ("wrong", "right"): 2,
        ("wrong", "truncated"): 2,
    }
    example = next(row for row in found.examples if row["after"] == "right")
    assert example == {
        "before": "wrong",
        "after": "right",
        "problem": "a",
        "right": "\\frac{5}{4}",
        "answer_before": "1/2",
        "answer_after": "5/4",
        "text_end": "The answer is 1 1/4.",
    }
    again = regraded(tmp_path)
    assert (again.changed, again.rewritten, again.written) == (0, 0, False)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "sqlite"])
def test_every_form_of_a_run_is_graded_anew_alike(tmp_path, form):
    run = read_run(recorded(tmp_path))
    out = tmp_path / "out"
    out.mkdir()
    write_references(out, read_references(tmp_path))
    path = {"parquet": out, "jsonl": out / "r.jsonl", "sqlite": tmp_path / "run.sqlite"}[form]
    if form == "parquet":
        write_parquet(run, out / "samples")
    if form == "jsonl":
        write_jsonl(run, path)
    assert regraded(path).changed == 6
    assert grades(path) == AFTER * 2
    after = read_run(path)
    assert after.calls.equals(run.calls)
    assert after.units["key"].tolist() == run.units["key"].tolist()
    assert after.solutions["text"].tolist() == run.solutions["text"].tolist()


def test_other_places_and_kinds_may_be_asked_for(tmp_path):
    found = regraded(recorded(tmp_path), answers=["boxed", "number"], write=False)
    assert grades(tmp_path) == [grade for _, _, grade, _ in TEXTS] * 2
    assert {(r["before"], r["after"]): r["count"] for r in found.grades}["unparsed", "right"] == 2
    assert not found.written
    found = regraded(tmp_path, kind="exact", write=False)
    assert {(r["before"], r["after"]) for r in found.grades} >= {("right", "wrong")}
    with pytest.raises(DataError, match="answers in end"):
        regraded(tmp_path, answers=["end"])


def test_what_cannot_be_graded_changes_nothing(tmp_path):
    recorded(tmp_path, references=False)
    before = grades(tmp_path)
    with pytest.raises(DataError, match=r"no right answer to 2 problems \(mine/a\)"):
        regraded(tmp_path)
    write_references(tmp_path, {("mine", "a"): "1"})
    with pytest.raises(DataError, match=r"no right answer to 1 problems \(mine/b\)"):
        regraded(tmp_path)
    write_references(tmp_path, {("mine", "a"): "1", ("mine", "b"): "\\frac{1}{"})
    with pytest.raises(DataError, match=r"problem 'mine/b', has the right answer .* which cannot be read"):
        regraded(tmp_path)
    (tmp_path / "references.jsonl").write_text('{"task": "mine", "problem": 3, "answer": "1"}\n')
    with pytest.raises(DataError, match=r"references\.jsonl, line 1, is no right answer"):
        regraded(tmp_path)
    assert grades(tmp_path) == before


def test_a_store_is_written_whole_or_not_at_all(tmp_path):
    recorded(tmp_path)
    database = sqlite3.connect(tmp_path / "run.sqlite")
    database.execute(
        "CREATE TRIGGER t BEFORE UPDATE ON solutions WHEN NEW.position = 2 BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    database.commit()
    database.close()
    with pytest.raises(DataError, match="full"):
        regraded(tmp_path)
    assert grades(tmp_path) == [grade for _, _, grade, _ in TEXTS] * 2


def test_a_run_without_texts_is_refused(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        unit = Unit("run", "mine", "a", "policy", "small", "parallel")
        store.append(unit, [], [Solution("", "5", "right")])
    write_references(tmp_path, {("mine", "a"): "5"})
    with pytest.raises(DataError, match="a run without texts"):
        regraded(tmp_path)


def test_a_collected_run_knows_which_of_its_texts_were_cut(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"q": "?", "a": "9"}))
    task = open_benchmark(path, fields={"question": "q", "answer": "a"}, max_tokens=30)
    writes = ["So \\boxed{9}.", "So \\boxed{9}. " + "Let me see. " * 9, "The answer is 9.", "answer is 9, or " * 9]
    engine = ScriptedEngine(lambda _, seed: writes[seed % 4])
    strategies = [
        ("parallel", {"samples": 16}, 16),
        ("revisions", {"chains": 3, "length": 2}, 6),
        ("greedy", {}, 1),
        ("beam_search", {"beams": 8, "width": 2, "verifier": "prm"}, 8),
        ("dvts", {"beams": 8, "width": 2, "verifier": "prm"}, 8),
        ("rebase", {"beams": 8, "verifier": "prm"}, 8),
    ]
    prm = TokenVerifier(ScriptedEngine(good=opinion, model="prm"), task.verifier_prompt)
    units = [Unit("run", "mine", "1", "policy", "small", *strategy) for strategy in strategies]

    async def run():
        with RunStore(tmp_path / "run.sqlite") as store:
            await collect(units, {"small": engine}, {"prm": prm}, task, store)
            return store.read()

    found = asyncio.run(run())
    task.close()
    cut = found.solutions["text"].str.len() == 30
    assert 0 < cut.sum() < len(cut)
    assert cut_solutions(found).tolist() == cut.tolist()
    unmarked = cut & ~found.solutions["text"].str.contains("boxed")
    assert found.solutions["grade"].tolist() == ["truncated" if one else "right" for one in unmarked]


def test_the_verb_prints_what_changed(scalinglab, document, tmp_path):
    recorded(tmp_path)
    shown = document("regrade HERE --answers boxed,hash,said,number --dry-run", HERE=tmp_path)
    assert (shown["changed"], shown["written"]) == (8, False)
    done = scalinglab("regrade HERE", HERE=tmp_path)
    assert done.code == 0
    assert "6 of 16 solutions have another grade, 0 more another answer; 4 were left" in done.out
    assert done.out.endswith("Written.\n")
    assert grades(tmp_path) == AFTER * 2
    assert_refused(scalinglab("regrade HERE --kind odd", HERE=tmp_path), "or module:function")


TESTBED = """
[task]
kind = "testbed"
levels = [[2, 2], [2, 3]]
count = 3
[models.small]
model = "testbed/base/small"
[[strategies]]
name = "greedy"
"""


def test_a_run_of_the_testbed_is_graded_by_its_own_task(tmp_path, monkeypatch):
    """Recorded as it was before what was cut had a grade of its own."""
    one, graded = study(), TestbedTask.grade
    right = solving(one.task)
    small = ScriptedTestbed(lambda prompt, seed: right(prompt, seed) if seed % 2 else "ac01;" * 99)
    units = [unit for unit in one.units if unit.strategy in ("greedy", "parallel")]
    with monkeypatch.context() as patch:
        patch.setattr(TestbedTask, "grade", lambda task, problem, text, **_: graded(task, problem, text))
        run = asyncio.run(replace(one, units=units, engines={"small": small}).run(tmp_path / "run.sqlite"))
    cut = (run.solutions["grade"] == "unparsed").sum()
    assert 0 < cut < len(run.solutions)
    (tmp_path / "study.toml").write_text(TESTBED)
    found = regraded(tmp_path)
    changed = {
        (row["before"], row["after"]): row["count"] for row in found.grades if row["before"] != row["after"]
    }
    assert changed == {("unparsed", "truncated"): cut}
    assert (found.rewritten, found.left) == (0, 0)
    with pytest.raises(DataError, match="answers for the testbed"):
        regraded(tmp_path, answers=["boxed"])
