"""Arms: every measured way to answer, with hand-computed accuracies, and FLOPs that add up to the ledger's."""

import json

import numpy as np
import pytest

from scalinglab.curves import Arms, Sampled, arms_of
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import CONVENTIONS
from scalinglab.ledger import price
from scalinglab.samples import Call, RunStore, Solution, Unit
from scalinglab.specs import find

SPECS = {
    "m": find("Pythia-160M"),
    "reviser": find("Pythia-160M"),
    "p": find("Pythia-70M"),
    "o": find("Pythia-70M"),
}
JUDGES = {"prm": "p", "orm": "o", "exact": None}


def solved(answer, right, prm=0.5, *, orm=None, chain=0, at=0):
    other = {} if orm is None else {"orm": [orm], "exact": [float(right)]}
    grade = "right" if right else "wrong"
    return Solution("t", answer, grade, [prm], sample=at, chain=chain, round=at, other_scores=other)


def calls(role, model, judges, count):
    made = []
    for i in range(count):
        made.append(Call(role, model, 20, 30 + i, 20, sample=i, cached_tokens=0))
        made += [
            Call("verifier", judge, 50 + i, 0, 20, scored_tokens=1, sample=i, cached_tokens=0) for judge in judges
        ]
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two problems. a: four samples, of which the PRM prefers the wrong ones; b: all wrong."""
    samples = {
        "a": [solved("x", True, 0.2, orm=0.9), solved("y", False, 0.9, orm=0.1)] * 2,
        "b": [solved("z", False, 0.5, orm=0.5)] * 4,
    }
    # Chain 0 says x twice weakly, chain 1 says y once strongly; flat y has the larger sum.
    chains = [solved("x", True, 0.3), solved("x", True, 0.4, at=1)]
    chains += [solved("y", False, 0.9, chain=1, at=2), solved("w", False, 0.1, chain=1, at=3)]
    with RunStore(tmp_path_factory.mktemp("arms") / "run.sqlite") as store:
        for problem, found in samples.items():
            unit = Unit(
                "r",
                "t",
                problem,
                "policy",
                "m",
                "parallel",
                {"samples": 4, "verifier": ["prm", "orm", "exact"]},
                4,
            )
            store.append(unit, calls("policy", "m", ("p", "o"), 4), found)
            beam = {"beams": 2, "width": 2, "verifier": "prm"}
            unit = Unit("r", "t", problem, "policy", "m", "beam_search", beam, 2)
            store.append(unit, calls("policy", "m", ("p",), 3), found[:2])
            for seed in (0, 1):
                unit = Unit(
                    "r", "t", problem, "reviser", "reviser", "revisions",
                    {"chains": 2, "length": 2, "verifier": "prm"}, 4, seed,
                )  # fmt: skip
                answers = chains if seed == 0 else [solved("x", True, chain=i // 2, at=i) for i in range(4)]
                store.append(unit, calls("reviser", "reviser", ("p",), 4), answers)
        return store.read()


def evidence_of(run, verifiers=JUDGES):
    return Evidence("a run", run, None, "m", None, verifiers, SPECS)


def read(run, name="exact", **options):
    (found,) = arms_of(evidence_of(run), [CONVENTIONS[name]], models=("m", "reviser"), **options)
    return found


@pytest.fixture(scope="module")
def arms(run):
    return read(run)


def column(arms: Arms, **wanted):
    found = arms.table
    for name, value in wanted.items():
        found = found[found[name] == value]
    assert len(found) == 1, found
    return int(found.index[0])


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ({"strategy": "parallel", "selector": "majority", "budget": 1}, [0.5, 0]),
        ({"strategy": "parallel", "selector": "majority", "budget": 4}, [0.5, 0]),
        ({"strategy": "parallel", "selector": "weighted", "verifier": "prm", "budget": 4}, [0, 0]),
        ({"strategy": "parallel", "selector": "weighted", "verifier": "orm", "budget": 4}, [1, 0]),
        # Of 6 pairs, 5 hold a right one.
        ({"strategy": "parallel", "selector": "best-of-n", "verifier": "exact", "budget": 2}, [5 / 6, 0]),
        ({"strategy": "parallel", "selector": "best-of-n", "verifier": "prm", "budget": 2}, [1 / 6, 0]),
        ({"strategy": "beam_search", "selector": "weighted"}, [0, 0]),
        # Four chains over two seeds: x at 0.4, y at 0.9, twice x at 0.5; y wins each of its three pairs of six.
        ({"strategy": "revisions", "selector": "hierarchical", "budget": 4}, [1 / 2, 1 / 2]),
        # Flat, the sums for x are 0.7 against 0.9, and 1.0 where its chain is one of the last two.
        ({"strategy": "revisions", "selector": "weighted", "budget": 4}, [5 / 6, 5 / 6]),
        ({"strategy": "revisions", "selector": "majority", "budget": 4}, [1, 1]),
        ({"strategy": "revisions", "selector": "majority", "budget": 2}, [3 / 4, 3 / 4]),
    ],
)
def test_accuracy_by_hand(arms, wanted, right):
    assert arms.accuracy[:, column(arms, **wanted)] == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_an_arm_costs_what_the_ledger_charged_for_it(run, name):
    arms = read(run, name)
    entries = price(run, SPECS, convention=CONVENTIONS[name]).entries
    parallel = entries[entries["strategy"] == "parallel"]
    for verifier, model in (("", ""), ("prm", "p"), ("orm", "o"), ("exact", "")):
        selector = "weighted" if verifier else "majority"
        at = column(arms, strategy="parallel", verifier=verifier, selector=selector, budget=4)
        paid = parallel[(parallel["phase"] != "verifier") | (parallel["model"] == model)]
        assert arms.flops[:, at].sum() == pytest.approx(paid["flops"].sum(), rel=1e-12)
    searched = entries[entries["strategy"] == "beam_search"]["flops"].sum()
    assert arms.flops[:, column(arms, strategy="beam_search")].sum() == pytest.approx(searched, rel=1e-12)
    revised = entries[entries["strategy"] == "revisions"]["flops"].sum()
    at = column(arms, strategy="revisions", selector="hierarchical", budget=4)
    assert arms.flops[:, at].sum() == pytest.approx(revised / 2, rel=1e-12)


def test_half_the_samples_cost_half_but_for_the_question_read_once(arms):
    one, two, four = (
        arms.flops[:, column(arms, strategy="parallel", selector="majority", budget=k)] for k in (1, 2, 4)
    )
    assert four - two == pytest.approx(2 * (two - one), rel=1e-12)
    assert (2 * two > four).all()


def test_a_choice_of_arms_keeps_columns_together(arms):
    searches = arms.where((arms.table["strategy"] == "beam_search").to_numpy())
    assert len(searches.table) == searches.accuracy.shape[1] == searches.flops.shape[1] == 1
    assert json.loads(searches.table["setting"].iloc[0]) == {"width": 2}, "beams are the budget"


def test_ties_across_chains_are_shared_and_chains_of_one_answer_are_samples(tmp_path):
    found = [solved("x", True, 0.5), solved("y", False, 0.5, chain=1, at=1)]
    with RunStore(tmp_path / "run.sqlite") as store:
        options = {"chains": 2, "length": 1, "verifier": "prm"}
        unit = Unit("r", "t", "a", "reviser", "reviser", "revisions", options, 2)
        store.append(unit, calls("reviser", "reviser", ("p",), 2), found)
        run = store.read()
    (arms,) = arms_of(evidence_of(run), [CONVENTIONS["exact"]], models=("reviser",))
    ties = arms.table["selector"] != "coverage"
    assert np.allclose(arms.accuracy[:, ties], 0.5)
    assert set(arms.table["budget"]) == {1, 2}, "read at every k"
    assert set(arms.table["selector"]) == {"coverage", "majority", "weighted", "best-of-n"}


def test_chains_are_read_at_every_number_of_them(arms):
    rows = arms.table[(arms.table["strategy"] == "revisions") & (arms.table["selector"] == "hierarchical")]
    assert rows["budget"].tolist() == [2, 4, 8], "one chain, two and four, of two answers each"
    one, two, four = arms.flops[:, rows.index].mean(axis=0)
    assert four - two == pytest.approx(2 * (two - one))
    assert arms.accuracy[0, rows.index] == pytest.approx([3 / 4, 1 / 2, 1])


def test_a_search_is_known_only_where_it_was_run(arms):
    searched, sampled = (
        arms.readers[int(arms.table.loc[arms.table["strategy"] == name, "way"].iloc[0])]
        for name in ("beam_search", "parallel")
    )
    assert searched.budgets.tolist() == [2]
    assert sampled.budgets.tolist() == [1, 2, 3, 4]
    assert isinstance(sampled.reader, Sampled)


def test_what_cannot_be_read_is_refused_and_missing_problems_are_left_out(run):
    with pytest.raises(DataError, match="verifier 'prm'"):
        arms_of(evidence_of(run, {}), [CONVENTIONS["exact"]], models=("m",))
    units = run.units[~((run.units["problem"] == "b") & (run.units["strategy"] == "beam_search"))]
    short = type(run)(units, *(frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions)))
    assert read(short).problems == ("a",)
    with pytest.raises(DataError, match="m / beam_search lacks 1 of 2 problems"):
        read(short, strict=True)


def test_a_vote_is_no_arm_where_no_answer_was_recorded(run):
    blind = type(run)(run.units, run.calls, run.solutions.assign(answer=None))
    table = read(blind).table
    assert set(table["selector"]) == {"coverage", "best-of-n"}, "which need no answers"
    assert set(table["strategy"]) == {"parallel"}


def test_a_verifier_without_a_spec_unprices_what_pays_it_and_nothing_else(run):
    bare = Evidence("a run", run, None, "m", None, JUDGES, {k: v for k, v in SPECS.items() if k != "o"}, ("o",))
    (found,) = arms_of(bare, [CONVENTIONS["small-pays"]], models=("m", "reviser"))
    whole = read(run, "small-pays")
    assert "orm" not in set(found.table["verifier"])
    assert set(found.table["verifier"]) == {"", "prm", "exact"}
    for wanted in ({"selector": "majority", "verifier": ""}, {"selector": "weighted", "verifier": "prm"}):
        at = [column(one, strategy="parallel", budget=4, **wanted) for one in (found, whole)]
        assert found.flops[:, at[0]] == pytest.approx(whole.flops[:, at[1]])
