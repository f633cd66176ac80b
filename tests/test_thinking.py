"""Thinking before an answer: budgets and efforts of an engine, budget forcing by hand, and both from a study."""

import asyncio
from dataclasses import dataclass, replace

import pytest
from scripted import ScriptedEngine, ScriptedTask, cut

from scalinglab import study
from scalinglab.collect import check, collect
from scalinglab.collect.recording import Recorder
from scalinglab.collect.strategies import STRATEGIES, Policy
from scalinglab.errors import DataError
from scalinglab.samples import RunStore, Unit

UNIT = Unit("run", "scripted", "p", "policy", "small", "think", {"samples": 1, "effort": 8}, 1, seed=1)
OPEN, CLOSE = "<think>", "</think>"


def forced(writes, *, max_tokens=1000, prompt="Q?", **options):
    """What budget forcing makes of a script: its one draft, its calls, and the prompts that were asked."""
    task = ScriptedTask(max_tokens)
    engine = ScriptedEngine(writes)
    recorder = Recorder(UNIT)
    problem = replace(task.problems["p"], prompt=prompt)

    async def run():
        policy = Policy(engine, task, recorder)
        drafts = await STRATEGIES["think"].solve(problem, policy, samples=1, forcing=True, **options)
        return drafts, await recorder.calls()

    (draft,), calls = asyncio.run(run())
    told = [
        (c.round, c.prompt_tokens, c.reusable_tokens, c.generated_tokens, c.thinking_tokens, c.finish_reason)
        for c in calls
    ]
    return draft, told, engine.prompts("generate")


# Budget forcing by hand; a character is a token, and so is the end


def test_a_thought_that_closes_itself_is_followed_by_its_answer():
    writes = {"Q?<think>": ["hm</think>4;"], "Q?<think>hm</think>": ["4;"]}
    draft, calls, _ = forced(writes, effort=64)
    assert (draft.text, draft.thinking, draft.tokens, draft.ended, draft.cut) == ("4;", "hm", 13, True, False)
    # The thought: a prompt of 2 + 7, nothing of it seen; 2 characters and the tag of 8. Then all of it again.
    assert calls == [(0, 9, 0, 10, 10, "stop"), (1, 19, 17, 3, 0, "stop")]


def test_a_thought_beyond_its_budget_is_cut_and_closed_and_an_answer_asked_for():
    writes = {"Q?<think>": ["hm, is it 5;? or is it not"], "Q?<think>hm, </think>": ["4;"]}
    draft, calls, prompts = forced(writes, effort=4)
    assert (draft.text, draft.thinking, draft.cut) == ("4;", "hm, ", False)
    assert calls == [(0, 9, 0, 4, 4, "budget"), (1, 21, 11, 3, 0, "stop")]
    assert prompts[-1] == "Q?<think>hm, </think>"


@pytest.mark.parametrize(("most", "spent"), [(9, 9), (11, 9)])
def test_a_thought_that_the_solutions_tokens_end_is_never_graded_by_what_it_names(most, spent):
    """Of 9 tokens the thought takes all; of 11 the answer begins with the last two."""
    writes = {"Q?<think>": ["it is 4; it is 4;"], "Q?<think>it is 4; </think>": ["it is 4;"]}
    draft, calls, _ = forced(writes, effort=9 if most > 9 else 100, max_tokens=most)
    assert draft.cut
    assert draft.thinking == "it is 4; "
    assert draft.text == "it"[: most - spent]
    assert calls[-1][-1] == "length"
    assert sum(call[3] for call in calls) == draft.tokens == most


def test_wait_stands_in_place_of_the_closing_tag_so_often_as_asked_within_the_budget():
    writes = {
        "Q?<think>": ["a</think>"],
        "Q?<think>aWait": ["b</think>"],
        "Q?<think>aWaitbWait": ["c</think>"],
        "Q?<think>aWaitbWaitc</think>": ["4;"],
    }
    draft, calls, _ = forced(writes, effort=64, waits=2)
    assert (draft.text, draft.thinking, draft.place.round) == ("4;", "aWaitbWaitc", 3)
    # Each part goes on from the one before: what is new to the model is the "Wait" in place of the tag.
    assert [call[:5] for call in calls] == [
        (0, 9, 0, 9, 9),
        (1, 14, 8, 9, 9),
        (2, 19, 13, 9, 9),
        (3, 28, 26, 3, 0),
    ]


def test_the_budget_ends_a_thought_that_waits_too():
    writes = {
        "Q?<think>": ["a</think>"],
        "Q?<think>aWait": ["bcdefgh"],
        "Q?<think>aWaitbcd</think>": ["4;"],
    }
    draft, calls, _ = forced(writes, effort=12, waits=5)
    assert (draft.text, draft.thinking) == ("4;", "aWaitbcd")
    assert [call[3:] for call in calls] == [(9, 9, "stop"), (3, 3, "budget"), (3, 0, "stop")]


def test_a_budget_of_0_is_an_empty_thought_and_one_call():
    draft, calls, _ = forced({"Q?<think></think>": ["4;"]}, effort=0, waits=3)
    assert (draft.text, draft.thinking) == ("4;", "")
    assert calls == [(0, 17, 0, 3, 0, "stop")]


def test_a_template_that_opens_the_thought_is_not_opened_again():
    draft, _, prompts = forced(
        {"Q?<think>\n": ["a</think>"], "Q?<think>\na</think>": ["4;"]}, effort=64, prompt="Q?<think>\n"
    )
    assert prompts == ["Q?<think>\n", "Q?<think>\na</think>"]
    assert draft.text == "4;"


def test_tags_are_a_parameter_and_blanks_around_them_are_kept():
    tags = ["[[\n", "\n]]\n\n"]
    itself = {"Q?[[\n": ["a\n]]"], "Q?[[\na\n]]\n\n": ["4;"]}
    cut_ = {"Q?[[\n": ["abc"], "Q?[[\nab\n]]\n\n": ["4;"]}
    assert forced(itself, effort=64, tags=tags)[0].thinking == "a\n"
    assert forced(cut_, effort=2, tags=tags)[0].thinking == "ab"


# By the engine itself


LENGTHS = {"low": 5, "high": 40}
"""Tokens of thought at each effort; of a budget all of it, 30 at most."""


class Thinker(ScriptedEngine):
    """Thinks of one letter again and again, as long as it may, then answers; it keeps the two apart."""

    async def generate(self, prompt, *, max_tokens, thinking=None, **options):
        length = LENGTHS.get(thinking.effort) or min(thinking.budget, 30)
        made = await super().generate(prompt, max_tokens=max_tokens, **options)
        if length >= max_tokens:
            made = replace(made, text="", generated_tokens=max_tokens, finish_reason="length")
            return replace(made, thinking="x" * max_tokens, thinking_tokens=max_tokens)
        text, tokens, reason = cut(made.text, (), max_tokens - length)
        made = replace(made, text=text, generated_tokens=length + tokens, finish_reason=reason)
        return replace(made, thinking="x" * length, thinking_tokens=length)


@dataclass(frozen=True)
class Strict(ScriptedTask):
    """A task whose graders tell a cut text without an answer from one that cannot be read."""

    async def grade(self, problem, text, *, cut=False):
        grade, answer = await super().grade(problem, text)
        return ("truncated" if cut and grade == "unparsed" else grade), answer


def collected(tmp_path, *, engine, parameters, max_tokens=1000, name="run"):
    units = [replace(UNIT, parameters=one, budget=one["samples"]) for one in parameters]
    with RunStore(tmp_path / f"{name}.sqlite") as store:
        asyncio.run(collect(units, {"small": engine}, {}, Strict(max_tokens), store))
        return store.read()


def test_budgets_and_efforts_are_asked_of_the_engine_and_what_was_used_is_recorded(tmp_path):
    cells = [{"samples": 2, "effort": effort} for effort in (0, 8, 1024, "low", "high")]
    run = collected(tmp_path, engine=Thinker(lambda *_: "4;"), parameters=cells)
    asked = dict(zip(run.units["key"], (options["effort"] for options in run.units["options"]), strict=True))
    used = {
        (asked[unit], tokens) for unit, tokens in zip(run.calls["unit"], run.calls["thinking_tokens"], strict=True)
    }
    assert used == {(0, 0), (8, 8), (1024, 30), ("low", 5), ("high", 40)}
    assert (run.calls["generated_tokens"] - run.calls["thinking_tokens"]).tolist() == [3] * 10
    assert set(run.solutions["text"]) == {"4;"}
    assert sorted({len(text) for text in run.solutions["thinking"]}) == [0, 5, 8, 30, 40]


def test_an_answer_or_a_thought_that_was_cut_is_truncated(tmp_path):
    cells = [{"samples": 1, "effort": effort} for effort in (7, "low")]
    run = collected(tmp_path, engine=Thinker(lambda *_: "4;"), parameters=cells, max_tokens=6)
    assert run.solutions["grade"].tolist() == ["truncated", "truncated"]
    assert run.calls["generated_tokens"].tolist() == [6, 6]


def test_a_forced_answer_is_no_thought_though_the_template_opened_one(tmp_path):
    """Of a prompt that ends with the tag, a text without a closing one is all thought: but here it was closed."""

    @dataclass(frozen=True)
    class Opened(Strict):
        @property
        def problems(self):
            return {"p": replace(super().problems["p"], prompt="Q?<think>")}

    cells = [{"samples": 1, "effort": n, "forcing": True} for n in (0, 64)]
    units = [replace(UNIT, parameters=one) for one in cells]
    writes = {"Q?<think>": ["hm</think>"], "Q?<think>hm</think>": ["4;"], "Q?<think></think>": ["4;"]}
    with RunStore(tmp_path / "run.sqlite") as store:
        asyncio.run(collect(units, {"small": ScriptedEngine(writes)}, {}, Opened(), store))
        run = store.read()
    assert sorted(zip(run.solutions["text"], run.solutions["thinking"], run.solutions["grade"], strict=True)) == [
        ("4;", "", "right"),
        ("4;", "hm", "right"),
    ]


# From a study


STUDY = '[task]\nkind = "testbed"\nlevels = [[2, 2]]\ncount = 2\n[models.small]\nmodel = "testbed/base/small"\n'


def cells(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(f'{STUDY}[[strategies]]\nname = "think"\n{text}\n')
    one = study.read_study(path)
    with study.opened_task(one) as task:
        return [dict(cell.parameters) for cell in study.plan_of(one, task).cells]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("thinking = [256, 0]\nbudgets = [1, 8]", [{"samples": 8, "effort": 0}, {"samples": 8, "effort": 256}]),
        (
            'efforts = ["low"]\nbudgets = [2]\ntemperature = 0.5',
            [{"samples": 2, "effort": "low", "temperature": 0.5}],
        ),
        (
            'thinking = [64]\nbudgets = [2]\nforcing = true\nwaits = 2\ntags = ["<t>", "</t>"]',
            [{"samples": 2, "effort": 64, "forcing": True, "waits": 2, "tags": ["<t>", "</t>"]}],
        ),
    ],
)
def test_a_study_asks_for_budgets_or_efforts_each_with_so_many_samples(text, found, tmp_path):
    assert cells(text, tmp_path) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budgets = [1]", r"no strategies\[0\].thinking; expected a list of whole numbers >= 0"),
        ("budgets = [1]\nthinking = [-1]", r"strategies\[0\].thinking is \[-1\]"),
        ("thinking = [1]", r"no strategies\[0\].budgets"),
        (
            'budgets = [1]\nthinking = [1]\nefforts = ["low"]',
            r"strategies\[0\].efforts is \['low'\]; expected thinking in",
        ),
        ('budgets = [1]\nefforts = ["low"]\nforcing = true', "expected thinking in its place: budgets in tokens"),
        (
            "budgets = [1]\nthinking = [1]\nwaits = 2",
            r"strategies\[0\].waits is 2; expected none without forcing = true",
        ),
        ('budgets = [1]\nthinking = [1]\nforcing = true\ntags = ["<t>"]', r"tags is \['<t>'\]; expected two"),
        ('budgets = [1]\nthinking = [1]\nforcing = true\ntags = ["<t>", " "]', "tags is .*; expected two"),
        ('budgets = [1]\nthinking = [1]\nforcing = true\ntags = ["<t>", "<t>"]', "tags is .*; expected two"),
    ],
)
def test_what_a_study_cannot_say_of_thinking_names_its_key(text, says, tmp_path):
    with pytest.raises(DataError, match=says):
        cells(text, tmp_path)


@pytest.mark.parametrize("effort", [True, -1, 1.5, "", None])
def test_a_unit_of_no_effort_is_refused(effort):
    with pytest.raises(DataError, match="think with effort"):
        check(
            replace(UNIT, parameters={"samples": 1, "effort": effort}),
            {"small": ScriptedEngine()},
            {},
            ScriptedTask(),
        )


def test_a_chat_engine_cannot_be_forced_and_says_so_before_anything_is_collected(tmp_path):
    engine = Thinker(lambda *_: "4;")
    engine.continues = False
    plain = {"samples": 1, "effort": 8}
    with pytest.raises(DataError, match="think of small, whose server goes on with no text that it has begun"):
        collected(tmp_path, engine=engine, parameters=[plain, {**plain, "forcing": True}])
    assert engine.requests == []
    assert len(collected(tmp_path, engine=engine, parameters=[plain]).solutions) == 1


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    def letters(prompt, seed):
        return "abcdefgh"[seed % 8] * (seed % 5) + ("</think>" if CLOSE not in prompt else "4;")

    parameters = [{"samples": 3, "effort": 6, "forcing": True, "waits": n} for n in (0, 1, 2)]
    whole = collected(tmp_path, engine=ScriptedEngine(letters), parameters=parameters, name="whole")
    collected(tmp_path, engine=ScriptedEngine(letters, waits=0.001), parameters=parameters[1:2], name="broken")
    again = collected(tmp_path, engine=ScriptedEngine(letters, waits=0.001), parameters=parameters, name="broken")
    for table in ("calls", "solutions"):
        one, other = (getattr(run, table).drop(columns="seconds", errors="ignore") for run in (whole, again))
        key = ["unit", "position"]
        assert one.sort_values(key).reset_index(drop=True).equals(other.sort_values(key).reset_index(drop=True))
