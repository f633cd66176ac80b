"""Kinds of answers beside mathematics, a grader of one's own, and references that none of them can read."""

import asyncio
import json

import pytest

from scalinglab.collect import Grader, open_benchmark
from scalinglab.errors import DataError, EngineError
from scalinglab.tasks.kinds import KINDS

pytest.importorskip("math_verify")


@pytest.mark.parametrize(
    ("kind", "gold", "given", "grade", "answer"),
    [
        ("exact", "Room  12", "Room 12", "right", "Room 12"),
        ("exact", "room 12", "Room 12", "wrong", "Room 12"),
        ("choice", "B", "(b) 73", "right", "B"),
        ("choice", "(B)", "\\text{B}", "right", "B"),
        ("choice", "B", "C. 73 apples", "wrong", "C"),
        ("choice", "B", "option **B**", "right", "B"),
        ("choice", "A", "A dog", "unparsed", "A dog"),
        ("choice", "A", "F", "unparsed", "F"),
        ("number", "1,080", "\\$1 080", "right", "1080"),
        ("number", "0.5", "x = \\frac{1}{2}", "right", "1/2"),
        ("number", "7", "8 eggs", "wrong", "8"),
        ("number", "7", "x + 1", "unparsed", "x + 1"),
    ],
)
def test_kinds_by_hand(kind, gold, given, grade, answer):
    assert KINDS[kind].readable(gold)
    assert KINDS[kind].grade(gold, given) == (grade, answer)


@pytest.mark.parametrize("kind", ["math", "number"])
@pytest.mark.parametrize(
    ("gold", "given"), [("42", "42"), ("42", "43"), ("0", "0"), ("-7", "7"), ("1000", "1001")]
)
def test_integers_are_graded_without_a_process_as_with_one(kind, gold, given):
    with Grader(kind=kind) as grader:
        assert asyncio.run(grader.grade(gold, given)) == tuple(KINDS[kind].grade(gold, given))
        assert not any(worker.process for worker in grader._workers)


@pytest.mark.parametrize(
    ("grading", "answer"),
    [
        ("math", "\\frac{1}{"),
        ("math", "?!"),
        ("math", "\\frac10"),
        ("choice", "F"),
        ("choice", "7"),
        ("number", "x"),
    ],
)
def test_a_reference_that_cannot_be_read_is_refused_with_the_file(tmp_path, grading, answer):
    path = tmp_path / "mine.jsonl"
    good = {"choice": "A"}.get(grading, "1")
    path.write_text("\n".join(json.dumps({"q": "?", "a": a}) for a in (good, answer, answer)))
    with pytest.raises(DataError) as error:
        open_benchmark(path, fields={"question": "q", "answer": "a"}, grading=grading)
    assert "mine.jsonl, problem '2' (and 1 more)," in str(error.value)
    assert f"expected an answer of kind {grading}" in str(error.value)


def test_a_grader_of_ones_own_runs_in_the_workers(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "def near(gold, given):\n"
        "    if given == 'crash': os._exit(1)\n"
        "    if given == 'fail': raise ValueError\n"
        "    return abs(float(gold) - float(given)) < 1\n"
        "def both(gold, given):\n"
        "    return ('unparsed' if given == '?' else 'right' if given == gold else 'odd'), given.upper()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Grader(workers=1, kind="mine:near") as own:
        said = [asyncio.run(own.grade("7", one)) for one in ("7.5", "9", "fail", "crash", "7")]
    assert [grade for grade, _ in said] == ["right", "wrong", "error", "error", "right"]
    with Grader(workers=1, kind="mine:both") as own:
        assert asyncio.run(own.grade("a", "a")) == ("right", "A")
        assert asyncio.run(own.grade("a", "?")) == ("unparsed", "?")
        assert asyncio.run(own.grade("a", "b")) == ("error", "b")
    with Grader(workers=1, kind="mine:none") as own, pytest.raises(EngineError, match="has no attribute 'none'"):
        asyncio.run(own.grade("7", "7"))


@pytest.mark.parametrize("kind", ["mathematics", "mine:", ":near"])
def test_another_kind_is_named(kind):
    with pytest.raises(DataError, match="expected math, exact, choice, number, or module:function"):
        Grader(kind=kind)
