"""The verbs that read data, on a recorded run."""

import json

import pytest
from commands import ACCURACY, CONFIG, FIRST, JUDGE, LARGE, RUN_EXCHANGE, RUN_SPECS, SMALL, assert_refused, greedy

from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Call, RunStore, Solution, Unit
from scalinglab.specs import find, from_config

LABELS = {
    "coverage": "parallel, coverage",
    "majority": "parallel, majority",
    "best-of-n": "parallel, best-of-n by judge",
    "weighted": "parallel, weighted by judge",
}


# A recorded run


@pytest.mark.parametrize("selector", ACCURACY)
def test_a_curve_of_a_run_is_known_in_closed_form(document, selector):
    rows = document(f"curve RUN --model tiny --selector {selector} --k 1,4 {RUN_SPECS}")["rows"]
    assert [row["accuracy"] for row in rows] == pytest.approx([0.5, ACCURACY[selector]])
    assert [row["flops_per_query"] for row in rows] == [2 * find(SMALL).total * 10 * k for k in (1, 4)]


@pytest.fixture(scope="session")
def run_exchanged(document):
    """The exchange of the run under each selector."""
    line = f"{RUN_EXCHANGE} {RUN_SPECS} --bins 1 --r 22"
    return {selector: document(f"{line} --selector {selector}") for selector in ACCURACY}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_run_reads_the_same_in_every_form(document, runs, run_exchanged, form):
    curve = f"curve RUN --selector weighted {RUN_SPECS}"
    assert document(curve, RUN=runs[form]) == document(curve)
    line = f"{RUN_EXCHANGE} {RUN_SPECS} --bins 1 --r 22 --selector coverage"
    assert document(line, RUN=runs[form]) == run_exchanged["coverage"]


@pytest.mark.parametrize("selector", ACCURACY)
def test_a_run_is_exchanged_at_the_costs_it_recorded(run_exchanged, selector):
    shown = run_exchanged[selector]
    rows = {row["convention"]: row for row in shown["rows"]}
    m = find(LARGE).total / find(SMALL).total
    assert set(rows) == set(CONVENTIONS)
    assert rows["paper"]["k"] == pytest.approx(m + 3 * (m - 1) / 22)
    assert rows["paper"]["large"] == 0.25
    assert {row["strategy"] for row in shown["rows"]} == {LABELS[selector]}
    assert any("as the run recorded them" in note for note in shown["notes"])


def test_coverage_of_a_run_at_three_samples_is_known_in_closed_form(document):
    rows = document(f"{RUN_EXCHANGE} --ratio 1.5 --r 1 --bins 1 --selector coverage")["rows"]
    (row,) = (row for row in rows if row["convention"] == "paper")
    assert (row["k"], row["small"]) == (pytest.approx(3), pytest.approx((1 + 1 + 0.75 + 0) / 4))


def test_a_verifier_is_paid_for_by_what_it_votes_in_alone(run_exchanged):
    k = {s: {row["convention"]: row["k"] for row in shown["rows"]} for s, shown in run_exchanged.items()}
    assert k["coverage"]["paper"] == k["majority"]["paper"] == k["weighted"]["paper"]
    assert k["majority"]["small-pays"] == k["majority"]["paper"] > k["weighted"]["small-pays"]
    judged = 30 / 10 * find(JUDGE).total / find(SMALL).total  # it reads 30 tokens, of which 10 are new
    assert k["majority"]["small-pays"] / k["weighted"]["small-pays"] == pytest.approx(1 + judged / 3)


def test_a_verifier_without_a_spec_leaves_unpriced_what_it_judged_and_nothing_else(document):
    without = RUN_SPECS.replace(f"--spec judge={JUDGE}", "")
    shown = document(f"{RUN_EXCHANGE} {without} --bins 1 --r 22")
    assert {LABELS[s] for s in ("coverage", "majority")} <= {row["strategy"] for row in shown["rows"]}
    assert LABELS["weighted"] not in {row["strategy"] for row in shown["rows"]}
    assert any("left out: what judge answered or judged" in note for note in shown["notes"])


def test_a_config_without_training_tokens_prices_a_curve_but_no_exchange(scalinglab, document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    specs = " ".join(f"--spec {model}={path}" for model in ("tiny", "big", "judge"))
    rows = document(f"curve RUN --model tiny {specs} --k 2")["rows"]
    assert rows[0]["flops_per_query"] == 2 * from_config(CONFIG).total * 10 * 2
    assert_refused(scalinglab(f"{RUN_EXCHANGE} {specs}"), "training tokens unknown")


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("curve RUN --prompt 5", "a run records its own"),
        (f"{RUN_EXCHANGE} --ratio 2 --generate 5", "a run records its own"),
        ("curve RUN --k 5", "budgets from 1 to n = 4"),
        ("curve RUN --model nobody", "no samples of model 'nobody'; expected one of big, tiny"),
        ("curve RUN --model big", "no parallel samples of big by coverage"),
        ("curve RUN --selector nonsense", "one of coverage"),
        ("exchange RUN --small tiny --large judge --ratio 2", "no samples of model 'judge'"),
        ("exchange RUN --small big --large tiny --ratio 2", "no parallel samples of big; expected two or more"),
        (f"{RUN_EXCHANGE} --bins 1000 --ratio 2", "expected 1 to 4 bins"),
    ],
)
def test_a_question_the_run_cannot_answer_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


def test_a_run_without_parallel_samples_has_no_curve(scalinglab, tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        greedy(store, "p1", True)
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / "run.sqlite"), "parallel samples")


def test_scores_are_needed_to_pick_by_score(scalinglab, tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        for problem in "ab":
            unit = Unit("run", "math", problem, "policy", "tiny", "parallel")
            store.append(unit, [Call("policy", "tiny", 2, 2, 2, cached_tokens=0)], [Solution("so", "7", "right")])
    assert scalinglab("curve HERE --selector majority", HERE=tmp_path / "run.sqlite").code == 0
    assert_refused(scalinglab("curve HERE --selector best-of-n", HERE=tmp_path / "run.sqlite"), "have no score")


@pytest.fixture(scope="session")
def graded(tmp_path_factory):
    """A run whose 60 x 16 samples of the small model were graded right or wrong, and whose texts are lost."""
    path = tmp_path_factory.mktemp("graded") / "run.sqlite"
    with RunStore(path) as store:
        for p in range(60):
            grades = ["right" if i < p % 17 else "wrong" for i in range(16)]
            unit = Unit("run", "math", f"p{p:02}", "policy", "tiny", "parallel", {"verifier": "judge"}, budget=16)
            calls = [Call("policy", "tiny", 20, 10, 20, sample=i, cached_tokens=0) for i in range(16)]
            found = [Solution("", None, grade, (0.5,), sample=i) for i, grade in enumerate(grades)]
            store.append(unit, calls, found)
            large = Unit("run", "math", f"p{p:02}", "large", "big", "greedy")
            store.append(
                large, [Call("large", "big", 20, 10, 20, cached_tokens=0)], [Solution("", None, grades[7])]
            )
    return path


@pytest.mark.parametrize("selector", ["majority", "weighted"])
@pytest.mark.parametrize("verb", ["exchange HERE --small tiny --large big --bins 1 --ratio 2", "curve HERE"])
def test_votes_of_samples_without_answers_are_refused(scalinglab, graded, verb, selector):
    done = scalinglab(f"{verb} --selector {selector}", HERE=graded)
    assert_refused(done, "votes need answers; 0 of 960 samples have one")
    assert scalinglab(verb, HERE=graded).code == 0


@pytest.mark.parametrize("by", ["phase", "role", "model", "strategy"])
def test_the_ledger_adds_up_however_it_is_cut(document, scalinglab, by):
    line = f"ledger FIRST --by {by} --convention exact --with tuning,difficulty"
    shown = document(line, FIRST=FIRST)
    assert sum(row["FLOPs"] for row in shown["rows"]) == shown["total"] > 0
    assert sum(row["share"] for row in shown["rows"]) == pytest.approx(1)
    assert all(type(row["FLOPs"]) is int for row in shown["rows"])
    out = scalinglab(line, FIRST=FIRST).out
    assert f"{shown['rows'][0]['FLOPs']:,}" in out
    assert "  - convention: exact+difficulty (" in out or "  - convention: exact" in out


def test_the_ledger_holds_pretraining_and_helpers_training_and_says_what_it_left_out(document, scalinglab):
    with_, without = (
        document(f"ledger FIRST --by phase --with {axes}", FIRST=FIRST) for axes in ("tuning", "no-tuning")
    )
    phases = [{row["phase"]: row["FLOPs"] for row in shown["rows"]} for shown in (with_, without)]
    assert phases[0]["pretrain"] == phases[1]["pretrain"] > 0
    assert phases[0]["tune"] > 0
    assert "tune" not in phases[1]
    assert {row["model"] for row in without["not_counted"] if row["what"] == "tuning"} == {"prm", "orm", "reviser"}
    assert not [row for row in with_["not_counted"] if row["what"] == "tuning"]
    assert "  - not counted under paper: " in scalinglab("ledger FIRST --with no-tuning", FIRST=FIRST).out


def test_status_is_priced_by_the_convention_and_axes_that_are_asked_for(document):
    paper, judged = (
        document(f"status FIRST --with verifier={payer}", FIRST=FIRST) for payer in ("nobody", "small")
    )
    assert paper != judged
