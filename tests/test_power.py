"""How many problems and samples a study needs: the forecast against studies that are made, and its honesty."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scalinglab.advise import cheapest, outlay, read_gpus, said
from scalinglab.cli.verbs import app
from scalinglab.curves import CANNOT, MEASURED, Pool, Sampled, Way
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import OPTIMAL, Outlook, Redrawn, assumed, compare, power
from scalinglab.exchange.redrawn import prior
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import parse

SPECS = {"small": parse("1e9@20e9"), "large": parse("14e9@20e9")}
PAPER = CONVENTIONS["paper"]
DEMO = Path(__file__).parents[1] / "scalinglab" / "data" / "demo"
SEEN = Outlook("paper", 0.79, 16, 0.08, 0.5, 2.6, MEASURED, 1e12, 20, 1, 200, 40)


def study(problems, samples, seed):
    """Counts of a study whose chances are uniform for the small model; the large one's go with them."""
    rng = np.random.default_rng(seed)
    chance, names = rng.random(problems), [f"{i:03d}" for i in range(problems)]
    parts = [("small", samples, rng.binomial(samples, chance)), ("large", 1, rng.random(problems) < chance**0.3)]
    tables = [pd.DataFrame({"model": m, "problem": names, "n": n, "correct": c.astype(int)}) for m, n, c in parts]
    return open_evidence(pd.concat(tables), small="small", large="large", specs=SPECS)


def headline(evidence, r):
    found = compare(evidence, r=[r], rules=[PAPER]).verdicts
    return found[(found["strategy"] == OPTIMAL) & (found["bin"] == "all")].iloc[0]


@pytest.mark.parametrize(("problems", "samples"), [(60, 16), (250, 32)])
def test_the_forecast_width_is_that_of_the_studies_that_follow(problems, samples):
    made = [headline(study(problems, samples, seed), 22.0) for seed in range(3)]
    half = np.mean([(row["high"] - row["low"]) / 2 for row in made])
    (told,) = power(study(150, 8, 99), samples=samples, r=[22.0], rules=[PAPER]).outlooks
    assert told.half_width(problems) == pytest.approx(half, rel=0.15)


def test_assumed_accuracies_are_those_of_the_problems_made():
    found = assumed(0.2, 0.7, specs=SPECS, spread=0.3).counts
    rates = (found["correct"] / found["n"]).groupby(found["model"])
    assert rates.mean().to_dict() == pytest.approx({"small": 0.2, "large": 0.7}, abs=0.005)
    assert rates.get_group("small").var() == pytest.approx(0.3 * 0.2 * 0.8, rel=0.02)


def test_a_prior_is_of_chances_and_not_of_the_noise_of_samples():
    rng = np.random.default_rng(0)
    n = np.full(20_000, 4)
    a, b = prior(rng.binomial(4, rng.beta(1.0, 3.0, len(n))), n)
    assert (a, b) == pytest.approx((1.0, 3.0), rel=0.05)


def test_more_problems_are_narrower_and_decide_more():
    assert SEEN.half_width(800) < SEEN.half_width(200) / 1.9
    assert SEEN.chance(800, as_seen=True) > SEEN.chance(200, as_seen=True)
    enough = SEEN.enough(0.8, as_seen=True)
    assert SEEN.chance(enough, as_seen=True) >= 0.8 > SEEN.chance(enough - 1, as_seen=True)


def test_a_pilot_leaves_the_chance_open_however_large_the_study():
    assert SEEN.chance(10**6, as_seen=True) == pytest.approx(1)
    near = replace(SEEN, difference=0.0)
    assert SEEN.chance(500) < SEEN.chance(500, as_seen=True)
    assert near.chance(500) > near.chance(500, as_seen=True)  # it may be a difference that the pilot missed
    low, high = SEEN.half_widths(500)
    assert low < SEEN.half_width(500) < high
    assert replace(SEEN, pilot=None).half_widths(500) == (SEEN.half_width(500),) * 2


def test_what_cannot_be_paid_is_decided_and_few_problems_decide_nothing():
    assert replace(SEEN, status=CANNOT).chance(1) == 1
    assert SEEN.chance(5) == 0


def test_a_lower_bound_that_loses_decides_nothing():
    losing = replace(SEEN, difference=-0.3, status="lower bound", pilot=None)
    assert losing.chance(1000) == pytest.approx(0, abs=1e-6)
    assert replace(losing, status=MEASURED).chance(1000) == pytest.approx(1)


def test_samples_drawn_anew_keep_their_answers_and_how_often_each_is_right():
    evidence = open_evidence(DEMO)
    (view,) = compare(evidence, r=[22.0], rules=[PAPER]).views
    one = next(line for line in view.lines() if line.strategy == "parallel" and line.selector == "majority")
    reader = view.arms.readers[one.way].reader
    way = Way(*one_key(view, one), None, reader, ())
    pool = reader.pool
    (drawn,) = Redrawn(view.small, 64, 5)([way])
    again = drawn.reader.pool
    assert again.n.tolist() == [64] * 5 * len(pool.n)
    assert again.correct.sum() / again.n.sum() == pytest.approx(pool.correct.sum() / pool.n.sum(), abs=0.03)
    for row in range(len(pool.n)):
        own = {(bool(r), int(a)) for r, a in zip(pool.graded.right[row], pool.graded.answers[row], strict=True)}
        made = set(zip(again.graded.right[row].tolist(), again.graded.answers[row].tolist(), strict=True))
        kinds = {right for right, _ in own}
        assert {pair for pair in made if pair[0] in kinds} <= own


def one_key(view, line):
    row = view.arms.table[view.arms.table["way"] == line.way].iloc[0]
    return [str(row[name]) for name in ("role", "model", "strategy", "setting", "verifier", "selector")]


def test_counts_drawn_anew_are_of_more_problems_and_samples():
    pool = Pool("small", ("a", "b"), np.array([8, 8]), np.array([0, 8]))
    way = Way("policy", "small", "parallel", "{}", "", "coverage", None, Sampled(pool, "coverage"), ())
    (drawn,) = Redrawn("small", 100, 50)([way])
    share = (drawn.reader.pool.correct / 100).reshape(50, 2).mean(axis=0)
    assert share[0] < 0.15
    assert share[1] > 0.85
    assert len(set(drawn.reader.problems)) == 100


def test_the_outlay_of_a_pilot_is_its_own_where_nothing_is_changed():
    evidence = open_evidence(DEMO)
    units, calls = evidence.run.units, evidence.run.calls
    problems = units["problem"].nunique()
    own = units[(units["strategy"] == "parallel") & (units["model"] == evidence.small)]
    had = int(evidence.run.solutions["unit"].isin(own["key"]).sum() / problems)
    found = outlay(evidence, had, rule=PAPER, gpus=read_gpus("H100 SXM"), hourly=2.0)
    assert sum(found.written.values()) * problems == pytest.approx(calls["generated_tokens"].sum())
    assert found.times(problems)["answers"] == pytest.approx(len(evidence.run.solutions))
    more = outlay(evidence, 2 * had, rule=PAPER, gpus=read_gpus("H100 SXM"))
    assert more.answers == pytest.approx(found.answers + had)
    assert more.dollars is None
    assert "dollars" in more.unknown


def test_what_nobody_told_is_unknown():
    evidence = assumed(0.3, 0.6, specs=SPECS)
    found = outlay(evidence, 16, rule=PAPER, gpus=read_gpus("H100 SXM"), told=False, hourly=2.0)
    assert (found.seconds, found.dollars, found.read) == (None, None, None)
    assert found.times(10)["tokens"] is None
    assert outlay(evidence, 16, rule=PAPER, gpus=read_gpus("H100 SXM"), sizes=False).flops is None


def test_the_cheapest_split_decides_and_costs_least():
    evidence = assumed(0.3, 0.6, specs=SPECS)
    found = power(evidence, samples=16, others=[8], r=[22.0], rules=[PAPER], assumed=True)
    costs = {n: outlay(evidence, n, rule=PAPER, gpus=read_gpus("H100 SXM")) for n in (8, 16)}
    best = cheapest(found, "paper", 22.0, costs, chance=0.8)
    assert best.chance >= 0.8
    for one in found.outlooks:
        assert best.cost <= costs[one.samples].flops * one.enough(0.8)
    assert "500 problems and 16 samples decide R = 22 with a chance of" in said(found, "paper", 500, 16)


def test_too_small_a_pilot_is_refused():
    with pytest.raises(DataError, match="a pilot of 5 problems"):
        power(study(5, 8, 0), samples=8, rules=[PAPER])


def test_the_verb_says_its_answer_first_and_fits_a_terminal():
    asked = ["power", "--assume", "0.3,0.6", "--ratio", "14", "--samples", "16", "--r", "22"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "small against large: 500 problems and 16 samples decide R = 22 with a chance of"
    )
    table = done.stdout.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= 100
    assert "FLOPs unknown" in done.stdout
    document = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert document["takes"]["flops"] is None
    assert {row["samples"] for row in document["rows"] if row["convention"] == "paper"} == {4, 8, 16, 32}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "no pilot"),
        (["--assume", "0.3"], "two accuracies"),
        (["--assume", "0,1", "--ratio", "9"], "between 0 and 1"),
    ],
)
def test_what_cannot_be_forecast_is_said(asked, told):
    done = CliRunner().invoke(app, ["power", *asked])
    assert isinstance(done.exception, DataError)
    assert told in str(done.exception)
