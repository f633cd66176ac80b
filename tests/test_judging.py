"""A generative judge: verdicts and numbers read by hand, what cannot be read, and from a study to its price."""

import asyncio
from collections import Counter

import pytest
from scripted import ScriptedEngine, ScriptedTask, ScriptedTestbed, solving

from scalinglab import study
from scalinglab.collect import JUDGE, Generated, JudgeVerifier, Template, draw_testbed
from scalinglab.collect.judging import NUMBER
from scalinglab.collect.recording import Place, Recorder
from scalinglab.curves import arms_of
from scalinglab.errors import DataError, EngineError
from scalinglab.evidence import open_evidence
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Unit, read_run
from scalinglab.study import running
from scalinglab.tasks import Level

PROBLEM = ScriptedTask().problems["p"]
ASK = Template("{question} ", "{step}", " ", " Right?")
UNIT = Unit("run", "scripted", "p", "policy", "small", "parallel")
PROMPT = "Q? a; b; Right?"


def judged(writes, *, every=False, **options):
    """The scores of two steps, and the tokens of each call."""
    engine = ScriptedEngine({PROMPT: writes} if isinstance(writes, list) else writes, model="orm")

    async def ask():
        recorder = Recorder(UNIT)
        verifier = JudgeVerifier(engine, **{"ask": ASK, **options})
        scores = await verifier.score(PROBLEM, ["a;", "b;"], recorder=recorder, place=Place(), every=every)
        return scores, await recorder.calls()

    scores, calls = asyncio.run(ask())
    assert {(call.role, call.model) for call in calls} == {("verifier", "orm")}
    return scores, [(call.prompt_tokens, call.generated_tokens, call.scored_tokens) for call in calls]


def test_the_score_is_the_share_of_judgements_that_say_good_and_each_is_charged():
    scores, calls = judged(["Yes", "so no", "yes", "yes: No"], votes=4)
    assert scores == (0.5,)
    assert calls == [(15, 4, 0), (15, 6, 0), (15, 4, 0), (15, 8, 0)]  # the end is a token


def test_what_cannot_be_read_is_charged_and_left_out():
    scores, calls = judged(["yes", "perhaps", "yes" + "x" * 50, "no"], votes=4, max_tokens=20)
    assert scores == (0.5,)
    assert [tokens for _, tokens, _ in calls] == [4, 8, 20, 3]


def test_where_none_can_be_read_as_many_are_asked_for_again_and_at_last_it_is_an_error():
    scores, calls = judged(["?", "?", "no", "?"], votes=2)
    assert (scores, len(calls)) == ((0.0,), 4)
    with pytest.raises(
        EngineError, match=r"none of 6 judgements of orm has a verdict: 'hm'; .* before its 512 tok"
    ):
        judged(["hm"] * 6, votes=2)


def test_a_verdict_within_a_thought_is_none():
    scores, _ = judged(["<think>no</think>yes", "<think>is it yes", "no"], votes=3)
    assert scores == (0.5,)


@pytest.mark.parametrize(
    ("text", "reason", "found"),
    [
        ("Verdict: yes", "stop", 1.0),
        ("Verdict: NO.", "stop", 0.0),
        ("no... wait, yes", "stop", 1.0),
        ("yesterday", "stop", None),
        ("yes", "length", None),
        ("", "refused", None),
        ("", "cut prompt", None),
    ],
)
def test_the_last_verdict_of_a_whole_judgement_counts(text, reason, found):
    assert JudgeVerifier(ScriptedEngine()).verdict(Generated(text, 1, 1, finish_reason=reason)) == found


@pytest.mark.parametrize(("text", "found"), [("7 of 10: 7", 0.7), ("10", 1.0), ("11", None), ("nothing", None)])
def test_numbers_on_a_scale_are_shares_of_it(text, found):
    assert JudgeVerifier(ScriptedEngine(), pattern=NUMBER, scale=10).verdict(Generated(text, 1, 1)) == found


def test_words_and_pattern_are_parameters():
    scores, _ = judged(["<v>A</v> no"], pattern="<v>(.*?)</v>", good="a", bad="b")
    assert scores == (1.0,)


def test_every_step_is_judged_in_turn_where_all_are_asked_for():
    scores, calls = judged({"Q? a; Right?": ["yes", "no"], PROMPT: ["no", "no"]}, every=True, votes=2)
    assert scores == (0.5, 0.0)
    assert [prompt for prompt, _, _ in calls] == [12, 12, 15, 15]


# From a study


STUDY = """
[task]
kind = "testbed"
levels = [[2, 2]]
count = 4
[models.small]
model = "testbed/base/small"
[models.orm]
model = "testbed/base/prm"
[verifiers.judge]
kind = "judge"
model = "orm"
votes = 3
{more}
[[strategies]]
name = "parallel"
budgets = [2]
verifier = "judge"
"""


def read(tmp_path, more=""):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace("{more}", more))
    return study.read_study(path)


def test_a_study_names_what_a_judge_takes(tmp_path):
    one = read(tmp_path).verifiers["judge"]
    assert (one.kind, one.model, one.template) == ("judge", "orm", JUDGE)
    assert one.options["votes"] == 3
    other = read(tmp_path, 'scale = 5\ntemperature = 0.3\ntemplate = {end = "Score?"}').verifiers["judge"]
    assert (other.options["pattern"], other.options["scale"]) == (NUMBER, 5)
    assert other.template.end == "Score?"
    assert other.template.question == JUDGE.question


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("temperature = 0", "verifiers.judge.votes is 3; expected 1 at temperature 0"),
        ('pattern = "("', r"verifiers.judge.pattern is '\('; expected a regular expression"),
        ("scale = 0", "verifiers.judge.scale is 0; expected the highest number"),
        ('scale = 5\ngood = "x"', "verifiers.judge.good is no key"),
        ('template = {ends = "x"}', "verifiers.judge.template.ends is no key"),
        ('good = "No"', "verifiers.judge.good is 'No'; expected another word than bad"),
        ("temperature = inf", "verifiers.judge.temperature is inf; expected a number >= 0"),
        ("outcome = true", "verifiers.judge.outcome is no key"),
    ],
)
def test_what_a_judge_cannot_take_names_its_key(more, says, tmp_path):
    with pytest.raises(DataError, match=says):
        read(tmp_path, more)


def test_a_judge_weighs_answers_and_its_tokens_are_in_the_price(tmp_path, monkeypatch):
    task = draw_testbed([Level(2, 2)], 4)

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        words = solving(task) if name == "small" else lambda _, seed: ("yes", "so: no", "dunno")[seed % 3]
        return ScriptedTestbed(words, model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)
    asyncio.run(study.run_study(read(tmp_path), tmp_path / "run"))
    run, evidence = read_run(tmp_path / "run"), open_evidence(tmp_path / "run", small="small")
    judgements = run.calls[run.calls["role"] == "verifier"]
    assert set(Counter(zip(judgements["unit"], judgements["sample"], strict=True)).values()) <= {3, 6, 9}
    assert all(0 <= score <= 1 for scores in run.solutions["scores"] for score in scores)
    paid, free = arms_of(evidence, [CONVENTIONS["small-pays"], CONVENTIONS["paper"]], models=["small"])
    at = paid.table.index[(paid.table["selector"] == "weighted") & (paid.table["budget"] == 2)][0]
    judge = evidence.specs["orm"]
    read_once = judgements.groupby(["unit", "sample"])["prompt_tokens"].first()
    units = run.units.set_index("key")
    for i, problem in enumerate(paid.problems):
        (key,) = units.index[units["problem"] == problem]
        written = judgements.loc[judgements["unit"] == key, "generated_tokens"].sum()
        mine = judgements[judgements["unit"] == key]
        new = (mine["prompt_tokens"] - mine["question_tokens"] - mine["reusable_tokens"]).sum()
        assert paid.flops[i, at] - free.flops[i, at] == 2 * judge.total * (written + new)
        assert new <= read_once[key].sum()
