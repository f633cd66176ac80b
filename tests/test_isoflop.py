"""The best size of each budget: planted optima come out, intervals hold the exponent, real runs go through."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError, FitError
from scalinglab.fits import Points, isoflop, read_runs
from scalinglab.laws import CHINCHILLA, cheapest

VALUES = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
EXPONENT = 0.28 / (0.34 + 0.28)
BUDGETS = np.geomspace(1e18, 1e21, 5)
RUNS = "N=parameter_count,C=throughput/total_gflops,loss=eval/paloma/macro_loss"


def best(compute):
    """The optimum in closed form: alpha A / N^alpha = beta B / D^beta at 6 N D = C."""
    ratio = 0.34 * 406.4 / (0.28 * 410.7)
    return ratio ** (1 / 0.62) * (np.asarray(compute) / 6) ** EXPONENT


def runs(noise=0.0, seed=0, sizes=7, off=1.0):
    """Seven sizes a budget, within a factor of e of ``off`` times its best one."""
    compute = np.repeat(BUDGETS, sizes)
    size = off * best(compute) * np.exp(np.tile(np.linspace(-1, 1, sizes), len(BUDGETS)))
    loss = CHINCHILLA.predict(VALUES, {"N": size, "D": compute / 6 / size})
    return Points({"N": size, "C": compute}, loss + noise * np.random.default_rng(seed).normal(size=len(loss)))


def test_planted_optima_and_their_exponent_come_out():
    found = isoflop(runs())
    assert found.exponent.value == pytest.approx(EXPONENT, abs=1e-4)
    assert found.predict(1e20) == pytest.approx(best(1e20), rel=0.01)
    for budget, compute in zip(found.budgets, BUDGETS, strict=True):
        assert pytest.approx(compute) == budget.C
        assert budget.N.value == pytest.approx(best(compute), rel=0.01)


def test_the_closed_form_is_the_cheapest_model():
    loss = CHINCHILLA.predict(VALUES, {"N": [best(1e20)], "D": [1e20 / 6 / best(1e20)]})[0]
    assert pytest.approx(best(1e20), rel=1e-4) == cheapest(VALUES, loss=loss).N


def test_the_interval_holds_the_planted_exponent():
    found = [isoflop(runs(0.005, seed), bootstrap=200, seed=seed) for seed in range(40)]
    held = sum(one.exponent.low <= EXPONENT <= one.exponent.high for one in found)
    assert held >= 36
    widths = [one.exponent.high - one.exponent.low for one in found]
    assert np.mean(widths) < 6 * np.std([one.exponent.value for one in found])


def test_a_budget_that_is_measured_better_weighs_more():
    few, many = runs(0.005, 1), runs(0.005, 2, sizes=25)
    rows = np.isclose(few.inputs["C"], BUDGETS[0]), np.isclose(many.inputs["C"], BUDGETS[0], atol=0)
    parts = [few.where(~rows[0]), many.where(rows[1])]
    inputs = {name: np.concatenate([part.inputs[name] for part in parts]) for name in ("N", "C")}
    found = isoflop(Points(inputs, np.concatenate([part.outcome for part in parts])))
    assert found.budgets[0].weight == max(budget.weight for budget in found.budgets)
    assert sum(budget.weight for budget in found.budgets) == pytest.approx(1)


def test_a_budget_without_a_minimum_is_left_out_and_said():
    beside = runs(off=20.0)
    data = runs()
    first = data.inputs["C"] == BUDGETS[0]
    inputs = {name: np.where(first, beside.inputs[name], data.inputs[name]) for name in ("N", "C")}
    found = isoflop(Points(inputs, np.where(first, beside.outcome, data.outcome)))
    assert found.budgets[0].N.value is None
    assert found.budgets[0].why
    assert found.exponent.value == pytest.approx(EXPONENT, abs=1e-3)
    with pytest.raises(FitError, match="0 budgets with an optimum"):
        isoflop(beside)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"C": [1e18, np.nan]}, "row 2 has no number in C"),
        ({"N": [0.0, 1e9]}, "N = 0 in row 1; expected a number above 0"),
        ({"loss": [3.0, -1.0]}, "loss = -1 in row 2"),
    ],
)
def test_runs_that_cannot_be_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        isoflop(pd.DataFrame({"N": 1e9, "C": 1e18, "loss": 3.0}, index=range(2)).assign(**change))


def test_85_real_runs_give_seven_optima_that_rise(shared_data):
    """Marin's DCLM runs, C in GFLOPs: what exponent is right is not recorded, so it must only be sane."""
    columns = dict(pair.split("=") for pair in RUNS.split(","))
    found = isoflop(read_runs(shared_data("marin_dclm/runs.csv"), columns=columns))
    assert [budget.runs for budget in found.budgets] == [5, 10, 15, 10, 15, 15, 15]
    sizes = [budget.N.value for budget in found.budgets]
    assert sizes == sorted(sizes)
    assert 0.3 < found.exponent.low < found.exponent.value < found.exponent.high < 0.5


def test_the_command_says_the_optima_and_the_exponent(tmp_path):
    data = runs(0.005)
    table = pd.DataFrame({"size": data.inputs["N"], "tokens": data.inputs["C"] / 6 / data.inputs["N"]})
    table.assign(nats=data.outcome).to_csv(tmp_path / "runs.csv", index=False)
    line = ["isoflop", str(tmp_path / "runs.csv"), "--map", "N=size,D=tokens,C=6ND,loss=nats"]
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["exponent"]["low"] < EXPONENT < told["exponent"]["high"]
    assert len(told["budgets"]) == 5
    assert "a = " in CliRunner().invoke(app, line).stdout
