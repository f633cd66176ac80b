"""How often intervals over problems and training seeds hold a planted difference:

python tests/benchmarks/seed_calibration.py --out results/benchmarks/seed_calibration.json

Simulated studies: differences vary with the problem (which seeds share), the seed (planted spread) and both.
Rows of one table, such as R, go together with a correlation of 0.8. Counted is the share of studies in which all
rows hold the planted difference at once; one row is a plain interval; and of whole headlines in a quarter of the
studies. Minutes.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from scalinglab.curves import over_seeds, weights
from scalinglab.exchange.seeds import headline_cells, seed_table
from scalinglab.report import manifest

DRAWS, ALIKE, LARGE = 400, 0.8, 0.55
PROBLEM, BOTH = 0.35, 0.5  # standard deviations: about those of right less right at 60 % and 70 %
SEEDS, ROWS, SPREADS, COUNTS = (2, 3, 6), (1, 3, 9), (0.0, 0.04, 0.1, 0.2), (200,)
WHOLE = ({"seeds": 3, "between": 0.04}, {"seeds": 6, "between": 0.2})  # the second about as the testbed's study


def study(rng, seeds, rows, between, count):
    """Means of each seed and row, and their resampled means; the planted difference is 0."""
    problem = rng.normal(0, PROBLEM, (1, count, 1))
    values = problem + _alike(rng, BOTH, (seeds, count), rows) + _alike(rng, between, (seeds, 1), rows)
    return values.mean(axis=1), np.stack([weights(count, DRAWS, 0) @ own for own in values])


def _alike(rng, spread, shape, rows):
    """Normal numbers whose rows, the last axis, go together."""
    common, own = rng.standard_normal((*shape, 1)), rng.standard_normal((*shape, rows))
    return spread * (np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own)


def covered(*, studies, seeds, rows, between, count, seed=0):
    """The share of studies whose rows all hold the planted difference."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(studies):
        point, draws = study(rng, seeds, rows, between, count)
        _, low, high = over_seeds(draws, point, problems=count)
        hits += bool(((low <= 0) & (high >= 0)).all())
    return hits / studies


def covered_whole(*, studies, seeds, between, count=60, seed=0):
    """The same of whole headlines: arms of known chances, answers drawn, the compute-optimal strategy chosen anew.

    Seeds shift the small model's chances. At the R asked for it may spend the mean of its last two budgets, and so
    mixes these in halves.
    """
    from planted import LIFE, planted

    rng, hits, means = np.random.default_rng(seed), 0, np.array([0.3, 0.45, 0.55, 0.65])
    r = (LIFE.large - LIFE.small) / LIFE.queries_per_r / (40 - 2)
    for _ in range(studies):
        ease, views = rng.uniform(-0.2, 0.2, (count, 1)), {}
        for name in range(seeds):
            small = rng.random((count, 4)) < means + ease + rng.normal(0, between)
            large = rng.random(count) < LARGE + ease[:, 0]
            views[str(name)] = planted(small.astype(float), large.astype(float), problems=count)
        row = seed_table(headline_cells(views, [r]), list(views)).iloc[0]
        hits += row["low"] <= means[2:].mean() - LARGE <= row["high"]
    return float(hits / studies)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    cells = [
        {"seeds": seeds, "rows": rows, "between": between, "problems": count}
        for seeds in SEEDS
        for rows in ROWS
        for between in SPREADS
        for count in COUNTS
    ]
    for cell in cells:
        cell["covered"] = covered(
            studies=asked.studies, seeds=cell["seeds"], rows=cell["rows"], between=cell["between"],
            count=cell["problems"], seed=asked.seed,
        )  # fmt: skip
        print(json.dumps(cell), flush=True)
    sys.path.append(str(Path(__file__).parents[1]))
    whole = [{**one, "studies": max(1, asked.studies // 4)} for one in WHOLE]
    for one in whole:
        one["covered"] = covered_whole(**one, seed=asked.seed)
        print(json.dumps(one), flush=True)
    told = manifest(["python", *sys.argv], [], asked.seed)
    del told["files"]
    setup = {"studies": asked.studies, "problem": PROBLEM, "both": BOTH, "alike": ALIKE, "draws": DRAWS}
    if asked.out is not None:
        asked.out.write_text(json.dumps(told | {"setup": setup, "cells": cells, "whole": whole}, indent=1) + "\n")


if __name__ == "__main__":
    main()
