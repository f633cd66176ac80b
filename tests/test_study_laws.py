"""Laws on a recorded study and on a ladder of sizes: planted ones come out, and what failed says so."""

import json

import numpy as np
import pandas as pd
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.laws import CHINCHILLA
from scalinglab.study.laws import ladder_laws

PLANTED = {"E": 0.5, "A": 40.0, "B": 300.0, "alpha": 0.5, "beta": 0.5}


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    """Four sizes of four checkpoints each whose losses are exact, and counts that rise with size and tokens."""
    folder = tmp_path_factory.mktemp("ladder")
    rng = np.random.default_rng(0)
    rows, counts = [], []
    for i, size in enumerate((1e4, 1e5, 1e6, 1e7)):
        for j, tokens in enumerate((10**5, 10**6, 10**7, 10**8)):
            loss = CHINCHILLA.predict(PLANTED, {"N": [size], "D": [tokens]})[0]
            rows.append({"model": f"m{i}", "non_embedding": size, "tokens": tokens, "loss": loss})
            right = rng.binomial(64, rng.beta(1 + i + j, 6, 30))
            name = f"m{i} {tokens} tokens"
            counts += [{"model": name, "problem": p, "n": 64, "correct": int(c)} for p, c in enumerate(right)]
    pd.DataFrame(rows).to_csv(folder / "ladder.csv", index=False)
    pd.DataFrame(counts).to_csv(folder / "ladder_counts.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record(tmp_path_factory.mktemp("study") / "run")


def test_a_planted_ladder_comes_out_and_is_forecast_best(ladder):
    found = {one.fit.law.name: one for one in ladder_laws(ladder, bootstrap=20)}
    assert set(found) == {"chinchilla", "kaplan", "t2"}
    for name, value in PLANTED.items():
        assert found["chinchilla"].fit[name] == pytest.approx(value, rel=1e-4), name
    assert found["chinchilla"].error < 1e-5 < found["kaplan"].error
    assert found["chinchilla"].document()["resampled"] == "4 groups"
    assert found["t2"].document()["resampled"] == "30 problems"


def test_the_command_says_what_each_strategy_follows_and_draws_it(run, ladder, tmp_path):
    arguments = ["laws", str(run), "--ladder", str(ladder), "--out", str(tmp_path / "made"), "--bootstrap", "20"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["laws"]
    of = {(one["of"], one["law"]): one for one in found}
    assert {name for name, _ in of} >= {"small, coverage", "small, parallel, majority", "ladder, loss"}
    assert of["small, coverage", "beta"]["resampled"] == "24 problems"
    searched = of["small, beam_search width=4, weighted by prm", "saturating"]
    assert searched["status"] == "too few points"
    assert searched["parameters"]["E"]["value"] is None
    written = {path.name for path in (tmp_path / "made").iterdir()}
    assert written >= {"strategies.png", "ladder.png", "strategies.csv", "report.html", "manifest.json"}


def test_a_ladder_without_a_column_is_refused(ladder, tmp_path):
    pd.read_csv(ladder / "ladder.csv").drop(columns="loss").to_csv(tmp_path / "ladder.csv", index=False)
    with pytest.raises(DataError, match="without loss"):
        ladder_laws(tmp_path)
