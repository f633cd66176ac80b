"""A run as files to keep or to hand on: its samples as Parquet, with the plan that prices them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from scalinglab.errors import DataError
from scalinglab.files import save
from scalinglab.report import manifest
from scalinglab.samples import (
    COLLECTED,
    PLAN,
    REFERENCES,
    find_plan,
    is_run,
    noted,
    read_collected,
    read_plan,
    read_run,
    write_parquet,
)

SAMPLES = "samples"


def export_run(folder: str | Path, out: str | Path, *, command: Sequence[str]) -> list[Path]:
    """Write the run in ``folder`` to ``out``: its samples as tables, a manifest, and its study and plan if any.

    What is written is a run too: all that reads the one reads the other. Raises DataError where it is no run's
    folder, or ``out`` cannot be written.
    """
    folder, out = Path(folder), Path(out)
    alone = is_run(folder) and find_plan(folder) is None
    planned = [] if alone else [cell.seed for cell in read_plan(folder).cells]
    if folder.resolve() == out.resolve():
        raise DataError(f"{folder} to itself", "another folder", "give another --out")
    run = read_run(folder)
    write_parquet(run, out / SAMPLES)
    kept = ("study.toml", PLAN, COLLECTED, REFERENCES)
    files = {name: (folder / name).read_bytes() for name in kept if (folder / name).is_file()}
    tables = sorted(f"{SAMPLES}/{path.name}" for path in (out / SAMPLES).iterdir())
    seeds, collected = sorted({*planned, *map(int, run.units["seed"])}), read_collected(folder)
    about = manifest(command, [*sorted(files), *tables], seed=seeds[0]) | {"seeds": seeds, "collected": collected}
    about |= {"notes": list(noted(folder))} if noted(folder) else {}
    files["manifest.json"] = (json.dumps(about, indent=1) + "\n").encode()
    return [*(out / name for name in tables), *(save(out / name, content) for name, content in files.items())]
