import json
from dataclasses import asdict, replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from test_testbed_criteria import planted

from scalinglab.tasks import Level, problems
from scalinglab.testbed import judge, report_of
from scalinglab.testbed.measure import PARTS
from scalinglab.testbed.report import _straw_man
from scalinglab.testbed.training import Trained

DRAWN = tuple(islice(problems("test", (Level(0, 1), Level(1, 1))), 40))
LADDER = pd.DataFrame(
    {"non_embedding": [9, 9, 99, 99], "seed": 0, "tokens": [1, 2, 1, 2], "loss": [0.9, 0.5, 0.6, 0.2]}
)


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    folder = tmp_path_factory.mktemp("testbed")
    for i, name in enumerate(PARTS, start=1):
        spent = {"paper": 10 * i, "exact": 11 * i}
        run = Trained("micro", 100 * i, 90 * i, 60, 3, 0, 1.5, spent, spent, [2.0, 1.0, 0.5])
        (folder / name).mkdir()
        (folder / name / "manifest.json").write_text(json.dumps(asdict(run)))
    found = planted(drawn=DRAWN)
    report = report_of(found, judge(found), folder, ladder=LADDER)
    report.write(folder / "out", command=["scalinglab"], seed=0)
    return {section.name: section for section in report.sections} | {"out": folder / "out"}


def test_the_report_writes_a_table_and_a_picture_a_finding(sections):
    written = {path.name for path in sections["out"].iterdir()}
    for name in ("loss", "levels", "calibration", "revisions", "ladder"):
        assert {f"{name}.csv", f"{name}.png"} <= written
    assert {"criteria.csv", "training.csv", "report.html", "manifest.json"} <= written


def test_its_costs_and_losses_are_those_of_the_manifests(sections):
    costs = sections["training"].table
    assert list(costs["model"]) == list(PARTS)
    assert list(costs["FLOPs (exact)"]) == [11, 22, 33, 44, 55]
    small = sections["loss"].table.query("model == 'small'")
    assert list(small["tokens"]) == [20, 40, 60]
    assert list(small["loss"]) == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(("long", "said"), [(0.3, "(no straw man)"), (0.1, "A STRAW MAN")])
def test_a_size_that_gains_less_than_tokens_is_called_a_straw_man(long, said):
    run = Trained("micro", 100, 90, 60, 3, 0, 1.5, {}, {}, [0.5])
    trained = {"small": run, "large": run, "long": replace(run, tokens=240)}
    (note,) = _straw_man(trained, {"small": 0.4, "large": 0.2, "long": long})
    assert f"at 4 times the tokens has a validation loss of {long:.3f}" in note
    assert said in note
    assert _straw_man(trained, {"small": 0.4, "large": 0.2}) == []


def test_its_accuracies_are_means_over_the_problems_of_a_level(sections):
    found, table = planted(drawn=DRAWN), sections["levels"].table
    for level in {problem.level for problem in DRAWN}:
        mine = np.array([problem.level == level for problem in DRAWN])
        [row] = table[(table["level"] == str(level)) & (table["answers"] == "large, greedy")].to_dict("records")
        assert row["n"] == mine.sum()
        assert row["accuracy"] == pytest.approx(found.large[mine].mean())
        assert row["low"] <= row["accuracy"] <= row["high"]


def test_its_calibration_counts_every_step_and_answer(sections):
    found, table = planted(drawn=DRAWN), sections["calibration"].table
    counts = table.groupby("verifier")["n"].sum()
    assert counts["PRM, steps"] == sum(map(len, found.step_scores))
    assert counts["PRM, answers"] == counts["ORM, answers"] == found.prm.n.sum()
    assert set(table.loc[table["verifier"] == "PRM, answers", "right"]) == {0.0, 1.0}, "0.9 is right, 0.1 wrong"
