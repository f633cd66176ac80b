import itertools
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from typer.testing import CliRunner

from scalinglab import flops
from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.specs import from_config
from scalinglab.tasks import Level, problems
from scalinglab.testbed import SCALES, Scale, Shape, load_policy, pair_criteria, sample, train_pair, train_policy
from scalinglab.testbed.muon import Muon, orthogonalise
from scalinglab.testbed.policy import encode, tokenizer_of

MICRO = Scale("micro", Shape(32, 84, 2, 4), Shape(120, 316, 2, 4), (Level(1, 1),), 12_000, rows=32)
DRAWN = list(itertools.islice(problems("test", MICRO.levels), 20))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in one order, so that a resumed training can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    train_pair(MICRO, folder)
    return folder


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_two_shapes_of_a_scale_are_fourteen_times_apart(scale):
    small, large = (
        from_config(
            {
                "model_type": "llama",
                "vocab_size": 20,
                "hidden_size": shape.hidden,
                "intermediate_size": shape.intermediate,
                "num_hidden_layers": shape.layers,
                "num_attention_heads": shape.heads,
            }
        )
        for shape in (scale.small, scale.large)
    )
    assert 13.5 <= large.non_embedding / small.non_embedding <= 14.5


def test_the_pair_saw_the_same_tokens_and_learned(folder):
    small, large = (json.loads((folder / name / "manifest.json").read_text()) for name in ("small", "large"))
    assert small["tokens"] == large["tokens"] >= MICRO.tokens
    assert small["steps"] == large["steps"]
    for run in (small, large):
        assert run["loss"][-1] < run["loss"][0]


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_manifest_counts_what_the_weights_and_the_ledger_say(folder, name):
    manifest = json.loads((folder / name / "manifest.json").read_text())
    weights = AutoModelForCausalLM.from_pretrained(folder / name)
    spec = from_config(folder / name)
    assert manifest["parameters"] == spec.total == sum(p.numel() for p in weights.parameters())
    assert manifest["non_embedding"] == spec.non_embedding
    assert manifest["flops"]["paper"] == 6 * spec.total * manifest["tokens"]
    body = flops.training(spec, manifest["tokens"], sequence=1, convention=flops.convention("exact"))
    assert manifest["flops"]["exact"] > flops.total(body)


def test_the_tokenizer_is_one_token_a_character_and_loads_anywhere(folder):
    text = "43+58*7?43+58=91;91*7=33;-"
    assert (
        encode(text) == tokenizer_of().encode(text) == AutoTokenizer.from_pretrained(folder / "small").encode(text)
    )
    assert len(encode(text)) == len(text)


@pytest.mark.parametrize("stop", [1, 7])
def test_a_training_stopped_by_ctrl_c_goes_on_to_the_same_weights(tmp_path, folder, stop):
    calls = itertools.count(1)

    def interrupt(*_):
        if next(calls) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_policy(MICRO, MICRO.small, tmp_path, progress=interrupt)
    resumed = train_policy(MICRO, MICRO.small, tmp_path)
    unbroken = json.loads((folder / "small" / "manifest.json").read_text())
    assert resumed.loss == unbroken["loss"]
    assert resumed.flops == unbroken["flops"]
    ours, theirs = (LlamaForCausalLM.from_pretrained(path).state_dict() for path in (tmp_path, folder / "small"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_finished_training_is_not_done_again(folder):
    def never(*_):
        raise AssertionError

    again = train_policy(MICRO, MICRO.small, folder / "small", progress=never)
    assert again.non_embedding == from_config(folder / "small").non_embedding


def test_another_seed_is_another_policy(tmp_path, folder):
    other = train_policy(MICRO, MICRO.small, tmp_path, seed=1)
    assert other.loss != json.loads((folder / "small" / "manifest.json").read_text())["loss"]


def test_greedy_samples_repeat_and_others_are_seeded(folder):
    policy = load_policy(folder / "large")
    greedy = sample(*policy, DRAWN, temperature=0)
    assert greedy == sample(*policy, DRAWN, temperature=0, seed=9)
    drawn = sample(*policy, DRAWN, samples=3, seed=1)
    assert [len(texts) for texts in drawn] == [3] * len(DRAWN)
    assert drawn == sample(*policy, DRAWN, samples=3, seed=1) != sample(*policy, DRAWN, samples=3, seed=2)
    assert all(set(text) <= set("0123456789+-*=;?") or "<" in text for texts in drawn for text in texts)


def test_the_criteria_judge_the_pair(folder):
    found = {criterion.name: criterion for criterion in pair_criteria(MICRO, folder, problems_drawn=30)}
    assert found["non-embedding ratio"].passed
    assert found["non-embedding ratio"].value == "14.02"
    assert {f"bin {i}: small pass@64 above large greedy" for i in (1, 2, 3)} <= set(found)
    assert all(criterion.value and criterion.wanted for criterion in found.values())


def test_the_update_of_muon_is_orthogonal_and_keeps_the_singular_vectors():
    torch.manual_seed(0)
    for shape in ((3, 8, 20), (2, 20, 8), (1, 8, 8)):
        matrices = torch.randn(shape)
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        found = orthogonalise(matrices)
        middle = u.mT @ found @ v.mT
        singular = torch.diagonal(middle, dim1=1, dim2=2)
        assert (singular > 0.3).all()
        assert (singular < 1.3).all()
        assert (middle - torch.diag_embed(singular)).abs().max() < 1e-3


def test_muon_steps_each_matrix_as_it_would_alone():
    torch.manual_seed(0)
    together = [torch.nn.Parameter(torch.randn(4, 6)) for _ in range(3)]
    alone = [torch.nn.Parameter(matrix.detach().clone()) for matrix in together]
    for a, b in zip(together, alone, strict=True):
        a.grad = torch.randn(4, 6)
        b.grad = a.grad.clone()
    Muon(together, lr=0.1).step()
    for matrix in alone:
        Muon([matrix], lr=0.1).step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(together, alone, strict=True))


def test_a_folder_without_a_policy_and_one_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="train it first"):
        load_policy(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        train_policy(MICRO, MICRO.small, tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--scale", "huge", "--out", "x"], "scale 'huge'"),
        (["evaluate", "--scale", "tiny", "--folder", "nowhere"], "nowhere"),
    ],
)
def test_the_testbeds_verbs_refuse_in_words(arguments, message):
    done = CliRunner().invoke(app, ["testbed", *arguments])
    assert message in str(done.exception)


def test_evaluate_prints_the_criteria_as_json(folder):
    given = ["--folder", str(folder), "--scale", "tiny", "--problems", "20"]
    done = CliRunner().invoke(app, ["testbed", "evaluate", *given, "--json"])
    assert done.exit_code == 0, done.exception
    criteria = json.loads(done.stdout.splitlines()[-1])["criteria"]
    assert [set(row) for row in criteria] == [{"name", "value", "wanted", "pass"}] * 9
