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
from scalinglab.samples import Log, Run, read_samples, write_parquet
from scalinglab.samples.columns import with_task
from scalinglab.study.export import SAMPLES
from scalinglab.tasks.text import USUAL_PLACES, extract

REFERENCES = "references.jsonl"
"""In an imported run: the right answer to each problem, where the log had it, a line each."""
_MARKED = ("boxed", "hash")
"""Where a whole solution marks its answer."""


async def graded(log: Log) -> Log:
    """A log whose answers have grades: those that it lacks by the answers in their texts and its right ones.

    An answer is looked for in ``tasks.text.USUAL_PLACES``; a text without one is "unparsed". Raises EngineError
    where no grader starts.
    """
    if log.graded:
        return log
    rows, lacking = log.rows.copy(), log.rows["grade"] == "ungraded"
    wanted = list(rows.loc[lacking, ["reference", "text"]].itertuples(index=False, name=None))
    each = list(dict.fromkeys(wanted))
    with Grader() as grader:
        said = dict(zip(each, await together(_grade(grader, *one) for one in each), strict=True))
    found = pd.DataFrame([said[one] for one in wanted], rows.index[lacking], ["grade", "answer"], dtype=object)
    rows = rows.assign(answer=rows.get("answer"))
    rows.loc[lacking, ["grade", "answer"]] = found
    note = f"the log has no grades: {len(found)} answers were graded here, by its right ones"
    return replace(log, rows=rows, notes=(*log.notes, note), graded=True)


async def _grade(grader: Grader, gold: str, text: str) -> tuple[str, str | None]:
    given = extract(text, USUAL_PLACES)
    return ("unparsed", None) if given is None else await grader.grade(gold, given)


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
            references = _references(log.rows, run)
            if references:
                (folder / REFERENCES).write_text("".join(json.dumps(one) + "\n" for one in references), "utf-8")
            about = manifest(command, [SAMPLES], seed=None) | {"imported": source, "notes": list(log.notes)}
            (folder / "manifest.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {out} ({error.strerror})", "a folder with room", "choose another"
        ) from error
    return run


def _references(rows: pd.DataFrame, run: Run) -> list[dict[str, str]]:
    """Right answers by task and problem as the run names them; of a whole solution what it marks as the answer."""
    if "reference" not in rows:
        return []
    named = rows.assign(problem=with_task(rows, "the log", rows["problem"].astype(str)))
    known = named.loc[named["reference"].notna(), ["problem", "reference"]].drop_duplicates()
    several = known["problem"].duplicated()
    if several.any():
        raise DataError(
            f"two right answers to {known['problem'][several].iloc[0]}", "one to a problem", "import them apart"
        )
    task = str(run.units["task"].iloc[0])
    pairs = known.itertuples(index=False, name=None)
    return [{"task": task, "problem": name, "answer": extract(gold, _MARKED) or gold} for name, gold in pairs]


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
