"""The surface recovers planted parameters, and its rate is the slope of its own line of equal accuracy."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.errors import DataError
from scalinglab.exchange.surface import fit_surface, surface_law, surface_rate
from scalinglab.fits import Answered, Points, fit

PLANTED = {"E": 0.05, "A": 400.0, "G": 1.5, "a": 0.3, "g": 0.5}
SIZES = (1e7, 1e8, 1e9, 1e10)
KS = (1, 4, 16, 64)


@pytest.fixture(scope="module")
def found():
    law = surface_law(tokens=False)
    inputs = {"N": np.repeat(SIZES, len(KS)), "k": np.tile(np.array(KS, dtype=float), len(SIZES))}
    return fit(law, Points(inputs, law.predict(PLANTED, inputs)), bootstrap=0)


def test_planted_parameters_come_out(found):
    assert found.status == "converged"
    assert {name: found[name] for name in PLANTED} == pytest.approx(PLANTED, rel=1e-3)


def test_its_rate_is_the_slope_along_equal_accuracy(found):
    size, k = 1e7, 16.0
    rate, _, _ = surface_rate(found, size, k)
    ends = [float(found.predict({"N": [size * 1.001], "k": [at]})[0]) for at in (k, k * 1.001**-rate)]
    assert ends[1] == pytest.approx(float(found.predict({"N": [size], "k": [k]})[0]), rel=1e-5)
    assert ends[0] > ends[1]


def cells(tokens):
    """Answered of two sizes at several tokens; every problem has the mean accuracy of the surface."""
    law = surface_law(tokens=True)
    planted = PLANTED | {"B": 2000.0, "b": 0.35}
    grid = [(n, d, k) for n in (1e8, 1e9, 1e10) for d in (1e10, 1e11, 3e11) for k in KS]
    n, d, k = np.array(grid).T
    values = law.predict(planted, {"N": n, "D": d, "k": k})
    table = pd.DataFrame({"model": [f"{a:g} {b:g}" for a, b, _ in grid], "size": np.log2(n), "budget": np.log2(k)})
    every = dict(zip(table["model"], d if tokens else np.full(len(d), 3e11), strict=True))
    return planted, Answered(table, np.tile(values, (3, 1))), every


def test_the_tokens_of_the_models_are_those_of_the_surface():
    """Where checkpoints are taken to have seen the same tokens, parameters explain what they can."""
    planted, given, tokens = cells(tokens=True)
    found = fit_surface(given, tokens, bootstrap=0)
    assert found.law.inputs == ("N", "D", "k")
    grown, sampled = (planted[w] * planted[e] / x ** planted[e] for w, e, x in (("A", "a", 1e9), ("G", "g", 16)))
    assert surface_rate(found, 1e9, 16)[0] == pytest.approx(grown / sampled, rel=1e-2)
    assert fit_surface(given, cells(tokens=False)[2], bootstrap=0).law.inputs == ("N", "k")


def test_without_training_tokens_there_is_none():
    _, given, tokens = cells(tokens=True)
    with pytest.raises(DataError, match="without training tokens"):
        fit_surface(given, dict(list(tokens.items())[1:]))
