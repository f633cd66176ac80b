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
from transformers import LlamaForCausalLM

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.specs import from_config
from scalinglab.tasks import Level, Problem, grade, problems, solution, split_of, step_is_right
from scalinglab.testbed import Attempts, Recipe, Scale, Shape, attempts, load_model, reviser, verifiers
from scalinglab.testbed.attempts import beginnings, collect_attempts, key_of, limit
from scalinglab.testbed.policy import IGNORED
from scalinglab.testbed.proofreading import judged_row
from scalinglab.testbed.recipe import train_testbed
from scalinglab.testbed.reviser import (
    ALONE,
    chain_loss,
    chain_row,
    context,
    copy_row,
    practice_row,
    revise,
    revision_row,
    train_reviser,
)
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.training import Data, batch_of
from scalinglab.testbed.vocabulary import ANSWER_ID, BAD_ID, BOS_ID, EOS_ID, GOOD_ID, STEP_ID, decode, encode

FAST, TUNED = (0.03, 1e-2), (0.005, 1e-3)
MICRO = Scale(
    "micro",
    Shape(64, 128, 1, 2),
    Shape(32, 64, 1, 1),
    levels=(Level(1, 1), Level(1, 2)),
    practice=(),
    policy=Recipe(32_000, FAST, 0.4, 480),
    verifier=Recipe(12_000, (0.02, 3e-3), 0.4, 120),
    reviser=Recipe(40_000, TUNED, 0.4, 280),
    questions=60,
    samples=8,
    rollouts=4,
    rows=16,
    drill=4,
)
PROBLEM = Problem("4+1*7?", "5", Level(1, 2))
RIGHT, WRONG = "4+1=5;5*7=5;", "4+1=5;5*7=6;"
HAND = Attempts(PROBLEM, [RIGHT, WRONG + "6", "4+1"], [[0.75, 1.0], [0.75, 0.0], []])


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
    return collect_attempts(MICRO, None, made.folder / "attempts.jsonl")


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


def test_every_step_of_every_attempt_has_a_value_that_counts_rollouts(tried):
    found, _ = tried
    assert len(found) == MICRO.questions
    assert all(split_of(a.problem.question) == "verifier" for a in found)
    for a in found:
        assert len(a.texts) == MICRO.samples
        assert [len(values) for values in a.values] == [len(beginnings(text)) for text in a.texts]
        assert all(value * MICRO.rollouts in range(MICRO.rollouts + 1) for values in a.values for value in values)
        known = {}
        for text, values in zip(a.texts, a.values, strict=True):
            for beginning, value in zip(beginnings(text), values, strict=True):
                assert known.setdefault(beginning, value) == value


def test_right_steps_are_worth_more_than_wrong_ones(tried):
    good, bad = [], []
    for a in tried[0]:
        for text, values in zip(a.texts, a.values, strict=True):
            steps = [b[len(c) :] for b, c in zip(beginnings(text), ["", *beginnings(text)], strict=False)]
            for i, value in enumerate(values):
                (good if step_is_right(a.problem, steps, i) else bad).append(value)
    assert min(len(good), len(bad)) > 30
    assert np.mean(good) > np.mean(bad) + 0.2


def test_a_beginning_is_worth_the_share_of_its_rollouts_that_end_right(monkeypatch, tmp_path, policy):
    problem = next(problems("verifier", [Level(1, 2)]))
    right = solution(problem)
    first, last = right[:6], right[6:]
    wrong = first + last[:4] + str((int(problem.answer) + 1) % 10) + ";"
    ends = {first: [last, last, wrong[6:], ""], right: ["", "", "", "1"], wrong: ["", "", "", last]}
    asked = []

    def stub(_, prompts, *, limits, samples, **__):
        asked.append((prompts, limits, samples))
        if len(asked) == 1:
            return [[right, wrong, right, first[:3]]]
        return [ends[decode(prompt).removeprefix(problem.question)] for prompt in prompts]

    monkeypatch.setattr(attempts, "sample", stub)
    scale = replace(MICRO, levels=(Level(1, 2),), questions=1, samples=4)
    [found], _ = collect_attempts(scale, policy, tmp_path / "attempts.jsonl")
    assert found == Attempts(problem, [right, wrong, right, first[:3]], [[0.5, 1.0], [0.5, 0.25], [0.5, 1.0], []])
    assert found.right() == [True, False, True, False]
    assert asked[0] == ([encode(problem.question)], [18], 4)
    begun, left, count = asked[1]
    assert {decode(prompt) for prompt in begun} == {problem.question + text for text in (first, right, wrong)}
    assert len(begun) == 3, "a beginning that attempts share is rolled out from once"
    assert left == [18 - (len(prompt) - len(problem.question)) for prompt in begun]
    assert count == MICRO.rollouts


@pytest.mark.parametrize("cut", [0.4, 0.99, 1.5])
def test_attempts_cut_in_the_middle_of_a_line_go_on_to_the_same_file(made, policy, tried, tmp_path, cut):
    whole = (made.folder / "attempts.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 2
    kept = int(cut * len(lines[0])) if cut < 1 else len(lines[0]) + len(lines[1]) // 2
    (tmp_path / "attempts.jsonl").write_bytes(whole[:kept])
    told = []
    again = collect_attempts(MICRO, policy, tmp_path / "attempts.jsonl", progress=lambda *now: told.append(now))
    assert (tmp_path / "attempts.jsonl").read_bytes() == whole
    assert again == tried
    assert [now[1] for now in told] == [5 / 6, 1.0][-len(told) :]
    assert len(told) == (1 if cut > 1 else 2)
    assert told[-1][2] == tried[1]["exact"]


@pytest.mark.parametrize("convention", ["exact", "paper"])
@pytest.mark.parametrize("spelled", [False, True], ids=["as sampled", "with a special token"])
def test_attempts_cost_each_prompt_read_once_and_each_text_written(
    monkeypatch, tmp_path, policy, convention, spelled
):
    passed = []

    def spy(model, prompts, **how):
        texts = sample(model, prompts, **how)
        texts = [[f"<good>{text}" for text in ts] for ts in texts] if spelled else texts
        passed.append((prompts, texts))
        return texts

    monkeypatch.setattr(attempts, "sample", spy)
    _, spent = collect_attempts(replace(MICRO, questions=6), policy, tmp_path / "attempts.jsonl")
    spec, rule = from_config(policy.config.to_dict(), name="small"), flops.convention(convention)
    wanted = 0
    for prompt, texts in itertools.chain(*(zip(*pair, strict=True) for pair in passed)):
        read = 1 + len(prompt)
        reading = flops.total(flops.prefill(spec, read, convention=rule))
        wanted += reading * {"free": 0, "once": 1}[rule.prompts]
        for text in texts:
            wanted += flops.total(flops.decode(spec, read, len(encode(text)) + 1, convention=rule))
    assert spent[convention] == wanted


def test_attempts_that_cannot_be_written_are_refused_in_words(policy, tmp_path):
    scale = replace(MICRO, questions=1, samples=1, rollouts=1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        collect_attempts(scale, policy, tmp_path / "file" / "attempts.jsonl")


def test_a_process_row_has_the_value_of_each_step_and_an_outcome_row_the_grade_at_the_last():
    question = [BOS_ID, *encode(PROBLEM.question)]
    right, wrong = question + encode(RIGHT), question + encode(WRONG)
    assert verifiers.prm_rows([HAND]) == [(right, [0.75, 1.0]), (wrong, [0.75, 0.0])]
    (first, good), (second, bad) = verifiers.orm_rows([HAND])
    assert (first, second) == (right, wrong)
    assert good[0] < 0
    assert bad[0] < 0
    assert (good[1], bad[1]) == (1.0, 0.0)


def test_each_value_stands_on_the_semicolon_of_its_step(tried):
    for tokens, values in [*verifiers.prm_rows([HAND]), *verifiers.prm_rows(tried[0][:9])]:
        row = judged_row(tokens, values)
        at = [i for i, token in enumerate(tokens) if token == STEP_ID]
        assert [row.verdicts[i] for i in at] == values
        assert all(verdict < 0 for i, verdict in enumerate(row.verdicts) if i not in at)
        assert max(*row.following, *row.belongs) < 0
        assert len({len(part) for part in vars(row).values()}) == 1


def test_a_score_is_that_of_the_text_alone_and_the_softmax_of_good_and_bad(monkeypatch, made, tried):
    model, found = load_model(made.folder / "prm"), tried[0][:6]
    questions, texts = [a.problem.question for a in found], [[*a.texts, "4+", ""][i:] for i, a in enumerate(found)]
    scores = verifiers.score(model, questions, texts)
    for question, ts, rows in zip(questions, texts, scores, strict=True):
        for text, steps in zip(ts, rows, strict=True):
            tokens = [BOS_ID, *encode(question + text)]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([tokens])).logits[0]
            at = [i for i, token in enumerate(tokens) if token == STEP_ID]
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


def read(row):
    """The answers of a chain, and those that are learned; every other target is none."""
    tokens, targets = row
    assert len(tokens) == len(targets)
    assert (tokens[0], targets[0]) == (BOS_ID, IGNORED)
    answers, learned, at = [], [], 1
    while at < len(tokens):
        end = tokens.index(ANSWER_ID, at)
        question, text = decode(tokens[at:end]).split("?")
        begin = at + len(encode(question)) + 1
        assert question + "?" == PROBLEM.question
        assert set(targets[at:begin]) == {IGNORED}
        aims = targets[begin : end + 1]
        assert aims in ([IGNORED] * len(aims), [*tokens[begin:end], EOS_ID])
        answers.append(text)
        learned.append(aims[-1] == EOS_ID)
        at = end + 1
    return answers, learned


def rows(make, *given, count=600, **how):
    return [read(make(*given, random.Random(seed), **how)) for seed in range(count)]


def test_a_chain_teaches_its_right_answers_from_the_asked_one_on():
    answers = [RIGHT, WRONG, RIGHT, RIGHT]
    for first, learned in ((0, [1, 0, 1, 1]), (1, [0, 0, 1, 1]), (3, [0, 0, 0, 1])):
        assert read(chain_row(PROBLEM.question, answers, RIGHT, first=first)) == (
            answers,
            list(map(bool, learned)),
        )


@settings(max_examples=100)
@given(
    st.lists(st.text("0123456789+=;", max_size=12), min_size=1, max_size=6),
    st.lists(st.sampled_from(["", "5;", "4+1=5;", "4+1=5;9"]), min_size=1, max_size=3),
    st.integers(0, 10**6),
    st.integers(0, 1),
)
def test_a_revision_row_ends_in_a_right_answer_and_shows_attempts_alone(wrong, odd, seed, first):
    wrong = [text for text in wrong if grade(PROBLEM, text) != "right"] or ["9"]
    right = [start + RIGHT for start in odd]
    row = revision_row(Attempts(PROBLEM, wrong + right, []), random.Random(seed), first=first)
    answers, learned = read(row)
    assert len(answers) in (1, 5)
    assert set(answers) <= {*wrong, answers[-1]}
    assert answers[-1] in right
    begin = first if len(answers) > 1 else 0
    assert learned == [text == answers[-1] and i >= begin for i, text in enumerate(answers)]


def test_revision_rows_are_answers_alone_chains_in_any_order_and_wrong_answers_with_the_nearest_last(monkeypatch):
    texts = [WRONG + "6", "4+1", "4+1=6;6*7=2;", "9"]
    many = Attempts(PROBLEM, [RIGHT, *texts], [])
    found = [answers for answers, _ in rows(revision_row, many, first=1)]
    assert np.mean([len(answers) == 1 for answers in found]) == pytest.approx(ALONE, abs=0.06)
    monkeypatch.setattr(reviser, "WANDERING", 0.0)
    papers = [answers for answers, _ in rows(revision_row, many, first=1) if len(answers) > 1]
    shown = [list(itertools.takewhile(lambda text: text != RIGHT, answers)) for answers in papers]
    for texts, answers in zip(shown, papers, strict=True):
        assert answers == [*texts, *[RIGHT] * (5 - len(texts))]
    assert {len(texts) for texts in shown} == {1, 2, 3, 4}
    assert min(np.bincount([len(texts) for texts in shown])[1:]) > len(shown) / 6
    for texts in shown:
        far = [distance(text, RIGHT) for text in texts]
        assert far == sorted(far, reverse=True)


@pytest.mark.parametrize(("make", "given"), [(practice_row, PROBLEM), (revision_row, HAND)])
def test_half_of_the_earlier_answers_are_right_and_many_repeat_the_one_before(monkeypatch, make, given):
    monkeypatch.setattr(reviser, "ALONE", 0.0)
    monkeypatch.setattr(reviser, "WANDERING", 1.0)
    chains = [answers[:4] for answers, _ in rows(make, given, first=1)]
    assert np.mean([text == RIGHT for chain in chains for text in chain]) == pytest.approx(0.5, abs=0.05)
    wrong = [(one, two) for chain in chains for one, two in itertools.pairwise(chain) if one != RIGHT]
    assert np.mean([one == two for one, two in wrong]) > reviser.AGAIN - 0.05


def test_practice_shows_slips_and_ends_in_the_solution():
    for answers, learned in rows(practice_row, PROBLEM, first=0, count=100):
        assert len(answers) == 5
        assert answers[-1] == RIGHT
        assert learned == [text == RIGHT for text in answers]
        assert all(len(text) == len(RIGHT) for text in answers)


def test_a_row_to_copy_shows_a_text_that_nobody_can_work_out_and_teaches_it_once_shown():
    for answers, learned in rows(copy_row, PROBLEM):
        text = answers[-1]
        assert len(answers) == 5
        assert text in answers[:4]
        assert learned == [one == text and i > answers.index(text) for i, one in enumerate(answers)]
        assert all(sum(a != b for a, b in zip(one, text, strict=True)) <= 1 for one in answers)


def test_the_loss_of_chains_is_the_mean_over_what_is_to_be_learned(policy):
    shown = [practice_row(PROBLEM, random.Random(1), first=1), revision_row(HAND, random.Random(2), first=0)]
    shown.append(chain_row(PROBLEM.question, [WRONG, RIGHT], RIGHT, first=0))
    losses = []
    with torch.inference_mode():
        for tokens, targets in shown:
            said = policy(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
            losses += [-said[i - 1, aim].item() for i, aim in enumerate(targets) if aim != IGNORED]
        assert chain_loss(policy, batch_of(shown)).item() == pytest.approx(np.mean(losses), rel=1e-4)
        assert chain_loss(policy, batch_of([chain_row("4?", ["5"], "6", first=0)])).item() == 0


def test_a_context_is_the_last_four_answers_each_after_the_question():
    answers = ["1;", "2;", "3;", "4;", "5;", "6;"]
    assert decode(context("4+1?", answers)) == "4+1?3;<answer>4+1?4;<answer>4+1?5;<answer>4+1?6;<answer>4+1?"
    assert decode(context("4+1?", answers[:1])) == "4+1?1;<answer>4+1?"
    assert decode(context("4+1?", [])) == "4+1?"
    for shown in range(5):
        row, _ = chain_row("4+1?", answers[: shown + 1], "", first=0)
        begun = context("4+1?", answers[:shown])
        assert row[: 1 + len(begun)] == [BOS_ID, *begun]


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


def test_nothing_to_learn_from_is_refused_in_words(made, tmp_path):
    alike = [Attempts(PROBLEM, [RIGHT, RIGHT], [[1.0, 1.0]] * 2), Attempts(PROBLEM, [WRONG], [[1.0, 0.0]])]
    with pytest.raises(DataError, match="right and a wrong attempt"):
        train_reviser(alike, MICRO, made.folder / "small", tmp_path / "reviser", data=Data("none", {}))
    unfinished = verifiers.prm_rows([Attempts(PROBLEM, ["4+1", ""], [[], []])])
    assert unfinished == []
    with pytest.raises(DataError):
        verifiers.train_verifier(unfinished, MICRO, made.folder / "small", tmp_path / "prm", data=Data("none", {}))


def test_a_testbed_is_five_models_whose_manifests_say_what_they_and_their_data_cost(made, tried):
    assert list(made.trained) == ["small", "large", "prm", "orm", "reviser"]
    for name, trained in made.trained.items():
        manifest = json.loads((made.folder / name / "manifest.json").read_text())
        assert manifest == vars(trained)
        helper = name in ("prm", "orm", "reviser")
        assert manifest["data_flops"] == (tried[1] if helper else {})
        assert manifest["data"] == (key_of(made.folder / "attempts.jsonl") if helper else None)
        assert manifest["flops"]["paper"] == 6 * manifest["parameters"] * manifest["tokens"]
        assert manifest["loss"][-1] < manifest["loss"][0]
        assert not (made.folder / name / "checkpoint.pt").exists()
    sizes = {name: trained.parameters for name, trained in made.trained.items()}
    assert sizes["prm"] == sizes["orm"] == sizes["reviser"] > sizes["small"] != sizes["large"]


def test_a_testbed_trained_again_does_nothing(made):
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    assert train_testbed(MICRO, made.folder, progress=never) == made.trained
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before


@pytest.mark.parametrize(("stage", "stop"), [("attempts", 1), ("prm", 3), ("orm", 9), ("reviser", 2)])
def test_a_testbed_stopped_at_any_stage_goes_on_to_the_same_models(made, tmp_path, stage, stop):
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "attempts.jsonl").unlink() if stage == "attempts" else shutil.rmtree(tmp_path / stage)
    with pytest.raises(KeyboardInterrupt):
        train_testbed(MICRO, tmp_path, progress=interrupt_at(stop, stage))
    assert stage == "attempts" or (tmp_path / stage / "checkpoint.pt").exists()
    again = train_testbed(MICRO, tmp_path)
    assert (tmp_path / "attempts.jsonl").read_bytes() == (made.folder / "attempts.jsonl").read_bytes()
    for name, trained in made.trained.items():
        assert replace(again[name], seconds=0) == replace(trained, seconds=0)
        assert same_weights(tmp_path / name, made.folder / name)
