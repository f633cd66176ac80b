"""Studies of models that servers have: what their study.toml says, and what comes of servers that misbehave."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from scripted import ScriptedEngine
from serving import serving
from typer.testing import CliRunner

from scalinglab import study
from scalinglab.cli import app
from scalinglab.collect import About, opening
from scalinglab.errors import DataError, DeadEngineError, EngineError
from scalinglab.evidence import open_evidence
from scalinglab.samples import read_collected, read_plan, read_run
from scalinglab.study import cast, running
from scalinglab.study import task as study_task

PROBLEMS = [(17, 39), (36, 10), (25, 60), (40, 32)]
TASK = """
[task]
kind = "jsonl"
path = "problems.jsonl"
fields = { question = "q", answer = "a" }
max_tokens = 60
"""
FRAME = 'chat = "<s>user {prompt} assistant "\n'
SMALL = """
[models.small]
model = "S"
url = "URL"
spec = "Qwen2.5-0.5B"
"""
GREEDY = """
[[strategies]]
name = "greedy"
models = ["small"]
"""
JUDGED = (
    TASK
    + FRAME
    + SMALL
    + """
[models.prm]
model = "P"
url = "URL"
[verifiers.prm]
kind = "reward"
model = "prm"
template = { question = "<s>{question} ", step = "{step} ки", between = "\\n" }
[[strategies]]
name = "parallel"
models = ["small"]
budgets = [4]
verifier = "prm"
"""
)


def placed(text, folder, port=1):
    """A study.toml in a folder, with its problems."""
    lines = [json.dumps({"q": f"What is {a} + {b}?", "a": str(a + b)}) for a, b in PROBLEMS]
    (folder / "problems.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "study.toml"
    path.write_text(text.replace("URL", f"http://127.0.0.1:{port}"))
    return path


def read(text, folder):
    return study.read_study(placed(text, folder))


def ran(text, folder, port):
    return asyncio.run(study.run_study(study.read_study(placed(text, folder, port)), folder / "run"))


def scores(folder):
    return {one for found in read_run(folder / "run").solutions["scores"] for one in found}


# What a study says of servers


def test_how_a_model_is_reached_is_read_kept_in_the_plan_and_told_its_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "sk-1")
    more = 'served = "s"\napi = "chat"\nserver = "vllm"\nreplicas = 2\nextra = { top_k = 5 }\nkey_env = "KEY"\n'
    one = read(TASK + SMALL + more + GREEDY + "[limits]\nrequests = 7\ntimeout = 5\n", tmp_path)
    opened = []

    async def open_engine(model, **options):
        opened.append((model, options))
        raise EngineError("enough", "x", "y")

    monkeypatch.setattr(running, "open_engine", open_engine)
    with pytest.raises(EngineError, match="enough"):
        asyncio.run(study.run_study(one, tmp_path / "run"))
    ((model, options),) = opened
    assert (model, options["name"]) == ("S", "small")
    assert options["served"] == opening.Served(
        ("http://127.0.0.1:1",), "s", "chat", "vllm", 2, None, {"top_k": 5}, "sk-1", 7, 5
    )
    assert "sk-1" not in repr(options["served"])
    kept = read_plan(tmp_path / "run").models["small"]
    assert (kept.served, kept.api, kept.server, kept.replicas, kept.extra) == (
        "s",
        "chat",
        "vllm",
        2,
        {"top_k": 5},
    )
    assert all("sk-1" not in path.read_text(errors="replace") for path in (tmp_path / "run").iterdir())


def test_a_chat_is_asked_with_the_instruction_and_the_question_alone(tmp_path):
    with study.opened_task(read(TASK + SMALL + 'api = "chat"\n' + GREEDY, tmp_path)) as task:
        prompt = task.problems["1"].prompt
        assert prompt.startswith("Solve the problem step by step.")
        assert prompt.endswith("\n\nWhat is 17 + 39?")
        assert task.ends == ()


THINK = '[[strategies]]\nname = "think"\nmodels = ["small"]\nbudgets = [2]\n'


def test_a_chat_thinks_at_the_efforts_its_server_has_a_name_for(tmp_path):
    text = TASK + SMALL + 'api = "chat"\n' + THINK + 'efforts = ["low", "high"]\n'
    with serving("effort", script="fake_chat_server.py") as port:
        ran(text, tmp_path, port)
    run = read_run(tmp_path / "run")
    thought = run.calls.merge(run.units[["key", "parameters"]], left_on="unit", right_on="key")
    efforts = thought["parameters"].map(lambda given: json.loads(given)["effort"])
    assert thought["thinking_tokens"].groupby(efforts).unique().map(list).to_dict() == {"low": [14], "high": [56]}
    found = study.status_of(tmp_path / "run")
    assert [(cell["effort"], cell["done"], cell["left"]) for cell in found.cells] == [
        ("high", 4, 0),
        ("low", 4, 0),
    ]
    assert [row["thinking_tokens"] for row in found.roles] == [4 * 2 * (14 + 56)]
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")]).stdout
    assert re.search(r"think +2 +high +4 +0", shown)
    assert "560" in shown


LARGE = '[models.large]\nmodel = "L"\nurl = "URL"\nspec = "Qwen2.5-7B"\n'
SEARCH = '[[strategies]]\nname = "beam_search"\nbudgets = [4]\nmodels = ["small"]\nverifier = "prm"\n'
VERIFIER = '[models.prm]\nmodel = "P"\nurl = "URL"\n[verifiers.prm]\nmodel = "prm"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            TASK + FRAME + SMALL + 'api = "chat"\n' + GREEDY,
            "task.chat beside a model of api chat; .* drop task.chat",
        ),
        (TASK + SMALL + 'api = "chat"\n' + LARGE + GREEDY, "are asked by chat and completions; expected one way"),
        (
            TASK + SMALL + 'api = "chat"\n' + VERIFIER + SEARCH,
            r"strategies\[0\] is beam_search of small, a model of",
        ),
        (
            TASK + SMALL + 'api = "chat"\n' + THINK + "thinking = [5]\nforcing = true\n",
            r"strategies\[0\] is think of small, a model of",
        ),
        (TASK + SMALL + 'api = "chats"\n' + GREEDY, "small.api is 'chats'; expected one of completions, chat"),
        (TASK + SMALL + "replicas = 0\n" + GREEDY, "small.replicas is 0; expected a whole number >= 1"),
        (TASK + SMALL + "extra = { a = nan }\n" + GREEDY, "small.extra is .*; expected a table of what JSON can"),
        (TASK + SMALL + "extra = { a = 2020-01-01 }\n" + GREEDY, "small.extra is"),
        (
            TASK + SMALL + "extra = { top_k = 5, n = 2, seed = 3 }\n" + GREEDY,
            "small.extra is .* expected what a request does not say itself, without seed, n;",
        ),
        (
            TASK + SMALL.replace('url = "URL"', 'served = "s"') + GREEDY,
            "served is 's'; expected it beside url alone",
        ),
        (
            TASK + SMALL.replace("URL", "http://[::1") + GREEDY,
            "small.url is 'http://.::1'; expected http://host:port",
        ),
        (TASK + SMALL.replace("URL", "http://a:99999") + GREEDY, "small.url is 'http://a:99999'"),
        (TASK + SMALL.replace("URL", "ftp://a") + GREEDY, "small.url is 'ftp://a'"),
        (TASK + SMALL.replace("URL", "http://a b") + GREEDY, "small.url is 'http://a b'"),
        (TASK + SMALL.replace("URL", "http://") + GREEDY, "small.url is 'http://'"),
        ('name = "../up"\n' + TASK + SMALL + GREEDY, "name is '../up'; expected a name, not a path"),
        ('name = ".."\n' + TASK + SMALL + GREEDY, "name is '..'"),
        ('name = ""\n' + TASK + SMALL + GREEDY, "name is ''"),
        ('name = "a\\nb"\n' + TASK + SMALL + GREEDY, "name is 'a"),
        (TASK + SMALL + GREEDY + "[limits]\nrequests = 0\n", "limits.requests is 0"),
        (TASK + SMALL + GREEDY + "[limits]\ntimeout = 0\n", "limits.timeout is 0; expected a number of seconds"),
        (TASK + SMALL + GREEDY + "[limits]\ntimeout = inf\n", "limits.timeout is inf"),
    ],
)
def test_what_cannot_be_asked_of_a_server_is_refused_before_any_folder_exists(text, says, tmp_path):
    before = {"problems.jsonl", "study.toml"}
    with pytest.raises(DataError, match=says) as refused:
        read(text, tmp_path)
    assert "\n" not in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "url", ["http://me:hunter2@a", "http://a?key=hunter2", "http://a#hunter2", "http://hunter2@a"]
)
def test_a_secret_in_a_url_is_refused_unseen(url, tmp_path):
    with pytest.raises(DataError, match=r"small\.url holds a user, .* key_env") as refused:
        read(TASK + SMALL.replace("URL", url) + GREEDY, tmp_path)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("key", ["", "hunter2\r", "hunter2\n", "hunter2 ", "hunter2é", "hunt\ter2"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key, monkeypatch):
    monkeypatch.setenv("KEY", key)
    with pytest.raises(DataError, match="environment variable KEY is empty, or holds") as refused:
        cast.key_of(cast.ModelSettings("small", "S", ("http://a",), key_env="KEY"))
    assert "hunt" not in str(refused.value)


def test_a_key_that_is_not_set_is_missed_before_any_folder_exists(tmp_path, monkeypatch):
    monkeypatch.delenv("KEY", raising=False)
    one = read(TASK + SMALL + 'key_env = "KEY"\n' + GREEDY, tmp_path)
    with pytest.raises(DataError, match="no environment variable KEY"):
        asyncio.run(study.run_study(one, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("url", "proxy", "says"),
    [
        ("http://127.0.0.1:1", None, None),
        ("http://localhost:1", None, None),
        ("http://[::1]:1", None, None),
        ("https://far.example", None, None),
        ("https://far.example", "http://p:1", None),
        ("http://far.example", None, "KEY goes unencrypted to far.example: https"),
        ("http://127.0.0.1:1", "http://p:1", "KEY goes unencrypted to 127.0.0.1 through the proxy"),
    ],
)
def test_a_key_that_others_see_is_said(url, proxy, says, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if proxy is not None:
        monkeypatch.setenv("http_proxy", proxy)
    found = cast.exposed(cast.ModelSettings("small", "S", (url,), key_env="KEY"))
    assert found is None if says is None else says in found
    assert cast.exposed(cast.ModelSettings("small", "S", (url,))) is None


# Which label is the good one


def test_two_labels_of_which_nobody_said_the_good_one_are_refused_in_a_line(tmp_path):
    with (
        serving("good-first") as port,
        pytest.raises(EngineError, match="gives 2 values a reward, and no label") as e,
    ):
        ran(JUDGED, tmp_path, port)
    assert "\n" not in str(e.value)
    assert "set label of its verifier" in str(e.value)


@pytest.mark.parametrize(("mode", "label", "score"), [("good-first", 0, 0.9), ("ok", 1, 0.9), ("ok", 0, 0.1)])
def test_the_good_label_is_the_one_that_the_study_says(mode, label, score, tmp_path):
    with serving(mode) as port:
        ran(JUDGED.replace('kind = "reward"', f'kind = "reward"\nlabel = {label}'), tmp_path, port)
    assert scores(tmp_path) == {score}


def test_a_process_model_of_logits_is_read_through_the_sigmoid_where_the_study_says_so(tmp_path):
    with serving("logits") as port:
        with pytest.raises(EngineError, match=r"gave 2\.3, and 3 .*; expected a probability, 0 to 1; set logits"):
            ran(JUDGED, tmp_path, port)
        ran(JUDGED.replace('kind = "reward"', 'kind = "reward"\nlogits = true'), tmp_path, port)
    assert [round(one, 7) for one in scores(tmp_path)] == [0.908877]


def test_a_label_that_is_not_there_is_refused(tmp_path):
    with serving("logits") as port, pytest.raises(EngineError, match="gives 1 values a reward, and label is 1"):
        ran(JUDGED.replace('kind = "reward"', 'kind = "reward"\nlabel = 1'), tmp_path, port)


# Before the first unit


def scripted(monkeypatch, *, about=None, uncached=False):
    """Engines that are scripts and say ``about`` of themselves, in place of servers."""

    class Speaking(ScriptedEngine):
        async def about(self):
            return about or About("a script 1.0")

        async def generate(self, prompt, **options):
            found = await super().generate(prompt, **options)
            return replace(found, cached_tokens=None) if uncached else found

    async def open_engine(_, *, name, **__):
        return Speaking(lambda _, seed: f" {seed % 3} \\boxed{{56}}", model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)


PARALLEL = '[[strategies]]\nname = "parallel"\nmodels = ["small"]\nbudgets = [4]\ntemperature = 0.7\n'
ABOUT = About("s 2", replicas=2, begins="<s>", notes=("min_p is 0.05 and cannot be set",), kind="s")


def test_what_an_engine_says_of_itself_is_shown_at_the_start_by_status_and_with_every_number(
    tmp_path, monkeypatch
):
    scripted(monkeypatch, about=ABOUT)
    path, out = (
        placed(TASK + SMALL + LARGE + PARALLEL + GREEDY.replace("small", "large"), tmp_path),
        tmp_path / "run",
    )
    done = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.exception
    assert "scalinglab: small: min_p is 0.05 and cannot be set" in done.stderr
    (collected,) = read_collected(out)
    assert collected["engines"]["small"] == {
        "software": "s 2", "replicas": 2, "begins": "<s>", "notes": ["min_p is 0.05 and cannot be set"],
        "kind": "s",
    }  # fmt: skip
    note = "small, large: min_p is 0.05 and cannot be set"
    assert note in CliRunner().invoke(app, ["status", str(out)]).stdout
    assert note in open_evidence(out).told
    CliRunner().invoke(app, ["export", str(out), "--out", str(tmp_path / "kept")])
    assert open_evidence(tmp_path / "kept").told == open_evidence(out).told


def test_the_dry_run_shows_the_first_prompt_as_it_is_read_and_takes_unknown_counts(tmp_path, monkeypatch):
    scripted(monkeypatch, about=ABOUT, uncached=True)
    path = placed(TASK + 'chat = "<|im_start|>user\\n{prompt}<|im_end|>\\n"\n' + SMALL + PARALLEL, tmp_path)
    done = CliRunner().invoke(app, ["collect", str(path), "--dry-run", "--convention", "exact-measured"])
    assert done.exit_code == 0, done.exception
    assert (
        "small is sent first, of which its engine itself adds <s>:\n  | <s><|im_start|>user\n  | Solve"
        in done.stdout
    )
    assert done.stdout.index("<|im_end|>") < done.stdout.index("4 units, 16 calls")
    found = json.loads(CliRunner().invoke(app, ["collect", str(path), "--dry-run", "--json"]).stdout)
    assert found["sent"][0]["begins"] == "<s>"
    assert found["sent"][0]["prompt"].startswith("<|im_start|>user\nSolve")


def test_the_dry_run_adds_no_beginning_to_a_prompt_that_has_it_nor_to_a_chat(tmp_path, monkeypatch):
    scripted(monkeypatch, about=ABOUT)
    shown = CliRunner().invoke(
        app, ["collect", str(placed(TASK + FRAME + SMALL + PARALLEL, tmp_path)), "--dry-run"]
    )
    assert "small is sent first:\n  | <s>user Solve" in shown.stdout
    scripted(monkeypatch, about=replace(ABOUT, begins=None))
    path = placed(TASK + SMALL + 'api = "chat"\n' + PARALLEL, tmp_path)
    shown = CliRunner().invoke(app, ["collect", str(path), "--dry-run"])
    assert "small is sent first, as one user message in the server's own template:\n  | Solve the" in shown.stdout


def test_a_server_that_cannot_serve_ends_a_study_before_its_first_unit_and_what_mends_it_begins(
    tmp_path, monkeypatch
):
    async def about(_):
        raise DeadEngineError("http://127.0.0.1:1 has no model S", "one of T", 'set served = "T"')

    scripted(monkeypatch)
    monkeypatch.setattr(ScriptedEngine, "generate", None)
    engine = asyncio.run(running.open_engine("S", name="small"))
    monkeypatch.setattr(type(engine), "about", about)

    async def open_engine(*_, **__):
        return engine

    monkeypatch.setattr(running, "open_engine", open_engine)
    path, out = placed(TASK + SMALL + PARALLEL, tmp_path), tmp_path / "run"
    dead = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert "has no model S; expected one of T" in str(dead.exception)
    assert study.status_of(out).done == 0
    monkeypatch.undo()
    scripted(monkeypatch)
    placed(TASK + SMALL + 'served = "T"\n' + PARALLEL, tmp_path)
    assert CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).exit_code == 0
    placed(TASK + SMALL + 'served = "U"\n' + PARALLEL, tmp_path)
    changed = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert "holds another model small" in str(changed.exception)
    placed(TASK + SMALL + 'served = "T"\nreplicas = 2\n' + PARALLEL, tmp_path, 7)
    assert CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).exit_code == 0, "servers may move"


def test_a_dead_engine_ends_a_study_at_once_and_keeps_what_is_done(tmp_path, monkeypatch):
    class Dying(ScriptedEngine):
        async def generate(self, prompt, **options):
            if "25 + 60" in prompt:
                raise DeadEngineError("http://a: HTTP 401", "a key that it takes", "mend KEY")
            return await super().generate(prompt, **options)

    engine = Dying(lambda _, seed: f" {seed} \\boxed{{56}}", model="small")

    async def open_engine(*_, **__):
        return engine

    monkeypatch.setattr(running, "open_engine", open_engine)
    path, out = placed(TASK + SMALL + PARALLEL + "[limits]\nin_flight = 1\n", tmp_path), tmp_path / "run"
    dead = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert str(dead.exception) == "http://a: HTTP 401; expected a key that it takes; mend KEY"
    assert study.status_of(out).done == 2


# The words of a prompt


def test_a_resumed_run_asks_in_the_words_that_it_began_with(tmp_path, monkeypatch):
    scripted(monkeypatch)
    clock = iter("123456")
    monkeypatch.setattr(study_task, "chat_template", lambda _: f"[{next(clock)}]{{prompt}}")
    text = TASK + 'chat = "small"\n' + SMALL + PARALLEL
    path, out = placed(text + "[limits]\nproblems = 2\n", tmp_path), tmp_path / "run"
    assert "worded otherwise" not in CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).stderr
    begun = read_plan(out).wording
    assert begun["before"].startswith("[1]Solve")
    placed(text, tmp_path)
    again = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert again.exit_code == 0, again.exception
    assert again.stderr.count("worded otherwise; the run goes on with the words that it began with") == 1
    assert read_plan(out).wording == begun
    prompts = set()
    with study.opened_task(study.read_study(path), wording=begun) as task:
        prompts = {problem.prompt[:3] for problem in task.problems.values()}
    assert prompts == {"[1]"}


def test_a_run_keeps_to_its_limit_of_tokens(tmp_path, monkeypatch):
    scripted(monkeypatch)
    text = TASK + SMALL + PARALLEL
    path, out = placed(text + "[limits]\nproblems = 2\n", tmp_path), tmp_path / "run"
    assert CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).exit_code == 0
    assert "max_tokens = " in text
    placed(text.replace("max_tokens = 60", "max_tokens = 7"), tmp_path)
    changed = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert "task.max_tokens is 7, and the run in" in str(changed.exception)


def test_a_run_goes_on_with_its_kind_of_server_wherever_that_is_and_with_no_other(tmp_path, monkeypatch):
    path, out = placed(TASK + SMALL + PARALLEL + "[limits]\nproblems = 2\n", tmp_path), tmp_path / "run"
    scripted(monkeypatch, about=About("vllm 0.11.0", kind="vllm"))
    assert CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).exit_code == 0
    placed(TASK + SMALL + PARALLEL, tmp_path, 2)
    scripted(monkeypatch, about=About("ollama 0.9", kind="ollama"))
    other = CliRunner().invoke(app, ["collect", str(path), "--out", str(out)])
    assert str(other.exception).startswith(f"small is on ollama, and the run in {out} on vllm, which samples")
    assert (len(read_collected(out)), study.status_of(out).done) == (1, 2)
    scripted(monkeypatch, about=About("vllm 0.12.0", kind="vllm"))
    assert CliRunner().invoke(app, ["collect", str(path), "--out", str(out)]).exit_code == 0
    assert [one["engines"]["small"]["kind"] for one in read_collected(out)] == ["vllm", "vllm"]


def test_a_run_goes_on_where_its_template_can_no_longer_be_rendered(tmp_path, monkeypatch):
    scripted(monkeypatch)
    monkeypatch.setattr(study_task, "chat_template", lambda _: "[1]{prompt}")
    one = read(TASK + 'chat = "small"\n' + SMALL + PARALLEL, tmp_path)
    with study.opened_task(one) as task:
        wording = study.plan_of(one, task).wording

    def gone(_):
        raise DataError("no transformers", "it", "install it")

    monkeypatch.setattr(study_task, "chat_template", gone)
    with study.opened_task(one, wording=wording) as task:
        assert task.problems["1"].prompt.startswith("[1]Solve")
        assert task.ends == ()


# Answers that look odd


@pytest.mark.parametrize(("mode", "said"), [("same", True), ("ok", False)])
def test_samples_that_are_all_the_same_are_said(mode, said, tmp_path):
    text = TASK + FRAME + SMALL + LARGE + PARALLEL + GREEDY.replace("small", "large")
    with serving(mode) as port:
        ran(text, tmp_path, port)
    note = "small: 4 of 4 samples of each problem are the same text at temperature 0.7: does its server use seed"
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")]).stdout
    assert (note in " ".join(shown.split())) is said
    exchanged = CliRunner().invoke(app, ["exchange", str(tmp_path / "run"), "--bins", "1", "--r", "1"])
    assert exchanged.exit_code == 0, exchanged.exception
    assert (note in " ".join(exchanged.stdout.split())) is said


def test_problems_that_a_server_refuses_are_counted_by_name_and_can_be_analysed(tmp_path):
    text = TASK + FRAME + SMALL + LARGE + PARALLEL + GREEDY.replace("small", "large")
    with serving("toolong-small") as port:
        path = placed(text, tmp_path, port)
        problems = tmp_path / "problems.jsonl"
        problems.write_text(problems.read_text().replace("What is 17", "LONG What is 17"))
        done = CliRunner().invoke(app, ["collect", str(path), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.exception
    assert "refused a prompt: HTTP 400" in done.stderr
    assert "8 of 8 units done" in done.stdout
    assert "refused 20.0 %" in done.stdout
    for verb in (["exchange", "--bins", "1", "--r", "1"], ["curve", "--k", "1"]):
        shown = CliRunner().invoke(app, [verb[0], str(tmp_path / "run"), *verb[1:]])
        assert shown.exit_code == 0, shown.exception
