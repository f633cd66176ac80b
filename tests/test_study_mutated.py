"""A study.toml with anything at all in it is a study, or is refused in one line."""

import copy
import json
import math
import tomllib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scalinglab import study
from scalinglab.errors import DataError, SpecError
from scalinglab.study import task as study_task

TEXT = r"""
name = "few"
seeds = [0, 1]
[task]
kind = "jsonl"
path = "few.jsonl"
fields = { question = "q", answer = "a", id = "i" }
name = "sums"
count = 1
seed = 0
template = "Q: {question}\nA:"
chat = "<u>{prompt}<a>"
steps = "line"
answers = ["boxed", "number"]
grading = "number"
ends = ["Q:"]
max_tokens = 9
workers = 1
limit = 1.5
[models.small]
model = "testbed/base/small"
url = ["http://localhost:1", "https://[::1]:2"]
served = "s"
api = "completions"
server = "vllm"
replicas = 2
answers_as = "t"
extra = { a = [1, { b = 2.5 }] }
key_env = "KEY"
spec = "Qwen2.5-0.5B"
training_tokens = 7
training_sequence = 5
[models.large]
model = "testbed/base/large"
[models.prm]
model = "testbed/base/prm"
[models.reviser]
model = "testbed/base/reviser"
[verifiers.prm]
kind = "reward"
model = "prm"
outcome = false
logits = true
label = 1
template = { question = "{question}", step = "{step}", between = "x", end = "" }
[verifiers.tokens]
kind = "token"
model = "prm"
template = "math-shepherd"
good = "+"
bad = "-"
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
verifier = ["prm", "tokens"]
aggregate = "min"
temperature = 0.7
[[strategies]]
name = "beam_search"
budgets = [4]
width = "sqrt"
verifier = "noisy"
[[strategies]]
name = "lookahead"
budgets = [4]
steps = 1
verifier = "oracle"
[[strategies]]
name = "dvts"
budgets = [4]
verifier = "prm"
[[strategies]]
name = "rebase"
budgets = [4]
balance = 0.1
verifier = "prm"
[[strategies]]
name = "revisions"
budgets = [4]
lengths = [1, 4]
[limits]
in_flight = 3
problems = 1
requests = 5
timeout = 2.5
[engine]
side_by_side = false
dtype = "float32"
"""
WHOLE = tomllib.loads(TEXT)
TESTBED = {"kind": "testbed", "levels": [[2, 1], [2, 2]], "count": 3, "split": "test", "seed": 0}
ODD = [
    0, -1, 1, 2, 7, 10**9, 2**63, 10**40, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e308, True, False, "", "x",
    "0", "\x00", "a\nb", "é\U0001f600", "x" * 3000, "../up", "a:b", "json:loads", "http://[::1", "{question}", "/",
    "few.jsonl", "small", "prm", "noisy", "testbed", "gsm8k", "math", "exact", "chat", "ollama", "sqrt", [], {},
    [[]], [{}], {"": 0}, [0], [-1], [1, "x"], ["x"], ["prm", "prm"], [math.nan], [[0, 0]], [[10**9, 10**9]],
    {"x": []}, [1] * 50,
]  # fmt: skip


def written(value):
    """A value as TOML writes it inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\\ud83d\\ude00", "\\U0001f600")


def document(whole):
    return "\n".join(f"{json.dumps(key)} = {written(value)}" for key, value in whole.items()).encode()


def places(value, at=()):
    """The way to everything that stands in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*at, key)
        yield from places(one, (*at, key))


PLACES = [*places(WHOLE), *(("task", *place) for place in places(TESTBED))]


@st.composite
def changed(draw):
    """The study with one to three things replaced, dropped or added."""
    whole = copy.deepcopy(WHOLE)
    if draw(st.booleans()):
        whole["task"] = copy.deepcopy(TESTBED)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        how, value = draw(st.sampled_from(["set", "set", "set", "drop", "add"])), draw(st.sampled_from(ODD))
        try:
            at = whole
            for key in way:
                at = at[key]
            if how == "drop":
                del at[last]
            elif how == "add" and isinstance(at, dict):
                at["more"] = value
            else:
                at[last] = value
        except (KeyError, IndexError, TypeError):
            pass
    return document(whole)


@st.composite
def scratched(draw):
    """The text with bytes replaced, cut out or put in."""
    text = bytearray(TEXT.encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text) - 1))
        text[start : start + draw(st.integers(0, 30))] = draw(st.binary(max_size=8))
    return bytes(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def unreachable(model):
        raise DataError(f"no tokenizer of {model!r:.20}", "one", "reach the hub")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_task, "chat_template", unreachable)
        yield few(tmp_path_factory)


def few(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    (path / "few.jsonl").write_text(json.dumps({"q": "1+1?", "a": "2", "i": "one"}) + "\n")
    return path


def planned(content, folder):
    path = folder / "study.toml"
    path.write_bytes(content)
    try:
        one = study.read_study(path)
        with study.opened_task(one) as task:
            study.plan_of(one, task).to_json()
    except (DataError, SpecError) as error:
        return str(error)
    return ""


def test_the_study_itself_can_be_planned(folder):
    for task in (WHOLE["task"], TESTBED):
        assert planned(document({**WHOLE, "task": task}), folder) == ""


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=changed() | scratched())
@example(content=b"\xff\xfe")
@example(content=b"a = " + b"[" * 5000)
def test_whatever_else_it_says_is_a_study_or_refused_in_a_line(content, folder):
    assert "\n" not in planned(content, folder)
