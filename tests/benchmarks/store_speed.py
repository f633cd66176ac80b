"""What recording takes: CPU of the collector a unit of one sample, by an engine that answers at once; then seconds
and memory of ``status`` and ``export``, each in a process of its own.

    python tests/benchmarks/store_speed.py --units 100000
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scalinglab.collect import About, Generated, Problem, collect
from scalinglab.samples import Cell, Plan, PlanModel, RunStore, read_run

SHOWN = """
import json, resource, sys, time
from scalinglab.study import export_run, status_of
begun = time.process_time()
if sys.argv[1] == "status":
    assert status_of(sys.argv[2]).done == int(sys.argv[4])
else:
    export_run(sys.argv[2], sys.argv[3], command=[])
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"seconds of CPU": round(time.process_time() - begun, 2), "MB": mb}))
"""


class AtOnce:
    """An engine that answers every prompt with the same text of 2,000 characters."""

    model, continues, text = "small", True, "so it goes " * 182

    async def generate(self, prompt, **_):
        return Generated(self.text, len(prompt), 500, 0, "stop", 0.0)

    async def count(self, text):
        return len(text)

    async def about(self):
        return About("at once")


@dataclass(frozen=True)
class Given:
    """A task that takes every answer for right."""

    problems: dict
    name: str = "given"
    ends: tuple = ()

    async def grade(self, *_, **__):
        return "right", "4"


def collected(folder, units):
    """A study of so many units of one sample in a folder; milliseconds of CPU and of wall time a unit, and MB."""
    names = [f"p{i}" for i in range(units)]
    task = Given({name: Problem(name, f"{name}?", f"{name}?", "4", 1000) for name in names})
    cell = Cell("policy", "small", "parallel", {"samples": 1}, 1)
    plan = Plan("bench", "given", tuple(names), (cell,), {"small": PlanModel("small", (), "Pythia-160M")}, {})
    (folder / "study.json").write_text(plan.to_json())
    wanted = list(plan.units())
    with RunStore(folder / "run.sqlite") as store:
        cpu, wall = time.process_time(), time.perf_counter()
        done = asyncio.run(collect(wanted, {"small": AtOnce()}, {}, task, store))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert done == units
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"ms of CPU a unit": round(1000 * cpu / units, 3), "ms a unit": round(1000 * wall / units, 3), "MB": mb}


def read(folder):
    """Seconds that reading the whole run takes."""
    begun = time.process_time()
    read_run(folder)
    return {"seconds of CPU": round(time.process_time() - begun, 2)}


def shown(verb, folder, out, units):
    """CPU and memory of a verb in a new process."""
    command = [sys.executable, "-c", SHOWN, verb, str(folder), str(out), str(units)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {"units": options.units, "collect": collected(folder, options.units)}
        for verb in ("status", "export"):
            found[verb] = shown(verb, folder, folder / "exported", options.units)
        found["read"] = read(folder)
        found["read the export"] = read(folder / "exported")
    text = json.dumps(found | {"command": " ".join(["python", *sys.argv])}, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
