"""The weak-verifier study against what each verifier must do, and effective sizes in closed form."""

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.curves import Pool
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import OPTIMAL, compare, effective_sizes, sizes_of, views, weakened
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

EXACT = CONVENTIONS["exact"]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return open_evidence(record(tmp_path_factory.mktemp("weak") / "run", samples=64))


@pytest.fixture(scope="module")
def plain(evidence):
    return views(evidence, [EXACT], bins=1)[0][0]


def weak(evidence, **options):
    (view,), _ = views(evidence, [EXACT], bins=1, change=weakened(evidence, "prm", **options))
    return view


def means(view, name):
    """Mean accuracy and FLOPs of the arms of the strategy that begins so."""
    (line,) = (line for line in view.lines() if line.strategy.startswith(name))
    return view.arms.accuracy[:, line.columns].mean(axis=0), view.arms.flops[:, line.columns].mean(axis=0)


def test_an_unflipped_verifier_is_the_clean_one_and_one_always_flipped_is_the_worst(evidence, plain):
    clean = weak(evidence, flips=0)
    for noisy, as_is in zip(means(clean, "B"), means(clean, "C"), strict=True):
        assert noisy == pytest.approx(as_is)
    (line,) = (line for line in plain.lines() if line.label == "parallel, weighted by prm")
    assert means(clean, "C")[0] == pytest.approx(plain.arms.accuracy[:, line.columns].mean(axis=0))
    worst = weak(evidence, flips=1)
    assert means(worst, "B")[0][-1] < means(worst, "A")[0][-1] < means(worst, "C")[0][-1]


def test_random_scores_cost_no_verifier_and_converge_to_the_majority(evidence, plain):
    view = weak(evidence)
    (votes,) = (line for line in plain.lines() if line.label == "parallel, majority")
    majority, cost = (values[:, votes.columns].mean(axis=0) for values in (plain.arms.accuracy, plain.arms.flops))
    accuracy, flops = means(view, "A")
    assert flops == pytest.approx(cost)
    assert (means(view, "B")[1] > flops).all()
    assert accuracy[0] == pytest.approx(majority[0]), "of one sample there is nothing to choose"
    assert accuracy[-1] == pytest.approx(majority[-1], abs=0.02)
    assert view.arms.table.loc[view.arms.table["strategy"] == "A random scores", "budget"].max() == 64


def test_the_reviser_votes_among_its_own_independent_samples(evidence, plain):
    (line,) = (line for line in plain.lines() if line.label == "revisions length=1, majority")
    accuracy, flops = means(weak(evidence), "D")
    assert accuracy == pytest.approx(plain.arms.accuracy[:, line.columns].mean(axis=0))
    assert flops == pytest.approx(plain.arms.flops[:, line.columns].mean(axis=0))


def test_the_greedy_answer_of_the_reviser_is_not_its_vote(evidence):
    change, seen = weakened(evidence, "prm"), []
    views(evidence, [EXACT], bins=1, change=lambda ways: seen.extend(ways) or ways)
    votes = next(way for way in seen if way.setting == '{"length": 1}' and way.selector == "majority")
    (vote,) = (way for way in change([replace(votes, strategy="greedy"), *seen]) if way.strategy == "D reviser")
    assert vote.reader is votes.reader
    assert [way for way in change([replace(votes, strategy="greedy"), *seen]) if way.role == "reviser"] == [vote]


def test_the_four_stand_beside_the_compute_optimal_choice_among_them(evidence):
    found = compare(evidence, rules=[CONVENTIONS["paper"]], bins=1, weak="prm")
    kinds = [name for name in found.verdicts["strategy"].unique() if name[0] in "ABCD"]
    assert [name[0] for name in sorted(kinds)] == list("ABCD")
    assert OPTIMAL in set(found.verdicts["strategy"])
    assert any(note.startswith("A: uniform random scores") for note in found.notes)


def test_a_verifier_that_did_not_judge_is_refused(evidence):
    with pytest.raises(DataError, match="verifier 'nobody'; expected one of prm, orm"):
        weakened(evidence, "nobody")
    with pytest.raises(DataError, match="flips of 2"):
        weakened(evidence, "prm", flips=2)


def test_the_command_compares_the_four(tmp_path):
    folder = record(tmp_path / "run", problems=8, samples=4)
    line = ["exchange", str(folder), "--weak-verifier", "prm", "--bins", "1", "--convention", "paper", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["strategy"][0] for row in rows if "exploratory" in row["interval"]} == set("ABCD")


def test_the_four_stand_in_bins_that_are_set_on_half_of_the_samples(evidence):
    (view,), _ = views(evidence, [CONVENTIONS["paper"]], bins=5, change=weakened(evidence, "prm"))
    lines = {line.strategy[0]: line for line in view.lines()}
    assert set(view.halves) == {lines[name].way for name in "ABC"}, "D is of the reviser's samples"
    rows, one = np.arange(len(view.arms.problems)), np.array([1])
    for halves in zip(*(view.halves[lines[name].way] for name in "ABC"), strict=True):
        first, *others = (half.at(one, rows)[0] for half in halves)
        for other in others:
            assert other == pytest.approx(first), (
                "of one sample there is nothing to choose, and halves are the same"
            )


def test_the_command_needs_no_option_for_bins(tmp_path):
    line = ["exchange", str(record(tmp_path / "run")), "--weak-verifier", "prm", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert {row["bin"] for row in rows} == {"all", *"12345"}
    assert {row["strategy"][0] for row in rows if "exploratory" in row["interval"]} == set("ABCD")


def pool(name, correct, n=100, problems=40):
    return Pool(name, tuple(map(str, range(problems))), np.full(problems, n), np.full(problems, correct))


def test_effective_size_in_closed_form():
    """pass@1 of 0.1, 0.2 and 0.3 at 1, 10 and 100: pass@2 of the first, 0.1909, lies 0.909 of the way to 10."""
    pools = {name: pool(name, correct) for name, correct in (("s", 10), ("m", 20), ("l", 30))}
    table = effective_sizes(pools, {"s": 1.0, "m": 10.0, "l": 100.0}, k=[1, 2, 50], convention="paper")
    rows = {(row["model"], row["k"]): row for row in table.to_dict("records")}
    exact = 1 - (90 * 89) / (100 * 99)
    assert rows["s", 1]["factor"] == 1
    assert rows["s", 2]["factor"] == pytest.approx(1 + 9 * (exact - 0.1) / 0.1)
    assert rows["s", 2]["factor_low"] == pytest.approx(rows["s", 2]["factor"])
    assert rows["s", 50]["status"] == "beyond the largest size"
    assert np.isnan(rows["s", 50]["factor"])


def test_an_effective_size_needs_three_sizes_of_the_same_problems():
    two = {"s": pool("s", 10), "l": pool("l", 30)}
    with pytest.raises(DataError, match="3 sizes or more"):
        effective_sizes(two, {"s": 1.0, "l": 2.0}, k=[1], convention="paper")
    three = two | {"m": pool("m", 20, problems=41)}
    with pytest.raises(DataError, match="the same problems"):
        effective_sizes(three, {"s": 1.0, "m": 2.0, "l": 3.0}, k=[1], convention="paper")


def test_effective_sizes_take_the_tokens_of_the_evidence(tmp_path):
    path = tmp_path / "counts.csv"
    rows = [f"{name},p{i},100,{right}" for name, right in (("s", 10), ("m", 20), ("l", 30)) for i in range(8)]
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    specs = {"s": parse("1e9@20e9"), "m": parse("1e9@200e9"), "l": parse("1e9@2e12")}
    table, notes = sizes_of(open_evidence(path, specs=specs), k=[2], rule=CONVENTIONS["paper"])
    assert table.loc[table["model"] == "s", "factor"].item() == pytest.approx(
        1 + 9 * (1 - 90 * 89 / 9900 - 0.1) / 0.1
    )
    assert not any("left out" in note for note in notes)
    for last in ([], ["--spec", "l=4e9"]):  # unknown, and of unknown training
        specs = ["--spec", "s=1e9@20e9", "--spec", "m=1e9@200e9", *last]
        refused = CliRunner().invoke(app, ["exchange", str(path), "--sizes", "2", "--json", *specs]).exception
        assert str(refused).startswith("2 models with known training; expected 3 sizes or more")


def test_a_curve_of_counts_needs_no_spec(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("model,problem,n,correct\nwho,a,4,1\nwho,b,4,2\n")
    done = CliRunner().invoke(app, ["curve", str(path), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [row["flops_per_query"] for row in told["rows"]] == [None] * 3
    assert told["notes"][0].startswith("who is not priced: no spec for model 'who'")
