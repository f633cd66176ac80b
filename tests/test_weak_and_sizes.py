"""The weak-verifier study against what each verifier must do, and effective sizes in closed form."""

import json

import numpy as np
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.curves import Pool
from scalinglab.errors import DataError
from scalinglab.exchange import effective_sizes, open_study, views, weak_views
from scalinglab.flops import CONVENTIONS

RULES = [CONVENTIONS["exact"]]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return open_study(record(tmp_path_factory.mktemp("weak") / "run"))


@pytest.fixture(scope="module")
def found(study):
    return views(study, RULES, bins=2)[0]


def means(view, name):
    rows = view.arms.table["strategy"].str.startswith(name)
    return view.arms.accuracy[:, rows].mean(axis=0), view.arms.flops[:, rows].mean(axis=0)


def test_an_unflipped_verifier_is_the_clean_one_and_one_always_flipped_is_the_worst(study, found):
    clean = weak_views(found, study, "prm", flips=0)
    for view in clean:
        for noisy, as_is in zip(means(view, "B"), means(view, "C"), strict=True):
            assert noisy == pytest.approx(as_is, abs=0.02)
    (whole, _) = weak_views(found, study, "prm", flips=1)
    assert means(whole, "B")[0][-1] < means(whole, "A")[0][-1] < means(whole, "C")[0][-1]


def test_random_scores_cost_no_verifier_and_the_reviser_votes(study, found):
    whole, binned = weak_views(found, study, "prm")
    table = found[0].arms.table
    votes = (table["model"] == "small") & (table["strategy"] == "parallel") & (table["selector"] == "majority")
    assert means(whole, "A")[1] == pytest.approx(found[0].arms.flops[:, votes].mean(axis=0))
    assert (means(whole, "B")[1] > means(whole, "A")[1]).all()
    assert len(means(whole, "D")[0]) == 2
    assert len(means(binned, "C")[0]) == len(means(whole, "C")[0]) - 1


def test_a_verifier_that_did_not_judge_is_refused(study, found):
    with pytest.raises(DataError, match="verifier 'nobody'; expected one of prm, orm"):
        weak_views(found, study, "nobody")
    with pytest.raises(DataError, match="flips of 2"):
        weak_views(found, study, "prm", flips=2)


def test_the_command_compares_the_four(tmp_path):
    folder = record(tmp_path / "run", problems=8, samples=4)
    line = ["exchange", str(folder), "--weak-verifier", "prm", "--bins", "1", "--convention", "paper", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    assert {row["strategy"][0] for row in json.loads(done.stdout)["rows"]} == set("ABCD")


def pool(name, correct, n=100, problems=40):
    return Pool(name, tuple(map(str, range(problems))), np.full(problems, n), np.full(problems, correct))


def test_effective_size_in_closed_form():
    """pass@1 of 0.1, 0.2 and 0.3 a decade apart: pass@2 of the first, 0.1909, lies 0.909 decades away."""
    pools = {name: pool(name, correct) for name, correct in (("s", 10), ("m", 20), ("l", 30))}
    table = effective_sizes(pools, {"s": 1.0, "m": 10.0, "l": 100.0}, k=[1, 2, 50], convention="paper")
    rows = {(row["model"], row["k"]): row for row in table.to_dict("records")}
    exact = 1 - (90 * 89) / (100 * 99)
    assert rows["s", 1]["factor"] == 1
    assert rows["s", 2]["factor"] == pytest.approx(10 ** ((exact - 0.1) / 0.1))
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
