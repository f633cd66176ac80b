"""How long the analysis takes: `exchange` on the recorded study and on very many problems, and every curve.

    OMP_NUM_THREADS=1 python tests/benchmarks/exchange_speed.py    # writes results/benchmarks/exchange.json

Times are CPU seconds of the process and its children, start-up and reading included where it is a command. Counts
are of two models x 1,000 samples under all six rules; curves are of 128 problems x 10,000 samples.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from verb_speed import SPECS, counts, verb

from scalinglab.curves import INDEPENDENT, SELECTORS, Graded, Pool, accuracy, interval

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "tests" / "data" / "first-study"
PROBLEMS, SAMPLES, BOOTSTRAPS = 128, 10_000, 1_000
BUDGETS = [2**i for i in range(11)]
MANY = (100_000, 2_500_000)


def cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def exchange() -> dict[str, Any]:
    """The whole study on the command line: every strategy, bin, R and convention, with intervals."""
    command = [sys.executable, "-c", "from scalinglab.cli import main; main()", "exchange", str(STUDY), "--json"]
    before = cpu()
    done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    spent = cpu() - before
    found = json.loads(done.stdout)
    return {
        "what": "scalinglab exchange tests/data/first-study --json",
        "verdicts": len(found["rows"]),
        "breakevens": len(found["breakeven"]),
        "cpu_s": round(spent, 3),
    }


def many(problems: int) -> dict[str, Any]:
    """A table of counts of so many problems x 2 models, on the command line."""
    with tempfile.TemporaryDirectory() as folder:
        data = counts(Path(folder) / "counts.parquet", problems)
        return {"what": "scalinglab exchange on counts", "problems": problems} | verb(
            "exchange", data, Path(folder), *SPECS, "--json", times=1
        )


def simulated(seed: int = 0) -> Pool:
    """Problems of Beta difficulty; wrong answers spread over twenty; a verifier that sees noise."""
    rng = np.random.default_rng(seed)
    ease = rng.beta(0.5, 1.0, PROBLEMS)
    right = rng.random((PROBLEMS, SAMPLES)) < ease[:, None]
    answers = np.where(right, 0, rng.integers(1, 21, right.shape))
    scores = 1 / (1 + np.exp(-rng.normal(2.0 * right - 1.0, 1.0)))
    n = np.full(PROBLEMS, SAMPLES)
    return Pool(
        "simulated", tuple(map(str, range(PROBLEMS))), n, right.sum(axis=1), Graded(right, answers, scores)
    )


def curves() -> list[dict[str, Any]]:
    pool, rows = simulated(), []
    for selector in (name for name, one in SELECTORS.items() if name == "coverage" or INDEPENDENT in one.kinds):
        before = cpu()
        found = accuracy(pool, selector, BUDGETS)[0]
        interval(found, draws=BOOTSTRAPS)
        row = {"what": f"curve by {selector}, k to {BUDGETS[-1]}", "problems": PROBLEMS, "samples": SAMPLES}
        row |= {"bootstraps": BOOTSTRAPS, "cpu_s": round(cpu() - before, 3)}
        rows.append(row | {"accuracy": found.mean(axis=0).round(4).tolist()})
    return rows


def main() -> None:
    every = curves()
    total = {"what": "all curves", "cpu_s": round(sum(row["cpu_s"] for row in every), 3)}
    document = {
        "command": "OMP_NUM_THREADS=1 python tests/benchmarks/exchange_speed.py",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "pandas")}},
        "machine": {"system": platform.platform(), "processor": platform.processor() or platform.machine()},
        "rows": [exchange(), *map(many, MANY), *every, total],
    }
    path = ROOT / "results" / "benchmarks" / "exchange.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
