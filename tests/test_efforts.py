"""Thinking as an axis: efforts as arms, a line over them in tokens; rates, outcomes, unknown tokens, tasks."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import charged_to, compare, compare_tasks, curves, over_tasks
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Call, RunStore, Solution, Unit
from scalinglab.specs import parse
from scalinglab.study import status_of

SPECS = {"thinker": parse("1e9@1e12"), "large": parse("10e9@1e12")}
PAPER = [CONVENTIONS["paper"]]
EFFORTS = {"none": (0.25, 100), "low": (0.5, 400), "high": (0.75, 1600)}
"""Each effort's share of right answers and the tokens of one."""


def rates(problems=40, n=8):
    """Counts with efforts and mean tokens: a thinker of three efforts, a large model that answers half."""
    rows = [
        {"model": "thinker", "effort": effort, "problem": f"p{i}", "n": n, "correct": round(right * n),
         "mean_generated_tokens": tokens}
        for effort, (right, tokens) in EFFORTS.items() for i in range(problems)
    ]  # fmt: skip
    large = [
        {
            "model": "large",
            "effort": None,
            "problem": f"p{i}",
            "n": n,
            "correct": n // 2,
            "mean_generated_tokens": 100,
        }
        for i in range(problems)
    ]
    return pd.DataFrame(rows + large)


def compared(frame, **options):
    evidence = open_evidence(frame, small="thinker", large="large", specs=SPECS)
    return compare(evidence, rules=PAPER, bins=1, **options)


def test_efforts_are_one_line_whose_budgets_are_tokens_and_whose_costs_are_their_own():
    view = compared(rates()).views[0]
    (line,) = [line for line in view.lines() if line.strategy == "think"]
    assert line.budgets.tolist() == [100, 400, 1600]
    assert view.arms.accuracy[:, line.columns].mean(axis=0) == pytest.approx([0.25, 0.5, 0.75])
    assert view.arms.flops[0, line.columns] == pytest.approx([2e9 * (n - 1) for n in (100, 400, 1600)], rel=0.011)


def test_the_compute_optimal_strategy_mixes_efforts_and_no_perfect_verifier():
    found = compared(rates(), r=[0.1, 1e9]).verdicts
    head = found[found["strategy"] == "compute-optimal"].set_index("R")
    assert head.loc[0.1, "small"] == pytest.approx(0.75, abs=0.01)  # dear enough for most thought
    # what one answer of the large model costs, 2e12 FLOPs, pays half of the queries high (3.2e12), half low (8e11)
    assert head.loc[1e9, "small"] == pytest.approx((0.5 + 0.75) / 2, abs=0.01)


def test_a_curve_over_efforts_counts_tokens_and_prices_them():
    evidence = open_evidence(rates(), small="thinker", large="large", specs=SPECS)
    table, _ = curves(evidence, models=["thinker"], selector="think", rule=PAPER[0])
    assert table["k"].tolist() == [100, 400, 1600]
    assert table["accuracy"].tolist() == pytest.approx([0.25, 0.5, 0.75])
    assert table["flops_per_query"].tolist() == pytest.approx([2e9 * n for n in (100, 400, 1600)], rel=0.011)
    apart, _ = curves(evidence, models=["thinker"], k=[1], rule=PAPER[0])
    assert dict(zip(apart["effort"], apart["accuracy"], strict=True)) == pytest.approx(
        {"none": 0.25, "low": 0.5, "high": 0.75}
    )


def test_a_mean_of_tokens_is_kept_to_the_token_over_all_samples():
    frame = rates().assign(mean_generated_tokens=10.3)
    run = open_evidence(frame).run
    assert run.calls["generated_tokens"].mean() == pytest.approx(10.3, abs=0.01)
    assert set(run.calls["generated_tokens"]) == {10, 11}


def outcome(**changed):
    """One chosen answer a problem by 100 samples and a verifier, against greedy answers."""
    small = {"model": "thinker", "strategy": "best-of-100", "budget": 100, "verifier": "thinker"}
    large = {"model": "large", "strategy": "greedy", "budget": 1, "verifier": None}
    rows = [who | changed | {"problem": f"p{i}", "correct": i % of > 0}
            for who, of in ((small, 4), (large, 2)) for i in range(40)]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_row_may_be_the_outcome_of_a_whole_arm_and_costs_its_budget_and_its_verifier():
    evidence = open_evidence(outcome(), small="thinker", large="large", specs=SPECS)
    free, paid = compare(evidence, rules=[CONVENTIONS["paper"], CONVENTIONS["small-pays"]], bins=1).views
    (line,) = free.lines()
    assert (line.label, line.budgets.tolist()) == ("best-of-100, recorded by thinker", [100])
    one = 2e9 * 255  # the last token written is never passed
    assert free.arms.flops[0, line.columns[0]] == pytest.approx(100 * one, rel=0.01)
    assert paid.arms.flops[0, line.columns[0]] == pytest.approx(200 * one, rel=0.01)


def test_an_outcome_of_unknown_budget_and_tokens_has_no_price_and_is_refused():
    with pytest.raises(DataError, match=r"row 1 .*outcome of unknown cost"):
        open_evidence(outcome().drop(columns="budget"))


def test_tokens_that_some_answers_lack_are_their_models_mean_and_said():
    frame = pd.DataFrame(
        {"model": ["thinker"] * 4 + ["large"] * 2, "problem": ["a", "a", "b", "b", "a", "b"], "correct": 1,
         "prompt_tokens": [10, None, 20, None, None, None], "output_tokens": [30, 50, None, 40, 7, 9]}
    )  # fmt: skip
    shapes = {"thinker": parse("Qwen2.5-0.5B"), "large": parse("Qwen2.5-7B")}
    evidence = open_evidence(frame, small="thinker", large="large", specs=shapes)
    told = {(one.model, one.what): (one.missing, one.of, one.taken) for one in evidence.unreported}
    assert told["thinker", "prompt"] == (2, 4, 15)
    assert told["thinker", "generated"] == (1, 4, 40)
    assert told["large", "prompt"] == (2, 2, 256)
    assert told["large", "cached"] == (2, 2, None)
    found = compare(evidence, bins=1)
    assert "cached tokens of large, thinker were not reported" in found.unpriced["exact-measured"]
    assert any("prompt tokens of thinker: 2 of 4 reported; taken to be 15" in note for note in found.notes)


@pytest.mark.parametrize(
    ("lacking", "unpriced", "says"),
    [
        ({"cached_tokens": None}, {"exact-measured"}, "cached tokens of small were not reported"),
        (
            {"reusable_tokens": None, "question_tokens": None},
            {"kaplan", "exact"},
            "reusable tokens of small were not reported",
        ),
    ],
    ids=["cached", "reusable"],
)
def test_a_rule_that_prices_what_nobody_could_count_is_left_out_by_name(tmp_path, lacking, unpriced, says):
    with RunStore(tmp_path / "run.sqlite") as store:
        for problem in "abcd":
            for role, model in (("policy", "small"), ("large", "large")):
                unit = Unit("r", "t", problem, role, model, "parallel", {"samples": 2}, 2)
                told = {"question_tokens": 10, "reusable_tokens": 4, "cached_tokens": 0}
                told |= lacking if model == "small" else {}
                calls = [Call(role, model, 20, 5, sample=i, **told) for i in range(2)]
                store.append(unit, calls, [Solution("4", "4", "right")] * 2)
    shapes = {"small": parse("Qwen2.5-0.5B"), "large": parse("Qwen2.5-7B")}
    found = compare(open_evidence(tmp_path / "run.sqlite", specs=shapes), bins=1)
    assert set(found.unpriced) == unpriced
    assert all(why.startswith(says) for why in found.unpriced.values())
    flops = {
        name: [row["flops"] for row in status_of(tmp_path / "run.sqlite", rule=rule, specs=shapes).roles]
        for name, rule in CONVENTIONS.items()
    }
    assert {name for name, (_, small) in flops.items() if small is None} == unpriced
    for name in unpriced:
        with pytest.raises(SpecError, match=says):
            charged_to(open_evidence(tmp_path / "run.sqlite", specs=shapes), CONVENTIONS[name])


def test_two_sources_are_compared_on_the_problems_both_hold(tmp_path):
    small = pd.DataFrame({"model": "thinker", "problem": [1, 2, 3, 4], "correct": [1, 0, 1, 1]})
    large = pd.DataFrame({"model": "large", "problem": ["2", "3", "4", "5"], "correct": [1, 0, 1, 1]})
    small.to_json(tmp_path / "small.jsonl", orient="records", lines=True)
    large.to_csv(tmp_path / "large.csv", index=False)
    sources = [tmp_path / "small.jsonl", tmp_path / "large.csv"]
    evidence = open_evidence(sources, small="thinker", large="large", specs=SPECS)
    assert compare(evidence, rules=PAPER, bins=1).views[0].arms.problems == ("2", "3", "4")
    with pytest.raises(DataError, match="both tell of thinker / parallel"):
        open_evidence([small, small])


def test_tasks_are_compared_apart_and_weigh_alike_over_all():
    easy, hard = rates(problems=40), rates(problems=10)
    frame = pd.concat(
        [easy.assign(task="easy"), hard.assign(task="hard", correct=lambda rows: rows["correct"] // 2)]
    )
    evidence = open_evidence(frame, small="thinker", large="large", specs=SPECS)
    with pytest.raises(DataError, match=r"2 tasks in a DataFrame \(easy, hard\); expected one task"):
        compare(evidence, rules=PAPER, bins=1)
    found = compare_tasks(evidence, rules=PAPER, bins=1)
    over = over_tasks(found).set_index(["strategy", "R"])
    each = [one.verdicts.set_index(["strategy", "R"]) for one in found.values()]
    at = ("compute-optimal", 22.0)
    assert over.loc[at, "problems"] == 50
    assert over.loc[at, "difference"] == pytest.approx(np.mean([one.loc[at, "difference"] for one in each]))
    half = [one.loc[at, "difference"] - one.loc[at, "low"] for one in each]
    assert over.loc[at, "difference"] - over.loc[at, "low"] == pytest.approx(np.hypot(*half) / 2)


def test_a_rate_with_n_is_a_count_and_another_is_refused():
    frame = pd.DataFrame({"model": ["a", "a"], "problem": ["p", "q"], "n": [4, 8], "rate": [0.75, 0.125]})
    assert open_evidence(frame).counts["correct"].tolist() == [3, 1]
    with pytest.raises(DataError, match="row 1 has a rate that is no number of n samples"):
        open_evidence(frame.assign(rate=[0.7, 0.125]))


def test_partial_credit_and_no_grade_stay_in_n_as_not_right():
    frame = pd.DataFrame(
        {
            "model": "a",
            "problem": "p",
            "grade": ["right", "partial", None, "truncated"],
            "value": [1, 0.5, None, None],
        }
    )
    run = open_evidence(frame).run
    assert run.solutions["grade"].tolist() == ["right", "partial", "ungraded", "truncated"]
    assert run.solutions["value"].tolist() == pytest.approx([np.nan, 0.5, np.nan, np.nan], nan_ok=True)
