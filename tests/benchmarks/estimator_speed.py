"""How long the estimators take at many shapes of table, beside plain numpy, scipy and what they were before.

    OMP_NUM_THREADS=1 python tests/benchmarks/estimator_speed.py    # writes results/benchmarks/estimators.json

CPU seconds, minima of three runs in one process (long peers: one). ``before``: the algorithms of f994b6a, which
are plain numpy's too: random orders for each draw of a vote, a mask of the table for each n, and multinomials.
"""

from __future__ import annotations

import json
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from scalinglab.curves import best_of_k, curve, interval, pass_at_k, pools_from_counts, table, vote_at_k
from scalinglab.flops import CONVENTIONS

ROOT = Path(__file__).parents[2]
PAPER = CONVENTIONS["paper"]


def least(work: Callable[[], object], times: int = 3) -> float:
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return round(min(spent), 5)


def pass_by_loop(n: Any, c: Any, k: int) -> Any:
    """Chen et al. 2021, Figure 3, problem by problem."""
    pairs = zip(n.tolist(), c.tolist(), strict=True)
    return np.array([1.0 if a - b < k else 1 - np.prod(1 - k / np.arange(a - b + 1, a + 1)) for a, b in pairs])


def pass_by_masks(n: Any, c: Any, k: int) -> Any:
    result = np.empty(n.shape)
    for size in np.unique(n).tolist():
        here = n == size
        failing = np.minimum(c[here], size - k)
        steps = np.log1p(-k / (size - np.arange(failing.max(), dtype=np.float64)))
        log_miss = np.concatenate([[0.0], np.cumsum(steps)])[failing]
        result[here] = np.where(c[here] > size - k, 1.0, -np.expm1(log_miss))
    return result


def vote_by_orders(answers: Any, votes: Any, k: list[int], draws: int) -> Any:
    """The first samples of as many random orders as draws; answer 0 is right."""
    rng, (rows, width), totals = np.random.default_rng(0), (len(answers), answers.max() + 1), np.zeros(len(k))
    flat, places = np.arange(rows)[:, None] * width, np.arange(answers.shape[1])
    for _ in range(draws):
        order = rng.permuted(np.broadcast_to(places, answers.shape), axis=1)[:, : max(k)]
        drawn, cast = np.take_along_axis(answers, order, 1), np.take_along_axis(votes, order, 1)
        tally = np.zeros(rows * width)
        for j, (start, end) in enumerate(zip([0, *k], k, strict=False)):
            some = (flat + drawn[:, start:end]).ravel()
            tally += np.bincount(some, cast[:, start:end].ravel(), rows * width)
            top = tally.reshape(rows, width)
            first = top >= top.max(axis=1, keepdims=True) * (1 - 1e-12)
            totals[j] += (first[:, 0] / first.sum(axis=1)).mean()
    return totals / draws


def best_by_orders(right: Any, scores: Any, k: list[int], draws: int) -> Any:
    """The best of the first samples of random orders."""
    rng, found = np.random.default_rng(0), np.zeros(len(k))
    for _ in range(draws):
        order = rng.permuted(np.broadcast_to(np.arange(right.shape[1]), right.shape), axis=1)
        for j, size in enumerate(k):
            top = np.take_along_axis(order, np.take_along_axis(scores, order[:, :size], 1).argmax(1)[:, None], 1)
            found[j] += np.take_along_axis(right, top, 1).mean()
    return found / draws


def bootstrap_by_multinomial(values: Any, draws: int) -> Any:
    n = len(values)
    return np.quantile(
        np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), draws) @ values / n, [0.025, 0.975]
    )


def coverage_rows() -> list[dict[str, Any]]:
    rng, rows = np.random.default_rng(0), []
    shapes = {
        "10,000 problems, all n different": np.arange(100, 10_100),
        "10,000 problems, n = 1,000": np.full(10_000, 1000),
        "1,000,000 problems, n = 8": np.full(10**6, 8),
        "20 problems, n about 1,000,000": 10**6 + np.arange(20),
    }
    for name, n in shapes.items():
        n = rng.permutation(n)
        c = rng.binomial(n, rng.beta(0.5, 1, len(n)))
        for k in {1, 8, int(n.min()) // 2}:
            row = {"work": f"pass@{k}", "shape": name, "cpu_s": least(lambda n=n, c=c, k=k: pass_at_k(n, c, k))}
            few = len(n) <= 10_000
            row["numpy_s"] = least(lambda n=n, c=c, k=k: pass_by_loop(n, c, k), 1) if few else None
            rows.append(row | {"before_s": least(lambda n=n, c=c, k=k: pass_by_masks(n, c, k), 1)})
    return rows


def vote_rows() -> list[dict[str, Any]]:
    rng, rows = np.random.default_rng(0), []
    every = [2**i for i in range(17)]
    for problems, n, answers, most, draws in (
        (10_000, 1000, 20, 512, 8), (200, 64, 10, 64, 64), (100_000, 8, 5, 8, 64), (5, 100_000, 50, 65_536, 64),
        (500, 128, 128, 128, 64), (20, 2000, 2000, 1024, 64), (1, 64, 5, 64, 64),
    ):  # fmt: skip
        drawn, k = rng.integers(0, answers, (problems, n)), [size for size in every if size <= most]
        for name, votes in (("majority", np.ones(drawn.shape)), ("weighted", rng.random(drawn.shape))):
            cast, right = None if name == "majority" else votes, drawn == 0
            shape = f"{problems:,} problems x {n:,}, {answers} answers, k to {most}, {draws} draws"
            row = {"work": name, "shape": shape}
            asked = (drawn, right, cast, np.array(k))
            row["cpu_s"] = least(lambda asked=asked, d=draws: vote_at_k(*asked, draws=d))
            row["numpy_s"] = least(lambda a=drawn, v=votes, k=k, d=draws: vote_by_orders(a, v, k, d), 1)
            row["before_s"] = row["numpy_s"]
            rows.append(row)
        scores, size = votes, {"work": "best-of-n", "shape": shape}
        size["cpu_s"] = least(lambda r=right, s=scores, k=k: best_of_k(r, s, np.array(k)))
        size["numpy_s"] = least(lambda r=right, s=scores, k=k, d=draws: best_by_orders(r, s, k, d), 1)
        rows.append(size | {"before_s": size["cpu_s"]})
    return rows


def bootstrap_rows() -> list[dict[str, Any]]:
    rng, rows = np.random.default_rng(0), []
    for problems, columns, draws in ((500, 18, 10_000), (20, 9, 2000), (100, 9, 2000), (5000, 18, 2000)):
        values = rng.random((problems, columns))
        row = {"work": "interval", "shape": f"{problems} problems x {columns}, {draws} draws"}
        seeds = iter(range(9))  # a new seed each time: small resamples are kept
        row["cpu_s"] = least(lambda v=values, d=draws, s=seeds: interval(v, draws=d, seed=next(s)))
        row["numpy_s"] = row["before_s"] = least(lambda v=values, d=draws: bootstrap_by_multinomial(v, d))
        how = {"n_resamples": draws, "method": "percentile", "axis": 0, "batch": 1000}
        rows.append(row | {"scipy_s": least(lambda v=values, how=how: stats.bootstrap((v,), np.mean, **how))})
    return rows


def scale_rows() -> list[dict[str, Any]]:
    """Curves of tables of counts: growth is linear in rows, and memory stays the table's."""
    rows = []
    for models, problems, n in ((1000, 100, 256), (2, 31_250, 1000), (2, 125_000, 1000), (2, 500_000, 1000)):
        names = np.repeat([f"m{i:04d}" for i in range(models)], problems)
        asked = np.tile([f"p{i:06d}" for i in range(problems)], models)
        right = np.random.default_rng(0).integers(0, n + 1, models * problems)
        counts = pd.DataFrame({"model": names, "problem": asked, "n": n, "correct": right})
        k = [2**i for i in range(n.bit_length())]
        spent = least(lambda counts=counts, k=k: drawn_curves(counts, k), 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        rows.append({"work": "curves of counts", "shape": f"{models} models x {problems:,} problems",
                     "cpu_s": round(spent, 2), "peak_mb_so_far": peak})  # fmt: skip
    return rows


def drawn_curves(counts: pd.DataFrame, k: list[int]) -> None:
    for pool in pools_from_counts(counts).values():
        table(curve(pool, "coverage", k, convention=PAPER))


def main() -> None:
    document = {
        "command": "OMP_NUM_THREADS=1 python tests/benchmarks/estimator_speed.py",
        "versions": {"python": platform.python_version(), **{x: version(x) for x in ("numpy", "scipy", "pandas")}},
        "machine": {"system": platform.platform(), "processor": platform.processor() or platform.machine()},
        "rows": [*scale_rows(), *coverage_rows(), *vote_rows(), *bootstrap_rows()],
    }
    path = ROOT / "results" / "benchmarks" / "estimators.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(pd.DataFrame(document["rows"]).to_string(index=False))


if __name__ == "__main__":
    main()
