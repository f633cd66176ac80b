"""Notes under a comparison: chosen by what they are about, and said where fewer resamples stand behind it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.evidence import open_evidence
from scalinglab.exchange import choose, compare
from scalinglab.exchange.notes import fewer_draws
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

PAPER = CONVENTIONS["paper"]


def counts(problems):
    rng = np.random.default_rng(0)
    ease = rng.beta(1, 2, problems)
    parts = [
        pd.DataFrame({
            "model": model, "problem": [f"p{i}" for i in range(problems)], "n": 8, "correct": rng.binomial(8, p)
        })
        for model, p in (("s", ease), ("l", ease**0.5))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def opened(frame, small="1e9@20e9"):
    return open_evidence(frame, small="s", large="l", specs={"s": parse(small), "l": parse("4e9@20e9")})


def test_advice_rests_on_every_note_about_the_evidence_however_it_begins(tmp_path):
    """One that begins with a model's name was lost where notes were told apart by how they begin."""
    path = tmp_path / "counts.csv"
    counts(20).to_csv(path, index=False)
    line = ["advise", path, "--small", "s", "--large", "l", "--spec", "s=1e9@900e9", "--spec", "l=4e9@20e9"]
    line = [*map(str, line), "--queries", "1e5", "--target", "0.3", "--json"]
    notes = json.loads(CliRunner().invoke(app, line).stdout)["notes"]
    assert any(note.endswith("cost more to pretrain than l") for note in notes)
    assert not any(note.startswith(("large:", "R:", "single lines")) for note in notes)


def test_a_reviser_follows_the_small_model_and_the_output_says_so(tmp_path):
    """Its base is recorded nowhere: with the models the other way round it is taken to be the other one's."""
    folder = record(tmp_path / "run", problems=8, samples=4)
    for small, large in (("small", "large"), ("large", "small")):
        notes = compare(open_evidence(folder, small=small, large=large), rules=[PAPER], bins=1).notes
        assert any(note.startswith(f"reviser: taken to revise for {small}, ") for note in notes)
    assert not any("taken to revise" in note for note in compare(opened(counts(30)), rules=[PAPER], bins=1).notes)


def test_more_than_2000_problems_have_fewer_resamples_and_the_output_says_so():
    evidence = opened(counts(2500))
    found = compare(evidence, rules=[PAPER], bins=1)
    said = "so many problems (2500): compute-optimal intervals rest on 800 resamples, not 1000"
    assert said in found.notes
    assert found.views[0].menus[0].optimal[0].chosen.draws.shape[1] == 800
    chosen = choose(evidence, rule=PAPER, bins=1, unit="flops", view=found.views[0])
    assert said in chosen.notes
    assert not any("so many problems" in note for note in compare(opened(counts(30)), bins=1).notes)


@pytest.mark.parametrize(
    ("problems", "draws", "splits", "said"),
    [
        (9000, 222, 4, "222 resamples of 8192 random groups of problems, not 1000"),
        (
            50000,
            200,
            2,
            "200 resamples of 8192 random groups of problems, not 1000; bins are set on 2 splits, not 4",
        ),
        (50000, 200, 1, "200 resamples of 8192 random groups of problems, not 1000"),  # one bin, or kept samples
    ],
)
def test_so_are_groups_of_problems_and_splits(problems, draws, splits, said):
    one = SimpleNamespace(problems=range(problems), chosen=SimpleNamespace(draws=np.empty((2, draws, 1, 1))))
    (note,) = fewer_draws([one] * splits)
    assert note.endswith(said)
