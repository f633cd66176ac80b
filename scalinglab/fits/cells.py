"""Accuracy over N, D and k, from a table of cells or from the samples of several models: what T^2 is fitted to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import coverage_pools, pass_at_k
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence, find_spec
from scalinglab.fits.data import Floats, Points
from scalinglab.fits.tables import points_of
from scalinglab.grids import doublings
from scalinglab.laws import T2
from scalinglab.specs import ModelSpec

RUNS = ("N",)
"""What tells training runs apart, unless said: models of one N may be checkpoints of one run."""
_WIDE = re.compile(r"pass@(\d+)")


@dataclass(frozen=True)
class Cells:
    """points: accuracy at N, D and k, between 0 and 1, grouped by training run; by problem where they are known.

    noise: what sampling problems leaves of each cell's accuracy, as a standard error (n,); NaN where n is unknown.
    """

    points: Points
    noise: Floats
    notes: tuple[str, ...]


def is_cells(frame: pd.DataFrame) -> bool:
    """Whether a table has accuracy at budgets: columns k and accuracy, or pass@1, pass@4 ..."""
    return {"k", "accuracy"} <= set(frame) or bool(_wide(frame))


def cells_in(
    frame: pd.DataFrame,
    *,
    specs: Mapping[str, ModelSpec] | None = None,
    runs: Sequence[str] = RUNS,
    non_embedding: bool = False,
    task: str | None = None,
) -> Cells:
    """The cells of a table: k and accuracy in columns, or a column pass@k for each k; N and D in columns too, or
    those of each ``model``'s spec. Optional n: problems behind a row's accuracy.

    ``runs``: the columns that tell training runs apart; rows of one run are resampled together. ``non_embedding``:
    what N counts of a spec. ``task``: the one of a column task. Raises DataError for a column that is missing, for
    accuracies that are none, and for several tasks.
    """
    if "task" in frame:
        tasks = frame["task"].astype(str)
        frame = frame[tasks == _one(tasks.unique(), task)].reset_index(drop=True)
    wide = _wide(frame)
    if wide and "accuracy" not in frame:
        frame = frame.drop(columns="n", errors="ignore")  # there n would be samples, not problems
        frame = frame.melt([name for name in frame if name not in wide], wide, var_name="k", value_name="accuracy")
        frame["k"] = frame["k"].str.removeprefix("pass@").astype(float)
        frame = frame.dropna(subset="accuracy", ignore_index=True)  # budgets that this row was not measured at
    if "model" in frame and not {"N", "D"} <= set(frame):
        named = frame["model"].astype(str)
        known = {name: _size(_spec(name, specs or {}), name, non_embedding) for name in named.unique()}
        size, tokens = np.array([known[name] for name in named]).T
        frame = pd.DataFrame({"N": size, "D": tokens}).set_index(frame.index).combine_first(frame)
    _needed(frame, runs)
    points = points_of(frame, T2, where="the table")
    count = pd.to_numeric(frame["n"], errors="coerce").to_numpy(float) if "n" in frame else np.nan
    noise = np.sqrt(np.clip(points.mean * (1 - points.mean), 0, None) / count)
    return _sound(Points(points.inputs, points.outcome, _labels(frame, runs)), noise, ())


def cells_of(evidence: Evidence, *, runs: Sequence[str] = RUNS, non_embedding: bool = False) -> Cells:
    """The coverage of every model with a spec at k = 1, 2, 4 ..., by problem. ``runs`` of N, D and model.

    Raises DataError for several tasks, for models of different problems or without training tokens.
    """
    _one(evidence.tasks(), None)
    pools = {name: pool for name, pool in coverage_pools(evidence).items() if name not in evidence.lacking}
    if len({pool.problems for pool in pools.values()}) != 1:
        raise DataError("models of different problems, or none with a spec", "the same problems", "keep those")
    budgets = doublings(min(int(pool.n.min()) for pool in pools.values()))
    sizes = {name: _size(evidence.spec(name), name, non_embedding) for name in pools}
    rows = [(name, *sizes[name], float(k)) for name in pools for k in budgets]
    frame = pd.DataFrame(rows, columns=["model", "N", "D", "k"])
    _needed(frame.assign(accuracy=np.nan), runs)
    by_problem = [pass_at_k(pool.n[:, None], pool.correct[:, None], budgets) for pool in pools.values()]
    outcome = np.hstack(by_problem)
    noise = (
        outcome.std(axis=0, ddof=1) / np.sqrt(len(outcome)) if len(outcome) > 1 else np.full(len(frame), np.nan)
    )
    inputs = {name: frame[name].to_numpy(float) for name in T2.inputs}
    left = ", ".join(name for name in evidence.lacking if name in evidence.models())
    notes = (
        "accuracy: coverage (pass@k), a perfect verifier's",
        *([f"left out, without a spec: {left}"] if left else []),
    )
    return _sound(Points(inputs, outcome, _labels(frame, runs)), noise, notes)


def _wide(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame if _WIDE.fullmatch(str(name))]


def _one(tasks: Iterable[str], task: str | None) -> str:
    """The task asked for, or the only one."""
    known = sorted(tasks)
    if task in known or (task is None and len(known) == 1):
        return task or known[0]
    given = f"{len(known)} tasks" if task is None else f"no task {task!r}"
    raise DataError(given, f"one of {', '.join(known)}", "name it with --task")


def _spec(name: str, specs: Mapping[str, ModelSpec]) -> ModelSpec:
    try:
        return find_spec(name, specs)
    except SpecError as error:
        given = f"a table without N and D, and no spec of model {name!r}"
        do = "map N and D (--map N=COLUMN), or add --spec MODEL=N@TOKENS"
        raise DataError(given, "columns N and D, or a spec a model", do) from error


def _size(spec: ModelSpec, name: str, non_embedding: bool) -> tuple[float, float]:
    """N and D. Raises DataError where one N does not price both training and answers, or D is unknown."""
    if spec.active != spec.total:
        raise DataError(f"{name}, a mixture of experts", "dense models, each of one N", "leave it out")
    if spec.training_tokens is None:
        raise DataError(f"{name} without training tokens", "its D", f"add --spec {name!r}=N@TOKENS")
    return float(spec.non_embedding if non_embedding else spec.total), float(spec.training_tokens)


def _needed(frame: pd.DataFrame, runs: Sequence[str]) -> None:
    missing = [name for name in (*T2.inputs, "accuracy", *runs) if name not in frame]
    if missing:
        have = ", ".join(map(str, frame.columns))
        raise DataError(
            f"a table without {missing[0]}", f"N, D, k and accuracy ({have})", "map it: --map NAME=COLUMN"
        )


def _labels(frame: pd.DataFrame, runs: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.asarray(frame.groupby(list(runs)).ngroup(), dtype=np.int64)


def _sound(points: Points, noise: Floats, notes: tuple[str, ...]) -> Cells:
    """Without the cells in which all or none are right, of which T^2 has no logarithm; refused where N, D or k has
    one value."""
    bad = np.flatnonzero(~((points.mean >= 0) & (points.mean <= 1)))
    if len(bad):
        raise DataError(f"an accuracy of {points.mean[bad[0]]:g}", "a share from 0 to 1", "divide percents by 100")
    inside = (points.mean > 0) & (points.mean < 1)
    points = points.where(inside)
    for name in T2.inputs:
        if len(np.unique(points.inputs[name])) < 2:
            raise DataError(f"cells of one {name}", f"two or more values of {name}", "add models or budgets")
    lost = int((~inside).sum())
    said = (f"left out: {lost} of {len(inside)} cells in which all or none are right",) if lost else ()
    return Cells(points, noise[inside], notes + said)
