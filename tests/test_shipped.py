"""The models that come with the package do what the table about them says, also on fresh problems."""

import csv
import json
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

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


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_tokenizer_gives_back_the_text_it_was_given(name):
    tokenizer = AutoTokenizer.from_pretrained(shipped("base") / name)
    text = "<bos>43+58*7?43+58=91;<good>12<answer>"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_shipped_base_meets_every_criterion_of_its_table():
    assert len(TABLE) == 6
    assert all(row["pass"] for row in TABLE)
    manifest = json.loads((ROOT / "results" / "testbed" / "manifest.json").read_text())
    assert manifest["seed"] != FRESH


def test_the_shipped_small_policy_meets_its_criteria_on_a_fresh_seed(fresh):
    drawn, _, texts = fresh
    pool = measuring._pool(drawn, texts, [[[0.0]] * measuring.SAMPLES] * len(drawn))
    assert 0.15 <= (pool.correct / pool.n).mean() <= 0.5
    first, scored = halves(pool, seed=FRESH)
    judged = rules._bins(scored, difficulty_bins(first.correct / first.n, rules.BINS))
    assert {criterion.name for criterion in judged} < {row["name"] for row in TABLE}
    assert [criterion for criterion in judged if not criterion.passed] == []


@pytest.mark.parametrize("name", ["prm", "orm"])
def test_the_shipped_verifiers_tell_right_from_wrong_on_fresh_problems(fresh, name):
    drawn, _, texts = fresh
    few, written = drawn[:100], [ts[:32] for ts in texts[:100]]
    scores = score(load_model(shipped("base") / name), [p.question for p in few], written)
    graded = measuring._pool(few, written, scores).graded
    told = [
        np.greater.outer(s[right], s[~right]).mean()
        for s, right in zip(graded.scores, graded.right, strict=True)
        if right.any() and not right.all()
    ]
    assert np.mean(told) > 0.8, "how often a right answer is scored above a wrong one to the same problem"
    if name == "prm":
        hits = [
            np.mean((np.array([s for steps in given for s in steps]) > 0.5) == measuring._checked(problem, ts))
            for problem, given, ts in zip(few, scores, written, strict=True)
            if any(given)
        ]
        table = next(row["value"] for row in TABLE if row["name"] == "PRM step accuracy")
        assert np.mean(hits) == pytest.approx(float(table.split(";")[0]), abs=0.08)


def test_the_shipped_reviser_answers_fresh_problems_as_well_as_its_table_says(fresh):
    few = fresh[0][:100]
    chains = revise(load_model(shipped("base") / "reviser"), few, chains=4, length=3, seed=FRESH)
    right = np.array([measuring._right([p] * 4, cs) for p, cs in zip(few, chains, strict=True)]).mean(axis=(0, 1))
    with (ROOT / "results" / "testbed" / "revisions.csv").open() as rows:
        told = [float(row["pass@1"]) for row in csv.DictReader(rows)][:3]
    assert right == pytest.approx(told, abs=0.1)


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
