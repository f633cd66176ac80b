"""A study over training seeds: means and intervals over seeds, groups, controls, and the folder that says it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.seed_calibration import covered
from planted import planted
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.curves import over_seeds, simultaneous, weights
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import PAPER_R, TEST_TIME, ladder_over, repeated, verdicts
from scalinglab.exchange.contrasts import beside, trend
from scalinglab.exchange.controls import with_more
from scalinglab.exchange.groupings import DIFFICULTY, axes_of
from scalinglab.exchange.seeds import check_alike, headline_cells, seed_table
from scalinglab.flops import CONVENTIONS
from scalinglab.report import explore, repeated_report, study_readme
from scalinglab.tasks import Level, level_of, problems

LADDER = Path(__file__).parents[1] / "results" / "testbed" / "ladder.csv"
LEVELS = [Level(facts, sums) for facts in range(3) for sums in range(3) if facts + sums]


def paired(seeds, rng, *, rows=1, count=100, between=0.0):
    """Differences of problems, (seeds, problems, rows), their means, and these under resamples."""
    values = rng.normal(0, 0.4, (1, count, 1)) + rng.normal(0, 0.3, (seeds, count, rows))
    values = values + rng.normal(0, between, (seeds, 1, rows))
    share = weights(count, 500, 0)
    return values.mean(axis=1), np.stack([share @ own for own in values])


def test_seeds_that_are_alike_say_what_one_says():
    point, draws = paired(1, np.random.default_rng(0), rows=3)
    one = simultaneous(draws[0], point[0], problems=100)
    middle, low, high = over_seeds(np.repeat(draws, 3, axis=0), np.repeat(point, 3, axis=0), problems=100)
    assert middle == pytest.approx(point[0])
    assert low == pytest.approx(one[0], abs=0.01)
    assert high == pytest.approx(one[1], abs=0.01)
    assert over_seeds(draws, point, problems=100)[1] == pytest.approx(one[0])


def test_seeds_that_differ_widen_the_interval_by_few_degrees_of_freedom():
    point, draws = paired(3, np.random.default_rng(1))
    apart = point + np.array([[-0.1], [0.0], [0.1]])
    _, low, high = over_seeds(draws + (apart - point)[:, None], apart, problems=100)
    assert (high - low)[0] / 2 > 4.3 * 0.1 / np.sqrt(3) * 0.9  # t of 2 degrees of freedom, not 1.96


def test_intervals_over_seeds_cover_what_was_planted():
    share = covered(studies=150, seeds=3, rows=3, between=0.04, count=100)
    assert share >= 0.9  # 13 or fewer of 150 lie below it at a rate of 95 % in 1 of 100 runs


def test_a_planted_difference_is_found_over_seeds_and_each_seed_is_shown():
    found = {str(s): planted([0.4, 0.5, 0.6, 0.7], 0.3 + 0.05 * s, problems=40) for s in range(3)}
    table = seed_table(headline_cells(found, [1.0]), list(found))
    row = table.iloc[0]
    own = [row[f"seed {s}"] for s in range(3)]
    assert own[0] - own[2] == pytest.approx(0.1, abs=1e-6)
    assert row["difference"] == pytest.approx(np.mean(own))
    assert row["between"] == pytest.approx(0.05, abs=1e-6)
    assert row["verdict"] == TEST_TIME
    assert row["low"] < row["difference"] < row["high"]


def test_one_seed_is_what_the_verdicts_of_its_view_are():
    rng = np.random.default_rng(0)
    chance = rng.random((40, 1)) ** np.array([2.0, 1.5, 1.0, 0.7])
    view = planted(chance, (rng.random(40) < 0.6).astype(float), problems=40)
    row = seed_table(headline_cells({"0": view}, PAPER_R), ["0"])
    told = verdicts([view], PAPER_R)
    told = told[told["strategy"] == "compute-optimal"].reset_index(drop=True)
    assert row["verdict"].tolist() == told["verdict"].tolist()
    known = told["low"].notna()
    for name in ("small", "large", "difference", "low", "high"):
        assert row.loc[known, name].to_numpy() == pytest.approx(told.loc[known, name].to_numpy(float), abs=1e-9)


def test_a_mechanism_less_its_control_drops_the_large_model_and_trends_are_slopes():
    better, worse = (planted([x] * 4, 0.5, problems=30) for x in (0.8, 0.6))
    ours, theirs = (headline_cells({"0": one, "1": one}, [1.0]) for one in (better, worse))
    table = seed_table(beside(ours, theirs, "control"), ["0", "1"])
    assert table["difference"][0] == pytest.approx(0.2, abs=1e-6)
    assert table["against"][0] == "control"
    groups = [replace(ours[0], small=ours[0].small - 0.1 * x) for x in range(3)]
    slope = trend(groups, [0, 1, 2])
    assert (slope.small - slope.large).mean() == pytest.approx(-0.1, abs=1e-6)
    assert trend(groups[:1], [0]) is None


def test_seeds_on_other_problems_are_refused_in_three_parts():
    views = {"0": planted([0.5] * 4, 0.5, problems=20), "1": planted([0.5] * 4, 0.5, problems=21)}
    with pytest.raises(
        DataError, match=r"1 problems that only one of seeds 0 and 1.*same problems.*finish the runs"
    ):
        check_alike(views)


def test_axes_are_read_off_questions_of_the_testbed_alone():
    stream = problems("test", LEVELS, seed=1)
    asked = [next(stream).question for _ in range(40)]
    facts, sums, rarest = axes_of(asked)
    assert (facts.name, sums.name, rarest.name) == ("facts", "sums", "rarest fact")
    assert axes_of([*asked, "5751+0100-6000?"]) == []  # of the first testbed's task


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three seeds of one simulated study, whose problems are given the names of the testbed's questions."""
    stream, folder = problems("test", LEVELS, seed=1), tmp_path_factory.mktemp("seeds")
    names = list(dict.fromkeys(next(stream).question for _ in range(60)))
    found = {}
    for seed in range(3):
        one = open_evidence(record(folder / f"run-{seed}", problems=24, samples=8, seed=seed))
        called = {f"p{i:03d}": name for i, name in enumerate(names)}
        units = one.run.units.assign(problem=one.run.units["problem"].map(called))
        found[str(seed)] = replace(one, run=replace(one.run, units=units))
    return found, repeated(found, rules=[CONVENTIONS["paper"]])


def test_search_and_revisions_stand_apart_with_controls_in_groups(study):
    _, found = study
    assert set(found.headline()["trial"]) == {"search", "revisions"}
    assert found.headline()["R"].tolist() == [*PAPER_R, *PAPER_R]
    rows = found.rows
    assert {"difficulty", "facts", "sums", "rarest fact"} <= set(rows["grouping"])
    assert set(found.headline(whole=False)["bin"]) == {"easy", "medium", "hard"}
    by_facts = found.headline("search", grouping="facts", whole=False)
    counts = by_facts[by_facts["R"] == PAPER_R[0]].set_index("bin")["problems"]
    asked = [level_of(name).facts for name in found.view.arms.problems]
    assert counts["0 facts"] == asked.count(0)
    assert set(found.contrasts["against"]) >= {"majority", "reviser, parallel"}
    assert set(found.trends["grouping"]) == {"facts", "sums"}
    assert (rows["grouping"] == DIFFICULTY.name).any()


def test_what_was_not_measured_is_named(study):
    evidence, found = study
    told = "\n".join(found.lacking)
    assert "small-more: not measured" in told
    assert with_more(evidence["0"], None) is None
    more = with_more(evidence["0"], evidence["1"])
    assert more.pair() == ("small-more", "large")
    assert set(more.models()) == {"small-more", "large"}
    assert any(evidence["1"].run.units["verifiers"])
    named = {name for names in more.run.units["verifiers"] for name in names}
    assert not named, "what a verifier chose has no verifier here"


def test_one_command_writes_the_verdict_first_with_its_controls(study, tmp_path):
    evidence, found = study
    climbed = ladder_over(pd.read_csv(LADDER), evidence["0"], found.view.convention, [1.0])
    assert {"cheapest cell measured", "joint"} <= set(climbed["choice"])
    assert (climbed.groupby("target")["times"].min() <= 1).all()
    made = repeated_report(found, replace(explore(found), ladder=climbed))
    text = study_readme(found, made).decode()
    assert text.index("At R = 0.16") < text.index("## ")
    assert "Search over its controls at R = 0.79 (at every R: contrasts): majority" in text
    assert "where it was not fitted the law is off by 1" in text
    paths = made.write(tmp_path / "out", command=["scalinglab", "testbed"], files={"README.md": text.encode()})
    names = {path.name for path in paths}
    assert {"report.html", "manifest.json", "headline.csv", "facts.png", "difficulty.png", "findings.csv"} <= names
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]


def test_the_verb_writes_beside_the_settings_of_the_study_alone(tmp_path):
    run = str(record(tmp_path / "run", problems=8, samples=4))
    out, verb = tmp_path / "out", ["testbed", "study", run, "--out", str(tmp_path / "out"), "--r", "1"]
    out.mkdir()
    (out / "study-0.toml").write_text("name = 'kept'")
    with pytest.raises(DataError, match="2 --more for 1 runs; expected one for each run"):
        CliRunner().invoke(app, [*verb, "--more", run, "--more", run], catch_exceptions=False)
    (tmp_path / "ladder.csv").write_text("model,tokens\na,1\n")
    with pytest.raises(DataError, match=r"ladder\.csv lacks parameters, non_embedding, pass@1; expected a ladder"):
        CliRunner().invoke(app, [*verb, "--ladder", str(tmp_path)], catch_exceptions=False)
    done = CliRunner().invoke(app, [*verb, "--more", run])
    assert done.exit_code == 0, done.output
    assert (out / "study-0.toml").read_text() == "name = 'kept'"
    assert "small-more" in (out / "README.md").read_text()
