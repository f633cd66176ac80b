"""CPU seconds and peak memory of every verb that reads data, at 1, 4 and 16 times the rows, and of its peers.

    OMP_NUM_THREADS=1 python tests/benchmarks/verb_speed.py    # writes results/benchmarks/verbs.json

A fresh process each, start-up and reading included, the least of ``TIMES``. Runs: simulated, of 60, 240 and 960
problems; counts: of two models on 2,500, 10,000 and 40,000 problems, 1,000 samples each. ``before`` are the
figures of commit f994b6a, on the machine that issue 14 was measured on.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from simulated import record  # noqa: E402

STUDY = "tests/data/first-study"
TIMES = 2
SIZES = (1, 4, 16)
MAIN = "from scalinglab.cli import main; main()"
SPECS = ("--small", "a", "--large", "b", "--spec", "a=Pythia-1B", "--spec", "b=Pythia-12B")
CHEAP = ("specs Qwen3-8B", "specs --ratio 14", "budget --ratio 14 --r 0.79",
         "flops Qwen3-8B --prompt 100 --generate 100")  # fmt: skip
ON_STUDY = ("exchange", "curve", "optimal", "findings", "laws", "ledger", "status", "report --out {out}",
            "advise --queries 1e9 --target 0.6")  # fmt: skip
ON_COUNTS = ("exchange", "curve", "advise --queries 1e9 --target 0.6", "laws")
BEFORE = {"specs Qwen3-8B": 1.60, "budget --ratio 14 --r 0.79": 1.67, "exchange, recorded study": 7.3,
          "report --out {out}, recorded study": 12.2, "laws, recorded study": 12.7}  # fmt: skip
PEERS = {
    "an empty typer program": "import typer\napp = typer.Typer()\n@app.command()\ndef f(): pass\napp([])",
    "numpy alone: pass@k of {data}": """
import numpy as np, pandas as pd
frame = pd.read_parquet({data!r})
n, c = frame["n"].to_numpy(), frame["correct"].to_numpy()
for k in 2 ** np.arange(10):
    i = np.arange(k)
    1 - np.prod(np.clip((n[:, None] - c[:, None] - i) / (n[:, None] - i), 0, 1), axis=1)
""",
    "scipy.stats.bootstrap of one mean of {data}": """
import numpy as np, pandas as pd
from scipy import stats
frame = pd.read_parquet({data!r})
rate = (frame["correct"] / frame["n"]).to_numpy()[: len(frame) // 2]
stats.bootstrap((rate,), np.mean, n_resamples=2000, batch=20, method="percentile", rng=np.random.default_rng(0))
""",
}
WATCHED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
last = done.stderr.strip().splitlines()[-1:] if done.returncode else []
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, last]))
"""


def watched(*command: str, times: int = TIMES) -> dict[str, Any]:
    """The least CPU seconds and the peak MB of a command, or the line in which it ended."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    seen = []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, *command],
            check=True,
            capture_output=True,
            text=True,
            env=env,
            cwd=ROOT,
        )
        spent, peak, last = json.loads(done.stdout)
        if last:
            return {"error": last[0]}
        seen.append((spent, peak))
    spent, peak = (min(column) for column in zip(*seen, strict=True))
    return {"cpu_s": round(spent, 2), "peak_mb": round(peak)}


def verb(line: str, data: Path | str | None, out: Path, *more: str, times: int = TIMES) -> dict[str, Any]:
    name, *options = line.format(out=out).split()
    given = [] if data is None else [str(data)]
    return watched(sys.executable, "-c", MAIN, name, *given, *options, *more, times=times)


def counts(path: Path, problems: int) -> Path:
    rng = np.random.default_rng(0)
    ease, names = rng.beta(0.4, 0.6, problems), [f"p{i}" for i in range(problems)]
    parts = [
        pd.DataFrame({"model": model, "problem": names, "n": 1000, "correct": rng.binomial(1000, ease**power)})
        for model, power in (("a", 1.0), ("b", 0.6))
    ]
    pd.concat(parts).to_parquet(path, index=False)
    return path


def measured(folder: Path) -> list[dict[str, Any]]:
    """A row a command and size of data; peers among them."""
    rows = [{"what": line} | verb(line, None, folder) for line in CHEAP]
    rows += [{"what": f"{line}, recorded study"} | verb(line, STUDY, folder / "out") for line in ON_STUDY]
    for size in SIZES:
        data = counts(folder / f"counts{size}.parquet", 2500 * size)
        on = {"data": f"counts of 2 models x {2500 * size} problems x 1000 samples", "times": size}
        rows += [{"what": line} | on | verb(line, data, folder / "out", *SPECS) for line in ON_COUNTS]
        for name, code in PEERS.items():
            if "{data}" in name:
                peer = watched(sys.executable, "-c", code.format(data=str(data)))
                rows.append({"what": name.format(data="these counts")} | on | peer)
    for size in SIZES:
        data = record(folder / f"run{size}", problems=60 * size)
        on = {"data": f"a simulated run of {60 * size} problems", "times": size}
        rows += [{"what": line} | on | verb(line, data, folder / f"out{size}") for line in ON_STUDY]
    alone = "an empty typer program"
    rows.append({"what": alone} | watched(sys.executable, "-c", PEERS[alone]))
    return [row | ({"before_cpu_s": BEFORE[row["what"]]} if row["what"] in BEFORE else {}) for row in rows]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder))
    document = {
        "command": "OMP_NUM_THREADS=1 python tests/benchmarks/verb_speed.py",
        "load": "other work shared the two cores while this ran" if os.getloadavg()[2] > 1.5 else "quiet",
        "before": "commit f994b6a, as issue 14 measured it on a quiet machine",
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("numpy", "pandas", "scipy")},
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "rows": rows,
    }
    path = ROOT / "results" / "benchmarks" / "verbs.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
