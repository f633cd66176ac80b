"""The models that come with the package do what the table about them says, also on fresh problems."""

import json
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import AutoTokenizer

from scalinglab.curves import accuracy, interval
from scalinglab.optimal import difficulty_bins, halves
from scalinglab.specs import from_config
from scalinglab.tasks import problems
from scalinglab.testbed import SCALES, load_model, score, shipped
from scalinglab.testbed import criteria as rules
from scalinglab.testbed.reviser import revise

measuring = import_module("scalinglab.testbed.measure")  # the package's name `measure` is its function
ROOT = Path(__file__).parents[1]
MODELS = ("small", "large", "prm", "orm", "reviser")
FRESH = 11
TABLE = json.loads((ROOT / "results" / "testbed" / "criteria.json").read_text())["criteria"]


@pytest.fixture(scope="module")
def fresh():
    """Test problems that nobody has looked at, and what the small policy writes on them."""
    drawn = tuple(islice(problems("test", SCALES["base"].levels, seed=FRESH), 200))
    small = load_model(shipped("base") / "small")
    return drawn, small, measuring._answers(small, drawn, samples=measuring.SAMPLES, seed=FRESH)


@pytest.fixture(scope="module")
def pair(fresh):
    """The pair's criteria on them, by name."""
    drawn, small, texts = fresh
    large = load_model(shipped("base") / "large")
    greedy = [measuring._right(drawn, measuring._answers(m, drawn, temperature=0))[:, 0] for m in (small, large)]
    pool = measuring._pool(drawn, texts, [[[0.0]] * measuring.SAMPLES] * len(drawn))
    found = SimpleNamespace(prm=pool, small=greedy[0], large=greedy[1])
    first, scored = halves(pool, seed=FRESH)
    labels = difficulty_bins(first.correct / first.n, rules.BINS)
    judged = (
        *rules._accuracy(found, FRESH), *rules._bins(scored, labels), *rules._coverage(scored, labels, found.large)
    )  # fmt: skip
    return {criterion.name: criterion for criterion in judged}


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_tokenizer_gives_back_the_text_it_was_given(name):
    tokenizer = AutoTokenizer.from_pretrained(shipped("base") / name)
    text = "<bos>43+58*7?43+58=91;<good>12<answer>"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_shipped_base_meets_every_criterion_of_its_table():
    assert len(TABLE) == 14
    assert all(row["pass"] for row in TABLE)
    manifest = json.loads((ROOT / "results" / "testbed" / "manifest.json").read_text())
    assert manifest["seed"] != FRESH


def test_the_shipped_pair_meets_its_criteria_on_a_fresh_seed(pair):
    assert set(pair) < {row["name"] for row in TABLE}
    assert len(pair) == 8
    assert [criterion for criterion in pair.values() if not criterion.passed] == []


@pytest.mark.parametrize("name", ["prm", "orm"])
def test_the_shipped_verifiers_judge_fresh_problems_as_well_as_their_table_says(fresh, name):
    drawn, _, texts = fresh
    few, written = drawn[:100], [ts[:32] for ts in texts[:100]]
    scores = score(load_model(shipped("base") / name), [p.question for p in few], written)
    pool = measuring._pool(few, written, scores)
    votes, majority = (accuracy(pool, how, [rules.VOTES], seed=FRESH)[0][:, 0] for how in ("weighted", "majority"))
    low, _ = interval(votes - majority, seed=FRESH)
    assert low > 0.05
    assert votes.mean() < accuracy(pool, "coverage", [rules.VOTES])[0].mean()
    if name == "prm":
        hits = [
            np.mean((np.array([s for steps in given for s in steps]) > 0.5) == measuring._checked(problem, ts))
            for problem, given, ts in zip(few, scores, written, strict=True)
            if any(given)
        ]
        told = next(row["value"] for row in TABLE if row["name"] == "PRM step accuracy")
        assert np.mean(hits) == pytest.approx(float(told.split(";")[0]), abs=0.08)


def test_the_shipped_reviser_revises_fresh_problems_for_the_better(fresh):
    few = fresh[0][:100]
    chains = revise(load_model(shipped("base") / "reviser"), few, chains=4, length=3, seed=FRESH)
    right = np.array([measuring._right([p] * 4, cs) for p, cs in zip(few, chains, strict=True)]).mean(axis=1)
    low, _ = interval(right[:, 2] - right[:, 0], seed=FRESH)
    assert low > 0
    assert right[:, 2].mean() > 0.7


def test_the_shipped_models_are_small_and_whole():
    files = [path for path in shipped("base").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30e6
    assert {path.parent.name for path in files} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_is_what_its_manifest_says(name):
    manifest = json.loads((shipped("base") / name / "manifest.json").read_text())
    spec = from_config(shipped("base") / name)
    weights = load_model(shipped("base") / name)
    assert manifest["scale"] == "base"
    assert manifest["non_embedding"] == spec.non_embedding
    assert manifest["parameters"] == spec.total == sum(p.numel() for p in weights.parameters())
    assert manifest["flops"]["paper"] == 6 * spec.total * manifest["tokens"]


def test_the_pair_saw_the_same_tokens():
    small, large = (json.loads((shipped("base") / n / "manifest.json").read_text()) for n in ("small", "large"))
    assert small["tokens"] == large["tokens"]
    assert small["steps"] == large["steps"]
