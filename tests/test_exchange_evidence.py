"""Comparisons of recorded evidence: a run's own ledger, problems that are missing, thinking, sunk, real counts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    ALL,
    OPTIMAL,
    OUTSIDE,
    PAPER_R,
    TEST_TIME,
    UNDECIDED,
    compare,
    match_ratio,
    sensitivity,
    views,
)
from scalinglab.flops import CONVENTIONS, training
from scalinglab.flops import total as flops_of
from scalinglab.ledger import price
from scalinglab.samples import Call, Run, RunStore, Solution, Unit, read_run, write_parquet
from scalinglab.specs import find, parse

PRESETS = list(CONVENTIONS.values())
PAPER, SMALL_PAYS, BOTH_PAY = (CONVENTIONS[name] for name in ("paper", "small-pays", "paper-verifier"))
SPECS = {"small": find("Pythia-1B"), "large": find("Pythia-12B"), "judge": find("Pythia-160M")}
LINE = "parallel, coverage"
each_preset = pytest.mark.parametrize("rule", PRESETS, ids=CONVENTIONS)


def line_of(found, name=LINE):
    return found[(found["strategy"] == name) & (found["bin"] == ALL)].reset_index(drop=True)


# A recorded run


def record(path, *, greedy=True):
    """Eight problems: four verified samples of the small model of two lengths, one of the large."""
    judged = {"samples": 4, "verifier": ["judge"]}
    with RunStore(path / "run.sqlite") as store:
        for i in range(8):
            question, calls = 40 + 10 * (i % 4), []
            for j in range(4):
                written = 100 if j % 2 else 160
                calls.append(Call("policy", "small", question, written, question, sample=j, cached_tokens=0))
                calls.append(
                    Call(
                        "verifier",
                        "judge",
                        question + written,
                        0,
                        question,
                        scored_tokens=3,
                        sample=j,
                        cached_tokens=0,
                    )
                )
            right = Solution("", "a", "right", [0.5])
            store.append(Unit("r", "t", f"{i}", "policy", "small", "parallel", judged, 4), calls, [right] * 4)
            calls = [
                Call("large", "large", question, 90, question, cached_tokens=0),
                Call("verifier", "judge", question + 90, 0, question, scored_tokens=3, cached_tokens=0),
            ]
            options = {} if greedy else judged | {"samples": 1}
            unit = Unit("r", "t", f"{i}", "large", "large", "greedy" if greedy else "parallel", options)
            store.append(unit, calls, [right])
    return path


@pytest.fixture(scope="module", params=[True, False], ids=["greedy", "one sample"])
def run(request, tmp_path_factory):
    return open_evidence(record(tmp_path_factory.mktemp("run"), greedy=request.param), specs=SPECS)


def spent(evidence, rule, role, *, judged):
    """FLOPs a query of what was recorded for one side, by the ledger."""
    entries = price(evidence.run, SPECS, convention=rule).entries
    units = evidence.run.units
    keys = units.loc[units["role"] == role, "key"]
    own = entries[entries["unit"].isin(keys) & ((entries["phase"] != "verifier") | judged)]
    return own["flops"].sum() / 8


@each_preset
@pytest.mark.parametrize("line", ["parallel, majority", "parallel, best-of-n by judge"])
def test_a_run_balances_at_the_costs_its_ledger_charged(run, rule, line):
    """A majority pays no verifier; where both sides pay, the large answer is checked as the small ones are."""
    (view,), _ = views(run, [rule], bins=1)
    found = next(one for one in view.lines() if one.label == line)
    judged = "judge" in line
    ours = view.arms.flops[:, found.columns[-1]].mean()
    assert ours == pytest.approx(spent(run, rule, "policy", judged=judged), rel=1e-12)
    theirs = view.answered(found).mean()
    checked = judged and rule.verifier == "both"
    assert theirs == pytest.approx(spent(run, rule, "large", judged=checked), rel=1e-12)
    trained = [flops_of(training(SPECS[name], SPECS[name].training_tokens, convention=rule)) for name in
               ("small", "large")]  # fmt: skip
    rows = line_of(compare(run, rules=[rule], bins=1).verdicts, line)
    for r, row in zip(PAPER_R, rows.to_dict("records"), strict=True):
        queries = r * SPECS["small"].training_tokens / 130
        assert trained[0] + queries * row["flops"] == pytest.approx(trained[1] + queries * theirs, rel=1e-12)


def test_the_large_models_one_answer_is_called_what_it_is(run):
    found = compare(run, rules=[PAPER], bins=1)
    greedy = "greedy" in set(run.run.units["strategy"])
    assert set(found.verdicts["against"]) == {"greedy" if greedy else "one sample"}
    assert f"large: {'its greedy answer' if greedy else 'its one recorded answer'}" in found.notes


def test_the_cast_is_what_was_asked_for_whatever_role_a_model_was_recorded_in(tmp_path):
    """The wrong way round: the small side's training is its own, and more than the large one's lifetime."""
    evidence = open_evidence(record(tmp_path, greedy=False), small="large", large="small", specs=SPECS)
    (view, pays), _ = views(evidence, [PAPER, SMALL_PAYS], bins=1)
    assert view.lifetime.small > view.lifetime.large
    assert {line.role for line in view.lines()} == {"policy"}
    assert view.once.role == "large"
    assert pays.answered(None) == pytest.approx(view.answered(None)), "only the small side pays"
    found = compare(evidence, rules=[PAPER], bins=1).verdicts
    low_r = found[found["R"] == 0.16]
    assert set(low_r["verdict"]) == {"cannot pay"}
    assert (low_r["flops"] < 0).all()


# Problems that are missing, and options for every kind of evidence


def counts_of(small, large, n=16, *, first=0):
    """Counts of two models; the large one's problems begin at number ``first``."""
    rows = [("small", f"p{i:03d}", n, int(c)) for i, c in enumerate(small)]
    rows += [("large", f"p{first + i:03d}", n, int(c)) for i, c in enumerate(large)]
    return pd.DataFrame(rows, columns=["model", "problem", "n", "correct"])


def opened(frame):
    return open_evidence(
        frame, small="small", large="large", specs={"small": parse("1e9@20e9"), "large": parse("14e9@20e9")}
    )


RNG = np.random.default_rng(0)
P = RNG.beta(2, 3, 40)
OURS, THEIRS = RNG.binomial(16, P), RNG.binomial(16, P**0.5)


def test_missing_problems_are_left_out_and_said_and_strict_refuses():
    evidence = opened(counts_of(OURS, THEIRS[5:], first=5))
    found = compare(evidence, rules=[PAPER], bins=1)
    assert set(found.verdicts["problems"]) == {35}
    assert any(
        note.startswith("missing: large / parallel was never asked 5 of 40 problems") and "compared on 35" in note
        for note in found.notes
    )
    alike = compare(opened(counts_of(OURS[5:], THEIRS[5:], first=0)), rules=[PAPER], bins=1)
    columns = ["strategy", "R", "k", "small", "large", "difference", "low", "high", "verdict"]
    pd.testing.assert_frame_equal(found.verdicts[columns], alike.verdicts[columns])
    with pytest.raises(DataError, match="large / parallel lacks 5 of 40 problems"):
        compare(evidence, rules=[PAPER], bins=1, strict=True)


def test_models_of_no_problem_in_common_are_refused():
    with pytest.raises(DataError, match="compare data that share problems"):
        compare(opened(counts_of(OURS, THEIRS, first=40)), rules=[PAPER], bins=1)


def test_a_large_model_of_counts_may_think_too():
    found = compare(opened(counts_of(OURS, THEIRS)), rules=[PAPER], bins=1, thinking=True).verdicts
    once, *budgets = line_of(found)["against"].unique()
    assert once == "pass@1 of 16 samples"
    assert budgets == [f"parallel, coverage at {k}" for k in (1, 2, 4, 8, 16)]
    by = line_of(found).groupby("against", sort=False)[["large", "flops"]].first()
    assert by["large"].is_monotonic_increasing
    assert by.loc[budgets[0], "flops"] == by.loc[once, "flops"] < by.loc[budgets[-1], "flops"]
    assert set(found.loc[found["strategy"] == OPTIMAL, "against"]) == {once, *budgets}


def test_with_sunk_pretraining_of_counts_r_plays_no_part():
    found = compare(opened(counts_of(OURS, THEIRS)), rules=[PAPER], bins=1, sunk=True)
    assert line_of(found.verdicts)["k"].to_numpy() == pytest.approx(14), "what one large query buys"
    assert set(found.breakeven["status"]) == {"none: training costs no less than the large model's"}


def test_prices_of_models_that_are_not_in_the_data_are_refused(tmp_path):
    path = tmp_path / "counts.csv"
    counts_of(OURS, THEIRS).to_csv(path, index=False)
    line = ["exchange", str(path), "--small", "small", "--large", "large", "--spec", "smal=1e9@20e9"]
    refused = CliRunner().invoke(app, line).exception
    assert str(refused).startswith("--spec smal, which is not in the data; expected one of large, small")


def test_a_spec_under_a_verifiers_name_prices_the_model_behind_it(tmp_path):
    """Scores are named judge, and the one model that was called to judge is Skywork-PRM."""
    run = read_run(record(tmp_path))
    called = run.calls["model"].astype(object).replace("judge", "Skywork-PRM")
    write_parquet(Run(run.units, run.calls.assign(model=called), run.solutions), tmp_path / "exported")
    pair = {name: SPECS[name] for name in ("small", "large")}
    by_verifier, by_model = (
        open_evidence(tmp_path / "exported", specs=pair | {name: SPECS["judge"]})
        for name in ("judge", "Skywork-PRM")
    )
    assert by_verifier.verifiers == {"judge": "Skywork-PRM"}
    assert by_verifier.specs == by_model.specs
    assert by_verifier.lacking == ()
    both = pair | {"judge": SPECS["judge"], "Skywork-PRM": find("Pythia-410M")}
    with pytest.raises(DataError, match="two specs of model Skywork-PRM"):
        open_evidence(tmp_path / "exported", specs=both)


def test_a_number_alone_prices_rules_of_2n_and_unprices_others_by_name():
    found = compare(opened(counts_of(OURS, THEIRS)), bins=1)
    assert {"paper", "small-pays", "paper-verifier"} <= {view.arms.convention for view in found.views}
    assert set(found.unpriced) == set(CONVENTIONS) - {view.arms.convention for view in found.views}
    assert set(found.unpriced) >= {"exact", "exact-measured"}


# What the notes say of tokens, judges and problems that are missing


def samples(*, recorded=(), prm=True, **tokens):
    """Eight problems of four answers each, of small with scores, of large without; tokens of some models alone."""
    rows = [
        {"model": model, "problem": f"p{i}", "sample": j, "answer": str(j % 2), "correct": j % 2 == 0,
         "verifier": "prm", "score": 0.5 if model == "small" else np.nan}
        | ({"prompt_tokens": 40, "generated_tokens": 100} if model in recorded else {})
        for model in ("small", "large") for i in range(8) for j in range(4)
    ]  # fmt: skip
    specs = {name: SPECS[name] for name in ("small", "large")} | ({"prm": SPECS["judge"]} if prm else {})
    return open_evidence(pd.DataFrame(rows), small="small", large="large", specs=specs, **tokens)


BOTH = ("small", "large")


@pytest.mark.parametrize(
    ("recorded", "wanted"),
    [
        (BOTH, "as the run recorded them, call by call; costs"),
        (("small",), "call by call, but none of large: a sample is taken to read 256 and write 256; costs"),
        ((), "none recorded; every sample"),
    ],
    ids=["both", "one", "none"],
)
def test_the_models_whose_tokens_are_assumed_are_named(recorded, wanted):
    (note,) = [note for note in compare(samples(recorded=recorded), bins=1).notes if note.startswith("tokens: ")]
    assert wanted in note


def test_tokens_are_given_for_models_that_record_none():
    (note,) = [
        n for n in compare(samples(recorded=("small",), generated=9), bins=1).notes if n.startswith("tokens: ")
    ]
    assert "but none of large: a sample is taken to read 256 and write 9;" in note
    with pytest.raises(DataError, match="a run records its own"):
        samples(recorded=BOTH, generated=9)


@pytest.mark.parametrize(
    ("recorded", "prm", "charge"),
    [((), True, "is taken from tokens"), ((), False, "is not charged"), (BOTH, True, "is not charged"),
     (("large",), True, "is taken from tokens of the answers of small alone")],
)  # fmt: skip
def test_what_judging_without_recorded_calls_takes_is_said_as_it_is_charged(recorded, prm, charge):
    found = compare(samples(recorded=recorded, prm=prm), rules=[SMALL_PAYS], bins=1)
    notes = [note for note in found.notes if "scores by prm" in note]
    assert notes == [f"scores by prm have no recorded calls: what judging took {charge}"]
    assert not any("left out" in note for note in found.notes), "without a price it is not left out"
    (view,) = found.views
    lines = {line.label: view.arms.flops[0, line.columns[-1]] for line in view.lines()}
    assert (lines["parallel, weighted by prm"] > lines["parallel, majority"]) == ("tokens" in charge)


def test_missing_problems_are_told_of_all_that_any_model_was_asked():
    """Small lacks three of sixty, large two others: each is told of the sixty, compared on fifty-five."""
    frame = counts_of([8] * 60, [8] * 60)
    number = frame["problem"].str[1:].astype(int)
    lacks = ((frame["model"] == "small") & (number < 3)) | ((frame["model"] == "large") & (number >= 58))
    found = compare(opened(frame[~lacks]), rules=[PAPER], bins=1)
    told = [note for note in found.notes if note.startswith("missing")]
    assert sorted(told) == [
        "missing: large / parallel was never asked 2 of 60 problems; compared on 55",
        "missing: small / parallel was never asked 3 of 60 problems; compared on 55",
    ]


# Models that a rule of exact shapes cannot price


@pytest.mark.parametrize("form", ["counts", "samples"])
def test_a_model_that_is_not_compared_unprices_no_rule(form):
    frame = counts_of(OURS, THEIRS)
    frame = pd.concat([frame, frame[frame["model"] == "large"].assign(model="third")])
    if form == "samples":
        tokens = {"prompt_tokens": 40, "generated_tokens": 100, "cached_tokens": 0}
        frame = frame.loc[frame.index.repeat(2)].assign(**tokens, correct=lambda rows: rows["correct"] > 8)
        frame = frame.drop(columns="n")
    specs = SPECS | {"third": parse("7e9@2e12")}
    specs = {name: specs[name] for name in ("small", "large", "third")}
    evidence = open_evidence(frame, small="small", large="large", specs=specs)
    found, unpriced = views(evidence, PRESETS, bins=1)
    assert (len(found), unpriced) == (len(PRESETS), {})


def test_a_verifier_of_unknown_shape_unprices_the_rules_that_charge_it_by_its_name(tmp_path):
    """Recorded calls: kaplan charges no verifier; exact rules do, and say which model they cannot price."""
    evidence = open_evidence(record(tmp_path), specs=SPECS | {"judge": parse("16e7@2e12")})
    found, unpriced = views(evidence, PRESETS, bins=1)
    assert "kaplan" in {view.arms.convention for view in found}
    assert set(unpriced) == {"exact", "exact-measured"}
    assert all(why.startswith("judge: only its number of parameters is known") for why in unpriced.values())


# Real counts


@pytest.fixture(scope="module")
def pythia(shared_data):
    def opened(small, large, **specs):
        given = {f"Pythia {size}": parse(what) for size, what in specs.items()}
        path = shared_data("pythia_math") / "counts.csv"
        return open_evidence(path, small=f"Pythia {small}", large=f"Pythia {large}", specs=given)

    return opened


def test_pythia_1b_beats_12b_with_a_perfect_verifier_at_low_r(pythia):
    found = compare(pythia("1B", "12B"), rules=[PAPER, SMALL_PAYS, BOTH_PAY])
    low_r = found.verdicts[(found.verdicts["R"] == 0.16) & (found.verdicts["bin"] == ALL)]
    assert set(low_r["verdict"]) == {TEST_TIME}
    assert set(low_r["problems"]) == {128}
    assert OUTSIDE not in set(found.verdicts["verdict"])
    assert set(found.verdicts["against"]) == {"pass@1 of 10000 samples"}, "sampled answers are not greedy"
    assert any("perfect verifier" in note for note in found.notes)
    assert not sensitivity(found.verdicts)["flips"].any()


def test_training_tokens_of_the_model_that_answered_decide_the_verdict(pythia):
    """A checkpoint of Pythia-1B after 20B tokens against 2.8B after 300B, and the catalogue's 300B for both."""
    true, catalogue = (
        compare(pythia("1B", "2.8B", **{"1B": what}), rules=[PAPER], bins=1)
        for what in ("Pythia-1B@20e9", "Pythia-1B")
    )
    ours, theirs = (line_of(found.verdicts).set_index("R") for found in (true, catalogue))
    assert ours.loc[0.79, "k"] == pytest.approx(155, abs=0.5)
    assert theirs.loc[0.79, "k"] == pytest.approx(9.4, abs=0.05)
    assert ours.loc[22, "verdict"] == TEST_TIME
    assert theirs.loc[22, "verdict"] == UNDECIDED
    assert any(
        note.startswith("training tokens D: Pythia 1B 2e+10") and "they differ" in note for note in true.notes
    )
    assert not any("they differ" in note for note in catalogue.notes)


def test_the_pythia_pair_is_14_times_apart_and_so_are_its_budgets(pythia):
    small, large = find("Pythia-1B"), find("Pythia-12B")
    assert large.non_embedding / small.non_embedding == pytest.approx(14.06, abs=0.005)
    ratio, rows = large.total / small.total, line_of(compare(pythia("1B", "12B"), rules=[PAPER], bins=1).verdicts)
    assert rows["k"].tolist() == pytest.approx([match_ratio(ratio, PAPER).k(r) for r in PAPER_R])


def test_a_small_model_that_was_trained_on_more_is_compared_and_said():
    path = Path(__file__).parents[2] / "shared" / "cases" / "27-small-model-trained-on-more" / "counts.csv"
    if not path.exists():
        pytest.skip(f"a case that is not shipped with the repository is absent: {path}")
    found = compare(open_evidence(path, small="SmolLM2-1.7B", large="Llama-2-7B"), rules=[PAPER], bins=1)
    assert (found.small, found.large) == ("SmolLM2-1.7B", "Llama-2-7B")
    assert any("cost more to pretrain than Llama-2-7B" in note for note in found.notes)
    by_r = line_of(found.verdicts).set_index("R")
    assert by_r.loc[0.16, "verdict"] == "cannot pay"
    assert 0 < by_r.loc[0.79, "k"] < by_r.loc[22, "k"] < 5, "R pays the debt of training off"
    command = ["exchange", str(path), "--small", "SmolLM2-1.7B", "--large", "Llama-2-7B", "--bins", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "swap" not in done.output
