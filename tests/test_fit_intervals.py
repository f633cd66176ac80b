"""What is resampled for an interval, which intervals there are none of, and that a fit says so."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.errors import DataError, FitError
from scalinglab.fits import Counts, Points, fit, fit_all
from scalinglab.laws import BETA, CHINCHILLA, COVERAGE, GADRE, LOG_LOGISTIC, SATURATING, T2

VALUES = {"E": 1.7, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
SIZES = np.geomspace(1e7, 1e10, 10)
TOKENS = np.geomspace(1e9, 1e12, 6)
BUDGETS = 2.0 ** np.arange(8)


def checkpoints(seed, noise=0.01, law=CHINCHILLA):
    """Ten runs of one size each, of six checkpoints, whose losses are off together: the noise is of the run."""
    inputs = {"N": np.repeat(SIZES, len(TOKENS)), "D": np.tile(TOKENS, len(SIZES))}
    shared = np.repeat(np.exp(noise * np.random.default_rng(seed).normal(size=len(SIZES))), len(TOKENS))
    return inputs, law.predict(VALUES, inputs) * shared


def parameters(found):
    return {name: estimate.value for name, estimate in found.parameters.items()}


def test_rows_of_one_size_are_one_unit_by_default_and_it_is_said():
    found = fit(CHINCHILLA, Points(*checkpoints(0)), bootstrap=100)
    assert (found.units, found.unit) == (10, "values of N")
    assert "resampled by values of N" in found.why
    alone = fit(CHINCHILLA, Points(*checkpoints(0), np.arange(60)), bootstrap=100)
    assert (alone.units, alone.unit, alone.why) == (60, "groups", "")


def test_intervals_by_rows_are_too_narrow_and_by_runs_right():
    """Noise of the run, planted: 24 studies, of which the interval of alpha should hold the truth 23 times."""
    held, planted = {"rows": 0, "runs": 0}, VALUES["alpha"]
    for seed in range(24):
        inputs, loss = checkpoints(seed, law=GADRE)
        data = {"rows": Points(inputs, loss, np.arange(60)), "runs": Points(inputs, loss)}
        for name, points in data.items():
            alpha = fit(GADRE, points, bootstrap=100, seed=seed).parameters["alpha"]
            held[name] += alpha.low <= planted <= alpha.high
    assert held["rows"] <= 14
    assert held["runs"] >= 21


def test_the_points_of_one_curve_are_one_unit_and_have_no_interval():
    found = fit(
        SATURATING, Points({"k": BUDGETS}, SATURATING.predict({"E": 0.7, "F": 0.2, "b": 0.8}, {"k": BUDGETS}))
    )
    assert found.status == "converged"
    assert "no intervals: only 1 to resample (curves in k)" in found.why
    assert found.parameters["E"].low is None
    with pytest.raises(FitError, match="no resamples"):
        found.band({"k": [1]})


def test_curves_of_several_models_are_resampled_by_model():
    inputs = {"N": np.repeat(SIZES, 3), "D": np.repeat(SIZES * 20, 3), "k": np.tile([1.0, 8.0, 64.0], 10)}
    values = {"E": 0.05, "A": 300.0, "B": 2000.0, "G": 0.8, "a": 0.5, "b": 0.6, "g": 0.5}
    found = fit(T2, Points(inputs, T2.predict(values, inputs)), bootstrap=0)
    assert (found.units, found.unit) == (10, "values of N")


def test_rows_of_which_no_two_share_a_size_are_independent():
    inputs = {"N": SIZES, "D": SIZES * 20}
    found = fit(GADRE, Points(inputs, GADRE.predict({"E": 1.7, "A": 90.0, "B": 100.0, "alpha": 0.3}, inputs)))
    assert (found.unit, "resampled" in found.why) == ("rows", False)


def test_a_fit_without_intervals_says_why():
    inputs, loss = checkpoints(0)
    assert fit(CHINCHILLA, Points(inputs, loss), bootstrap=0).why.startswith("no intervals: none were asked for")
    few = inputs["N"] < SIZES[3]
    lost = fit(CHINCHILLA, Points({x: at[few] for x, at in inputs.items()}, loss[few]), bootstrap=200)
    assert lost.status in ("converged", "at bound")
    assert lost.parameters["alpha"].low is None
    assert "no intervals" in lost.why
    assert "of 200 resamples could not be fitted" in lost.why


def test_a_parameter_that_every_resample_holds_at_its_bound_has_no_interval():
    """A straight rise in log k: the ceiling is at 1 in every resample."""
    p = np.clip(0.2 + 0.08 * np.arange(8) + np.random.default_rng(0).normal(0, 0.02, (50, 1)), 0, 1)
    found = fit(SATURATING, Points({"k": BUDGETS}, p), bootstrap=100)
    assert found.status == "at bound"
    assert (found["E"], found.parameters["E"].low, found.parameters["E"].high) == (1.0, None, None)
    assert "no interval of E: the resamples agree" in found.why
    assert found.parameters["b"].low < found["b"] < found.parameters["b"].high


def test_problems_that_all_agree_give_no_interval():
    """4 of 4 samples right on each of 4 problems: nothing is known of how problems differ."""
    found = fit(BETA, Counts(np.full(4, 4), np.full(4, 4)), bootstrap=100)
    assert all(estimate.low is None for estimate in found.parameters.values())
    curve = SATURATING.predict({"E": 0.7, "F": 0.2, "b": 0.8}, {"k": BUDGETS})
    same = fit(SATURATING, Points({"k": BUDGETS}, np.tile(curve, (4, 1))), bootstrap=100)
    assert same.status == "converged"
    assert "no intervals: all resamples of the 4 problems agree" in same.why
    assert all(estimate.low is None for estimate in same.parameters.values())


def test_a_band_has_no_width_of_0():
    found = fit(
        COVERAGE, Points({"k": BUDGETS}, np.random.default_rng(0).uniform(0.2, 0.9, (20, 8))), bootstrap=50
    )
    low, high = found.band({"k": [1, 8]})
    assert (low < high).all()
    ends = fit(BETA, Counts(np.full(30, 8), np.arange(30) % 9), bootstrap=50).band({"k": [1e300]})
    assert np.isnan(ends).all()


def test_several_data_side_by_side_are_each_as_alone():
    rng = np.random.default_rng(0)
    some = [Points({"k": BUDGETS}, np.sort(rng.uniform(0.1, 0.9, (30, 8)), axis=1)) for _ in range(3)]
    some.insert(1, Points({"k": BUDGETS[:6]}, np.sort(rng.uniform(0.1, 0.9, (20, 6)), axis=1)))
    for data, found in zip(some, fit_all(LOG_LOGISTIC, some, bootstrap=50), strict=True):
        alone = fit(LOG_LOGISTIC, data, bootstrap=50)
        assert (found.status, found.why, found.units) == (alone.status, alone.why, alone.units)
        assert parameters(found) == pytest.approx(parameters(alone), rel=1e-4)
        assert found.draws == pytest.approx(alone.draws, rel=1e-2, abs=1e-6)


def test_a_frame_is_fitted_as_its_points_or_counts():
    inputs, loss = checkpoints(0)
    frame = pd.DataFrame({**inputs, "loss": loss})
    assert parameters(fit(CHINCHILLA, frame)) == parameters(fit(CHINCHILLA, Points(inputs, loss)))
    counts = Counts(np.full(40, 16), np.arange(40) % 17)
    table = pd.DataFrame({"model": "m", "n": counts.n, "correct": counts.correct})
    for law in (BETA, SATURATING):
        assert parameters(fit(law, table)) == parameters(fit(law, counts))


@pytest.mark.parametrize(
    ("law", "change", "said"),
    [
        (CHINCHILLA, {"loss": [3.0, np.nan]}, "the frame row 2 has no number in loss; expected a finite number"),
        (CHINCHILLA, {"N": [1e9, np.inf]}, "row 2 has no number in N"),
        (CHINCHILLA, {"D": ["many", "1e9"]}, "row 1 has no number in D"),
        (CHINCHILLA, {"D": [1e9, -1e9]}, "D = -1e+09 in row 2; expected a number above 0"),
        (CHINCHILLA, {"loss": [3.0, 0.0]}, "loss = 0 in row 2; expected a loss above 0"),
        (
            BETA,
            {"correct": [3, 0.5]},
            "0.5 of 4 samples right for problem 2; expected 0 to n of n >= 1 samples, whole",
        ),
        (BETA, {"correct": [3, 5]}, "5 of 4 samples right for problem 2"),
        (BETA, {"model": ["a", "b"]}, "counts of 2 models; expected those of one"),
        (SATURATING, {"n": [4, None]}, "row 2 has no number in n"),
    ],
)
def test_values_of_a_frame_are_checked_where_they_enter(law, change, said):
    frame = pd.DataFrame({"N": 1e8, "D": 1e9, "loss": 3.0, "n": 4, "correct": 3, "model": "m"}, index=range(2))
    with pytest.raises(DataError, match=said.replace("+", r"\+")):
        fit(law, frame.assign(**change))


def test_what_is_no_data_is_refused():
    with pytest.raises(DataError, match="a list for law beta; expected Points, Counts or a DataFrame"):
        fit(BETA, [1, 2])
    with pytest.raises(DataError, match=r"accuracy 1\.5 of problem 2 in row 1"):
        fit(SATURATING, Points({"k": BUDGETS}, np.full((3, 8), 0.5) + np.eye(3, 8, -1)))
