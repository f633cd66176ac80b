"""Other people's logs as a run's folder, on which every verb works: samples, right answers, and what was odd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scalinglab.errors import DataError
from scalinglab.files import whole_folder
from scalinglab.report import manifest
from scalinglab.samples import Log, Run, read_samples, write_parquet
from scalinglab.study.export import SAMPLES

REFERENCES = "references.jsonl"
"""In an imported run: the right answer to each problem, where the log had it, a line each."""


def write_imported(log: Log, out: str | Path, *, command: Sequence[str], source: str) -> Run:
    """Write what logs say to a new folder, whole or not at all, and return it as it will be read.

    Raises DataError where the folder is there already, or cannot be written.
    """
    out, run = Path(out), read_samples(log.rows)
    if out.exists():
        raise DataError(f"--out {out}, which is there already", "a new folder", "choose another, or remove it")
    try:
        with whole_folder(out) as folder:
            write_parquet(run, folder / SAMPLES)
            references = _references(log.rows)
            if references:
                (folder / REFERENCES).write_text("".join(json.dumps(one) + "\n" for one in references), "utf-8")
            about = manifest(command, [SAMPLES], seed=None) | {"imported": source, "notes": list(log.notes)}
            (folder / "manifest.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {out} ({error.strerror})", "a folder with room", "choose another"
        ) from error
    return run


def _references(rows: pd.DataFrame) -> list[dict[str, str]]:
    if "reference" not in rows:
        return []
    names = [name for name in ("task", "problem", "reference") if name in rows]
    known = rows.loc[rows["reference"].notna(), names].drop_duplicates()
    return [{str(k): str(v) for k, v in row.items()} for row in known.to_dict("records")]


def imported_table(run: Run) -> pd.DataFrame:
    """What came in: one row a model, task and strategy, with problems, answers, a column a grade that occurs, and
    answers whose generated tokens are known."""
    units = run.units.set_index("key")[["model", "task", "strategy", "problem"]]
    every = run.solutions[["unit", "position", "grade"]].join(units, on="unit")
    told = run.calls.loc[run.calls["generated_tokens"].notna(), ["unit", "position"]].assign(told=1)
    every = every.merge(told, on=["unit", "position"], how="left")
    groups = every.groupby(["model", "task", "strategy"], sort=True)
    found = groups.agg(problems=("problem", "nunique"), answers=("grade", "size"), with_tokens=("told", "count"))
    grades = every.pivot_table(index=["model", "task", "strategy"], columns="grade", aggfunc="size", fill_value=0)
    return found.join(grades).reset_index()
