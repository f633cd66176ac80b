"""A recorded run graded anew from its texts: nothing is collected again, and it is written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.collect import Grader
from scalinglab.collect.recording import together
from scalinglab.collect.run import sole_collector
from scalinglab.errors import DataError
from scalinglab.samples import (
    REFERENCES,
    SETTLED,
    Run,
    cut_solutions,
    read_references,
    read_run,
    update_solutions,
)
from scalinglab.study.plan import STORE
from scalinglab.study.settings import Study, read_study
from scalinglab.study.task import opened_task
from scalinglab.tasks.text import USUAL_PLACES, check_places

_EXAMPLES = 3
_TAIL = 80
_EMPTY = ("unparsed", "truncated")
"""Grades of a text that was recorded as empty and is."""
_READ = ["task", "problem", "text", "cut"]
_Problem = tuple[str, str]


@dataclass(frozen=True)
class Regraded:
    """What grading anew changed.

    solutions: how many there are; left: of these, how many stay as they are, settled or without a text. changed:
    those of another grade; rewritten: those of the same grade whose answer is written otherwise. grades: a row for
    each grade before and after, with its count. examples: up to three of each change of grade, with the problem,
    the right answer, the answer before and after, and the end of the text. written: whether the run was changed.
    """

    run: str
    solutions: int
    left: int
    changed: int
    rewritten: int
    grades: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    written: bool


async def regrade_run(
    folder: str | Path,
    *,
    answers: Sequence[str] | None = None,
    kind: str | None = None,
    study: str | Path | None = None,
    write: bool = True,
) -> Regraded:
    """Grade the solutions of a run anew, by their texts and the right answers that its folder holds.

    answers: where answers are looked for (``tasks.text.PLACES``); kind: of answers (``tasks.kinds.KINDS``, or
    module:function). Both are as the run's study.toml has them where not given. study: another study.toml, whose
    benchmark has the right answers of a run that was collected before they were kept with it.

    Raises DataError where there are no texts or no right answers, or the run cannot be written; EngineError where
    no grader starts. Then nothing is changed.
    """
    path = Path(folder)
    folder = path if path.is_dir() else path.parent
    settings = _settings(folder, study, answers, kind)
    with sole_collector(folder / STORE) if (folder / STORE).is_file() else nullcontext():
        run = read_run(path)
        rows = _texts(run)
        with _judge(folder, settings, list(zip(rows["task"], rows["problem"], strict=True))) as judge:
            after = await _graded(judge, rows)
        found, changes = _compared(folder, len(run.solutions), rows, after, judge.golds), _changes(rows, after)
        if write and len(changes):
            update_solutions(path, changes)
    return replace(found, written=write and len(changes) > 0)


@dataclass(frozen=True)
class _Judge:
    """golds: right answers by task and problem. grade: a text of a problem, cut or not."""

    golds: Mapping[_Problem, str]
    grade: Callable[[_Problem, str, bool], Coroutine[Any, Any, tuple[str, str | None]]]


def _settings(
    folder: Path, study: str | Path | None, answers: Sequence[str] | None, kind: str | None
) -> Study | Mapping[str, Any]:
    """The study with what was asked for instead; or that alone, where a run has none."""
    asked: dict[str, Any] = {}
    if answers is not None:
        check_places(answers)
        asked["answers"] = list(answers)
    if kind is not None:
        asked["grading"] = kind
    place = Path(study) if study is not None else folder / "study.toml"
    if study is None and not place.is_file():
        return asked
    found = read_study(place)
    if found.task.get("kind") == "testbed" and asked:
        raise DataError(
            f"{', '.join(asked)} for the testbed", "neither: its answers stand in one place", "leave them out"
        )
    return replace(found, task={**found.task, **asked})


def _texts(run: Run) -> pd.DataFrame:
    """The solutions to be graded: none that has its grade whatever its text, or by one that nobody recorded."""
    solutions = run.solutions.assign(cut=cut_solutions(run))
    blank = solutions["text"].str.strip() == ""
    if blank.all():
        raise DataError("a run without texts", "the texts of its solutions", "collect it again")
    units = run.units.set_index("key")[["task", "problem"]]
    kept = solutions[(~blank | solutions["grade"].isin(_EMPTY)) & ~solutions["grade"].isin(SETTLED)]
    return kept.join(units, on="unit")


@contextmanager
def _judge(folder: Path, settings: Study | Mapping[str, Any], wanted: Iterable[_Problem]) -> Iterator[_Judge]:
    """The right answers, and what grades against them: those in the run's folder, or its study's task."""
    table = settings.task if isinstance(settings, Study) else settings
    golds = read_references(folder)
    if isinstance(settings, Study) and (table.get("kind") == "testbed" or not golds):
        with opened_task(settings) as task:
            known = {(task.name, problem.id): problem for problem in task.problems.values()}
            _check_known(folder, known, wanted)
            yield _Judge(
                {key: problem.answer for key, problem in known.items()},
                lambda key, text, cut: task.grade(known[key], text, cut=cut),
            )
        return
    _check_known(folder, golds, wanted)
    options = {key: table[key] for key in ("workers", "limit") if key in table}
    places = table.get("answers", USUAL_PLACES)
    with Grader(kind=table.get("grading", "math"), **options) as grader:
        grader.refuse_unreadable({"/".join(key): golds[key] for key in dict.fromkeys(wanted)}, str(folder))
        yield _Judge(golds, lambda key, text, cut: grader.grade_text(golds[key], text, places, cut=cut))


def _check_known(folder: Path, known: Collection[_Problem], wanted: Iterable[_Problem]) -> None:
    lacking = sorted({key for key in wanted if key not in known})
    if lacking:
        raise DataError(
            f"{folder} holds no right answer to {len(lacking)} problems ({'/'.join(lacking[0])})",
            f"a {REFERENCES} with one for each, or the study.toml from beside its benchmark",
            "give --study, or write them",
        )


async def _graded(judge: _Judge, rows: pd.DataFrame) -> pd.DataFrame:
    """The grade and the answer of each row; equal texts of a problem are graded once."""
    wanted = [((t, p), text, cut) for t, p, text, cut in rows[_READ].itertuples(index=False)]
    each = dict.fromkeys(wanted)
    said = dict(zip(each, await together(judge.grade(*one) for one in each), strict=True))
    return pd.DataFrame([said[one] for one in wanted], rows.index, columns=["grade", "answer"], dtype=object)


def _changes(rows: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``update_solutions``: grade and answer of each solution that is graded or written otherwise."""
    before = rows[["grade", "answer"]].astype(object)
    same = (before == after) | (before.isna() & after.isna())
    changed = after[~same.all(axis=1)]
    found = rows.loc[changed.index, ["unit", "position"]].join(changed)
    return found.assign(value=None) if "value" in rows else found


def _compared(
    folder: Path, solutions: int, rows: pd.DataFrame, after: pd.DataFrame, golds: Mapping[_Problem, str]
) -> Regraded:
    both = rows.assign(after=after["grade"], anew=after["answer"])
    counts = both.groupby(["grade", "after"]).size().rename("count").rename_axis(["before", "after"]).reset_index()
    changed = both[both["grade"] != both["after"]]
    few = changed.sort_values(["grade", "after", "problem"]).groupby(["grade", "after"]).head(_EXAMPLES)
    return Regraded(
        str(folder),
        solutions=solutions,
        left=solutions - len(rows),
        changed=len(changed),
        rewritten=len(_changes(rows, after)) - len(changed),
        grades=[{str(k): v for k, v in row.items()} for row in counts.to_dict("records")],
        examples=[_example(row, golds) for row in few.to_dict("records")],
        written=False,
    )


def _example(row: Mapping[Hashable, Any], golds: Mapping[_Problem, str]) -> dict[str, Any]:
    return {
        "before": row["grade"],
        "after": row["after"],
        "problem": row["problem"],
        "right": golds[row["task"], row["problem"]],
        "answer_before": None if pd.isna(row["answer"]) else row["answer"],
        "answer_after": row["anew"],
        "text_end": row["text"][-_TAIL:],
    }
