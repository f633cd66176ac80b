import asyncio
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ScriptedTask, opinion

from scalinglab import collect, tasks
from scalinglab.collect.recording import Place, Recorder
from scalinglab.collect.verifiers import MATH_SHEPHERD, RLHFLOW, Template
from scalinglab.errors import DataError, EngineError
from scalinglab.samples import AGGREGATES, Unit

QUICK = settings(max_examples=50, deadline=None, derandomize=True)
UNIT = Unit("run", "scripted", "p", "policy", "small", "parallel")
TASK = ScriptedTask()
PROBLEM = TASK.problems["p"]
STEPS = ["a;", "b;", "c;"]
PLACES = [Place(round=i, chain=j, sample=k) for i in range(5) for j in range(4) for k in range(25)]


def judge(verifier, steps=STEPS, *, every=False, unit=UNIT, places=PLACES[:1]):
    """The verifier's scores of the steps at each place, and the calls it made."""

    async def ask():
        recorder = Recorder(unit)
        options = {"recorder": recorder, "every": every}
        scores = [await verifier.score(PROBLEM, steps, place=place, **options) for place in places]
        return scores, await recorder.calls()

    return asyncio.run(ask())


def spent(calls):
    return [
        (c.role, c.model, c.prompt_tokens, c.question_tokens, c.reusable_tokens, c.scored_tokens) for c in calls
    ]


# A good token against a bad one


def token_verifier(good, **tokens):
    return collect.TokenVerifier(ScriptedEngine(good=good, model="prm"), TASK.verifier_prompt, **tokens)


def test_a_token_verifier_reads_the_last_step_in_one_call():
    scores, calls = judge(token_verifier({"Q?a;b;c;": 0.7}))
    assert scores == [(pytest.approx(0.7),)]
    assert spent(calls) == [("verifier", "prm", 8, 2, 0, 1)]
    assert calls[0].generated_tokens == 0


def test_a_token_verifier_reads_every_step_each_prompt_going_on_from_the_one_before():
    scores, calls = judge(token_verifier({"Q?a;": 0.9, "Q?a;b;": 0.5, "Q?a;b;c;": 0.7}), every=True)
    assert scores == [pytest.approx((0.9, 0.5, 0.7))]
    assert spent(calls) == [
        ("verifier", "prm", 4, 2, 0, 1),
        ("verifier", "prm", 6, 2, 2, 1),
        ("verifier", "prm", 8, 2, 4, 1),
    ]


def test_the_good_and_the_bad_token_are_parameters():
    class Asked(ScriptedEngine):
        async def score(self, prompt, tokens, **about):
            asked.append(tokens)
            return await super().score(prompt, tokens, **about)

    asked = []
    judge(collect.TokenVerifier(Asked(good=opinion), TASK.verifier_prompt, good="+", bad="-"))
    assert asked == [("+", "-")]


@pytest.mark.parametrize(("logprobs", "probability"), [((0, -1e9), 1), ((-1e9, 0), 0), ((-800.0, -800.0), 0.5)])
def test_a_probability_does_not_overflow(logprobs, probability):
    class Sure(ScriptedEngine):
        async def score(self, prompt, tokens, **about):
            return replace(await super().score(prompt, tokens, **about), logprobs=logprobs)

    assert judge(collect.TokenVerifier(Sure(good=opinion), TASK.verifier_prompt))[0] == [(probability,)]


def test_tokens_without_probabilities_are_an_engine_error():
    class Mute(ScriptedEngine):
        async def score(self, prompt, tokens, **about):
            return replace(await super().score(prompt, tokens, **about), logprobs=(-math.inf, -math.inf))

    with pytest.raises(EngineError, match="gave nan"):
        judge(collect.TokenVerifier(Mute(good=opinion), TASK.verifier_prompt))


# Prompts


def test_the_testbeds_verifier_reads_question_and_steps():
    task = collect.draw_testbed([tasks.Level(2, 2)], 3)
    problem = next(iter(task.problems.values()))
    steps = tasks.split_steps(tasks.solution(task.drawn[0]))
    prompt = task.verifier_prompt(problem, steps)
    assert prompt.question == f"<bos>{task.drawn[0].question}"
    assert prompt.rest == tasks.solution(task.drawn[0])


QUESTION = replace(PROBLEM, question=" What is \\frac{1}{2} of {step}? ")


@pytest.mark.parametrize(
    ("template", "question", "rest"),
    [
        (Template(), "What is \\frac{1}{2} of {step}?", "\\boxed{1}.It is {question}."),
        (
            Template("Q: {question}\n", "Step: {step}", "\n", "\nRight?"),
            "Q: What is \\frac{1}{2} of {step}?\n",
            "Step: \\boxed{1}.\nStep: It is {question}.\nRight?",
        ),
        (
            MATH_SHEPHERD,
            "<s>What is \\frac{1}{2} of {step}? ",
            "\\boxed{1}. ки\nIt is {question}. ки",
        ),
        (
            RLHFLOW,
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhat is \\frac{1}{2} of {step}? ",
            "\\boxed{1}.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
            "+<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
            "It is {question}.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    ],
    ids=["plain", "all four", "Math-Shepherd", "RLHFlow"],
)
def test_templates_fill_in_texts_that_hold_braces(template, question, rest):
    prompt = template(QUESTION, ["\\boxed{1}.", " It is {question}.\n\n"])
    assert (prompt.question, prompt.rest) == (question, rest)


@pytest.mark.parametrize("template", [MATH_SHEPHERD, RLHFLOW, Template("{question}\n", "{step}<extra_0>")])
def test_a_prompt_that_ends_at_a_step_begins_the_next_one_so_that_a_cache_serves_it(template):
    first, second = template(PROBLEM, ["a"]).text, template(PROBLEM, ["a", "b"]).text
    assert second.startswith(first)


# Reward models


def reward_verifier(rewards, **options):
    template = Template("{question}|", "{step}#")
    return collect.RewardVerifier(ScriptedEngine(rewards=rewards, model="rm"), template, **options)


@pytest.mark.parametrize("every", [False, True])
def test_a_process_model_rewards_all_steps_in_one_call_and_none_is_lost(every):
    found, calls = judge(reward_verifier({"Q?|a;#b;#c;#": [0.9, 0.5, 0.7]}), every=every)
    assert found == [(0.9, 0.5, 0.7)]
    assert spent(calls) == [("verifier", "rm", 12, 3, 0, 3)]


def test_an_outcome_models_logit_passes_through_the_sigmoid():
    verifier = reward_verifier(lambda prompt: [math.log(3) * (prompt.count("#") - 2)], outcome=True)
    scores, calls = judge(verifier)
    assert scores == [(pytest.approx(0.75),)]
    assert spent(calls) == [("verifier", "rm", 12, 3, 0, 1)]
    scores, calls = judge(verifier, every=True)
    assert scores == [pytest.approx((0.25, 0.5, 0.75))]
    assert [call.reusable_tokens for call in calls] == [0, 3, 6]


@pytest.mark.parametrize(
    ("rewards", "outcome", "message"),
    [
        ([0.5, 0.5], False, "gave 2 rewards; expected 3"),
        ([0.5, 0.5, 3.2], False, "gave 3.2; expected a probability"),
        ([0.5, math.nan, 0.5], False, "gave nan"),
        ([0.5, 0.5, 0.5], True, "gave 3 rewards; expected 1"),
        ([], True, "gave 0 rewards"),
    ],
)
def test_rewards_that_do_not_fit_are_an_engine_error(rewards, outcome, message):
    with pytest.raises(EngineError, match=message):
        judge(reward_verifier(lambda _: rewards, outcome=outcome))


# The exact checker and noise


def test_the_exact_checker_is_right_and_costs_nothing():
    task = collect.draw_testbed([tasks.Level(2, 1)], 20)
    verifier = collect.ExactVerifier(task.check)
    for known in task.drawn:
        right = tasks.split_steps(tasks.solution(known))
        wrong = [right[0], f"{right[1][:-3]}{(int(right[1][-3:-1]) + 1) % 64:02};", right[2]]
        problem = task.problems[known.question]

        async def ask(steps, problem=problem):
            recorder = Recorder(UNIT)
            scores = await verifier.score(problem, steps, recorder=recorder, place=Place(), every=True)
            return scores, await recorder.calls()

        assert asyncio.run(ask(right)) == ((1, 1, 1), [])
        assert asyncio.run(ask(wrong)) == ((1, 0, 0), [])


@pytest.mark.parametrize("flips", [0, 0.2, 1])
def test_noise_flips_that_share_of_the_scores(flips):
    scores, calls = judge(collect.NoisyVerifier(token_verifier({"Q?a;b;c;": 0.9}), flips), places=PLACES)
    flipped = [round(p, 6) == 0.1 for (p,) in scores]
    assert all(round(p, 6) in (0.1, 0.9) for (p,) in scores)
    assert sum(flipped) == pytest.approx(flips * 500, abs=36)  # four standard deviations
    assert len(calls) == 1  # the same text, flipped anew at each place


def test_noise_follows_from_the_unit_and_the_place_and_not_from_luck():
    noisy = collect.NoisyVerifier(token_verifier(opinion), 0.5)
    assert judge(noisy, places=PLACES)[0] == judge(noisy, places=PLACES)[0]
    other = judge(noisy, places=PLACES, unit=replace(UNIT, seed=1))[0]
    assert other != judge(noisy, places=PLACES)[0]


def test_the_noise_of_a_step_is_the_same_alone_and_among_all():
    noisy = collect.NoisyVerifier(token_verifier(opinion), 0.5)
    alone = [judge(noisy, STEPS[: i + 1], places=PLACES[:40])[0] for i in range(3)]
    among = judge(noisy, places=PLACES[:40], every=True)[0]
    assert [tuple(p for (p,) in scores) for scores in zip(*alone, strict=True)] == among


@pytest.mark.parametrize("flips", [-0.1, 1.1, math.nan])
def test_flips_that_are_no_probability_are_refused(flips):
    with pytest.raises(DataError, match="flips"):
        collect.NoisyVerifier(token_verifier(opinion), flips)


# Aggregation

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@QUICK
@given(PROBABILITIES)
def test_aggregates_are_probabilities_in_order(scores):
    last, least, product = (collect.aggregate(scores, how) for how in AGGREGATES)
    assert 0 <= product <= least <= last <= 1
    assert collect.aggregate(scores) == last == scores[-1]
    assert product == pytest.approx(math.exp(sum(map(math.log, scores))) if all(scores) else 0)


@QUICK
@given(PROBABILITIES, st.integers(0), st.floats(0, 1))
def test_a_higher_step_never_lowers_an_aggregate(scores, i, higher):
    i %= len(scores)
    raised = [*scores[:i], max(scores[i], higher), *scores[i + 1 :]]
    for how in AGGREGATES:
        assert collect.aggregate(raised, how) >= collect.aggregate(scores, how)


@pytest.mark.parametrize(("scores", "how"), [([0.5], "mean"), ([], "last"), ([], "product")])
def test_what_cannot_be_aggregated_is_refused(scores, how):
    with pytest.raises(DataError, match="aggregate"):
        collect.aggregate(scores, how)
