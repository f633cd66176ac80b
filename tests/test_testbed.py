import itertools
import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.specs import from_config
from scalinglab.tasks import Level, problems, solution, split_of, tokens_of
from scalinglab.testbed import (
    LADDER,
    SCALES,
    Attempted,
    Recipe,
    Scale,
    Shape,
    load_model,
    sample,
    search_rates,
    train_pair,
    train_policy,
    training,
)
from scalinglab.testbed.muon import Muon, orthogonalise
from scalinglab.testbed.policy import policy_training, solved_rows
from scalinglab.testbed.scales import HEAD_DIM
from scalinglab.testbed.training import NOTHING, mean_loss, next_token_loss
from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, PAD_ID, VOCABULARY, decode, encode, tokenizer_of

MICRO = Scale(
    "micro",
    Shape(32, 84, 1, 1),
    Shape(128, 264, 1, 4),
    levels=(Level(0, 1), Level(1, 1)),
    policy=Recipe(15_000, decay=0.4, warm_up=300, rows=16),
    prm=Recipe(1),
    orm=Recipe(1),
    reviser=Recipe(1),
    steps=Attempted(1, 1),
    tries=Attempted(1, 1),
    chains=Attempted(1, 1),
)
DRAWN = list(itertools.islice(problems("test", MICRO.levels), 20))
TEXT = "43+58ba?+5837;ba13.op"
EVERY_TOKEN = "".join(VOCABULARY)


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


@pytest.fixture(scope="module")
def policy(folder):
    return load_model(folder / "small")


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def same_weights(one, other):
    ours, theirs = (LlamaForCausalLM.from_pretrained(path).state_dict() for path in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)


def interrupt_at(stop):
    calls = itertools.count(1)

    def interrupt(*_):
        if next(calls) == stop:
            raise KeyboardInterrupt

    return interrupt


def never(*_):
    raise AssertionError


def size_of(shape):
    config = {
        "model_type": "llama",
        "vocab_size": len(VOCABULARY),
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": HEAD_DIM,
        "tie_word_embeddings": True,
    }
    return from_config(config).total


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_two_shapes_of_a_scale_are_about_fourteen_times_apart(scale):
    assert 13.0 <= size_of(scale.large) / size_of(scale.small) <= 13.9, "256 samples pay for R = 0.16"


def test_the_ladder_climbs_from_below_the_small_policy_of_base_by_one_recipe():
    sizes = [size_of(shape) for shape in LADDER.shapes]
    assert sizes == sorted(set(sizes))
    assert len({shape.hidden for shape in LADDER.shapes}) == len(sizes), "each has a folder of its own"
    assert SCALES["base"].small in LADDER.shapes
    assert list(LADDER.marks) == sorted(set(LADDER.marks))
    assert LADDER.marks[-1] == LADDER.scale.policy.tokens
    assert len(LADDER.shapes) >= 5
    assert len(LADDER.marks) >= 4
    assert LADDER.scale == SCALES["base"]


def test_every_token_survives_the_way_to_its_number_and_back():
    assert encode(EVERY_TOKEN) == list(range(len(VOCABULARY)))
    assert decode(encode(EVERY_TOKEN + TEXT)) == EVERY_TOKEN + TEXT
    assert len(encode(TEXT)) == 13, "a number, a fact's name and a mark are one each"


@pytest.mark.parametrize("text", [TEXT, "<bos>" + TEXT + "<eos><pad>", EVERY_TOKEN], ids=["plain", "row", "every"])
def test_the_tokenizer_reads_what_encode_reads_and_loads_anywhere(folder, text):
    loaded = AutoTokenizer.from_pretrained(folder / "small")
    assert encode(text) == tokenizer_of().encode(text) == loaded.encode(text)
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (PAD_ID, BOS_ID, EOS_ID)


def test_a_row_is_learned_after_its_question_only():
    for problem, (tokens, targets) in zip(DRAWN, solved_rows(DRAWN), strict=True):
        assert decode(list(tokens)) == f"<bos>{problem.question}{solution(problem)}<eos>"
        asked = 1 + len(encode(problem.question))
        assert list(targets) == [NOTHING] * asked + list(tokens[asked:])


def test_the_loss_is_the_mean_of_each_learned_token_as_in_its_row_alone(policy):
    surprises = []
    for p in DRAWN[:7]:
        question, answer = encode(p.question), [*encode(solution(p)), EOS_ID]
        row = [BOS_ID, *question, *answer]
        said = policy(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
        surprises += [-said[i - 1, row[i]].item() for i in range(1 + len(question), len(row))]
    rows = solved_rows(DRAWN[:7])
    assert len({len(tokens) for tokens, _ in rows}) > 1, "some are filled up"
    assert mean_loss(next_token_loss, policy, rows).item() == pytest.approx(np.mean(surprises), rel=1e-5)
    one = mean_loss(next_token_loss, policy, rows[:1]).item()
    assert one == pytest.approx(np.mean(surprises[: len(encode(solution(DRAWN[0]))) + 1]), rel=1e-5)


def test_the_pair_saw_the_same_rows_of_the_training_split_and_learned(folder, tmp_path):
    small, large = (manifest_of(folder / name) for name in ("small", "large"))
    assert small["tokens"] == large["tokens"] >= MICRO.policy.tokens
    assert small["steps"] == large["steps"]
    for run in (small, large):
        assert run["loss"][-1] < run["loss"][0]
    ours, theirs = (
        policy_training(MICRO, shape, tmp_path / "never", seed=0) for shape in (MICRO.small, MICRO.large)
    )
    for step in range(3):
        rows = ours.batch(step)
        assert rows == theirs.batch(step)
        assert len(rows) == MICRO.policy.rows
        questions = [decode(list(tokens)).removeprefix("<bos>").split("?")[0] + "?" for tokens, _ in rows]
        assert {split_of(question) for question in questions} == {"train"}
    assert ours.batch(0) != ours.batch(1)


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_manifest_counts_what_the_weights_and_the_flop_counter_say(folder, name):
    manifest = manifest_of(folder / name)
    weights = AutoModelForCausalLM.from_pretrained(folder / name)
    spec = from_config(folder / name)
    assert manifest["parameters"] == spec.total == sum(p.numel() for p in weights.parameters())
    assert manifest["non_embedding"] == spec.non_embedding
    assert manifest["flops"]["paper"] == 6 * spec.total * manifest["tokens"]
    assert manifest["data_flops"] == {}
    rule = flops.convention("exact")
    training = policy_training(MICRO, MICRO.small, folder / "never", seed=0)
    lengths = [len(tokens) for step in range(manifest["steps"]) for tokens, _ in training.batch(step)]
    assert sum(lengths) == manifest["tokens"]
    rows = (flops.training(spec, n, sequence=n, convention=rule) for n in lengths)
    assert manifest["flops"]["exact"] == sum(flops.total(row) for row in rows)


def test_every_parameter_is_trained_by_one_optimiser_and_muon_has_the_hidden_matrices(tmp_path):
    training = policy_training(MICRO, MICRO.large, tmp_path, seed=0)
    muon, adam = ([p for group in o.param_groups for p in group["params"]] for o in training.optimisers)
    assert sorted(map(id, muon + adam)) == sorted(map(id, training.model.parameters()))
    assert {id(p) for p in muon} == {id(p) for p in training.model.model.layers.parameters() if p.ndim == 2}


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_rate_warms_up_holds_and_falls_at_the_end_where_it_decays(tmp_path, decay):
    scale = replace(MICRO, policy=Recipe(4000, rates=(0.02, 3e-3), decay=decay, warm_up=80, rows=4))
    training, seen = policy_training(scale, scale.small, tmp_path, seed=0), []

    def note(_, share, *__):
        seen.append((share, *(o.param_groups[0]["lr"] for o in training.optimisers)))

    training.until(4000, stage="small", progress=note)
    shares, muon, adam = np.array(seen).T
    assert np.allclose(muon / adam, 0.02 / 3e-3)
    assert muon.max() == pytest.approx(0.02)
    assert muon[0] < 0.002
    held, late = muon[(shares > 0.05) & (shares <= 0.5)], muon[shares > 0.6]
    assert np.allclose(held, 0.02)
    assert np.allclose(late, 0.02) if decay == 0 else (np.diff(late) < 0).all()
    assert muon[-1] == pytest.approx(0.02) if decay == 0 else muon[-1] < 0.002


@pytest.mark.parametrize("stop", [1, 7])
def test_a_training_stopped_by_ctrl_c_goes_on_to_the_same_weights(tmp_path, folder, stop):
    with pytest.raises(KeyboardInterrupt):
        train_policy(MICRO, MICRO.small, tmp_path, progress=interrupt_at(stop))
    assert (tmp_path / "checkpoint.pt").exists()
    first = []
    resumed = train_policy(MICRO, MICRO.small, tmp_path, progress=lambda *told: first.append(told))
    unbroken = manifest_of(folder / "small")
    assert len(first) == unbroken["steps"] - stop
    assert resumed.loss == unbroken["loss"]
    assert resumed.flops == unbroken["flops"]
    assert same_weights(tmp_path, folder / "small")
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("optimiser", [Muon, torch.optim.AdamW])
def test_ctrl_c_in_the_middle_of_an_update_leaves_no_half_a_step_behind(tmp_path, folder, monkeypatch, optimiser):
    interrupt, step = interrupt_at(5), optimiser.step

    def stopped(self, *args, **kwargs):
        interrupt()
        return step(self, *args, **kwargs)

    monkeypatch.setattr(optimiser, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_policy(MICRO, MICRO.small, tmp_path)
    train_policy(MICRO, MICRO.small, tmp_path)
    assert same_weights(tmp_path, folder / "small")


def test_a_finished_training_is_not_done_again(folder):
    again = train_policy(MICRO, MICRO.small, folder / "small", progress=never)
    assert again.non_embedding == from_config(folder / "small").non_embedding


def test_another_seed_is_another_policy(tmp_path, folder):
    other = train_policy(MICRO, MICRO.small, tmp_path, seed=1)
    assert other.loss != manifest_of(folder / "small")["loss"]
    assert not same_weights(tmp_path, folder / "small")


def test_greedy_samples_repeat_and_others_are_seeded(folder):
    policy = load_model(folder / "large")
    prompts, limits = [encode(p.question) for p in DRAWN], [12] * len(DRAWN)
    greedy = sample(policy, prompts, limits=limits, temperature=0)
    assert greedy == sample(policy, prompts, limits=limits, temperature=0, seed=9)
    one, again, other = (sample(policy, prompts, limits=limits, samples=3, seed=seed) for seed in (1, 1, 2))
    assert [len(texts) for texts in one] == [3] * len(DRAWN)
    assert one == again != other


def test_a_prompt_filled_up_on_the_left_is_answered_as_alone(folder):
    policy = load_model(folder / "large")
    rows = [p.question + "".join(tokens_of(solution(p))[: i % 3]) for i, p in enumerate(DRAWN)]
    prompts = [encode(row) for row in (*rows, "")]
    limits = [6 + i % 5 for i in range(len(prompts))]
    assert len({len(prompt) for prompt in prompts}) > 3
    together = sample(policy, prompts, limits=limits, temperature=0)
    alone = [
        sample(policy, [prompt], limits=[most], temperature=0)[0]
        for prompt, most in zip(prompts, limits, strict=True)
    ]
    assert together == alone


def test_more_samples_than_a_batch_holds_stay_with_their_prompts(policy):
    prompts = [encode(question) for question in ("04+01?", "05ac?")]
    alone = sample(policy, prompts, limits=[5, 7], temperature=0)
    many = sample(policy, prompts, limits=[5, 7], samples=700, temperature=0)
    assert many == [texts * 700 for texts in alone]


def test_no_text_is_longer_than_its_own_limit_nor_holds_an_end(policy):
    limits = [1 + i % 9 for i in range(len(DRAWN))]
    texts = sample(policy, [encode(p.question) for p in DRAWN], limits=limits, samples=20, temperature=9.0)
    lengths = [[len(encode(text)) for text in ts] for ts in texts]
    assert all(max(of_one) == most for of_one, most in zip(lengths, limits, strict=True))
    assert not any("<eos>" in text for ts in texts for text in ts)
    ended = [text for ts in texts for text in ts if "." in text]
    assert ended
    assert all(text.index(".") == len(text) - 1 for text in ended), "nothing is written after the full stop"
    assert any("<good>" in text for ts in texts for text in ts)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_model_says(policy, temperature):
    prompt, n = encode("04+01?+01"), 4000
    with torch.inference_mode():
        logits = policy(input_ids=torch.tensor([[BOS_ID, *prompt]])).logits[0, -1]
    wanted = (logits / temperature).softmax(-1).numpy()
    [texts] = sample(policy, [prompt], limits=[1], samples=n, temperature=temperature)
    found = np.array([texts.count("" if token == "<eos>" else token) for token in VOCABULARY]) / n
    assert (np.abs(found - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / n) + 2 / n).all()


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


def test_muon_decays_the_weights_by_its_rate_and_without_a_gradient_does_nothing_else():
    matrix = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    matrix.grad = torch.zeros(2, 3)
    Muon([matrix], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(matrix, 0.95 * torch.arange(6.0).reshape(2, 3))


def test_a_folder_without_a_model_and_one_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="train it first"):
        load_model(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        train_policy(MICRO, MICRO.small, tmp_path / "file" / "below")


def test_a_full_disk_is_told_in_words_and_leaves_the_checkpoint_before(tmp_path):
    training = policy_training(MICRO, MICRO.small, tmp_path, seed=0)
    training.save()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, most))
    try:
        with pytest.raises(DataError, match="cannot write"):
            training.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("floor", [0.02, 0.65])
def test_the_rate_ends_at_its_floor(floor):
    recipe = Recipe(1000, decay=0.4, warm_up=10, floor=floor)
    paces = [training._pace(tokens, recipe) for tokens in (600, 800, 1000, 1100)]
    assert paces == pytest.approx([1, (1 + floor) / 2, floor, floor])


def test_a_shape_is_trained_at_its_own_pace_and_decay(tmp_path):
    training = policy_training(MICRO, replace(MICRO.small, pace=0.5), tmp_path, seed=0)
    assert training.recipe == replace(MICRO.policy, rates=(0.01, 1.5e-3))
    training = policy_training(MICRO, replace(MICRO.small, decay=1.0), tmp_path, seed=0)
    assert training.recipe == replace(MICRO.policy, decay=1.0)


def test_the_search_of_rates_is_the_same_for_both_sizes_and_takes_the_least_mean_validation_loss(tmp_path):
    short = replace(MICRO, policy=replace(MICRO.policy, tokens=4000))
    how = {"paces": (0.05, 1.0), "decays": (0.5, 1.0), "seeds": (100, 101), "share": 0.25}
    found = search_rates(short, tmp_path, **how)
    for name in ("small", "large"):
        mine = found[found["model"] == name]
        assert mine["decay"].tolist() == [0.5, 0.5, 1.0]
        assert mine["pace"].tolist()[:2] == [0.05, 1.0]
        first = mine.iloc[:2]
        assert mine["pace"].iloc[2] == first.loc[first["loss"].idxmin(), "pace"]
        assert mine.loc[mine["best"], "loss"].tolist() == [mine["loss"].min()]
        assert (mine["tokens"] >= 1000).all()
        assert np.allclose(mine["loss"], (mine["lowest"] + mine["highest"]) / 2), "the mean of two seeds"
        assert (mine["lowest"] < mine["highest"]).all()
    assert search_rates(short, tmp_path, **how, progress=never).equals(found)
