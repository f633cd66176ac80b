"""Studies of models that servers have: what their study.toml says, and what comes of servers that misbehave."""

import asyncio
import json

import pytest
from serving import serving

from scalinglab import study
from scalinglab.collect import opening
from scalinglab.errors import DataError, EngineError
from scalinglab.samples import read_plan, read_run
from scalinglab.study import cast, running

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
        ("http://127.0.0.1:1",), "s", "chat", "vllm", 2, {"top_k": 5}, "sk-1", 7, 5
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


LARGE = '[models.large]\nmodel = "L"\nurl = "URL"\n'
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
        (TASK + SMALL + 'api = "chats"\n' + GREEDY, "small.api is 'chats'; expected one of completions, chat"),
        (TASK + SMALL + "replicas = 0\n" + GREEDY, "small.replicas is 0; expected a whole number >= 1"),
        (TASK + SMALL + "extra = { a = nan }\n" + GREEDY, "small.extra is .*; expected a table of what JSON can"),
        (TASK + SMALL + "extra = { a = 2020-01-01 }\n" + GREEDY, "small.extra is"),
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
