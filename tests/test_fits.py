"""Fits: published values come out, planted parameters are recovered, and a failed fit cannot look like one."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError, FitError
from scalinglab.fits import Points, fit, read_points
from scalinglab.laws import CHINCHILLA, LAWS

COLUMNS = {"N": "Model Size", "C": "Training FLOP", "D": "C/6N"}
EPOCH = {"E": 1.81686, "A": 482.00572, "B": 2085.43420, "alpha": 0.34781, "beta": 0.36585}
PLAIN = {"E": 1.81722, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}


@pytest.fixture(scope="module")
def chinchilla_points(shared_data):
    return read_points(shared_data("chinchilla/points.csv"), CHINCHILLA, columns=COLUMNS)


def planted(law, values, inputs, noise=0.0, seed=0):
    """Independent rows: each a run of its own."""
    exact = law.predict(values, inputs)
    outcome = exact * np.exp(noise * np.random.default_rng(seed).normal(size=exact.shape))
    return Points(inputs, outcome, np.arange(len(exact)))


def grid(sizes=(1e7, 1e8, 1e9, 1e10), tokens=(1e9, 1e10, 1e11, 1e12)):
    size, token = np.meshgrid(sizes, tokens)
    return {"N": size.ravel(), "D": token.ravel()}


def test_the_plain_chinchilla_fit_is_the_known_one(chinchilla_points):
    found = fit(CHINCHILLA, chinchilla_points.without_highest(5), bootstrap=0)
    assert found.status == "converged"
    assert found.objective <= 0.0010182741
    assert found.n == 240
    for name, value in PLAIN.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_with_the_scale_fitted_the_chinchilla_fit_is_the_published_one(chinchilla_points):
    found = fit(CHINCHILLA, chinchilla_points.without_highest(5), bootstrap=0, scale=True)
    assert found.objective == pytest.approx(-879.7731390602, abs=1e-6)
    for name, value in EPOCH.items():
        assert found[name] == pytest.approx(value, rel=2e-5), name


def test_five_rows_move_b_sixfold(chinchilla_points):
    found = fit(CHINCHILLA, chinchilla_points, bootstrap=0)
    assert found.objective <= 0.00182602
    known = {"E": 1.89134, "A": 495.73, "B": 12845.6, "alpha": 0.349313, "beta": 0.453049}
    for name, value in known.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_the_bootstrap_of_the_chinchilla_fit_is_the_published_one(chinchilla_points):
    """Standard errors within a tenth, as four thousand draws of a long-tailed distribution allow."""
    rows = replace(chinchilla_points, groups=np.arange(245)).without_highest(5)
    found = fit(CHINCHILLA, rows, bootstrap=4000)
    errors = dict(zip(CHINCHILLA.names, found.draws.std(axis=0), strict=True))
    published = {"A": 124.52, "B": 1293.28, "E": 0.02566, "alpha": 0.01540, "beta": 0.02060}
    for name, error in published.items():
        assert errors[name] == pytest.approx(error, rel=0.15 if name == "B" else 0.05), name
    alpha, beta = found.draws[:, 3], found.draws[:, 4]
    assert (beta / (alpha + beta)).std() == pytest.approx(0.020, abs=0.001)
    assert EPOCH["beta"] / (EPOCH["alpha"] + EPOCH["beta"]) == pytest.approx(0.513, abs=5e-4)
    ends = {
        "A": (285, 744),
        "B": (1042, 5810),
        "E": (1.769, 1.871),
        "alpha": (0.317, 0.373),
        "beta": (0.331, 0.415),
    }
    for name, (low, high) in ends.items():
        assert found.parameters[name].low == pytest.approx(low, rel=0.06), name
        assert found.parameters[name].high == pytest.approx(high, rel=0.06), name


def test_no_start_of_bfgs_finds_a_lower_objective(chinchilla_points):
    data = chinchilla_points.without_highest(5)
    size, tokens, loss = np.log(data.inputs["N"]), np.log(data.inputs["D"]), np.log(data.outcome)

    def objective(p):
        predicted = np.logaddexp(np.logaddexp(p[1] - p[3] * size, p[2] - p[4] * tokens), p[0])
        apart = np.abs(predicted - loss)
        return np.where(apart <= 1e-3, apart**2 / 2, 1e-3 * (apart - 5e-4)).sum()

    ends = [
        minimize(objective, (e, a, 10, s, s), method="BFGS").fun for e in (0, 1) for a in (5, 10) for s in (0.5, 1)
    ]
    assert fit(CHINCHILLA, data, bootstrap=0).objective <= min(ends) + 1e-9


def test_planted_parameters_are_recovered_exactly():
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    found = fit(CHINCHILLA, planted(CHINCHILLA, values, grid()), bootstrap=50)
    assert found.status == "converged"
    for name, value in values.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_intervals_hold_planted_parameters_and_shrink_with_noise():
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    loud, quiet = (
        fit(CHINCHILLA, planted(CHINCHILLA, values, grid(), noise), bootstrap=400) for noise in (0.01, 0.001)
    )
    for name, value in values.items():
        wide, narrow = loud.parameters[name], quiet.parameters[name]
        assert wide.low < value < wide.high
        assert narrow.high - narrow.low < wide.high - wide.low


def test_one_outlier_moves_a_huber_fit_little():
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    data = planted(CHINCHILLA, values, grid())
    data.outcome[5] *= 3
    assert fit(CHINCHILLA, data, bootstrap=0)["alpha"] == pytest.approx(0.34, rel=5e-3)


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({"N": np.geomspace(1e6, 1e9, 5), "D": np.geomspace(1e9, 1e10, 5)}, "too few points"),
        ({"N": np.full(12, 1e8), "D": np.geomspace(1e9, 1e12, 12)}, "not identified"),
    ],
)
def test_a_failed_fit_has_no_values(inputs, status):
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    found = fit(CHINCHILLA, planted(CHINCHILLA, values, inputs), bootstrap=10)
    assert found.status == status
    assert found.why
    assert all(estimate.value is None for estimate in found.parameters.values())
    with pytest.raises(FitError, match=status):
        found["alpha"]
    with pytest.raises(FitError, match=status):
        found.predict(inputs)


def test_rows_are_resampled_with_their_groups():
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    inputs = {name: np.repeat(at, 4) for name, at in grid().items()}
    rows = planted(CHINCHILLA, values, inputs, noise=0.0)
    shared = np.repeat(np.exp(0.01 * np.random.default_rng(0).normal(size=16)), 4)
    alone = Points(inputs, rows.outcome * shared, np.arange(64))
    together = Points(inputs, rows.outcome * shared, np.repeat(np.arange(16), 4))
    narrow, wide = (fit(CHINCHILLA, data, bootstrap=300).parameters["alpha"] for data in (alone, together))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"N": np.array([0.0, 1, 2])}, "N = 0 in row 1"),
        ({"D": np.array([1.0, np.nan, 2])}, "finite"),
    ],
)
def test_inputs_that_cannot_be_are_named(change, said):
    inputs = {"N": np.ones(3), "D": np.ones(3)} | change
    with pytest.raises(DataError, match=said):
        fit(CHINCHILLA, Points(inputs, np.ones(3)))


@cache
def run(*arguments):
    return CliRunner().invoke(app, ["fit", *arguments])


def test_the_command_fits_a_table_and_says_json(tmp_path):
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    data = planted(CHINCHILLA, values, grid(), noise=0.001)
    table = pd.DataFrame(
        {"size": data.inputs["N"], "flops": 6 * data.inputs["N"] * data.inputs["D"], "nats": data.outcome}
    )
    table.to_csv(tmp_path / "runs.csv", index=False)
    mapped = "N=size,C=flops,D=C/6N,loss=nats"
    done = run(
        "chinchilla",
        str(tmp_path / "runs.csv"),
        "--map",
        mapped,
        "--groups",
        "none",
        "--bootstrap",
        "50",
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"law", "status", "objective", "n", "parameters"} <= set(document)
    assert (document["law"], document["status"], document["n"]) == ("chinchilla", "converged", 16)
    alpha = document["parameters"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing", "x.csv"), "one of chinchilla"),
        (("chinchilla", "absent.csv"), "no file"),
        (("chinchilla", "TABLE"), "map it: --map N=COLUMN"),
        (("chinchilla", "TABLE", "--map", "N"), "NAME=COLUMN"),
        (("chinchilla", "TABLE", "--map", "N=a,D=a,loss=word"), "row 1 has no number in word"),
        (("chinchilla", "TABLE", "--map", "N=C/6N,D=a,loss=a"), "D=C/6N or C=6ND"),
        (("chinchilla", "TABLE", "--map", "Q=a"), "mapping of Q"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(arguments, said, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,word\n1,x\n2,y\n")
    done = CliRunner().invoke(app, ["fit", *(str(path) if a == "TABLE" else a for a in arguments)])
    assert done.exit_code == 1
    assert said in str(done.exception)


@pytest.fixture
def losses(tmp_path):
    """A table of exact losses by Chinchilla's law."""
    values = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    data = planted(CHINCHILLA, values, grid())
    pd.DataFrame({**data.inputs, "loss": data.outcome}).to_csv(tmp_path / "runs.csv", index=False)
    return str(tmp_path / "runs.csv")


def test_the_command_ranks_laws_by_what_they_forecast(losses):
    arguments = ["compare", "kaplan", "chinchilla", losses, "--hold-out", "largest-size"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["unit"], document["n"]) == ("nats", 16)
    best, other = document["laws"]
    assert (best["law"], other["law"]) == ("chinchilla", "kaplan")
    assert best["errors"] == {"largest-size": best["error"]}
    assert best["error"] < 1e-6 < other["error"]
    shown = CliRunner().invoke(app, arguments).stdout
    assert shown.index("chinchilla") < shown.index("kaplan")
    assert "largest-size" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chinchilla", "coverage"), "laws chinchilla (of N, D) and coverage (of k)"),
        (("chinchilla", "nothing"), "one of chinchilla"),
        (("chinchilla", "--hold-out", "largest-budget"), "expected largest-size, last-checkpoints of these data"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(arguments, said, losses):
    laws = [a for a in arguments if a in (*LAWS, "nothing")]
    done = CliRunner().invoke(app, ["compare", *laws, losses, *arguments[len(laws) :]])
    assert done.exit_code == 1
    assert said in str(done.exception)


def test_the_help_names_every_law():
    shown = "".join(run("--help").stdout.split())  # a line may end after a hyphen
    assert all(name in shown for name in LAWS)
