"""The joint optimum: of planted laws what a search over N, D and k finds, and nothing extrapolated in silence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import open_evidence
from scalinglab.fits import Lifetime, Points, cells_in, cells_of, choices, fit, fit_all, joint, lifetime
from scalinglab.fits.joint import AWARE, CELL, CHINCHILLA, JOINT, MEASURED
from scalinglab.flops import convention
from scalinglab.laws import T2, T2_BETA
from scalinglab.specs import parse

PLANTED = {
    T2: {"E": 0.05, "A": 60.0, "B": 90.0, "G": 0.4, "a": 0.3, "b": 0.28, "g": 0.6},
    T2_BETA: {"E": 0.1, "A": 200.0, "B": 400.0, "alpha": 0.3, "beta": 0.28, "nu": 0.8},
}
SIZES, TOKENS, BUDGETS = np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 5e10, 4), np.array([1.0, 4, 16, 64])
GRID = dict(zip("NDk", np.stack(np.meshgrid(SIZES, TOKENS, BUDGETS, indexing="ij")).reshape(3, -1), strict=True))
RUN = np.repeat(np.arange(20), 4)
"""Each N and D of the grid was trained on its own."""
LIFE = Lifetime(target=0.5, queries=1e10, training=6.0, once=0.0, each=512.0)
LADDER = Path(__file__).parents[1] / "results" / "testbed" / "ladder.csv"
NAMED = ["--map", "N=non_embedding", "--map", "D=tokens", "--generate", "25"]


def planted(law):
    return Points(GRID, law.predict(PLANTED[law], GRID), RUN)


def found(law, life=LIFE):
    points = planted(law)
    return {one.name: one for one in choices(fit(law, points, bootstrap=0), points, life)}


def searched(law, sizes, tokens, budgets, *, counted=True):
    """The least FLOPs of all N, D and k of a grid at which the planted law reaches the target."""
    best = (np.inf, np.inf)
    size, data = (array.ravel() for array in np.meshgrid(sizes, tokens, indexing="ij"))
    for k in budgets:
        right = law.predict(PLANTED[law], {"N": size, "D": data, "k": np.full(len(size), float(k))})
        answers = LIFE.queries * LIFE.each * k
        chosen = size * (LIFE.training * data + answers * counted)
        at = np.where(right >= LIFE.target, chosen, np.inf).argmin()
        if right[at] >= LIFE.target:
            best = min(best, (chosen[at], size[at] * (LIFE.training * data[at] + answers)))
    return best[1]


@pytest.mark.parametrize("law", PLANTED, ids=lambda law: law.name)
def test_planted_parameters_come_out_and_the_optimum_is_what_a_fine_search_finds(law):
    fitted = fit(law, planted(law), bootstrap=0)
    assert {name: fitted[name] for name in law.names} == pytest.approx(PLANTED[law], rel=1e-3)
    by_law = found(law)
    near = {
        name: [np.geomspace(getattr(one, of).value / 3, getattr(one, of).value * 3, 201) for of in ("N", "D")]
        for name, one in by_law.items()
    }
    inside = [np.geomspace(array.min(), array.max(), 201) for array in (SIZES, TOKENS)]
    every = [*range(1, 33), *range(36, 129, 4)]
    for name, grids, budgets, counted in (
        (JOINT, near[JOINT], every, True),
        (MEASURED, inside, [k for k in every if k <= 64], True),
        (AWARE, near[AWARE], [1], True),
        (CHINCHILLA, near[CHINCHILLA], [1], False),
    ):
        least = searched(law, *grids, budgets, counted=counted)
        assert by_law[name].flops.value == pytest.approx(least, rel=0.02), name
        if counted:
            assert by_law[name].flops.value <= least * (1 + 3e-3), name
    assert searched(law, SIZES, TOKENS, BUDGETS.astype(int)) == pytest.approx(by_law[CELL].flops.value)


def test_what_lies_outside_of_what_was_measured_is_said():
    by_law = found(T2)
    low, high = SIZES.min(), SIZES.max()
    for one in by_law.values():
        assert ("N below" in one.outside) == (one.N.value < low * (1 - 1e-6))
        assert ("D above" in one.outside) == (one.D.value > TOKENS.max() * (1 + 1e-6))
        assert ("k above" in one.outside) == (one.k.value > 64)
    assert by_law[MEASURED].outside == by_law[CELL].outside == ()
    assert low <= by_law[MEASURED].N.value <= high * (1 + 1e-9)
    assert by_law[JOINT].outside
    assert by_law[JOINT].flops.value <= by_law[AWARE].flops.value <= by_law[CHINCHILLA].flops.value
    more = found(T2, Lifetime(0.5, 1e13, 6.0, 0.0, 512.0))
    assert more[JOINT].N.value < by_law[JOINT].N.value
    assert more[JOINT].D.value > by_law[JOINT].D.value


def test_a_target_that_no_model_reaches_has_no_choice_and_says_how_far_it_gets():
    by_law = found(T2, Lifetime(0.8, 1e9, 6.0, 0.0, 512.0))
    assert by_law[AWARE].N.value is None
    assert by_law[AWARE].outside[0].startswith("not reached: at most 0.6")
    assert by_law[CELL].outside[0].startswith("not reached: at most 0.")
    assert by_law[JOINT].k.value > 1


def test_intervals_hold_the_truth_of_planted_runs():
    """Runs that ended a little better or worse than the law says, each with four budgets."""
    rng, law, truth = np.random.default_rng(0), T2, found(T2)
    exact = planted(law).mean
    noise = [np.exp(0.05 * rng.normal(size=20)[RUN] + 0.01 * rng.normal(size=80)) for _ in range(24)]
    studies = [Points(GRID, exact**each, RUN) for each in noise]
    held = []
    for one, study in zip(fit_all(law, studies, bootstrap=60), studies, strict=True):
        for choice in choices(one, study, LIFE)[1:]:
            for of in ("N", "D", "flops"):
                ends, true = getattr(choice, of), getattr(truth[choice.name], of).value
                if ends.low is not None and ends.high is not None:
                    held.append(ends.low * (1 - 1e-9) <= true <= ends.high * (1 + 1e-9))
    assert len(held) > 100
    assert np.mean(held) > 0.88


def test_an_end_that_the_search_sets_is_open():
    """Two sizes of three do not say what a larger one would gain."""
    points = Points(GRID, planted(T2).mean, np.repeat(np.arange(5), 16))
    resampled = fit(T2, points, bootstrap=200)
    for one in choices(resampled, points, LIFE):
        for ends in (one.N, one.D):
            if ends.low is not None and one.name != MEASURED:
                assert ends.low > SIZES.min() / 999


def test_problems_and_runs_are_resampled_together():
    rng = np.random.default_rng(1)
    outcome = np.clip(planted(T2).mean + 0.05 * rng.normal(size=(50, 1)), 0.0, 1.0)
    by_problem, both = (Points(GRID, outcome, groups) for groups in (None, RUN))
    assert (both.units, both.unit) == (20, "groups, and problems")
    narrow, wide = (fit(T2, one, bootstrap=100).parameters["g"] for one in (by_problem, both))
    assert narrow.value == pytest.approx(wide.value)
    assert (wide.low, wide.high) != (narrow.low, narrow.high)


@pytest.mark.parametrize(
    ("rule", "training", "once", "each"),
    [
        ("paper", 6.0, 0.0, 200.0),
        ("paper+recompute", 8.0, 0.0, 200.0),
        ("kaplan", 6.0, 60.0, 200.0),
        ("paper+prompts=per-sample", 6.0, 0.0, 260.0),
    ],
)
def test_the_convention_prices_training_questions_and_samples(rule, training, once, each):
    life = lifetime(0.5, 1e9, convention(rule), prompt=30, generated=100)
    assert (life.training, life.once, life.each) == (training, once, each)


def test_what_cannot_be_priced_or_asked_is_refused():
    with pytest.raises(SpecError, match="choose paper"):
        lifetime(0.5, 1e9, convention("exact"), prompt=1, generated=1)
    with pytest.raises(DataError, match="between 0 and 1"):
        lifetime(60, 1e9, convention("paper"), prompt=1, generated=1)
    with pytest.raises(DataError, match="-1 queries"):
        lifetime(0.5, -1, convention("paper"), prompt=1, generated=1)


def test_cells_are_read_from_long_and_wide_tables_and_from_specs():
    long = pd.DataFrame({**GRID, "accuracy": planted(T2).mean, "n": 100})
    cells = cells_in(long, runs=["N", "D"])
    assert len(np.unique(cells.points.groups)) == 20
    assert cells.noise == pytest.approx(np.sqrt(long["accuracy"] * (1 - long["accuracy"]) / 100))
    named = long.assign(model=[f"{n:.0f} {d:.0f}" for n, d in zip(long["N"], long["D"], strict=True)])
    specs = {name: parse(name.replace(" ", "@")) for name in named["model"]}
    again = cells_in(named.drop(columns=["N", "D"]), specs=specs, runs=["model"])
    assert again.points.inputs["D"] == pytest.approx(GRID["D"], rel=1e-6)
    wide = long.pivot_table(index=["N", "D"], columns="k", values="accuracy")
    wide = wide.rename(columns=lambda k: f"pass@{k:.0f}").reset_index()
    assert sorted(cells_in(wide).points.mean) == pytest.approx(sorted(long["accuracy"]))
    with pytest.raises(DataError, match="cells of one D"):
        cells_in(long[long["D"] == long["D"].min()])
    gaps = wide.astype(float).mask(wide > 0.6)
    assert len(cells_in(gaps.assign(N=wide["N"], D=wide["D"])).points.mean) == (long["accuracy"] <= 0.6).sum()
    with pytest.raises(DataError, match="divide percents by 100"):
        cells_in(long.assign(accuracy=100 * long["accuracy"]))
    with pytest.raises(DataError, match="without D"):
        cells_in(long.drop(columns="D"))
    with pytest.raises(DataError, match="without N and D, and no spec of model"):
        cells_in(named.drop(columns="N"))


def test_several_tasks_are_never_pooled():
    long = pd.DataFrame({**GRID, "accuracy": planted(T2).mean})
    both = pd.concat([long.assign(task="easy"), long.assign(task="hard", accuracy=long["accuracy"] / 2)])
    with pytest.raises(DataError, match="2 tasks; expected one of easy, hard"):
        cells_in(both)
    assert cells_in(both, task="hard").points.mean == pytest.approx(long["accuracy"] / 2)


def test_samples_of_several_models_are_cells_of_their_coverage():
    rows = [
        (f"m{n:.0f}-{d:.0f}", f"p{i}", 16, min(16, int(i * (n / 1e9) ** 0.2 * (d / 5e10) ** 0.2)))
        for n in SIZES for d in TOKENS for i in range(20)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "problem", "n", "correct"])
    specs = {name: parse(name.removeprefix("m").replace("-", "@")) for name in frame["model"].unique()}
    cells = cells_of(open_evidence(frame, specs=specs))
    assert cells.points.outcome.shape == (20, 100)
    assert set(cells.points.inputs["k"]) == {1, 2, 4, 8, 16}
    assert cells.points.units == 5
    first = (
        (cells.points.inputs["k"] == 1) & (cells.points.inputs["N"] == 1e9) & (cells.points.inputs["D"] == 5e10)
    )
    assert cells.points.mean[first] == pytest.approx(np.minimum(np.arange(20), 16).mean() / 16)
    (best, other) = joint(cells, LIFE, bootstrap=0)
    assert {best.ranked.law, other.ranked.law} == {"t2", "t2-beta"}


def test_counts_of_several_models_are_asked_on_the_command_line(tmp_path):
    rows = [f"{n}-{d},p{i},8,{min(8, i * (a + b) // 8)}" for a, n in enumerate((1, 4, 16)) for b, d in
            enumerate((2, 8, 32)) for i in range(9)]  # fmt: skip
    (tmp_path / "counts.csv").write_text("model,problem,n,correct\n" + "\n".join(rows))
    specs = [f"--spec={n}-{d}={n}e8@{d}e9" for n in (1, 4, 16) for d in (2, 8, 32)]
    how = ["--queries", "1e6", "--target", "0.5", "--bootstrap", "0", "--json", "--generate", "100"]
    document = json.loads(asked(tmp_path / "counts.csv", *specs[1:], *how))
    assert document["tokens"] == {"prompt": 256, "generated": 100}
    notes = " ".join(document["notes"])
    assert "measured: N 1e+08 to 1.6e+09, D 2e+09 to 3.2e+10, k 1 to 8" in notes
    assert "left out, without a spec: 1-2" in notes


def asked(*arguments):
    done = CliRunner().invoke(app, ["joint", *map(str, arguments)])
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done.stdout


def test_the_testbeds_ladder_has_an_optimum_and_says_how_ill_it_is_forecast():
    how = [LADDER, *NAMED, "--queries", "1e5", "--target", "0.25", "--bootstrap", "200", "--runs", "N,seed"]
    document = json.loads(asked(*how, "--json"))
    best = document["laws"][0]
    assert best["law"] == "t2-beta"
    assert best["error"] == pytest.approx(16, abs=2)
    by_name = {one["name"]: one for one in best["choices"]}
    assert by_name[CELL]["N"]["value"] == 6096
    assert by_name[JOINT]["outside"] == ["N below", "D above"]
    assert by_name[JOINT]["flops"]["value"] < by_name[MEASURED]["flops"]["value"]
    assert by_name[AWARE]["times"]["low"] > 1
    shown = " ".join(asked(*how).split())
    assert "cost least" in shown
    assert "(extrapolated: N below, D above)" in shown
    assert "forecasts what was left out of it: mean absolute error largest-size" in shown


def test_one_way_of_leaving_out_can_be_named_and_a_table_may_come_through_a_pipe():
    frame = pd.DataFrame({**GRID, "accuracy": planted(T2).mean, "n": 100})
    how = ["--queries", "1e10", "--target", "0.5", "--bootstrap", "0", "--hold-out", "largest-size", "--json"]
    done = CliRunner().invoke(app, ["joint", "-", *how], input=frame.to_csv(index=False))
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document["laws"][0]["errors"]) == ["largest-size"]
    assert document["laws"][0]["law"] == "t2"
    assert document["laws"][0]["error"] == pytest.approx(0, abs=0.01)
