"""Break-evens and verdicts read the same budgets and say the same: on the first study and on Pythia's counts."""

from pathlib import Path

import numpy as np
import pytest
from planted import planted

from scalinglab.evidence import open_evidence
from scalinglab.exchange import CANNOT_PAY, PAPER_R, PRETRAINING, SIDES, TEST_TIME, breakeven, compare, verdicts
from scalinglab.flops import CONVENTIONS

STUDY = Path(__file__).parent / "data" / "first-study"
R = (0.05, 0.1, *PAPER_R[:1], 0.3, 0.5, *PAPER_R[1:2], 1.5, 3.0, 6.0, 12.0, *PAPER_R[2:], 50.0, 100.0)
RULES = [CONVENTIONS[name] for name in ("paper", "paper-verifier", "exact")]
BACK = "crossed back: ahead at some measured R, behind at a lower one"


def both(found):
    """Verdicts of lines beside their break-evens, within the R that the measured budgets stand for."""
    keys = ["strategy", "model", "verifier", "selector", "bin", "convention"]
    rows = found.verdicts.merge(found.breakeven, on=keys, suffixes=("", "_even"), validate="many_to_one")
    return rows[(rows["R"] >= rows["measured_from"]) & ~(rows["R"] > rows["measured_to"])]


def sides(rows):
    """Who wins at R by the verdict, by the break-even's interval, by the means and by R*: 1, -1 or 0."""
    told = rows["verdict"].map({TEST_TIME: 1, PRETRAINING: -1, CANNOT_PAY: -1}).fillna(0)
    decided = rows["status_even"].map(SIDES).fillna(0)
    bounded = np.select([rows["R"] < rows["low_even"], rows["R"] > rows["high_even"]], [1, -1], 0)
    star = np.where(rows["R_even"].isna(), decided, np.where(rows["R"] < rows["R_even"], 1, -1))
    return told, np.where(decided != 0, decided, bounded), np.sign(rows["difference"].fillna(0)), star


@pytest.fixture(scope="module", params=["first study", "pythia"])
def found(request):
    if request.param == "first study":
        return compare(open_evidence(STUDY), r=R, rules=RULES)
    path = request.getfixturevalue("shared_data")("pythia_math") / "counts.csv"
    return compare(open_evidence(path, small="Pythia 1B", large="Pythia 12B"), r=R, rules=RULES)


def test_no_verdict_contradicts_its_break_even(found):
    rows = both(found)
    told, decided, ahead, star = sides(rows)
    assert len(rows) > 50
    assert not (told * decided < 0).any(), "decided sides"
    assert not (told * star < 0).any(), "a decided verdict on the other side of R*"
    lines = rows["selector"] != "compute-optimal"
    assert not ((ahead * star < 0) & lines).any(), "a line's mean on the other side of R*"


def test_a_side_that_falls_behind_again_is_ahead_at_no_every_r():
    """Ahead at 4 samples and behind at 64: neither "test-time at every measured R" nor one R* is true."""
    view = planted([0.1, 0.9, 0.7, 0.1], 0.5, once=4.0)
    (row,) = breakeven([view]).query("model == 'small'").to_dict("records")
    assert row["status"] == BACK
    assert np.isnan([row["R"], row["low"], row["high"]]).all()
    told = verdicts([view], [row["measured_from"] * 1.01, 50.0]).query("model == 'small'")
    assert told["verdict"].tolist() == [PRETRAINING, TEST_TIME]


def test_a_row_names_the_model_that_answers(found):
    lines = found.breakeven[found.breakeven["selector"] != "compute-optimal"]
    told = found.verdicts.groupby("strategy")["model"].unique().map(list).to_dict()
    assert all(
        told[strategy] == [model] for strategy, model in zip(lines["strategy"], lines["model"], strict=True)
    )
    heads = found.breakeven.loc[found.breakeven["selector"] == "compute-optimal", "model"]
    assert set(heads) == {""}
