"""The surface recovers planted parameters, and its local rate is the slope of its own iso-accuracy line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.exchange.surface import CHEAPER, iso_accuracy, local_rates, surface_law
from scalinglab.fits import Points, fit

PLANTED = {"E": 0.05, "A": 400.0, "G": 1.5, "a": 0.3, "g": 0.5}
SIZES = {f"{n:g}": n for n in (1e7, 1e8, 1e9, 1e10)}
KS = (1, 4, 16, 64)


@pytest.fixture(scope="module")
def found():
    law = surface_law(tokens=False)
    inputs = {"N": np.repeat(list(SIZES.values()), len(KS)), "k": np.tile(np.array(KS, dtype=float), len(SIZES))}
    return fit(law, Points(inputs, law.predict(PLANTED, inputs)), bootstrap=0)


def test_planted_parameters_come_out(found):
    assert found.status == "converged"
    assert found.values == pytest.approx(PLANTED, rel=1e-3)


def test_the_local_rate_is_the_slope_along_equal_accuracy(found):
    size, k = 1e7, 16.0
    accuracy = float(found.predict({"N": [size], "k": [k]})[0])
    ends = iso_accuracy(found, {"less": size * 0.999, "more": size * 1.001}, [accuracy], KS)["k"]
    pretraining, samples = np.log(1.001 / 0.999), np.log(ends[1] / ends[0])
    (row,) = local_rates(found, {"m": size}, [k]).to_dict("records")
    assert row["rate"] == pytest.approx(-pretraining / (pretraining + samples), rel=1e-3)


def test_where_samples_are_worth_more_than_parameters_there_is_no_rate(found):
    (row,) = local_rates(found, {"m": 1e10}, [1]).to_dict("records")
    assert row["status"] == CHEAPER
    assert np.isnan(row["rate"])


def test_an_accuracy_is_reached_extrapolated_or_not_reached(found):
    table = iso_accuracy(found, {"1e10": 1e10}, [0.3, 0.6, 0.94], KS)
    assert table["status"].tolist() == ["fitted", "extrapolated", "not reached"]


def test_the_command_fits_counts_of_several_sizes(tmp_path):
    path = tmp_path / "counts.csv"
    rows = [
        f"Pythia-{size},p{i},200,{int(200 * rate * (i + 1) / 20)}"
        for size, rate in (("70M", 0.05), ("410M", 0.2), ("1B", 0.4), ("12B", 0.7))
        for i in range(20)
    ]
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    done = CliRunner().invoke(app, ["exchange", str(path), "--surface", "1,4,16", "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"law", "status", "parameters", "rates", "iso", "notes"}
    assert len(told["rates"]) == 4 * 3
