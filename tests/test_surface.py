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


def counts(path, sizes):
    """Counts of models of which more are right the more their parameters are, and their tokens."""
    rows = [f"{name},p{i},200,{int(200 * rate * (i + 1) / 20)}" for name, rate in sizes.items() for i in range(20)]
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    return path


def asked(*arguments):
    done = CliRunner().invoke(app, ["exchange", *map(str, arguments), "--surface", "1,4,16", "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_fits_counts_of_several_sizes(tmp_path):
    rates = {"Pythia-70M": 0.05, "Pythia-410M": 0.2, "Pythia-1B": 0.4, "Pythia-12B": 0.7}
    told = asked(counts(tmp_path / "counts.csv", rates))
    assert set(told) == {"law", "status", "parameters", "rates", "iso", "notes"}
    assert len(told["rates"]) == 4 * 3
    assert "D" not in told["law"], "all saw the same tokens"


def test_the_tokens_of_the_evidence_are_those_of_the_surface(tmp_path):
    """Two sizes at three checkpoints each, and as though all had seen the same tokens."""
    grid = {f"{n:g}-{d:g}": (n, d) for n in (1e9, 4e9) for d in (1e10, 1e11, 3e11)}
    rates = {name: 0.05 * np.log10(n / 1e8) * np.log10(d / 1e9) for name, (n, d) in grid.items()}
    path = counts(tmp_path / "counts.csv", rates)
    true, alike = (
        asked(path, *(part for name, (n, d) in grid.items() for part in ("--spec", f"{name}={n:g}@{of(d):g}")))
        for of in (lambda d: d, lambda _: 3e11)
    )
    assert true["law"] == "-log accuracy = E + A / N^a + B / D^b + G / k^g"
    assert alike["law"] == "-log accuracy = E + A / N^a + G / k^g"


def test_tokens_left_out_are_laid_on_parameters():
    """Checkpoints of which the smaller saw fewer tokens: without D their parameters seem to be worth more."""
    law, blind = surface_law(tokens=True), surface_law(tokens=False)
    planted = PLANTED | {"B": 2000.0, "b": 0.35}
    sizes, tokens = (
        np.repeat(list(SIZES.values()), 3),
        np.tile([0.5, 1, 4], 4) * np.repeat([1e9, 1e10, 1e11, 3e11], 3),
    )
    every = {"N": np.repeat(sizes, 4), "D": np.repeat(tokens, 4), "k": np.tile(np.array(KS, dtype=float), 12)}
    values = law.predict(planted, every)
    found = fit(law, Points(every, values), bootstrap=0)
    wrong = fit(blind, Points({name: every[name] for name in blind.inputs}, values), bootstrap=0)
    grown, sampled = (planted[w] * planted[e] / x ** planted[e] for w, e, x in (("A", "a", 1e7), ("G", "g", 16)))
    rates = [local_rates(one, {"m": 1e7}, [16])["rate"][0] for one in (found, wrong)]
    assert rates[0] == pytest.approx(sampled / (grown - sampled), rel=1e-2)
    assert rates[1] < 0.9 * rates[0]
