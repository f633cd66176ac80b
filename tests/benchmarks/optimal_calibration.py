"""Whether the compute-optimal estimate and its intervals are right, on simulated studies whose truth is known:

python tests/benchmarks/optimal_calibration.py --out results/benchmarks/optimal_calibration.json

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
from scalinglab.optimal import MIXTURE, STEP, Bins, compute_optimal, difficulty_bins, first_reach, gains
from scalinglab.optimal.gain import first_step
from scalinglab.report import manifest

BUDGETS = (4, 16, 64)
ASKED = np.array([4.0, 8, 16, 32, 64])
WITHIN = np.linspace(4, 64, 121)
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
        parallel = [(None, name, k, best_of(k, d, GRID)) for name, d in VERIFIERS.items() for k in BUDGETS]
        searches = [
            (j, "prm", k, shifted(best_of(k, PRM, GRID), *rng.normal(0, [0.25, 1.0])))
            for j in range(SEARCHES)
            for k in BUDGETS
        ]
        self.arms = parallel + searches
        self.table = pd.DataFrame(
            [("policy", "m", *named(j), v, "weighted", k) for j, v, k, _ in self.arms], columns=list(ARM)
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


def named(j):
    """The strategy and setting of parallel samples (None) or of the j-th search."""
    return ("parallel", "{}") if j is None else ("beam_search", json.dumps({"width": j}))


def deployed(found, truth, shares, costs, *, fixed=False):
    """What the arms to run at each cost truly give, over all problems and in each bin, (bins + 1, costs)."""
    rows = []
    for g in range(len(truth) + 1):
        at, weights = (truth, shares) if g == 0 else (truth[[g - 1]], np.ones(1))
        rows.append([
            sum(part.share * weights @ at[np.arange(len(at)), list(part.arms)] for part in parts)
            for parts in found.read(g, costs, fixed=fixed).parts
        ])  # fmt: skip
    return np.array(rows)


def estimated(found, **more):
    """The estimates at the budgets asked for, by group: mean, low, high and in sample, (bins + 1, costs) each."""
    read = [found.read(g, ASKED, **more) for g in range(len(found.groups()))]
    means = [one.accuracy for one in read]
    return map(np.array, (means, [r.low for r in read], [r.high for r in read], [r.in_sample for r in read]))


def repeat(world, problems, folds, seed):
    arms, bins = world.study(problems, seed)
    truth, shares = world.truth(bins)
    found = compute_optimal([(arms, bins)], folds=folds, seed=seed)[0]
    target, alone = (deployed(found, truth, shares, ASKED, fixed=fixed) for fixed in (False, True))
    middle, low, high, in_sample = estimated(found)
    one, one_low, one_high, _ = estimated(found, fixed=True)
    base = np.flatnonzero((world.table["strategy"] == "parallel") & (world.table["verifier"] == "prm"))
    plain = np.concatenate([[shares @ truth[:, base]], truth[:, base]])[:, [1]]
    ends = [found.difference(g, arms.accuracy[:, base[1]], ASKED)[1:] for g in range(len(target))]
    arm = interval(arms.accuracy, seed=seed)
    other = interval(arms.accuracy[:, base] - arms.accuracy[:, [6]], seed=seed)
    means = shares @ truth
    return {
        "truth": target,
        "estimate": middle,
        "in_sample": in_sample,
        "covered": inside(low, target, high),
        "one_for_all": one - alone,
        "one_for_all_covered": inside(one_low, alone, one_high),
        "against_one_for_all": (target - alone)[0],
        "difference": inside(np.array([e[0] for e in ends]), target - plain, np.array([e[1] for e in ends])),
        "arm": inside(arm[0], means, arm[1]),
        "arm_difference": inside(other[0], means[base] - means[6], other[1]),
        "gain": gained(arms, bins, truth, shares, seed),
    }


def gained(arms, bins, truth, shares, seed):
    """Whether the intervals of the gain hold the true one, by step and by mixture, (2, budgets)."""
    (found,) = (each for each in gains(arms, bins, small="m", units=["samples"], seed=seed))
    best, rows = found.strategy["samples"], found.table
    own = [named_row(arms.table, row) for _, row in best.arms.iterrows()]
    at = np.array(BUDGETS, dtype=float)
    base = np.flatnonzero((arms.table["strategy"] == "parallel") & (arms.table["verifier"] == "prm"))
    goals, known = shares @ truth[:, base], []
    for by, costs, reach in ((STEP, at, first_step), (MIXTURE, WITHIN, first_reach)):
        curve = deployed(best, truth[:, own], shares, costs)[0]
        with np.errstate(divide="ignore"):
            real = at / reach(costs, np.tile(curve, (len(at), 1)), goals)
        mine = rows[rows["by"] == by]
        low, high = mine["low"].fillna(0).to_numpy(float), mine["high"].fillna(np.inf).to_numpy(float)
        known.append(inside(low, real, high))
    return known


def named_row(table, row):
    """The place of an arm in the table of all."""
    return int(np.flatnonzero((table == row).all(axis=1))[0])


def chosen_from(arms, bins, world):
    """What the arms that are best on a study truly give over all, (costs,)."""
    truth, shares = world.truth(bins)
    return deployed(compute_optimal([(arms, bins)], draws=2)[0], truth, shares, ASKED)[0]


def inside(low, value, high):
    return (low - 1e-9 <= value) & (value <= high + 1e-9)


def mean_and_error(off):
    """The mean over repeats, the first axis, and its standard error, in points."""
    return (100 * off.mean(axis=0)).round(2).tolist(), (100 * off.std(axis=0) / len(off) ** 0.5).round(2).tolist()


def covered(every, key):
    return (100 * every[key].mean(axis=0)).round(1).tolist()


def report(world, problems, folds, repeats, seed, workers=2):
    """Biases in points and coverages in %, over repeats; the standard error beside each bias."""
    with ProcessPoolExecutor(workers) as pool:
        made = list(pool.map(partial(repeat, world, problems, folds), range(seed, seed + repeats), chunksize=5))
    every = {key: np.array([one[key] for one in made], dtype=float) for key in made[0]}
    part = problems * (folds - 1) // folds
    fewer = [chosen_from(*world.study(part, seed + 10**6 + i), world) for i in range(repeats)]
    row = {"problems": problems, "folds": folds, "repeats": repeats}
    for name in ("estimate", "in_sample"):
        off = every[name] - every["truth"]
        row[f"bias_{name}"], row[f"bias_{name}_error"] = mean_and_error(off[:, 0])
        row[f"bias_{name}_by_bin"] = mean_and_error(off[:, 1:])[0]
    row["bias_one_for_all"], row["bias_one_for_all_error"] = mean_and_error(every["one_for_all"][:, 0])
    row["bias_against_choice_from_as_many_problems"] = (
        (100 * (every["estimate"][:, 0].mean(axis=0) - np.mean(fewer, axis=0))).round(2).tolist()
    )
    truly = mean_and_error(every["against_one_for_all"])
    row["truly_better_than_one_for_all"], row["truly_better_than_one_for_all_error"] = truly
    for key in ("covered", "one_for_all_covered", "difference"):
        name = {"covered": "accuracy", "difference": "difference_to_16_samples"}.get(key, "one_for_all")
        row[f"coverage_{name}"], *row[f"coverage_{name}_by_bin"] = covered(every, key)
    row["coverage_one_arm"] = round(100 * every["arm"].mean(), 1)
    row["coverage_difference_of_arms"] = covered(every, "arm_difference")
    row["coverage_gain_by_step"], row["coverage_gain_by_mixture"] = covered(every, "gain")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--problems", type=int, nargs="+", default=[200])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    world = World(asked.seed)
    rows = []
    for problems in asked.problems:
        rows.append(report(world, problems, 2, asked.repeats, asked.seed + 1))
        print(json.dumps(rows[-1]), flush=True)
    told = manifest(["python", *sys.argv], [], asked.seed)
    del told["files"]
    setup = {
        "budgets": BUDGETS,
        "asked": ASKED.tolist(),
        "beta": EASE,
        "d": VERIFIERS,
        "searches": SEARCHES,
        "samples": SCORED,
    }
    setup |= {
        "difficulty_samples": TOLD,
        "bins": BINS,
        "lists": "over budgets asked, of the gain over budgets",
        "units": "points; % of repeats",
    }
    if asked.out is not None:
        asked.out.write_text(json.dumps(told | {"setup": setup, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
