import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import DataError, ScalingLabError
from scalinglab.evidence import open_evidence
from scalinglab.samples import Call, Cell, PlanModel, RunStore, Unit, find_plan, read_plan
from scalinglab.study import export_run, status_of

FIRST = Path(__file__).parent / "data" / "first-study"
PLAN = {
    "run": "run",
    "task": "sums",
    "problems": ["p1", "p2"],
    "cells": [
        {"role": "policy", "model": "small", "strategy": "parallel", "parameters": {"samples": 4}, "budget": 4}
    ],
    "models": {"small": {"model": "a/b", "url": ["http://x"], "spec": "Qwen2.5-0.5B"}, "prm": {"model": "c"}},
    "verifiers": {"prm": "prm", "exact": None},
}


def write(folder, plan):
    (folder / "study.json").write_text(plan if isinstance(plan, str) else json.dumps(plan))
    return folder


def changed(*keys, value):
    """The plan with one value changed; None at a cell's place drops it."""
    plan = json.loads(json.dumps(PLAN))
    at = plan
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    return plan


def test_a_plan_is_read_as_typed_records(tmp_path):
    plan = read_plan(write(tmp_path, PLAN))
    assert plan.cells == (Cell("policy", "small", "parallel", {"samples": 4}, 4, 0),)
    assert plan.models == {
        "small": PlanModel("a/b", ("http://x",), "Qwen2.5-0.5B", None, None),  # its training is not said: unknown
        "prm": PlanModel("c", (), None, None, None),
    }
    assert plan.verifiers == {"prm": "prm", "exact": None}
    assert [unit.problem for unit in plan.units()] == ["p1", "p2"]


def test_a_plan_written_and_read_is_the_same(tmp_path):
    first = read_plan(FIRST)
    assert (first.run, first.total) == ("testbed-study", len(first.problems) * len(first.cells))
    assert read_plan(write(tmp_path, first.to_json())) == first
    assert first.to_json() == (FIRST / "study.json").read_text()


def test_it_is_found_in_the_folder_or_beside_the_store_or_the_tables(tmp_path):
    write(tmp_path, PLAN)
    (tmp_path / "samples").mkdir()
    (tmp_path / "run.sqlite").touch()
    for path in (tmp_path, tmp_path / "samples", tmp_path / "run.sqlite"):
        assert find_plan(path) == tmp_path / "study.json"
        assert read_plan(path).run == "run"
    deeper = tmp_path / "samples" / "more"
    deeper.mkdir()
    assert find_plan(deeper) is None
    with pytest.raises(DataError, match=r"no study.json in .*more or beside it; expected the folder of a run"):
        read_plan(deeper)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("{", "cannot read .*study.json"),
        ("[]", "study.json holds a list; expected the plan of a study"),
        ({}, "no models; expected a table"),
        (changed("run", value=3), "run is 3; expected a text; mend run"),
        (changed("problems", value=[]), r"problems is \[\]; expected a list of texts"),
        (changed("problems", value=["p1", 2]), "problems is"),
        (changed("notes", value="x"), "notes is no key; expected one of asked, cells, models"),
        (changed("models", value=3), "models is 3; expected a table"),
        (changed("models", "small", value="a"), "models.small is 'a'; expected a table"),
        (changed("models", "small", "model", value=None), "models.small.model is None; expected a text"),
        (
            changed("models", "small", "url", value="http://x"),
            "models.small.url is 'http://x'; expected a list of t",
        ),
        (
            changed("models", "small", "spec", value=7),
            "models.small.spec is 7; expected a config, a catalogue name",
        ),
        (
            changed("models", "small", "training_tokens", value=-1),
            "training_tokens is -1; expected a whole number",
        ),
        (changed("models", "small", "training_tokens", value=1.5e9), "training_tokens is 1500000000.0"),
        (
            changed("models", "small", "params", value=1),
            "models.small.params is no key; expected one of answers_as, api, extra, model",
        ),
        (changed("verifiers", "prm", value="orm"), "verifiers.prm is 'orm'; expected null, or one of small, prm"),
        (changed("verifiers", "prm", value=["prm"]), r"verifiers.prm is \['prm'\]; expected null"),
        (changed("cells", value={}), r"cells is \{\}; expected tables \[\[cells\]\]"),
        (changed("cells", 0, "role", value="judge"), r"cells\[0\].role is 'judge'; expected one of policy, large"),
        (changed("cells", 0, "model", value="tiny"), r"cells\[0\].model is 'tiny'; expected one of small, prm"),
        (changed("cells", 0, "parameters", value="{}"), r"cells\[0\].parameters is '\{\}'; expected a table"),
        (changed("cells", 0, "budget", value=0), r"cells\[0\].budget is 0; expected a whole number >= 1"),
        (changed("cells", 0, "seed", value=True), r"cells\[0\].seed is True; expected a whole number >= 0"),
        (changed("cells", 0, "samples", value=4), r"cells\[0\].samples is no key"),
    ],
)
def test_what_no_plan_can_say_is_refused_by_its_name(plan, says, tmp_path):
    with pytest.raises(DataError, match=says) as refused:
        read_plan(write(tmp_path, plan))
    assert len(refused.value.args) == 3


def test_an_exported_study_is_priced_wherever_its_plan_lies(tmp_path):
    from scalinglab.evidence import plan_specs

    shutil.copy(FIRST / "study.json", tmp_path)
    (tmp_path / "samples").mkdir()
    found = plan_specs(tmp_path / "samples")
    assert found == plan_specs(FIRST)
    assert found["small"].training_tokens == read_plan(FIRST).models["small"].training_tokens


# Any other plan


def places(value, path=()):
    """Where in a JSON document a value stands, for every one."""
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


WHOLE = {**PLAN, "problems": ["p1"]}
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just("x" * 5000),
    st.sampled_from(["\ud800", "\0", "..", "/", 10**30, -1, 0, [], {}, [[]], {"": 1}, [None], ["a", "a"]]),
    st.dictionaries(st.sampled_from(["samples", "verifier", "model", "hidden_size"]), st.integers(), max_size=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The folder of a run of one unit."""
    folder = tmp_path_factory.mktemp("recorded")
    with RunStore(folder / "run.sqlite") as store:
        cell = WHOLE["cells"][0]
        store.append(Unit("run", "sums", "p1", **cell), [Call("policy", "small", 4, 2, 4, 0)], [])
    return folder


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_change_of_a_plan_is_refused_in_one_line_or_read_and_no_export_is_half_written(
    data, recorded, tmp_path_factory
):
    plan = json.loads(json.dumps(WHOLE))
    *above, key = data.draw(st.sampled_from([path for path in places(plan) if path]))
    at = plan
    for one in above:
        at = at[one]
    if data.draw(st.booleans()) and isinstance(at, dict):
        at[data.draw(st.sampled_from(["", "model", "new", "\ud800", "a" * 300]))] = at.pop(key)
    else:
        at[key] = data.draw(ODD)
    (recorded / "study.json").write_text(json.dumps(plan))
    out = tmp_path_factory.mktemp("out") / "exported"
    for act in (lambda: status_of(recorded), lambda: export_run(recorded, out, command=[])):
        said = None
        try:
            act()
        except ScalingLabError as error:
            said = str(error)
        assert said is None or not out.exists()
        assert said is None or said.encode().decode().splitlines() == [said]
    if out.exists():
        assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "samples", "study.json"]
    with suppress(ScalingLabError):
        open_evidence(recorded)
