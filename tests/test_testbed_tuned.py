import itertools
import json
import random
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.specs import from_config
from scalinglab.tasks import (
    Level,
    Problem,
    grade,
    problems,
    solution,
    split_of,
    split_steps,
    tokens_of,
)
from scalinglab.testbed import (
    Attempted,
    Attempts,
    Recipe,
    Scale,
    Shape,
    attempts,
    helper_costs,
    load_model,
    reviser,
    train_controls,
    train_testbed,
    verifiers,
)
from scalinglab.testbed.attempts import attempting, beginnings, gathered, limit
from scalinglab.testbed.policy import solved_rows
from scalinglab.testbed.reviser import chain_row, context, revise, revising, train_reviser
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.training import NOTHING, Data, mean_loss, next_token_loss
from scalinglab.testbed.vocabulary import BAD_ID, BOS_ID, EOS_ID, GOOD_ID, STEP_IDS, decode, encode

TUNED = Recipe(4000, (0.005, 1e-3), 1.0, 400, rows=16)
MICRO = Scale(
    "micro",
    Shape(64, 128, 1, 2),
    Shape(32, 64, 1, 1),
    levels=(Level(0, 1), Level(0, 2)),
    policy=Recipe(60_000, (0.03, 1e-2), 0.4, 480, rows=16),
    prm=TUNED,
    orm=TUNED,
    reviser=replace(TUNED, tokens=6000),
    steps=Attempted(60, 8, rollouts=4),
    tries=Attempted(60, 8),
    chains=Attempted(60, 3),
)
HELPERS = ("prm", "reviser", "orm")
MADE_OF = {"prm": "steps", "reviser": "tries", "orm": "chains"}
PROBLEM = Problem("17+05+60?", "18", Level(0, 2))
RIGHT, WRONG = "17+0522;22+6018.", "17+0522;22+6019."
HAND = Attempts(PROBLEM, [RIGHT, WRONG, "17+0522;22+60", "17+05"], [[0.75, 1.0], [0.75, 0.0], [0.75], []])
NONE = Data("none", {})


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in one order, so that a resumed training can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("testbed")
    return SimpleNamespace(folder=folder, trained=train_testbed(MICRO, folder))


@pytest.fixture(scope="module")
def policy(made):
    return load_model(made.folder / "small")


@pytest.fixture(scope="module")
def tried(made):
    return gathered(MICRO.levels, 60, made.folder / "steps.jsonl", never, seed=0)


def interrupt_at(stop, stage):
    calls = itertools.count(1)

    def interrupt(at, *_):
        if at == stage and next(calls) == stop:
            raise KeyboardInterrupt

    return interrupt


def never(*_):
    raise AssertionError


def same_weights(one, other):
    ours, theirs = (LlamaForCausalLM.from_pretrained(path).state_dict() for path in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)


def distance(one, other):
    """Edits from one text to the other, by the textbook."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[:], i
        for j, b in enumerate(other, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
    return row[-1]


# Attempts


def test_every_step_of_every_attempt_has_a_value_that_counts_rollouts(tried):
    found, _ = tried
    assert len(found) == MICRO.steps.questions
    assert {split_of(a.problem.question) for a in found} == {"verifier"}
    for a in found:
        assert len(a.texts) == MICRO.steps.answers
        assert [len(values) for values in a.values] == [len(beginnings(text)) for text in a.texts]
        assert all(4 * value in range(5) for values in a.values for value in values)
        known = {}
        for text, values, right in zip(a.texts, a.values, a.right(), strict=True):
            for beginning, value in zip(beginnings(text), values, strict=True):
                assert known.setdefault(beginning, value) == value
            if text.endswith("."):
                assert values[-1] == right, "what is complete has its grade"


def test_a_beginning_is_worth_the_share_of_its_rollouts_that_end_right_and_what_is_complete_is_not_rolled_out(
    monkeypatch, policy
):
    problem = next(problems("verifier", [Level(1, 2)]))
    right = solution(problem)
    one, two, last = split_steps(right)
    wrong = f"{one}{two}{last[:-3]}{(int(problem.answer) + 1) % 64:02}."
    cut = tokens_of(two)[0]
    ends = {one: [two + last, two + last, "17ac00;", ""], one + two: [last, wrong[len(one + two) :], last, last]}
    asked = []

    def stub(_, prompts, *, limits, samples, **__):
        asked.append((prompts, limits, samples))
        if len(asked) == 1:
            return [[right, wrong, right, one + cut, cut]]
        return [ends[decode(prompt).removeprefix(problem.question)] for prompt in prompts]

    monkeypatch.setattr(attempts, "sample", stub)
    [found], _ = attempting(policy, Attempted(1, 5, rollouts=4))([problem], 0)
    assert found == Attempts(
        problem,
        [right, wrong, right, one + cut, cut],
        [[0.5, 0.75, 1.0], [0.5, 0.75, 0.0], [0.5, 0.75, 1.0], [0.5], []],
    )
    assert found.right() == [True, False, True, False, False]
    tokens = len(encode(right))
    assert tokens == 14
    assert asked[0] == ([encode(problem.question)], [tokens * 3 // 2], 5)
    begun, left, count = asked[1]
    assert sorted(decode(prompt) for prompt in begun) == sorted(problem.question + b for b in (one, one + two))
    assert left == [21 - (len(prompt) - len(encode(problem.question))) for prompt in begun]
    assert count == 4


def test_without_rollouts_attempts_have_no_values(made):
    found, _ = gathered(MICRO.levels, 60, made.folder / "tries.jsonl", never, seed=0)
    assert {len(a.texts) for a in found} == {MICRO.tries.answers}
    assert not any(a.values for a in found)


def test_each_helper_has_problems_of_its_own_and_the_same_again(made):
    asked = {}
    for name in MADE_OF.values():
        found, _ = gathered(MICRO.levels, 60, made.folder / f"{name}.jsonl", never, seed=0)
        asked[name] = [a.problem.question for a in found]
    assert len(set(map(tuple, asked.values()))) == 3


@pytest.mark.parametrize("cut", [0.4, 0.99, 1.5])
def test_a_gathering_cut_in_the_middle_of_a_line_goes_on_to_the_same_file(made, policy, tried, tmp_path, cut):
    whole = (made.folder / "steps.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 2
    kept = int(cut * len(lines[0])) if cut < 1 else len(lines[0]) + len(lines[1]) // 2
    path = tmp_path / "steps.jsonl"
    path.write_bytes(whole[:kept])
    told = []
    attempt = attempting(policy, MICRO.steps)
    again = gathered(MICRO.levels, 60, path, attempt, seed=0, progress=lambda *now: told.append(now))
    assert path.read_bytes() == whole
    assert again == tried
    assert [now[1] for now in told] == [5 / 6, 1.0][-len(told) :]
    assert len(told) == (1 if cut > 1 else 2)
    assert told[-1][2] == tried[1].flops["exact"]


def priced(spec, rule, prompts, texts):
    """Each prompt read once, with what begins it, and each text written."""
    total = 0
    for prompt, written in zip(prompts, texts, strict=True):
        read = 1 + len(prompt)
        total += {"free": 0, "once": 1}[rule.prompts] * flops.total(flops.prefill(spec, read, convention=rule))
        total += sum(flops.total(flops.decode(spec, read, len(encode(t)), convention=rule)) for t in written)
    return total


@pytest.mark.parametrize("convention", ["exact", "paper"])
@pytest.mark.parametrize("spelled", [False, True], ids=["as sampled", "with a special token"])
def test_attempts_cost_each_prompt_read_once_and_each_text_written(monkeypatch, policy, convention, spelled):
    passed = []

    def spy(model, prompts, **how):
        texts = sample(model, prompts, **how)
        texts = [[f"<good>{text}" for text in ts] for ts in texts] if spelled else texts
        passed.append((prompts, texts))
        return texts

    monkeypatch.setattr(attempts, "sample", spy)
    drawn = list(itertools.islice(problems("verifier", MICRO.levels), 6))
    _, spent = attempting(policy, MICRO.steps)(drawn, 3)
    spec, rule = from_config(policy.config.to_dict(), name="small"), flops.convention(convention)
    assert len(passed) == 2
    assert spent[convention] == sum(priced(spec, rule, *both) for both in passed)


@pytest.mark.parametrize("convention", ["exact", "paper"])
def test_revisions_cost_each_context_read_and_each_answer_written(made, convention):
    model = load_model(made.folder / "reviser")
    drawn = list(itertools.islice(problems("verifier", MICRO.levels), 6))
    found, spent = revising(model, 6)(drawn, 3)
    spec, rule = from_config(model.config.to_dict(), name="reviser"), flops.convention(convention)
    prompts = [context(a.problem.question, a.texts[:i]) for a in found for i in range(6)]
    assert spent[convention] == priced(spec, rule, prompts, [[text] for a in found for text in a.texts])
    assert [a.problem for a in found] == drawn
    assert not any(a.values for a in found)


def test_attempts_that_cannot_be_written_are_refused_in_words(policy, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        gathered(MICRO.levels, 1, tmp_path / "file" / "a.jsonl", attempting(policy, Attempted(1, 1)), seed=0)


# Verifiers


def test_a_process_row_has_the_value_of_each_step_at_its_mark_and_an_outcome_row_the_grade_at_the_last():
    asked = [BOS_ID, *encode(PROBLEM.question)]
    right, wrong, cut = (asked + encode(text) for text in (RIGHT, WRONG, "17+0522;"))
    before = [NOTHING] * (len(asked) + 4)
    between = [NOTHING] * 4
    assert verifiers.prm_rows([HAND]) == [
        (right, [*before, 0.75, *between, 1.0]),
        (wrong, [*before, 0.75, *between, 0.0]),
        (cut, [*before, 0.75]),
    ]
    assert verifiers.orm_rows([HAND]) == [
        (right, [*before, NOTHING, *between, 1.0]),
        (wrong, [*before, NOTHING, *between, 0.0]),
        (cut, [*before, 0.0]),
    ]


def test_the_values_of_process_rows_are_those_of_the_rollouts(tried):
    kept = [(a, text, values) for a in tried[0] for text, values in zip(a.texts, a.values, strict=True) if values]
    rows = verifiers.prm_rows(tried[0])
    assert len(rows) == len(kept) > 300
    for (tokens, targets), (a, text, values) in zip(rows, kept, strict=True):
        assert decode(tokens) == f"<bos>{a.problem.question}{beginnings(text)[-1]}"
        assert [target for token, target in zip(tokens, targets, strict=True) if token in STEP_IDS] == values
        assert {t for token, t in zip(tokens, targets, strict=True) if token not in STEP_IDS} == {NOTHING}


def test_an_outcome_verifier_is_taught_on_the_revisers_chains(made):
    chains, _ = gathered(MICRO.levels, 60, made.folder / "chains.jsonl", never, seed=0)
    assert {len(a.texts) for a in chains} == {MICRO.chains.answers}
    drawn = [a.problem for a in chains[:50]]
    again, _ = revising(load_model(made.folder / "reviser"), 3)(drawn, 0)
    assert again == chains[:50]


def test_the_losses_are_the_means_of_each_row_alone(policy):
    judged = [*verifiers.prm_rows([HAND]), *verifiers.orm_rows([HAND])]
    shown = [chain_row(HAND, random.Random(seed)) for seed in range(7)]
    surprises, crosses = [], []
    with torch.inference_mode():
        for tokens, targets in judged:
            logits = policy(input_ids=torch.tensor([tokens])).logits[0]
            for said, target in zip(logits[:, [GOOD_ID, BAD_ID]].log_softmax(-1).tolist(), targets, strict=True):
                if target != NOTHING:
                    crosses.append(-target * said[0] - (1 - target) * said[1])
        for tokens, targets in shown:
            said = policy(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
            surprises += [-said[i - 1, aim].item() for i, aim in enumerate(targets) if aim != NOTHING]
        assert len({len(tokens) for tokens, _ in shown}) > 2, "rows are filled up"
        found = mean_loss(verifiers.verdict_loss, policy, judged).item()
        assert found == pytest.approx(np.mean(crosses), rel=1e-4)
        assert len(crosses) == 8
        assert mean_loss(next_token_loss, policy, shown).item() == pytest.approx(np.mean(surprises), rel=1e-4)
        assert mean_loss(next_token_loss, policy, [([BOS_ID, 7], [NOTHING, NOTHING])]).item() == 0


def test_a_score_is_that_of_the_text_alone_and_the_softmax_of_good_and_bad(monkeypatch, made, tried):
    model, found = load_model(made.folder / "prm"), tried[0][:6]
    questions, texts = (
        [a.problem.question for a in found],
        [[*a.texts, "+05", ""][i:] for i, a in enumerate(found)],
    )
    scores = verifiers.score(model, questions, texts)
    for question, ts, rows in zip(questions, texts, scores, strict=True):
        for text, steps in zip(ts, rows, strict=True):
            tokens = [BOS_ID, *encode(question + text)]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([tokens])).logits[0]
            at = [i for i, token in enumerate(tokens) if token in STEP_IDS]
            assert steps == pytest.approx(logits[at][:, [GOOD_ID, BAD_ID]].softmax(-1)[:, 0].tolist(), abs=1e-5)
    assert [row[-2:] for row in scores] == [[[], []]] * len(found)
    monkeypatch.setattr(verifiers, "_SCORED", 7)
    for one, other in zip(
        itertools.chain(*scores), itertools.chain(*verifiers.score(model, questions, texts)), strict=True
    ):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(("rows", "batch"), [(10, 5), (7, 3), (3, 8), (1, 2)])
def test_the_rows_of_a_step_come_from_a_shuffle_an_epoch_and_are_a_function_of_the_step(rows, batch):
    steps = [verifiers.picks(rows, batch, step, 4) for step in range(3 * rows)]
    assert all(len(step) == batch for step in steps)
    taken = list(itertools.chain(*steps))
    epochs = [taken[i : i + rows] for i in range(0, len(taken), rows)]
    assert all(sorted(epoch) == list(range(rows)) for epoch in epochs)
    assert steps[2] == verifiers.picks(rows, batch, 2, 4)
    if rows == 10:
        assert len(set(map(tuple, epochs))) > 1
        assert steps != [verifiers.picks(rows, batch, step, 5) for step in range(3 * rows)]


# The reviser


def read(row):
    """The answers that a row shows, and the one that it teaches; all other targets are none."""
    tokens, targets = row
    *shown, taught = decode(list(tokens)).removeprefix("<bos>").split("<answer>")
    assert all(part.startswith(PROBLEM.question) for part in (*shown, taught))
    learned = [target for target in targets if target != NOTHING]
    assert learned == list(tokens[-len(learned) :])
    assert PROBLEM.question + decode(learned) == taught
    assert taught.endswith("<eos>")
    return [part.removeprefix(PROBLEM.question) for part in shown], decode(learned[:-1])


TEXT = st.lists(st.sampled_from(["+05", "22", ";", "ac", "+60", "19", "18."]), max_size=6).map("".join)


@settings(max_examples=100)
@given(
    st.lists(TEXT, min_size=1, max_size=6),
    st.sampled_from([[RIGHT], [RIGHT, "22ac18."]]),
    st.integers(0, 10**6),
)
def test_a_row_of_the_reviser_is_up_to_four_wrong_answers_the_nearest_last_and_a_right_one_that_is_learned(
    wrong, right, seed
):
    wrong = [text for text in wrong if grade(PROBLEM, text) != "right"] or ["22;"]
    shown, taught = read(chain_row(Attempts(PROBLEM, wrong + right, []), random.Random(seed)))
    assert taught in right
    assert set(shown) <= set(wrong)
    assert len(shown) <= 4
    far = [distance(text, taught) for text in shown]
    assert far == sorted(far, reverse=True)


def test_rows_show_zero_to_four_wrong_answers_evenly_and_every_one_of_them():
    wrong = [WRONG, "17+0522;", "17+0523;23+6019.", "18"]
    rows = [read(chain_row(Attempts(PROBLEM, [RIGHT, *wrong], []), random.Random(seed))) for seed in range(600)]
    assert chisquare(np.bincount([len(shown) for shown, _ in rows])).pvalue > 0.001
    assert set(itertools.chain(*(shown for shown, _ in rows))) == set(wrong)


def test_a_context_is_the_last_four_answers_each_after_the_question():
    answers = ["1", "2", "3", "4", "5", "6"]
    answers = [f"0{answer}." for answer in answers]
    shown = "".join(f"04+01?{answer}<answer>" for answer in answers[2:])
    assert decode(context("04+01?", answers)) == shown + "04+01?"
    assert decode(context("04+01?", answers[:1])) == "04+01?01.<answer>04+01?"
    assert decode(context("04+01?", [])) == "04+01?"


def test_each_answer_of_a_chain_sees_the_four_before_it_in_its_own_chain(monkeypatch):
    drawn, calls = list(itertools.islice(problems("test", MICRO.levels), 3)), []

    def stub(_, prompts, *, limits, seed, **__):
        calls.append(([decode(prompt) for prompt in prompts], limits, seed))
        return [[f"{10 * len(calls) + i};"] for i in range(len(prompts))]

    monkeypatch.setattr(reviser, "sample", stub)
    found = revise(None, drawn, chains=2, length=6, seed=3)
    assert found == [[[f"{10 * k + 2 * i + j};" for k in range(1, 7)] for j in range(2)] for i in range(3)]
    for k, (prompts, limits, _) in enumerate(calls):
        assert limits == [limit(p) for p in drawn for _ in range(2)]
        assert prompts == [
            "".join(f"{p.question}{text}<answer>" for text in chain[max(0, k - 4) : k]) + p.question
            for p, chains in zip(drawn, found, strict=True)
            for chain in chains
        ]
    assert len({seed for *_, seed in calls}) == 6


def test_chains_of_the_trained_reviser_are_seeded_and_within_their_limits(made):
    model, drawn = load_model(made.folder / "reviser"), list(itertools.islice(problems("test", MICRO.levels), 5))
    one, again, other = (revise(model, drawn, chains=3, length=5, seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert np.shape(one) == (5, 3, 5)
    assert all(len(encode(t)) <= limit(p) for p, cs in zip(drawn, one, strict=True) for chain in cs for t in chain)


# All of it


def test_helpers_have_the_policys_shape_and_start_from_its_weights(made, tmp_path):
    none = replace(TUNED, tokens=0)
    small = made.folder / "small"
    verifiers.train_verifier(verifiers.prm_rows([HAND]), none, small, tmp_path / "prm", scale="micro", data=NONE)
    train_reviser([HAND], none, small, tmp_path / "reviser", scale="micro", data=NONE)
    for name in ("prm", "reviser"):
        assert same_weights(tmp_path / name, small)
        assert not same_weights(made.folder / name, small)
    shapes = {name: from_config(made.folder / name).total for name in ("small", *HELPERS)}
    assert len(set(shapes.values())) == 1


def test_nothing_to_learn_from_is_refused_in_words(made, tmp_path):
    alike = [Attempts(PROBLEM, [RIGHT, RIGHT], []), Attempts(PROBLEM, [WRONG], [])]
    how = {"scale": "micro", "data": NONE}
    with pytest.raises(DataError, match="no problem of 2 with a right and a wrong attempt"):
        train_reviser(alike, TUNED, made.folder / "small", tmp_path / "reviser", **how)
    unfinished = verifiers.prm_rows([Attempts(PROBLEM, ["+05", ""], [[], []])])
    assert unfinished == verifiers.orm_rows([Attempts(PROBLEM, ["+05", ""], [])]) == []
    with pytest.raises(DataError, match="without a single step"):
        verifiers.train_verifier(unfinished, TUNED, made.folder / "small", tmp_path / "prm", **how)


def test_a_testbed_is_five_models_whose_manifests_say_what_they_and_their_data_cost(made):
    assert list(made.trained) == ["small", "large", *HELPERS]
    for name, trained in made.trained.items():
        manifest = json.loads((made.folder / name / "manifest.json").read_text())
        assert manifest == vars(trained)
        assert manifest["flops"]["paper"] == 6 * manifest["parameters"] * manifest["tokens"]
        assert not (made.folder / name / "checkpoint.pt").exists()
        if name not in HELPERS:
            assert (manifest["data_flops"], manifest["data"]) == ({}, None)
            continue
        _, data = gathered(MICRO.levels, 60, made.folder / f"{MADE_OF[name]}.jsonl", never, seed=0)
        assert (manifest["data"], manifest["data_flops"]) == (data.key, data.flops)
    assert len({made.trained[name].data for name in HELPERS}) == 3, "each pays its own data"


@pytest.mark.parametrize("name", HELPERS)
def test_a_helpers_cost_is_its_training_and_its_data_over_the_policys_pretraining(made, name):
    run, small = (json.loads((made.folder / n / "manifest.json").read_text()) for n in (name, "small"))
    wanted = (run["flops"]["exact"] + run["data_flops"]["exact"]) / small["flops"]["exact"]
    assert helper_costs(made.folder)[name] == pytest.approx(wanted)


def test_a_testbed_trained_again_does_nothing(made):
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    assert train_testbed(MICRO, made.folder, progress=never) == made.trained
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("stage", "stop"), [("steps", 1), ("tries", 1), ("chains", 1), ("prm", 3), ("orm", 9), ("reviser", 2)]
)
def test_a_testbed_stopped_at_any_stage_goes_on_to_the_same_models(made, tmp_path, stage, stop):
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    data = stage in MADE_OF.values()
    (tmp_path / f"{stage}.jsonl").unlink() if data else shutil.rmtree(tmp_path / stage)
    with pytest.raises(KeyboardInterrupt):
        train_testbed(MICRO, tmp_path, progress=interrupt_at(stop, stage))
    assert data or (tmp_path / stage / "checkpoint.pt").exists()
    again = train_testbed(MICRO, tmp_path)
    for name in MADE_OF.values():
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (made.folder / f"{name}.jsonl").read_bytes()
    for name, trained in made.trained.items():
        assert replace(again[name], seconds=0) == replace(trained, seconds=0)
        assert same_weights(tmp_path / name, made.folder / name)


def test_the_controls_are_the_small_shape_at_the_helpers_flops_more_and_at_four_times(made, tmp_path):
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    short = replace(MICRO, policy=replace(MICRO.policy, tokens=3000))
    found = train_controls(short, tmp_path, longer=True)
    share = 1 + sum(helper_costs(made.folder).values())
    row = max(len(tokens) for tokens, _ in solved_rows(itertools.islice(problems("test", MICRO.levels), 99)))
    for name, tokens in (("more", 3000 * share), ("long", 12_000)):
        assert tokens - 1 <= found[name].tokens < tokens + 1 + 16 * row
        assert found[name].parameters == made.trained["small"].parameters
    assert list(train_controls(short, tmp_path, progress=never)) == ["more"]


def test_every_row_ends_in_the_end_token_that_no_call_needs(policy):
    """A text ends with its full stop, so that the end token after it is learned and never sampled."""
    assert all(tokens[-1] == EOS_ID for tokens, _ in solved_rows([PROBLEM]))
    [texts] = sample(policy, [encode("04+01?")], limits=[4], samples=200)
    assert {text.count(".") for text in texts} <= {0, 1}
    assert all(text.endswith(".") for text in texts if "." in text)
