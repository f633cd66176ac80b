import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing, nullcontext
from pathlib import Path

import pandas as pd
import pytest
from processes import collecting
from scripted import ScriptedTestbed, opinion, solving
from typer.testing import CliRunner

from scalinglab import flops, specs, study
from scalinglab.cli import app
from scalinglab.collect import STRATEGIES, TestbedTask, draw_testbed, journal
from scalinglab.curves import arms_of
from scalinglab.errors import DataError, EngineError
from scalinglab.evidence import open_evidence, specs_in
from scalinglab.ledger import price
from scalinglab.samples import read_run
from scalinglab.study import running
from scalinglab.study import task as study_task
from scalinglab.tasks import Level

TESTS = Path(__file__).parent
TEXT = """
name = "few"

[task]
kind = "testbed"
levels = [[2, 1], [2, 2]]
count = 3

[models.small]
model = "testbed/base/small"

[models.large]
model = "testbed/base/large"

[models.prm]
model = "testbed/base/prm"

[models.reviser]
model = "testbed/base/reviser"

[verifiers.prm]
model = "prm"

[verifiers.noisy]
kind = "noisy"
of = "prm"
flips = 0.2

[verifiers.oracle]
kind = "exact"

[[strategies]]
name = "greedy"
models = ["small", "large"]

[[strategies]]
name = "parallel"
budgets = [1, 2, 4]
verifier = "prm"

[[strategies]]
name = "beam_search"
budgets = [2, 4]
verifier = "noisy"

[[strategies]]
name = "lookahead"
budgets = [4]
verifier = "oracle"

[[strategies]]
name = "revisions"
budgets = [4]
lengths = [1, 4]
verifier = "prm"

[limits]
in_flight = 3
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    return path


def scripted(monkeypatch, **options):
    """Engines that are scripts, and what was opened."""
    task, opened = draw_testbed([Level(2, 1), Level(2, 2)], 3), []

    async def open_engine(model, *, name, **_):
        opened.append((name, model))
        return ScriptedTestbed(solving(task), good=opinion, model=name, **options)

    monkeypatch.setattr(running, "open_engine", open_engine)
    return opened


def read(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return study.read_study(path)


def planned(text, tmp_path):
    return plan_of(read(text, tmp_path))


def plan_of(one):
    with study.opened_task(one) as task:
        return study.plan_of(one, task)


# What a study says


def test_a_study_becomes_units_with_one_pool_of_parallel_samples_and_a_search_a_budget(toml):
    plan = plan_of(study.read_study(toml))
    cells = [(c.model, c.strategy, dict(c.parameters), c.budget) for c in plan.cells]
    assert cells == [
        ("small", "greedy", {}, 1),
        ("large", "greedy", {}, 1),
        ("small", "parallel", {"samples": 4, "verifier": "prm"}, 4),
        ("small", "beam_search", {"beams": 2, "width": 2, "verifier": "noisy"}, 2),
        ("small", "beam_search", {"beams": 4, "width": 4, "verifier": "noisy"}, 4),
        ("small", "lookahead", {"beams": 2, "width": 2, "steps": 1, "verifier": "oracle"}, 4),
        ("reviser", "revisions", {"chains": 4, "length": 1, "verifier": "prm"}, 4),
        ("reviser", "revisions", {"chains": 1, "length": 4, "verifier": "prm"}, 4),
    ]
    units = list(plan.units())
    assert len(units) == plan.total == 24 == len({unit.key for unit in units})
    assert [c.role for c in plan.cells] == ["policy", "large", *["policy"] * 4, "reviser", "reviser"]
    assert {unit.run for unit in units} == {"few"}
    assert plan.verifiers == {"prm": "prm", "noisy": "prm", "oracle": None}


def test_a_search_is_as_wide_as_the_square_root_of_its_beams_and_looks_so_far_ahead_as_asked(tmp_path):
    ahead = 'name = "lookahead"\nbudgets = [4]\n'
    text = TEXT.replace("budgets = [2, 4]", 'budgets = [4, 16]\nwidth = "sqrt"')
    text = text.replace(ahead, 'name = "lookahead"\nbudgets = [16, 64]\nsteps = 3\nwidth = "sqrt"\n')
    cells = [(c.strategy, dict(c.parameters), c.budget) for c in planned(text, tmp_path).cells]
    assert cells[3:7] == [
        ("beam_search", {"beams": 4, "width": "sqrt", "verifier": "noisy"}, 4),
        ("beam_search", {"beams": 16, "width": "sqrt", "verifier": "noisy"}, 16),
        ("lookahead", {"beams": 4, "width": "sqrt", "steps": 3, "verifier": "oracle"}, 16),
        ("lookahead", {"beams": 16, "width": "sqrt", "steps": 3, "verifier": "oracle"}, 64),
    ]
    assert len({json.dumps(STRATEGIES[name].family(own)) for name, own, _ in cells[3:5]}) == 1, "one line"


def test_seeds_and_the_limit_of_problems_multiply(tmp_path):
    plan = planned(TEXT.replace('name = "few"', "seeds = [3, 5]") + "problems = 2\n", tmp_path)
    assert plan.total == 2 * 2 * 8
    assert {cell.seed for cell in plan.cells} == {3, 5}
    assert plan.run == "study"


def test_a_shipped_model_is_priced_as_it_was_trained(toml):
    plan = plan_of(study.read_study(toml))
    known = specs_in(plan.models)
    for name in ("small", "large", "prm", "reviser"):
        folder = Path(specs.__file__).parents[1] / "data/testbed/base" / name
        manifest = json.loads((folder / "manifest.json").read_text())
        spec = known[name]
        assert spec.total == manifest["parameters"]
        for rule in ("paper", "exact"):
            spent = flops.total(flops.training(spec, spec.training_tokens, convention=flops.convention(rule)))
            assert spent == pytest.approx(manifest["flops"][rule], rel=0.005), (name, rule)


def test_paths_are_relative_to_the_study_and_specs_can_be_given(tmp_path):
    (tmp_path / "mine").mkdir()
    shipped = Path(specs.__file__).parents[1] / "data/testbed/base/small/config.json"
    (tmp_path / "mine/config.json").write_text(shipped.read_text())
    text = TEXT.replace('"testbed/base/small"', '"mine"\ntraining_tokens = 7\ntraining_sequence = 5')
    text = text.replace('"testbed/base/large"', '"a/b"\nurl = ["http://x"]\nspec = "Llama-3.1-8B"')
    known = specs_in(planned(text, tmp_path).models)
    assert (known["small"].training_tokens, known["small"].training_sequence) == (7, 5)
    assert known["small"].name == "small"
    assert known["large"].total == specs.find("Llama-3.1-8B").total
    assert known["large"].training_tokens == specs.find("Llama-3.1-8B").training_tokens


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[task]", "[taks]", "no task; expected a table; add task"),
        ("[task]", "tsk = 1\n[task]", r"tsk is no key; expected one of .*task.*; mend or drop tsk"),
        ("count = 3", "count = 3\nsplt = 'test'", "task.splt is no key"),
        (
            "count = 3",
            "count = 0",
            r"task.count is 0; expected a whole number >= 1, at most 1,000,000; mend count",
        ),
        ("count = 3", "", "no task.count; expected a whole number"),
        (
            "[[2, 1], [2, 2]]",
            "[[2, 1], [0, 0]]",
            r"study.toml:6: task.levels is .*\[0, 0\]\]; expected a list of \[facts, sums\], each 0 to 99",
        ),
        ("[[2, 1], [2, 2]]", "[[2]]", r"task.levels is \[\[2\]\]; expected a list of \[facts, sums\]"),
        ('kind = "testbed"', 'kind = "gsm9k"', "task.kind is 'gsm9k'; expected one of testbed"),
        ("[models.small]", "[models.tiny]", "models.tiny is no key; expected one of large, orm, prm"),
        ('model = "testbed/base/large"', "modle = 'x'", "no models.large.model"),
        (
            'model = "testbed/base/large"',
            "model = 'x'\nurl = 'y'",
            "models.large.url is 'y'; expected http://host:port, or a list",
        ),
        ('model = "prm"', 'model = "orm"', "verifiers.prm.model is 'orm'; expected one of small"),
        ('model = "prm"', 'model = "prm"\nflips = 0.1', "verifiers.prm.flips is no key"),
        ('model = "prm"', 'model = "prm"\ntemplate = "x"', "verifiers.prm.template is 'x'; expected one of task"),
        ('model = "prm"', 'model = "prm"\ntemplate = {q = "x"}', "verifiers.prm.template.q is no key"),
        ("flips = 0.2", "flips = 2", "verifiers.noisy.flips is 2; expected a probability"),
        ("flips = 0.2", "flips = nan", "verifiers.noisy.flips is nan; expected a probability, 0 to 1"),
        ('name = "parallel"', 'name = "parallel"\ntemperature = -1', "temperature is -1; expected a number >= 0"),
        ('of = "prm"', 'of = "noisy"', "verifiers.noisy.of is 'noisy'; expected a verifier that is not noisy"),
        ('name = "greedy"', 'name = "gredy"', r"strategies\[0\].name is 'gredy'; expected one of greedy"),
        ('name = "greedy"', 'name = "greedy"\nbudgets = [1]', r"strategies\[0\].budgets is no key"),
        (
            '["small", "large"]',
            '["prm"]',
            r"strategies\[0\].models is \['prm'\]; expected a list of some of small",
        ),
        ('verifier = "noisy"', "", r"no strategies\[2\].verifier; expected one of prm, noisy, oracle"),
        ('verifier = "noisy"', 'verifier = ["prm"]', r"strategies\[2\].verifier is \['prm'\]; expected one of"),
        ("[1, 2, 4]", "[0]", r"strategies\[1\].budgets is \[0\]; expected a list of whole numbers >= 1"),
        ("[1, 2, 4]", "[]", r"strategies\[1\].budgets is \[\]"),
        ("[1, 2, 4]", "[2]\ntemperature = 'x'", r"strategies\[1\].temperature is 'x'; expected a number"),
        ("[1, 2, 4]", "[2]\naggregate = 'x'", r"strategies\[1\].aggregate is 'x'; expected one of last"),
        (
            "lengths = [1, 4]",
            "lengths = [3]",
            "revisions with budget 4; expected a multiple of one of the lengths 3",
        ),
        ('budgets = [4]\nverifier = "oracle"', 'budgets = [3]\nverifier = "oracle"', "lookahead with budget 3"),
        ("budgets = [2, 4]", "budgets = [4]\nwidth = 'root'", 'width is .root.; expected .* >= 1, or "sqrt"'),
        ("budgets = [2, 4]", "budgets = [6]", "beam_search with budget 6; expected so many beams that width 4"),
        ("in_flight = 3", "in_fligt = 3", "limits.in_fligt is no key; expected one of in_flight, problems"),
        (
            "in_flight = 3",
            "in_flight = 3\n[engine]\ndtyp = 'x'",
            "engine.dtyp is no key; expected one of arguments, block_size",
        ),
        ("[limits]", "[[strategies]]\nname = 'greedy'\n[limits]", "greedy of small with {} is there twice"),
        ("[task]", "[task", "study.toml is not TOML"),
    ],
)
def test_what_a_study_cannot_say_is_refused_in_one_line_that_names_it(old, new, says, tmp_path):
    assert old in TEXT
    with pytest.raises(DataError, match=says) as refused:
        planned(TEXT.replace(old, new, 1), tmp_path)
    assert "\n" not in str(refused.value)


def test_what_the_page_on_collecting_says_of_a_study_is_a_study(tmp_path):
    page = (TESTS.parent / "docs" / "collecting.md").read_text(encoding="utf-8")
    one = read("".join(re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)), tmp_path)
    assert one.side_by_side is False
    assert one.task["kind"] == "math"
    assert study.priced(one.models["small"], tmp_path).spec


@pytest.mark.parametrize("path", sorted((TESTS.parent / "results").glob("*/study.toml")), ids=str)
def test_the_committed_studies_can_be_planned(path):
    assert plan_of(study.read_study(path)).total > 0


GSM8K = """
[task]
kind = "gsm8k"
path = "few.jsonl"
count = 1
[models.small]
model = "Qwen2.5-0.5B"
[[strategies]]
name = "greedy"
"""


def test_a_benchmark_is_read_beside_the_study(tmp_path):
    line = {"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"}
    (tmp_path / "few.jsonl").write_text(json.dumps(line) + "\n")
    with study.opened_task(read(GSM8K, tmp_path)) as task:
        (problem,) = task.problems.values()
        assert (problem.question, problem.answer) == ("1 + 1?", "2")
        assert task.name == "gsm8k"
    assert planned(GSM8K, tmp_path).models["small"].spec == "Qwen2.5-0.5B"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count = 1", "count = 7", "count is 7; expected 1 to 1"),
        ("count = 1", "levels = [[1, 1]]", "task.levels is no key; expected one of answers, chat, count"),
        ("few.jsonl", "none.jsonl", "none.jsonl"),
        ("count = 1", "max_tokens = -1", "task.max_tokens is -1; expected a whole number >= 1"),
    ],
)
def test_what_a_benchmark_cannot_be_is_refused(old, new, says, tmp_path):
    (tmp_path / "few.jsonl").write_text(json.dumps({"question": "1?", "answer": "#### 2"}) + "\n")
    with pytest.raises(DataError, match=says):
        planned(GSM8K.replace(old, new), tmp_path)


def test_a_models_own_chat_template_serves_where_all_have_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(study_task, "chat_template", lambda model: f"<{model}>{{prompt}}")
    (tmp_path / "few.jsonl").write_text(json.dumps({"question": "1?", "answer": "#### 2"}) + "\n")
    text = GSM8K.replace("count = 1", 'chat = "small"')
    with study.opened_task(read(text, tmp_path)) as task:
        assert task.problems["1"].prompt.startswith("<Qwen2.5-0.5B>Solve")
    for model, fits in (("Qwen2.5-0.5B", True), ("Qwen3-8B", False)):
        two = text.replace("[models.small]", f'[models.large]\nmodel = "{model}"\n[models.small]')
        with nullcontext() if fits else pytest.raises(DataError, match="'small', and large has another chat"):
            planned(two, tmp_path)


# Running it


def run(path, *options):
    return CliRunner().invoke(app, ["collect", str(path), *map(str, options)])


def spent(evidence):
    """FLOPs of every arm of the small model, (problems, arms)."""
    return arms_of(evidence, [flops.convention("exact")], models=["small"])[0].flops


def test_a_study_runs_and_is_priced_by_what_lies_beside_its_store(toml, tmp_path, monkeypatch):
    opened, out = scripted(monkeypatch), tmp_path / "run"
    done = run(toml, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert [name for name, _ in opened] == ["small", "large", "reviser", "prm"]
    assert all(Path(model).is_dir() for _, model in opened)
    assert "few: 24 of 24 units done" in done.stdout
    assert [line.split()[-1] for line in done.stderr.splitlines() if "starting" in line] == [n for n, _ in opened]
    data = open_evidence(out)
    assert (data.small, data.lacking) == ("small", ())
    assert spent(data).mean() > 0
    assert (out / "study.toml").read_text() == TEXT
    assert re.search(r"24/24 units 100%.* 66 samples, .* tokens/s, FLOPs: policy .*, verifier ", done.stderr)

    again = run(toml, "--out", out)
    assert again.exit_code == 0
    assert len(opened) == 4, "all was done: no engine was opened"


def test_models_of_one_policy_at_a_time_where_memory_is_short(tmp_path, monkeypatch):
    opened = scripted(monkeypatch)
    together = asyncio.run(study.run_study(read(TEXT, tmp_path), tmp_path / "together"))
    before = len(opened)
    apart = read(TEXT + "[engine]\nside_by_side = false\n", tmp_path)
    seen = []
    asyncio.run(study.run_study(apart, tmp_path / "apart", progress=seen.append))
    assert [name for name, _ in opened[before:]] == ["small", "prm", "large", "reviser", "prm"]
    assert [one.done for one in seen] == list(range(1, 25))
    assert {one.total for one in seen} == {together.total} == {24}
    one, other = (read_run(tmp_path / name) for name in ("together", "apart"))
    pd.testing.assert_frame_equal(one.solutions, other.solutions)


def test_the_export_is_a_run_with_the_same_prices(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    assert run(toml, "--out", tmp_path / "run").exit_code == 0
    kept = tmp_path / "kept"
    done = CliRunner().invoke(app, ["export", str(tmp_path / "run"), "--out", str(kept)])
    assert done.exit_code == 0
    about = json.loads((kept / "manifest.json").read_text())
    assert {str(path.relative_to(kept)) for path in kept.rglob("*.*")} == {*about["files"], "manifest.json"}
    expected = spent(open_evidence(tmp_path / "run"))
    for found in (kept, kept / "samples"):
        assert (spent(open_evidence(found)) == expected).all()
    assert study.status_of(kept) == study.status_of(tmp_path / "run")
    (collected,) = about["collected"]
    assert {one["software"] for one in collected["engines"].values()} == {"a script 1.0"}
    assert {one["replicas"] for one in collected["engines"].values()} == {1}
    assert {"scalinglab", "python"} < set(collected["versions"])
    assert collected["machine"] == about["machine"]
    assert about["seeds"] == [0]
    again = CliRunner().invoke(app, ["export", str(kept), "--out", str(kept)])
    assert "to itself; expected another folder" in str(again.exception)


# The demonstration


def demonstrated(monkeypatch, **options):
    one = study.demo_study()
    with study.opened_task(one) as task:
        drawn = task

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        if options.get("fails"):
            raise EngineError("no vllm", "an installed vllm", "install it")
        return ScriptedTestbed(solving(drawn), good=opinion, model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)


def test_the_demo_is_a_live_run_that_ends_in_verdicts(tmp_path, monkeypatch):
    demonstrated(monkeypatch)
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith("OpenAI's 6B model with a verifier")
    assert (tmp_path / "demo/real-models/claims.png").is_file()
    assert "testbed/base/small with test-time compute against testbed/base/large" in done.stdout
    assert re.search(r"beam_search width=4, weighted by prm +16 ", done.stdout)
    assert "The run is in" in done.stdout
    assert (tmp_path / "demo/report.html").is_file()
    (collected,) = json.loads((tmp_path / "demo/manifest.json").read_text())["collected"]
    assert set(collected["engines"]) == {"small", "large", "prm"}
    assert study.status_of(tmp_path / "demo/run").done == study.status_of(tmp_path / "demo/run").total == 750


def test_where_no_engine_starts_the_demo_says_so_and_shows_the_recorded_run(tmp_path, monkeypatch):
    demonstrated(monkeypatch, fails=True)
    done = CliRunner().invoke(app, ["demo", "--only", "run", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.exception
    assert not (tmp_path / "demo/real-models").exists()
    assert "the run was recorded earlier and not made now: no vllm" in done.stdout
    assert "the run was recorded earlier" in done.stderr
    assert "testbed/base/small with test-time compute against testbed/base/large" in done.stdout


def test_the_recorded_demo_is_a_whole_run_of_its_study():
    found = study.status_of(study.RECORDED)
    assert found.done == found.total == 750
    assert found.grades["error"] == 0
    recorded, wanted = study.read_plan(study.RECORDED), plan_of(study.demo_study())
    assert (recorded.problems, recorded.cells) == (wanted.problems, wanted.cells)


def test_a_folder_of_something_else_or_of_other_models_is_refused(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert "is no run's folder; expected a new folder" in str(run(toml, "--out", out).exception)
    (out / "thesis.txt").unlink()
    assert run(toml, "--out", out).exit_code == 0
    toml.write_text(TEXT.replace("base/small", "base/reviser", 1))
    refused = run(toml, "--out", out).exception
    assert "holds another model small; expected the run of this study; give another --out" in str(refused)


def test_a_second_collector_changes_nothing_in_a_folder_in_use(toml, tmp_path, monkeypatch):
    opened, out = scripted(monkeypatch, waits=0.01), tmp_path / "run"
    first, second = study.read_study(toml), read(TEXT.replace("[1, 2, 4]", "[8]"), tmp_path)

    def kept():
        return {name: (out / name).read_bytes() for name in ("study.toml", "study.json", "collected.json")}

    async def both():
        begun = asyncio.Event()
        running = asyncio.create_task(study.run_study(first, out, progress=lambda _: begun.set()))
        await begun.wait()
        before = kept()
        with pytest.raises(DataError, match="no other collector holds"):
            await study.run_study(second, out)
        assert (kept(), len(opened)) == (before, 4), "neither files nor engines"
        await running

    asyncio.run(both())
    assert study.status_of(out).done == study.status_of(out).total == 24
    asyncio.run(study.run_study(second, out))
    assert study.status_of(out).total == 24, "it is free again"
    assert "[8]" in (out / "study.toml").read_text()


def test_a_run_killed_before_its_plan_was_written_begins_again(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    out = tmp_path / "run"
    out.mkdir()
    for name in ("run.sqlite.lock", f".{'0' * 16}.partial"):
        (out / name).touch()
    assert run(toml, "--out", out).exit_code == 0


def test_a_larger_study_goes_on_in_the_same_folder(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    toml.write_text(TEXT + "problems = 1\n")
    assert run(toml, "--out", tmp_path / "run").exit_code == 0
    toml.write_text(TEXT)
    found = json.loads(run(toml, "--out", tmp_path / "run", "--json").stdout)
    assert (found["done"], found["total"]) == (24, 24)


def test_the_exact_checker_is_refused_where_a_task_has_none(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    monkeypatch.delattr(TestbedTask, "check")
    with pytest.raises(DataError, match="verifier oracle of kind exact for testbed; expected a task whose steps"):
        asyncio.run(study.run_study(study.read_study(toml), tmp_path / "run"))


@pytest.mark.parametrize("where", ["../nowhere/small", "../notes/../testbed/base/small", "/nowhere/small"])
def test_a_folder_that_is_not_there_is_neither_a_shipped_model_nor_a_name_of_a_hub(toml, where, tmp_path):
    toml.write_text(TEXT.replace("testbed/base/small", where))
    with pytest.raises(DataError, match=r"small: no model in .*small; expected a folder .*, or a name of a hub"):
        asyncio.run(study.run_study(study.read_study(toml), tmp_path / "run"))


# What it will take, and how far it is


def test_the_forecast_is_one_problem_times_all_of_them_and_writes_nothing(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    found = json.loads(run(toml, "--dry-run", "--json").stdout)
    assert sorted(tmp_path.rglob("*")) == before
    assert found["units"] == 24
    probe = asyncio.run(study.probe_study(study.read_study(toml)))
    assert len(probe.done) == 8
    calls = [call for _, calls, _ in probe.done for call in calls]
    assert found["calls"] == 3 * len(calls)
    assert found["tokens"] == 3 * sum(call.generated_tokens for call in calls)
    ledger = price(study.frames(probe.done), specs_in(probe.plan.models), convention=flops.convention("paper"))
    spent = ledger.entries[ledger.entries["phase"] != "pretrain"].groupby("role")["flops"].sum()
    assert {row["role"]: row["flops"] for row in found["roles"]} == {"verifier": 0} | {  # under paper
        role: 3 * int(value) for role, value in spent.items()
    }
    shown = run(toml, "--dry-run").stdout
    assert re.search(r"few: 24 units, [\d,]+ calls, [\d,]+ generated tokens, about \d+ minutes", shown)


def test_status_counts_what_is_done_left_and_wrong(tmp_path, monkeypatch):
    scripted(monkeypatch)
    monkeypatch.setattr(journal, "_MOST", 1)  # each unit is written, and told of, as it is done
    one = read(TEXT.replace("in_flight = 3", "in_flight = 1"), tmp_path)

    def stop(progress):
        if progress.done == 10:
            raise EngineError("enough", "x", "y")

    with pytest.raises(EngineError, match="enough"):
        asyncio.run(study.run_study(one, tmp_path / "run", progress=stop))
    done = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--convention", "exact", "--json"])
    found = json.loads(done.stdout)
    assert (found["done"], found["total"]) == (10, 24)
    assert sum(cell["done"] for cell in found["cells"]) == 10
    assert sum(cell["left"] for cell in found["cells"]) == 14
    recorded = read_run(tmp_path / "run")
    by_role = recorded.calls.groupby("role")[["prompt_tokens", "generated_tokens"]].sum()
    assert {row["role"]: row["generated_tokens"] for row in found["roles"]} == by_role[
        "generated_tokens"
    ].to_dict()
    assert all(row["flops"] > 0 for row in found["roles"])
    written = recorded.calls[recorded.calls["generated_tokens"] > 0]
    assert found["truncated"] == pytest.approx((written["finish_reason"] == "length").mean())
    assert found["grades"]["unparsed"] == pytest.approx((recorded.solutions["grade"] == "unparsed").mean())
    assert found["grades"]["error"] == 0
    text = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--convention", "paper"]).stdout
    assert "few: 10 of 24 units done" in text
    assert "convention paper, pretraining left out" in text
    assert "not found" not in text
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as store, store:
        store.execute("UPDATE solutions SET grade = 'unparsed', answer = NULL")
    text = CliRunner().invoke(app, ["status", str(tmp_path / "run")]).stdout
    assert 'most answers were not found: "answers" of [task] says where to look' in text


def test_a_model_without_a_spec_is_counted_and_not_priced(toml, tmp_path, monkeypatch):
    scripted(monkeypatch)
    toml.write_text(TEXT.replace('"testbed/base/prm"', '"who/knows"\nurl = ["http://localhost:1"]'))
    found = json.loads(run(toml, "--out", tmp_path / "run", "--json").stdout)
    flops_of = {row["model"]: row["flops"] for row in found["roles"]}
    assert flops_of.pop("prm") is None
    assert all(flops_of.values())
    assert "unknown" in CliRunner().invoke(app, ["status", str(tmp_path / "run")]).stdout


def test_what_is_no_run_has_no_status(tmp_path):
    refused = CliRunner().invoke(app, ["status", str(tmp_path)]).exception
    assert re.search("no study.json in .* or beside it; expected the folder of a run", str(refused))


# Ctrl-C

SLOW = """
    from scripted import ScriptedTestbed, opinion, solving
    from scalinglab.cli import main
    from scalinglab.collect import draw_testbed
    from scalinglab.study import plan, running
    from scalinglab.tasks import Level
    task = draw_testbed([Level(2, 1), Level(2, 2)], 3)
    async def open_engine(model, *, name, **_):
        return ScriptedTestbed(solving(task), good=opinion, model=name, waits={waits})
    running.open_engine = open_engine
    main()
"""


def slowly(toml, out, waits):
    return collecting(toml, out, code=textwrap.dedent(SLOW.format(waits=waits)))


@pytest.mark.parametrize("hits", [1, 2])
def test_ctrl_c_stops_with_one_line_and_the_same_command_ends_as_an_unbroken_run(hits, toml, tmp_path):
    store = tmp_path / "run/run.sqlite"
    with slowly(toml, tmp_path / "run", 0.2) as process:
        while not (store.is_file() and study.status_of(tmp_path / "run").done > 1):
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        for _ in range(hits):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        f"scalinglab: stopped; nothing done is lost: `scalinglab collect {toml} --out {tmp_path / 'run'}` goes on"
    )
    assert "Traceback" not in said
    assert "ending what is in flight; Ctrl-C again to stop at once" in said
    kept = study.status_of(tmp_path / "run").done
    assert 1 < kept < 24

    for name in ("run", "unbroken"):
        with slowly(toml, tmp_path / name, 0) as process:
            assert process.communicate(timeout=120)[0]
            assert process.returncode == 0
    one, other = (read_run(tmp_path / name) for name in ("run", "unbroken"))
    pd.testing.assert_frame_equal(one.solutions, other.solutions)
    pd.testing.assert_frame_equal(one.calls.drop(columns="seconds"), other.calls.drop(columns="seconds"))


def test_a_study_can_be_read_without_any_engine_or_torch():
    code = (
        "import sys, scalinglab.study; "
        "print([m for m in ('vllm', 'aiohttp', 'torch', 'transformers', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
