import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scripted import PARAMETERS, ScriptedTestbed, opinion, singles, study

from scalinglab import collect, flops, tasks
from scalinglab.collect import journal
from scalinglab.collect import run as run_module
from scalinglab.collect.run import sole_collector
from scalinglab.errors import DataError, EngineError
from scalinglab.ledger import price
from scalinglab.samples import GRADES, RunStore, scored_by
from scalinglab.specs import find

TESTS = Path(__file__).parent
ALL = 3 * len(PARAMETERS)


def read(path):
    with RunStore(path, create=False) as store:
        return store.read()


def assert_same(one, other):
    """Row for row, but for wall time and what the engine's cache happened to hold."""
    luck = ["seconds", "cached_tokens"]
    pd.testing.assert_frame_equal(one.units, other.units)
    pd.testing.assert_frame_equal(one.calls.drop(columns=luck), other.calls.drop(columns=luck))
    pd.testing.assert_frame_equal(one.solutions, other.solutions)


def sampled(run):
    """(problem, text, scores) of each parallel sample."""
    rows = run.solutions.join(run.units.set_index("key")[["strategy", "problem"]], on="unit")
    return rows.loc[rows["strategy"] == "parallel", ["problem", "text", "scores"]].itertuples(index=False)


def script(code, *arguments, **options):
    """Run Python code beside these tests, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, **options)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return asyncio.run(study().run(tmp_path_factory.mktemp("unbroken") / "run.sqlite"))


# A whole run


def test_every_unit_is_done_and_graded(unbroken):
    assert len(unbroken.units) == ALL == unbroken.calls["unit"].nunique() == unbroken.solutions["unit"].nunique()
    made = unbroken.solutions.groupby("unit").size()
    budgets = unbroken.units.set_index("key")["budget"]
    lookahead = unbroken.units.set_index("key")["strategy"] == "lookahead"
    assert made.sort_index().equals(budgets.where(~lookahead, 2).sort_index().rename(None))
    assert set(unbroken.solutions["grade"]) <= set(GRADES)
    assert {"right", "wrong"} <= set(unbroken.solutions["grade"])
    assert (unbroken.solutions["sample"] == unbroken.solutions["position"]).all()


def test_grades_are_those_of_the_task(unbroken):
    known = {p.question: p for p in study().task.drawn}
    problems = unbroken.units.set_index("key")["problem"]
    for row in unbroken.solutions.itertuples():
        assert row.grade == tasks.grade(known[problems[row.unit]], row.text)


def test_every_role_is_charged_to_the_units_own_model(unbroken):
    assert set(unbroken.calls.loc[unbroken.calls["model"] == "small", "role"]) == {"policy"}
    assert set(unbroken.calls.loc[unbroken.calls["model"] == "prm", "role"]) == {"verifier"}
    strategies = unbroken.calls.join(unbroken.units.set_index("key")["strategy"], on="unit")
    assert set(strategies.loc[strategies["role"] == "verifier", "strategy"]) == {
        "parallel",
        "revisions",
        "beam_search",
        "lookahead",
        "rebase",
    }


def test_the_tokens_recorded_are_those_the_engines_served(tmp_path):
    one = study()
    run = asyncio.run(one.run(tmp_path / "run.sqlite"))
    engines = {"small": one.engines["small"], "prm": one.verifiers["prm"].engine}
    for model, engine in engines.items():
        calls = run.calls[run.calls["model"] == model]
        assert len(calls) == len(engine.requests)
        assert calls["prompt_tokens"].sum() == sum(len(engine.tokens(prompt)) for _, prompt in engine.requests)
    written = [call for call in run.calls.itertuples() if call.role == "policy"]
    assert sum(call.generated_tokens for call in written) == engines["small"].generated


def test_the_run_can_be_priced_under_every_convention(unbroken):
    specs = {"small": find("Pythia-160M"), "prm": find("Pythia-160M")}
    for rule in flops.CONVENTIONS.values():
        assert price(unbroken, specs, convention=rule).total() > 0


def test_neither_order_nor_concurrency_nor_waits_change_the_result(tmp_path, unbroken):
    for i, in_flight in enumerate((1, 3, 100)):
        one = study(waits=0.003)
        shuffled = replace(one, units=one.units[i::3] + one.units[:i] + one.units)
        assert_same(asyncio.run(shuffled.run(tmp_path / f"{i}.sqlite", in_flight=in_flight)), unbroken)


def test_work_in_flight_is_bounded_and_overlaps(tmp_path):
    begun, most = set(), 0

    class Watched(ScriptedTestbed):
        async def generate(self, prompt, **options):
            nonlocal most
            begun.add(prompt)
            most = max(most, len(begun))
            try:
                return await super().generate(prompt, **options)
            finally:
                begun.discard(prompt)

    one = study(problems=8)
    greedy = [unit for unit in one.units if unit.strategy == "greedy"]
    slow = Watched(one.engines["small"].writes, waits=0.003)
    asyncio.run(replace(one, units=greedy, engines={"small": slow}).run(tmp_path / "run.sqlite", in_flight=3))
    assert most == 3


def test_progress_tells_of_each_unit_once_it_is_on_disk(tmp_path):
    path, told = tmp_path / "run.sqlite", []

    def tell(progress):
        assert progress.unit.key in set(read(path).units["key"])
        told.append(progress)

    one = study(problems=1)
    asyncio.run(replace(one, units=one.units[:3]).run(path))
    asyncio.run(one.run(path, progress=tell))
    assert [p.done for p in told] == list(range(4, len(PARAMETERS) + 1))
    assert {p.total for p in told} == {len(PARAMETERS)}
    assert all(p.calls and p.solutions for p in told)


def test_a_run_that_is_done_does_nothing_and_says_so(tmp_path):
    one = study(problems=1)

    async def again():
        with RunStore(tmp_path / "run.sqlite") as store:
            work = one.units, one.engines, one.verifiers, one.task, store
            return [await collect.collect(*work) for _ in range(2)]

    assert asyncio.run(again()) == [len(PARAMETERS), 0]


def test_another_seed_is_another_run(tmp_path, unbroken):
    other = asyncio.run(study(seed=1).run(tmp_path / "run.sqlite"))
    assert not set(other.units["key"]) & set(unbroken.units["key"])
    assert sorted(other.solutions["text"]) != sorted(unbroken.solutions["text"])


def test_samples_judged_by_several_verifiers_are_a_run_of_each_afterwards(tmp_path):
    one = study()
    orm = ScriptedTestbed(good=lambda prompt: opinion(prompt[::-1]), model="orm-1B")
    judges = {**one.verifiers, "orm": collect.TokenVerifier(orm, one.task.verifier_prompt)}
    several = {"samples": 8, "verifier": ["prm", "orm", "noisy", "exact"]}
    units = [replace(unit, parameters=several) for unit in one.units if unit.strategy == "parallel"]
    beams = [unit for unit in one.units if unit.strategy == "beam_search"]
    run = asyncio.run(replace(one, units=units + beams, verifiers=judges).run(tmp_path / "run.sqlite"))
    known = {p.question: p for p in one.task.drawn}
    searches = set(run.units.loc[run.units["strategy"] == "beam_search", "key"])
    for name, model in {"prm": "prm", "orm": "orm-1B", "noisy": "prm", "exact": None}.items():
        mine = scored_by(run, name, model=model)
        search = mine.calls["unit"].isin(searches)
        assert set(mine.calls.loc[~search, "model"]) == {"small", model} - {None}
        assert mine.calls[search].equals(run.calls[run.calls["unit"].isin(searches)])
        for problem, text, scores in sampled(mine):
            prompt = f"<bos>{problem}" + "".join(tasks.split_steps(text))
            right = tasks.split_steps(text) == tasks.split_steps(tasks.solution(known[problem]))
            expected = {
                "prm": [opinion(prompt)],
                "orm": [opinion(prompt[::-1])],
                "noisy": [opinion(prompt), 1 - opinion(prompt)],
                "exact": [float(right)],
            }
            assert any(scores == [pytest.approx(p)] for p in expected[name])


def test_a_verifier_that_did_not_judge_a_run_is_named(tmp_path):
    one = study(problems=1)
    several = {"samples": 2, "verifier": ["prm", "noisy"]}
    units = [replace(u, parameters=several, budget=2) if u.strategy == "parallel" else u for u in one.units]
    run = asyncio.run(replace(one, units=units).run(tmp_path / "run.sqlite"))
    with pytest.raises(DataError, match="verifier 'orm'; expected one of exact, noisy, prm; name a verifier"):
        scored_by(run, "orm", model="orm")
    with pytest.raises(DataError, match=r"'exact' did not judge unit .*; expected one of prm, noisy there"):
        scored_by(run, "exact", model=None)


# Units that cannot be done


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "math"}, "task 'math'; expected one of testbed"),
        ({"problem": "1+1?"}, "problem '1[+]1[?]'"),
        ({"model": "huge"}, "model 'huge'; expected one of small"),
        ({"strategy": "mcts"}, "strategy 'mcts'"),
        ({"parameters": {}}, "verifier of beam_search None; expected one of prm"),
        ({"parameters": {"verifier": ["prm", "noisy"], "beams": 4, "width": 2}}, "verifier of beam_search"),
        ({"strategy": "parallel", "parameters": {"samples": 4, "verifier": ["prm", "orm"]}}, "parallel 'orm'"),
        ({"strategy": "parallel", "parameters": {"samples": 4, "verifier": []}}, "different verifiers, one or"),
        ({"strategy": "parallel", "parameters": {"samples": 4, "verifier": ["prm", "prm"]}}, "different verif"),
        ({"parameters": {"verifier": "orm", "beams": 4, "width": 2}}, "verifier of beam_search 'orm'"),
        ({"parameters": {"verifier": "prm", "beams": 4}}, "missing a required argument: 'width'"),
        ({"parameters": {"verifier": "prm", "beams": 4, "width": 2, "depth": 3}}, "unexpected keyword .*depth"),
        ({"parameters": {"verifier": "prm", "beams": 4, "width": 3}}, "width that divides"),
        ({"parameters": {"verifier": "prm", "beams": 4, "width": 2, "aggregate": "mean"}}, "aggregate 'mean'"),
        ({"parameters": {"verifier": "prm", "beams": 4, "width": 2, "rounds": 0}}, "with rounds 0;"),
        (
            {"parameters": {"verifier": "prm", "beams": 4, "width": 2, "temperature": "hot"}},
            "with temperature 'hot'",
        ),
        ({"strategy": "rebase", "parameters": {"verifier": "prm", "beams": 4, "balance": 0}}, "with balance 0;"),
        ({"budget": 8}, "has budget 8; expected 4"),
        ({"strategy": "parallel", "parameters": {"samples": 4, "verifier": "orm"}}, "verifier of parallel 'orm'"),
    ],
    ids=str,
)
def test_a_unit_that_cannot_be_done_is_refused_before_any_is(tmp_path, changes, message):
    one = study(problems=1)
    search = next(unit for unit in one.units if unit.strategy == "beam_search")
    with pytest.raises(DataError, match=message):
        asyncio.run(replace(one, units=[*one.units, replace(search, **changes)]).run(tmp_path / "run.sqlite"))
    assert not len(read(tmp_path / "run.sqlite").units)
    assert one.engines["small"].requests == []


def test_no_work_in_flight_is_refused(tmp_path):
    with pytest.raises(DataError, match="in_flight is 0"):
        asyncio.run(study(problems=1).run(tmp_path / "run.sqlite", in_flight=0))


# Stops of every kind, and going on


def test_killed_at_20_random_moments_nothing_is_lost_or_doubled(tmp_path):
    path, one = tmp_path / "run.sqlite", study(problems=64)
    code = "import sys, scripted; scripted.kill_again_and_again(sys.argv[1], 64, 20)"
    with script(code, path) as killer:
        done = [int(line) for line in killer.stdout]
    assert killer.returncode == 0
    assert len(done) == 20
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] < len(one.units)  # every kill struck midway
    whole, again = read(path), []
    assert set(whole.units["key"]) == set(whole.calls["unit"]) == set(whole.solutions["unit"])
    run = asyncio.run(one.run(path, progress=lambda p: again.append(p.unit.key)))
    assert len(again) == len(one.units) - done[-1]
    assert_same(run, asyncio.run(one.run(tmp_path / "unbroken.sqlite")))


def test_killed_at_100_random_moments_of_quick_units_what_was_told_is_kept_and_all_is_whole(tmp_path):
    path, one = tmp_path / "run.sqlite", singles(1600)
    with script("import sys, scripted; scripted.kill_at_any_moment(sys.argv[1], 1600, 100)", path) as killer:
        found = [tuple(map(int, line.split())) for line in killer.stdout]
    assert killer.returncode == 0
    assert len(found) == 100
    assert all(told <= done for told, done in found), "what was told of was on disk"
    assert 0 < found[-1][1] < len(one.units)
    whole = read(path)
    assert set(whole.units["key"]) == set(whole.calls["unit"]) == set(whole.solutions["unit"])
    assert_same(asyncio.run(one.run(path)), asyncio.run(one.run(tmp_path / "unbroken.sqlite")))


@pytest.mark.parametrize("stop", [1, 30, 100])
def test_cancelled_it_stops_at_once_keeps_what_is_finished_and_goes_on(tmp_path, unbroken, stop):
    one, path = study(waits=0.001), tmp_path / "run.sqlite"

    async def cancelled():
        task = asyncio.ensure_future(one.run(path, in_flight=5))
        while len(one.engines["small"].requests) < stop:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert one.engines["small"].open == one.verifiers["prm"].engine.open == 0
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(cancelled())
    run = read(path)
    assert len(run.units) < ALL
    assert set(run.units["key"]) == set(run.calls["unit"]) == set(run.solutions["unit"])
    assert_same(asyncio.run(study().run(path)), unbroken)


def test_an_interrupt_from_the_keyboard_stops_it_cleanly(tmp_path):
    path = tmp_path / "run.sqlite"
    code = """
        import asyncio, sys, scripted
        print("ready", flush=True)
        one = scripted.study(waits=0.05)
        try:
            asyncio.run(one.run(sys.argv[1], in_flight=4, progress=lambda p: print(p.done, flush=True)))
        except KeyboardInterrupt:
            print("stopped", one.engines["small"].open)
    """
    with script(code, path, stderr=subprocess.PIPE) as run:
        said = [run.stdout.readline().strip() for _ in range(4)]
        run.send_signal(signal.SIGINT)
        more, errors = run.communicate()
    assert said == ["ready", "1", "2", "3"]
    assert more.split()[-2:] == ["stopped", "0"]
    assert errors == ""
    assert 3 <= len(read(path).units) < ALL


@pytest.mark.parametrize("number", [1, 7, 100])
def test_an_engine_that_fails_midway_stops_the_run_with_one_error(tmp_path, unbroken, number):
    path, one = tmp_path / "run.sqlite", study(waits=0.001, breaks_at=number)
    says = (
        r"^\w+ of problem '.+' by small failed: call \d+ failed, and \d+ more failed; expected a living engine; "
    )
    with pytest.raises(EngineError, match=says):
        asyncio.run(one.run(path, in_flight=4))
    assert len(one.engines["small"].requests) < number + 100
    assert one.engines["small"].open == one.verifiers["prm"].engine.open == 0
    run = read(path)
    assert len(run.units) < ALL
    assert set(run.units["key"]) == set(run.calls["unit"]) == set(run.solutions["unit"])
    assert_same(asyncio.run(study().run(path)), unbroken)


def test_a_unit_that_always_fails_is_named_and_stops_no_other(tmp_path, unbroken):
    one, path = study(), tmp_path / "run.sqlite"
    cursed = next(iter(one.task.problems))

    class Refusing(ScriptedTestbed):
        async def generate(self, prompt, **options):
            if prompt.startswith(f"<bos>{cursed}"):
                raise EngineError("refused", "a shorter prompt", "shorten it")
            return await super().generate(prompt, **options)

    engines = {"small": Refusing(one.engines["small"].writes, waits=0.001)}
    for _ in range(2):
        says = (
            f"^greedy of problem '{re.escape(cursed)}' by small failed: refused, and 7 more failed; expected a sh"
        )
        with pytest.raises(EngineError, match=says):
            asyncio.run(replace(one, engines=engines).run(path))
        run = read(path)
        assert len(run.units) == ALL - len(PARAMETERS)
        assert cursed not in set(run.units["problem"])
    assert_same(asyncio.run(one.run(path)), unbroken)


def test_units_that_always_fail_stop_a_run_but_not_those_that_go_on_with_it(tmp_path, unbroken):
    one, path = study(), tmp_path / "run.sqlite"
    cursed = list(one.task.problems)[:2]

    class Refusing(ScriptedTestbed):
        async def generate(self, prompt, **options):
            if any(prompt.startswith(f"<bos>{problem}") for problem in cursed):
                raise EngineError("refused", "a shorter prompt", "shorten it")
            return await super().generate(prompt, **options)

    refusing = replace(one, engines={"small": Refusing(one.engines["small"].writes)})
    kept, tried = [], []
    for _ in range(4):
        with pytest.raises(EngineError, match="refused, and 7 more failed"):
            asyncio.run(refusing.run(path, in_flight=1))
        kept.append(len(read(path).units))
        with RunStore(path) as store:
            tried.append(sorted(store.failures().values()))
    third = len(PARAMETERS)
    assert kept == [0, 0, third, third], "each run begins with what none has tried"
    assert tried == [[1] * 8, [1] * 16, [1] * 8 + [2] * 8, [2] * 16], "each in its turn"
    assert_same(asyncio.run(one.run(path)), unbroken)


def test_told_to_stop_it_finishes_what_is_in_flight_and_begins_nothing(tmp_path, unbroken, monkeypatch):
    one, path, begun, told = study(waits=0.001), tmp_path / "run.sqlite", set(), []

    async def counted(unit, **shared):
        begun.add(unit.key)
        return await solve(unit, **shared)

    async def stopped():
        stop = asyncio.Event()

        def tell(progress):
            if progress.done == 4:
                stop.set()
                told.append(set(begun))

        return await one.run(path, in_flight=5, stop=stop, progress=tell)

    solve = run_module.solve
    monkeypatch.setattr(run_module, "solve", counted)
    monkeypatch.setattr(journal, "_MOST", 1)  # each unit is written, and told of, as it is done
    assert set(asyncio.run(stopped()).units["key"]) == told[0] == begun
    assert len(begun) == 4 + 4
    assert_same(asyncio.run(study().run(path)), unbroken)


def test_calls_that_all_fail_at_once_leave_nothing_in_asyncios_log(tmp_path, caplog):
    one = study(breaks_at=1)
    with suppress(EngineError):
        asyncio.run(one.run(tmp_path / "run.sqlite"))
    del one
    gc.collect()
    assert caplog.records == []


def test_a_tokenizer_that_fails_loses_the_unit_and_nothing_else(tmp_path):
    class Countless(ScriptedTestbed):
        async def count(self, _):
            raise EngineError("no tokenizer", "one", "mend it")

    one, path = study(problems=2), tmp_path / "run.sqlite"
    greedy = [unit for unit in one.units if unit.strategy in ("greedy", "beam_search")]
    engines = {"small": Countless(one.engines["small"].writes)}
    verifiers = {
        "prm": collect.TokenVerifier(Countless(good=lambda _: 0.5, model="prm"), one.task.verifier_prompt)
    }
    with pytest.raises(EngineError, match="no tokenizer"):
        asyncio.run(replace(one, units=greedy, engines=engines, verifiers=verifiers).run(path, in_flight=1))
    assert list(read(path).units["strategy"]) == ["greedy", "greedy"]


def test_a_full_disk_stops_the_run_cleanly_and_it_goes_on_where_there_is_room(tmp_path, unbroken):
    path = tmp_path / "run.sqlite"
    code = """
        import asyncio, resource, sys, scripted
        from scalinglab.errors import DataError
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, resource.RLIM_INFINITY))
        try:
            asyncio.run(scripted.study().run(sys.argv[1], in_flight=2))
        except DataError as error:
            print(error)
    """
    with script(code, path) as run:
        said = run.communicate()[0].splitlines()
    assert len(said) == 1
    assert str(path) in said[0]
    assert "room on its disk" in said[0]
    assert 0 < len(read(path).units) < ALL
    assert_same(asyncio.run(study().run(path)), unbroken)


def test_a_disk_that_fills_up_midway_ends_the_run_in_one_line_and_it_goes_on_once_there_is_room(
    small_disk, unbroken
):
    path, ballast = small_disk / "run.sqlite", small_disk / "ballast"

    def fill(progress):
        if progress.done == 5:
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

    with pytest.raises(DataError, match="room on its disk") as failed:
        asyncio.run(study().run(path, in_flight=4, progress=fill))
    assert len(str(failed.value).splitlines()) == 1
    kept = read(path)
    assert 5 <= len(kept.units) < ALL
    assert set(kept.units["key"]) == set(kept.calls["unit"]) == set(kept.solutions["unit"])
    ballast.unlink()
    assert_same(asyncio.run(study().run(path)), unbroken)


# One collector a store


def test_a_second_collector_is_refused_until_the_first_is_killed_whatever_its_children_do(tmp_path):
    path = tmp_path / "run.sqlite"
    code = """
        import os, pathlib, sys, time
        from scalinglab.collect.run import sole_collector
        with sole_collector(pathlib.Path(sys.argv[1])):
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            print(child, flush=True)
            time.sleep(60)
    """
    with script(code, path) as first:
        child = int(first.stdout.readline())
        for _ in range(2):
            with pytest.raises(DataError, match="no other collector holds"):
                asyncio.run(study(problems=1).run(path))
        first.kill()
    try:
        assert len(asyncio.run(study(problems=1).run(path)).units) == len(PARAMETERS)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_second_collector_in_the_same_process_is_refused_and_frees_nothing(tmp_path):
    path = tmp_path / "run.sqlite"
    code = """
        import pathlib, sys
        from scalinglab.collect.run import sole_collector
        with sole_collector(pathlib.Path(sys.argv[1])):
            pass
    """
    with sole_collector(path):
        with pytest.raises(DataError, match="this process"):
            asyncio.run(study(problems=1).run(path))
        with script(code, path, stderr=subprocess.DEVNULL) as other:
            assert other.wait() == 1
    with sole_collector(tmp_path / "." / "run.sqlite"):
        pass


def test_a_store_in_a_folder_that_is_not_there_cannot_be_held(tmp_path):
    with pytest.raises(DataError, match="cannot be locked"), sole_collector(tmp_path / "nowhere" / "run.sqlite"):
        pass


# The testbed's task


def test_the_testbeds_problems_are_different_and_of_their_split():
    task = collect.draw_testbed([tasks.Level(1, 0), tasks.Level(3, 4)], 12, split="validation", seed=3)
    assert len(task.problems) == 12
    assert all(tasks.split_of(id) == "validation" for id in task.problems)
    assert (
        task.problems
        == collect.draw_testbed([tasks.Level(1, 0), tasks.Level(3, 4)], 12, split="validation", seed=3).problems
    )
    for known in task.drawn:
        problem = task.problems[known.question]
        assert (problem.id, problem.prompt) == (known.question, f"<bos>{known.question}")
        assert problem.answer == known.answer
        assert problem.max_tokens == len(tasks.tokens_of(tasks.solution(known))) * 3 // 2


def test_more_problems_than_there_are_is_refused():
    with pytest.raises(DataError, match="no more different ones"):
        collect.draw_testbed([tasks.Level(0, 1)], 1000)


def test_the_testbeds_reviser_sees_the_last_four_answers_each_after_the_question_and_closed():
    task = collect.draw_testbed([tasks.Level(2, 1)], 1)
    problem = next(iter(task.problems.values()))
    assert task.revision_prompt(problem, []).text == problem.prompt
    prompt = task.revision_prompt(problem, ["a", "b", "c", "d", "e"])
    asked = problem.question
    assert (prompt.question, prompt.rest) == (problem.prompt, "".join(f"{a}<answer>{asked}" for a in "bcde"))


def test_a_search_of_the_testbed_asks_for_each_step_once_and_never_for_the_end(unbroken):
    units = unbroken.units[unbroken.units["strategy"].isin(["beam_search", "dvts", "rebase"])]
    for unit in units.to_dict("records"):
        calls = unbroken.calls[(unbroken.calls["unit"] == unit["key"]) & (unbroken.calls["role"] == "policy")]
        level = tasks.level_of(unit["problem"])
        assert len(calls) == unit["budget"] * (level.facts + level.sums)
        assert set(calls["generated_tokens"]) == {4, 5}, (
            "what it is done to, a fact or a sum, its result and the mark"
        )


def test_the_testbed_is_graded():
    task = collect.draw_testbed([tasks.Level(2, 2)], 1)
    (known,), (problem,) = task.drawn, task.problems.values()
    for text in (tasks.solution(known), "17ac00.", "17ac00;", "17ac", ""):
        assert asyncio.run(task.grade(problem, text)) == (tasks.grade(known, text), tasks.extract(text))


def test_importing_the_collector_loads_no_engine():
    code = "import sys, scalinglab.collect; print({'vllm', 'aiohttp', 'torch'} & set(sys.modules))"
    with script(code) as run:
        assert run.communicate()[0].strip() == "set()"
