"""How often 95 % intervals hold the truth, on simulated studies and runs whose truth is known:

python tests/benchmarks/interval_calibration.py --out results/benchmarks/interval_calibration.json

Problems: a sample is right with chance p ~ Beta; a verifier scores right samples N(d, 1) and others N(0, 1), so
that the best of k is right with a chance that is an integral. The truth of accuracies, differences, R* and of laws
in k is what the same estimator gives on the exact curve of endlessly many problems; of mixtures and losses, it is
what was planted. Some ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from scalinglab.curves import Finals, Graded, Group, Pool, Price, Way, accuracy, arms_from, first_reach, interval
from scalinglab.exchange import Lifetime, View, breakeven
from scalinglab.exchange.paired import pointwise
from scalinglab.exchange.splits import Division, bin_groups
from scalinglab.fits import Counts, Fit, Points, fit
from scalinglab.flops import CONVENTIONS
from scalinglab.laws import BETA, CHINCHILLA, COVERAGE, SATURATING
from scalinglab.optimal import compute_optimal
from scalinglab.report import manifest

BUDGETS = (1, 2, 4, 8, 16, 32, 64)
EASE, D = (0.5, 0.9), 1.2
HARD = (0.4, 4.0)
SAMPLES = 64
GRID = np.linspace(0, 1, 2001)
LOSS = {"E": 1.82, "A": 482.0, "B": 2085.0, "alpha": 0.348, "beta": 0.366}
NOISE = 0.005
BOOTSTRAP = 500
Found = dict[str, tuple[float | None, float, float | None]]
"""By name: the interval's low end, the truth, and its high end; None where there is no interval."""


def best_of(k: int, p: np.ndarray) -> np.ndarray:
    """The chance that the best-scored of k samples is right: the integral over its score, (len(p),)."""
    x = np.linspace(-6, 6 + D, 1201)
    below = p[:, None] * stats.norm.cdf(x - D) + (1 - p[:, None]) * stats.norm.cdf(x)
    return np.asarray(np.trapezoid(k * p[:, None] * stats.norm.pdf(x - D) * below ** (k - 1), x, axis=1))


@cache
def population() -> np.ndarray:
    """The exact accuracy of best-of-k at every budget over all problems, and of one large answer, last."""
    shares = np.diff(stats.beta.cdf(GRID, *EASE))
    middle = (GRID[1:] + GRID[:-1]) / 2
    return np.array([*(shares @ best_of(k, middle) for k in BUDGETS), shares @ large(middle)])


def large(p: np.ndarray) -> np.ndarray:
    """The chance that the large model's one answer is right."""
    return np.asarray(p**0.55)


def study(problems: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A simulated study: best-of-k's accuracy (problems, budgets), and whether the large model is right."""
    rng = np.random.default_rng(seed)
    p = rng.beta(*EASE, problems)
    right = rng.random((problems, SAMPLES)) < p[:, None]
    graded = Graded(right, np.where(right, 0, 1), rng.normal(size=right.shape) + D * right)
    names = tuple(f"p{i}" for i in range(problems))
    pool = Pool("m", names, np.full(problems, SAMPLES), right.sum(axis=1), graded)
    once = (rng.random(problems) < large(p)).astype(float)
    return accuracy(pool, "best-of-n", BUDGETS)[0], once


def of_accuracy(problems: int, seed: int) -> Found:
    low, high = interval(study(problems, seed)[0], seed=seed)
    return {f"k = {k}": (low[i], population()[i], high[i]) for i, k in enumerate(BUDGETS)}


def of_difference(problems: int, seed: int) -> Found:
    values, once = study(problems, seed)
    ones, none = np.ones(len(BUDGETS)), np.zeros(len(BUDGETS))
    rows = pointwise(
        values, np.repeat(once[:, None], len(BUDGETS), axis=1), ones, none, problems=len(values), seed=seed
    )
    truth = population()[:-1] - population()[-1]
    return {f"k = {k}": (rows[i]["low"], truth[i], rows[i]["high"]) for i, k in enumerate(BUDGETS)}


def way(model: str, strategy: str, right: np.ndarray, cost: float, budgets: tuple[int, ...]) -> Way:
    """Answers of one model that were run at these budgets, each sample at this cost."""
    rows, role = len(right), "large" if model == "large" else "policy"
    runs = {k: np.full(rows, cost * k) for k in budgets}
    reader = Finals(tuple(f"p{i}" for i in range(rows)), np.array(budgets), right)
    price = Price(np.zeros(rows), np.zeros(rows), runs)
    return Way(role, model, strategy, "{}", "", "majority", None, reader, (price,))


def view(values: np.ndarray, once: np.ndarray) -> View:
    """A small model's best-of-k, which costs k, against the large model's one answer, which costs 2."""
    paper = CONVENTIONS["paper"]
    ways = [way("small", "parallel", values, 1.0, BUDGETS), way("large", "greedy", once[:, None], 2.0, (1,))]
    (arms,) = arms_from(ways, [paper])
    labels, groups = np.ones(len(once), dtype=np.int64), (Group("all", np.arange(len(once))),)
    plain = View(arms, Lifetime(paper, 100.0, 1100.0, 10.0), groups, "small", "large", {}, ("small",))
    division = Division(arms.problems, 1, bin_groups([labels], 1), (labels,))
    optimal = compute_optimal([division.case(arms, plain.menu(), 0, 0, charged=False)])
    return replace(plain, optimal=tuple(optimal))


def star(values: np.ndarray, once: np.ndarray) -> dict[str, Any]:
    """The break-even of best-of-k."""
    found = breakeven([view(values, once)])
    return dict(found[found["strategy"] == "parallel, majority"].to_dict("records")[0])  # type: ignore[arg-type]


@cache
def true_star() -> float:
    """Where the mixtures of endlessly many problems' exact accuracies reach the large model's."""
    exact, cost = population(), np.array(BUDGETS, float)
    at = first_reach(cost[None], exact[None, :-1], exact[-1:], np.array([2.0]))[0]
    assert np.isfinite(at)
    return float((1100 - 100) / (at - 2) / 10)


def of_star(problems: int, seed: int) -> Found:
    row = star(*study(problems, seed))
    low, high = (row[name] if np.isfinite(row[name]) else end for name, end in (("low", 0.0), ("high", np.inf)))
    return {"R*": (low, true_star(), high)}


def told(found: Fit, truth: Mapping[str, float]) -> Found:
    return {
        name: (found.parameters[name].low, value, found.parameters[name].high) for name, value in truth.items()
    }


def valued(found: Fit) -> dict[str, float]:
    return {name: found[name] for name in found.law.names}


def of_beta(problems: int, seed: int) -> Found:
    rng = np.random.default_rng(seed)
    counts = Counts(np.full(problems, SAMPLES), rng.binomial(SAMPLES, rng.beta(*HARD, problems)))
    return told(fit(BETA, counts, bootstrap=BOOTSTRAP, seed=seed), dict(zip("ab", HARD, strict=True)))


@cache
def true_coverage() -> dict[str, float]:
    k = np.array(BUDGETS, float)
    exact = BETA.predict(dict(zip("ab", HARD, strict=True)), {"k": k})
    return valued(fit(COVERAGE, Points({"k": k}, exact), bootstrap=0))


def of_coverage(problems: int, seed: int) -> Found:
    rng = np.random.default_rng(seed)
    counts = Counts(np.full(problems, SAMPLES), rng.binomial(SAMPLES, rng.beta(*HARD, problems)))
    return told(fit(COVERAGE, counts.curve(BUDGETS), bootstrap=BOOTSTRAP, seed=seed), true_coverage())


@cache
def true_saturating() -> dict[str, float]:
    return valued(fit(SATURATING, Points({"k": np.array(BUDGETS, float)}, population()[:-1]), bootstrap=0))


def of_saturating(problems: int, seed: int) -> Found:
    points = Points({"k": np.array(BUDGETS, float)}, study(problems, seed)[0])
    return told(fit(SATURATING, points, bootstrap=BOOTSTRAP, seed=seed), true_saturating())


def runs(count: int) -> dict[str, np.ndarray]:
    """Sizes and tokens of runs on so many isoFLOP points, as those of Hoffmann et al. 2022: 12 budgets."""
    compute = np.repeat(np.geomspace(1e18, 3e21, 12), count // 12)
    spread = np.tile(np.geomspace(1 / 6, 6, count // 12), 12)
    size = np.sqrt(compute / 120) * spread
    return {"N": size, "D": compute / (6 * size)}


def of_runs(count: int, seed: int) -> Found:
    inputs = runs(count)
    noise = NOISE * np.random.default_rng(seed).normal(size=len(inputs["N"]))
    points = Points(inputs, CHINCHILLA.predict(LOSS, inputs) * np.exp(noise), np.arange(count))
    return told(fit(CHINCHILLA, points, bootstrap=BOOTSTRAP, seed=seed), LOSS)


def of_checkpoints(count: int, seed: int) -> Found:
    """Runs of 8 checkpoints that share most of their run's noise: whole runs are resampled."""
    rng = np.random.default_rng(seed)
    inputs = {
        "N": np.repeat(np.geomspace(4e7, 1e10, count), 8),
        "D": np.tile(np.geomspace(1e9, 3e11, 8), count),
    }
    shared = np.repeat(rng.normal(size=count), 8) * NOISE * 0.8
    noise = shared + NOISE * 0.6 * rng.normal(size=8 * count)
    points = Points(inputs, CHINCHILLA.predict(LOSS, inputs) * np.exp(noise), np.repeat(np.arange(count), 8))
    return told(fit(CHINCHILLA, points, bootstrap=BOOTSTRAP, seed=seed), LOSS)


CASES: dict[str, tuple[Callable[[int, int], Found], tuple[int, ...], str]] = {
    "accuracy": (of_accuracy, (200, 40), "problems"),
    "difference": (of_difference, (200, 40), "problems"),
    "R*": (of_star, (200, 40), "problems"),
    "beta": (of_beta, (200, 80), "problems"),
    "coverage": (of_coverage, (200, 80), "problems"),
    "saturating": (of_saturating, (200, 80), "problems"),
    "chinchilla": (of_runs, (240, 96), "runs"),
    "chinchilla, checkpoints in runs": (of_checkpoints, (40, 20), "runs"),
}


def one(asked: tuple[str, int, int]) -> Found:
    name, units, seed = asked
    return CASES[name][0](units, seed)


def summary(name: str, units: int, made: list[Found]) -> dict[str, Any]:
    """The share of repeats with an interval; of these, how many hold the truth, on which side others miss."""
    row: dict[str, Any] = {"of": name, CASES[name][2]: units, "repeats": len(made), "covered": {}}
    for key in made[0]:
        known = [ends for ends in (found[key] for found in made) if ends[0] is not None and ends[2] is not None]
        low, truth, high = (np.array(column, float) for column in zip(*known, strict=True))
        hits = 100 * np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high))
        missed = [round(100 * float(np.mean(side)), 2) for side in (truth < low - 1e-12, truth > high + 1e-12)]
        found = {"covered": round(float(hits), 2), "below, above": missed, "truth": float(f"{truth[0]:.6g}")}
        row["covered"][key] = found | {"with an interval": round(100 * len(known) / len(made), 2)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=list(CASES))
    asked = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(asked.workers) as workers:
        for name in asked.only:
            for units in CASES[name][1]:
                began = time.perf_counter()
                work = [(name, units, asked.seed + i) for i in range(asked.repeats)]
                rows.append(summary(name, units, list(workers.map(one, work, chunksize=5))))
                print(json.dumps(rows[-1] | {"seconds": round(time.perf_counter() - began, 1)}), flush=True)
    document = manifest(["python", *sys.argv], [], asked.seed)
    del document["files"]
    setup: dict[str, Any] = {"budgets": BUDGETS, "beta": EASE, "beta of counts and coverage": HARD, "d": D}
    setup |= {"samples": SAMPLES, "losses": LOSS, "noise of log loss": NOISE, "bootstraps": BOOTSTRAP}
    setup |= {"covered": "% of repeats with an interval", "below, above": "% with the truth below, above it"}
    if asked.out is not None:
        asked.out.write_text(json.dumps(document | {"setup": setup, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
