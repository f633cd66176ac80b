"""joint(cells): which N, D and k reach an accuracy at the least FLOPs over a lifetime of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.curves import tails
from scalinglab.errors import DataError, SpecError
from scalinglab.fits.cells import Cells
from scalinglab.fits.compare import Ranked, Split, compare, splits
from scalinglab.fits.data import Floats, Points
from scalinglab.fits.minimise import Ints
from scalinglab.fits.record import Estimate, Fit
from scalinglab.flops import Convention, components, total, training
from scalinglab.grids import eighths
from scalinglab.laws import T2, T2_BETA, Law, allocate
from scalinglab.specs import Count, ModelSpec

LAWS = (T2, T2_BETA)
Ends = dict[str, tuple[float, float]]
"""The least and the largest of N, D and k."""
NUMBERS = ("N", "D", "k", "flops", "times")
CELL = "cheapest cell measured"
MEASURED, JOINT = "joint, within what was measured", "joint"
AWARE, CHINCHILLA = "k = 1, inference-aware", "k = 1, Chinchilla-optimal"
_FAR, _MORE = 1000.0, 64  # how far beyond the measured N and D, and k, is searched
_LOST = 0.05  # share of resamples that miss the target above which there is no interval
_SAME = 1e-6  # relative distance of two numbers that are one
_LEAST = 40.0  # nats of loss at which nothing is right
_HALVINGS = 50
_ONE = 10**6  # parameters, or tokens, of which the price of one is read


@dataclass(frozen=True)
class Lifetime:
    """``queries`` to be answered at accuracy ``target``: N (training D + queries (once + each k)) FLOPs.

    ``training`` is a parameter's FLOPs a token; ``once`` and ``each`` are those of a question, and of a sample.
    """

    target: float
    queries: float
    training: float
    once: float
    each: float

    def answers(self, k: Any) -> Any:
        """Inference FLOPs a parameter."""
        return self.queries * (self.once + self.each * k)


@dataclass(frozen=True)
class Choice:
    """N, D and k of least ``flops`` (training and all answers), with 95 % intervals.

    An end that is None is open: the resample that sets it lies where the search ends; both are where the choice
    cannot vary, or too many resamples miss the target (``missed``: their share). ``times``: the FLOPs over those
    of the joint optimum. ``outside``: which of N, D and k lie below or above what was measured, or that the
    target is not reached.
    """

    name: str
    N: Estimate
    D: Estimate
    k: Estimate
    flops: Estimate
    times: Estimate
    outside: tuple[str, ...]
    missed: float


@dataclass(frozen=True)
class Answer:
    """A law's fit, how it forecasts what was left out of it, and its choices: none where the fit failed.

    ``nearest``: the error, as ``ranked`` has it, of taking the nearest cell that was not left out in its place.
    """

    ranked: Ranked
    choices: tuple[Choice, ...]
    nearest: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """As one JSON-ready record."""
        parameters = {name: asdict(estimate) for name, estimate in self.ranked.fit.parameters.items()}
        told: dict[str, Any] = {"formula": self.ranked.fit.law.text, "why": self.ranked.fit.why}
        told |= {"parameters": parameters, "nearest": dict(self.nearest)}
        return self.ranked.document() | told | {"choices": [asdict(choice) for choice in self.choices]}


def lifetime(target: float, queries: float, rule: Convention, *, prompt: int, generated: int) -> Lifetime:
    """What training and answers cost a parameter under a convention of 2N a token; N is what the data count.

    Raises DataError for a target outside 0..1 and for no queries, SpecError for a convention that needs shapes.
    """
    if not 0 < target < 1:
        raise DataError(f"a target of {target:g}", "an accuracy between 0 and 1", "mend --target")
    if not 0 <= queries < np.inf:
        raise DataError(f"{queries:g} queries", "a number of 0 or more", "mend --queries")
    if rule.parameters == "matmul" or rule.attention != "none":
        raise SpecError(f"convention {rule.name!r} for an N of no shape", "a rule of 2N a token", "choose paper")
    rule, one = replace(rule, parameters="total"), ModelSpec("N", Count(_ONE, _ONE))
    first, second = (total(components(one, prompt, generated, samples=k, convention=rule)) / _ONE for k in (1, 2))
    trained = total(training(one, _ONE, convention=rule)) / _ONE**2
    return Lifetime(target, queries, trained, 2 * first - second, second - first)


def joint(
    cells: Cells,
    life: Lifetime,
    *,
    laws: Sequence[Law] = LAWS,
    hold_out: Sequence[str] = (),
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[Answer]:
    """T^2 and its Beta form fitted to the cells, the better forecaster first, each with its ``choices``.

    hold_out, bootstrap, seed: as ``compare`` has them. Raises DataError as it does.
    """
    ranked = compare(laws, cells.points, hold_out=hold_out, bootstrap=bootstrap, seed=seed)
    nearest = {split.name: _nearest(split) for split in splits(cells.points, hold_out)}
    return [
        Answer(one, () if one.fit.objective is None else choices(one.fit, cells.points, life), nearest)
        for one in ranked
    ]


def _nearest(split: Split) -> float:
    """Mean absolute error in accuracy points of the fitted cell that is nearest in log N, D and k."""
    assert isinstance(split.fitted, Points)
    known, asked = (np.log(np.stack([one.inputs[x] for x in T2.inputs])) for one in (split.fitted, split.left_out))
    at = np.abs(asked[:, :, None] - known[:, None]).sum(axis=0).argmin(axis=1)
    return float(100 * np.abs(split.fitted.mean[at] - split.left_out.mean).mean())


def choices(found: Fit, points: Points, life: Lifetime) -> tuple[Choice, ...]:
    """The cheapest of the cells themselves; by the law the joint optimum within what was measured, and anywhere;
    at k = 1 that of training and answers (Sardana et al. 2024, arXiv 2401.00448), and that of training alone
    (Hoffmann et al. 2022, arXiv 2203.15556), which answers as often.

    ``points`` were fitted; "anywhere" is up to a thousand times beyond their N and D, and 64 times their k.
    Intervals are over the fit's resamples. Raises FitError where the fit failed.
    """
    best = np.array([list(found.values.values())])[:, : len(found.law.names)]
    theta = best if found.draws is None else np.vstack([best, found.draws[:, : best.shape[1]]])
    measured = {name: (float(values.min()), float(values.max())) for name, values in points.inputs.items()}
    every = eighths(int(measured["k"][1]) * _MORE)
    searches = _searches(measured, every)
    room = dict(zip(every.tolist(), _room(found.law, theta, every, life.target).T, strict=True))
    costs = [
        _cheapest(found.law, theta, np.stack([room[k] for k in one.k.tolist()], axis=1), one, life)
        for one in searches
    ]
    joint = costs[1][3]
    by_law = (
        _choice(one, np.vstack([cost, cost[3] / joint]), found, measured)
        for one, cost in zip(searches, costs, strict=True)
    )
    return _cell(points, life, float(joint[0])), *by_law


@dataclass(frozen=True)
class _Search:
    """Where a choice is looked for: numbers of samples, and the ends of N and D. ``aware``: of what answers cost.

    ``free``: the ends are those of the search, and no limits that were asked for.
    """

    name: str
    k: Ints
    ends: Ends
    free: bool = True
    aware: bool = True

    def stuck(self, cost: Floats) -> npt.NDArray[np.bool_]:
        """Which choices (N, D, k ...; S) lie where the search ends."""
        at = np.zeros(cost.shape[1], dtype=bool)
        for row, name in enumerate(("N", "D") if self.free else ()):
            low, high = self.ends[name]
            at |= (cost[row] <= low * (1 + _SAME)) | (cost[row] >= high * (1 - _SAME))
        if self.free and len(self.k) > 1:
            at |= cost[2] == self.k[-1]
        return at


def _cell(points: Points, life: Lifetime, joint: float) -> Choice:
    """The cheapest cell whose own accuracy reaches the target: no law is asked, and so there is no interval."""
    size, tokens, k = (points.inputs[name] for name in ("N", "D", "k"))
    flops = np.where(points.mean >= life.target, size * (life.training * tokens + life.answers(k)), np.inf)
    at = int(flops.argmin())
    if np.isinf(flops[at]):
        nothing = dict.fromkeys(NUMBERS, Estimate(None))
        return Choice(name=CELL, outside=(f"not reached: at most {points.mean.max():.3g}",), missed=0.0, **nothing)
    row = (size[at], tokens[at], k[at], flops[at], flops[at] / joint)
    numbers = {of: Estimate(None if np.isnan(x) else float(x)) for of, x in zip(NUMBERS, row, strict=True)}
    return Choice(name=CELL, outside=(), missed=0.0, **numbers)


def _searches(measured: Ends, every: Ints) -> list[_Search]:
    far = {name: (measured[name][0] / _FAR, measured[name][1] * _FAR) for name in ("N", "D")}
    low, high = measured["k"]
    return [
        _Search(MEASURED, every[(every >= low) & (every <= high)], measured, free=False),
        _Search(JOINT, every, far),
        _Search(AWARE, every[:1], far),
        _Search(CHINCHILLA, every[:1], far, aware=False),
    ]


def _room(law: Law, theta: Floats, k: Ints, target: float) -> Floats:
    """The loss E + A / N^a + B / D^b (S, k) from which k samples reach the target; 0 where none does."""
    rows = np.repeat(theta, len(k), axis=0)
    rows[:, 1:3] = 0.0  # A and B: then E alone is the loss
    at = {"N": np.ones(1), "D": np.ones(1), "k": np.tile(k.astype(float), len(theta))[:, None]}
    low, high = np.zeros(len(rows)), np.full(len(rows), _LEAST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rows[:, 0] = middle
        reached = law.unlinked(law.formula(rows, at))[:, 0] >= target
        low, high = np.where(reached, middle, low), np.where(reached, high, middle)
    return low.reshape(len(theta), len(k))


def _cheapest(law: Law, theta: Floats, room: Floats, search: _Search, life: Lifetime) -> Floats:
    """N, D, k and lifetime FLOPs (4, S) of the choice; NaN where none reaches the target."""
    names = {"A": "A", "B": "B", "alpha": "a", "beta": "b"}
    column = {ours: law.names.index(ours if ours in law.names else other) for ours, other in names.items()}
    known = {name: theta[:, [at]] for name, at in column.items()}
    sizes, tokens = (tuple(np.log(search.ends[name])) for name in ("N", "D"))
    answers = life.answers(search.k) * float(search.aware)
    logs = allocate(
        known, room - theta[:, :1], training=life.training, answers=answers, sizes=sizes, tokens=tokens
    )
    size, data = (np.exp(log) for log in logs)
    paid = np.where(np.isnan(size), np.inf, size * (life.training * data + answers))
    at = paid.argmin(axis=1)[:, None]
    size, data = (np.take_along_axis(array, at, axis=1)[:, 0] for array in (size, data))
    k = np.where(np.isnan(size), np.nan, search.k[at[:, 0]])
    return np.array([size, data, k, size * (life.training * data + life.answers(k))])


def _choice(search: _Search, cost: Floats, found: Fit, measured: Ends) -> Choice:
    """Of costs (5, S): N, D, k, FLOPs and times, of the fit and then of its resamples."""
    missed = float(np.isnan(cost[0, 1:]).mean()) if cost.shape[1] > 1 else 0.0
    stuck = search.stuck(cost)
    estimates = {of: _estimate(row, stuck, found.units, missed) for of, row in zip(NUMBERS, cost, strict=True)}
    if np.isnan(cost[0, 0]):
        far = {"N": [search.ends["N"][1]], "D": [search.ends["D"][1]], "k": [float(search.k[-1])]}
        outside = [f"not reached: at most {found.predict(far)[0]:.3g}"]
    else:
        outside = [side for of in ("N", "D", "k") if (side := _side(of, estimates[of].value, measured[of]))]
        outside += ["where the search ends"] if stuck[0] else []
    return Choice(name=search.name, outside=tuple(outside), missed=missed, **estimates)


def _estimate(values: Floats, stuck: npt.NDArray[np.bool_], units: int, missed: float) -> Estimate:
    """The first value, with the interval of those after it: open where the search's end sets its end."""
    if np.isnan(values[0]):
        return Estimate(None)
    value, order = float(values[0]), 1 + np.argsort(values[1:])  # NaN last
    order = order[~np.isnan(values[order])]
    if missed > _LOST or not len(order):
        return Estimate(value)
    ends = [int(order[round(tail * (len(order) - 1))]) for tail in tails(units)]
    low, high = (None if stuck[end] else float(values[end]) for end in ends)
    return Estimate(value) if low == high else Estimate(value, low, high)


def _side(name: str, value: float | None, measured: tuple[float, float]) -> str:
    """On which side of what was measured a value lies; nothing inside."""
    assert value is not None
    if value < measured[0] * (1 - _SAME):
        return f"{name} below"
    return f"{name} above" if value > measured[1] * (1 + _SAME) else ""
