"""The models that come with the package are what their manifests and tables say, on fresh problems too."""

import csv
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from scalinglab.specs import from_config
from scalinglab.testbed import SCALES, helper_costs, judge, load_model, measure, shipped

ROOT = Path(__file__).parents[1]
BASE = SCALES["base"]
HELPERS = ("prm", "orm", "reviser")
MODELS = ("small", "large", *HELPERS)
FRESH = 11
RESULTS = ROOT / "results" / "testbed"


def manifest_of(name):
    return json.loads((shipped("base") / name / "manifest.json").read_text())


@pytest.fixture(scope="module")
def fresh():
    """All models on test problems that nobody has looked at."""
    return measure(BASE, shipped("base"), count=150, seed=FRESH)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_tokenizer_gives_back_the_text_it_was_given(name):
    tokenizer = AutoTokenizer.from_pretrained(shipped("base") / name)
    text = "<bos>43ba+07?ba58;+0701.<good>12<answer>"
    tokens = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(tokens) == text
    assert len(tokens) == 16


def test_the_shipped_base_meets_every_criterion_of_its_table_and_on_a_fresh_seed(fresh):
    table = json.loads((RESULTS / "criteria.json").read_text())["criteria"]
    judged = judge(fresh, seed=FRESH)
    assert [row["name"] for row in table] == [criterion.name for criterion in judged]
    assert [row for row in table if not row["pass"]] == []
    assert [criterion for criterion in judged if not criterion.passed] == []
    assert json.loads((RESULTS / "manifest.json").read_text())["seed"] != FRESH


@pytest.mark.parametrize("name", ["prm", "orm"])
def test_the_shipped_verifiers_say_more_of_an_answer_than_a_coin(fresh, name):
    """Over all problems; how well it tells answers to the same problem apart is a result, and a poor one."""
    graded = getattr(fresh, name).graded
    assert graded.scores[graded.right].mean() > 2 * graded.scores[~graded.right].mean()


def test_the_shipped_reviser_answers_fresh_problems_as_well_as_its_table_says(fresh):
    with (RESULTS / "revisions.csv").open() as rows:
        told = [float(row["pass@1"]) for row in csv.DictReader(rows)]
    assert fresh.chains.mean(axis=(0, 1)) == pytest.approx(told, abs=0.1)


def test_the_shipped_models_are_small_and_whole():
    files = [path for path in shipped("base").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30e6
    assert {path.parent.name for path in files} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_is_what_its_manifest_says(name):
    manifest = manifest_of(name)
    spec = from_config(shipped("base") / name)
    weights = load_model(shipped("base") / name)
    assert manifest["scale"] == "base"
    assert manifest["non_embedding"] == spec.non_embedding
    assert manifest["parameters"] == spec.total == sum(p.numel() for p in weights.parameters())
    assert manifest["flops"]["paper"] == 6 * spec.total * manifest["tokens"]


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_has_the_shape_and_the_tokens_of_its_scale(name):
    shape = BASE.large if name == "large" else BASE.small
    recipe = getattr(BASE, name) if name in HELPERS else BASE.policy
    config = json.loads((shipped("base") / name / "config.json").read_text())
    assert (config["hidden_size"], config["intermediate_size"]) == (shape.hidden, shape.intermediate)
    assert (config["num_hidden_layers"], config["num_attention_heads"]) == (shape.layers, shape.heads)
    tokens = manifest_of(name)["tokens"]
    assert recipe.tokens <= tokens <= 1.02 * recipe.tokens, "the last step may end somewhat later"


def test_the_two_policies_are_13_to_13_9_times_apart_and_saw_the_same_tokens():
    small, large = (manifest_of(name) for name in ("small", "large"))
    assert 13.0 <= large["parameters"] / small["parameters"] <= 13.9
    assert (small["tokens"], small["steps"]) == (large["tokens"], large["steps"])


@pytest.mark.parametrize("name", HELPERS)
def test_a_shipped_helper_and_its_data_are_small_change(name):
    assert helper_costs(shipped("base"))[name] <= 0.05
    manifest = manifest_of(name)
    assert manifest["data_flops"]["exact"] > 0
    assert manifest["data"] not in {manifest_of(other)["data"] for other in MODELS if other != name}, (
        "each pays data of its own"
    )
