"""How often the 95 % intervals of fitted exchange rates hold a planted rate:

python tests/benchmarks/rate_calibration.py --out results/benchmarks/rate_calibration.json

samples, FLOPs: an answer to a problem is right with a chance whose log odds are u and two slopes, of log2 N and
log2 k, or of log2 of pretraining and inference FLOPs; u has the bridge distribution (Wang & Louis 2003), so that
over problems the log odds are linear too, both slopes times phi, and their ratio is the planted one exactly.
coverage: pass@k of counts, each problem's chance of a right sample Beta with a mean that rises with N; the truth
is what the same fit gives on the exact curves of endlessly many problems, and there is lack of fit. Five sizes,
five budgets. Ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from scalinglab.curves import pass_at_k
from scalinglab.fits import Answered, Rate, fit_rate
from scalinglab.report import manifest

SIZES, BUDGETS = np.arange(5) * 1.5, np.arange(0, 10, 2.0)
TOKENS = np.array([0.0, 1.0, 0.5, 2.0, 1.5])
SLOPES, PHI, LEVEL = (0.5, 0.8), 0.6, -4.0
SAMPLES, SPREAD = 512, 4.0
DOUBLED = {"samples": ("size", "budget"), "FLOPs": ("pretraining", "inference"), "coverage": ("size", "budget")}


def table() -> pd.DataFrame:
    """Five models at five budgets, in doublings; of other training tokens a model, inference FLOPs N k."""
    size, budget = np.repeat(SIZES, len(BUDGETS)), np.tile(BUDGETS, len(SIZES))
    named = {"model": size.astype(str), "level": budget.astype(str), "strategy": "", "bin": ""}
    flops = {"pretraining": size + np.repeat(TOKENS, len(BUDGETS)), "inference": size + budget}
    return pd.DataFrame(named | {"size": size, "budget": budget} | flops)


def logit(kind: str, problems: int, rng: np.random.Generator) -> Answered:
    """One answer a problem and cell."""
    share = rng.random(problems)
    u = np.log(np.sin(PHI * np.pi * share) / np.sin(PHI * np.pi * (1 - share))) / PHI
    odds = LEVEL + u[:, None] + table()[list(DOUBLED[kind])].to_numpy() @ np.array(SLOPES)
    return Answered(table(), (rng.random(odds.shape) < special.expit(odds)).astype(float))


def chances() -> np.ndarray:
    """The mean chance of a right sample of each model."""
    return np.asarray(special.expit(LEVEL - 1 + SLOPES[0] * SIZES))


def coverage(problems: int, rng: np.random.Generator) -> Answered:
    """pass@k of SAMPLES samples; a problem that is hard for one model is hard for all."""
    shared, own = rng.normal(size=(problems, 1)), rng.normal(size=(problems, len(SIZES)))
    rank = special.ndtr(np.sqrt(0.8) * shared + np.sqrt(0.2) * own)
    right = rng.binomial(SAMPLES, special.betaincinv(SPREAD * chances(), SPREAD * (1 - chances()), rank))
    n, k = np.full((problems, 1), SAMPLES), 2 ** BUDGETS.astype(int)
    return Answered(table(), np.hstack([pass_at_k(n, one[:, None], k) for one in right.T]))


@cache
def truth(kind: str) -> float:
    """The planted rate, or that of the exact curves."""
    if kind != "coverage":
        return SLOPES[0] / SLOPES[1]
    a, b = SPREAD * chances(), SPREAD * (1 - chances())
    exact = [1 - np.exp(special.betaln(a, b + k) - special.betaln(a, b)) for k in 2**BUDGETS]
    right = np.tile(np.stack(exact, axis=1).ravel(), (100, 1))
    jitter = 1 + 1e-6 * np.random.default_rng(0).normal(size=right.shape)  # problems that agree have no spread
    return fit_rate(Answered(table(), right * jitter), draws=0).rate


def study(kind: str, problems: int, seed: int, *, draws: int) -> Rate:
    """The rate that one simulated study gives."""
    rng = np.random.default_rng(seed)
    cells = coverage(problems, rng) if kind == "coverage" else logit(kind, problems, rng)
    return fit_rate(cells, doubled=DOUBLED[kind][0], by=DOUBLED[kind][1], draws=draws, seed=seed)


def summary(kind: str, problems: int, studies: int, *, seed: int = 0, draws: int = 500) -> dict[str, Any]:
    """The shares of studies whose intervals hold the truth, by both methods, and that reject the fit at 5 %."""
    made, true = [study(kind, problems, seed + i, draws=draws) for i in range(studies)], truth(kind)
    low, high, error, rate, fit, changes = np.array(
        [(one.low, one.high, one.error, one.rate, one.lack_of_fit, one.changes) for one in made], dtype=float
    ).T
    row = {"of": kind, "problems": problems, "studies": studies, "truth": round(true, 5)}
    row |= {
        "covered": _share((low <= true) & (true <= high)),
        "below, above": [_share(true < low), _share(true > high)],
    }
    if draws:
        least, most = np.array([one.drawn[1:] for one in made if one.drawn is not None]).T
        row |= {"covered by the bootstrap": _share((least <= true) & (true <= most))}
    row |= {"mean error": round(float(error.mean()), 4), "spread": round(float(rate.std()), 4)}
    return row | {"lack of fit below 5 %": _share(fit < 0.05), "changes below 5 %": _share(changes < 0.05)}


def _share(hits: np.ndarray) -> float:
    return round(100 * float(np.mean(hits)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rows = []
    for kind in DOUBLED:
        for problems in (200, 50):
            began = time.perf_counter()
            rows.append(summary(kind, problems, asked.studies, seed=asked.seed))
            print(json.dumps(rows[-1] | {"seconds": round(time.perf_counter() - began)}), flush=True)
    document = manifest(["python", *sys.argv], [], asked.seed)
    del document["files"]
    setup: dict[str, Any] = {
        "log2 sizes": SIZES.tolist(),
        "log2 budgets": BUDGETS.tolist(),
        "slopes": SLOPES,
        "phi": PHI,
        "level": LEVEL,
    }
    setup |= {
        "samples": SAMPLES,
        "a + b": SPREAD,
        "covered": "% of studies",
        "below, above": "% with the truth below, above",
    }
    if asked.out is not None:
        asked.out.write_text(json.dumps(document | {"setup": setup, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
