"""Every pair of a body of evidence: planted truths, verdicts as of ``compare``, the unknown, folders, a verb."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from commands import FIRST

from scalinglab.curves import DRAWS
from scalinglab.errors import DataError
from scalinglab.evidence import REAL_MODELS, Body, bodies_of, open_evidence
from scalinglab.exchange import Charges, atlas, compare
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

SPECS = {"small": parse("1e9@1e11"), "large": parse("10e9@1e11"), "thinker": parse("1e9")}
PAPER = CONVENTIONS["paper"]
KEYS = ["small", "small_arm", "large", "large_arm"]
SEARCH = ("small", "search", "large", "one sample")


def planted(problems=60):
    """A small model right on every fourth problem and by search on all but every fourth, at 40 times the tokens; a
    large one right on half, and a thinker of unknown D on three of four at eight times the tokens."""
    rows = []
    for i in range(problems):
        told = {"problem": f"p{i:03}", "task": "planted"}
        arms = (
            ("small", "parallel", i % 4 == 0, 100), ("small", "search", i % 4 != 0, 4000),
            ("large", "parallel", i % 2 == 0, 100), ("thinker", "parallel", i % 4 != 1, 800),
            ("nobody", "parallel", True, 100),
        )  # fmt: skip
        rows += [
            told | {"model": model, "strategy": strategy, "correct": right, "generated_tokens": n}
            for model, strategy, right, n in arms
        ]
    return pd.DataFrame(rows)


def body(frame=None, specs=SPECS, **told):
    frame = planted() if frame is None else frame
    return Body(open_evidence(frame, specs={m: s for m, s in specs.items() if m in set(frame["model"])}), **told)


def row(frame, key):
    (found,) = frame[(frame[KEYS] == list(key)).all(axis=1)].to_dict("records")
    return found


@pytest.fixture(scope="module")
def found():
    return atlas(body(), Charges(PAPER, r=[0.5], queries=[1e9]))


def test_a_pair_has_its_gain_its_costs_and_the_r_up_to_which_it_is_affordable(found):
    pair = row(found.pairs, SEARCH)
    assert pair["gain"] == pytest.approx(0.25)
    assert pair["low"] < 0.25 < pair["high"]
    assert (pair["n_ratio"], pair["flops_ratio"]) == (10, pytest.approx(4))
    # C_L - C_s = 6 x 9e9 x 1e11; Q = R x 1e11 / 2050 tokens of a sample; 2 x 1e9 x (4000 - 1000) more a query
    written = open_evidence(planted(), small="small", large="large", specs=SPECS).written()
    assert pair["affordable"] == "up to"
    assert pair["affordable_r"] == pytest.approx(6 * 9e20 / (1e11 / written * 6e12))


def test_both_directions_and_every_arm_are_there_and_models_without_a_spec_are_named(found):
    names = set(found.pairs[KEYS].itertuples(index=False, name=None))
    assert SEARCH in names
    assert (*SEARCH[2:], *SEARCH[:2]) in names
    assert len(names) == len(found.pairs) == 4 * 3  # small twice, large, thinker
    assert list(found.left_out) == ["nobody"]
    assert "no spec" in found.left_out["nobody"]


def test_the_two_directions_of_a_pair_are_one_comparison(found):
    there, back = row(found.pairs, SEARCH), row(found.pairs, (*SEARCH[2:], *SEARCH[:2]))
    assert back["gain"] == -there["gain"]
    assert back["flops_ratio"] == pytest.approx(1 / there["flops_ratio"])
    assert [-back["high"], -back["low"]] == pytest.approx([there["low"], there["high"]], abs=0.02)


@pytest.mark.parametrize("rule", ["paper", "paper-verifier", "small-pays"])
def test_a_verdict_is_what_compare_says_of_the_same_line(rule):
    rule, r = CONVENTIONS[rule], [0.16, 0.45, 0.79, 1.15, 1.3, 22]
    specs = {"6b": parse("6e9@300e9"), "175b": parse("175e9@300e9")}
    source = REAL_MODELS / "openai-gsm8k" / "samples.csv"
    evidence = open_evidence(source, small="6b", large="175b", specs=specs)
    said = compare(evidence, rules=[rule], r=r, bins=1).verdicts
    said = said[said["strategy"] == "best-of-100, recorded by 6b"].set_index("R")
    ours = atlas(Body(open_evidence(source, specs=specs)), Charges(rule, r=r), draws=DRAWS).verdicts
    key = ["6b", "best-of-100, by 6b", "175b", "greedy"]
    ours = ours[(ours[KEYS] == key).all(axis=1)].set_index("R")
    whole = ours.index[ours["share"] == 1]
    assert 2 <= len(whole) < len(r)
    assert (ours.loc[whole, "verdict"] == said.loc[whole, "verdict"]).all()
    numbers = ["difference", "low", "high"]
    assert ours.loc[whole, numbers].to_numpy() == pytest.approx(said.loc[whole, numbers].to_numpy(), nan_ok=True)
    assert (said.loc[ours.index.difference(whole), "verdict"] == "outside measured budgets").all()


def test_sunk_and_under_counts_it_says_what_compare_says():
    frame = planted()
    found = atlas(body(frame), Charges(PAPER, sunk=True)).verdicts
    evidence = open_evidence(frame, small="small", large="large", specs=SPECS)
    said = compare(evidence, rules=[PAPER], bins=1, sunk=True).verdicts
    (verdict,) = said.loc[said["strategy"] == "search, recorded", "verdict"].unique()
    ours = found[(found[KEYS] == list(SEARCH)).all(axis=1)]
    assert verdict == "outside measured budgets"  # a budget below it was not run: between there is a mixture
    assert (ours["share"] < 1).all()
    assert (ours["basis"] == "sunk").all()


def test_charging_the_break_even_in_post_training_flips_the_verdict(found):
    at = found.verdicts[found.verdicts["R"] == 0.5]
    told = row(at, SEARCH)
    assert (told["verdict"], told["flips"]) == ("test-time", True)
    for factor, verdict in ((0.99, "test-time"), (1.2, "undecided")):
        charged = Charges(PAPER, r=[0.5], posttraining={"small": told["posttraining"] * factor})
        now = row(atlas(body(), charged).verdicts, SEARCH)
        assert (now["share"] == 1) == (factor < 1)
        assert now["verdict"] == verdict
        assert np.sign(now["posttraining"]) == (1 if factor < 1 else -1)


def test_the_d_of_the_break_even_parts_what_is_affordable(found):
    key = ("thinker", "one sample", "small", "one sample")
    told = row(found.verdicts[found.verdicts["queries"] == 1e9], ("thinker", "one sample", "large", "one sample"))
    assert told["basis"] == "sunk"
    assert told["d_of"] == "small"
    assert told["unknown"].startswith("cheaper where D of small is below")
    for factor, whole in ((0.99, True), (1.01, False)):
        specs = SPECS | {"thinker": parse(f"1e9@{int(told['d'] * factor)}")}
        now = atlas(body(specs=specs), Charges(PAPER, r=[0.5], queries=[1e9])).verdicts
        margin = row(now[now["queries"] == 1e9], ("thinker", "one sample", "large", "one sample"))["posttraining"]
        assert (margin >= 0) == whole
    assert row(found.verdicts[found.verdicts["R"] == 0.5], key)["unknown"]


def test_a_perfect_verifier_counts_only_where_one_is_told_of():
    counts = pd.DataFrame(
        [{"model": m, "problem": f"p{i}", "n": 8, "correct": i % 3} for m in ("small", "large") for i in range(20)]
    )
    plain = atlas(body(counts), Charges(PAPER))
    told = atlas(body(counts, perfect=True), Charges(PAPER))
    assert set(plain.pairs["small_arm"]) == {"one sample"}
    assert set(told.pairs["small_arm"]) == {"one sample", "best of 8 samples by a perfect verifier"}
    rates = counts.assign(mean_generated_tokens=256)
    again = atlas(body(rates), Charges(PAPER))
    columns = ["gain", "low", "high", "flops_ratio"]
    assert again.pairs[columns].to_numpy(float) == pytest.approx(plain.pairs[columns].to_numpy(float))


def test_a_nominal_size_meets_no_other_model():
    named = atlas(body(nominal=("small",)), Charges(PAPER)).pairs
    assert not ((named["small"] == "small") ^ (named["large"] == "small")).any()
    assert named.loc[named["small"] == "small", "small_d"].isna().all()


def test_pairs_are_over_the_problems_that_both_were_asked():
    frame = planted()
    part = frame[~((frame["model"] == "thinker") & (frame["problem"] > "p029"))]
    pairs = atlas(body(part), Charges(PAPER)).pairs
    touched = (pairs["small"] == "thinker") | (pairs["large"] == "thinker")
    assert set(pairs.loc[touched, "problems"]) == {30}
    assert set(pairs.loc[~touched, "problems"]) == {60}


@pytest.fixture
def folder(tmp_path):
    """A table a model, of one task."""
    frame = planted()
    for name in ("small", "large"):
        frame[frame["model"] == name].to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_a_folder_of_tables_of_one_task_is_one_body(folder):
    (one,) = bodies_of([folder], specs={"small": SPECS["small"], "large": SPECS["large"]})
    assert one.evidence.models() == ["large", "small"]
    with pytest.raises(DataError, match="--spec other"):
        bodies_of([folder], specs={"other": SPECS["small"]})


def test_the_verb_prints_writes_and_refuses(folder, tmp_path, scalinglab):
    line = f"atlas {folder} --spec small=1e9@1e11 --spec large=10e9@1e11 --r 0.5"
    document = json.loads(scalinglab(f"{line} --json").out.splitlines()[-1])
    (one,) = document["atlases"]
    assert {"task", "convention", "pairs", "verdicts", "left_out", "notes"} == set(one)
    assert "search" in scalinglab(line).out
    done = scalinglab(f"{line} --out {tmp_path / 'out'}")
    assert {"planted_pairs.csv", "planted_pairs.png", "planted_verdicts.csv", "report.html"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert "planted_pairs.csv" in done.out
    for bad, why in (
        ("atlas", "no evidence"), (f"{line} --posttraining who=1e20", "MODEL=FLOPS"),
        (f"{line} --posttraining small=-1", "0 or more"), (f"{line} --queries 0", "above 0"),
        (f"atlas {folder}", "no pair of priced models"),
    ):  # fmt: skip
        failed = scalinglab(bad)
        assert failed.code == 1
        assert why in failed.err


def test_what_cannot_pay_for_one_answer_cannot_in_compare_either():
    (otis,) = bodies_of([REAL_MODELS / "epoch-otis"])
    pair = "magistral-small-2506", "mistral-large-2411"
    kept = replace(otis.evidence, small=pair[0], large=pair[1])
    said = compare(kept, rules=[PAPER], bins=1, sunk=True).verdicts
    ours = atlas(otis, Charges(PAPER, sunk=True)).verdicts
    one = ours[(ours["small"] == pair[0]) & (ours["large"] == pair[1])]
    assert set(said["verdict"]) == set(one["verdict"]) == {"cannot pay"}


def test_a_run_of_a_study_is_evidence_and_its_reviser_is_left_out():
    (one,) = bodies_of([FIRST])
    found = atlas(one, Charges(PAPER))
    assert "revises" in found.left_out["reviser"]
    assert {"one sample", "greedy", "beam_search at 16, width=4, weighted by prm"} <= set(found.pairs["small_arm"])
