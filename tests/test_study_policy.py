"""`scalinglab policy` on a simulated study: what it prints adds up, and what it refuses is said in one line."""

import json

import numpy as np
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.policy import MEASURED
from scalinglab.study import policies_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("study") / "run", problems=40, samples=32)


@pytest.fixture(scope="module")
def found(folder):
    return policies_of(folder, rule="paper", bins=4)


def ask(*arguments):
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def test_every_strategy_of_the_small_model_is_weighed_and_the_large_one_never(found):
    table = found.predicted.arms
    assert set(table["strategy"]) == {"greedy", "parallel", "beam_search", "revisions"}
    assert set(table["model"]) == {"small", "reviser"}
    assert found.predicted.budgets.tolist() == [1, 2, 4, 8, 16]


def test_a_good_verifier_predicts_difficulty(found):
    assert found.verifier == "prm"
    assert found.agreement.low > found.agreement.chance
    assert found.predicted.bins.source == "prm"


def test_accuracies_lie_in_their_intervals_and_bins_average_to_the_whole(found):
    table = found.table()
    assert (table["status"] == MEASURED).all()
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()
    for _, rows in table.groupby(["bins", "budget"]):
        whole, parts = rows[rows["bin"] == "all"], rows[rows["bin"] != "all"]
        mean = np.average(parts["accuracy"], weights=parts["problems"])
        assert mean == pytest.approx(whole["accuracy"].iloc[0])


def test_difficulty_is_paid_for_where_the_convention_says_so(folder, found):
    charged = policies_of(folder, rule="exact", bins=4)
    assert not found.predicted.bins.charged
    assert (charged.predicted.flops > charged.predicted.bins.cost[:, None]).all()
    assert charged.gain.table["gain"].max() < found.gain.table["gain"].max()


def test_the_command_prints_one_document_or_tables(folder):
    done = ask(folder, "--bins", 2, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert {row["bin"] for row in document["rows"]} == {"all", 1, 2}
    assert {row["convention"] for row in document["rows"] + document["gain"] + document["allocation"]} == {"exact"}
    shown = ask(folder, "--bins", 2, "--budget", "flops", "--convention", "paper")
    assert shown.exit_code == 0
    for part in ("Compute-optimal", "Gain over best-of-N", "Samples shared out", "Predicted against oracle"):
        assert part in shown.stdout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"small": "huge"}, "model 'huge'; expected one of small"),
        ({"verifier": "exact"}, "verifier 'exact'; expected one of prm, orm"),
        ({"bins": 99}, "99 bins of 40 problems"),
        ({"folds": 1}, "1 folds"),
    ],
)
def test_what_the_run_lacks_is_refused(folder, asked, said):
    with pytest.raises(DataError, match=said):
        policies_of(folder, rule="paper", **asked)


def test_a_run_that_no_model_judged_is_refused(tmp_path):
    folder = record(tmp_path / "run", problems=4)
    plan = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(plan | {"verifiers": {"prm": None, "orm": None}}))
    with pytest.raises(DataError, match="samples that no verifier judged"):
        policies_of(folder, rule="paper")
