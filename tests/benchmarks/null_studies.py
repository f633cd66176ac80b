"""How often a study of equal models prints a false verdict:

python tests/benchmarks/null_studies.py --out results/benchmarks/null_studies.json

Equal models and arms: 200 problems whose chances of a right answer are uniform, in 5 bins of 32 difficulty
samples; 6 families of 4 budgets, one greedy answer of the large model, 3 values of R; every answer is right with
the chance of its problem. Counted over 400 studies: any decided row of the compute-optimal strategy, whose
intervals promise at most about 5 %; and any decided cell of single lines, which are exploratory. Minutes.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from scalinglab.curves import Finals, Group, Price, Way, arms_from
from scalinglab.exchange import FIXED, OPTIMAL, PRETRAINING, TEST_TIME, Lifetime, View, verdicts
from scalinglab.exchange.splits import Division, bin_groups
from scalinglab.exchange.views import ALL, Menu
from scalinglab.flops import CONVENTIONS
from scalinglab.optimal import compute_optimal, difficulty_bins
from scalinglab.report import manifest

PROBLEMS, FAMILIES, BINS, TOLD = 200, 6, 5, 32
BUDGETS, R, PAPER = np.array([1, 4, 16, 64]), (0.16, 0.79, 22.0), CONVENTIONS["paper"]


def study(rng, problems=PROBLEMS):
    """One null study as a view under ``paper``: its six families cost 2 FLOPs a sample, the large answer 5."""
    ease, names = rng.random(problems), tuple(f"{i:04d}" for i in range(problems))
    labels = difficulty_bins(rng.binomial(TOLD, ease) / TOLD, BINS)
    ways = [way("policy", "small", f"family{i}", rng, ease, names, BUDGETS, 2.0) for i in range(FAMILIES)]
    (arms,) = arms_from([*ways, way("large", "large", "greedy", rng, ease, names, BUDGETS[:1], 5.0)], [PAPER])
    division = Division(names, BINS, bin_groups([labels], BINS), (labels,))
    groups = (Group(ALL, np.arange(problems)), *division.groups)
    bare = View(arms, Lifetime(PAPER, 100.0, 1100.0, 10.0), groups, "small", "large", {}, ("small",))
    optimal = tuple(compute_optimal([division.case(arms, bare.menu(), 0, 0, charged=False)]))
    return View(arms, bare.lifetime, groups, "small", "large", {}, ("small",), menus=(Menu(("small",), optimal),))


def way(role, model, strategy, rng, ease, names, budgets, cost):
    """Answers of one family, right with the problem's own chance at every budget."""
    right = (rng.random((len(ease), len(budgets))) < ease[:, None]).astype(float)
    spent = {int(k): np.full(len(ease), cost * k) for k in budgets}
    price = Price(np.zeros(len(ease)), np.zeros(len(ease)), spent)
    reader = Finals(names, budgets, right)
    return Way(role, model, strategy, "{}", "", "majority", None, reader, (price,))


def false_verdicts(studies, seed=0):
    """Shares of null studies with any decided row: of the headline, of one arm for all, of single lines."""
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    for _ in range(studies):
        found = verdicts([study(rng)], R)
        named = found.loc[found["verdict"].isin([TEST_TIME, PRETRAINING]), "strategy"]
        counts += [(named == OPTIMAL).any(), (named == FIXED).any(), (~named.isin([OPTIMAL, FIXED])).any()]
    return dict(zip(("headline", "one arm for all", "single lines"), (counts / studies).tolist(), strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    shares = false_verdicts(asked.studies, asked.seed)
    print(json.dumps(shares))
    told = manifest(["python", *sys.argv], [], asked.seed)
    del told["files"]
    setup = {"studies": asked.studies, "problems": PROBLEMS, "families": FAMILIES, "bins": BINS, "R": R}
    if asked.out is not None:
        asked.out.write_text(json.dumps(told | {"setup": setup, "false": shares}, indent=1) + "\n")


if __name__ == "__main__":
    main()
