"""What a study finds on a machine before it runs; the engines themselves are tried in test_study_vllm."""

import importlib.util
import json
import os
from dataclasses import replace

import pytest
from serving import serving
from test_study_served import JUDGED, placed
from typer.testing import CliRunner

from scalinglab import specs
from scalinglab.cli import app
from scalinglab.collect.vllm_settings import EngineSettings
from scalinglab.study import machine

TWO = machine.Machine((("H100", 80.0), ("H100", 80.0)), 16, 128.0)
SETTINGS = EngineSettings(memory_share=0.9)
LLAMA = specs.find("Llama-2-7B")
GOOD = JUDGED.replace('kind = "reward"', 'kind = "reward"\nlabel = 1')
HERE = """
[task]
kind = "testbed"
levels = [[2, 2]]
count = 4
[models.small]
model = "testbed/base/small"
[[strategies]]
name = "greedy"
"""


def asked(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_a_served_study_is_tried_and_priced(tmp_path):
    with serving("ok") as port:
        path = placed(GOOD, tmp_path, port)
        found = asked(path, "--seconds", 0.3, "--price", 2, "--json")
        said = asked(path, "--seconds", 0.3)
    assert found.exit_code == said.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    rates = {(rate["model"], rate["work"]): rate for rate in told["rates"]}
    assert set(rates) == {("small", "generate"), ("prm", "reward")}
    assert min(rate["calls"] for rate in rates.values()) > 10
    assert min(rate["tokens_per_second"] for rate in rates.values()) > 100
    assert 0 < told["hours"] < 1
    assert told["cost"] == 2 * told["hours"]
    assert told["missing"] == []
    assert {row["runs"] for row in told["models"]} == {"on a server"}
    assert any("the memory of small, prm: servers have it" in line for line in told["untried"])
    assert "cost unknown" in said.stdout
    assert sorted(one.name for one in tmp_path.iterdir()) == ["problems.jsonl", "study.toml"]


def test_a_judge_is_tried_by_what_it_writes(tmp_path):
    text = JUDGED.replace("\n[[strategies]]", "\npattern = '(\\d+)'\nscale = 200\n[[strategies]]")
    template = next(line for line in text.splitlines() if line.startswith("template"))
    text = text.replace('kind = "reward"', 'kind = "judge"').replace(template, "max_tokens = 60")
    with serving("plain", script="fake_chat_server.py") as port:
        found = asked(placed(text.replace('"P"', '"S"'), tmp_path, port), "--seconds", 0.3, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    judge = next(rate for rate in told["rates"] if rate["work"] == "judge")
    assert judge["tokens_per_second"] == judge["written"] / judge["seconds"] > 0
    assert told["hours"] > 0


def test_what_its_verifier_lacks_is_missing_and_the_policy_is_still_tried(tmp_path):
    with serving("ok") as port:
        found = asked(placed(JUDGED, tmp_path, port), "--seconds", 0.1, "--json")
    told = json.loads(found.stdout.splitlines()[-1])
    assert [rate["model"] for rate in told["rates"]] == ["small"]
    assert len(told["missing"]) == 1
    assert "set label of its verifier" in told["missing"][0]
    assert told["hours"] is None


def test_a_server_that_does_not_answer_is_missing_in_its_words(tmp_path):
    found = asked(placed(JUDGED, tmp_path, 1), "--seconds", 0.1)
    assert found.exit_code == 1
    assert "missing: " in found.stdout
    assert "hours and cost unknown" in found.stdout
    assert "not tried: every model: no engine was opened" in found.stdout
    assert "127.0.0.1:1" in str(found.exception)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_a_study_that_needs_it_is_told_so_beside_what_is_known(tmp_path):
    (tmp_path / "study.toml").write_text(HERE)
    found = asked(tmp_path / "study.toml")
    assert found.exit_code == 1
    assert "engine: vLLM is not installed" in found.stdout
    assert f"{len(os.sched_getaffinity(0))} cores" in found.stdout
    assert "vLLM is not installed, and small have no url: pip install vllm" in str(found.exception)


@pytest.mark.parametrize(
    ("options", "weights", "cache", "sequences", "devices"),
    [
        ({}, 12.551, 512, 29, 1),  # 6,738,415,616 weights of 2 bytes; 2 x 32 layers x 4,096 of 2 bytes a token
        ({"dtype": "float32"}, 25.102, 1024, 11, 1),
        ({"tensor_parallel_size": 2}, 6.276, 256, 65, 2),
        ({"pipeline_parallel_size": 2, "data_parallel_size": 2}, 6.276, 256, 65, 4),
        ({"quantization": "fp8"}, 6.276, 512, 32, 1),
        ({"max_model_len": 1024}, 12.551, 512, 118, 1),
        ({"kv_cache_gib": 4.0}, 12.551, 512, 2, 1),
    ],
)
def test_the_memory_of_a_model_on_its_devices(options, weights, cache, sequences, devices):
    found = machine.memory_of(LLAMA, replace(SETTINGS, **options), TWO)
    assert found["weights_gib"] == pytest.approx(weights, abs=1e-3)
    assert (found["cache_kib"], found["sequences"], found["devices"]) == (cache, sequences, devices)


def test_memory_that_nobody_can_know_is_unknown():
    for spec, options in ((None, {}), (LLAMA, {"quantization": "some_new_one"}), (LLAMA, {"dtype": "odd"})):
        found = machine.memory_of(spec, replace(SETTINGS, **options), TWO)
        assert {found[key] for key in ("weights_gib", "cache_kib", "free_gib", "sequences")} == {None}
    counted = machine.memory_of(specs.parse("7e9"), SETTINGS, TWO)
    assert counted["weights_gib"] == pytest.approx(13.04, abs=0.01)
    assert counted["cache_kib"] is counted["sequences"] is None


def test_gpus_are_those_that_nvidia_smi_names(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771'\necho 'NVIDIA H100 80GB HBM3, 81559'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine.this_machine().gpus == (("NVIDIA H200", 140.4), ("NVIDIA H100 80GB HBM3", 79.6))
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert machine.this_machine().gpus == ()
