"""`scalinglab optimal` on a simulated study: what it prints adds up, and what it refuses is said in one line."""

import json

import numpy as np
import pytest
from simulated import record
from typer.testing import CliRunner

from scalinglab.cli import app
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import OPTIMAL, choose, compare
from scalinglab.flops import CONVENTIONS
from scalinglab.optimal import MEASURED
from scalinglab.samples import RunStore, Solution, Unit

PAPER, EXACT = CONVENTIONS["paper"], CONVENTIONS["exact"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("study") / "run", problems=40, samples=32)


@pytest.fixture(scope="module")
def found(folder):
    return choose(open_evidence(folder), rule=PAPER, bins=4)


def ask(*arguments):
    return CliRunner().invoke(app, ["optimal", *map(str, arguments)])


def test_every_strategy_of_the_small_model_is_weighed_and_the_large_one_never(found):
    table = found.predicted[0].arms
    assert "coverage" not in set(table["selector"]), "which needs to know what is right"
    assert set(table["strategy"]) == {"greedy", "parallel", "beam_search", "revisions"}
    assert set(table["model"]) == {"small", "reviser"}
    assert found.predicted[0].budgets().tolist() == [1, 2, 4, 8, 16]


def test_a_good_verifier_predicts_difficulty(found):
    assert found.verifier == "prm"
    assert found.agreement.low > found.agreement.chance
    assert found.predicted[0].bins.source == "prm"


def test_accuracies_lie_in_their_intervals_and_bins_average_to_the_whole(found):
    table = found.table()
    assert (table["status"] == MEASURED).all()
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()
    assert (table["spent"] <= table["budget"] * (1 + 1e-9)).all(), "a budget means at most"
    for kind in (*found.predicted, *found.oracle):
        whole, *parts = kind.chosen.accuracy
        sizes = [len(members) for _, members in kind.bins.groups()]
        assert np.average(parts, axis=0, weights=sizes) == pytest.approx(whole)


def test_more_budget_is_not_worse_and_no_fixed_arm_beats_the_choice_beyond_noise(found):
    for _, rows in found.table().query("bin == 'all'").groupby("bins"):
        assert (np.diff(rows["accuracy"]) > -0.02).all()
        assert (rows["accuracy"] >= rows["fixed"] - 0.05).all()


def test_what_is_to_be_run_is_arms_and_shares_of_queries(found):
    for told in found.table()["arms"]:
        shares = [float(part.split(" of queries: ")[0]) for part in told.split("; ") if " of queries: " in part]
        assert not shares or sum(shares) == pytest.approx(1, abs=0.01)
        assert " x" in told


def test_search_and_revisions_gain_over_samples_of_their_own_proposer(found):
    table = found.gain()
    against = table.groupby("mechanism")["against"].unique().map(list).to_dict()
    assert against == {
        "search": ["parallel samples of the small model, weighted by prm"],
        "revisions": ["parallel samples of the reviser, weighted by orm"],
    }
    assert set(table["by"]) == {"step", "mixture"}
    wide = (
        table[table["unit"] == "samples"].pivot(index=["mechanism", "n"], columns="by", values="reaches").dropna()
    )
    assert (wide["mixture"] <= wide["step"] + 1e-9).all()


def test_samples_are_shared_out_by_one_half_and_scored_on_the_other(folder, found):
    """One sample is right as often as in the half that is scored; the two halves together are all 32 samples."""
    shared = found.allocation
    assert shared.budgets.tolist() == [1, 2, 4, 8, 16]
    run = open_evidence(folder).run
    units = run.units[run.units["strategy"] == "parallel"].set_index("key")["problem"]
    sampled = run.solutions[run.solutions["unit"].isin(units.index)]
    whole = (sampled["grade"] == "right").groupby(sampled["unit"].map(units)).mean()
    assert list(whole.index) == list(found.oracle[0].problems)
    assert (shared.uniform[:, 0] + found.oracle[0].bins.ease) / 2 == pytest.approx(whole.to_numpy())


def test_one_bin_takes_no_samples_to_set(folder):
    one = choose(open_evidence(folder), rule=PAPER, bins=1)
    assert one.notes[0] == "bins: none: all problems are one, which takes no samples to set"
    assert not any("half" in note or "predicted" in note for note in one.notes)
    assert one.allocation is None


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory):
    """A study whose samples for difficulty no verifier judged."""
    folder = record(tmp_path_factory.mktemp("unjudged") / "run", problems=12)
    with RunStore(folder / "run.sqlite") as store:
        for i in range(12):
            unit = Unit("run", "sums", f"p{i:03d}", "policy", "small", "difficulty", {"samples": 4}, 4)
            store.append(
                unit, [], [Solution("t", "a", "right" if j < i % 5 else "wrong", [], j) for j in range(4)]
            )
    return folder


def test_where_no_verifier_judged_what_sets_bins_the_oracle_stands(unjudged, tmp_path):
    found = choose(open_evidence(unjudged), rule=PAPER, bins=2)
    assert (found.predicted, found.agreement, found.allocation) == ((), None, None)
    assert set(found.table()["bins"]) == {"oracle"}
    assert len(found.gains) == 2
    assert any(note.startswith("no verifier predicts bins") for note in found.notes)
    with pytest.raises(DataError, match="verifier 'prm'"):
        choose(open_evidence(unjudged), rule=PAPER, bins=2, verifier="prm")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["report", str(unjudged), "--out", str(out), "--bins", "2"])
    assert done.exit_code == 0, done.output
    assert (out / "optimal.csv").exists()


def test_difficulty_is_paid_for_where_the_convention_says_so(folder, found):
    charged = choose(open_evidence(folder), rule=EXACT, bins=4)
    assert not found.predicted[0].bins.charged
    assert charged.predicted[0].bins.charged
    assert charged.predicted[0].bins.cost.mean() > 0
    told = ("not charged under this convention", "charged to every query")
    for one, words in zip((found, charged), told, strict=True):
        assert one.notes[0].endswith(words)


def test_the_command_prints_one_document_or_tables(folder):
    done = ask(folder, "--bins", 2, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert {row["bin"] for row in document["rows"]} == {"all", 1, 2}
    assert {row["convention"] for row in document["rows"] + document["gain"] + document["allocation"]} == {"paper"}
    shown = ask(folder, "--bins", 2, "--unit", "flops", "--all")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("With at most ")
    for part in (
        "compute-optimal strategy",
        "Gain over parallel",
        "Samples shared out",
        "Predicted against oracle",
    ):
        assert part in shown.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--small", "huge"], "no samples of model 'huge'; expected one of"),
        (["--verifier", "exact"], "verifier 'exact'; expected one of prm, orm"),
        (["--bins", "99"], "99 bins of 40 problems"),
    ],
    ids=str,
)
def test_what_the_run_lacks_is_refused(folder, options, said):
    assert said in str(ask(folder, *options).exception)


def test_a_run_that_no_model_judged_is_chosen_for_on_oracle_bins(tmp_path):
    folder = record(tmp_path / "run", problems=8)
    plan = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(plan | {"verifiers": {"prm": None, "orm": None}}))
    found = choose(open_evidence(folder), rule=PAPER, bins=2)
    assert (found.verifier, found.predicted, found.agreement, found.allocation) == (None, (), None, None)
    assert set(found.table()["bins"]) == {"oracle"}
    with pytest.raises(DataError, match="verifier 'prm'; expected one of none"):
        choose(open_evidence(folder), rule=PAPER, bins=2, verifier="prm")


def test_counts_have_a_choice_too(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"s,p{i},16,{rng.binomial(16, ease)}" for i, ease in enumerate(rng.beta(1, 2, 30))]
    rows += [f"l,p{i},4,2" for i in range(30)]
    path = tmp_path / "counts.csv"
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    asked = [path, "--small", "s", "--large", "l", "--spec", "s=1e9@20e9", "--spec", "l=4e9@20e9", "--bins", 2]
    document = json.loads(ask(*asked, "--json").stdout)
    assert document["gain"] == []
    assert document["verifier"] is None
    assert {row["bins"] for row in document["rows"]} == {"oracle"}
    shown = ask(*asked)
    assert shown.exit_code == 0, shown.output
    assert "Gain over" not in shown.stdout


def test_at_equal_flops_it_says_what_exchange_says_of_the_compute_optimal_strategy(tmp_path):
    """Over the same splits: accuracies are those of the headline, bin by bin.

    At every R here half of the 64 samples cost enough: beyond them the headline is one arm for all.
    """
    evidence = open_evidence(record(tmp_path / "run", problems=40, samples=64))
    compared = compare(evidence, r=[5.0, 10.0, 50.0], rules=[PAPER], bins=4)
    head = compared.verdicts[compared.verdicts["strategy"] == OPTIMAL]
    found = choose(evidence, rule=PAPER, bins=4, unit="flops", view=compared.view("paper"))
    assert len(found.oracle) == len(found.predicted) == 4
    assert len(head) == 3 * 5
    assert (head["status"] == MEASURED).all()
    for row in head.to_dict("records"):
        told = found.table(np.array([row["flops"]]))
        own = told[(told["bins"] == "oracle") & (told["bin"].astype(str) == row["bin"])]
        assert own["status"].tolist() == [MEASURED]
        assert own["accuracy"].tolist() == [pytest.approx(row["small"], abs=1e-6)]
        assert own["problems"].tolist() == [row["problems"]]
