import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from scalinglab.tasks import Level, Problem, split_of
from scalinglab.testbed import SCALES, Shape
from scalinglab.testbed.policy import untrained
from scalinglab.testbed.proofreading import (
    Row,
    add_head,
    clean_row,
    deepened,
    drill,
    judged_row,
    lesson,
    lesson_loss,
    marred_row,
    without_head,
)
from scalinglab.testbed.vocabulary import BAD_ID, BOS_ID, GOOD_ID, STEP_ID, VOCABULARY, decode, encode

PROBLEM = Problem("4+1*7?", "5", Level(1, 2))
RIGHT = "4+1=5;5*7=5;"
ATTEMPT = ([BOS_ID, *encode(PROBLEM.question + RIGHT)], [0.75, 1.0])
SCALE = SCALES["tiny"]


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    return untrained(Shape(32, 64, 1, 2)).eval()


def test_a_clean_row_is_the_solution_with_what_follows_each_token_but_the_end_of_a_step():
    row = clean_row(PROBLEM)
    assert decode(row.tokens) == f"<bos>{PROBLEM.question}{RIGHT}<eos>"
    at = [i for i, token in enumerate(row.following) if token >= 0]
    assert at == [i for i, token in enumerate(row.tokens) if 6 <= i < len(row.tokens) - 1 and token != STEP_ID]
    assert all(row.following[i] == row.tokens[i + 1] for i in at)
    assert max(*row.verdicts, *row.belongs) < 0


@pytest.mark.parametrize("verdicts", [True, False])
def test_a_marred_row_says_what_belongs_at_each_digit_and_whether_all_was_right_after_each_step(verdicts):
    found = [marred_row(PROBLEM, random.Random(seed), verdicts=verdicts) for seed in range(60)]
    for row in found:
        assert decode(row.tokens[:7]) == f"<bos>{PROBLEM.question}"
        assert max(row.following) < 0
        assert max(row.belongs[:7]) < 0
        spots = [i for i, token in enumerate(row.belongs) if token >= 0]
        assert spots == [i for i in range(7, len(row.tokens)) if decode([row.tokens[i]]).isdigit()]
        wrong = [row.tokens[i] != row.belongs[i] for i in spots]
        ends = [i for i, token in enumerate(row.tokens) if token == STEP_ID]
        good = [float(not any(w for w, spot in zip(wrong, spots, strict=True) if spot < end)) for end in ends]
        assert [row.verdicts[i] for i in ends] == (good if verdicts else [-1.0] * len(ends))
    assert len({tuple(row.tokens) for row in found}) > 10


def test_a_drill_is_training_text_half_of_it_marred_and_a_function_of_the_step():
    rows = drill(SCALE, 3, seed=1, count=8, verdicts=True)
    assert rows == drill(SCALE, 3, seed=1, count=8, verdicts=True)
    assert rows != drill(SCALE, 4, seed=1, count=8, verdicts=True)
    assert rows != drill(SCALE, 3, seed=2, count=8, verdicts=True)
    assert [max(row.belongs) >= 0 for row in rows] == [True, False] * 4
    assert all(split_of(decode(row.tokens).split("?")[0].removeprefix("<bos>") + "?") == "train" for row in rows)


def test_a_deepened_policy_says_what_the_policy_says_and_keeps_no_head(policy, tmp_path):
    deep, tokens = deepened(policy), torch.tensor([[BOS_ID, *encode(PROBLEM.question + RIGHT)]])
    add_head(deep)
    with torch.inference_mode():
        assert torch.equal(deep(input_ids=tokens).logits, policy(input_ids=tokens).logits)
    without_head(deep)
    deep.save_pretrained(tmp_path)
    again, notes = LlamaForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(notes[kind] for kind in ("missing_keys", "unexpected_keys"))
    assert again.config.num_hidden_layers == policy.config.num_hidden_layers + 2


def test_the_loss_of_a_lesson_is_the_sum_of_the_means_of_its_four_parts(policy):
    rows = [
        *drill(SCALE, 0, seed=0, count=4, verdicts=True),
        judged_row(*ATTEMPT),
    ]
    torch.manual_seed(1)
    model, batch = deepened(policy), lesson(rows)
    add_head(model)
    assert batch.lengths.tolist() == [len(row.tokens) for row in rows]
    parts = [[], [], [], []]
    with torch.inference_mode():
        for row in rows:
            read = model(input_ids=torch.tensor([row.tokens]), output_hidden_states=True)
            between = read.hidden_states[model.config.num_hidden_layers - 1][0]
            said = read.logits[0].log_softmax(-1)
            proofs = model.proofs(between / (between.square().mean(-1, keepdim=True) + 1e-7).sqrt())
            for i, token in enumerate(row.tokens):
                if (good := row.verdicts[i]) >= 0:
                    parts[0].append(-good * said[i, GOOD_ID] - (1 - good) * said[i, BAD_ID])
                if row.following[i] >= 0:
                    parts[1].append(-said[i, row.following[i]])
                if (there := row.belongs[i]) >= 0:
                    parts[2].append(-proofs[i].log_softmax(-1)[there])
                    pair = proofs[i, [GOOD_ID, BAD_ID]].log_softmax(-1)
                    parts[3].append(-pair[0 if token == there else 1])
        loss = lesson_loss(model, batch).item()
    assert loss == pytest.approx(sum(float(np.mean(part)) for part in parts), rel=1e-4)


def test_parts_of_which_a_lesson_has_nothing_cost_nothing(policy):
    model = deepened(policy)
    add_head(model)
    each = [[clean_row(PROBLEM)], [judged_row(*ATTEMPT)]]
    with torch.inference_mode():
        apart = [lesson_loss(model, lesson(rows)).item() for rows in each]
        both = lesson_loss(model, lesson([*each[0], *each[1]])).item()
    assert both == pytest.approx(sum(apart), rel=1e-5)


@pytest.mark.parametrize("target", [0.0, 0.3, 0.75, 1.0])
def test_the_loss_of_a_soft_verdict_is_least_where_the_verifier_says_just_that(target):
    batch = lesson([Row([STEP_ID], [target], [-100], [-100])])

    def loss(good, elsewhere=0.0):
        said = torch.full((len(VOCABULARY),), elsewhere / (len(VOCABULARY) - 2))
        said[GOOD_ID], said[BAD_ID] = good * (1 - elsewhere), (1 - good) * (1 - elsewhere)
        logits, states = said.clamp(min=1e-9).log()[None, None], [torch.zeros(1, 1, 4)] * 3
        return lesson_loss(
            SimpleNamespace(
                model=lambda **_: SimpleNamespace(last_hidden_state=None, hidden_states=states),
                lm_head=lambda _: logits,
                proofs=torch.nn.Linear(4, len(VOCABULARY)),
            ),
            batch,
        ).item()

    others = [good for good in np.linspace(0, 1, 21) if abs(good - target) > 1e-6]
    assert all(loss(target) < loss(good) for good in others)
    assert loss(target) < loss(target, elsewhere=0.1)
