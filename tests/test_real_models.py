"""What the shipped evidence on real models says: right values worked out apart, and words that keep to them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.evidence import REAL_MODELS, bodies_of
from scalinglab.exchange import Charges, atlas
from scalinglab.flops import CONVENTIONS
from scalinglab.report import first_sentence, readme, real_forecast, shipped_evidence

ROOT = Path(__file__).parents[1]
FOLDERS = ("epoch-otis", "openai-gsm8k", "tot-game24")
KEYS = ["small", "small_arm", "large", "large_arm"]
OPENAI = ("6b", "best-of-100, by 6b", "175b", "greedy")
SAMPLES = "best of 100 samples by a perfect verifier, cot"


@pytest.fixture(scope="module")
def found():
    return {one.body.title: one for one in shipped_evidence()}


@pytest.fixture(scope="module")
def openai(found):
    return found["OpenAI's GSM8K verifiers"]


@pytest.fixture(scope="module")
def otis(found):
    return found["OTIS Mock AIME 2024-2025"]


@pytest.fixture(scope="module")
def game(found):
    return found["Tree of thoughts on the game of 24"]


def row(frame, *key):
    (one,) = frame[(frame[KEYS] == list(key)).all(axis=1)].to_dict("records")
    return one


def points(one, gain="gain"):
    return [round(100 * one[name], 2) for name in (gain, "low", "high")]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_source_a_licence_and_counts_alone_stand_beside_the_data(name):
    folder = REAL_MODELS / name
    about = json.loads((folder / "evidence.json").read_text())
    assert about["source"]
    assert about["licence"]
    assert (folder / "SOURCE.md").read_text().startswith("# ")
    licence = (folder / "LICENSE").read_text()
    assert "MIT License" in licence or "CC BY 4.0" in licence
    (table,) = folder.glob("samples.*")
    frame = pd.read_csv(table) if table.suffix == ".csv" else pd.read_parquet(table)
    assert not {"text", "answer", "score"} & set(frame)
    assert table.stat().st_size < 200_000


def test_openais_small_model_with_a_verifier_beats_the_large_one_and_is_affordable_to_these_r(openai):
    free, pays = openai.atlases
    one = row(free.pairs, *OPENAI)
    assert points(one) == pytest.approx([4.32, 1.52, 7.13], abs=0.06)
    assert (one["small_accuracy"], one["large_accuracy"]) == pytest.approx((0.3904, 0.3472), abs=1e-4)
    assert one["affordable"] == "up to"
    assert one["affordable_r"] == pytest.approx(1.193, abs=5e-4)
    assert row(pays.pairs, *OPENAI)["affordable_r"] == pytest.approx(0.495, abs=5e-4)


def test_at_the_papers_r_the_rule_decides(openai):
    free, pays = (one.verdicts[one.verdicts["R"] == 0.79] for one in openai.atlases)
    assert row(free, *OPENAI)["verdict"] == "test-time"
    mixed = row(pays, *OPENAI)
    assert mixed["share"] == pytest.approx(0.68, abs=0.005)
    assert points(mixed, "difference") == pytest.approx([-1.25, -3.7, 1.2], abs=0.06)
    assert mixed["verdict"] == "undecided"
    assert "the rule decides" in openai.claims[1].text


def test_against_its_own_verifier_and_by_reference_steps(openai):
    own = row(openai.atlases[0].pairs, "6b", OPENAI[1], "175b", "best-of-100, by 175b")
    assert points(own)[0] == pytest.approx(100 * (0.3904 - 0.5625), abs=0.03)
    steps = openai.caveats[0]
    for told in ("+10.2 (", "440 problems", "+4.1 (", "364", "-2.4 (", "290", "+1.8 (", "225"):
        assert told in steps


@pytest.mark.parametrize(
    ("small", "gain", "low", "high", "ratio"),
    [("magistral-small-2506", 22.2, 12.9, 32.5, 1.08), ("mistral-small-2503", -1.9, -6.7, 2.1, 0.22),
     ("phi-4", 6.0, -0.1, 12.4, 0.15)],
)  # fmt: skip
def test_thinking_against_size(otis, small, gain, low, high, ratio):
    (atlas,) = otis.atlases
    one = row(atlas.pairs, small, "one sample", "mistral-large-2411", "one sample")
    assert points(one)[0] == pytest.approx(gain, abs=0.05)
    assert points(one)[1:] == pytest.approx([low, high], abs=0.7)  # ours are widened for few problems
    assert one["flops_ratio"] == pytest.approx(ratio, abs=0.005)
    assert one["basis"] == "sunk"


@pytest.mark.parametrize(
    ("small", "low", "high"),
    [("magistral-small-2506", 12.9, 32.5), ("mistral-small-2503", -6.7, 2.1), ("phi-4", -0.1, 12.4)],
)
def test_a_plain_bootstrap_of_the_shipped_counts_gives_the_published_interval(small, low, high):
    counts = pd.read_parquet(REAL_MODELS / "epoch-otis" / "samples.parquet").set_index("problem")
    rates = {name: rows["correct"] / rows["n"] for name, rows in counts.groupby("model")}
    apart = (rates[small] - rates["mistral-large-2411"]).to_numpy()
    drawn = apart[np.random.default_rng(0).integers(0, 45, (20_000, 45))].mean(axis=1)
    assert 100 * np.quantile(drawn, [0.025, 0.975]) == pytest.approx([low, high], abs=0.25)


def test_every_open_pair_stands_in_both_directions_with_a_break_even(otis):
    (atlas,) = otis.atlases
    models = set(atlas.pairs["small"])
    assert models == set(json.loads((REAL_MODELS / "epoch-otis" / "evidence.json").read_text())["specs"])
    assert len(atlas.pairs) == len(models) * (len(models) - 1)
    assert "claude-2.0" in atlas.left_out
    told = atlas.verdicts[atlas.verdicts["R"] == 0.79]
    assert (told["unknown"] != "").all()
    magistral = row(told, "magistral-small-2506", "one sample", "mistral-large-2411", "one sample")
    # at equal D: (123 - 24) / 24 of its pretraining less what 0.08 of the large one's inference takes
    assert magistral["posttraining_share"] == pytest.approx(
        (99 + 0.79 / 3 * (123 * 925 / 5142 - 24)) / 24, rel=1e-3
    )
    assert magistral["flips"]


def test_an_atlas_of_27_open_models_is_quick():
    import time

    (body,) = bodies_of([REAL_MODELS / "epoch-otis"])
    start = time.process_time()
    atlas(body, Charges(CONVENTIONS["paper"]))
    assert time.process_time() - start < 8


def test_search_against_sampling_is_an_upper_bound_and_outside(game):
    free, billed = game.atlases
    tree = ("gpt-4", "tree-of-thoughts", "gpt-4", SAMPLES)
    one = row(free.pairs, *tree)
    assert points(one) == pytest.approx([13, 1, 25], abs=0.8)
    any_ = row(free.pairs, "gpt-4", "tree-of-thoughts, any of five", "gpt-4", SAMPLES)
    assert points(any_) == pytest.approx([20, 8, 32], abs=0.8)
    assert one["flops_ratio"] == pytest.approx(1.19, abs=0.005)
    assert row(billed.pairs, *tree)["flops_ratio"] == pytest.approx(3.17, abs=0.005)
    back = (*tree[2:], *tree[:2])
    assert row(billed.verdicts, *back)["verdict"] == "outside measured budgets"
    assert row(billed.verdicts, *tree)["verdict"] == "outside measured budgets"
    assert one["large_accuracy"] == pytest.approx(0.49)
    assert "outside" in game.claims[0].text
    assert not free.pairs[["small_d", "large_d"]].notna().any(axis=None)


def test_nothing_of_a_nominal_size_is_told_in_flops(game):
    for one in game.atlases:
        assert one.verdicts["posttraining"].isna().all()
        assert (one.verdicts["unknown"] == "").all()


def flat(text):
    return " ".join(text.split())


def test_the_pages_hold_the_sentences_that_the_numbers_make(found, openai):
    page = (ROOT / "results" / "real-models" / "README.md").read_text(encoding="utf-8")
    every = list(found.values())
    told = real_forecast(every)
    assert page == readme(every, told)
    assert page.replace("![Gains", "[Gains").replace("claims.png", "claims.pdf") == readme(
        every, told, formats=["pdf"]
    )
    assert "](claims." not in readme(every, told, formats=["tex"])
    assert openai.claims[0].text == first_sentence()
    assert flat(first_sentence()) in flat((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_forecast_of_a_pair_is_no_better_than_the_nearest_one_and_the_pages_say_so(found):
    errors = pd.read_csv(ROOT / "results" / "real-models" / "forecast.csv")
    told = real_forecast(list(found.values()))
    numbers = errors.select_dtypes("number").columns
    assert told.errors[numbers].to_numpy(float) == pytest.approx(errors[numbers].to_numpy(float), rel=1e-6)
    assert told.unbeaten == ["nearest measured pair (pair left out)"]
    first, *_, near, _ = (f"{value:.1f}" for value in errors.loc[errors["left_out"] == "pair", "rmse"])
    text = flat((ROOT / "docs" / "comparing.md").read_text(encoding="utf-8"))
    assert f"off by {first} points" in text
    assert f"no better than the nearest measured pair ({near})" in text


def test_the_picture_of_the_readme_is_of_real_models():
    assert "](results/real-models/claims.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
