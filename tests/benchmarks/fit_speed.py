"""Chinchilla's law on Epoch's 240 points: 4,500 starts and 4,000 bootstraps here, by scipy, and by `chinchilla`;
and every law of a recorded study, by `scalinglab laws` and without the reading of the study.

    OMP_NUM_THREADS=1 python tests/benchmarks/fit_speed.py    # writes results/benchmarks/fit.json

Needs ../shared/data (third-party) and, for the last row, `pip install chinchilla`. Times are CPU seconds of the
process and its children. Others run a subset of the starts, and their time is extrapolated in proportion.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from scalinglab.fits import Points, fit, fit_all, read_points
from scalinglab.fits.fit import residuals_of
from scalinglab.fits.residuals import project
from scalinglab.fits.solve import solve
from scalinglab.laws import CHINCHILLA, DRIFTING, LOG_LOGISTIC, SATURATING

ROOT = Path(__file__).parents[2]
POINTS = ROOT.parent / "shared" / "data" / "chinchilla" / "points.csv"
STUDY = ROOT / "tests" / "data" / "first-study"
AXES = {  # of Hoffmann et al. 2022 and Besiroglu et al. 2024
    "e": np.arange(-1, 1.1, 0.5),
    "a": np.arange(0, 26, 5.0),
    "b": np.arange(0, 26, 5.0),
    "alpha": np.arange(0, 2.1, 0.5),
    "beta": np.arange(0, 2.1, 0.5),
}
GRID = np.array(list(product(*AXES.values())))
BOOTSTRAPS = 4000
SUBSET = 45


def cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(name: str, work: Callable[[], tuple[int, float | None]], whole: int) -> dict[str, Any]:
    """A row: what ran, how many of how many, CPU s, and those of the whole."""
    before = cpu()
    count, objective = work()
    spent = cpu() - before
    row = {"what": name, "run": count, "of": whole, "cpu_s": round(spent, 3)}
    return row | {"cpu_s_of_all": round(spent * whole / count, 3), "objective": objective}


def ours(data: Points) -> list[dict[str, Any]]:
    residuals = residuals_of(CHINCHILLA, [data])

    def grid() -> tuple[int, float]:
        starts = project(CHINCHILLA, data.inputs, data.outcome, GRID[:, 3:])
        return len(GRID), float(solve(residuals, np.unique(starts, axis=0)).value.min())

    def spread() -> tuple[int, float]:
        exponents = np.array(list(product(np.linspace(0.02, 2, 75), np.linspace(0.02, 2, 60))))
        starts = project(CHINCHILLA, data.inputs, data.outcome, exponents)
        return len(starts), float(solve(residuals, starts).value.min())

    def raw() -> tuple[int, float]:
        return len(GRID), float(solve(residuals, GRID).value.min())

    def boot() -> tuple[int, None]:
        found = fit(CHINCHILLA, data, bootstrap=BOOTSTRAPS)
        assert found.draws is not None
        return len(found.draws), None

    return [
        timed("scalinglab, the grid: E, A, B solved, the distinct starts followed", grid, len(GRID)),
        timed("scalinglab, 75 x 60 distinct exponents, E, A, B solved, all followed", spread, len(GRID)),
        timed("scalinglab, the grid, nothing solved beforehand, all followed", raw, len(GRID)),
        timed("scalinglab, fit with 4,000 bootstraps", boot, BOOTSTRAPS),
    ]


def of_a_study() -> list[dict[str, Any]]:
    """`scalinglab laws` on the first study in a process of its own, and the fits of its curves alone."""

    def verb() -> tuple[int, None]:
        line = [sys.executable, "-m", "scalinglab.cli.verbs", "laws", str(STUDY), "--json"]
        subprocess.run(line, check=True, capture_output=True)
        return 1, None

    rng = np.random.default_rng(0)
    rise = np.linspace(0.3, 0.75, 7) + rng.normal(0, 0.3, (200, 7))
    curves = [Points({"k": 2.0 ** np.arange(7)}, np.clip(rise + shift, 0, 1)) for shift in np.linspace(0, 0.1, 10)]

    def fits() -> tuple[int, None]:
        for law in (SATURATING, LOG_LOGISTIC, DRIFTING):
            fit_all(law, curves)
        return 30, None

    return [
        timed("scalinglab laws tests/data/first-study", verb, 1),
        timed("scalinglab, three laws of accuracy on ten curves of 200 problems, 1,000 bootstraps each", fits, 30),
    ]


def scipys(data: Points, method: str) -> dict[str, Any]:
    """scipy from a random subset of the grid, of the log-sum-exp form and with numerical gradients, as Epoch's."""
    size, tokens, loss = np.log(data.inputs["N"]), np.log(data.inputs["D"]), np.log(data.outcome)

    def objective(p: np.ndarray) -> float:
        terms = np.logaddexp(np.logaddexp(p[1] - p[3] * size, p[2] - p[4] * tokens), p[0])
        apart = np.abs(terms - loss)
        return float(np.where(apart <= 1e-3, apart**2 / 2, 1e-3 * (apart - 5e-4)).sum())

    def work() -> tuple[int, float]:
        chosen = np.random.default_rng(0).choice(len(GRID), SUBSET, replace=False)
        return SUBSET, min(float(minimize(objective, GRID[i], method=method).fun) for i in chosen)

    return timed(f"scipy {method}, a random subset of the grid", work, len(GRID))


def package(data: Points) -> dict[str, Any]:
    """The `chinchilla` package over a 32nd of its documented kind of grid, its log-Huber loss with delta 1e-3."""
    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    def huber(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.asarray(log_huber(truth, predicted, delta=1e-3))

    axes = {name: axis[[1, 2]] for name, axis in AXES.items()}
    with tempfile.TemporaryDirectory() as folder:
        made = Chinchilla(folder, param_grid=axes, loss_fn=huber, log_level=50)
        for n, d, y in zip(data.inputs["N"], data.inputs["D"], data.outcome, strict=True):
            made.database.append(C=6 * n * d, N=n, D=d, loss=y)

        def work() -> tuple[int, float]:
            made.fit(parallel=True)
            values = {"E": made.E, "A": made.A, "B": made.B, "alpha": made.alpha, "beta": made.beta}
            apart = np.abs(np.log(CHINCHILLA.predict(values, data.inputs)) - np.log(data.outcome))
            return 32, float(np.where(apart <= 1e-3, apart**2 / 2, 1e-3 * (apart - 5e-4)).sum())

        return timed("chinchilla (PyPI), 2 values an axis", work, len(GRID))


def main() -> None:
    columns = {"N": "Model Size", "C": "Training FLOP", "D": "C/6N"}
    data = read_points(POINTS, CHINCHILLA, columns=columns).without_highest(5)
    rows = [*ours(data), *of_a_study(), scipys(data, "BFGS"), scipys(data, "L-BFGS-B")]
    names = ["numpy", "scipy"]
    try:
        version("chinchilla")
        rows.append(package(data))
        names.append("chinchilla")
    except PackageNotFoundError:
        print("chinchilla is not installed: left out", file=sys.stderr)
    document = {
        "command": "OMP_NUM_THREADS=1 python tests/benchmarks/fit_speed.py",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
        "machine": {"system": platform.platform(), "processor": platform.processor() or platform.machine()},
        "rows": rows,
    }
    path = ROOT / "results" / "benchmarks" / "fit.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
