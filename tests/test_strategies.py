import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from scripted import ScriptedEngine, ScriptedTask

from scalinglab import collect, study
from scalinglab.collect import Place, Selectors, Strategy, strategies
from scalinglab.errors import DataError
from scalinglab.samples import RunStore, Unit

# A strategy from outside the package: one function, one record


async def adaptive(problem, policy, _=None, *, most, lead=2):
    """Samples until an answer is ``lead`` votes ahead (after Aggarwal et al. 2023, arXiv 2305.11860)."""
    drafts, votes = [], Counter()
    while len(drafts) < most:
        drafts.append(await policy.solve(problem, place=Place(sample=len(drafts))))
        votes[(await policy.task.grade(problem, drafts[-1].text))[1]] += 1
        first, second = [*(count for _, count in votes.most_common(2)), 0][:2]
        if first - second >= lead:
            break
    return drafts


ADAPTIVE = strategies.register(
    Strategy("adaptive", adaptive, scales=("most",), selectors=Selectors(("majority",)), verifier="none")
)
NAMED = f"{__name__}:ADAPTIVE"


def test_a_strategy_from_outside_is_collected_as_any_other(tmp_path):
    unit = Unit("run", "scripted", "p", "policy", "small", "adaptive", {"most": 8}, 8)
    engine = ScriptedEngine({"Q?": ["4;", "5;", "4;", "4;", "5;"]})
    with RunStore(tmp_path / "run.sqlite") as store:
        assert asyncio.run(collect.collect([unit], {"small": engine}, {}, ScriptedTask(), store)) == 1
        run = store.read()
    assert run.solutions["answer"].tolist() == ["4", "5", "4", "4"]  # 3 to 1: the fifth is never asked for
    assert len(run.calls) == 4


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"budget": 4}, "has budget 4; expected 8 samples"),
        ({"parameters": {"most": 0}}, "adaptive with most 0; expected a whole number above 0"),
        ({"parameters": {"samples": 8}}, "missing a required argument: 'most'.; expected most, lead"),
        ({"parameters": {"most": 8, "verifier": "prm"}}, "adaptive with verifier 'prm'; expected none"),
        ({"strategy": "adaptve"}, "strategy 'adaptve'; expected one of greedy, .*adaptive"),
    ],
)
def test_what_does_not_fit_its_record_is_refused(given, says):
    unit = replace(Unit("run", "scripted", "p", "policy", "small", "adaptive", {"most": 8}, 8), **given)
    with pytest.raises(DataError, match=says):
        collect.check(unit, {"small": None}, {"prm": None}, ScriptedTask())


def entries(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        '[task]\nkind = "testbed"\nlevels = [[2, 2]]\ncount = 2\n[models.small]\nmodel = "testbed/base/small"\n'
        f"[[strategies]]\n{text}\n"
    )
    one = study.read_study(path)
    with study.opened_task(one) as task:
        return [(cell.strategy, dict(cell.parameters), cell.budget) for cell in study.plan_of(one, task).cells]


@pytest.mark.parametrize("name", ["adaptive", NAMED])
def test_a_study_can_name_it_or_where_it_is(name, tmp_path):
    found = entries(f'name = "{name}"\nbudgets = [8, 4]\ntemperature = 0.5', tmp_path)
    assert found == [(name, {"most": n, "temperature": 0.5}, n) for n in (4, 8)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "adaptive"', r"no strategies\[0\].budgets"),
        ('name = "adaptive"\nbudgets = [4]\nverifier = "prm"', r"strategies\[0\].verifier is no key"),
        ('name = "no_such_module:ONE"\nbudgets = [4]', "cannot be imported .*no_such_module.*PYTHONPATH"),
        (f'name = "{__name__}:ANOTHER"\nbudgets = [4]', "cannot be imported .*ANOTHER"),
        (f'name = "{__name__}:adaptive"\nbudgets = [4]', "is a function; expected a Strategy record"),
    ],
)
def test_a_study_that_cannot_have_it_is_refused(text, says, tmp_path):
    with pytest.raises(DataError, match=says):
        entries(text, tmp_path)


def test_its_record_answers_for_all_who_read_what_it_did():
    options = {"most": 8, "temperature": 0.5}
    assert ADAPTIVE.choosers(options, []) == {"": ("majority",)}
    assert not ADAPTIVE.independent(options)  # it stops by what it saw: fewer samples are another run
    assert ADAPTIVE.family(options) == {"temperature": 0.5}
    assert strategies.find(NAMED).solve is adaptive


# The registry


def test_a_name_is_taken_once_and_its_own_record_again_is_nothing_new():
    assert strategies.register(ADAPTIVE) is ADAPTIVE
    with pytest.raises(DataError, match="a second strategy 'greedy'"):
        strategies.register(replace(ADAPTIVE, name="greedy"))
    with pytest.raises(DataError, match="'mine' with scales none; expected one"):
        strategies.register(Strategy("mine", adaptive))
    assert "mine" not in strategies.STRATEGIES


@pytest.mark.parametrize(
    ("name", "parameters", "block"),
    [
        ("greedy", {}, 1),
        ("parallel", {"samples": 8}, 1),
        ("revisions", {"chains": 8, "length": 1}, 1),
        ("revisions", {"chains": 2, "length": 4}, 4),
        ("beam_search", {"beams": 4, "width": 2}, None),
        ("rebase", {"beams": 4}, None),
    ],
)
def test_samples_that_are_drawn_apart_are_known(name, parameters, block):
    one = strategies.STRATEGIES[name]
    assert one.block_of(parameters) == block
    assert one.independent(parameters) == (block == 1)


@pytest.mark.parametrize(
    ("name", "parameters", "found"),
    [
        ("parallel", {"samples": 8}, {"": ("majority",), "prm": ("weighted", "best-of-n")}),
        ("revisions", {"chains": 8, "length": 1}, {"": ("majority",), "prm": ("weighted", "best-of-n")}),
        ("revisions", {"chains": 2, "length": 4}, {"": ("majority",), "prm": ("hierarchical", "weighted")}),
        ("dvts", {"beams": 4, "width": 2}, {"prm": ("weighted",)}),
    ],
)
def test_answers_are_chosen_as_the_paper_says(name, parameters, found):
    assert strategies.STRATEGIES[name].choosers(parameters, ["prm"]) == found


def test_families_differ_in_what_does_not_grow_with_the_budget():
    options = {"chains": 4, "length": 16, "temperature": 1, "verifier": "prm"}
    assert strategies.STRATEGIES["revisions"].family(options) == {"length": 16, "temperature": 1}
    options = {"beams": 16, "width": 4, "verifier": "prm"}
    assert strategies.STRATEGIES["beam_search"].family(options) == {"width": 4}


def test_what_asks_the_record_alone_imports_no_engine_nor_plots():
    heavy = "('aiohttp', 'vllm', 'torch', 'transformers', 'matplotlib', 'scipy.stats', 'math_verify')"
    code = f"import sys, scalinglab.collect.strategies; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
