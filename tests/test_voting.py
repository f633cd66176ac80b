"""Votes that stop early: the criterion in closed form, by hand, and from a study to a comparison."""

import asyncio

import pytest
from scipy.stats import beta
from scripted import ScriptedEngine, ScriptedTask

from scalinglab.collect import collect
from scalinglab.collect.strategies import STRATEGIES, stays_ahead
from scalinglab.errors import DataError
from scalinglab.samples import RunStore, Unit


@pytest.mark.parametrize("first", [0, 1, 2, 3, 5, 20, 200])
@pytest.mark.parametrize("second", [0, 1, 3, 20])
def test_the_criterion_is_the_tail_of_a_beta_distribution(first, second):
    assert stays_ahead(first, second) == pytest.approx(beta(first + 1, second + 1).sf(0.5), abs=1e-12)


def test_the_criterion_is_the_share_of_draws_in_which_the_leader_is_likelier():
    """By counting: of all p on a fine grid, weighted by the chance of these votes."""
    grid = [(i + 0.5) / 2000 for i in range(2000)]
    weights = [p**5 * (1 - p) ** 2 for p in grid]
    ahead = sum(weight for p, weight in zip(grid, weights, strict=True) if p > 0.5)
    assert stays_ahead(5, 2) == pytest.approx(ahead / sum(weights), abs=1e-5)


def test_two_that_are_level_are_as_likely_and_many_votes_are_sure():
    assert [stays_ahead(n, n) for n in (0, 1, 9)] == [0.5] * 3
    assert stays_ahead(3, 0) == 15 / 16
    assert stays_ahead(4, 0) == 31 / 32
    assert stays_ahead(5000, 10) == 1.0


def drawn(tmp_path, writes, *, engine=None, **parameters):
    """The answers that were drawn, as the store has them, and its calls."""
    unit = Unit("run", "scripted", "p", "policy", "small", "early_stopping", parameters, parameters["samples"])
    engine = engine or ScriptedEngine({"Q?": writes})
    with RunStore(tmp_path / "run.sqlite") as store:
        asyncio.run(collect([unit], {"small": engine}, {}, ScriptedTask(), store))
        run = store.read()
    return [answer if isinstance(answer, str) else None for answer in run.solutions["answer"]], run.calls


@pytest.mark.parametrize(
    ("writes", "options", "found"),
    [
        (["4;"] * 8, {}, ["4"] * 4),  # 31/32 is the first above 0.95
        (["4;"] * 8, {"threshold": 0.9}, ["4"] * 3),  # 15/16
        (["4;"] * 8, {"threshold": 0.9375}, ["4"] * 4),  # 15/16 does not exceed itself
        (["5;", *["4;"] * 7], {}, ["5", *["4"] * 6]),  # 6 to 1: 1 - (1 + 8) / 256, and 5 to 1 is 1 - 8 / 128
        (["4;", "5;"] * 4, {}, ["4", "5"] * 4),  # nothing is ever sure: all that may be drawn
        (["", "x", *["4;"] * 6], {}, [None, None, *["4"] * 4]),  # what has no answer does not vote
        (["4;"] * 8, {"batch": 3}, ["4"] * 6),
        (["4;", "5;"] * 4, {"batch": 3}, ["4", "5"] * 4),  # the last batch is what is left
    ],
)
def test_it_stops_once_the_leader_is_all_but_sure(writes, options, found, tmp_path):
    answers, calls = drawn(tmp_path, writes, samples=8, **options)
    assert answers == found
    assert len(calls) == len(found)
    assert calls["sample"].tolist() == list(range(len(found)))


def test_a_batch_is_in_flight_together_and_one_at_a_time_is_not(tmp_path):
    class Watched(ScriptedEngine):
        most = 0

        async def _serve(self, method, prompt):
            self.most = max(self.most, self.open + 1)
            return await super()._serve(method, prompt)

    for batch in (1, 4):
        engine, own = Watched(lambda *_: "4;", waits=0.001), tmp_path / str(batch)
        own.mkdir()
        drawn(own, None, engine=engine, samples=8, batch=batch)
        assert engine.most == batch


def test_its_samples_stand_for_nothing_but_all_of_them():
    one = STRATEGIES["early_stopping"]
    options = {"samples": 8, "threshold": 0.9, "batch": 2}
    assert one.block_of(options) is None
    assert one.choosers(options, ()) == {"": ("majority",)}
    assert one.family(options) == {"threshold": 0.9, "batch": 2}
    with pytest.raises(DataError, match="expected a probability from"):
        one.budget({**options, "threshold": 0.4})


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    def letters(prompt, seed):  # noqa: ARG001
        return f"{'445'[seed % 3]};"

    units = [
        Unit("run", "scripted", "p", "policy", "small", "early_stopping", {"samples": n, "batch": 2}, n)
        for n in (4, 8, 16)
    ]

    def run(name, chosen, **options):
        with RunStore(tmp_path / name) as store:
            asyncio.run(collect(chosen, {"small": ScriptedEngine(letters, **options)}, {}, ScriptedTask(), store))
            found = store.read()
        return found.solutions.sort_values(["unit", "position"]).reset_index(drop=True)

    whole = run("whole", units)
    run("broken", units[1:2], waits=0.001)
    assert run("broken", units, waits=0.001).equals(whole)
