"""Arms: every measured way to answer, with hand-computed accuracies, and FLOPs that add up to the ledger's."""

import json

import numpy as np
import pytest

from scalinglab.curves import Arms, arms_of
from scalinglab.errors import DataError
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
        made.append(Call(role, model, 20, 30 + i, 20, sample=i))
        made += [Call("verifier", judge, 50 + i, 0, 20, scored_tokens=1, sample=i) for judge in judges]
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


def priced(run, name="exact"):
    return price(run, SPECS, convention=CONVENTIONS[name])


@pytest.fixture(scope="module")
def arms(run):
    return arms_of(run, priced(run), verifiers=JUDGES)


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
        # Two seeds: the first is wrong where chains are weighed (0.4 against 0.9), the second right.
        ({"strategy": "revisions", "selector": "hierarchical"}, [0.5, 0.5]),
        ({"strategy": "revisions", "selector": "weighted"}, [0.5, 0.5]),
        ({"strategy": "revisions", "selector": "majority"}, [1, 1]),
    ],
)
def test_accuracy_by_hand(arms, wanted, right):
    assert arms.accuracy[:, column(arms, **wanted)] == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_an_arm_costs_what_the_ledger_charged_for_it(run, name):
    ledger = priced(run, name)
    arms = arms_of(run, ledger, verifiers=JUDGES)
    entries = ledger.entries
    parallel = entries[entries["strategy"] == "parallel"]
    for verifier, model in (("", ""), ("prm", "p"), ("orm", "o"), ("exact", "")):
        selector = "weighted" if verifier else "majority"
        at = column(arms, strategy="parallel", verifier=verifier, selector=selector, budget=4)
        paid = parallel[(parallel["phase"] != "verifier") | (parallel["model"] == model)]
        assert arms.flops[:, at].sum() == pytest.approx(paid["flops"].sum(), rel=1e-12)
    searched = entries[entries["strategy"] == "beam_search"]["flops"].sum()
    assert arms.flops[:, column(arms, strategy="beam_search")].sum() == pytest.approx(searched, rel=1e-12)
    revised = entries[entries["strategy"] == "revisions"]["flops"].sum()
    at = column(arms, strategy="revisions", selector="hierarchical")
    assert arms.flops[:, at].sum() == pytest.approx(revised / 2, rel=1e-12)


def test_half_the_samples_cost_half_but_for_the_question_read_once(run):
    ledger = priced(run)
    arms = arms_of(run, ledger, verifiers=JUDGES)
    one, two, four = (
        arms.flops[:, column(arms, strategy="parallel", selector="majority", budget=k)] for k in (1, 2, 4)
    )
    assert four - two == pytest.approx(2 * (two - one), rel=1e-12)
    assert (2 * two > four).all()


def test_a_choice_of_arms_keeps_columns_together(arms):
    searches = arms.where((arms.table["strategy"] == "beam_search").to_numpy())
    assert len(searches.table) == searches.accuracy.shape[1] == searches.flops.shape[1] == 1
    assert json.loads(searches.table["setting"].iloc[0]) == {"beams": 2, "width": 2}


def test_ties_across_chains_are_shared(tmp_path):
    found = [solved("x", True, 0.5), solved("y", False, 0.5, chain=1, at=1)]
    with RunStore(tmp_path / "run.sqlite") as store:
        options = {"chains": 2, "length": 1, "verifier": "prm"}
        unit = Unit("r", "t", "a", "reviser", "reviser", "revisions", options, 2)
        store.append(unit, calls("reviser", "reviser", ("p",), 2), found)
        run = store.read()
    arms = arms_of(run, priced(run), verifiers=JUDGES)
    assert np.allclose(arms.accuracy, 0.5)


def test_what_cannot_be_read_is_refused(run):
    with pytest.raises(DataError, match="verifier 'prm'"):
        arms_of(run, priced(run), verifiers={})
    short = type(run)(run.units[~((run.units["problem"] == "b") & (run.units["strategy"] == "beam_search"))],
                      run.calls, run.solutions)  # fmt: skip
    ledger = priced(run)
    with pytest.raises(DataError, match="lacks 1 of 2 problems, such as b"):
        arms_of(short, ledger, verifiers=JUDGES)
