"""init, schema and run: from no study.toml to a report, again and again, with nothing made twice."""

import json
import re
import signal
import time
import tomllib

import pytest
from jsonschema import Draft202012Validator
from processes import collecting
from scripted import ScriptedTestbed, solving
from serving import serving
from test_signals import until
from test_study_served import FRAME, LARGE, SMALL, TASK, placed
from typer.testing import CliRunner

from scalinglab import study
from scalinglab.cli import app
from scalinglab.collect import draw_testbed
from scalinglab.errors import DataError
from scalinglab.study import beginning, running
from scalinglab.study import task as study_task
from scalinglab.tasks import Level

STUDY = """
[task]
kind = "testbed"
levels = [[2, 1], [2, 2]]
count = 24
[models.small]
model = "testbed/base/small"
[models.large]
model = "testbed/base/large"
[[strategies]]
name = "greedy"
models = ["small", "large"]
[[strategies]]
name = "parallel"
budgets = [8]
"""
FILES = {
    "gsm8k.jsonl": {"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"},
    "math500.jsonl": {"problem": "1 + 1?", "answer": "2", "unique_id": "one"},
    "problems.jsonl": {"question": "1 + 1?", "answer": "2"},
}


def said(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


# init and schema


@pytest.mark.parametrize("kind", beginning.KINDS)
def test_what_init_writes_is_a_study_that_can_be_planned(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(study_task, "chat_template", lambda _: "<user>{prompt}<assistant>")
    path = tmp_path / "study.toml"
    done = said("init", "--kind", kind, path)
    assert done.exit_code == 0
    assert f"scalinglab run {path}" in done.stdout
    for name, line in FILES.items():
        (tmp_path / name).write_text("\n".join(json.dumps(line | {"unique_id": str(i)}) for i in range(200)))
    one = study.read_study(path)
    assert one.name == kind
    with study.opened_task(one) as task:
        plan = study.plan_of(one, task)
    assert {"small", "large"} <= set(plan.models)
    assert all(model.spec for model in plan.models.values()), "each can be priced"
    assert {cell.strategy for cell in plan.cells if cell.model == "large"} == {"greedy"}
    text = path.read_text()
    assert text.startswith("#:schema ./study.schema.json\n")
    assert Draft202012Validator(json.loads(said("schema").stdout)).is_valid(tomllib.loads(text))


@pytest.mark.parametrize("kind", beginning.KINDS)
def test_what_its_comments_offer_can_be_said(kind, tmp_path):
    """Every key that is commented out, put in, one at a time."""
    text = (beginning.SHIPPED / "studies" / f"{kind}.toml").read_text()
    offers = re.findall(r"^# (\w+ = .*)$", text, flags=re.MULTILINE)
    assert offers
    for offer in offers:
        if offer.startswith(("efforts", "waits")):  # in place of another, or beside one
            continue
        (tmp_path / "study.toml").write_text(text.replace(f"# {offer}", offer))
        if offer.startswith("served") or "url" not in text:
            assert study.read_study(tmp_path / "study.toml")
        study.read_study(tmp_path / "study.toml")


def test_init_writes_over_nothing(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("mine")
    with pytest.raises(DataError, match="is there; expected a new file"):
        study.write_study("testbed", path)
    assert path.read_text() == "mine"
    with pytest.raises(DataError, match="kind 'mmlu'; expected one of testbed, gsm8k"):
        study.write_study("mmlu", tmp_path / "other.toml")


# run


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def opened(monkeypatch):
    """Engines that are scripts, of which the large one errs less; and the names of those that were opened."""
    task, names = draw_testbed([Level(2, 1), Level(2, 2)], 24), []

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        names.append(name)
        return ScriptedTestbed(solving(task, wrong=0.2 if name == "large" else 0.4), model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)
    return names


def ran(toml, out, *more):
    """`scalinglab run` of few comparisons."""
    return said("run", toml, "--out", out, "--r", "0.79", "--bins", "1", *more)


def steps(done):
    assert done.exit_code == 0, done.output
    return {one["step"]: one for one in json.loads(done.stdout.splitlines()[-1])["steps"]}


def test_a_study_is_taken_to_its_report_and_only_what_changed_is_made_again(toml, tmp_path, monkeypatch, opened):
    out = tmp_path / "out"
    first = ran(toml, out)
    assert first.exit_code == 0, first.output
    assert f"{out / 'report/report.html'}" in first.stdout
    for line in ("collect: testbed/base/small and", "exchange: testbed/base/small against", "advise: what to use"):
        assert f"scalinglab: {line}" in first.stderr
    assert (out / "run/run.sqlite").is_file()
    stood = {name: (out / name).stat().st_mtime_ns for name in ("exchange.txt", "report/report.html")}
    assert len(opened) == 2

    again = steps(ran(toml, out, "--json"))
    assert [one["kept"] for one in again.values()] == [True] * 4
    assert {name: (out / name).stat().st_mtime_ns for name in stood} == stood
    assert len(opened) == 2, "no engine is started for a study that is done"

    other = steps(ran(toml, out, "--json", "--queries", "1e6"))
    assert [name for name, one in other.items() if not one["kept"]] == ["advise"]
    (out / "optimal.txt").unlink()
    lost = steps(ran(toml, out, "--json", "--queries", "1e6"))
    assert [name for name, one in lost.items() if not one["kept"]] == ["optimal"]
    toml.write_text(STUDY.replace("[8]", "[16]"))
    more = steps(ran(toml, out, "--json", "--queries", "1e6"))
    assert not any(one["kept"] for one in more.values())
    assert len(opened) > 2
    monkeypatch.setattr("scalinglab.study.steps.__version__", "99")
    assert not any(one["kept"] for one in steps(ran(toml, out, "--json")).values())


def test_a_step_that_fails_hinders_no_other_and_is_tried_again(toml, tmp_path, opened):  # noqa: ARG001
    done = ran(toml, tmp_path / "out", "--target", "1.5", "--json")
    assert done.exit_code == 1
    made = {one["step"]: one for one in json.loads(done.stdout.splitlines()[-1])["steps"]}
    assert [name for name, one in made.items() if one["failed"]] == ["advise"]
    assert "scalinglab: advise: not made: " in done.stderr
    assert (tmp_path / "out/report/report.html").is_file()
    assert not any(one["kept"] for one in steps(ran(toml, tmp_path / "out", "--json")).values()
                   if one["step"] == "advise")  # fmt: skip


def test_a_folder_of_something_else_is_refused_before_anything_is_begun(toml, tmp_path, opened):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/exchange.txt").write_text("mine")
    done = said("run", toml, "--out", tmp_path / "notes")
    assert isinstance(done.exception, DataError)
    assert "holds something else; expected a new folder" in str(done.exception)
    done = said("run", toml, "--out", tmp_path / "new", "--convention", "papre")
    assert done.exit_code == 1
    assert not (tmp_path / "new").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/steps.json").write_text('{"steps": 3}')
    assert "steps.json cannot be read" in str(said("run", toml, "--out", tmp_path / "out").exception)
    assert opened == []


PAIR = '[[strategies]]\nname = "greedy"\nmodels = ["small", "large"]\n[limits]\nin_flight = 1\n'


@pytest.mark.parametrize(
    ("mode", "moment"), [("slow", "waiting for the first answer"), ("ok", "exchange: S against L")]
)
def test_ctrl_c_while_it_collects_or_compares_ends_in_a_line_that_goes_on(mode, moment, tmp_path):
    with serving(mode) as port:
        toml, out = placed(TASK + FRAME + SMALL + LARGE + PAIR, tmp_path, port), tmp_path / "out"
        with collecting(toml, out, verb="run") as process:
            until(process, moment)
            time.sleep(0.5)  # the bar stands a little before the first unit is begun
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "Traceback" not in said, said
    assert said.splitlines()[-1].endswith(f"nothing done is lost: `scalinglab run {toml} --out {out}` goes on"), (
        said
    )
    assert study.status_of(out / "run").done > 0
    assert not (out / "report").exists()
    assert json.loads((out / "steps.json").read_text())["steps"] == {}
