"""Other people's logs as a run's folder, on which every verb works: samples, right answers, and what was odd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from scalinglab.collect import Grader
from scalinglab.collect.recording import together
from scalinglab.errors import DataError
from scalinglab.files import whole_folder
from scalinglab.report import manifest
from scalinglab.samples import Log, Run, read_samples, write_parquet, write_references
from scalinglab.study.export import SAMPLES
from scalinglab.tasks.text import USUAL_PLACES, extract

_MARKED = ("boxed", "hash")
"""Where a whole solution marks its answer."""


async def graded(log: Log) -> Log:
    """A log whose answers have grades: those that it lacks by the answers in their texts and its right ones.

    An answer is looked for in ``tasks.text.USUAL_PLACES``; a text without one is "unparsed". Raises DataError for
    a right answer that cannot be read, EngineError where no grader starts.
    """
    if log.graded:
        return log
    rows = log.rows.copy()
    lacking = (rows["grade"] == "ungraded") & rows["reference"].notna() & rows["text"].notna()
    wanted = list(rows.loc[lacking, ["reference", "text"]].itertuples(index=False, name=None))
    each = list(dict.fromkeys(wanted))
    with Grader() as grader:
        grader.refuse_unreadable(dict(rows.loc[lacking, ["problem", "reference"]].to_numpy()), "the log")
        work = (grader.grade_text(gold, text, USUAL_PLACES, cut=False) for gold, text in each)
        said = dict(zip(each, await together(work), strict=True))
    found = pd.DataFrame([said[one] for one in wanted], rows.index[lacking], ["grade", "answer"], dtype=object)
    rows = rows.assign(answer=rows.get("answer"))
    rows.loc[lacking, ["grade", "answer"]] = found
    note = f"the log has no grades: {len(found)} answers were graded here, by its right ones"
    return replace(log, rows=rows, notes=(*log.notes, note), graded=True)


def write_imported(log: Log, out: str | Path, *, command: Sequence[str], source: str) -> Run:
    """Write what logs say to a new folder, whole or not at all, and return it as it will be read.

    Raises DataError where the folder is there already, or cannot be written.
    """
    out, run = Path(out), read_samples(log.rows)
    references = _references(log.rows)
    if out.exists():
        raise DataError(f"--out {out}, which is there already", "a new folder", "choose another, or remove it")
    try:
        with whole_folder(out) as folder:
            write_parquet(run, folder / SAMPLES)
            if references:
                write_references(folder, references)
            about = manifest(command, [SAMPLES], seed=None) | {"imported": source, "notes": list(log.notes)}
            (folder / "manifest.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {out} ({error.strerror})", "a folder with room", "choose another"
        ) from error
    return run


def _references(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Right answers by task and problem as a run names them; of a whole solution what it marks as the answer."""
    if "reference" not in rows:
        return {}
    task = rows["task"].fillna("table") if "task" in rows else "table"
    named = rows.assign(task=task, problem=rows["problem"].astype(str))
    known = named.loc[named["reference"].notna(), ["task", "problem", "reference"]].drop_duplicates()
    several = known.duplicated(["task", "problem"])
    if several.any():
        name = "/".join(known.loc[several, ["task", "problem"]].iloc[0])
        raise DataError(f"two right answers to {name}", "one to a problem", "import the logs apart")
    golds = known.itertuples(index=False, name=None)
    return {(task, problem): extract(gold, _MARKED) or gold for task, problem, gold in golds}


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
