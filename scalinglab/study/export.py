"""A run as files to keep or to hand on: its samples as Parquet, with the plan that prices them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalinglab.errors import DataError
from scalinglab.files import MANIFEST, made_folder, own_files, refuse_taken, whole, whole_folder
from scalinglab.report import manifest
from scalinglab.samples import (
    COLLECTED,
    PLAN,
    REFERENCES,
    Run,
    find_plan,
    is_run,
    noted,
    read_collected,
    read_parts,
    read_plan,
    write_parquet,
)
from scalinglab.samples.parquet import refuse_others

SAMPLES = "samples"
_PART = 200_000
"""Calls and solutions that are held at a time: a tenth of them would take a fifth more room when packed."""
_KEPT = ("study.toml", PLAN, COLLECTED, REFERENCES)
_UNKNOWN: dict[str, tuple[str, dict[str, object]]] = {
    "seconds": ("calls", {"seconds": np.nan}),
    "texts": ("solutions", {"text": "", "thinking": ""}),
}
"""What an export can leave out: in which table, and what its columns hold then."""


def export_run(
    folder: str | Path, out: str | Path, *, command: Sequence[str], without: Iterable[str] = ()
) -> list[Path]:
    """Write the run in ``folder`` to ``out``: its samples as tables, a manifest, and its study and plan if any.

    What is written is a run too: all that reads the one reads the other. It is read part by part, so that a run
    of any size can be exported, and takes its place once all of it is written. ``without``: what is left out,
    unknown to who reads the export: ``seconds`` (how long each call took: half of what a large run takes) or
    ``texts`` (of solutions and of what was thought before them; their answers, grades and scores stay). Raises
    DataError where it is no run's folder, ``out`` cannot be written, or something else is to be left out.
    """
    blank = [_UNKNOWN[one] for one in map(_known, without)]
    folder, out = Path(folder), Path(out)
    alone = is_run(folder) and find_plan(folder) is None
    seeds = set() if alone else {cell.seed for cell in read_plan(folder).cells}
    if folder.resolve() == out.resolve():
        raise DataError(f"{folder} to itself", "another folder", "give another --out")
    own = own_files(out, command=command)
    refuse_taken(out, [*_KEPT, MANIFEST], own=own)
    _refuse_other(folder, out)
    notes = {"notes": list(noted(folder))} if noted(folder) else {}
    about = {"collected": read_collected(folder), **notes}
    kept = [name for name in _KEPT if (folder / name).is_file()]
    files = {name: (folder / name).read_bytes() for name in kept}
    refuse_others(out / SAMPLES)
    with made_folder(out), ExitStack() as stack:  # what is entered last takes its place first, samples at the end
        samples = stack.enter_context(whole_folder(out / SAMPLES))
        write_parquet(_seen(read_parts(folder, _PART), seeds, blank), samples)
        tables = sorted(f"{SAMPLES}/{path.name}" for path in samples.iterdir())
        made = manifest(command, [*sorted(files), *tables], seed=min(seeds)) | {"seeds": sorted(seeds)} | about
        files[MANIFEST] = (json.dumps(made, indent=1) + "\n").encode()
        for name, content in files.items():
            stack.enter_context(whole(out / name)).write_bytes(content)
    return [*(out / name for name in tables), *(out / name for name in files)]


def _refuse_other(folder: Path, out: Path) -> None:
    """Raise DataError where the export in ``out`` is of another study: its plan would be gone."""
    plans = [read_plan(one) if (one / PLAN).is_file() else None for one in (folder, out)]
    if out.exists() and any(out.iterdir()):
        studies = [None if plan is None else (plan.run, plan.task) for plan in plans]
        if studies[0] != studies[1]:
            raise DataError(f"{out} holds the export of another study", "a new folder", "give another --out")


def _known(part: str) -> str:
    if part not in _UNKNOWN:
        raise DataError(f"an export without {part!r}", " or ".join(_UNKNOWN), "leave out one of them")
    return part


def _seen(parts: Iterator[Run], seeds: set[int], blank: Iterable[tuple[str, dict[str, object]]]) -> Iterator[Run]:
    """The parts, with ``blank`` columns of tables unknown; their seeds are added to ``seeds``."""
    for part in parts:
        seeds.update(map(int, part.units["seed"].unique()))
        for table, values in blank:
            part = replace(part, **{table: getattr(part, table).assign(**values)})
        yield part
