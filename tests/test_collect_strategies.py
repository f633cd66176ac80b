import asyncio
import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ScriptedTask, opinion, shared

from scalinglab import collect
from scalinglab.collect.recording import Place, Prompt, Recorder, derived, together
from scalinglab.collect.strategies import STRATEGIES, Policy, allocate
from scalinglab.errors import DataError, EngineError
from scalinglab.samples import Unit

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
UNIT = Unit("run", "scripted", "p", "policy", "small", "parallel", seed=1)


class Search:
    """A strategy at work on scripted engines: its drafts, its calls, and what the engines were asked."""

    def __init__(
        self,
        strategy,
        writes,
        good=None,
        *,
        max_tokens=1000,
        waits=0,
        greedy=None,
        role="policy",
        task=None,
        **options,
    ):
        self.unit = replace(UNIT, strategy=strategy, role=role, parameters=options)
        self.policy = ScriptedEngine(writes, greedy=greedy, waits=waits)
        self.judge = ScriptedEngine(good=good, model="prm", waits=waits)
        self.task = task or ScriptedTask(max_tokens)
        asyncio.run(self._run(strategy, good is not None, options))

    async def _run(self, strategy, judged, options):
        self.recorder = Recorder(self.unit)
        policy = Policy(self.policy, self.task, self.recorder)
        verifier = collect.TokenVerifier(self.judge, self.task.verifier_prompt) if judged else None
        self.drafts = await STRATEGIES[strategy].solve(self.task.problems["p"], policy, verifier, **options)
        self.calls = await self.recorder.calls()

    @property
    def texts(self):
        return [draft.text for draft in self.drafts]

    @property
    def scores(self):
        """Each draft's scores, rounded: they went through a logarithm."""
        return [tuple(round(score, 6) for score in draft.scores) for draft in self.drafts]

    def made(self, role):
        """(round, chain, sample, prompt, generated, reusable) tokens of each call of a role, in recorded order."""
        return [
            (c.round, c.chain, c.sample, c.prompt_tokens, c.generated_tokens, c.reusable_tokens)
            for c in self.calls
            if c.role == role
        ]


def babble(prompt, seed):
    """Up to five steps of one letter, some of them alike; depends on prompt and seed alone."""
    luck = random.Random(f"{prompt} {seed}")
    return "".join(luck.choice("ab") + ";" for _ in range(luck.randint(0, 5)))


def chatter(prompt, seed):
    """Never ends."""
    return random.Random(f"{prompt} {seed}").choice("abcdefgh") + ";" + "x;" * 100


OPTIONS = {
    "greedy": {},
    "parallel": {"samples": 8},
    "difficulty": {"samples": 3},
    "revisions": {"chains": 2, "length": 6},
    "beam_search": {"beams": 8, "width": 4},
    "lookahead": {"beams": 4, "width": 2, "steps": 2},
    "dvts": {"beams": 8, "width": 2},
    "rebase": {"beams": 8},
    "think": {"samples": 4, "effort": 8, "forcing": True},
    "early_stopping": {"samples": 8},
}
EACH = pytest.mark.parametrize("strategy", OPTIONS)
SEARCHES = pytest.mark.parametrize("strategy", ["beam_search", "lookahead", "dvts", "rebase"])


def test_every_strategy_is_tested():
    assert set(OPTIONS) == {name for name, one in STRATEGIES.items() if "scalinglab" in one.solve.__module__}


# Greedy and parallel


def test_greedy_is_one_call_at_temperature_0():
    found = Search("greedy", chatter, greedy=lambda *_: "2+2;4;")
    assert found.texts == ["2+2;4;"]
    assert found.made("policy") == [(0, 0, 0, 2, 7, 0)]  # 6 characters and the end token
    assert found.policy.seeds == [0]
    assert found.drafts[0].ended
    assert found.drafts[0].scores == ()


def test_parallel_samples_share_the_question_and_nothing_else():
    found = Search("parallel", {"Q?": ["1;", "22;", "333;"]}, samples=3)
    assert found.texts == ["1;", "22;", "333;"]
    assert found.made("policy") == [(0, 0, 0, 2, 3, 0), (0, 0, 1, 2, 4, 0), (0, 0, 2, 2, 5, 0)]
    assert [call.question_tokens for call in found.calls] == [2, 2, 2]
    assert len(set(found.policy.seeds)) == 3
    assert found.policy.counted == []  # the engine has said how long the question is


def test_parallel_scores_the_last_step_and_a_duplicate_is_scored_once():
    good = {"Q?1;4;": 0.9, "Q?2;": 0.25}
    found = Search("parallel", {"Q?": ["1;4;", "2;", "1;4;", ""]}, good, samples=4)
    assert found.scores == [(0.9,), (0.25,), (0.9,), (0.0,)]
    assert found.made("verifier") == [(0, 0, 0, 6, 0, 0), (0, 0, 1, 4, 0, 0)]
    assert [call.scored_tokens for call in found.calls if call.role == "verifier"] == [1, 1]
    assert [call.scored_tokens for call in found.calls if call.role == "policy"] == [0] * 4


@pytest.mark.parametrize("how", ["min", "product"])
def test_parallel_scores_every_step_where_the_aggregate_asks_for_it(how):
    good = {"Q?1;": 0.5, "Q?1;4;": 0.9}
    found = Search("parallel", {"Q?": ["1;4;"]}, good, samples=1, aggregate=how)
    assert found.scores == [(0.5, 0.9)]
    # The second prompt goes on from the first, which is 4 long, 2 of them the question.
    assert found.made("verifier") == [(0, 0, 0, 4, 0, 0), (0, 0, 0, 6, 0, 2)]


def test_a_solution_that_runs_out_of_tokens_is_cut_and_says_so():
    found = Search("parallel", {"Q?": ["123456789;"]}, samples=1, max_tokens=5)
    assert found.texts == ["12345"]
    assert found.calls[0].finish_reason == "length"
    assert found.drafts[0].ended


# Beam search, by hand: N = 4, M = 2, so that 2 are kept

BEAM_WRITES = {
    "Q?": ["a;", "b;", "c;", "d;"],
    "Q?b;": ["e;", "f;"],
    "Q?d;": ["g;", "h;"],
    "Q?b;f;": ["", "4;"],
    "Q?d;g;": ["", ""],
    "Q?b;f;4;": ["", ""],
}
BEAM_GOOD = {
    "Q?a;": 0.1,
    "Q?b;": 0.9,
    "Q?c;": 0.5,
    "Q?d;": 0.7,
    "Q?b;e;": 0.2,
    "Q?b;f;": 0.8,
    "Q?d;g;": 0.6,
    "Q?d;h;": 0.3,
    "Q?b;f;4;": 0.95,
}


def test_beam_search_keeps_the_best_and_returns_n_finals():
    found = Search("beam_search", BEAM_WRITES, BEAM_GOOD, beams=4, width=2)
    # Round 0 keeps b and d, round 1 bf and dg; in round 2 three end, and the one place that is left goes to bf4.
    assert found.texts == ["b;f;", "b;f;4;", "d;g;", "d;g;"]
    assert found.scores == [(0.9, 0.8), (0.9, 0.8, 0.95), (0.7, 0.6), (0.7, 0.6)]
    assert all(draft.ended for draft in found.drafts)


def test_beam_search_records_every_call_once_pruned_ones_too():
    found = Search("beam_search", BEAM_WRITES, BEAM_GOOD, beams=4, width=2)
    assert found.made("policy") == [
        # round, chain, sample, prompt, generated, reusable: all after the question was written one round before
        (0, 0, 0, 2, 2, 0),
        (0, 0, 1, 2, 2, 0),
        (0, 0, 2, 2, 2, 0),
        (0, 0, 3, 2, 2, 0),
        (1, 0, 0, 4, 2, 2),
        (1, 0, 1, 4, 2, 2),
        (1, 0, 2, 4, 2, 2),
        (1, 0, 3, 4, 2, 2),
        (2, 0, 0, 6, 1, 4),
        (2, 0, 1, 6, 2, 4),
        (2, 0, 2, 6, 1, 4),
        (2, 0, 3, 6, 1, 4),
        (3, 0, 1, 8, 1, 6),
    ]
    assert found.made("verifier") == [
        (0, 0, 0, 4, 0, 0),
        (0, 0, 1, 4, 0, 0),
        (0, 0, 2, 4, 0, 0),
        (0, 0, 3, 4, 0, 0),
        (1, 0, 0, 6, 0, 2),
        (1, 0, 1, 6, 0, 2),
        (1, 0, 2, 6, 0, 2),
        (1, 0, 3, 6, 0, 2),
        (2, 0, 1, 8, 0, 4),
    ]
    assert all(call.question_tokens == 2 for call in found.calls)
    assert sum(call.generated_tokens for call in found.calls) == 22
    assert sum(call.prompt_tokens for call in found.calls) == 56 + 48


def test_a_beam_is_kept_in_a_tie_by_its_place():
    writes = {"Q?": ["a;", "b;", "c;", "d;"], "Q?a;": ["", ""], "Q?b;": ["", ""]}
    found = Search("beam_search", writes, lambda _: 0.5, beams=4, width=2)
    assert found.texts == ["a;", "a;", "b;", "b;"]


def test_samples_that_happen_to_be_alike_stay_candidates_of_their_own():
    writes = {"Q?": ["a;", "a;", "b;", "b;"], "Q?a;": ["", "", "", ""]}
    found = Search("beam_search", writes, {"Q?a;": 0.9, "Q?b;": 0.8}, beams=4, width=2)
    assert found.texts == ["a;"] * 4
    assert len(found.made("policy")) == 8
    assert len(found.made("verifier")) == 2


def test_a_solution_that_has_ended_is_a_final_and_the_rest_share_the_places_left():
    writes = {"Q?": ["a;", "b;", "c;", "c;"], "Q?a;": ["", "d;"], "Q?b;": ["e;", "f;"], "Q?b;f;": [""]}
    writes |= {"Q?b;e;": ["g;", "h;"], "Q?b;e;g;": ["", ""]}
    good = {"Q?a;": 0.9, "Q?b;": 0.8, "Q?c;": 0.1, "Q?a;d;": 0.1, "Q?b;e;": 0.7, "Q?b;f;": 0.2}
    found = Search("beam_search", writes, {**good, "Q?b;e;g;": 0.6, "Q?b;e;h;": 0.5}, beams=4, width=2)
    # a ends in round 1. Of three places be gets two children and bf one, which ends; of two beg gets both.
    assert found.texts == ["a;", "b;e;g;", "b;e;g;", "b;f;"]
    depths = [call.round for call in found.calls if call.role == "policy"]
    assert [depths.count(i) for i in range(5)] == [4, 4, 3, 2, 0]


DISTINCT = {"Q?": ["a;", "b;", "c;", "d;"], "Q?b;": ["1;", "2;"], "Q?d;": ["3;", "4;"]}
CLOSED = ScriptedTask(closing=("1;", "2;", "3;", "4;"))


def test_the_n_solutions_that_one_step_completes_are_n_finals_and_are_asked_for_nothing_more():
    good = {"Q?a;": 0.1, "Q?b;": 0.9, "Q?c;": 0.5, "Q?d;": 0.7}
    good |= {"Q?b;1;": 0.3, "Q?b;2;": 0.2, "Q?d;3;": 0.9, "Q?d;4;": 0.8}
    found = Search("beam_search", DISTINCT, good, task=CLOSED, beams=4, width=2)
    assert found.texts == ["b;1;", "b;2;", "d;3;", "d;4;"]
    assert [round(draft.scores[-1], 6) for draft in found.drafts] == [0.3, 0.2, 0.9, 0.8]
    assert all(draft.ended and not draft.cut for draft in found.drafts)
    assert [call[0] for call in found.made("policy")] == [0] * 4 + [1] * 4
    assert min(call.generated_tokens for call in found.calls if call.role == "policy") == 2


@SEARCHES
def test_no_search_asks_for_more_after_a_solution_is_complete(strategy):
    found = Search(strategy, babble, opinion, task=ScriptedTask(closing=("a;",)), **OPTIONS[strategy])
    assert not [prompt for prompt in found.policy.prompts("generate") if prompt.endswith("a;")]
    assert any(draft.text.endswith("a;") for draft in found.drafts)
    assert all(draft.ended for draft in found.drafts)


@SEARCHES
def test_a_step_that_ends_where_the_next_begins_says_by_itself_that_it_was_the_last(strategy):
    """Three steps of a digit, each call up to the digit of the next: none writes the end token alone."""

    def three(prompt, seed):
        luck, known = random.Random(f"{prompt} {seed}"), prompt.removeprefix("Q?")
        whole = "".join(f"{luck.choice('0123456789')};" for _ in range(3))
        return whole[len(known) :]

    task = ScriptedTask(delimiters=tuple(f";{digit}" for digit in "0123456789"))
    found = Search(strategy, three, opinion, task=task, greedy=three, **OPTIONS[strategy])
    assert all(len(text) == 6 for text in found.texts)
    assert {draft.place.round for draft in found.drafts} == {2}
    assert min(call.generated_tokens for call in found.calls if call.role == "policy") == 2
    sampled = {(c.round, c.sample) for c in found.calls if c.role == "policy"}
    assert len(sampled) == 3 * OPTIONS[strategy]["beams"]
    assert not {c.prompt_tokens for c in found.calls if c.role == "verifier"} - {4, 6, 8}, "whole steps are judged"


@SEARCHES
def test_a_final_has_the_place_of_the_call_that_wrote_it(strategy):
    found = Search(strategy, babble, opinion, **OPTIONS[strategy])
    assert [draft.place.sample for draft in found.drafts] == list(range(OPTIONS[strategy]["beams"]))
    written = {(call.round, call.chain, call.sample) for call in found.calls if call.role == "policy"}
    assert all((d.place.round, d.place.chain, d.place.sample) in written for d in found.drafts)


@SEARCHES
def test_no_round_samples_more_than_the_places_that_are_free(strategy):
    found = Search(strategy, babble, opinion, **OPTIONS[strategy])
    places = [(draft.place.chain, draft.place.sample, draft.place.round) for draft in found.drafts]
    sampled = {(call.chain, call.sample, call.round) for call in found.calls if call.role == "policy"}
    assert sampled == {(chain, sample, depth) for chain, sample, last in places for depth in range(last + 1)}


@pytest.mark.parametrize(("beams", "width"), [(1, 1), (4, 2), (8, 2), (12, 3), (16, 4), (64, 8), (256, 16)])
def test_a_width_may_be_the_square_root_of_the_beams(beams, width):
    assert STRATEGIES["beam_search"].budget({"beams": beams, "width": "sqrt"}) == beams
    if beams < 64:
        one, other = (Search("dvts", babble, opinion, beams=beams, width=w) for w in ("sqrt", width))
        assert [draft.place.chain for draft in one.drafts] == [draft.place.chain for draft in other.drafts]


def test_a_step_is_judged_once_and_not_again_when_nothing_follows_it():
    class Counting:
        async def score(self, _, steps, **options):  # noqa: ARG002
            asked.append("".join(steps))
            return (0.5,)

    asked, task = [], ScriptedTask()
    engine = ScriptedEngine({"Q?": ["a;"], "Q?a;": ["b;"], "Q?a;b;": [""]})
    policy = Policy(engine, task, Recorder(UNIT))
    drafts = asyncio.run(STRATEGIES["beam_search"].solve(task.problems["p"], policy, Counting(), beams=1, width=1))
    assert [draft.text for draft in drafts] == ["a;b;"]
    assert asked == ["a;", "a;b;"]


def test_a_beam_that_ends_without_a_step_scores_0():
    found = Search("beam_search", {"Q?": ["", "a;"], "Q?a;": [""]}, {"Q?a;": 0.1}, beams=2, width=2)
    assert found.texts == ["", "a;"]
    assert found.scores == [(0.0,), (0.1,)]
    alone = Search("beam_search", {"Q?": ["", ""]}, {}, beams=2, width=1)
    assert alone.texts == ["", ""]
    assert alone.scores == [(0.0,), (0.0,)]


@pytest.mark.parametrize(("how", "kept"), [("last", "a;y;"), ("min", "b;x;"), ("product", "b;x;")])
def test_beams_are_chosen_by_the_aggregate_of_their_steps(how, kept):
    writes = {"Q?": ["a;", "b;"], "Q?a;": ["y;"], "Q?b;": ["x;"], "Q?a;y;": [""], "Q?b;x;": [""]}
    good = {"Q?a;": 0.1, "Q?a;y;": 0.9, "Q?b;": 0.6, "Q?b;x;": 0.7}
    found = Search("beam_search", writes, good, beams=2, width=1, aggregate=how)
    best = max(found.drafts, key=lambda draft: collect.aggregate(draft.scores, how))
    assert best.text == kept


@SEARCHES
def test_a_search_stops_after_40_rounds(strategy):
    found = Search(strategy, chatter, opinion, **OPTIONS[strategy], greedy=lambda *_: "x;")
    assert max(call.round for call in found.calls) == 39
    assert {len(found.task.split_steps(text)) for text in found.texts} == {40}
    assert not any(draft.ended for draft in found.drafts)
    beams = OPTIONS[strategy]["beams"]
    assert len(found.drafts) == beams
    sampled = [seed for seed in found.policy.seeds if seed]
    assert len(sampled) == len(set(sampled)) == 40 * beams


@SEARCHES
def test_rounds_are_a_parameter(strategy):
    found = Search(strategy, chatter, opinion, **OPTIONS[strategy], rounds=3, greedy=lambda *_: "x;")
    assert {len(found.task.split_steps(text)) for text in found.texts} == {3}


@pytest.mark.parametrize("most", [7, 8])
@SEARCHES
def test_the_tokens_of_a_solution_are_bounded_over_all_its_steps(strategy, most):
    found = Search(strategy, chatter, opinion, max_tokens=most, **OPTIONS[strategy])
    assert {len(text) for text in found.texts} == {most}
    assert all(draft.ended and draft.tokens == most for draft in found.drafts)
    assert max(call.round for call in found.calls) == 3


def test_a_string_that_ends_a_solution_ends_its_search():
    engine = ScriptedEngine({"Q?": ["4;Question: 5?"], "Q?4;": ["Question: 5?"]})
    task = ScriptedTask(ends=("Question:",))
    policy = Policy(engine, task, Recorder(UNIT))
    problem = task.problems["p"]
    first = asyncio.run(policy.step(problem, collect.Draft(), place=Place()))
    last = asyncio.run(policy.step(problem, first, place=Place(1)))
    assert (first.text, first.ended, last.text, last.ended) == ("4;", False, "4;Question:", True)


# Lookahead, by hand: N = 2, M = 2, one kept, rollouts of up to 2 steps

LOOK_WRITES = {
    "Q?": ["a;", "a;"],
    "Q?a;": ["b;", "c;"],
    "Q?a;b;": ["", ""],
    "Q?a;c;": ["", "d;"],
    "Q?a;c;d;": ["", ""],
}
LOOK_GREEDY = {
    "Q?a;": "x;",
    "Q?a;x;": "y;",
    "Q?a;b;": "",
    "Q?a;c;": "z;",
    "Q?a;c;z;": "",
    "Q?a;c;d;": "",
}
LOOK_GOOD = {"Q?a;x;y;": 0.5, "Q?a;b;": 0.3, "Q?a;c;z;": 0.6, "Q?a;c;": 0.2, "Q?a;c;d;": 0.9}


def look():
    greedy = lambda prompt, _: LOOK_GREEDY[prompt]  # noqa: E731
    return Search("lookahead", LOOK_WRITES, LOOK_GOOD, greedy=greedy, beams=2, width=2, steps=2)


def test_lookahead_scores_a_step_where_its_rollout_ends():
    found = look()
    # Round 0: both a, 0.5 at a x y. Round 1: b (ends at once, 0.3) against c (0.6 at c z). Round 2: one c ends
    # (its own score, 0.2), the other goes on to d (0.9), and ends.
    assert found.texts == ["a;c;", "a;c;d;"]
    assert found.scores == [(0.5, 0.2), (0.5, 0.6, 0.9)]


def test_lookahead_records_a_rollout_once_and_the_same_one_of_a_duplicate_never():
    found = look()
    assert found.made("policy") == [
        (0, 0, 0, 2, 2, 0),  # a
        (0, 0, 0, 4, 2, 2),  # a -> x, greedy
        (0, 0, 0, 6, 2, 4),  # a x -> y, greedy
        (0, 0, 1, 2, 2, 0),  # a again; its rollout is the one above
        (1, 0, 0, 4, 2, 2),  # b
        (1, 0, 0, 6, 1, 4),  # b -> end, greedy
        (1, 0, 1, 4, 2, 2),  # c
        (1, 0, 1, 6, 2, 4),  # c -> z, greedy
        (1, 0, 1, 8, 1, 6),  # c z -> end, greedy
        (2, 0, 0, 6, 1, 4),  # c -> end
        (2, 0, 1, 6, 2, 4),  # d
        (2, 0, 1, 8, 1, 6),  # d -> end, greedy
        (3, 0, 1, 8, 1, 6),  # d -> end
    ]
    assert found.made("verifier") == [
        (0, 0, 0, 8, 0, 0),  # a x y
        (1, 0, 0, 6, 0, 2),  # a b: a was read in a x y
        (1, 0, 1, 8, 0, 2),  # a c z
        (2, 0, 0, 6, 0, 4),  # a c: was read in a c z
        (2, 0, 1, 8, 0, 4),  # a c d
    ]
    assert len(found.policy.prompts("generate")) == len(found.made("policy"))


def test_lookahead_of_n_beams_and_k_steps_costs_n_times_k_plus_1_generations_a_round():
    found = Search("lookahead", chatter, opinion, beams=4, width=2, steps=3, rounds=2, greedy=chatter)
    sampled = {(call.round, call.sample) for call in found.calls if call.role == "policy"}
    assert len(sampled) == 8
    asked = sum(found.recorder._asked.values()) - 8  # the verifier's 8; duplicates share calls
    assert asked == 2 * 4 * (3 + 1)


# Diverse verifier tree search, by hand: N = 4, M = 2: two subtrees of two


def test_dvts_keeps_the_best_of_each_subtree():
    writes = {
        "Q?": ["a;", "b;", "c;", "d;"],
        "Q?a;": ["e;", ""],
        "Q?c;": ["f;", "g;"],
        "Q?a;e;": ["", ""],
        "Q?c;g;": ["", ""],
    }
    good = {"Q?a;": 0.9, "Q?b;": 0.8, "Q?c;": 0.2, "Q?d;": 0.1, "Q?a;e;": 0.95, "Q?c;f;": 0.3, "Q?c;g;": 0.4}
    found = Search("dvts", writes, good, beams=4, width=2)
    # A beam search would have kept a and b, and dropped the second subtree.
    assert found.texts == ["a;e;", "a;", "c;g;", "c;g;"]
    assert [draft.place.chain for draft in found.drafts] == [0, 0, 1, 1]
    assert found.made("policy") == [
        (0, 0, 0, 2, 2, 0),
        (0, 0, 1, 2, 2, 0),
        (0, 1, 2, 2, 2, 0),
        (0, 1, 3, 2, 2, 0),
        (1, 0, 0, 4, 2, 2),
        (1, 0, 1, 4, 1, 2),  # a ends, and its other child has one place
        (1, 1, 2, 4, 2, 2),
        (1, 1, 3, 4, 2, 2),
        (2, 0, 0, 6, 1, 4),
        (2, 1, 2, 6, 1, 4),
        (2, 1, 3, 6, 1, 4),
    ]
    assert len(found.made("verifier")) == 7


def test_dvts_of_one_subtree_is_the_beam_search_that_keeps_one():
    writes = {"Q?": ["a;", "b;", "c;", "d;"], "Q?b;": ["e;", "", "f;", "g;"], "Q?b;g;": [""] * 4}
    good = lambda prompt: {"Q?b;": 0.9, "Q?b;g;": 0.95}.get(prompt, 0.1)  # noqa: E731
    one, other = (Search(name, writes, good, beams=4, width=4) for name in ("dvts", "beam_search"))
    assert one.drafts == other.drafts
    assert one.texts == ["b;g;", "b;", "b;g;", "b;g;"]
    assert one.made("policy") == other.made("policy")


@pytest.mark.parametrize(("beams", "width"), [(6, 4), (2, 4), (0, 1), (4, 0), (4, -2)])
@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
def test_a_width_that_does_not_divide_the_beams_is_refused(strategy, beams, width):
    with pytest.raises(DataError, match="divides"):
        Search(strategy, chatter, opinion, beams=beams, width=width)


# Rebase, by hand


def test_rebase_shares_children_by_the_softmax_of_scores():
    writes = {
        "Q?": ["a;", "b;", "c;", "d;"],
        "Q?a;": ["", "e;", "f;"],
        "Q?b;": ["g;"],
        "Q?a;e;": ["", "4;"],
        "Q?b;g;": [""],
        "Q?a;e;4;": [""],
    }
    good = {"Q?a;": 0.8, "Q?b;": 0.6, "Q?c;": 0.0, "Q?d;": 0.0, "Q?a;e;": 0.7, "Q?a;f;": 0.0, "Q?b;g;": 0.7}
    found = Search("rebase", writes, {**good, "Q?a;e;4;": 0.1}, beams=4)
    # exp(score / 0.2) is 54.6, 20.1, 1, 1: of 4 children the shares are 2.85, 1.05, 0.05, 0.05, so 3 and 1.
    # One of a's ends and leaves 3 places; e, f, g weigh 33.1, 1, 33.1, shares 1.48, 0.04, 1.48: 2, 0 and 1.
    # One of e's ends, and g; the last place is that of e 4.
    assert found.texts == ["a;", "a;e;", "a;e;4;", "b;g;"]
    assert found.scores == [(0.8,), (0.8, 0.7), (0.8, 0.7, 0.1), (0.6, 0.7)]
    assert found.made("policy") == [
        *[(0, 0, i, 2, 2, 0) for i in range(4)],
        (1, 0, 0, 4, 1, 2),
        *[(1, 0, i, 4, 2, 2) for i in (1, 2, 3)],
        (2, 0, 1, 6, 1, 4),
        (2, 0, 2, 6, 2, 4),
        (2, 0, 3, 6, 1, 4),
        (3, 0, 2, 8, 1, 6),
    ]
    assert [prompt for prompt, *_ in found.made("verifier")] == [0] * 4 + [1] * 3 + [2]


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@QUICK
@given(SCORES, st.integers(0, 256), st.floats(1e-6, 1e6))
def test_children_add_up_and_a_higher_score_gets_no_fewer(scores, children, balance):
    counts = allocate(scores, children, balance=balance)
    assert sum(counts) == children
    assert min(counts) >= 0
    ranked = sorted(zip(scores, counts, strict=True), key=lambda pair: (pair[0], pair[1]))
    assert all(low <= high for (_, low), (_, high) in pairwise(ranked))


@QUICK
@given(SCORES, st.integers(1, 256))
def test_children_are_close_to_their_share(scores, children):
    weights = [math.exp(score / 0.2) for score in scores]
    shares = [children * weight / sum(weights) for weight in weights]
    counts = allocate(scores, children, balance=0.2)
    assert counts == [pytest.approx(share, abs=1 + 1e-6) for share in shares]


def test_equal_scores_share_evenly_the_first_ones_getting_the_rest():
    assert allocate([0.3] * 3, 3, balance=0.2) == [1, 1, 1]
    assert allocate([0.3] * 3, 8, balance=0.1) == [3, 3, 2]
    assert allocate([0.0, 1.0], 5, balance=1e-9) == [0, 5]
    assert allocate([0.0, 1.0], 4, balance=1e9) == [2, 2]


@pytest.mark.parametrize("balance", [0, -1, float("nan")])
def test_a_balance_that_is_no_temperature_is_refused(balance):
    with pytest.raises(DataError, match="balance"):
        allocate([0.5], 4, balance=balance)


# Revisions


def test_a_reviser_sees_the_last_four_answers_of_its_own_chain():
    found = Search("revisions", lambda prompt, _: f"{prompt.count('|')};", role="reviser", chains=2, length=6)
    assert found.texts == ["0;", "1;", "2;", "3;", "4;", "4;"] * 2
    chain = ["Q?", "Q?0;|", "Q?0;|1;|", "Q?0;|1;|2;|", "Q?0;|1;|2;|3;|", "Q?1;|2;|3;|4;|"]
    assert sorted(found.policy.prompts("generate")) == sorted(chain * 2)
    # The second chain's prompts were read by the first, and answers are written before they are read again.
    assert found.made("reviser") == [
        (0, 0, 0, 2, 3, 0),
        (0, 1, 6, 2, 3, 0),
        (1, 0, 1, 5, 3, 2),
        (1, 1, 7, 5, 3, 3),
        (2, 0, 2, 8, 3, 5),
        (2, 1, 8, 8, 3, 6),
        (3, 0, 3, 11, 3, 8),
        (3, 1, 9, 11, 3, 9),
        (4, 0, 4, 14, 3, 11),
        (4, 1, 10, 14, 3, 12),
        (5, 0, 5, 14, 3, 0),  # the context has slid on: nothing after the question is known
        (5, 1, 11, 14, 3, 12),
    ]


@pytest.mark.parametrize(("chains", "length"), [(1, 4), (2, 2), (4, 1)])
def test_every_answer_of_every_chain_is_returned_and_scored(chains, length):
    found = Search("revisions", lambda _, seed: f"{seed % 7};", opinion, chains=chains, length=length)
    assert len(found.drafts) == 4
    assert all(len(draft.scores) == 1 for draft in found.drafts)
    places = [(draft.place.chain, draft.place.round) for draft in found.drafts]
    assert places == [(c, r) for c in range(chains) for r in range(length)]


# Recording


@EACH
def test_every_request_of_an_engine_is_recorded_once(strategy):
    found = Search(strategy, babble, opinion, **OPTIONS[strategy])
    assert len(found.calls) == len(found.policy.requests) + len(found.judge.requests)
    for engine in (found.policy, found.judge):
        calls = [call for call in found.calls if call.model == engine.model]
        assert sum(call.prompt_tokens for call in calls) == sum(len(prompt) for _, prompt in engine.requests)
        written = [text for text in engine.seen if text]
        assert sum(call.prompt_tokens for call in calls if call.role == "verifier") == sum(
            len(prompt) for prompt in engine.prompts("score")
        )
        assert len(written) == len(engine.requests) + len(engine.prompts("generate"))
    assert len(set(found.judge.prompts("score"))) == len(found.judge.prompts("score"))


@EACH
def test_calls_do_not_depend_on_the_order_in_which_they_end(strategy):
    calm = Search(strategy, babble, opinion, **OPTIONS[strategy])
    wild = Search(strategy, babble, opinion, waits=0.004, **OPTIONS[strategy])
    assert wild.drafts == calm.drafts
    plain = [[replace(call, seconds=0, cached_tokens=0) for call in found.calls] for found in (calm, wild)]
    assert plain[0] == plain[1]


@EACH
def test_seeds_follow_from_the_unit_and_the_place_alone(strategy):
    one, same = (Search(strategy, babble, opinion, **OPTIONS[strategy]) for _ in range(2))
    changed = {"batch": 8} if strategy == "early_stopping" else {"aggregate": "min"}
    other = Search(strategy, babble, opinion, **OPTIONS[strategy], **changed)
    assert sorted(one.policy.seeds) == sorted(same.policy.seeds)
    sampled = [seed for seed in one.policy.seeds if seed]
    assert len(set(sampled)) == len(sampled)
    assert not set(sampled) & set(other.policy.seeds)
    assert all(0 <= seed < 2**31 for seed in one.policy.seeds)


def test_a_derived_number_is_pinned_because_stores_on_disk_rest_on_it():
    assert derived("key", Place(1, 2, 3), 4) == 685130796


@QUICK
@given(st.lists(st.text("ab;", max_size=6), min_size=1, max_size=12), st.integers(0, 2**32))
def test_reusable_tokens_are_those_of_the_longest_beginning_seen_before(rests, seed):
    engine = ScriptedEngine(lambda _, seed: "ab;"[seed % 3 :], remembers=True)

    async def ask():
        recorder = Recorder(replace(UNIT, seed=seed))
        for i, rest in enumerate(rests):
            prompt = Prompt("Q?", rest)
            await recorder.generate(engine, prompt, place=Place(i), max_tokens=9, temperature=1.0)
        return await recorder.calls()

    calls, seen = asyncio.run(ask()), engine.seen
    assert len(calls) == len(rests)
    for i, (call, rest) in enumerate(zip(calls, rests, strict=True)):
        known = max((shared("Q?" + rest, text) for text in seen[: 2 * i]), default=0)
        assert call.reusable_tokens == max(0, known - 2)
        assert call.cached_tokens == known
    assert set(engine.counted).isdisjoint(engine.prompts("generate"))


def test_another_models_reading_is_not_reusable():
    found = Search("beam_search", chatter, opinion, beams=2, width=1, rounds=2)
    first, second = [call for call in found.calls if call.role == "verifier" and call.sample == 0]
    assert (first.prompt_tokens, first.reusable_tokens) == (4, 0)
    assert (second.prompt_tokens, second.reusable_tokens) == (6, 2)


def test_one_model_as_policy_and_verifier_reuses_what_it_wrote():
    engine = ScriptedEngine(lambda *_: "4;", good=opinion)
    task = ScriptedTask()
    recorder = Recorder(UNIT)
    verifier = collect.TokenVerifier(engine, task.verifier_prompt)
    problem = task.problems["p"]
    asyncio.run(STRATEGIES["greedy"].solve(problem, Policy(engine, task, recorder), verifier))
    wrote, read = asyncio.run(recorder.calls())
    assert (wrote.role, read.role) == ("policy", "verifier")
    assert (read.prompt_tokens, read.question_tokens, read.reusable_tokens) == (4, 2, 2)


def test_an_engine_whose_question_count_exceeds_the_prompt_is_clipped_to_it():
    class Merging(ScriptedEngine):
        async def count(self, text):
            return len(text) + 3

    async def ask():
        engine, recorder = Merging(lambda *_: "4;"), Recorder(UNIT)
        for i in range(2):
            await recorder.generate(engine, Prompt("Q?", "ab"), place=Place(i), max_tokens=9, temperature=1.0)
        return await recorder.calls()

    assert [(c.question_tokens, c.reusable_tokens) for c in asyncio.run(ask())] == [(4, 0), (4, 0)]


def test_an_aborted_completion_is_an_error():
    class Aborting(ScriptedEngine):
        async def generate(self, *args, **kwargs):
            return replace(await super().generate(*args, **kwargs), finish_reason="abort")

    recorder = Recorder(UNIT)
    asked = recorder.generate(
        Aborting(chatter), Prompt("Q?"), place=Place(), max_tokens=9, temperature=1.0, stop=(";",)
    )
    with pytest.raises(EngineError, match="aborted"):
        asyncio.run(asked)


def test_the_first_error_of_work_in_flight_comes_alone_and_stops_the_rest():
    stopped = []

    async def one(i):
        try:
            await asyncio.sleep(0 if i == 2 else 9)
        except asyncio.CancelledError:
            stopped.append(i)
            raise
        raise EngineError(f"{i} failed", "none", "none")

    with pytest.raises(EngineError, match="2 failed"):
        asyncio.run(together(map(one, range(4))))
    assert sorted(stopped) == [0, 1, 3]


# Budgets


@pytest.mark.parametrize(
    ("strategy", "parameters", "samples"),
    [
        ("greedy", {}, 1),
        ("parallel", {"samples": 256}, 256),
        ("revisions", {"chains": 4, "length": 16}, 64),
        ("beam_search", {"beams": 16, "width": 4, "rounds": 40}, 16),
        ("lookahead", {"beams": 16, "width": 4, "steps": 3}, 64),
        ("dvts", {"beams": 16, "width": 4}, 16),
        ("rebase", {"beams": 16}, 16),
        ("think", {"samples": 8, "effort": 1024}, 8),
        ("early_stopping", {"samples": 40, "threshold": 0.9}, 40),
    ],
)
def test_budgets_are_in_samples(strategy, parameters, samples):
    assert STRATEGIES[strategy].budget(parameters) == samples


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("parallel", {}),
        ("parallel", {"samples": 0}),
        ("parallel", {"samples": True}),
        ("revisions", {"chains": 4, "length": 1.5}),
        ("beam_search", {"beams": 16}),
        ("beam_search", {"beams": 16, "width": 3}),
        ("beam_search", {"beams": 16, "width": "half"}),
        ("lookahead", {"beams": 16, "width": 4, "steps": 0}),
        ("think", {"samples": 8, "effort": -1}),
        ("think", {"samples": 8, "effort": 8, "waits": -1}),
        ("early_stopping", {"samples": 8, "threshold": 1}),
        ("early_stopping", {"samples": 8, "batch": 0}),
    ],
)
def test_parameters_that_make_no_budget_are_refused(strategy, parameters):
    with pytest.raises(DataError):
        STRATEGIES[strategy].budget(parameters)
