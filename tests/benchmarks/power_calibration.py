"""How well ``power`` forecasts the headline's interval, the difference and the chance of deciding:

python tests/benchmarks/power_calibration.py --out results/benchmarks/power.json

Studies of known difficulty (Beta chances, the two models' paired by a Gaussian copula; the large model answers
once), each through ``exchange`` as its user's would go. Against them: the forecast from the assumed accuracies,
and those from pilots of 40 and of 120 problems with 8 samples. votes: samples with answers, chosen by majority,
the wrong answers of a problem falling on few others. ratio: of the forecast half width to the studies' mean.
Five minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from scalinglab.evidence import Evidence, open_evidence
from scalinglab.exchange import OPTIMAL, PRETRAINING, TEST_TIME, assumed, power, verdicts, views
from scalinglab.flops import CONVENTIONS
from scalinglab.report import manifest
from scalinglab.specs import parse

SPECS = {"small": parse("1e9@20e9"), "large": parse("14e9@20e9")}
R, RULES = [22.0], [CONVENTIONS["paper"]]
SETTINGS = (  # accuracy of one answer of each, spread, pairing; problems and samples of the study
    (0.3, 0.6, 0.4, 0.7, 200, 32),
    (0.3, 0.6, 0.4, 0.7, 60, 16),
    (0.15, 0.5, 0.3, 0.4, 400, 32),
    (0.5, 0.75, 0.7, 0.9, 120, 16),
    (0.3, 0.5, 0.2, 0.7, 300, 16),
)
WRONG = np.array([0.5, 0.2, 0.2, 0.1])
Truth = tuple[float, float, float, float]
Make = Callable[[Truth, int, int, int], Evidence]


def drawn(truth: Truth, problems: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Chances of the small model, and the large one's answers, of so many problems."""
    small, large, spread, pairing = truth
    one, other = rng.normal(size=(2, problems))
    ranks = special.ndtr(one), special.ndtr(pairing * one + np.sqrt(1 - pairing**2) * other)
    weight = 1 / spread - 1
    chances = [
        special.betaincinv(weight * mean, weight * (1 - mean), rank)
        for mean, rank in zip((small, large), ranks, strict=True)
    ]
    return chances[0], rng.random(problems) < chances[1]


def counts(truth: Truth, problems: int, samples: int, seed: int) -> Evidence:
    """A study as a table of counts."""
    rng = np.random.default_rng(seed)
    chance, right = drawn(truth, problems, rng)
    frame = pd.DataFrame(
        {
            "model": np.repeat(["small", "large"], problems),
            "problem": [f"{i:04d}" for i in range(problems)] * 2,
            "n": np.repeat([samples, 1], problems),
            "correct": np.concatenate([rng.binomial(samples, chance), right]),
        }
    )
    return open_evidence(frame, small="small", large="large", specs=SPECS)


def votes(truth: Truth, problems: int, samples: int, seed: int) -> Evidence:
    """A study as a table of samples with answers."""
    rng = np.random.default_rng(seed)
    chance, theirs = drawn(truth, problems, rng)
    right = rng.random((problems, samples)) < chance[:, None]
    wrong = rng.choice(len(WRONG), (problems, samples), p=WRONG) + 1
    both = np.concatenate([np.where(right, 0, wrong).ravel(), np.where(theirs, 0, 1)])
    names = np.array([f"{i:04d}" for i in range(problems)])
    frame = pd.DataFrame(
        {
            "model": np.repeat(["small", "large"], [problems * samples, problems]),
            "problem": np.concatenate([np.repeat(names, samples), names]),
            "answer": both.astype(str),
            "correct": both == 0,
        }
    )
    return open_evidence(frame, small="small", large="large", specs=SPECS)


def studies(make: Make, setting: tuple[Any, ...], count: int) -> dict[str, float]:
    """What studies of a setting say at the largest R: means, and the share that decides."""
    *truth, problems, samples = setting
    rows = []
    for seed in range(count):
        made, _ = views(make(tuple(truth), problems, samples, seed), RULES, seed=seed)  # type: ignore[arg-type]
        found = verdicts(made, R)
        rows.append(found[(found["strategy"] == OPTIMAL) & (found["bin"] == "all")].iloc[0])
    table = pd.DataFrame(rows)
    decided = table["verdict"].isin([TEST_TIME, PRETRAINING])
    half = (table["high"] - table["low"]) / 2
    return {
        "half width": float(half.mean()), "difference": float(table["difference"].mean()),
        "decided": float(decided.mean()),
    }  # fmt: skip


def forecast(evidence: Evidence, problems: int, samples: int, seed: int, *, known: bool) -> dict[str, float]:
    """What a forecast says of the same."""
    (one,) = power(evidence, samples=samples, r=R, rules=RULES, assumed=known, seed=seed).outlooks
    return {
        "half width": one.half_width(problems), "difference": one.difference, "decided": one.chance(problems)
    }  # fmt: skip


def compared(kind: str, setting: tuple[Any, ...], count: int, pilots: int) -> dict[str, Any]:
    """One setting: what came out, and each forecast's ratio to it."""
    *truth, problems, samples = setting
    make = {"counts": counts, "votes": votes}[kind]
    real = studies(make, setting, count)
    row: dict[str, Any] = {"kind": kind, "setting": setting, "studies": _round(real)}
    if kind == "counts":
        given = dict(zip(("spread", "pairing"), truth[2:], strict=True))
        told = forecast(assumed(*truth[:2], specs=SPECS, **given), problems, samples, 0, known=True)
        row["assumed"] = _round(told) | {"ratio": round(told["half width"] / real["half width"], 3)}
    for size in (40, 120):
        made = [
            forecast(make(tuple(truth), size, 8, 1000 + i), problems, samples, i, known=False)  # type: ignore[arg-type]
            for i in range(pilots)
        ]
        table = pd.DataFrame(made)
        ratios = table["half width"] / real["half width"]
        row[f"pilots of {size}"] = _round(table.mean().to_dict()) | {
            "ratio": round(float(ratios.mean()), 3),
            "within 15 %": round(float(((ratios - 1).abs() <= 0.15).mean()), 2),
        }
    return row


def _round(values: dict[Any, float]) -> dict[str, float]:
    return {str(name): round(value, 4) for name, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--pilots", type=int, default=10)
    asked = parser.parse_args()
    rows, began = [], time.process_time()
    for kind, setting in [*(("counts", one) for one in SETTINGS), ("votes", SETTINGS[0]), ("votes", SETTINGS[3])]:
        rows.append(compared(kind, setting, asked.studies, asked.pilots))
        print(json.dumps(rows[-1]), flush=True)
    document = manifest(["python", *sys.argv], [], 0)
    del document["files"]
    setup = {
        "R": R, "rule": "paper", "studies": asked.studies, "pilots": asked.pilots, "samples of a pilot": 8,
        "setting": "small, large, spread, pairing, problems, samples",
        "cpu_s": round(time.process_time() - began),
    }  # fmt: skip
    if asked.out is not None:
        asked.out.write_text(json.dumps(document | {"setup": setup, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
