"""Verdicts in words: every number in a sentence is the frame's, and what cannot be said is said to be so."""

import re
from dataclasses import replace

import numpy as np
import pytest
from planted import LIFE, planted
from simulated import record

from scalinglab.evidence import REAL_MODELS, bodies_of, open_evidence
from scalinglab.exchange import (
    Charges,
    Comparison,
    Lifetime,
    atlas,
    atlas_sentences,
    breakeven,
    breakeven_clause,
    choose,
    optimal_sentences,
    over_tasks,
    pair_sentences,
    seed_sentences,
    sentences,
    task_sentences,
    uncharged,
    verdicts,
)
from scalinglab.exchange.clauses import points
from scalinglab.flops import CONVENTIONS

RISING = [0.3, 0.6, 0.8, 0.9]
DEARER = Lifetime(CONVENTIONS["paper"], 1100.0, 150.0, 10.0)
NUMBER = r"[+-]?\d+(?:\.\d+)?"
WHOLE = rf"(?:beats|loses to) \S+ by (?:at least )?({NUMBER}) points \(95 % ({NUMBER}) to ({NUMBER})\)"
UNDECIDED = rf"is undecided: ({NUMBER}) points \(95 % ({NUMBER}) to ({NUMBER})\)"


def compared(accuracy, large, r, *, others=(), unpriced=None, task="sums", **options):
    views = [planted(accuracy, large, **options), *others]
    names = {"small": "Qwen2.5-0.5B", "large": "Qwen2.5-7B"}
    frame = verdicts(views, r)
    return Comparison("small", "large", frame, breakeven(views), unpriced or {}, (), tuple(views), task, names)


def head(found, r, convention="paper", group="all"):
    rows = found.verdicts
    here = (rows["strategy"] == "compute-optimal") & (rows["R"] == r) & (rows["bin"] == group)
    return rows[here & (rows["convention"] == convention)].iloc[0]


def shown(row):
    return [float(points(row[name])) for name in ("difference", "low", "high")]


def coin(mean, problems=100, seed=0):
    return np.random.default_rng(seed).binomial(1, mean, problems).astype(float)


def test_a_win_is_said_with_the_numbers_of_the_headline_row():
    found = compared(RISING, 0.5, [2.0])
    said = sentences(found, "paper")
    assert 1 <= len(said) <= 3
    assert said[0].startswith(
        "At R = 2 on sums (100 problems), Qwen2.5-0.5B with test-time compute beats Qwen2.5-7B"
    )
    assert list(map(float, re.search(WHOLE, said[0]).groups())) == shown(head(found, 2.0))
    assert "small" not in " ".join(said)


def test_a_loss_is_said_from_the_small_side_with_its_ends_turned():
    found = compared(RISING, 0.95, [22.0])
    by, low, high = map(float, re.search(WHOLE, sentences(found, "paper")[0]).groups())
    assert [-by, -high, -low] == shown(head(found, 22.0))
    assert "loses to" in sentences(found, "paper")[0]


def test_a_lower_bound_that_wins_is_at_least_that_much():
    found = compared(RISING, 0.5, [0.1])
    assert head(found, 0.1)["status"] == "lower bound"
    assert "by at least 40.0 points" in sentences(found, "paper")[0]


def test_what_is_undecided_is_said_so_with_both_ends():
    found = compared(np.column_stack([coin(0.5, seed=s) for s in range(4)]), coin(0.5, seed=9), [5.0])
    row = head(found, 5.0)
    assert row["verdict"] == "undecided"
    assert list(map(float, re.search(UNDECIDED, sentences(found, "paper")[0]).groups())) == shown(row)


def test_too_few_problems_have_no_interval():
    found = compared(RISING, 0.5, [2.0], problems=4)
    assert "no interval: too few problems" in sentences(found, "paper")[0]


@pytest.mark.parametrize(
    ("large", "r", "options", "said"),
    [
        (0.5, 1.0, {"life": DEARER}, "cannot pay: its training, or its cheapest answer"),
        (0.95, 0.1, {}, "is outside what was measured"),
    ],
    ids=["cannot pay", "outside"],
)
def test_without_numbers_the_reason_is_said(large, r, options, said):
    first = sentences(compared(RISING, large, [r], **options), "paper")[0]
    assert said in first
    assert not re.search(WHOLE, first)


def test_the_other_r_follow_with_their_numbers_and_the_middle_one_is_first():
    found = compared(RISING, 0.7, [2.0, 5.0, 22.0, 90.0][1:])
    first, second, *_ = sentences(found, "paper")
    assert first.startswith("At R = 22 ")
    listed = re.findall(rf"[Aa]t R = (\S+): ({NUMBER}) \(({NUMBER}) to ({NUMBER})\), (\S+?)[;.]", second)
    assert [float(r) for r, *_ in listed] == [5.0, 90.0]
    for r, *numbers, verdict in listed:
        row = head(found, float(r))
        assert [list(map(float, numbers)), verdict] == [shown(row), row["verdict"]]


def test_of_many_r_only_the_verdicts_are_named():
    found = compared(RISING, 0.7, [2.0, 4.0, 6.0, 10.0, 40.0, 60.0, 90.0])
    second = sentences(found, "paper")[1]
    assert "test-time at R = 2 to 6; " in second.replace("Test", "test")
    assert "pretraining at R = 40 to 90" in second


def test_where_the_middle_r_was_not_measured_the_nearest_that_was_is_first():
    found = compared(RISING, 0.85, [0.1, 0.2, 9.0])
    assert head(found, 0.2)["verdict"] == "test-time"  # a bound that wins
    assert sentences(found, "paper")[0].startswith("At R = 0.2 ")
    found = compared(RISING, 0.95, [0.1, 0.2, 9.0])
    assert head(found, 0.2)["verdict"].startswith("outside")
    assert sentences(found, "paper")[0].startswith("At R = 9 ")
    assert sentences(found, "paper", r=0.1)[0].startswith("At R = 0.1 ")
    with pytest.raises(ValueError, match="R = 7 was not compared"):
        sentences(found, "paper", r=7.0)


def test_other_rules_are_named_where_they_differ_and_where_they_agree():
    pays = planted(RISING, 0.7, flops=(8, 32, 128, 512), life=replace(LIFE, convention=CONVENTIONS["small-pays"]))
    alike = planted(RISING, 0.7, life=replace(LIFE, convention=CONVENTIONS["kaplan"]))
    found = compared(
        RISING, 0.7, [4.0], others=[pays, alike], unpriced={"exact": "no shape", "exact-measured": "x"}
    )
    said = sentences(found, "paper")[-1]
    row = head(found, 4.0, "small-pays")
    assert (head(found, 4.0)["verdict"], row["verdict"]) == ("test-time", "pretraining")
    told = re.search(rf"under small-pays ({NUMBER}) \(({NUMBER}) to ({NUMBER})\), pretraining", said).groups()
    assert list(map(float, told)) == shown(row)
    assert "kaplan agrees" in said
    assert "exact and exact-measured cannot price these data" in said


def test_bins_that_decide_otherwise_are_named():
    easy = np.repeat([[0.9, 0.95, 1.0, 1.0], [0.0, 0.0, 0.0, 0.05]], 50, axis=0)
    labels = np.repeat([1, 2], 50)
    found = compared(easy, np.repeat([0.3, 0.9], 50), [22.0], labels=labels)
    assert head(found, 22.0)["verdict"] != "test-time"
    said = " ".join(sentences(found, "paper"))
    assert "by difficulty (1 is easiest) at R = 22: test-time in bin 1, pretraining in bin 2" in said.replace(
        "By", "by"
    )
    assert "estimating difficulty" in sentences(found, "paper")[0]


def test_break_evens_are_said_as_they_stand():
    found = compared(RISING, 0.7, [22.0])
    row = found.breakeven[found.breakeven["strategy"] == "compute-optimal"].iloc[0]
    assert row["status"] == "crossed"
    at = float(re.search(rf"break-even at R = ({NUMBER})", breakeven_clause(row))[1])
    assert at == pytest.approx(row["R"], rel=5e-3)
    missing = float("nan")
    plain = {"R": missing, "low": missing, "high": missing, "measured_from": 0.5, "measured_to": missing}
    told = {status: breakeven_clause(plain | {"status": status}) for status in (
        "crossed back: ahead at some measured R, behind at a lower one",
        "not crossed: pretraining at every measured R",
        "undecided",
        "none: training costs no less than the large model's",
        "outside measured budgets",
    )}  # fmt: skip
    assert [text.split(":")[0].split("(")[0].strip() for text in told.values()] == [
        "no one break-even", "behind at every R that was measured", "the break-even R is undecided",
        "no break-even", "",
    ]  # fmt: skip


def test_nobody_is_charged_what_the_rule_leaves_out():
    free, sunk = planted(RISING, 0.5), planted(RISING, 0.5, life=Lifetime(CONVENTIONS["paper"], 0.0, 0.0, 10.0))
    assert uncharged(free) == []  # one group, no verifier, no helper
    assert uncharged(sunk) == ["pretraining"]
    helped = replace(free, helpers=("small", "prm"), judges={"prm": "prm"})
    assert uncharged(helped, {"prm": "Math-PRM"}.__getitem__) == ["verifying", "training Math-PRM"]
    paid = replace(LIFE, convention=CONVENTIONS["exact"])
    assert uncharged(replace(helped, lifetime=paid)) == ["training prm"]  # charged, but nobody knows what it took


def test_tasks_are_said_together_and_then_each():
    each = {name: compared(RISING, large, [22.0], task=name) for name, large in (("sums", 0.5), ("proofs", 0.95))}
    over = over_tasks(each)
    row = over[over["strategy"] == "compute-optimal"].iloc[0]
    first, second = task_sentences(each, over, "paper")[:2]
    assert "over 2 tasks that weigh the same (200 problems)" in first
    assert points(abs(row["difference"])) in first
    for name, found in each.items():
        assert f"{name}: {points(head(found, 22.0)['difference'], signed=True)} (" in second


def test_training_seeds_are_counted_and_told_apart():
    each = {str(seed): compared(RISING, large, [22.0]) for seed, large in enumerate((0.5, 0.5, 0.95))}
    first, second = seed_sentences(each, "paper")
    assert "over 3 training seeds" in first
    assert "test-time in 2 and pretraining in 1" in first
    assert second.lower().count("seed ") == 3
    assert "not over seeds" in second


def test_a_study_is_told_by_what_its_plan_calls_the_models(tmp_path):
    evidence = open_evidence(record(tmp_path / "run"))
    assert evidence.called(evidence.pair()[0]) != ""
    found = choose(evidence, rule=CONVENTIONS["paper"], bins=2)
    first, *_ = optimal_sentences(found, called=lambda name: f"the {name} one")
    best = found.table().query("bin == 'all'").groupby("bins", sort=False).last().iloc[0]
    right, low, high = (float(points(best[name])) for name in ("accuracy", "low", "high"))
    told = re.search(rf"right on ({NUMBER}) % \(95 % ({NUMBER}) to ({NUMBER})\)", first).groups()
    assert list(map(float, told)) == [right, low, high]
    assert "the small one is right" in first


@pytest.fixture(scope="module")
def verifier():
    body = bodies_of([REAL_MODELS / "openai-gsm8k"])[0]
    return [atlas(body, Charges(CONVENTIONS[name])) for name in ("paper", "small-pays")]


def test_one_pair_of_an_atlas_under_two_rules(verifier):
    key = ("6b", "best-of-100, by 6b", "175b", "greedy")
    first, *rest = pair_sentences(verifier, key)
    rows = [one.verdicts[(one.verdicts[["small", "small_arm", "large", "large_arm"]] == list(key)).all(axis=1)
                         & (one.verdicts["R"] == 0.79)].iloc[0] for one in verifier]  # fmt: skip
    told = re.search(r"by (\S+) points \(95 % (\S+) to (\S+)\)", first).groups()
    assert list(map(float, told)) == shown(rows[0])
    share, *numbers = re.search(
        rf"for (\d+) % of queries: ({NUMBER}) \(({NUMBER}) to ({NUMBER})\), undecided", first
    ).groups()
    assert float(share) == round(100 * rows[1]["share"])
    assert list(map(float, numbers)) == shown(rows[1])
    assert "fine-tuning" in " ".join(rest)
    with pytest.raises(ValueError, match="no pair"):
        pair_sentences(verifier, ("6b", "nothing", "175b", "greedy"))


def test_an_atlas_counts_its_verdicts(verifier):
    (one, _), said = verifier, atlas_sentences(verifier[0])
    rows = one.verdicts.merge(one.pairs.query("n_ratio > 1")[["small", "small_arm", "large", "large_arm"]])
    counts = rows[rows["R"] == 0.79]["verdict"].str.split(" measured").str[0].value_counts()
    assert {verdict: int(n) for verdict, n in re.findall(r"([a-z-]+) in (\d+)", said[0].split(": ")[1])} == dict(
        counts
    )


def test_a_model_of_unknown_training_is_told_as_sunk():
    body = bodies_of([REAL_MODELS / "epoch-otis"])[0]
    found = atlas(body, Charges(CONVENTIONS["paper"]))
    first, second, third = pair_sentences(
        [found], ("magistral-small-2506", "one sample", "mistral-large-2411", "one sample")
    )
    assert "cannot pay" in first
    assert second.startswith("Pretraining is sunk; at equal D ")
    assert third.startswith("Charged to nobody: ")


def test_points_show_the_sign_of_what_is_nearly_nothing():
    assert [points(0.0), points(4e-5), points(-4e-5, signed=True)] == ["0.0", "0.004", "-0.004"]
