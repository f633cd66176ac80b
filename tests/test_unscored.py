"""Solutions that a verifier can never read: named by their grade, without a score, and the rest goes on."""

import asyncio
from dataclasses import replace

import pytest
from scripted import ScriptedEngine, study

from scalinglab.collect import JudgeVerifier
from scalinglab.curves import accuracy, pool_from_run
from scalinglab.errors import EngineError
from scalinglab.samples import RunStore

STRATEGIES = ("greedy", "parallel", "revisions", "beam_search", "lookahead")


def judging(unread, *, strategies=STRATEGIES, says="yes"):
    """The study of scripted engines, judged in words; of the problems in ``unread`` nothing that can be read."""
    one = study()
    questions = [one.task.problems[problem].question for problem in unread(list(one.task.problems))]

    def write(prompt, _):
        return "hm" if any(question in prompt for question in questions) else says

    judge = JudgeVerifier(ScriptedEngine(write, model="orm"))
    units = [unit for unit in one.units if unit.strategy in strategies]
    return replace(one, units=units, verifiers=dict.fromkeys(one.verifiers, judge))


def first(problems):
    return problems[:1]


def last(problems):
    return problems[-1:]


def unread(run, problem):
    return run.solutions["unit"].map(run.units.set_index("key")["problem"]) == problem


def test_a_solution_that_no_verifier_can_read_has_a_grade_of_its_own_and_no_score(tmp_path):
    told, one = [], judging(last, strategies=("parallel",))
    run = asyncio.run(one.run(tmp_path / "run.sqlite", in_flight=1, tell=told.append))
    *_, problem = one.task.problems
    lost, read = (run.solutions[mask] for mask in (unread(run, problem), ~unread(run, problem)))
    assert (set(lost["grade"]), lost["scores"].map(len).any()) == ({"unscored"}, False)
    assert set(read["grade"]) <= {"right", "wrong"}
    assert set(read["scores"].map(tuple)) == {(1.0,)}
    assert lost["text"].map(len).all()
    (line,) = told
    assert line.startswith(f"problem {problem!r} has a solution that is not scored: none of 3 judgements of orm")
    pool = pool_from_run(run, "small")
    chosen = accuracy(pool, "best-of-n", [8])[0][:, 0]
    assert chosen[pool.problems.index(problem)] == 0 < chosen.max()  # it counts, as not right


def test_a_search_ends_where_its_step_cannot_be_read(tmp_path):
    one = judging(last, strategies=("beam_search", "lookahead"))
    run = asyncio.run(one.run(tmp_path / "run.sqlite", in_flight=1))
    *_, problem = one.task.problems
    lost = run.solutions[unread(run, problem)]
    assert (set(lost["grade"]), len(lost)) == ({"unscored"}, 6)
    calls = run.calls[run.calls["unit"].isin(lost["unit"])]
    assert calls.loc[calls["role"] == "policy", "round"].max() == 0


def test_a_verifier_that_has_read_nothing_yet_is_an_error_and_what_it_had_read_is_known_later(tmp_path):
    path, one = tmp_path / "run.sqlite", judging(first, strategies=("parallel",))
    with pytest.raises(EngineError, match=r"parallel of problem .* by small failed: none of 3 judgements"):
        asyncio.run(one.run(path, in_flight=1))
    run = asyncio.run(one.run(path, in_flight=1))  # it is all that is left
    assert (run.solutions["grade"] == "unscored").sum() == 8


@pytest.mark.parametrize("says", ["no", "yes"])
def test_a_verifier_that_never_reads_anything_leaves_nothing_recorded(tmp_path, says):
    path, one = tmp_path / "run.sqlite", judging(list, says=says)
    for _ in range(2):
        with pytest.raises(EngineError, match="none of 3 judgements of orm has a verdict"):
            asyncio.run(one.run(path))
    with RunStore(path) as store:
        assert {unit.verifiers for unit in one.units if unit.key in store.done()} <= {()}


def test_one_of_two_verifiers_that_cannot_read_a_solution_leaves_the_others_score(tmp_path):
    one = judging(last, strategies=())
    clean = study().verifiers["prm"]
    units = [replace(unit, parameters={**unit.parameters, "verifier": ["prm", "orm"]}) for unit in parallel()]
    both = replace(one, units=units, verifiers={"prm": clean, "orm": one.verifiers["prm"]})
    run = asyncio.run(both.run(tmp_path / "run.sqlite", in_flight=1))
    lost = run.solutions[unread(run, list(one.task.problems)[-1])]
    assert set(lost["grade"]) == {"unscored"}
    assert set(lost["other_scores"]) == {'{"orm":[]}'}
    assert lost["scores"].map(len).all()


def parallel():
    return [unit for unit in study().units if unit.strategy == "parallel"]
