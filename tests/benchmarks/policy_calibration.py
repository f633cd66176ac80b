"""Whether the compute-optimal estimate and its intervals are right, on simulated studies whose truth is known:

python tests/benchmarks/policy_calibration.py --out results/benchmarks/policy_calibration.json

A problem's chance of a right sample is Beta-distributed; verifiers score right samples N(d, 1), others N(0, 1):
best-of-k's chance is then an integral. Searches are recorded once a problem, with a known chance each. Bins are
predicted from the verifier's mean score of samples of their own, as in a real study. Some minutes.
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from scalinglab.curves import ARM, Arms, Graded, Pool, accuracy, interval
from scalinglab.policy import Bins, compute_optimal, difficulty_bins, efficiency_gain, first_reach
from scalinglab.policy.choosing import crossed
from scalinglab.report import manifest

BUDGETS = (4, 16, 64)
EASE = (0.5, 0.9)
PRM, ORM = 1.2, 0.7
VERIFIERS = {"prm": PRM, "orm": ORM}
SEARCHES = 6
TOLD, SCORED, BINS = 32, 64, 5
POPULATION = 200_000
GRID = np.linspace(0, 1, 501)


def best_of(k, d, p):
    """The chance that the best-scored of k samples is right: the integral over its score, (len(p),)."""
    x = np.linspace(-6, 6 + d, 1201)
    below = p[:, None] * stats.norm.cdf(x - d) + (1 - p[:, None]) * stats.norm.cdf(x)
    return np.trapezoid(k * p[:, None] * stats.norm.pdf(x - d) * below ** (k - 1), x, axis=1)


class World:
    """Arms with a known chance at each p, and a population of problems sorted by their predicted ease."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        parallel = [("parallel", name, k, best_of(k, d, GRID)) for name, d in VERIFIERS.items() for k in BUDGETS]
        searches = [
            (f"search-{j}", "prm", k, shifted(best_of(k, PRM, GRID), *rng.normal(0, [0.25, 1.0])))
            for j in range(SEARCHES)
            for k in BUDGETS
        ]
        self.arms = parallel + searches
        self.table = pd.DataFrame(
            [("policy", "m", name, "{}", v, "weighted", k) for name, v, k, _ in self.arms], columns=list(ARM)
        )
        self.p, self.ease = drawn(rng, POPULATION)
        order = np.argsort(-self.ease)
        self.p, self.ease = self.p[order], self.ease[order]
        sums = [np.cumsum(np.interp(self.p, GRID, curve)) for *_, curve in self.arms]
        self.sums = np.concatenate([np.zeros((1, len(sums))), np.column_stack(sums)])

    def study(self, problems, seed):
        """A simulated study: its arms and predicted bins."""
        rng = np.random.default_rng(seed)
        p, ease = drawn(rng, problems)
        columns = {}
        for name, d in VERIFIERS.items():
            right = rng.random((problems, SCORED)) < p[:, None]
            graded = Graded(right, np.where(right, 0, 1), rng.normal(size=right.shape) + d * right)
            names = tuple(f"p{i}" for i in range(problems))
            pool = Pool("m", names, np.full(problems, SCORED), right.sum(axis=1), graded)
            columns[name] = accuracy(pool, "best-of-n", BUDGETS)[0].T
        columns = [*columns["prm"], *columns["orm"]]
        for *_, curve in self.arms[len(columns) :]:
            columns.append((rng.random(problems) < np.interp(p, GRID, curve)).astype(float))
        flops = np.tile(self.table["budget"].to_numpy(float), (problems, 1))
        bins = Bins(names, difficulty_bins(ease, BINS), BINS, "prm", ease, TOLD)
        return Arms("simulated", names, self.table, np.column_stack(columns), flops), bins

    def truth(self, bins):
        """The arms' true accuracy over all problems as easy as those of each bin, and the bins' shares."""
        limits = [bins.ease[members] for _, members in bins.groups()]
        middles = [(a.min() + b.max()) / 2 for a, b in pairwise(limits)]
        ends = np.concatenate([[0], np.searchsorted(-self.ease, -np.array(middles)), [POPULATION]])
        counts = np.diff(ends)
        return np.diff(self.sums[ends], axis=0) / counts[:, None], counts / POPULATION


def drawn(rng, count):
    """Problems: the chance that a sample is right, and the PRM's mean score of their difficulty samples."""
    p = rng.beta(*EASE, count)
    return p, PRM * rng.binomial(TOLD, p) / TOLD + rng.normal(0, TOLD**-0.5, count)


def shifted(curve, up, tilt):
    """A search's chance: best-of-n's, better or worse by a constant and by difficulty, on the log-odds."""
    odds = np.log(curve.clip(1e-9, 1 - 1e-9) / (1 - curve).clip(1e-9, 1 - 1e-9))
    return np.where(curve > 0, 1 / (1 + np.exp(-(odds + up + tilt * (curve - 0.5)))), 0)


def deployed(found, truth, shares):
    """What the arms chosen on all of a study truly give, by bin and over all, (bins + 1, budgets)."""
    by_bin = np.take_along_axis(truth, found.chosen, axis=1)
    return np.concatenate([[shares @ by_bin], by_bin])


def ends(found, column):
    """A column of the table as (bins + 1, budgets), all problems first."""
    return found.table[column].to_numpy(float).reshape(-1, len(BUDGETS))


def repeat(world, problems, folds, seed):
    arms, bins = world.study(problems, seed)
    truth, shares = world.truth(bins)
    found = compute_optimal(arms, bins, folds=folds, seed=seed)
    target = deployed(found, truth, shares)
    base = np.flatnonzero((world.table["strategy"] == "parallel") & (world.table["verifier"] == "prm"))
    plain = np.concatenate([[shares @ truth[:, base]], truth[:, base]])
    _, *spread = found.difference(arms.accuracy[:, base])
    arm = interval(arms.accuracy, seed=seed)
    other = interval(arms.accuracy[:, base] - arms.accuracy[:, [6]], seed=seed)
    means = shares @ truth
    gains = efficiency_gain(found, arms, verifier="prm").table
    gains = gains[gains["unit"] == "samples"]
    with np.errstate(divide="ignore"):
        real = np.array(BUDGETS) / first_reach(np.array(BUDGETS, float), np.tile(target[0], (3, 1)), plain[0])
    low = gains["low"].fillna(0).to_numpy(float)
    high = gains["high"].fillna(np.inf).to_numpy(float)
    return {
        "truth": target,
        "estimate": ends(found, "accuracy"),
        "in_sample": ends(found, "in_sample"),
        "covered": inside(ends(found, "low"), target, ends(found, "high")),
        "difference": inside(spread[0], target - plain, spread[1]),
        "arm": inside(arm[0], means, arm[1]),
        "arm_difference": inside(other[0], means[base] - means[6], other[1]),
        "gain": inside(low, real, high),
    }


def chosen_from(arms, bins, world):
    """What the arms that are best on a study truly give over all, (budgets,)."""
    truth, shares = world.truth(bins)
    means = np.stack([arms.accuracy[members].mean(axis=0) for _, members in bins.groups()])
    budget = world.table["budget"].to_numpy()
    picked = [np.where(budget == k, means, -1).argmax(axis=1) for k in BUDGETS]
    return shares @ np.take_along_axis(truth, np.column_stack(picked), axis=1)


def calibrated(off):
    """The mean and standard error of ``honest`` over repeats, in points."""
    error = off.std(axis=0) / len(off) ** 0.5
    return {
        "bias_against_the_folds_own_choices": (100 * off.mean(axis=0)).round(2).tolist(),
        "bias_against_the_folds_own_choices_error": (100 * error).round(2).tolist(),
    }


def honest(world, problems, folds, seed):
    """The cross-validated estimate over all less what the very arms its folds chose truly give, (budgets,)."""
    arms, bins = world.study(problems, seed)
    truth, shares = world.truth(bins)
    may = world.table["budget"].to_numpy()[:, None] == np.array(BUDGETS)
    rng, values, target = np.random.default_rng(seed), np.zeros((problems, len(BUDGETS))), 0.0
    for g, (_, members) in enumerate(bins.groups()):
        picked = crossed(arms.accuracy, members, arms.flops, may, folds, 20, rng)
        values[members] = arms.accuracy[members][np.arange(len(members))[:, None], picked].mean(axis=0)
        target = target + shares[g] * truth[g][picked].mean(axis=(0, 1))
    return values.mean(axis=0) - target


def inside(low, value, high):
    return (low - 1e-9 <= value) & (value <= high + 1e-9)


def report(world, problems, folds, repeats, seed):
    """Biases in points and coverages in %, over repeats; the standard error beside each bias."""
    with ProcessPoolExecutor(4) as workers:
        seeds = range(seed, seed + repeats)
        made = list(workers.map(partial(repeat, world, problems, folds), seeds, chunksize=5))
        strict = list(workers.map(partial(honest, world, problems, folds), seeds, chunksize=5))
    every = {key: np.array([one[key] for one in made], dtype=float) for key in made[0]}
    part = problems * (folds - 1) // folds
    fewer = [chosen_from(*world.study(part, seed + 10**6 + i), world) for i in range(repeats)]
    same = np.mean(fewer, axis=0)
    row = {"problems": problems, "folds": folds, "repeats": repeats}
    for name in ("estimate", "in_sample"):
        off = 100 * (every[name] - every["truth"])
        row[f"bias_{name}"] = off[:, 0].mean(axis=0).round(2).tolist()
        row[f"bias_{name}_error"] = (off[:, 0].std(axis=0) / repeats**0.5).round(2).tolist()
        row[f"bias_{name}_by_bin"] = off[:, 1:].mean(axis=0).round(2).tolist()
    row |= calibrated(np.array(strict))
    row["bias_against_choice_from_as_many_problems"] = (
        (100 * (every["estimate"][:, 0].mean(axis=0) - same)).round(2).tolist()
    )
    row["coverage_accuracy"] = (100 * every["covered"][:, 0].mean(axis=0)).round(1).tolist()
    row["coverage_accuracy_by_bin"] = (100 * every["covered"][:, 1:].mean(axis=0)).round(1).tolist()
    row["coverage_difference_to_best_of_n"] = (100 * every["difference"][:, 0].mean(axis=0)).round(1).tolist()
    row["coverage_difference_by_bin"] = (100 * every["difference"][:, 1:].mean(axis=0)).round(1).tolist()
    row["coverage_one_arm"] = round(100 * every["arm"].mean(), 1)
    row["coverage_difference_of_arms"] = (100 * every["arm_difference"].mean(axis=0)).round(1).tolist()
    row["coverage_gain"] = (100 * every["gain"].mean(axis=0)).round(1).tolist()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--problems", type=int, nargs="+", default=[200])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    world = World(asked.seed)
    rows = []
    for problems in asked.problems:
        rows.append(report(world, problems, 2, asked.repeats, asked.seed + 1))
        print(json.dumps(rows[-1]), flush=True)
    told = manifest(["python", *sys.argv], [], asked.seed)
    del told["files"]
    setup = {"budgets": BUDGETS, "beta": EASE, "d": VERIFIERS, "searches": SEARCHES, "samples": SCORED}
    setup |= {"difficulty_samples": TOLD, "bins": BINS, "lists": "over budgets", "units": "points; % of repeats"}
    if asked.out is not None:
        asked.out.write_text(json.dumps(told | {"setup": setup, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
