"""Traps of recorded evidence that a reading of the code found: nothing stands for what is not known."""

import pandas as pd
import pytest

from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import compare, compare_tasks, over_tasks, shared_tasks
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

SPECS = {"s": parse("1e9@1e12"), "l": parse("1e10@1e12")}
PAPER = [CONVENTIONS["paper"]]


def rows(model, right, count=20, **more):
    """One answer a problem, the first ``right`` of them right."""
    return pd.DataFrame({"model": model, "problem": [f"p{i}" for i in range(count)],
                         "correct": [i < right for i in range(count)], **more})  # fmt: skip


def opened(*frames):
    return open_evidence(pd.concat(frames, ignore_index=True), small="s", large="l", specs=SPECS)


LARGE = rows("l", 8, strategy="greedy", generated_tokens=200)


def test_an_arm_of_unknown_length_is_not_as_long_as_one_sample():
    single, best = rows("s", 5, strategy="greedy", generated_tokens=200), rows("s", 12, strategy="bon", budget=100)
    found = compare(opened(single, best, LARGE), rules=PAPER, bins=1)
    assert not any(line.strategy == "bon" for line in found.views[0].lines())
    assert any(note.startswith("left out: s / bon, whose tokens nobody reported") for note in found.notes)
    evidence = opened(single.drop(columns="generated_tokens"), best, LARGE)  # none of its lengths is known
    (line,) = [line for line in compare(evidence, rules=PAPER, bins=1).views[0].lines() if line.strategy == "bon"]
    assert line.budgets.tolist() == [100]


def test_an_effort_of_unknown_length_is_not_as_long_as_another():
    low, high = rows("s", 5, effort="low", generated_tokens=200), rows("s", 15, effort="high")
    found = compare(opened(low, high, LARGE), rules=PAPER, bins=1)
    assert not any("high" in line.setting for line in found.views[0].lines())
    assert any("left out: s / parallel" in note and "high" in note for note in found.notes)


def test_a_model_known_by_outcomes_alone_has_the_r_of_its_samples():
    long = rows("s", 12, strategy="bon", budget=100, generated_tokens=25_600)
    assert opened(long, LARGE).written() == opened(long.drop(columns="generated_tokens"), LARGE).written() == 256


def test_efforts_of_several_samples_have_bins():
    efforts = [rows("s", right, effort=name, generated_tokens=100 * right, sample=j)
               for name, right in (("low", 5), ("high", 15)) for j in range(4)]  # fmt: skip
    found = compare(opened(*efforts, LARGE), rules=PAPER, bins=2).verdicts
    assert {"1", "2"} <= set(found.loc[found["strategy"].str.startswith("think"), "bin"])


def test_the_large_model_answers_at_its_dearest_effort_and_this_is_said():
    efforts = [
        rows("l", right, effort=name, generated_tokens=n) for name, right, n in (("max", 15, 900), ("low", 5, 90))
    ]
    found = compare(opened(rows("s", 5, generated_tokens=50), *efforts), rules=PAPER, bins=1)
    assert any("its one recorded answer at effort max, its dearest" in note for note in found.notes)


def test_a_greedy_answer_does_not_hide_thinking():
    think = [
        rows("s", right, effort=name, generated_tokens=n)
        for name, right, n in (("low", 8, 300), ("high", 19, 900))
    ]
    greedy = rows("s", 4, strategy="greedy", generated_tokens=100)
    found = compare(opened(greedy, *think, LARGE), rules=PAPER, bins=1, r=[0.01]).verdicts.set_index("strategy")
    assert found.loc["compute-optimal", "small"] == pytest.approx(0.95, abs=0.01)


def test_the_same_samples_scored_by_two_verifiers_are_not_twice_as_many():
    one = rows("s", 5, sample=0, score=0.5, verifier="v1")
    with pytest.raises(DataError, match=r"several verifiers score|repeats a model"):
        opened(one, one.assign(verifier="v2"), LARGE)
    with pytest.raises(DataError, match="several verifiers score"):
        opened(one.drop(columns="sample"), one.drop(columns="sample").assign(verifier="v2"), LARGE)
    arms = [rows("s", right, strategy="bon", budget=10, verifier=name) for name, right in (("v1", 18), ("v2", 6))]
    lines = compare(opened(*arms, rows("l", 8, strategy="greedy")), rules=PAPER, bins=1).views[0].lines()
    assert sorted(line.label for line in lines) == ["bon, recorded by v1", "bon, recorded by v2"]


def counts(model, task, n=8):
    frame = pd.DataFrame({"model": model, "problem": [f"q{i}" for i in range(12)], "n": n, "correct": n // 2})
    return frame if task is None else frame.assign(task=task)


def test_tasks_of_two_sources_must_meet():
    with pytest.raises(DataError, match="tasks gsm8k in a DataFrame; math in a DataFrame"):
        open_evidence([counts("s", "gsm8k"), counts("l", "math")])
    both = pd.concat([counts("s", "gsm8k"), counts("s", "math")])
    with pytest.raises(DataError, match="no task in a DataFrame, of gsm8k, math"):
        open_evidence([both, counts("l", None)])
    samples = pd.concat([rows("s", 9, task=task, count=12) for task in ("gsm8k", "math")])
    found = open_evidence([samples, rows("l", 5, count=12, task="gsm8k")], small="s", large="l", specs=SPECS)
    assert shared_tasks(found) == ["gsm8k"]


def test_tasks_that_were_sampled_differently_have_a_mean_and_cannot_pay_stays():
    def of(**specs):
        every = [counts(m, t, n) for m in ("s", "l") for t, n in (("a", 8), ("b", 4))]
        return open_evidence(pd.concat(every), small="s", large="l", specs=SPECS | specs)

    over = over_tasks(compare_tasks(of(), rules=PAPER, bins=1))
    assert over["difference"].notna().any()
    dear = over_tasks(compare_tasks(of(s=parse("1e10@1e13"), l=parse("1.1e10@1e10")), rules=PAPER, bins=1, r=[22]))
    assert set(dear["verdict"]) == {"cannot pay"}


def test_lengths_under_two_names_are_one_and_totals_of_counts_are_asked_for():
    small = rows("s", 5).assign(output_tokens=777)
    run = opened(small, LARGE).run
    assert run.calls.loc[run.calls["model"] == "s", "generated_tokens"].unique().tolist() == [777]
    with pytest.raises(DataError, match="has two different generated_tokens"):
        opened(small.assign(generated_tokens=5), LARGE)
    with pytest.raises(DataError, match="of one of them, or of all n"):
        open_evidence(counts("s", None).assign(generated_tokens=5000))
